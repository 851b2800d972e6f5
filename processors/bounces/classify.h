// What one SMTP reply, or one recipient of a delivery status notification, says about a person's address.
//
// Pure and thread-safe. The rules are data (rules.h): the first that fits decides. Its id is stable and may be stored and counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maily::bounces {

enum class Class : uint8_t {
  kDelivered,  // 2xx, 2.x.x, or a notification that says delivered, relayed or expanded
  kHard,       // the address or its domain does not take mail, and will not: suppress it
  kSoft,       // anything else that was not delivered; also when nothing is known. Never suppressed by itself
  kComplaint,  // a person reported the mail
  kAutoReply,  // a machine answered for a person: neither a bounce nor a sign of one
  kNone,       // a report that says nothing of the person's will or address: not-spam, auth-failure; or opt-out, which is an unsubscription
};

enum class Reason : uint8_t {
  kNone,            // delivered
  kInvalidAddress,  // no such mailbox
  kBadDomain,       // no such domain or host
  kNoMail,          // a domain that takes no mail: null MX (RFC 7505), 521 and 556 (RFC 7504), no mail exchanger
  kMoved,           // moved without a forwarding address
  kInactive,        // suspended, disabled, expired
  kMailboxFull,
  kFiltered,     // "unknown user" said of a mail, not of an address: a filter of the recipient (see rules.cc)
  kSender,       // our address, envelope or HELO name is not liked
  kAuthFailure,  // SPF, DKIM, DMARC, or a log-in
  kReputation,   // our host or domain is listed
  kPolicy,       // X.7.x without anything more precise
  kRelay,        // relaying denied
  kContent,      // spam, virus, or what the mail is made of
  kSize,         // too large
  kRate,         // too many, too fast
  kRouting,      // DNS, connections, loops
  kExpired,      // the time in the queue is over, or is not yet: delayed
  kSystem,       // the receiving system is at fault or a program of it
  kProtocol,     // bad syntax or sequence
  kComplaint,
  kOptOut,
  kAutoReply,
  kUndetermined,
};

// At which step of the conversation it was said; kUnknown if nobody tells.
enum class Command : uint8_t { kUnknown, kConnect, kHello, kMail, kRcpt, kData };

const char* ClassName(Class value);    // "hard", …
const char* ReasonName(Reason value);  // "invalid_address", …

// Where in a conversation of ours something was said, by the name of its stage (sends.v1.RecordAttempt).
Command CommandOfStage(std::string_view stage);

struct Reply {
  int code = 0;                    // basic code; 0: none is known
  std::string_view enhanced = {};  // RFC 3463, "5.1.1", as the server said it; empty: none is known
  // What a program that reports made of it (the Status field of RFC 3464), where the server said none: of any 550 it may have made 5.1.1.
  std::string_view status = {};
  std::string_view text = {};        // what was said, as it was said, codes included or not; only the first 4 KiB are looked at
  std::string_view remote_mta = {};  // host that said it, for rules of one provider; may be empty
  // Of a Diagnostic-Code field: "smtp", "x-unix"; "prose" of what a person was to read; empty is taken for smtp.
  std::string_view diagnostic_type = {};
  Command command = Command::kUnknown;
};

struct Verdict {
  Class cls = Class::kSoft;
  Reason reason = Reason::kUndetermined;
  std::string_view rule = "none";  // of static lifetime
};

// Codes that are not given are looked for in the text.
Verdict Classify(const Reply& reply);

// The first basic code (421 … 599, or a 2xx if `code` begins the text) and the first enhanced code that is not X.0.0, if there is any
// other.
int FindBasicCode(std::string_view text);
std::string FindEnhancedCode(std::string_view text);
// Where the first 4xx or 5xx stands; npos if there is none.
size_t FindRefusal(std::string_view text);
// Whether the text says that a mailbox is full, in whatever words the rules know.
bool SaysMailboxFull(std::string_view text);

}  // namespace maily::bounces
