// `maily import`: streams a CSV file to the server, with a progress bar, waits for the job to end, and prints what it came to.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

using nlohmann::json;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kRejectsShown = 10;
constexpr auto kPollPause = std::chrono::milliseconds(20);

struct Import {
  ServerFlags server;
  std::string file;
  std::string list;
  std::string source;
  bool dry_run = false;
};

// A bar on a terminal, nothing elsewhere.
class Progress {
 public:
  explicit Progress(uint64_t total) : total_(total), shows_(::isatty(STDERR_FILENO) != 0), start_(std::chrono::steady_clock::now()) {}
  void At(uint64_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (!shows_ || (done < total_ && now - last_ < std::chrono::milliseconds(100))) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double share = total_ == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total_);
    const double left = share > 0 ? seconds / share - seconds : 0;
    std::fprintf(stderr, "\r[%-30s] %3.0f %%  %.1f MiB/s  %.0f s left ", std::string(static_cast<size_t>(share * 30), '#').c_str(),
                 share * 100, static_cast<double>(done) / 1048576 / std::max(seconds, 0.001), left);
    if (done >= total_) std::fputc('\n', stderr);
  }

 private:
  const uint64_t total_;
  const bool shows_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

// The job once it is no longer running.
Result<HttpAnswer> AwaitEnd(const Server& server, const std::string& location) {
  for (;;) {
    MAILY_TRY(HttpAnswer answer, Ask(server, "GET", location, "", ""));
    const json job = json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !job.is_object() || job.value("status", "") != "running") return answer;
    std::this_thread::sleep_for(kPollPause);  // between polls of another process
  }
}

int Run(const Common& common, const Import& flags) {
  auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::ifstream in(flags.file, std::ios::binary);
  if (!in) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be read", flags.file));
  std::error_code error;
  Progress progress(std::filesystem::file_size(flags.file, error));
  uint64_t sent = 0;
  const auto pieces = [&]() -> std::string {
    std::string piece(kPieceBytes, '\0');
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    piece.resize(static_cast<size_t>(in.gcount()));
    sent += piece.size();
    progress.At(sent);
    return piece;
  };
  std::string path = "/v1/imports?list=" + PercentEncode(flags.list);
  if (!flags.source.empty()) path += "&source=" + PercentEncode(flags.source);
  if (flags.dry_run) path += "&dry_run=true";
  auto answer = Ask(*server, "POST", path, "", "text/csv", pieces);
  if (answer && answer->status == 202) answer = AwaitEnd(*server, answer->headers["location"]);
  if (!answer) return PrintError(common, answer.error());
  const json report = json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || report.is_discarded()) {
    const int code = PrintAnswer(common, *answer);
    if (answer->status == 404) std::fprintf(stderr, "make it with: maily list create %s\n", flags.list.c_str());
    return code;
  }
  const bool completed = flags.dry_run || report.value("status", "") == "completed";
  if (common.json) {
    PrintAnswer(common, *answer);
  } else if (flags.dry_run) {
    fmt::print("{} rows: {} valid, {} repeated, {} rejected; nothing was done\n", report.value("rows", 0), report.value("valid", 0),
               report.value("duplicate", 0), report.value("rejected", 0));
  } else {
    fmt::print("{} rows: {} created, {} updated, {} unchanged, {} repeated, {} skipped, {} rejected ({:.1f} s)\n", report.value("rows", 0),
               report.value("created", 0), report.value("updated", 0), report.value("unchanged", 0), report.value("duplicate", 0),
               report.value("skipped", 0), report.value("rejected", 0), report.value("seconds", 0.0));
  }
  if (!completed) {
    fmt::print(stderr, "maily: the import {}: {}; post the file again\n", report.value("status", ""), report.value("message", ""));
  }
  if (common.json) return completed ? kExitOk : kExitFailed;
  size_t shown = 0;
  for (const json& reject : report.value("rejects", json::array())) {
    if (++shown > kRejectsShown) break;
    fmt::print(stderr, "line {}, {}: {} ({})\n", reject.value("line", 0), reject.value("column", ""), reject.value("reason", ""),
               reject.value("code", ""));
  }
  if (report.value("rejected", size_t{0}) > kRejectsShown) fmt::print(stderr, "… all of them: --output json\n");
  return completed ? kExitOk : kExitFailed;
}

}  // namespace

void AddImport(CLI::App& app, Chosen& chosen) {
  app.footer(
      "Example: maily import customers.csv --list customers\nThe file needs a column email; every other column is an attribute. Posting it "
      "again is harmless.");
  auto flags = std::make_shared<Import>();
  flags->server.AddTo(app);
  app.add_option("file", flags->file, "CSV file, UTF-8, with a header line")->required();
  app.add_option("--list", flags->list, "name or id of the list that they join")->required();
  app.add_option("--source", flags->source, "kept with each contact: where it came from");
  app.add_flag("--dry-run", flags->dry_run, "only say which rows are good; nothing is appended");
  app.callback([&chosen, flags] { chosen = [flags](const Common& common) { return Run(common, *flags); }; });
}

}  // namespace maily::app
