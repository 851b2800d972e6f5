// See signal_rules.h.
#include "projections/campaign_totals/signal_rules.h"

#include <algorithm>
#include <array>
#include <bit>

namespace maily::projections {
namespace {

using enum ReadBy;
using namespace engagements::v1;

constexpr size_t kAgentBytesMax = 512;

constexpr std::string_view kNames = "RFC 9110 10.1.5: programs name themselves";
constexpr std::string_view kRobots = "RFC 9309 2.2.1: crawlers name themselves";

// THE TABLE. Machines name browsers, so they stand before them.
constexpr AgentRule kRules[] = {
    // Providers that fetch pictures for their users: the picture may be fetched without anybody who looks. Links they do not follow for
    // users.
    {"apple_privacy", "mozilla/5.0", kUnknown, kMachine, "Apple: Mail Privacy Protection loads remote content in the background", true},
    {"google_image_proxy", "googleimageproxy", kUnknown, kMachine, "Gmail: images are served through Google's proxy servers"},
    {"yahoo_mail_proxy", "yahoomailproxy", kUnknown, kMachine, "Yahoo: yahoo-mail-proxy-SLN28749"},
    {"yahoo_cache", "yahoocachesystem", kUnknown, kMachine, kNames},
    // A maker of phones, not a bot.
    {"cubot_phone", "cubot", kHuman, kHuman, kNames},
    {"bot", "bot", kMachine, kMachine, kRobots},
    {"crawler", "crawl", kMachine, kMachine, kRobots},
    {"spider", "spider", kMachine, kMachine, kRobots},
    {"scanner", "scan", kMachine, kMachine, kNames},
    {"preview", "preview", kMachine, kMachine, "Microsoft: BingPreview, SkypeUriPreview"},
    {"facebook_preview", "facebookexternalhit", kMachine, kMachine, "Meta: web crawlers"},
    {"whatsapp_preview", "whatsapp/", kMachine, kMachine, "Meta: web crawlers"},
    {"headless_browser", "headless", kMachine, kMachine, "Chromium: HeadlessChrome"},
    {"phantomjs", "phantomjs", kMachine, kMachine, kNames},
    {"barracuda", "barracuda", kMachine, kMachine, kNames},
    {"proofpoint", "proofpoint", kMachine, kMachine, kNames},
    {"mimecast", "mimecast", kMachine, kMachine, kNames},
    {"curl", "curl/", kMachine, kMachine, kNames},
    {"wget", "wget/", kMachine, kMachine, kNames},
    {"python", "python", kMachine, kMachine, kNames},
    {"go", "go-http-client", kMachine, kMachine, kNames},
    {"http_client", "httpclient", kMachine, kMachine, kNames},
    {"java", "java/", kMachine, kMachine, kNames},
    {"libwww", "libwww", kMachine, kMachine, kNames},
    {"node_fetch", "node-fetch", kMachine, kMachine, kNames},
    {"axios", "axios/", kMachine, kMachine, kNames},
    // Programs that people sit before.
    {"outlook", "outlook", kHuman, kHuman, kNames},
    {"office", "ms-office", kHuman, kHuman, kNames},
    {"thunderbird", "thunderbird", kHuman, kHuman, kNames},
    {"browser", "mozilla/", kHuman, kHuman, kNames},
    {"browser", "opera/", kHuman, kHuman, kNames},
    {"other", "", kUnknown, kUnknown, kNames},
};

Ruling ByClass(SignalKind kind, AgentClass agent) {
  switch (agent) {
    case AGENT_DESKTOP:
    case AGENT_MOBILE:
    case AGENT_MAIL:
      return {kHuman, "class"};
    case AGENT_SCANNER:
      return {kMachine, "network"};
    case AGENT_MACHINE:
      return {kMachine, "class"};
    case AGENT_IMAGE_PROXY:
      return {kind == SignalKind::kOpen ? kUnknown : kMachine, "class"};
    default:
      return {kUnknown, "class"};
  }
}

}  // namespace

std::span<const AgentRule> AgentRules() { return kRules; }

Ruling ByAgent(SignalKind kind, const std::optional<std::string_view>& user_agent, AgentClass agent) {
  if (!user_agent || agent == AGENT_SCANNER) return ByClass(kind, agent);
  std::array<char, kAgentBytesMax> bytes;
  const size_t size = std::min(user_agent->size(), bytes.size());
  std::transform(user_agent->begin(), user_agent->begin() + static_cast<std::ptrdiff_t>(size), bytes.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::string_view lower(bytes.data(), size);
  const AgentRule& rule = *std::ranges::find_if(
      kRules, [&](const AgentRule& each) { return each.whole ? lower == each.word : lower.find(each.word) != lower.npos; });
  return {kind == SignalKind::kOpen ? rule.open : rule.click, rule.id};
}

Ruling ByTime(Ruling ruling, Instant at, const std::optional<Instant>& handed_over) {
  if (ruling.by == kMachine) return ruling;
  if (!handed_over) return {kUnknown, "no_hand_over"};
  return at - *handed_over < kAtOnce ? Ruling{kMachine, "at_once"} : ruling;
}

bool Burst::Join(Instant at, uint32_t link, int64_t at_sequence) {
  if (links == 0 || at - begun >= kBurstWindow) *this = {.begun = at, .sequence = at_sequence};
  links |= uint64_t{1} << (link % 64);
  return std::popcount(links) >= kBurstLinks;
}

void Burst::Trap(Instant at, int64_t at_sequence) {
  if (links == 0 || at - begun >= kBurstWindow) *this = {.begun = at, .sequence = at_sequence};
  links |= (uint64_t{1} << kBurstLinks) - 1;  // as if so many were followed
}

}  // namespace maily::projections
