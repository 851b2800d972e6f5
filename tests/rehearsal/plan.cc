// See plan.h.
#include "tests/rehearsal/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "streams/base/hash.h"

namespace maily::rehearsal {
namespace {

// Of 25 sites 12 are healthy. The first eight of a small rehearsal are one of each kind that changes much.
constexpr Temper kTempers[] = {
    Temper::kQuick,       Temper::kTarpit,   Temper::kSlow,       Temper::kStorms,   Temper::kQuick,
    Temper::kGreylisting, Temper::kQuick,    Temper::kMute,       Temper::kSlow,     Temper::kThrottling,
    Temper::kQuick,       Temper::kRefusing, Temper::kSlow,       Temper::kDropping, Temper::kQuick,
    Temper::kPicky,       Temper::kTarpit,   Temper::kQuick,      Temper::kStorms,   Temper::kSlow,
    Temper::kGreylisting, Temper::kQuick,    Temper::kThrottling, Temper::kSlow,     Temper::kTarpit,
};

// Numbers by chance of the seed and what they are for.
class Dice {
 public:
  Dice(uint64_t seed, size_t site) : prefix_(fmt::format("{}/{}/", seed, site)) {}
  double Real(std::string_view what, double from, double to) const { return from + (to - from) * Chance(prefix_ + std::string(what)); }
  uint32_t Whole(std::string_view what, uint32_t from, uint32_t to) const {
    return from + static_cast<uint32_t>(Real(what, 0, static_cast<double>(to - from) + 0.999));
  }

 private:
  const std::string prefix_;
};

Duration Part(Duration whole, double part) { return {static_cast<int64_t>(static_cast<double>(whole.us) * part)}; }

// Limits that keep a healthy site busy for a good part of the rehearsal, each kind in its own way.
void MakeHealthy(SitePlan& site, const Dice& dice, Duration length, size_t which) {
  const auto mails = static_cast<double>(site.recipients);
  const double seconds = static_cast<double>(length.us) / 1e6 * dice.Real("busy", 0.3, 0.6);
  site.policy.connections = dice.Whole("connections", 2, 6);
  site.policy.mails_per_connection = dice.Whole("mails_per_connection", 10, 100);
  if (site.temper == Temper::kSlow) {  // two waits a mail: MAIL to DATA go out together, then the body
    const Duration reply{static_cast<int64_t>(seconds * site.policy.connections / (2 * mails) * 1e6)};
    site.reply_min = Part(reply, 0.8);
    site.reply_max = Part(reply, 1.2);
  } else if (which % 4 == 0) {
    site.policy.mails_per_second = mails / seconds;
  } else if (which % 4 == 1) {
    site.policy.mails_per_second = mails / seconds;
    site.policy.mails_per_hour = static_cast<uint64_t>(mails * dice.Real("hour", 0.3, 0.45));
  } else {  // a tenth of a second a reply, or so
    const Duration reply{static_cast<int64_t>(seconds / 8 * site.policy.connections / (2 * mails) * 1e6)};
    site.reply_min = Part(reply, 0.8);
    site.reply_max = Part(reply, 1.2);
    const auto of_day = static_cast<uint64_t>(mails * 0.8);
    if (which % 8 == 2) site.policy.mails_per_day = of_day;
    if (which % 8 == 6) site.policy.warm_up = {of_day / 2, of_day, 2 * of_day};
  }
}

void MakeTroubled(SitePlan& site, const Dice& dice, Duration length) {
  site.policy.connections = dice.Whole("connections", 2, 10);
  site.policy.mails_per_connection = dice.Whole("mails_per_connection", 10, 100);
  if (dice.Real("has_rate", 0, 1) < 0.3) site.policy.mails_per_second = dice.Real("rate", 1, 4);
  const auto spans = [&](std::string_view what, double part) {
    return std::vector<Span>{{Part(length, dice.Real(what, 0.01, 0.1)), Part(length, 0.1 + part)},
                             {Part(length, 0.5), Part(length, 0.5 + part)}};
  };
  switch (site.temper) {
    case Temper::kGreylisting:
      site.greylisted_for = Seconds(240);
      break;
    case Temper::kStorms:
      site.policy.mails_per_second = static_cast<double>(site.recipients) / (static_cast<double>(length.us) / 1e6 * 0.5);
      site.storms = spans("storm", 0.08);
      break;
    case Temper::kThrottling:
      site.throttled_above = dice.Whole("throttled", 20, 60);
      break;
    case Temper::kTarpit:
      site.dot_min = Seconds(45);
      site.dot_max = Seconds(90);
      break;
    case Temper::kRefusing:
      site.shut = spans("shut", 0.2);
      break;
    case Temper::kDropping:
      site.drops = 0.05;
      break;
    case Temper::kPicky:
      site.strangers = 0.3;
      site.full = 0.2;
      break;
    case Temper::kQuick:
    case Temper::kSlow:
    case Temper::kMute:
      break;
  }
}

}  // namespace

std::string_view TemperName(Temper temper) {
  constexpr std::string_view kNames[] = {"quick",  "slow",     "greylisting", "421 storms", "throttling",
                                         "tarpit", "refusing", "mute",        "dropping",   "picky"};
  return kNames[static_cast<size_t>(temper)];
}

std::string_view LostDomainKindName(LostDomain::Kind kind) {
  constexpr std::string_view kNames[] = {"null MX", "no such name", "broken DNS", "slow DNS"};
  return kNames[static_cast<size_t>(kind)];
}

double Chance(std::string_view text) { return static_cast<double>(Xxh3_64(text) >> 11) / 9007199254740992.0; }

Plan MakePlan(uint64_t seed, const PlanSize& size, bool calm) {
  Plan plan{.seed = seed, .size = size, .sites = {}, .lost = {}};
  const auto fair = static_cast<double>(size.mails) / static_cast<double>(size.sites);
  size_t healthy = 0;
  for (size_t s = 0; s < size.sites; ++s) {
    const Dice dice(seed, s);
    SitePlan site;
    site.temper = kTempers[s % std::size(kTempers)];
    site.healthy = site.temper == Temper::kQuick || site.temper == Temper::kSlow;
    for (uint32_t h = 0; h < dice.Whole("hosts", 1, 2); ++h) {
      site.hosts.push_back(fmt::format("mx{}.site{:02}.test", h + 1, s));
      site.ips.push_back(fmt::format("198.51.100.{}", 2 * s + h + 1));
    }
    site.name = site.hosts.front();
    for (uint32_t d = 0; d < dice.Whole("domains", 2, 6); ++d) site.domains.push_back(fmt::format("d{}.of{:02}.test", d, s));
    site.recipients = static_cast<size_t>(fair * dice.Real("recipients", 0.5, 1.5));
    if (site.healthy) {
      MakeHealthy(site, dice, size.length, healthy++);
    } else {
      SitePlan quick = site;
      MakeTroubled(site, dice, size.length);
      quick.temper = Temper::kQuick;
      quick.policy = site.policy;
      if (calm) site = std::move(quick);
    }
    plan.sites.push_back(std::move(site));
  }
  using Kind = LostDomain::Kind;
  const auto few = static_cast<size_t>(fair / 5);
  for (const Kind kind : {Kind::kNullMx, Kind::kNoName, Kind::kBroken, Kind::kSlowDns})
    plan.lost.push_back({fmt::format("lost{}.test", plan.lost.size()), calm ? Kind::kNullMx : kind, few});
  return plan;
}

void FillZone(const Plan& plan, sim::SimResolver& zone) {
  for (const SitePlan& site : plan.sites) {
    for (const std::string& domain : site.domains) {
      std::vector<std::pair<uint16_t, std::string>> hosts;
      for (const std::string& host : site.hosts) hosts.emplace_back(10 * (hosts.size() + 1), host);
      zone.SetMx(domain, hosts);
    }
    for (size_t h = 0; h < site.hosts.size(); ++h) zone.SetAddresses(site.hosts[h], {site.ips[h]});
  }
  for (const LostDomain& lost : plan.lost) {
    if (lost.kind == LostDomain::Kind::kNullMx) zone.SetMx(lost.name, {{0, "."}});
    if (lost.kind == LostDomain::Kind::kBroken || lost.kind == LostDomain::Kind::kSlowDns) zone.Break(lost.name, "SERVFAIL");
    if (lost.kind == LostDomain::Kind::kSlowDns) zone.SetLatency(lost.name, Seconds(20));
  }
}

smtp::SitePolicy PolicyOf(const Plan& plan, std::string_view name) {
  const auto found = std::ranges::find_if(plan.sites, [&](const SitePlan& site) { return site.name == name; });
  return found == plan.sites.end() ? smtp::SitePolicy{} : found->policy;
}

}  // namespace maily::rehearsal
