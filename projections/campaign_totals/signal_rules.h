// Who is behind an open or click: a person, a machine, or nobody can say. One rule for all reports, with a version.
//
//  1. Who asks from a network of scanners (setting scanner_networks, as it was then) is a machine. Else by what it says of itself:
//     the first row of AgentRules() that fits. Where the user agent is gone or was never kept, its class (schemas/agent.h), which stands in
//     the open.
//  2. By its time: within kAtOnce of the hand-over it is a machine's. Of a mail that is not known to be handed over (refused, forwarded by
//     one who was skipped) what is not a machine's is unknown.
//  3. Clicks by their company: kBurstLinks different links of one mail within kBurstWindow are a machine's, those before the last too.
//  4. Who follows the link that no person sees (Returns::honeypot) is a machine, with all clicks within kBurstWindow of the first of them.
// Rules are counted as they are: nobody is kept from a link. Headline numbers are those of persons.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "maily/engagements/v1/state.pb.h"
#include "streams/base/time.h"

namespace maily::projections {

// Raise it with any change of the rules, here, in schema.sql (signal_filter) and nowhere else: what was judged is judged anew then, out of
// the signals that the journal keeps.
inline constexpr uint32_t kSignalRulesVersion = 3;

// A mail server hands over before its user hears of it: faster than this nobody reads. Scanners at the receiver follow links at delivery
// (Barracuda, Proofpoint, Microsoft Safe Links say so of themselves).
inline constexpr Duration kAtOnce = Seconds(2);
// Three links in five seconds: more than people do, and fewer than a scanner does, which follows all.
inline constexpr Duration kBurstWindow = Seconds(5);
inline constexpr int kBurstLinks = 3;

// Numbers of signal_readers in schema.sql.
enum class ReadBy : uint8_t { kHuman = 1, kMachine = 2, kUnknown = 3 };
// As in engagement_kinds.
enum class SignalKind : uint8_t { kOpen = 1, kClick = 2 };

struct Ruling {
  ReadBy by = ReadBy::kUnknown;
  std::string_view rule;  // its id; lives for ever
};

struct AgentRule {
  std::string_view id;    // stays with its meaning
  std::string_view word;  // lower case, anywhere in the user agent; empty: fits always
  ReadBy open;
  ReadBy click;
  std::string_view source;
  bool whole = false;  // the word is all of it
};
// In their order; the last fits always.
std::span<const AgentRule> AgentRules();

// Step 1. `user_agent`: none if it cannot be known. Allocates nothing.
Ruling ByAgent(SignalKind kind, const std::optional<std::string_view>& user_agent, engagements::v1::AgentClass agent);

// Step 2. `handed_over`: when the receiver took the mail, or may have.
Ruling ByTime(Ruling ruling, Instant at, const std::optional<Instant>& handed_over);

// Step 3: clicks that come soon one after another, of one contact in one campaign, without those that are a machine's anyway.
struct Burst {
  Instant begun;
  uint64_t links = 0;    // a bit a link: index mod 64
  int64_t sequence = 0;  // of its first click
  int64_t human = 0;     // of its clicks, as they are counted
  int64_t unknown = 0;

  // Takes a click in, or begins anew with it. True: these are a machine's.
  bool Join(Instant at, uint32_t link, int64_t at_sequence);
  // The link that no person sees was followed: clicks of this window are a machine's, those before it too.
  void Trap(Instant at, int64_t at_sequence);
};

}  // namespace maily::projections
