// User agents as programs send them.
#include "schemas/agent.h"

#include <gtest/gtest.h>

namespace maily::schema {
namespace {

using namespace engagements::v1;

TEST(Agent, IsClassifiedByWhatProgramsSay) {
  const struct {
    AgentClass agent;
    std::string_view text;
  } cases[] = {
      {AGENT_DESKTOP, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"},
      {AGENT_DESKTOP, "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0"},
      {AGENT_DESKTOP,
       "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"},
      {AGENT_MOBILE,
       "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 "
       "Safari/604.1"},
      {AGENT_MOBILE, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36"},
      {AGENT_MOBILE, "Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari/537.36"},
      {AGENT_MAIL, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"},
      {AGENT_MAIL, "Mozilla/5.0 (iPhone; CPU iPhone OS 15_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"},
      {AGENT_MAIL, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:115.0) Gecko/20100101 Thunderbird/115.6.0"},
      {AGENT_MAIL, "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.16130; ms-office)"},
      {AGENT_IMAGE_PROXY, "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"},
      {AGENT_IMAGE_PROXY, "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"},
      {AGENT_IMAGE_PROXY, "Mozilla/5.0"},
      {AGENT_MACHINE, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
      {AGENT_MACHINE, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36"},
      {AGENT_MACHINE, "python-requests/2.31.0"},
      {AGENT_MACHINE, "CURL/8.5.0"},
      {AGENT_UNKNOWN, ""},
      {AGENT_UNKNOWN, "something else"},
  };
  for (const auto& [agent, text] : cases) EXPECT_EQ(ClassifyAgent(text), agent) << text;
}

TEST(Agent, AnyBytesHaveAClass) {
  const std::string end = std::string(505, ' ') + "iphone";
  EXPECT_EQ(ClassifyAgent(end), AGENT_MOBILE) << "ends at 511";
  EXPECT_EQ(ClassifyAgent(std::string(507, ' ') + "iphone"), AGENT_UNKNOWN) << "cut at 512";
  EXPECT_EQ(ClassifyAgent(std::string(100'000, '\xff')), AGENT_UNKNOWN);
  EXPECT_EQ(ClassifyAgent(std::string("\0iPad\0", 6)), AGENT_MOBILE);
}

TEST(Agent, IsKeptBoundedAndWithoutControlCharacters) {
  EXPECT_EQ(BoundedAgent("Mozilla/5.0 (X11)"), "Mozilla/5.0 (X11)");
  EXPECT_EQ(BoundedAgent(std::string("a\r\nb\x7f\0c", 7)), "abc");
  EXPECT_EQ(BoundedAgent(std::string(10'000, 'x')), std::string(kAgentBytesMax, 'x'));
  EXPECT_EQ(BoundedAgent(std::string(10'000, '\n') + "y"), "y");
}

}  // namespace
}  // namespace maily::schema
