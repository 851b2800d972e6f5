// `maily bounces review`: today's rules over the refusals of old, page after page, and what they would change; --apply changes it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

using json = nlohmann::ordered_json;

struct ReviewFlags {
  ServerFlags server;
  std::string campaign;
  std::string since;
  std::string why;
  size_t samples = 3;
  size_t page_size = 1000;
  bool apply = false;
  bool dry_run = false;
};

// What was said then and what is said now, how often, and the first few it was said of.
struct Group {
  json was;
  json now;
  uint64_t count = 0;
  json samples = json::array();
};

constexpr const char* kCounts[] = {"reviewed", "not_reviewed",        "changed",          "corrected", "refused",
                                   "pending",  "suppressions_lifted", "suppressions_kept"};

// The sums of all pages.
class Sums {
 public:
  explicit Sums(const ReviewFlags& flags) : flags_(flags) {
    for (const char* name : kCounts) {
      if (flags.apply || std::string_view(name) == "reviewed" || std::string_view(name) == "not_reviewed" ||
          std::string_view(name) == "changed")
        counts_[name] = uint64_t{0};
    }
  }
  void Add(const json& page) {
    for (auto& [name, count] : counts_.items()) count = count.get<uint64_t>() + page.value(name, uint64_t{0});
    for (const json& item : page.value("items", json::array())) {
      Group& group = GroupOf(item.value("was", json()), item.value("now", json()));
      ++group.count;
      if (group.samples.size() >= flags_.samples) continue;
      json sample = item;
      sample.erase("was");
      sample.erase("now");
      group.samples.push_back(std::move(sample));
    }
  }
  json Report() {
    std::ranges::stable_sort(groups_, [](const Group& a, const Group& b) { return a.count > b.count; });
    json report = counts_;
    report["diff"] = json::array();
    for (const Group& group : groups_)
      report["diff"].push_back({{"was", group.was}, {"now", group.now}, {"count", group.count}, {"samples", group.samples}});
    if (!flags_.apply) report["dry_run"] = true;
    return report;
  }

 private:
  Group& GroupOf(json was, json now) {
    const auto known = std::ranges::find_if(groups_, [&](const Group& group) { return group.was == was && group.now == now; });
    return known != groups_.end() ? *known : groups_.emplace_back(Group{.was = std::move(was), .now = std::move(now)});
  }

  const ReviewFlags& flags_;
  json counts_ = json::object();
  std::vector<Group> groups_;  // as many as pairs of rules
};

std::string Words(const json& one) { return one.value("class", "") + " " + one.value("reason", "") + " (" + one.value("rule", "") + ")"; }

void Print(const json& report) {
  for (const auto& [name, value] : report.items()) {
    if (value.is_number()) std::printf("%-20s %s\n", name.c_str(), value.dump().c_str());
  }
  for (const json& group : report["diff"]) {
    std::printf("\n%s\t%s -> %s\n", group["count"].dump().c_str(), Words(group["was"]).c_str(), Words(group["now"]).c_str());
    for (const json& sample : group["samples"]) {
      std::printf("  campaign %s contact %s %s: %s\n", sample.value("campaign_id", json(0)).dump().c_str(),
                  sample.value("contact_id", "").c_str(), sample.value("stage", "").c_str(), sample.value("reply_text", "").c_str());
    }
  }
  if (report.contains("dry_run")) std::printf("\nnothing was changed; --apply --why '…' corrects it\n");
}

std::string Query(const ReviewFlags& flags, const std::string& token) {
  std::string query = "?page_size=" + std::to_string(flags.page_size);
  if (!flags.campaign.empty()) query += "&campaign_id=" + PercentEncode(flags.campaign);
  if (!flags.since.empty()) query += "&since=" + PercentEncode(flags.since);
  if (!token.empty()) query += "&page_token=" + PercentEncode(token);
  return query;
}

std::string BodyOf(const ReviewFlags& flags, const std::string& token) {
  json body{{"why", flags.why}, {"page_size", flags.page_size}};
  if (!flags.campaign.empty()) body["campaign_id"] = std::strtoll(flags.campaign.c_str(), nullptr, 10);
  if (!flags.since.empty()) body["since"] = flags.since;
  if (!token.empty()) body["page_token"] = token;
  return body.dump();
}

// Corrections that wait to be decided are found again by the next run: so it is given again.
int RunReview(const Common& common, const ReviewFlags& flags) {
  if (flags.apply && flags.why.empty()) {
    return PrintError(common, Fail(Code::kInvalid, "--apply wants --why: it is kept with each correction"));
  }
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  if (flags.apply && !Confirm(common, "Correct what is judged otherwise today, and lift suppressions that wrong hard bounces made?")) {
    return kExitRefused;
  }
  Sums sums(flags);
  std::string token;
  do {
    const auto answer = flags.apply ? Ask(*server, "POST", "/v1/bounces/review:apply", BodyOf(flags, token), "application/json")
                                    : Ask(*server, "GET", "/v1/bounces/review" + Query(flags, token), "", "");
    if (!answer) return PrintError(common, answer.error());
    if (answer->status != 200) return PrintAnswer(common, *answer);
    const json page = json::parse(answer->body, nullptr, false);
    if (!page.is_object()) return PrintError(common, Fail(Code::kRetry, "{} answered no JSON", server->url));
    sums.Add(page);
    token = page.value("next_page_token", "");
  } while (!token.empty());
  const json report = sums.Report();
  if (common.json) {
    std::printf("%s\n", report.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  } else {
    Print(report);
  }
  if (flags.apply) return report.value("refused", 0) + report.value("pending", 0) > 0 ? kExitFailed : kExitOk;
  return report.value("changed", 0) > 0 ? kExitDifference : kExitOk;
}

}  // namespace

void AddBounces(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* review = app.add_subcommand(
      "review",
      "what today's rules say of refusals of old; exit code 4 if it is something else; example: maily bounces review --campaign 1");
  review->fallthrough();
  auto flags = std::make_shared<ReviewFlags>();
  flags->server.AddTo(*review);
  review->add_option("--campaign", flags->campaign, "only of this campaign")->check(CLI::PositiveNumber);
  review->add_option("--since", flags->since, "only from this time on, like 2026-11-21T00:00:00Z");
  review->add_option("--samples", flags->samples, "shown of each kind of change")->check(CLI::Range(0, 1000));
  review->add_option("--page-size", flags->page_size, "refusals a request")->check(CLI::Range(1, 1000));
  review->add_option("--why", flags->why, "kept with each correction");
  CLI::Option* apply = review->add_flag("--apply", flags->apply, "correct them, by new events");
  review->add_flag("--dry-run", flags->dry_run, "change nothing, as without --apply")->excludes(apply);
  review->callback([&chosen, flags] { chosen = [flags](const Common& common) { return RunReview(common, *flags); }; });
}

}  // namespace maily::app
