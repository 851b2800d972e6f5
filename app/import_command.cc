// `maily import`: streams a file to the server, with a progress bar, waits for the job to end, and prints what it came to. If the server
// goes away meanwhile, it goes on by itself when it is back: the file is posted again under the same Idempotency-Key, and what was applied
// is passed over. `maily import cancel|undo|rejects|show|list` for imports that are under way or over.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "api/http/client.h"
#include "api/import/import.h"
#include "api/import/rejects.h"
#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kRejectsShown = 10;
constexpr auto kPollPause = std::chrono::milliseconds(20);
constexpr auto kAgainPause = std::chrono::milliseconds(300);
constexpr int kExitInterrupted = 130;

struct Import {
  ServerFlags server;
  std::string file;
  std::string list;
  std::string source;
  std::string map;
  std::string encoding;
  std::string from;
  std::string format = "auto";
  std::string rejects;
  std::string key;
  int64_t max_errors = -1;
  int wait_seconds = 120;
  bool no_header = false;
  bool consent = false;
  bool dry_run = false;
};

// A bar on a terminal, nothing elsewhere.
class Progress {
 public:
  explicit Progress(uint64_t total) : total_(total), shows_(::isatty(STDERR_FILENO) != 0) {}
  // The file is given from its beginning.
  void Restart() { done_ = rows_ = 0; }
  void Add(std::string_view piece) {
    done_ += piece.size();
    rows_ += static_cast<uint64_t>(std::ranges::count(piece, '\n'));
    const auto now = SteadyClock::now();
    if (!shows_ || (done_ < total_ && now - last_ < std::chrono::milliseconds(100))) return;
    last_ = now;
    const double seconds = std::max(std::chrono::duration<double>(now - start_).count(), 0.001);
    const double share = total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    const double left = share > 0 ? seconds / share - seconds : 0;
    std::fprintf(stderr, "\r[%-30s] %3.0f %%  %.0f rows/s  %.0f s left ", std::string(static_cast<size_t>(share * 30), '#').c_str(),
                 share * 100, static_cast<double>(rows_) / seconds, left);
    if (done_ >= total_) std::fputc('\n', stderr);
  }

 private:
  const uint64_t total_;
  const bool shows_;
  const SteadyClock::time_point start_ = SteadyClock::now();
  SteadyClock::time_point last_;
  uint64_t done_ = 0;
  uint64_t rows_ = 0;
};

// Ctrl-C asks the server to cancel the import; a second one ends this process at once. Where there is nothing to cancel, the first does.
class Interrupt {
 public:
  Interrupt(const Server& server, std::string id) : server_(server), id_(std::move(id)) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] { Wait(); });
  }
  ~Interrupt() {
    over_ = true;
    thread_.join();
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool came() const { return came_; }

 private:
  void Wait() {
    const timespec pause{.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!over_) {
      if (sigtimedwait(&signals_, nullptr, &pause) != SIGINT) continue;
      const auto cancelled = came_.exchange(true) || id_.empty()
                                 ? Result<HttpAnswer>(Fail(Code::kRetry, "interrupted"))
                                 : Ask(server_, "POST", "/v1/imports/" + id_ + ":cancel", "", "application/json");
      if (cancelled && cancelled->status == 202) continue;  // the server answers the post
      std::fprintf(stderr, "maily: interrupted; rows that were sent may be applied: maily import show %s\n", id_.c_str());
      _exit(kExitInterrupted);
    }
  }

  const Server& server_;
  const std::string id_;
  sigset_t signals_{};
  std::atomic<bool> over_ = false;
  std::atomic<bool> came_ = false;
  std::thread thread_;
};

// Tells once that the server is away, and when that has lasted too long.
class Patience {
 public:
  explicit Patience(int seconds) : seconds_(seconds) {}
  // False: it has lasted too long.
  bool Wait(const std::string& why) {
    if (!since_) {
      since_ = SteadyClock::now();
      std::fprintf(stderr, "maily: %s; waiting, then going on\n", why.c_str());
    }
    if (SteadyClock::now() - *since_ > std::chrono::seconds(seconds_)) return false;
    std::this_thread::sleep_for(kAgainPause);  // between tries of another process
    return true;
  }
  void IsBack() { since_.reset(); }

 private:
  const int seconds_;
  std::optional<SteadyClock::time_point> since_;
};

// The job once it is no longer running.
Result<HttpAnswer> AwaitEnd(const Server& server, const std::string& location, Patience& patience) {
  for (;;) {
    auto answer = Ask(server, "GET", location, "", "");
    if (!answer || answer->status == 503) {
      if (!patience.Wait(answer ? "the server is not ready" : answer.error().message)) return answer;
      continue;
    }
    patience.IsBack();
    const json job = json::parse(answer->body, nullptr, false);
    if (answer->status != 200 || !job.is_object() || job.value("status", "") != "running") return answer;
    std::this_thread::sleep_for(kPollPause);  // between polls of another process
  }
}

std::string RandomKey() {
  std::random_device random;
  return fmt::format("cli-{:08x}{:08x}{:08x}", random(), random(), random());
}

std::string PathOf(const Import& flags) {
  std::string path = "/v1/imports?list=" + PercentEncode(flags.list);
  for (const auto& [name, value] :
       {std::pair("source", flags.source), {"map", flags.map}, {"encoding", flags.encoding}, {"from", flags.from}})
    if (!value.empty()) path += fmt::format("&{}={}", name, PercentEncode(value));
  if (flags.no_header) path += "&header=false";
  if (flags.max_errors >= 0) path += fmt::format("&max_errors={}", flags.max_errors);
  if (flags.consent) path += "&consent=true";
  if (flags.dry_run) path += "&dry_run=true";
  return path;
}

bool IsNdjson(const Import& flags) {
  if (flags.format != "auto") return flags.format == "ndjson";
  const std::string extension = std::filesystem::path(flags.file).extension();
  return extension == ".ndjson" || extension == ".jsonl";
}

// Posts the file once.
Result<HttpAnswer> Post(const Server& server, const Import& flags, const std::string& path, const std::string& key, Progress& progress) {
  std::ifstream in(flags.file, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, "{}: cannot be read", flags.file);
  progress.Restart();
  MAILY_TRY(http::Client client, http::Client::FromUrl(server.url));
  http::Call call{.method = http::Method::kPost, .target = path};
  if (!server.key.empty()) call.headers.Add("authorization", "Bearer " + server.key);
  call.headers.Add("content-type", IsNdjson(flags) ? "application/x-ndjson" : "text/csv");
  call.headers.Add("idempotency-key", key);
  call.upload = [&]() -> Result<std::string> {
    std::string piece(kPieceBytes, '\0');
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in.bad()) return Fail(Code::kFatal, "{}: reading it failed", flags.file);
    piece.resize(static_cast<size_t>(in.gcount()));
    progress.Add(piece);
    return piece;
  };
  MAILY_TRY(const http::Response response, client.Send(call));
  HttpAnswer answer{.status = response.status, .body = response.body, .headers = {}};
  for (size_t i = 0; i < response.headers.size(); ++i) {
    const auto [name, value] = response.headers.at(i);
    answer.headers[std::string(name)] = value;
  }
  return answer;
}

// Until the job has come to its end, whatever becomes of the server meanwhile.
Result<HttpAnswer> PostUntilDone(const Server& server, const Import& flags, const Interrupt& interrupt, const std::string& path,
                                 const std::string& key) {
  std::error_code error;
  Progress progress(std::filesystem::file_size(flags.file, error));
  Patience patience(flags.wait_seconds);
  for (;;) {
    auto answer = Post(server, flags, path, key, progress);
    if (!answer && answer.error().code != Code::kRetry) return answer;
    if (!answer || answer->status == 503) {
      if (interrupt.came() || !patience.Wait(answer ? "the server takes nothing now" : answer.error().message)) return answer;
      continue;
    }
    const json said = json::parse(answer->body, nullptr, false);
    const std::string code = said.is_object() ? said.value("code", "") : "";
    if (code == "import_running") {  // the post before is not over there yet
      if (!patience.Wait("the import still goes on there")) return answer;
      continue;
    }
    patience.IsBack();
    const bool stopped = code == "import_cancelled" || code == "too_many_errors";
    if (answer->status != 202 && !(stopped && answer->headers.contains("location"))) return answer;
    auto job = AwaitEnd(server, answer->headers["location"], patience);
    if (!job || stopped) return job;
    const json report = json::parse(job->body, nullptr, false);
    if (!report.is_object() || report.value("status", "") != "interrupted" || interrupt.came()) return job;
    if (!patience.Wait("the server ended before the import did")) return job;
  }
}

void PrintCounts(const json& report, bool dry_run) {
  fmt::print("{} rows: {} created, {} updated, {} unchanged, {} repeated, {} skipped, {} rejected", report.value("rows", 0),
             report.value("created", 0), report.value("updated", 0), report.value("unchanged", 0), report.value("duplicate", 0),
             report.value("skipped", 0), report.value("rejected", 0));
  if (report.value("suppressed", 0) > 0) fmt::print(", {} suppressed", report.value("suppressed", 0));
  if (dry_run) {
    fmt::print(" ({} valid); nothing was done\n", report.value("valid", 0));
  } else {
    fmt::print(" ({:.1f} s)\n", report.value("seconds", 0.0));
  }
}

void PrintDiffs(const json& report) {
  for (const json& diff : report.value("diffs", json::array())) {
    fmt::print("line {} would be {}:", diff.value("line", 0), diff.value("result", ""));
    for (const json& field : diff.value("fields", json::array())) {
      fmt::print(" {}", field.value("name", ""));
      if (field.contains("new")) fmt::print(" {} → {};", field["old"].dump(), field["new"].dump());
    }
    fmt::print("\n");
  }
}

// All rejects that the server keeps, or, of a dry run, those that it listed.
int WriteRejects(const Common& common, const Server& server, const Import& flags, const json& report) {
  std::string csv;
  if (flags.dry_run) {
    csv = "line,column,code,reason,raw\r\n";
    for (const json& reject : report.value("rejects", json::array())) {
      csv += fmt::format("{},{},{},{},{}\r\n", reject.value("line", 0), import::CsvField(reject.value("column", "")),
                         reject.value("code", ""), import::CsvField(reject.value("reason", "")), import::CsvField(reject.value("raw", "")));
    }
  } else {
    auto answer = Ask(server, "GET", report.value("rejects_url", "/v1/imports/" + report.value("id", "") + "/rejects"), "", "");
    if (!answer) return PrintError(common, answer.error());
    if (answer->status != 200) return PrintAnswer({.program = common.program}, *answer);
    csv = std::move(answer->body);
  }
  std::ofstream out(flags.rejects, std::ios::binary | std::ios::trunc);
  out << csv;
  out.close();
  if (!out) return PrintError(common, Fail(Code::kFatal, "{}: writing it failed; is there room?", flags.rejects));
  const uint64_t rejected = report.value("rejected", uint64_t{0});
  const uint64_t kept = flags.dry_run ? report.value("rejects", json::array()).size() : report.value("rejects_kept", uint64_t{0});
  if (rejected > kept)
    fmt::print(stderr, "maily: {} holds {} of {} rejects: more are counted and not kept\n", flags.rejects, kept, rejected);
  return kExitOk;
}

void PrintRejects(const json& report, bool as_file) {
  size_t shown = 0;
  for (const json& reject : report.value("rejects", json::array())) {
    if (++shown > kRejectsShown) break;
    fmt::print(stderr, "line {}, {}: {} ({})\n", reject.value("line", 0), reject.value("column", ""), reject.value("reason", ""),
               reject.value("code", ""));
  }
  if (report.value("rejected", size_t{0}) > kRejectsShown && !as_file) fmt::print(stderr, "… all of them: --rejects FILE\n");
}

int Run(const Common& common, const Import& flags) {
  if (flags.file.empty()) return PrintError(common, Fail(Code::kInvalid, "name a file: maily import customers.csv --list customers"));
  if (flags.list.empty()) return PrintError(common, Fail(Code::kInvalid, "--list is required: the list that they join"));
  auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  const std::string path = PathOf(flags);
  const std::string key = flags.key.empty() ? RandomKey() : flags.key;
  const Interrupt interrupt(*server, flags.dry_run ? "" : import::ImportIdOf(key, "", path));
  auto answer = PostUntilDone(*server, flags, interrupt, path, key);
  if (!answer) {
    if (answer.error().code == Code::kRetry)
      fmt::print(stderr, "maily: to go on where it stopped: the same command with --idempotency-key {}\n", key);
    return PrintError(common, answer.error());
  }
  const json report = json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !report.is_object()) {
    const int code = PrintAnswer(common, *answer);
    if (answer->status == 404) std::fprintf(stderr, "make it with: maily list create %s\n", flags.list.c_str());
    return code;
  }
  const bool completed = flags.dry_run || report.value("status", "") == "completed";
  if (common.json) {
    PrintAnswer(common, *answer);
  } else {
    PrintCounts(report, flags.dry_run);
    PrintDiffs(report);
  }
  if (!completed) fmt::print(stderr, "maily: the import is {}: {}\n", report.value("status", ""), report.value("message", ""));
  if (!flags.rejects.empty()) {
    if (const int wrote = WriteRejects(common, *server, flags, report); wrote != kExitOk) return wrote;
  }
  if (!common.json) PrintRejects(report, !flags.rejects.empty());
  if (interrupt.came()) return kExitInterrupted;
  return completed ? kExitOk : kExitFailed;
}

struct Past {
  ServerFlags server;
  std::string id;
};

// What a GET gives, printed.
int RunGet(const Common& common, const Past& flags, const std::string& path) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  const auto answer = Ask(*server, "GET", path, "", "");
  return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
}

int RunCancel(const Common& common, const Past& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  const std::string url = "/v1/imports/" + PercentEncode(flags.id);
  const auto answer = Ask(*server, "POST", url + ":cancel", "", "application/json");
  if (!answer) return PrintError(common, answer.error());
  if (answer->status != 202) return PrintAnswer(common, *answer);
  Patience patience(10);
  const auto job = AwaitEnd(*server, url, patience);
  return job ? PrintAnswer(common, *job) : PrintError(common, job.error());
}

int RunUndo(const Common& common, const Past& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  if (!Confirm(common, fmt::format("undo import {}?", flags.id))) return kExitRefused;
  Patience patience(120);
  for (;;) {
    auto answer = Ask(*server, "POST", "/v1/imports/" + PercentEncode(flags.id) + ":undo", "", "application/json");
    if (!answer || answer->status == 503) {
      if (!patience.Wait(answer ? "the server takes nothing now" : answer.error().message))
        return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
      continue;
    }
    if (answer->status != 202) return PrintAnswer(common, *answer);
    const auto job = AwaitEnd(*server, answer->headers["location"], patience);
    if (!job) return PrintError(common, job.error());
    const json report = json::parse(job->body, nullptr, false);
    if (!report.is_object() || job->status != 200) return PrintAnswer(common, *job);
    if (report.value("status", "") == "interrupted" && patience.Wait("the server ended before the undo did")) continue;
    if (common.json) {
      PrintAnswer(common, *job);
    } else {
      fmt::print("{} changes: {} restored, {} with nothing to restore, {} left as they are (changed since, or gone)\n",
                 report.value("rows", 0), report.value("updated", 0), report.value("unchanged", 0), report.value("skipped", 0));
    }
    return report.value("status", "") == "completed" ? kExitOk : kExitFailed;
  }
}

template <class Do>
void AddPast(CLI::App& app, Chosen& chosen, const char* name, const char* help, bool takes_id, Do run) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->fallthrough();
  auto flags = std::make_shared<Past>();
  flags->server.AddTo(*sub);
  if (takes_id) sub->add_option("id", flags->id, "of the import")->required();
  sub->callback([&chosen, flags, run] { chosen = [flags, run](const Common& common) { return run(common, *flags); }; });
}

}  // namespace

void AddImport(CLI::App& app, Chosen& chosen) {
  app.footer(
      "Examples:\n  maily import customers.csv --list customers --rejects bad.csv\n  maily import old.csv --list customers --no-header "
      "--map "
      "1=email,2=first_name --encoding latin-1\n  maily import subscribers.csv --list customers --from listmonk\nThe file needs a column "
      "email; "
      "every other column is an attribute. Posting it again is harmless. If the server goes away meanwhile, the import goes on when it is "
      "back.\nmaily import show|cancel|undo|rejects ID, maily import list: of an import that is under way or over.");
  auto flags = std::make_shared<Import>();
  flags->server.AddTo(app);
  app.add_option("file", flags->file, "CSV file with a header line, UTF-8 or UTF-16 with a BOM; or NDJSON");
  app.add_option("--list", flags->list, "name or id of the list that they join");
  app.add_option("--source", flags->source, "kept with each contact: where it came from");
  app.add_option("--map", flags->map,
                 "what columns mean: E-mail=email,Vorname=first_name; by number: 1=email; to nothing = ignored: Notes=");
  app.add_flag("--no-header", flags->no_header, "the first line is a row; --map names the columns by number");
  app.add_option("--encoding", flags->encoding, "utf-8 (UTF-16 by its BOM, too), the default, latin-1 or windows-1252");
  app.add_option("--format", flags->format, "csv or ndjson; auto, the default: by the file's name")
      ->check(CLI::IsMember({"auto", "csv", "ndjson"}));
  app.add_option("--from", flags->from, "whose columns: listmonk, mailchimp, sendgrid or maily; who gets no mail there is suppressed here");
  app.add_option("--rejects", flags->rejects, "file for the rows that are not taken: line, column, code, reason and bytes, as CSV");
  app.add_option("--max-errors", flags->max_errors, "more rejects than this stop the import");
  app.add_option("--idempotency-key", flags->key, "of an import that was cut off, to go on where it stopped");
  app.add_option("--wait", flags->wait_seconds, "seconds to wait for a server that has gone away; default 120");
  app.add_flag("--consent", flags->consent, "not possible: an import takes no consent");
  app.add_flag("--dry-run", flags->dry_run, "only say what would become of the rows, with samples; nothing is appended");
  app.callback([&app, &chosen, flags] {
    if (app.get_subcommands().empty()) chosen = [flags](const Common& common) { return Run(common, *flags); };
  });
  app.require_subcommand(0, 1);
  AddPast(app, chosen, "list", "maily import list", false,
          [](const Common& common, const Past& past) { return RunGet(common, past, "/v1/imports"); });
  AddPast(app, chosen, "show", "maily import show ID (how it goes on, or what it came to)", true,
          [](const Common& common, const Past& past) { return RunGet(common, past, "/v1/imports/" + PercentEncode(past.id)); });
  AddPast(
      app, chosen, "rejects", "maily import rejects ID (as CSV, while the server keeps them)", true,
      [](const Common& common, const Past& past) { return RunGet(common, past, "/v1/imports/" + PercentEncode(past.id) + "/rejects"); });
  AddPast(app, chosen, "cancel", "maily import cancel ID (what was applied stays)", true, RunCancel);
  AddPast(app, chosen, "undo", "maily import undo ID (puts back what it changed and nobody has changed since)", true, RunUndo);
}

}  // namespace maily::app
