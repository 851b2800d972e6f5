// Bit rot: a data directory with one partition in which one bit is turned over, opened and read in process by the product's own ways.
//
// The directory is made once, by the production code (make.h), and kept as two images: as kill -9 leaves it, and as a process that stopped
// in order does. For each flip an image is laid out again with that bit turned over, and a process of its own opens and reads what depends
// on the file (read.h): all records of the log, the state of the partition once it is led, all tables and indexes of the read models, what
// the keys open, what the slots say of attempts, a state filled from a snapshot. A flip is
//   - detected: something was said; with the file's name, or the store, database, partition or snapshot that it is part of, or neither;
//   - harmless: nothing was said, and every answer is as before;
//   - silent: nothing was said, and an answer differs: a failure, as is a process that dies without naming the place, or hangs.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "tests/rot/make.h"
#include "tests/rot/verdict.h"

namespace maily::rot {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSmallBytes = 64 << 10;  // a full run turns a bit of every byte of files up to this size
constexpr size_t kFailuresShown = 40;

struct Wanted {
  uint64_t count = 3'000;
  uint64_t seed = 1;
  bool full = false;
  std::string only;  // image/path:byte:bit
  std::string data;  // images of an earlier run
  size_t contacts = 150;
  size_t jobs = 0;
};

struct Tally {
  std::array<uint64_t, kVerdicts> of{};
  uint64_t flips() const {
    uint64_t sum = 0;
    for (const uint64_t n : of) sum += n;
    return sum;
  }
  uint64_t at(Verdict verdict) const { return of[static_cast<size_t>(verdict)]; }
  uint64_t failures() const { return at(Verdict::kSilent) + at(Verdict::kCrash) + at(Verdict::kHang); }
};

const char* NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHarmless:
      return "harmless";
    case Verdict::kNamesFile:
      return "detected, file named";
    case Verdict::kNamesPlace:
      return "detected, place named";
    case Verdict::kNamesNothing:
      return "detected, no place named";
    case Verdict::kSilent:
      return "SILENT";
    case Verdict::kCrash:
      return "CRASH";
    case Verdict::kHang:
      return "HANG";
  }
  return "";
}

// In memory where there is such a place: nothing here needs to outlive the machine.
std::string NewRoot() {
  std::string path = fs::exists("/dev/shm") ? "/dev/shm/maily-rot-XXXXXX" : (fs::temp_directory_path() / "maily-rot-XXXXXX").string();
  MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
  return path;
}

// The directory is made by a process of its own, so that this one has one thread, and can fork.
bool Make(const std::string& root, size_t contacts) {
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string made = root + "/made";
    setenv("XDG_STATE_HOME", (made + "/identity").c_str(), 1);
    Known known = MakeData(made + "/data", contacts, [&] { fs::copy(made, root + "/killed", fs::copy_options::recursive); });
    known.made = made;
    known.Save(root + "/known.json");
    fs::rename(made, root + "/stopped");
    _exit(0);
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<Flip> Plan(const std::vector<Image>& images, const Wanted& wanted) {
  std::mt19937_64 random(wanted.seed);
  std::vector<Flip> flips;
  const auto add = [&](size_t image, size_t file, uint64_t byte) {
    flips.push_back({image, file, byte, static_cast<uint8_t>(random() % 8)});
  };
  std::map<std::string, std::vector<std::pair<size_t, size_t>>> by_kind;  // that bytes are chosen of
  for (size_t i = 0; i < images.size(); ++i) {
    for (size_t f = 0; f < images[i].files().size(); ++f) {
      const File& file = images[i].files()[f];
      if (file.bytes.empty()) continue;
      if (!wanted.full || file.bytes.size() > kSmallBytes) {
        by_kind[file.kind].emplace_back(i, f);
        continue;
      }
      for (uint64_t byte = 0; byte < file.bytes.size(); ++byte) add(i, f, byte);
    }
  }
  if (by_kind.empty()) return flips;
  auto kind = by_kind.begin();
  for (uint64_t n = 0; n < wanted.count; ++n) {
    const auto [image, file] = kind->second[random() % kind->second.size()];
    add(image, file, random() % images[image].files()[file].bytes.size());
    if (++kind == by_kind.end()) kind = by_kind.begin();
  }
  std::ranges::shuffle(flips, random);  // an interrupted or shared run has seen some of everything
  return flips;
}

// image/path:byte:bit
std::string Spelled(const std::vector<Image>& images, const Flip& flip) {
  return fmt::format("{}/{}:{}:{}", images[flip.image].name(), images[flip.image].files()[flip.file].path, flip.byte, flip.bit);
}
Flip Parse(const std::vector<Image>& images, const std::string& text) {
  for (size_t i = 0; i < images.size(); ++i) {
    for (size_t f = 0; f < images[i].files().size(); ++f) {
      const std::string begin = Spelled(images, {i, f, 0, 0}).substr(0, images[i].name().size() + images[i].files()[f].path.size() + 2);
      unsigned long long byte = 0;
      unsigned bit = 0;
      if (text.starts_with(begin) && std::sscanf(text.c_str() + begin.size(), "%llu:%u", &byte, &bit) == 2)
        return {i, f, byte, static_cast<uint8_t>(bit % 8)};
    }
  }
  MAILY_CHECK(false, "'{}' names no byte of these images", text);
}

// What the jobs found, a line a flip: number, verdict, what.
struct Found {
  size_t flip = 0;
  Verdict verdict = Verdict::kHarmless;
  std::string what;
};

// Tries each job's part of the flips in a process of its own; `results` is below each job's root.
void TryAll(const std::string& root, const Known& known, const std::vector<Image>& images, const std::vector<Flip>& flips, size_t jobs) {
  std::vector<pid_t> pids;
  for (size_t job = 0; job < jobs; ++job) {
    const pid_t pid = fork();
    MAILY_CHECK(pid >= 0, "fork");
    if (pid == 0) {
      const std::string mine = fmt::format("{}/j{:03}", root, job);  // as long as "made": bytes of the identity record stay in place
      Bench bench(mine, known);
      std::ofstream results(mine + "/results");
      for (size_t i = job; i < flips.size(); i += jobs) {
        Outcome outcome = bench.Try(images[flips[i].image], flips[i]);
        for (char& c : outcome.what) c = c == '\n' ? ' ' : c;
        results << i << ' ' << static_cast<int>(outcome.verdict) << ' ' << outcome.what.substr(0, 600) << '\n';
        if (i / jobs % 1'000 == 999) results.flush();
      }
      results.close();
      _exit(0);
    }
    pids.push_back(pid);
  }
  for (const pid_t pid : pids) {
    int status = 0;
    MAILY_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a job ended with status {}", status);
  }
}

std::vector<Found> Collect(const std::string& root, size_t jobs) {
  std::vector<Found> all;
  for (size_t job = 0; job < jobs; ++job) {
    std::ifstream in(fmt::format("{}/j{:03}/results", root, job));
    Found found;
    for (int verdict = 0; in >> found.flip >> verdict && std::getline(in, found.what);) {
      found.verdict = static_cast<Verdict>(verdict);
      if (!found.what.empty()) found.what.erase(0, 1);
      all.push_back(found);
    }
  }
  std::ranges::sort(all, {}, &Found::flip);
  return all;
}

void PrintTable(const std::map<std::string, Tally>& kinds) {
  fmt::print("{:<22}{:>9}{:>9}{:>9}{:>9}{:>10}{:>8}{:>7}{:>6}\n", "", "flips", "file", "place", "unnamed", "harmless", "SILENT", "CRASH",
             "HANG");
  for (const auto& [kind, tally] : kinds) {
    fmt::print("{:<22}{:>9}{:>9}{:>9}{:>9}{:>10}{:>8}{:>7}{:>6}\n", kind, tally.flips(), tally.at(Verdict::kNamesFile),
               tally.at(Verdict::kNamesPlace), tally.at(Verdict::kNamesNothing), tally.at(Verdict::kHarmless), tally.at(Verdict::kSilent),
               tally.at(Verdict::kCrash), tally.at(Verdict::kHang));
  }
}

std::string JsonOf(const std::map<std::string, Tally>& kinds) {
  std::vector<std::string> items;
  for (const auto& [kind, tally] : kinds) {
    items.push_back(
        fmt::format("\"{}\":{{\"flips\":{},\"detected\":{},\"file_named\":{},\"place_named\":{},\"harmless\":{},\"silent\":{},\"crash\":{},"
                    "\"hang\":{}}}",
                    kind, tally.flips(), tally.at(Verdict::kNamesFile) + tally.at(Verdict::kNamesPlace) + tally.at(Verdict::kNamesNothing),
                    tally.at(Verdict::kNamesFile), tally.at(Verdict::kNamesPlace), tally.at(Verdict::kHarmless), tally.at(Verdict::kSilent),
                    tally.at(Verdict::kCrash), tally.at(Verdict::kHang)));
  }
  return fmt::format("{{{}}}", fmt::join(items, ","));
}

// The images of a run with failures are kept, so that each of them can be repeated.
std::string Keep(const std::string& root, uint64_t seed) {
  const std::string kept = fmt::format("build/torture/rot-{}", seed);
  fs::remove_all(kept);
  fs::create_directories(kept);
  for (const char* name : {"/killed", "/stopped", "/known.json"}) fs::copy(root + name, kept + name, fs::copy_options::recursive);
  return kept;
}

int Only(const std::string& root, const Known& known, const std::vector<Image>& images, const std::string& only) {
  const Flip flip = Parse(images, only);
  Bench bench(root + "/j000", known);
  const Outcome outcome = bench.Try(images[flip.image], flip);
  fmt::print("{}: {}\n  {}\n", only, NameOf(outcome.verdict), outcome.what);
  return outcome.verdict >= Verdict::kSilent ? 1 : 0;
}

int Run(const std::string& root, const Wanted& wanted) {
  const std::string data = wanted.data.empty() ? root : wanted.data;
  if (wanted.data.empty() && !Make(root, wanted.contacts)) {
    fmt::print(stderr, "the data directory could not be made\n");
    return 2;
  }
  const Known known = Known::Load(data + "/known.json");
  const std::vector<Image> images = {Image("killed", data + "/killed", known.made), Image("stopped", data + "/stopped", known.made)};
  if (!wanted.only.empty()) return Only(root, known, images, wanted.only);

  const auto started = std::chrono::steady_clock::now();
  const std::vector<Flip> flips = Plan(images, wanted);
  const size_t jobs = wanted.jobs > 0 ? wanted.jobs : std::max(1U, std::thread::hardware_concurrency());
  TryAll(root, known, images, flips, jobs);
  const std::vector<Found> all = Collect(root, jobs);
  MAILY_CHECK(all.size() == flips.size(), "{} results of {} flips", all.size(), flips.size());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();

  std::map<std::string, Tally> kinds;
  std::vector<std::string> failed;
  std::map<std::pair<std::string, Verdict>, size_t> shown;
  fs::create_directories("build/torture");
  std::ofstream lines("build/torture/rot.txt");  // every flip
  std::string kept;
  for (const Found& found : all) {
    const Flip& flip = flips[found.flip];
    const std::string& kind = images[flip.image].files()[flip.file].kind;
    ++kinds[kind].of[static_cast<size_t>(found.verdict)];
    const std::string spelled = Spelled(images, flip);
    lines << kind << '\t' << NameOf(found.verdict) << '\t' << spelled << '\t' << found.what << '\n';
    if (found.verdict < Verdict::kSilent) continue;
    failed.push_back(fmt::format("\"{}\"", spelled));
    if (kept.empty()) kept = wanted.data.empty() ? Keep(root, wanted.seed) : wanted.data;
    if (failed.size() > kFailuresShown || ++shown[{kind, found.verdict}] > 4) continue;
    fmt::print("{} {}: {}\n  {}\n  repeat: ./dev torture rot --data {} --only {}\n", kind, NameOf(found.verdict), spelled, found.what, kept,
               spelled);
  }
  PrintTable(kinds);
  const size_t failures = failed.size();
  failed.resize(std::min<size_t>(failed.size(), 100));
  std::ofstream("build/torture/rot.json") << fmt::format(
      "{{\"name\":\"rot\",\"count\":{},\"failures\":{},\"seeds\":[{}],\"seconds\":{:.1f},\"seed\":{},\"full\":{},\"kinds\":{}}}\n",
      all.size(), failures, fmt::join(failed, ","), seconds, wanted.seed, wanted.full, JsonOf(kinds));
  fmt::print("{} flips, {} failures; {:.1f} s\n", all.size(), failures, seconds);
  return failures == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Wanted wanted;
  CLI::App app("Bit rot: one bit of a data directory turned over, and everything read.");
  auto* count = app.add_option("--count", wanted.count, "flips, spread evenly over the kinds of files");
  app.add_option("--seed", wanted.seed, "of the choice of flips");
  app.add_flag("--full", wanted.full, "a bit of every byte of files up to 64 KiB, and --count (10,000) flips over the larger ones");
  app.add_option("--only", wanted.only, "this one: image/path:byte:bit, as a failure prints it");
  app.add_option("--data", wanted.data, "the images of an earlier run with failures");
  app.add_option("--contacts", wanted.contacts, "in the data directory");
  app.add_option("--jobs", wanted.jobs, "processes at a time; default: one a processor");
  CLI11_PARSE(app, argc, argv);
  if (wanted.full && count->count() == 0) wanted.count = 10'000;
  if (!wanted.data.empty() && !fs::exists(wanted.data + "/known.json")) {
    fmt::print(stderr, "there are no images in {}\n", wanted.data);
    return 2;
  }
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const std::string root = NewRoot();
  const int code = Run(root, wanted);
  fs::remove_all(root);
  return code;
}

}  // namespace
}  // namespace maily::rot

int main(int argc, char** argv) { return maily::rot::Main(argc, argv); }
