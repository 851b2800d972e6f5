// What a mail that came back means: of which sends of ours it is, and which commands it becomes.
//
// Nothing of the mail is trusted but tokens that this platform signed: a return path, a Message-ID, an address to unsubscribe by. Whoever
// was sent a mail has its tokens, and can say something of that one send with them. Pure but for the readers; thread: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/gateway/gateway.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"

namespace maily::inbound {

struct Send {
  TenantId tenant;
  PartitionId partition;
  uint64_t campaign_id = 0;
  uint64_t ordinal = 0;
  auto operator<=>(const Send&) const = default;
};

// What the process knows of tokens. May read keys, so they may block; thread: any. kInvalid: not ours, forged, or damaged; another code: it
// cannot be known now.
struct Readers {
  std::function<Result<Send>(std::string_view address)> return_path;
  std::function<Result<Send>(std::string_view message_id)> message_id;
  std::function<Result<Send>(std::string_view token)> opt_out;  // of the local part that stands behind the 'u'
  // A server's words without this recipient's address.
  std::function<std::string(std::string_view text, std::string_view address)> redact;
  uint16_t partition_count = 0;
};

enum class What : uint8_t {
  kBounce,     // RecordNotice
  kComplaint,  // RecordNotice
  kAutoReply,  // RecordNotice
  kOptOut,     // RecordUnsubscribe
  kDelayed,    // of a send of ours, and nothing to record: it is still tried
  kDelivered,  // or it got there
  kFeedback,   // or a report that says nothing of the person: not-spam, auth-failure, virus
  kOther,      // or a person's mail
  kForged,     // what looks like a token of ours is none
  kNobody,     // there is no token at all
};
const char* WhatName(What what);  // "bounce", …
inline constexpr What kAllWhats[] = {What::kBounce,    What::kComplaint, What::kAutoReply, What::kOptOut, What::kDelayed,
                                     What::kDelivered, What::kFeedback,  What::kOther,     What::kForged, What::kNobody};

struct Command {
  TenantId tenant;
  gateway::Order order;
};

inline constexpr size_t kSendsMax = 10;  // that one mail may tell of

struct Meaning {
  What what = What::kNobody;
  std::vector<Command> commands = {};  // at most kSendsMax
};

// `recipients`: of the envelope, as far as there is one; their tokens count before those in the mail. `source`: "smtp", "http", "mailbox". `only`: the
// one tenant whose sends it may tell of; none: all. An error only if the readers have one that is not kInvalid: then nothing is known.
//
// The same news of one send has the same natural key, however often and in whatever words it comes.
Result<Meaning> Interpret(const std::vector<std::string>& recipients, std::string_view mail, std::string_view source,
                          const Readers& readers, TenantId only = {});

// Whether a local part may be one of ours: it looks like a token, or is a name that every mail host has (RFC 5321 §4.5.1, RFC 2142).
bool MayBeOurs(std::string_view local);

// At most `bytes_max` bytes of printable ASCII, in which no e-mail address stands any more.
std::string Anonymous(std::string_view text, size_t bytes_max);

}  // namespace maily::inbound
