// A whole Maily under a seeded scheduler, with everything that goes wrong: ./dev torture simulate --count N --from S. See story.h.
//
// A failure prints the command that repeats it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "streams/observe/logging.h"
#include "tests/sim/story.h"

namespace maily::simulation {
namespace {

int Main(int argc, char** argv) {
  uint64_t count = 20;
  uint64_t from = 1;
  std::string out = "build/torture/simulate.json";
  bool first = false;
  bool each = false;
  StorySize size;
  CLI::App app("Runs the production code in simulated worlds that fail, one seed after another.");
  app.add_option("--count", count, "seeds");
  app.add_option("--from", from, "the first seed");
  app.add_option("--out", out, "where the figures go");
  app.add_option("--faults", size.faults, "faults a seed");
  app.add_option("--events", size.events, "events of producers a seed");
  app.add_option("--rows", size.rows, "imported contacts a seed");
  app.add_option("--signals", size.signals_a_mail, "opens and clicks a mail");
  app.add_option("--jobs", size.jobs_a_fault, "jobs of the scheduler between two faults, about");
  app.add_flag("--each", each, "a line for each seed");
  app.add_flag("--until-failure", first, "ends with the first seed that fails");
  CLI11_PARSE(app, argc, argv);
  observe::SetLevel(std::getenv("MAILY_SIM_LOG") == nullptr ? observe::Level::kOff : observe::Level::kDebug);
  const auto started = std::chrono::steady_clock::now();
  std::map<std::string, size_t> kinds;
  std::vector<uint64_t> failed;
  uint64_t commands = 0;
  uint64_t least_commands = UINT64_MAX;
  size_t faults = 0, unknown = 0, lost = 0;
  double simulated_hours = 0;
  uint64_t seed = from;
  for (; seed < from + count && !(first && !failed.empty()); ++seed) {
    Story story(seed, size);
    const std::string failure = story.Run();
    for (const auto& [kind, times] : story.trouble().kinds()) kinds[kind] += times;
    faults += story.trouble().played();
    unknown += story.unknown();
    lost += story.world().stores_lost();
    if (each) {
      fmt::print("seed {}: {} commands, {} faults, {} unknown, {:.0f} simulated seconds\n", seed, story.commands(),
                 story.trouble().played(), story.unknown(), static_cast<double>(story.simulated().us) / 1e6);
      std::fflush(stdout);
    }
    simulated_hours += static_cast<double>(story.simulated().us) / 3.6e9;
    if (failure.empty()) {
      commands += story.commands();
      least_commands = std::min(least_commands, story.commands());
      continue;
    }
    failed.push_back(seed);
    fmt::print("seed {}: {}\n  repeat: ./dev torture simulate --count 1 --from {}\n", seed, failure, seed);
    std::fflush(stdout);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::filesystem::create_directories(std::filesystem::path(out).parent_path());
  nlohmann::ordered_json json = {{"name", "simulate"},
                                 {"count", seed - from},
                                 {"failures", failed.size()},
                                 {"seeds", failed},
                                 {"seconds", seconds},
                                 {"commands", commands},
                                 {"faults", faults},
                                 {"stores_lost", lost},
                                 {"unknown", unknown},
                                 {"kinds", kinds},
                                 {"simulated_hours", simulated_hours}};
  std::ofstream(out) << json.dump() << "\n";
  fmt::print(
      "{} seeds, {} failures; {} commands (at least {} a seed), {} faults, {} machines without their stores, {} sends unknown; "
      "{:.1f} s, {:.1f} simulated hours a minute\n",
      seed - from, failed.size(), commands, failed.size() == seed - from ? 0 : least_commands, faults, lost, unknown, seconds,
      simulated_hours / seconds * 60);
  return failed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace maily::simulation

int main(int argc, char** argv) { return maily::simulation::Main(argc, argv); }
