// Reads one inbound mail: is it a bounce, a complaint, a machine's answer, or something else; of whom; and about which mail of ours.
//
// Any bytes give an answer, in memory and time that `Limits` bound: what lies beyond a limit is not read, and the report says so.
// Thread-safe. Nothing here trusts the mail: addresses and ids are what a stranger wrote, and the caller has to compare them with its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processors/bounces/classify.h"

namespace maily::bounces {

enum class Kind : uint8_t {
  kBounce,     // somebody did not get a mail: RFC 3464, or prose
  kDelayed,    // a mail is late and still tried: no bounce, nothing is to be counted
  kDelivered,  // a notification of success
  kFeedback,   // ARF (RFC 5965) or the same as JSON
  kAutoReply,  // RFC 3834: vacation, ticket received
  kChallenge,  // asks the sender to prove that he is a person; never answered
  kOther,      // a person's mail, or anything else
};
const char* KindName(Kind kind);  // "bounce", …

// RFC 5965 §7.3, RFC 6591, RFC 6430. Only kAbuse and kFraud are a person's complaint; kOptOut is an unsubscription.
enum class Feedback : uint8_t { kNone, kAbuse, kFraud, kVirus, kNotSpam, kAuthFailure, kOptOut, kOther };
const char* FeedbackName(Feedback feedback);  // "auth-failure", …; "" of kNone

struct Limits {
  size_t bytes_max = 512 * 1024;  // a notification stands at the beginning; what follows is our own mail
  size_t depth_max = 32;          // multiparts and messages, opened one after another or inside one another
  size_t parts_max = 1'000;       // lines that may divide parts; parts that are looked at are 64 at most
};

// One recipient and what became of him.
struct Recipient {
  std::string address = {};     // may be empty or hashed: feedback loops redact
  std::string action = {};      // RFC 3464 "failed", "delayed", …; empty in prose
  std::string status = {};      // the Status field, or the enhanced code of the text
  std::string diagnostic = {};  // what the server said; at most 4 KiB
  std::string remote_mta = {};
  Command command = Command::kUnknown;
  Verdict verdict = {};
};

struct Report {
  Kind kind = Kind::kOther;
  Feedback feedback = Feedback::kNone;
  std::vector<Recipient> recipients = {};  // at most 100; of a bounce or a complaint at least one
  std::string reporting_mta = {};
  // Addresses this mail was sent to: one of them may be a return path of ours, with its token.
  std::vector<std::string> addressed_to = {};
  // Of the original mail, as far as it was returned.
  std::string original_message_id = {};
  std::string original_feedback_id = {};
  std::string original_to = {};
  std::string original_return_path = {};  // Return-Path, X-Postfix-Sender, or Original-Mail-From
  std::string original_envelope_id = {};
  bool standard = false;   // RFC 3464 or RFC 5965 fields were there
  bool truncated = false;  // a limit was reached
};

Report Read(std::string_view mail, const Limits& limits = {});

}  // namespace maily::bounces
