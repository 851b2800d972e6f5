// Who is taken for a person.
#include "projections/campaign_totals/signal_rules.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace maily::projections {
namespace {

using namespace engagements::v1;
using enum ReadBy;

constexpr std::string_view kChrome =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

ReadBy Open(std::string_view agent) { return ByAgent(SignalKind::kOpen, agent, AGENT_UNKNOWN).by; }
ReadBy Click(std::string_view agent) { return ByAgent(SignalKind::kClick, agent, AGENT_UNKNOWN).by; }

TEST(SignalRules, TakeProgramsForWhatTheySay) {
  EXPECT_EQ(Click(kChrome), kHuman);
  EXPECT_EQ(Open("Mozilla/5.0 (iPhone; CPU iPhone OS 15_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"), kHuman);
  EXPECT_EQ(Open("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16130; Pro)"), kHuman);
  EXPECT_EQ(Click("Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 Chrome/96.0 Mobile Safari/537.36"), kHuman);
  // A proxy says nothing of who looks, and follows no links for a person.
  EXPECT_EQ(Open("Mozilla/5.0"), kUnknown);
  EXPECT_EQ(Click("Mozilla/5.0"), kMachine);
  EXPECT_EQ(Open("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"), kUnknown);
  EXPECT_EQ(Open("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"), kUnknown);
  for (const char* machine :
       {"Mozilla/5.0 (compatible; Googlebot/2.1)", "python-requests/2.31", "curl/8.0", "Barracuda Sentinel (EE)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0 Safari/537.36", "facebookexternalhit/1.1"}) {
    EXPECT_EQ(Open(machine), kMachine) << machine;
    EXPECT_EQ(Click(machine), kMachine) << machine;
  }
  EXPECT_EQ(Click(""), kUnknown);
  EXPECT_EQ(Click("x"), kUnknown);
  EXPECT_EQ(Click(std::string(100'000, 'x') + "bot"), kUnknown);
}

TEST(SignalRules, HaveASourceAndAnIdOfOneMeaning) {
  std::map<std::string_view, std::pair<ReadBy, ReadBy>> meanings;
  for (const AgentRule& rule : AgentRules()) {
    EXPECT_FALSE(rule.source.empty()) << rule.id;
    const std::pair meaning{rule.open, rule.click};
    EXPECT_EQ(meanings.emplace(rule.id, meaning).first->second, meaning) << rule.id;
    for (const char c : rule.word) EXPECT_FALSE(c >= 'A' && c <= 'Z') << rule.id;
  }
  EXPECT_EQ(AgentRules().back().word, "");
}

TEST(SignalRules, UseTheClassWhereTheAgentIsGone) {
  EXPECT_EQ(ByAgent(SignalKind::kClick, std::nullopt, AGENT_MOBILE).by, kHuman);
  EXPECT_EQ(ByAgent(SignalKind::kOpen, std::nullopt, AGENT_IMAGE_PROXY).by, kUnknown);
  EXPECT_EQ(ByAgent(SignalKind::kClick, std::nullopt, AGENT_IMAGE_PROXY).by, kMachine);
  EXPECT_EQ(ByAgent(SignalKind::kClick, std::nullopt, AGENT_MACHINE).by, kMachine);
  EXPECT_EQ(ByAgent(SignalKind::kClick, std::nullopt, AGENT_UNKNOWN).by, kUnknown);
}

TEST(SignalRules, BelieveNoUserAgentOfAScannersNetwork) {
  for (const std::optional<std::string_view> agent : {std::optional<std::string_view>("Mozilla/5.0 (X11) Firefox/140.0"), {}}) {
    EXPECT_EQ(ByAgent(SignalKind::kClick, agent, AGENT_SCANNER).by, kMachine);
    EXPECT_EQ(ByAgent(SignalKind::kOpen, agent, AGENT_SCANNER).rule, "network");
  }
}

TEST(SignalRules, TakeWhatComesAtOnceForAMachine) {
  const Instant handed_over{1'000'000'000};
  const Ruling human{kHuman, "browser"};
  EXPECT_EQ(ByTime(human, handed_over, handed_over).by, kMachine);
  EXPECT_EQ(ByTime(human, handed_over + Milliseconds(1999), handed_over).rule, "at_once");
  EXPECT_EQ(ByTime(human, handed_over + kAtOnce, handed_over).by, kHuman);
  EXPECT_EQ(ByTime(human, handed_over, std::nullopt).by, kUnknown);
  EXPECT_EQ(ByTime({kMachine, "bot"}, handed_over, std::nullopt).rule, "bot");
}

TEST(SignalRules, TakeManyLinksAtOnceForAMachine) {
  const Instant at{1'000'000'000};
  Burst burst;
  EXPECT_FALSE(burst.Join(at, 0, 10));
  EXPECT_FALSE(burst.Join(at, 0, 11));
  EXPECT_FALSE(burst.Join(at + Seconds(1), 1, 12));
  EXPECT_TRUE(burst.Join(at + Milliseconds(4999), 70, 13));
  EXPECT_EQ(burst.sequence, 10);
  // The same links, slowly.
  EXPECT_FALSE(burst.Join(at + Seconds(5), 2, 14));
  EXPECT_EQ(burst.sequence, 14);
  EXPECT_FALSE(burst.Join(at + Seconds(10), 3, 15));
  EXPECT_FALSE(burst.Join(at + Seconds(15), 4, 16));
  burst.Trap(at + Seconds(16), 17);
  EXPECT_EQ(burst.sequence, 16);
  EXPECT_TRUE(burst.Join(at + Seconds(19), 9, 18));
  EXPECT_FALSE(burst.Join(at + Seconds(20), 9, 19));
  burst.Trap(at + Seconds(30), 20);
  EXPECT_EQ(burst.sequence, 20);
}

}  // namespace
}  // namespace maily::projections
