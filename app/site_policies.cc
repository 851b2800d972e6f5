// See site_policies.h.
#include "app/site_policies.h"

#include <yaml-cpp/yaml.h>

#include <map>

#include "processors/effects/smtp/source.h"

namespace maily::app {
namespace {

using smtp::SitePolicy;
using Policies = std::map<std::string, SitePolicy, std::less<>>;

// Careful ones: what large providers say that they take from a sender whom they do not know.
const Policies& BuiltIn() {
  static const Policies policies = {
      {"google.com", {.connections = 20, .mails_per_connection = 100}},
      {"outlook.com", {.connections = 10, .mails_per_connection = 100}},
      {"protection.outlook.com", {.connections = 40, .mails_per_connection = 50}},
      {"yahoodns.net", {.connections = 10, .mails_per_connection = 20}},
      {"icloud.com", {.connections = 5, .mails_per_connection = 50}},
      {"gmx.net", {.connections = 5, .mails_per_connection = 50}},
      {"web.de", {.connections = 5, .mails_per_connection = 50}},
  };
  return policies;
}

struct Member {
  const char* name;
  double most;
  void (*set)(SitePolicy&, double);
};
constexpr Member kMembers[] = {
    {"connections", 10'000, [](SitePolicy& p, double n) { p.connections = static_cast<uint32_t>(n); }},
    {"mails_per_connection", 1'000'000, [](SitePolicy& p, double n) { p.mails_per_connection = static_cast<uint32_t>(n); }},
    {"mails_per_minute", 1e9, [](SitePolicy& p, double n) { p.mails_per_second = n / 60; }},
    {"mails_per_hour", 1e12, [](SitePolicy& p, double n) { p.mails_per_hour = static_cast<uint64_t>(n); }},
    {"mails_per_day", 1e12, [](SitePolicy& p, double n) { p.mails_per_day = static_cast<uint64_t>(n); }},
    {"pause_seconds", 86'400,
     [](SitePolicy& p, double n) {
       p.pause_min = Duration{static_cast<int64_t>(n * 1e6)};
       p.pause_max = std::max(p.pause_max, p.pause_min);
     }},
    {"refusals_percent", 100, [](SitePolicy& p, double n) { p.refusals_percent = static_cast<uint32_t>(n); }},
    {"refusals_window", smtp::kRefusalsWindowMax, [](SitePolicy& p, double n) { p.refusals_window = static_cast<uint32_t>(n); }},
    {"warm_up_hold_percent", 100, [](SitePolicy& p, double n) { p.hold_percent = static_cast<uint32_t>(n); }},
};
constexpr size_t kWarmUpDaysMax = 100;
constexpr uint64_t kWarmUpMailsMax = 1'000'000'000'000;

// Empty: it is no plan.
std::vector<uint64_t> ReadPlan(const YAML::Node& node) {
  std::vector<uint64_t> plan;
  if (!node.IsSequence() || node.size() > kWarmUpDaysMax) return {};
  for (const YAML::Node& day : node) {
    uint64_t mails = 0;
    if (!YAML::convert<uint64_t>::decode(day, mails) || mails == 0 || mails > kWarmUpMailsMax) return {};
    plan.push_back(mails);
  }
  return plan;
}

Result<void> ReadOne(const std::string& path, const YAML::Node& entry, Policies& policies) {
  const auto wrong = [&](const YAML::Node& at, const std::string& what) {
    return Fail(Code::kInvalid, "{}:{}: {}", path, at.Mark().line + 1, what);
  };
  if (!entry.IsMap() || !entry["site"]) return wrong(entry, "an entry has a member site");
  const auto site = entry["site"].as<std::string>();
  const auto built_in = BuiltIn().find(std::string(smtp::SiteWithout(site)));
  SitePolicy policy = built_in == BuiltIn().end() ? SitePolicy{} : built_in->second;
  for (const auto& member : entry) {
    const auto name = member.first.as<std::string>();
    if (name == "site") continue;
    if (name == "warm_up") {
      policy.warm_up = ReadPlan(member.second);
      if (policy.warm_up.empty()) {
        return wrong(member.second,
                     fmt::format("warm_up lists the mails of 1 to {} days, each from 1, like [50, 100, 500]", kWarmUpDaysMax));
      }
      continue;
    }
    if (name == "refusals_then") {
      using Then = SitePolicy::Then;
      const auto then = member.second.IsScalar() ? member.second.Scalar() : std::string();
      if (then != "slow" && then != "suspend" && then != "nothing")
        return wrong(member.second, "refusals_then is slow, suspend or nothing");
      policy.refusals_then = then == "slow" ? Then::kSlow : then == "suspend" ? Then::kSuspend : Then::kNothing;
      continue;
    }
    const auto known = std::ranges::find_if(kMembers, [&](const Member& one) { return name == one.name; });
    if (known == std::end(kMembers)) {
      return wrong(member.first, fmt::format("unknown member '{}'; there are site, connections, mails_per_connection, mails_per_minute, "
                                             "mails_per_hour, mails_per_day, pause_seconds, warm_up, warm_up_hold_percent, refusals_then, "
                                             "refusals_percent and refusals_window",
                                             name));
    }
    double number = -1;
    const double least =
        name == "connections" || name == "mails_per_connection" || name == "pause_seconds" || name == "refusals_window" ? 1 : 0;
    if (!YAML::convert<double>::decode(member.second, number) || !(number >= least && number <= known->most)) {
      return wrong(member.second, fmt::format("{} is a number from {} to {}", name, least, known->most));
    }
    known->set(policy, number);
  }
  if (!policies.emplace(site, policy).second) return wrong(entry, fmt::format("the site '{}' stands here twice", site));
  return Ok();
}

}  // namespace

Result<smtp::Sites::PolicyOf> ReadSitePolicies(const std::string& path) {
  Policies policies;
  if (!path.empty()) {
    try {
      const YAML::Node file = YAML::LoadFile(path);
      if (!file.IsNull() && !file.IsSequence()) return Fail(Code::kInvalid, "{}: it is no list of sites", path);
      for (const YAML::Node& entry : file) MAILY_TRY_VOID(ReadOne(path, entry, policies));
    } catch (const YAML::Exception& error) {
      return Fail(Code::kInvalid, "{}: {}", path, error.what());
    }
  }
  policies.insert(BuiltIn().begin(), BuiltIn().end());  // what the file does not name
  return smtp::Sites::PolicyOf([policies = std::move(policies)](std::string_view site) {
    auto found = policies.find(site);
    if (const std::string_view source = smtp::SourceOf(site); found == policies.end() && !source.empty()) {
      found = policies.find("*@" + std::string(source));
      if (found == policies.end()) found = policies.find(smtp::SiteWithout(site));
    }
    if (found == policies.end()) found = policies.find("*");
    return found == policies.end() ? SitePolicy{} : found->second;
  });
}

}  // namespace maily::app
