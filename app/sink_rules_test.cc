// What rules of the sink say, and for whom.
#include "app/sink_rules.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace maily::app {
namespace {

using Stage = SinkRule::Stage;

// The rules of a script with this text, or why there are none.
Result<std::vector<SinkRule>> Read(const std::string& text) {
  char name[] = "/tmp/maily-script-XXXXXX";
  const int file = mkstemp(name);
  close(file);
  std::ofstream(name) << text;
  auto rules = ReadSinkScript(name);
  std::filesystem::remove(name);
  return rules;
}

std::string ReplyOf(const SinkRule* rule) { return rule == nullptr ? "" : rule->reply; }

TEST(SinkRules, TheFirstThatFitsDecides) {
  auto read = Read(R"(
- to: "*@a.example"
  reply: 450 4.2.1 one
- to: postmaster@*
  reply: 550 5.7.1 two
- at: dot
  reply: 554 5.7.1 three
- to: "*"
  reply: 250 2.1.5 four
)");
  ASSERT_TRUE(read) << read.error().message;
  SinkRules rules(*read, 1);
  EXPECT_EQ(ReplyOf(rules.Fit(Stage::kRcpt, "x@a.example", {})), "450 4.2.1 one");
  EXPECT_EQ(ReplyOf(rules.Fit(Stage::kRcpt, "postmaster@a.example", {})), "450 4.2.1 one");
  EXPECT_EQ(ReplyOf(rules.Fit(Stage::kRcpt, "postmaster@b.example", {})), "550 5.7.1 two");
  EXPECT_EQ(ReplyOf(rules.Fit(Stage::kRcpt, "x@b.example", {})), "250 2.1.5 four");
  EXPECT_EQ(ReplyOf(rules.Fit(Stage::kDot, "x@b.example", {})), "554 5.7.1 three");
  EXPECT_EQ(rules.Fit(Stage::kConnect, "", {}), nullptr);
}

TEST(SinkRules, GreylistingPassesOnTheSecondAttemptOfEachRecipient) {
  auto read = Read("- {first: 1, reply: 451 4.7.1 greylisted}\n");
  ASSERT_TRUE(read) << read.error().message;
  SinkRules rules(*read, 1);
  EXPECT_NE(rules.Fit(Stage::kRcpt, "a@x", {}), nullptr);
  EXPECT_NE(rules.Fit(Stage::kRcpt, "b@x", {}), nullptr);
  EXPECT_EQ(rules.Fit(Stage::kRcpt, "a@x", {}), nullptr);
  EXPECT_EQ(rules.Fit(Stage::kRcpt, "b@x", {}), nullptr);
}

TEST(SinkRules, AStormHasABeginningAndAnEnd) {
  auto read = Read("- {at: connect, between: [60, 120.5], reply: 421 4.7.0 too many connections}\n");
  ASSERT_TRUE(read) << read.error().message;
  SinkRules rules(*read, 1);
  EXPECT_EQ(rules.Fit(Stage::kConnect, "", Milliseconds(59'999)), nullptr);
  EXPECT_NE(rules.Fit(Stage::kConnect, "", Seconds(60)), nullptr);
  EXPECT_NE(rules.Fit(Stage::kConnect, "", Milliseconds(120'499)), nullptr);
  EXPECT_EQ(rules.Fit(Stage::kConnect, "", Milliseconds(120'500)), nullptr);
}

TEST(SinkRules, AShareOfTheMailsIsTheSameForTheSameSeed) {
  auto read = Read("- {at: dot, share: 0.25, drop: after}\n");
  ASSERT_TRUE(read) << read.error().message;
  const auto hits = [&](uint64_t seed) {
    SinkRules rules(*read, seed);
    std::vector<int> at;
    for (int i = 0; i < 4000; ++i) {
      if (rules.Fit(Stage::kDot, "a@x", {}) != nullptr) at.push_back(i);
    }
    return at;
  };
  EXPECT_EQ(hits(3), hits(3));
  EXPECT_NE(hits(3), hits(4));
  EXPECT_NEAR(static_cast<double>(hits(3).size()), 1000, 120);
}

TEST(SinkRules, AScriptThatIsWrongIsRefusedWithItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: b\n", "it is no list of rules"},
      {"- reply: 450 4.2.1 x\n- 7\n", ":2: a rule is a map"},
      {"- to: \"*@x\"\n  replay: 450 x\n", ":2: unknown member 'replay'"},
      {"- reply: hello\n", ":1: reply: 'hello' is not a reply"},
      {"- reply: 451 x\n  at: noon\n", ":2: at: it is connect, rcpt or dot"},
      {"- reply: 451 x\n  first: 0\n", ":2: first: it is a number of attempts"},
      {"- reply: 451 x\n  share: 2\n", ":2: share: it is a number from 0 to 1"},
      {"- reply: 451 x\n  between: [5, 5]\n", ":2: between: its end is not after its beginning"},
      {"- delay: -1\n", ":1: delay: it is a number of seconds"},
      {"- to: \"*a*\"\n  reply: 451 x\n", ":1: to: '*a*' has more than one *"},
      {"- {at: rcpt, drop: after}\n", "drop: after goes with at: dot"},
      {"- {at: connect, first: 1, reply: 421 x}\n", "nobody knows the recipient yet"},
      {"- {drop: before, reply: 421 x}\n", "exclude each other"},
      {"- to: \"*\"\n", "the rule does nothing"},
      {"- [\n", ":"},
  };
  for (const auto& [text, why] : cases) {
    const auto read = Read(text);
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().message.find(why), std::string::npos) << text << " -> " << read.error().message;
  }
  EXPECT_NE(ReadSinkScript("/nowhere/at/all").error().message.find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace maily::app
