// `maily export contacts`: pages of the server's export become one file, there once it is whole. Memory is bounded by a page. Of CSV the
// contacts are read twice: once for the names of their attributes, then for the lines.
#include "app/export_command.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "app/remote.h"

namespace maily::app {
namespace {

constexpr size_t kColumnsMax = 500;

struct Flags {
  ServerFlags server;
  std::string file = "-";
  std::string format = "csv";
  std::string list;
  std::string columns;
};

// How many came.
struct Sum {
  uint64_t rows = 0;
  uint64_t without_address = 0;
};

uint64_t NumberOf(const HttpAnswer& answer, const char* header) {
  const auto found = answer.headers.find(header);
  return found == answer.headers.end() ? 0 : std::strtoull(found->second.c_str(), nullptr, 10);
}

// All pages in order; an answer that is none comes back.
Result<std::optional<HttpAnswer>> Pages(const Server& server, const std::string& query,
                                        const std::function<void(const HttpAnswer&)>& page) {
  for (std::string token;;) {
    MAILY_TRY(const HttpAnswer answer, Ask(server, "GET", query + (token.empty() ? "" : "&page_token=" + PercentEncode(token)), "", ""));
    if (answer.status != 200) return std::optional(answer);
    page(answer);
    const auto next = answer.headers.find("maily-next-page-token");
    if (next == answer.headers.end()) return std::optional<HttpAnswer>();
    token = next->second;
  }
}

// The id of a list that is named.
Result<std::string> ListId(const Server& server, const std::string& wanted) {
  for (std::string token;;) {
    MAILY_TRY(const HttpAnswer answer,
              Ask(server, "GET", "/v1/lists?page_size=1000" + (token.empty() ? "" : "&page_token=" + PercentEncode(token)), "", ""));
    const auto body = nlohmann::json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !body.is_object()) return Fail(Code::kFatal, "the lists cannot be read: HTTP {}", answer.status);
    for (const auto& list : body.value("items", nlohmann::json::array())) {
      const std::string id = list["id"].is_string() ? list["id"].get<std::string>() : list["id"].dump();
      if (id == wanted || list.value("name", "") == wanted) return id;
    }
    token = body.value("next_page_token", "");
    if (token.empty()) return Fail(Code::kInvalid, "there is no list \"{}\"", wanted);
  }
}

int Run(const Common& common, Flags flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::string query = "/v1/contacts:export?page_size=1000";
  if (!flags.list.empty()) {
    const auto id = ListId(*server, flags.list);
    if (!id) return PrintError(common, id.error());
    query += "&list=" + PercentEncode(*id);
  }
  const bool csv = flags.format == "csv";
  if (csv && flags.columns.empty()) {
    std::set<std::string> names;
    const auto refused = Pages(*server, query + "&format=ndjson", [&names](const HttpAnswer& page) {
      std::istringstream lines(page.body);
      for (std::string line; std::getline(lines, line);) {
        const auto contact = nlohmann::json::parse(line, nullptr, false);
        for (const auto& [name, value] : contact.value("attributes", nlohmann::json::object()).items()) names.insert(name);
      }
    });
    if (!refused) return PrintError(common, refused.error());
    if (*refused) return PrintAnswer(common, **refused);
    if (names.size() > kColumnsMax) {
      return PrintError(
          common, Fail(Code::kInvalid, "the contacts have {} attributes, a CSV file has at most {}; take --format ndjson or --columns",
                       names.size(), kColumnsMax));
    }
    flags.columns = fmt::format("{}", fmt::join(names, ","));
  }
  const bool to_file = flags.file != "-";
  const std::string part = flags.file + ".part";
  std::ofstream file;
  if (to_file) file.open(part, std::ios::binary | std::ios::trunc);
  std::ostream& out = to_file ? file : std::cout;
  if (!out) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be written", part));
  Sum sum;
  const std::string what = csv ? "&format=csv&columns=" + PercentEncode(flags.columns) : "&format=ndjson";
  const auto refused = Pages(*server, query + what, [&](const HttpAnswer& page) {
    sum.rows += NumberOf(page, "maily-rows");
    sum.without_address += NumberOf(page, "maily-without-address");
    out << page.body;
  });
  if (!refused) return PrintError(common, refused.error());
  if (*refused) return PrintAnswer(common, **refused);
  out.flush();
  if (!out) return PrintError(common, Fail(Code::kFatal, "{}: writing it failed; is there room?", to_file ? part : "standard output"));
  if (to_file) {
    file.close();
    std::error_code error;
    std::filesystem::rename(part, flags.file, error);
    if (error) return PrintError(common, Fail(Code::kFatal, "{}: {}", flags.file, error.message()));
  }
  if (common.json && to_file) {
    std::printf("%s\n",
                nlohmann::json({{"file", flags.file}, {"rows", sum.rows}, {"without_address", sum.without_address}}).dump().c_str());
  } else {
    fmt::print(stderr, "{} contacts{}\n", sum.rows,
               sum.without_address == 0
                   ? ""
                   : fmt::format("; {} more, whose address nobody can open any more, are left out", sum.without_address));
  }
  return kExitOk;
}

}  // namespace

void AddExport(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1, 1);
  CLI::App* sub = app.add_subcommand("contacts", "example: maily export contacts customers.csv --list customers");
  sub->fallthrough();
  sub->footer(
      "What it writes can be imported elsewhere: the column maily:status says who gets no mail, and an import heeds it. Cells that a "
      "spreadsheet would take for a formula begin with a ', which that import takes off.");
  auto flags = std::make_shared<Flags>();
  flags->server.AddTo(*sub);
  sub->add_option("file", flags->file, "where to; it is there once it is whole; - = standard output, the default");
  sub->add_option("--format", flags->format, "csv or ndjson")->check(CLI::IsMember({"csv", "ndjson"}))->capture_default_str();
  sub->add_option("--list", flags->list, "only the members of this list, by name or id");
  sub->add_option("--columns", flags->columns, "attributes of a CSV file, a,b,c; default: all that there are");
  sub->callback([&chosen, flags] { chosen = [flags](const Common& common) { return Run(common, *flags); }; });
}

}  // namespace maily::app
