// `maily segment preview` and `check`: ask for a count, wait until every partition has counted, and show it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

using json = nlohmann::ordered_json;

constexpr auto kPollPause = std::chrono::milliseconds(20);

struct Flags {
  ServerFlags server;
  std::string where;
  uint64_t segment = 0;
  bool dry_run = false;
  uint32_t wait_s = 60;
};

struct Counted {
  std::optional<HttpAnswer> refusal;  // or a count that did not end in time
  json preview;
};

// kRetry: the server cannot be reached, or answers no JSON.
Result<Counted> Count(const Server& server, const json& body, uint32_t wait_s) {
  MAILY_TRY(HttpAnswer asked, Ask(server, "POST", "/v1/segments:preview", body.dump(), "application/json"));
  if (asked.status != 201) return Counted{.refusal = std::move(asked), .preview = {}};
  const json made = json::parse(asked.body, nullptr, false);
  if (!made.is_object() || !made.contains("id")) return Fail(Code::kRetry, "{} answered no preview", server.url);
  // The projection may be behind what was just asked: it is waited for by the token.
  const std::string path = fmt::format("/v1/segment-previews/{}?wait_ms=10000&min={}", made["id"].get<uint64_t>(),
                                       PercentEncode(asked.headers["maily-consistency-token"]));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(wait_s);
  for (;;) {
    MAILY_TRY(HttpAnswer shown, Ask(server, "GET", path, "", ""));
    const json preview = json::parse(shown.body, nullptr, false);
    if (shown.status != 200) return Counted{.refusal = std::move(shown), .preview = {}};
    if (!preview.is_object()) return Fail(Code::kRetry, "{} answered no JSON", server.url);
    if (preview.value("status", "") == "done") return Counted{.refusal = {}, .preview = preview};
    if (std::chrono::steady_clock::now() > until) {
      return Fail(Code::kRetry, "the preview {} is still being counted after {} s; ask for it again, or wait longer with --wait",
                  made["id"].get<uint64_t>(), wait_s);
    }
    std::this_thread::sleep_for(kPollPause);  // between polls of another process
  }
}

std::string Ids(const json& ids) {
  std::string all;
  for (const json& id : ids) all += (all.empty() ? "" : " ") + id.get<std::string>();
  return all;
}

void PrintPreview(const json& preview) {
  fmt::print("{} of {} contacts match: {}\n", preview["matching"].get<uint64_t>(), preview["contacts"].get<uint64_t>(),
             preview["where"].get<std::string>());
  fmt::print("{} are undecided\n", preview["undecided"].get<uint64_t>());
  for (const auto& [name, contacts] : preview["missing"].items()) {
    if (contacts.get<uint64_t>() > 0) fmt::print("{} have no {}\n", contacts.get<uint64_t>(), name);
  }
  if (!preview["samples"].empty()) fmt::print("samples: {}\n", Ids(preview["samples"]));
  if (!preview.contains("against")) return;
  const json& against = preview["against"];
  fmt::print("segment {} has {} members: {} would enter, {} would leave\n", against["segment_id"].get<uint64_t>(),
             against["members"].get<uint64_t>(), against["enter"].get<uint64_t>(), against["leave"].get<uint64_t>());
  if (!against["enter_samples"].empty()) fmt::print("entering: {}\n", Ids(against["enter_samples"]));
  if (!against["leave_samples"].empty()) fmt::print("leaving: {}\n", Ids(against["leave_samples"]));
  if (against["pending"].get<uint64_t>() > 0)
    fmt::print("{} contacts were just changing and are not compared\n", against["pending"].get<uint64_t>());
}

int RunPreview(const Common& common, const Flags& flags) {
  if (flags.where.empty() && flags.segment == 0) {
    return PrintError(common, Fail(Code::kInvalid, "give an expression, or a segment by --segment, or both to compare them"));
  }
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  json body = json::object();
  if (!flags.where.empty()) body["where"] = flags.where;
  if (flags.segment != 0) body["segment_id"] = flags.segment;
  if (flags.dry_run) {
    const auto answer = Ask(*server, "POST", "/v1/segments:preview?dry_run=true", body.dump(), "application/json");
    return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
  }
  const auto counted = Count(*server, body, flags.wait_s);
  if (!counted) return PrintError(common, counted.error());
  if (counted->refusal) return PrintAnswer(common, *counted->refusal);
  if (common.json) {
    std::printf("%s\n", counted->preview.dump().c_str());
  } else {
    PrintPreview(counted->preview);
  }
  return kExitOk;
}

// The segments to be checked: that one, or all that are in use.
Result<std::vector<uint64_t>> SegmentsOf(const Server& server, uint64_t one, std::optional<HttpAnswer>& refusal) {
  std::vector<uint64_t> ids;
  if (one != 0) return std::vector<uint64_t>{one};
  for (std::string page;;) {
    MAILY_TRY(HttpAnswer answer,
              Ask(server, "GET", "/v1/segments?page_size=500" + (page.empty() ? "" : "&page_token=" + PercentEncode(page)), "", ""));
    if (answer.status != 200) {
      refusal = std::move(answer);
      return ids;
    }
    const json body = json::parse(answer.body, nullptr, false);
    if (!body.is_object() || !body.contains("items")) return Fail(Code::kRetry, "{} answered no list", server.url);
    for (const json& item : body["items"]) {
      if (item.value("status", "") != "archived") ids.push_back(item["id"].get<uint64_t>());
    }
    page = body.value("next_page_token", "");
    if (page.empty()) return ids;
  }
}

int RunCheck(const Common& common, const Flags& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::optional<HttpAnswer> refusal;
  const auto segments = SegmentsOf(*server, flags.segment, refusal);
  if (!segments) return PrintError(common, segments.error());
  if (refusal) return PrintAnswer(common, *refusal);
  json report{{"segments", segments->size()}, {"differing", 0}, {"checked", json::array()}};
  for (const uint64_t segment_id : *segments) {
    const auto counted = Count(*server, {{"segment_id", segment_id}}, flags.wait_s);
    if (!counted) return PrintError(common, counted.error());
    if (counted->refusal) return PrintAnswer(common, *counted->refusal);
    json against = counted->preview["against"];
    const bool equal = against["kept_digest"] == against["decided_digest"] && against["enter"] == 0 && against["leave"] == 0;
    against["equal"] = equal;
    if (!equal) report["differing"] = report["differing"].get<uint64_t>() + 1;
    if (!common.json) {
      fmt::print("{:5} segment {}: {} members, digest {}, decided anew {}{}\n", equal ? "ok" : "DIFF", segment_id,
                 against["members"].get<uint64_t>(), against["kept_digest"].get<std::string>(),
                 against["decided_digest"].get<std::string>(),
                 against["pending"] == 0 ? "" : fmt::format(", {} contacts not compared", against["pending"].get<uint64_t>()));
    }
    report["checked"].push_back(std::move(against));
  }
  if (common.json) std::printf("%s\n", report.dump().c_str());
  return report["differing"] == 0 ? kExitOk : kExitDifference;
}

}  // namespace

void AddSegmentPreviews(CLI::App& group, Chosen& chosen) {
  CLI::App* preview =
      group.add_subcommand("preview", "example: maily segment preview 'plan = \"pro\" and clicked(last: 7d) >= 1' --segment 1");
  preview->fallthrough();
  preview->footer("Counts, names samples and changes nothing. With --segment it says who would enter that segment and who would leave it.");
  auto flags = std::make_shared<Flags>();
  flags->server.AddTo(*preview);
  preview->add_option("where", flags->where, "the expression, as text or JSON; default: that of --segment");
  preview->add_option("--segment", flags->segment, "the id of a segment to compare with");
  preview->add_option("--wait", flags->wait_s, "seconds to wait for all partitions")->capture_default_str();
  preview->add_flag("--dry-run", flags->dry_run, "only check what is asked, and say what would be appended; nothing is");
  preview->callback([&chosen, flags] { chosen = [flags](const Common& common) { return RunPreview(common, *flags); }; });

  CLI::App* check =
      group.add_subcommand("check", "example: maily segment check (exit code 4 if a membership is not what deciding it anew gives)");
  check->fallthrough();
  check->footer(
      "Decides every contact anew and compares digests. Contacts on whom something is yet to be decided are not compared, and counted.");
  auto check_flags = std::make_shared<Flags>();
  check_flags->server.AddTo(*check);
  check->add_option("id", check_flags->segment, "only this segment");
  check->add_option("--wait", check_flags->wait_s, "seconds to wait for all partitions")->capture_default_str();
  check->callback([&chosen, check_flags] { chosen = [check_flags](const Common& common) { return RunCheck(common, *check_flags); }; });
}

}  // namespace maily::app
