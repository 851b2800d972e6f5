// `maily suppression import` and `export`: files on this side, the ordinary routes on the other. Rows go in batches of kBatchRows, pages
// come one by one, so memory is bounded by these; a repeat of a file changes nothing, and so an import that was cut off is given again.
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/import/cells.h"
#include "api/import/suppression_file.h"
#include "app/remote.h"
#include "app/subcommand.h"
#include "schemas/suppressions.h"

namespace maily::app {
namespace {

using nlohmann::ordered_json;
using json = ordered_json;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kBatchRows = 1'000;        // of POST /v1/suppressions:batch
constexpr size_t kBatchBytes = 700 * 1024;  // of its body, below the 1 MiB that it takes
constexpr size_t kRejectsListed = 1'000;
constexpr size_t kRejectsShown = 10;

std::string Dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

struct ImportFlags {
  ServerFlags server;
  std::string file;
  std::string format = "auto";
  std::string reason;
  std::string rejects;
  bool dry_run = false;
};

// The way of a file's rows to the server, and the count of what became of them.
class Import {
 public:
  Import(const Server& server, const ImportFlags& flags) : server_(server), flags_(flags) {}

  // Why it ended early; kOk otherwise.
  std::optional<Error> trouble;
  // The refusal that it ended with.
  std::optional<HttpAnswer> refusal;

  void Take(import::SuppressionRow row) {
    ++rows_;
    if (flags_.dry_run) {
      ++valid_;
      return;
    }
    json one;
    if (row.email.empty()) one["domain"] = row.domain;
    if (!row.email.empty()) one["email"] = row.email;
    one.update({{"reason", row.reason}, {"stream", row.stream}, {"source", "import"}});
    if (!row.note.empty()) one["note"] = row.note;
    bytes_ += Dump(one).size();
    batch_.push_back(std::move(one));
    waiting_.push_back(std::move(row));
    if (batch_.size() >= kBatchRows || bytes_ >= kBatchBytes) Send();
  }
  void Reject(import::SuppressionReject reject) {
    ++rows_;
    Note(std::move(reject));
  }
  void Pass() {
    ++rows_;
    ++passed_;
  }
  void Send() {
    if (batch_.empty() || trouble || refusal) return;
    const auto answer = Ask(server_, "POST", "/v1/suppressions:batch", Dump({{"suppressions", batch_}}), "application/json");
    if (!answer) {
      trouble = answer.error();
    } else if (answer->status != 200) {
      refusal = *answer;
    } else {
      Count(json::parse(answer->body, nullptr, false));
    }
    batch_ = json::array();
    waiting_.clear();
    bytes_ = 0;
  }

  json Report(std::string_view format) const {
    json report{{"format", format}, {"rows", rows_}};
    if (flags_.dry_run) report.update({{"dry_run", true}, {"valid", valid_}});
    if (!flags_.dry_run) report.update({{"added", added_}, {"unchanged", unchanged_}, {"pending", pending_}});
    report.update({{"passed_over", passed_}, {"rejected", rejected_}, {"rejects", rejects_}});
    return report;
  }
  // Of all rejects, a line each.
  bool OpenRejects() {
    if (flags_.rejects.empty()) return true;
    out_.open(flags_.rejects, std::ios::binary | std::ios::trunc);
    return out_.good();
  }
  const json& rejects() const { return rejects_; }
  uint64_t rejected() const { return rejected_; }

 private:
  void Count(const json& answer) {
    if (!answer.is_object()) {
      trouble = Fail(Code::kRetry, "{} answered no JSON", server_.url);
      return;
    }
    added_ += answer.value("added", uint64_t{0});
    unchanged_ += answer.value("unchanged", uint64_t{0});
    pending_ += answer.value("pending", uint64_t{0});
    for (const json& refused : answer.value("refused", json::array())) {
      const size_t index = refused.value("index", size_t{0});
      if (index < waiting_.size())
        Note({waiting_[index].line, refused.value("code", ""), refused.value("message", ""), waiting_[index].raw});
    }
  }
  void Note(import::SuppressionReject reject) {
    ++rejected_;
    json one{{"line", reject.line}, {"code", reject.code}, {"reason", reject.reason}, {"raw", reject.raw}};
    // JSON is UTF-8; bytes that are none are shown beside.
    if (json::parse(Dump(one))["raw"].get_ref<const std::string&>() != reject.raw) {
      std::string hex;
      for (const char c : reject.raw) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
      one["raw_hex"] = hex;
    }
    if (out_.is_open()) out_ << Dump(one) << '\n';
    if (rejects_.size() < kRejectsListed) rejects_.push_back(std::move(one));
  }

  const Server& server_;
  const ImportFlags& flags_;
  json batch_ = json::array();
  std::deque<import::SuppressionRow> waiting_;  // of batch_
  size_t bytes_ = 0;
  uint64_t rows_ = 0, valid_ = 0, added_ = 0, unchanged_ = 0, pending_ = 0, passed_ = 0, rejected_ = 0;
  json rejects_ = json::array();
  std::ofstream out_;
};

void PrintReport(const json& report) {
  if (report.contains("dry_run")) {
    fmt::print("{} rows ({}): {} valid, {} passed over, {} rejected; nothing was done\n", report["rows"].get<uint64_t>(),
               report["format"].get<std::string>(), report["valid"].get<uint64_t>(), report["passed_over"].get<uint64_t>(),
               report["rejected"].get<uint64_t>());
  } else {
    fmt::print("{} rows ({}): {} added, {} unchanged, {} pending, {} passed over, {} rejected\n", report["rows"].get<uint64_t>(),
               report["format"].get<std::string>(), report["added"].get<uint64_t>(), report["unchanged"].get<uint64_t>(),
               report["pending"].get<uint64_t>(), report["passed_over"].get<uint64_t>(), report["rejected"].get<uint64_t>());
  }
  size_t shown = 0;
  for (const json& reject : report["rejects"]) {
    if (++shown > kRejectsShown) break;
    fmt::print(stderr, "line {}: {} ({})\n", reject["line"].get<uint64_t>(), reject["reason"].get<std::string>(),
               reject["code"].get<std::string>());
  }
  if (report["rejected"].get<uint64_t>() > kRejectsShown) fmt::print(stderr, "… all of them: --rejects FILE\n");
}

int RunImport(const Common& common, const ImportFlags& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::ifstream file;
  if (flags.file != "-") file.open(flags.file, std::ios::binary);
  std::istream& in = flags.file == "-" ? std::cin : file;
  if (!in) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be read", flags.file));
  Import rows(*server, flags);
  if (!rows.OpenRejects()) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be written", flags.rejects));
  import::SuppressionReader reader({.format = *import::SuppressionFormatOf(flags.format), .reason = flags.reason},
                                   {.row = [&](import::SuppressionRow row) { rows.Take(std::move(row)); },
                                    .reject = [&](import::SuppressionReject reject) { rows.Reject(std::move(reject)); },
                                    .passed = [&] { rows.Pass(); }});
  const auto stopped = [&] { return rows.trouble || rows.refusal || !reader.trouble().empty(); };
  std::string piece(kPieceBytes, '\0');
  while (!stopped() && in.good()) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    reader.Feed(std::string_view(piece).substr(0, static_cast<size_t>(in.gcount())));
  }
  const bool torn = in.bad();
  if (!stopped()) reader.Finish();
  rows.Send();
  if (!reader.trouble().empty()) return PrintError(common, Fail(Code::kInvalid, "{}: {}", flags.file, reader.trouble()));
  const json report = rows.Report(import::kSuppressionFormats[static_cast<size_t>(reader.format())]);
  if (common.json) {
    std::printf("%s\n", Dump(report).c_str());
  } else {
    PrintReport(report);
  }
  static constexpr const char* kAgain = "maily: the import ended early; give the file again: what was taken counts as unchanged\n";
  if (stopped()) std::fputs(kAgain, stderr);
  if (rows.refusal) return PrintAnswer({.program = common.program}, *rows.refusal);
  if (rows.trouble) return PrintError({.program = common.program}, *rows.trouble);
  if (torn) return PrintError({.program = common.program}, Fail(Code::kFatal, "{}: reading it failed", flags.file));
  return kExitOk;
}

struct ExportFlags {
  ServerFlags server;
  std::string file = "-";
  std::string format = "csv";
  std::string reason;
  std::string domain;
  std::string since;
};

constexpr const char* kColumns[] = {"email", "domain", "stream", "reason", "note", "source", "added_at", "contact_key"};

std::string CsvCell(const std::string& text) {
  const std::string guarded = import::GuardCell(text);
  if (guarded.find_first_of(",\"\r\n") == std::string::npos) return guarded;
  std::string quoted = "\"";
  for (const char c : guarded) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

std::string LineOf(const json& item, bool csv) {
  if (!csv) return Dump(item) + '\n';
  std::string line;
  for (const char* column : kColumns) {
    if (column != kColumns[0]) line += ',';
    const json value = item.value(column, json());
    if (value.is_string()) line += CsvCell(value.get<std::string>());
  }
  return line + "\r\n";
}

int RunExport(const Common& common, const ExportFlags& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  const bool csv = flags.format == "csv";
  const bool to_file = flags.file != "-";
  const std::string part = flags.file + ".part";
  std::ofstream file;
  if (to_file) file.open(part, std::ios::binary | std::ios::trunc);
  std::ostream& out = to_file ? file : std::cout;
  if (!out) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be written", part));
  std::string query = "/v1/suppressions?page_size=1000";
  for (const auto& [name, value] : {std::pair("reason", flags.reason), {"domain", flags.domain}, {"since", flags.since}})
    if (!value.empty()) query += fmt::format("&{}={}", name, PercentEncode(value));
  if (csv) out << fmt::format("{}\r\n", fmt::join(kColumns, ","));
  uint64_t count = 0;
  uint64_t nameless = 0;
  for (std::string page;;) {
    const auto answer = Ask(*server, "GET", query + (page.empty() ? "" : "&page_token=" + PercentEncode(page)), "", "");
    if (!answer) return PrintError(common, answer.error());
    if (answer->status != 200) return PrintAnswer(common, *answer);
    const json body = json::parse(answer->body, nullptr, false);
    if (!body.is_object() || !body.contains("items")) return PrintError(common, Fail(Code::kRetry, "{} answered no list", server->url));
    for (const json& item : body["items"]) {
      ++count;
      if (item.value("email", json()).is_null() && item.value("domain", json()).is_null()) ++nameless;
      out << LineOf(item, csv);
    }
    page = body.value("next_page_token", "");
    if (page.empty()) break;
  }
  out.flush();
  if (!out) return PrintError(common, Fail(Code::kFatal, "{}: writing it failed; is there room?", to_file ? part : "standard output"));
  if (to_file) {
    file.close();
    std::error_code error;
    std::filesystem::rename(part, flags.file, error);
    if (error) return PrintError(common, Fail(Code::kFatal, "{}: {}", flags.file, error.message()));
  }
  if (common.json && to_file) {
    std::printf("%s\n", Dump({{"file", flags.file}, {"rows", count}, {"without_address", nameless}}).c_str());
  } else {
    fmt::print(
        stderr, "{} suppressions{}\n", count,
        nameless == 0 ? "" : fmt::format(", {} of them of addresses that nobody can open any more: only their hash is left", nameless));
  }
  return kExitOk;
}

std::vector<std::string> Words(std::span<const std::string_view> words) { return {words.begin(), words.end()}; }

}  // namespace

void AddSuppressionFiles(CLI::App& group, Chosen& chosen) {
  CLI::App* in = group.add_subcommand("import", "example: maily suppression import bounces.csv --rejects bad.ndjson");
  in->fallthrough();
  in->footer(
      "Reads CSV or a JSON object a line: columns of maily suppression export, of Mailchimp (unsubscribed, cleaned), SendGrid (bounces, "
      "blocks, "
      "spam reports, unsubscribes, invalid) or listmonk (subscribers). Bad rows stop nothing. The same file again changes nothing, so an "
      "import "
      "that was cut off is given again.");
  auto import_flags = std::make_shared<ImportFlags>();
  import_flags->server.AddTo(*in);
  in->add_option("file", import_flags->file, "the file; - = standard input")->required();
  in->add_option("--format", import_flags->format, "whose columns: auto, maily, mailchimp, sendgrid or listmonk")
      ->check(CLI::IsMember(Words(import::kSuppressionFormats)))
      ->capture_default_str();
  in->add_option("--reason", import_flags->reason, "of all rows, whatever they say")
      ->check(CLI::IsMember(Words(schema::kSuppressionReasons)));
  in->add_option("--rejects", import_flags->rejects,
                 "file for all rows that are not taken: line, code, reason and bytes, a JSON object a line");
  in->add_flag("--dry-run", import_flags->dry_run, "only say which rows are good; nothing is appended");
  in->callback([&chosen, import_flags] { chosen = [import_flags](const Common& common) { return RunImport(common, *import_flags); }; });

  CLI::App* out = group.add_subcommand("export", "example: maily suppression export suppressions.csv --reason complaint");
  out->fallthrough();
  out->footer("What it writes can be imported elsewhere. Cells that a spreadsheet would take for a formula begin with a '.");
  auto export_flags = std::make_shared<ExportFlags>();
  export_flags->server.AddTo(*out);
  out->add_option("file", export_flags->file, "where to; it is there once it is whole; - = standard output, the default");
  out->add_option("--format", export_flags->format, "csv or ndjson")->check(CLI::IsMember({"csv", "ndjson"}))->capture_default_str();
  out->add_option("--reason", export_flags->reason, "only of this reason");
  out->add_option("--domain", export_flags->domain, "only of this domain: itself, and addresses there");
  out->add_option("--since", export_flags->since, "only what was added at this time or later, as 2026-11-21T05:00:00Z");
  out->callback([&chosen, export_flags] { chosen = [export_flags](const Common& common) { return RunExport(common, *export_flags); }; });
}

}  // namespace maily::app
