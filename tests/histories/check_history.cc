// Checks the history in a directory: `check_history DIR` prints what it found as one JSON object. Exit code 0: no anomaly; 1: some; 2: the
// history cannot be judged.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/histories/checker.h"

namespace maily::histories {
namespace {

// The events of a track, where the file is. Mapped until the program ends.
std::span<const Event> Map(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (file < 0 || ::fstat(file, &status) != 0) throw std::runtime_error("cannot read " + path);
  const size_t size = static_cast<size_t>(status.st_size);
  void* const mapped = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  return {static_cast<const Event*>(mapped), size / sizeof(Event)};
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string ToJson(const Report& report) {
  std::string out = fmt::format(
      "{{\"appends\":{},\"acknowledged\":{},\"acknowledged_somewhere\":{},\"refused\":{},\"unknown\":{},\"unanswered\":{},\"polls\":{},"
      "\"polls_empty\":{},\"polls_failed\":{},\"records_read\":{},\"seeks\":{},\"trims\":{},\"taken_back\":{},\"stored_twice\":{},\"not_"
      "verifiable\":{},"
      "\"sessions\":{},\"anomalies\":{{",
      report.appends, report.acknowledged, report.acknowledged_somewhere, report.refused, report.unknown, report.unanswered, report.polls,
      report.polls_empty, report.polls_failed, report.records_read, report.seeks, report.trims, report.taken_back, report.stored_twice,
      report.not_verifiable, report.sessions);
  for (size_t i = 0; i < kAnomalyNames.size(); ++i) {
    out += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", kAnomalyNames[i], report.anomalies[i]);
  }
  out += "},\"examples\":[";
  for (size_t i = 0; i < report.examples.size(); ++i) out += fmt::format("{}\"{}\"", i == 0 ? "" : ",", Escaped(report.examples[i]));
  return out + "]}";
}

int Main(const std::string& directory) {
  std::vector<Track> tracks;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".track") tracks.push_back({entry.path().filename().string(), Map(entry.path().string())});
  }
  std::ranges::sort(tracks, {}, &Track::name);
  const Report report = Check(tracks);
  fmt::print("{}\n", ToJson(report));
  if (!report.complete || report.appends == 0) {
    fmt::print(stderr, "{}: there is no final read, or nothing was appended\n", directory);
    return 2;
  }
  return report.found() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace maily::histories

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: check_history DIR\n");
    return 2;
  }
  try {
    return maily::histories::Main(argv[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
