// Stores on a disk whose power goes: at every operation of a recorded run, one after the other. What must hold then stands in story.h.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "streams/base/result.h"
#include "streams/observe/logging.h"
#include "tests/power/story.h"

namespace maily::power {
namespace {

constexpr size_t kFailuresMax = 20;  // then it ends

struct Kind {
  const char* name;
  std::unique_ptr<Story> (*record)(const std::string& directory, uint64_t seed);
  uint64_t cuts = 0;
  uint64_t stories = 0;
};

// A directory that is empty, and gone afterwards.
class EmptyDirectory {
 public:
  EmptyDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "maily_power_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    path_ = path;
  }
  ~EmptyDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

int Main(int argc, char** argv) {
  uint64_t count = 5'000;
  uint64_t from = 1;
  int64_t only = -1;
  std::string of;
  CLI::App app("Power cuts of the log, the state stores, the keyring and the read models: after every operation of recorded runs.");
  app.add_option("--count", count, "cuts, about: stories are played to their end");
  app.add_option("--from", from, "the first story's seed");
  app.add_option("--of", of, "only the stories of this: log, state, keyring or sqlite");
  app.add_option("--cut", only, "only the cut after so many operations, of one story");
  CLI11_PARSE(app, argc, argv);
  observe::SetLevel(std::getenv("MAILY_SIM_LOG") == nullptr ? observe::Level::kOff : observe::Level::kDebug);
  const auto started = std::chrono::steady_clock::now();
  const EmptyDirectory directory;
  std::vector<Kind> kinds;
  for (const Kind& kind :
       {Kind{"log", RecordLog}, Kind{"state", RecordState}, Kind{"keyring", RecordKeyring}, Kind{"sqlite", RecordSqlite}}) {
    if (of.empty() || of == kind.name) kinds.push_back(kind);
  }
  if (kinds.empty()) {
    fmt::print(stderr, "there is no story of \"{}\": log, state, keyring, sqlite\n", of);
    return 2;
  }
  uint64_t cuts = 0;
  uint64_t seed = from;
  std::vector<std::string> failed;
  // Of each kind in turn, so that a short run has met all.
  for (; cuts < count && failed.size() < kFailuresMax; ++seed) {
    Kind& kind = kinds[seed % kinds.size()];
    const auto story = kind.record(directory.path(), seed);
    ++kind.stories;
    Platter platter({});
    for (size_t ops = 0; ops <= story->ops().size() && failed.size() < kFailuresMax; ++ops) {
      if (ops > 0) platter.Apply(story->ops()[ops - 1]);
      if (only >= 0 && ops != static_cast<size_t>(only)) continue;
      std::minstd_rand random(static_cast<uint32_t>(seed * 7'919 + ops));
      ++cuts;
      ++kind.cuts;
      const std::string failure = story->Check(ops, platter.Cut(random));
      if (failure.empty()) continue;
      failed.push_back(fmt::format("\"{}/{}/{}\"", kind.name, seed, ops));
      fmt::print("{} {}, after {} operations of {}: {}\n  repeat: ./dev torture power --of {} --from {} --cut {}\n", kind.name, seed, ops,
                 story->ops().size(), failure, kind.name, seed, ops);
    }
    if (only >= 0) break;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::vector<std::string> of_kinds;
  for (const Kind& kind : kinds) of_kinds.push_back(fmt::format("\"{}\":{}", kind.name, kind.cuts));
  std::filesystem::create_directories("build/torture");
  std::ofstream("build/torture/power.json") << fmt::format(
      "{{\"name\":\"power\",\"count\":{},\"failures\":{},\"seeds\":[{}],\"seconds\":{:.1f},\"stories\":{},\"cuts\":{{{}}}}}\n", cuts,
      failed.size(), fmt::join(failed, ","), seconds, seed - from, fmt::join(of_kinds, ","));
  fmt::print("{} cuts in {} stories ({}), {} failures; {:.1f} s\n", cuts, seed - from, fmt::join(of_kinds, ", "), failed.size(), seconds);
  return failed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace maily::power

int main(int argc, char** argv) { return maily::power::Main(argc, argv); }
