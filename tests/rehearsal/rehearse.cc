// ./dev rehearse: an hour of sending to many sites, by a simulated clock; and again, to see that a seed is one history; and once more with
// nobody who makes trouble, to see that no site slowed another. See docs/rehearsal.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "streams/observe/logging.h"
#include "tests/rehearsal/rehearsal.h"

namespace maily::rehearsal {
namespace {

using nlohmann::ordered_json;

// What chance moves where all is over within seconds: credits that nobody spends come back after a second (granter.cc), and the ways of
// packets and the turns of partitions are others in a calm rehearsal.
constexpr double kChanceS = 1;

// How much later, as a part of when it was calm; 0 within kChanceS.
double Slowed(double here, double calm) { return calm > 0 && std::abs(here - calm) > kChanceS ? (here - calm) / calm : 0; }

ordered_json JsonOf(const SiteOutcome& site) {
  const Seen& seen = site.seen;
  size_t hour = 0;
  for (const auto& [at, mails] : seen.by_hour) hour = std::max(hour, mails);
  return {{"site", site.name},
          {"temper", site.temper},
          {"healthy", site.healthy},
          {"domains", site.domains},
          {"policy",
           {{"connections", site.policy.connections},
            {"mails_per_connection", site.policy.mails_per_connection},
            {"mails_per_second", site.policy.mails_per_second},
            {"mails_per_hour", site.policy.mails_per_hour},
            {"mails_per_day", site.policy.mails_per_day},
            {"warm_up", site.policy.warm_up}}},
          {"seen",
           {{"connections", seen.connections},
            {"connections_at_once", seen.connections_at_once},
            {"mails", seen.mails},
            {"mails_of_a_connection", seen.mails_of_a_connection},
            {"burst", seen.burst},
            {"mails_of_an_hour", hour},
            {"taken", seen.taken.size()},
            {"hung_up", seen.hung_up}}},
          {"recipients", site.recipients},
          {"statuses", site.statuses},
          {"causes", site.causes},
          {"mean_s", site.mean_s},
          {"last_s", site.last_s}};
}

void Print(const SiteOutcome& site, const SiteOutcome* calm) {
  const auto of = [&](const char* status) {
    const auto found = site.statuses.find(status);
    return found == site.statuses.end() ? size_t{0} : found->second;
  };
  size_t hour = 0;
  for (const auto& [at, mails] : site.seen.by_hour) hour = std::max(hour, mails);
  fmt::print(
      "{:<16} {:<12} {:>5} {:>6} {:>5} {:>5} {:>5} {:>5} {:>5}  {:>3}/{:<3} {:>3}/{:<3} {:>4.1f}/{:<4.1f} {:>4}/{:<4} {:>6.0f} {:>6.0f}",
      site.name, site.temper, site.recipients, of("delivered"), of("bounced"), of("unknown"), of("waiting"), of("open"), of("pending"),
      site.seen.connections_at_once, site.policy.connections, site.seen.mails_of_a_connection, site.policy.mails_per_connection,
      site.seen.burst, site.policy.mails_per_second, hour, site.policy.mails_per_hour, site.mean_s, site.last_s);
  if (calm != nullptr && site.healthy)
    fmt::print(" {:>+6.1f}% {:>+6.1f}%", 100 * Slowed(site.mean_s, calm->mean_s), 100 * Slowed(site.last_s, calm->last_s));
  fmt::print("\n");
}

int Main(int argc, char** argv) {
  uint64_t seed = 1;
  PlanSize size;
  double minutes = 60;
  double slowed_max = 0.10;
  bool once = false;
  bool short_table = false;
  std::string out = "build/rehearsal/rehearsal.json";
  CLI::App app("An hour of sending to many sites, by a simulated clock.");
  app.add_option("--seed", seed, "what happens");
  app.add_option("--sites", size.sites, "sites")->check(CLI::Range(1, 100));
  app.add_option("--mails", size.mails, "recipients at them, about")->check(CLI::Range(100, 1'000'000));
  app.add_option("--minutes", minutes, "of the simulated clock")->check(CLI::Range(1.0, 1440.0));
  app.add_option("--mx-connections", size.mx_connections, "the setting of that name")->check(CLI::Range(1, 10'000));
  app.add_option("--out", out, "where the figures go");
  app.add_option("--slowed-max", slowed_max, "by how much others may slow a healthy site; with few mails a site chance alone is a tenth");
  app.add_flag("--once", once, "neither the same again nor a calm one");
  app.add_flag("--short", short_table, "no table");
  CLI11_PARSE(app, argc, argv);
  size.length = Duration{static_cast<int64_t>(minutes * 60e6)};
  observe::SetLevel(std::getenv("MAILY_SIM_LOG") == nullptr ? observe::Level::kOff : observe::Level::kDebug);

  const Outcome outcome = Rehearse(MakePlan(seed, size, false));
  std::vector<std::string> wrong = outcome.wrong;
  Outcome calm;
  double worst = 0;
  if (!once && wrong.empty()) {
    if (Rehearse(MakePlan(seed, size, false)).journals != outcome.journals) wrong.emplace_back("the same seed wrote another journal");
    calm = Rehearse(MakePlan(seed, size, true));
    for (const std::string& what : calm.wrong) wrong.push_back("calm: " + what);
    for (size_t s = 0; s < calm.sites.size() && s < outcome.sites.size(); ++s) {
      const SiteOutcome& site = outcome.sites[s];
      if (!site.healthy) continue;
      const bool capped = site.policy.leased();  // strangers count there, too
      if (!capped && site.seen.taken.size() != calm.sites[s].seen.taken.size())
        wrong.push_back(
            fmt::format("{} took {} mails, and {} when it was calm", site.name, site.seen.taken.size(), calm.sites[s].seen.taken.size()));
      // Where the number of an hour or day ends near the median, one mail more or less moves that by the rest of the hour.
      const double of_median = capped ? 0 : Slowed(site.median_s, calm.sites[s].median_s);
      for (const auto& [what, slowed] : {std::pair("mean", Slowed(site.mean_s, calm.sites[s].mean_s)), std::pair("median", of_median),
                                         std::pair("last", Slowed(site.last_s, calm.sites[s].last_s))}) {
        worst = std::max(worst, slowed);
        if (slowed > slowed_max)
          wrong.push_back(fmt::format("{}: the {} mail came {:.1f} % later because of others", site.name, what, 100 * slowed));
      }
    }
  }

  if (!short_table) {
    fmt::print("{:<16} {:<12} {:>5} {:>6} {:>5} {:>5} {:>5} {:>5} {:>5}  {:<7} {:<7} {:<9} {:<9} {:>6} {:>6}  slowed by others\n", "site",
               "temper", "rcpts", "deliv", "bounc", "unkn", "wait", "open", "pend", "conns", "mails/c", "burst/s", "hour", "mean", "last");
    for (size_t s = 0; s < outcome.sites.size(); ++s) Print(outcome.sites[s], s < calm.sites.size() ? &calm.sites[s] : nullptr);
  }
  for (const std::string& what : wrong) fmt::print("WRONG: {}\n", what);
  std::string ends;
  for (const auto& [status, count] : outcome.statuses) ends += fmt::format("{}{} {}", ends.empty() ? "" : ", ", count, status);
  fmt::print("seed {}: {} sites, {} recipients: {}; a healthy site was slowed by {:.1f} % at most; {} things wrong; {:.1f} s a rehearsal\n",
             seed, size.sites, outcome.recipients, ends, 100 * worst, wrong.size(), outcome.wall_s);

  std::vector<std::string> journals;
  for (const uint64_t digest : outcome.journals) journals.push_back(fmt::format("{:016x}", digest));
  ordered_json json = {{"name", "rehearsal"},
                       {"seed", seed},
                       {"sites", size.sites},
                       {"minutes", minutes},
                       {"recipients", outcome.recipients},
                       {"statuses", outcome.statuses},
                       {"journals", journals},
                       {"repeated", !once},
                       {"slowed_most", worst},
                       {"wrong", wrong},
                       {"seconds", outcome.wall_s},
                       {"of_sites", ordered_json::array()}};
  for (size_t s = 0; s < outcome.sites.size(); ++s) {
    json["of_sites"].push_back(JsonOf(outcome.sites[s]));
    if (s < calm.sites.size()) json["of_sites"].back()["calm"] = {{"mean_s", calm.sites[s].mean_s}, {"last_s", calm.sites[s].last_s}};
  }
  if (const auto folder = std::filesystem::path(out).parent_path(); !folder.empty()) std::filesystem::create_directories(folder);
  std::ofstream(out) << json.dump(1) << "\n";
  return wrong.empty() ? 0 : 1;
}

}  // namespace
}  // namespace maily::rehearsal

int main(int argc, char** argv) { return maily::rehearsal::Main(argc, argv); }
