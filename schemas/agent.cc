// See agent.h.
#include "schemas/agent.h"

#include <algorithm>

namespace maily::schema {
namespace {

using namespace engagements::v1;

constexpr size_t kBytesMax = 512;

struct Word {
  std::string_view text;  // lower case
  AgentClass agent;
};
// The first that fits counts: machines name browsers, proxies and phones name desktops.
constexpr Word kWords[] = {
    // Gmail, Yahoo: "(via ggpht.com GoogleImageProxy)", "YahooMailProxy; …".
    {"googleimageproxy", AGENT_IMAGE_PROXY},
    {"yahoomailproxy", AGENT_IMAGE_PROXY},
    {"yahoocachesystem", AGENT_IMAGE_PROXY},
    {"cubot", AGENT_MOBILE},  // a maker of phones
    {"bot", AGENT_MACHINE},
    {"crawl", AGENT_MACHINE},
    {"spider", AGENT_MACHINE},
    {"scan", AGENT_MACHINE},
    {"preview", AGENT_MACHINE},
    {"headless", AGENT_MACHINE},
    {"barracuda", AGENT_MACHINE},
    {"proofpoint", AGENT_MACHINE},
    {"mimecast", AGENT_MACHINE},
    {"curl/", AGENT_MACHINE},
    {"wget/", AGENT_MACHINE},
    {"python", AGENT_MACHINE},
    {"go-http-client", AGENT_MACHINE},
    {"httpclient", AGENT_MACHINE},
    {"java/", AGENT_MACHINE},
    {"libwww", AGENT_MACHINE},
    {"thunderbird", AGENT_MAIL},
    {"outlook", AGENT_MAIL},
    {"msoffice", AGENT_MAIL},
    {"ms-office", AGENT_MAIL},
    {"android", AGENT_MOBILE},
    {"iphone", AGENT_MOBILE},
    {"ipad", AGENT_MOBILE},
    {"mobile", AGENT_MOBILE},
    {"windows", AGENT_DESKTOP},
    {"macintosh", AGENT_DESKTOP},
    {"x11", AGENT_DESKTOP},
    {"linux", AGENT_DESKTOP},
};

// Apple's Mail shows the engine of Safari, and no Safari.
bool IsAppleMail(std::string_view lower) {
  return lower.find("applewebkit/") != lower.npos && lower.find("like gecko)") != lower.npos && lower.find("safari") == lower.npos &&
         (lower.ends_with("like gecko)") || lower.find("(khtml, like gecko) mobile/") != lower.npos) && lower.find('[') == lower.npos;
}

}  // namespace

AgentClass ClassifyAgent(std::string_view user_agent) {
  char bytes[kBytesMax];
  const size_t size = std::min(user_agent.size(), kBytesMax);
  std::transform(user_agent.begin(), user_agent.begin() + static_cast<std::ptrdiff_t>(size), bytes,
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string_view lower(bytes, size);
  if (lower == "mozilla/5.0") return AGENT_IMAGE_PROXY;  // Apple's Mail Privacy Protection says no more
  const auto word =
      std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& each) { return lower.find(each.text) != lower.npos; });
  if (word == std::end(kWords)) return AGENT_UNKNOWN;
  const bool browser = word->agent == AGENT_DESKTOP || word->agent == AGENT_MOBILE;
  return browser && IsAppleMail(lower) ? AGENT_MAIL : word->agent;
}

std::string BoundedAgent(std::string_view user_agent) {
  std::string kept;
  kept.reserve(std::min(user_agent.size(), kAgentBytesMax));
  for (const char c : user_agent) {
    if (kept.size() == kAgentBytesMax) break;
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) kept += c;
  }
  return kept;
}

}  // namespace maily::schema
