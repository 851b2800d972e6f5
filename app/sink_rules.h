// What the sink does to some recipients instead of taking their mail: for rehearsals and tests.
//
// Rules are tried in order, the first one that fits decides; nothing fits: the mail is taken. A script is a YAML list of them:
//
//   - to: "*@grey.example"      # of the recipient's address; "*" at the front or the end stands for anything; not with at: connect
//     at: rcpt                  # connect (the greeting), rcpt (the default) or dot (the reply to the mail)
//     first: 1                  # only the first attempts at each recipient; what tries again is let through
//     reply: 451 4.7.1 greylisted, try again
//   - at: connect
//     between: [60, 120]        # seconds since the sink began
//     reply: 421 4.7.0 too many connections
//   - to: "*@tarpit.example"
//     delay: 30                 # seconds before the answer, whatever that is
//   - to: "*@lossy.example"
//     at: dot
//     share: 0.01               # of the mails
//     drop: after               # the connection ends without an answer: before (the mail is not taken) or after (it is)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::app {

struct SinkRule {
  enum class Stage : uint8_t { kConnect, kRcpt, kDot };
  enum class Drop : uint8_t { kNo, kBefore, kAfter };

  std::string suffix = {};  // of the recipient's address: "@soft.test"; both empty: all fit
  std::string prefix = {};  // of it: "postmaster@"
  Stage stage = Stage::kRcpt;
  std::string reply = {};  // "451 4.2.0 busy"; empty: as if there were no rule, but for the delay
  uint32_t first = 0;      // attempts at a recipient that it is for; 0 = all
  double share = 1;        // of those that fit
  Duration from{};         // since the sink began
  Duration until{};        // zero: for ever
  Duration delay{};        // before the answer
  Drop drop = Drop::kNo;
};

// "[connect:|rcpt:|dot:]PATTERN=REPLY", e.g. "*@soft.test=451 4.2.0 busy", "dot:*@hard.test=554 5.7.1 no". A PATTERN is a suffix, with or
// without a leading '*'. kInvalid: not that, or the reply is not one line that begins with a code from 200 to 599.
Result<SinkRule> ParseSinkRule(std::string_view text);
// The rules of a script, in its order. kInvalid: with file and line what is wrong.
Result<std::vector<SinkRule>> ReadSinkScript(const std::string& path);

// The rules and what they remember. Not thread-safe.
class SinkRules {
 public:
  explicit SinkRules(std::vector<SinkRule> rules, uint64_t seed) : rules_(std::move(rules)), chance_(seed) {}
  // The rule for this moment; null: none. `recipient`: none at kConnect. `since`: the sink began. Counts an attempt where rules count.
  const SinkRule* Fit(SinkRule::Stage stage, std::string_view recipient, Duration since);
  // True in `share` of the calls.
  bool Happens(double share);

 private:
  const std::vector<SinkRule> rules_;
  uint64_t chance_;
  std::unordered_map<uint64_t, uint32_t> attempts_;  // of a rule and a recipient; at most kRememberedMax, others count as tried before
};

}  // namespace maily::app
