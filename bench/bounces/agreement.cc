// Measures the rules of bounces by a folder of labelled mails: a JSON object on stdout, tables on stderr.
//
// agreement = labels whose class we give too / labels. false_hard = labels that are not hard and that we call hard / labels that are not
// hard. shared = labels agreed by a rule that at least two MTAs' labels are agreed by / labels.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/bounces/corpus.h"

namespace {

using maily::bounces::Count;

void Table(const char* title, const std::map<std::string, Count>& counts) {
  std::fprintf(stderr, "%-24s%8s%8s%8s\n", title, "labels", "agree", "share");
  for (const auto& [name, count] : counts) {
    std::fprintf(stderr, "%-24s%8d%8d%7.1f%%\n", name.c_str(), count.labels, count.agree, 100.0 * count.agree / std::max(count.labels, 1));
  }
}

nlohmann::json Json(const std::map<std::string, Count>& counts) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, count] : counts) json[name] = {{"labels", count.labels}, {"agree", count.agree}};
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Agreement of the bounce rules with labelled mails");
  std::string folder = maily::bounces::DevelopmentCorpus();
  int half = 0;
  bool quiet = false;
  app.add_option("--dir", folder, "folder with mails and expected.json");
  app.add_option("--half", half, "1: every second mail by name from the first one on, 2: the others, 0: all")->check(CLI::Range(0, 2));
  app.add_flag("--quiet", quiet, "no list of disagreements");
  CLI11_PARSE(app, argc, argv);
  const auto corpus = maily::bounces::ReadCorpus(folder);
  if (!corpus) {
    std::fprintf(stderr, "%s\n", corpus.error().ToString().c_str());
    return 2;
  }
  maily::bounces::Score score;
  int mails = 0;
  size_t bytes = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (size_t i = 0; i < corpus->size(); ++i) {
    if (half != 0 && i % 2 != static_cast<size_t>(half - 1)) continue;
    maily::bounces::Add(score, (*corpus)[i]);
    ++mails;
    bytes += (*corpus)[i].bytes.size();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (!quiet) {
    for (const std::string& line : score.disagreements) std::fprintf(stderr, "%s\n", line.c_str());
  }
  Table("reason", score.by_reason);
  Table("mta", score.by_mta);
  std::vector<std::pair<std::string, int>> rules(score.by_rule.begin(), score.by_rule.end());
  std::ranges::stable_sort(rules, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::fprintf(stderr, "%-24s%8s%8s\n", "rule", "decided", "wrong");
  nlohmann::json by_rule = nlohmann::json::object();
  for (const auto& [rule, count] : rules) {
    std::fprintf(stderr, "%-24s%8d%8d\n", rule.c_str(), count, score.wrong_by_rule[rule]);
    by_rule[rule] = {{"decided", count}, {"wrong", score.wrong_by_rule[rule]}};
  }
  std::fprintf(stderr, "agreement %.2f%% of %d labels of %d mails; false hard %.2f%% of %d labels that are not hard; %.0f mails/s\n",
               100 * score.agreement(), score.all.labels, mails, 100 * score.false_hard_share(), score.not_hard, mails / seconds);
  std::fprintf(stderr, "by rules that two MTAs share %.2f%%; by rules of one MTA alone:", 100 * score.shared_agreement());
  for (const auto& [rule, by_mta] : score.agreed_by_rule) {
    if (by_mta.size() == 1) std::fprintf(stderr, " %s (%s %d)", rule.c_str(), by_mta.begin()->first.c_str(), by_mta.begin()->second);
  }
  std::fprintf(stderr, "\n");
  const nlohmann::json report = {{"agreement", score.agreement()},
                                 {"shared_agreement", score.shared_agreement()},
                                 {"false_hard", score.false_hard_share()},
                                 {"mails", mails},
                                 {"labels", score.all.labels},
                                 {"labels_agreed", score.all.agree},
                                 {"labels_not_hard", score.not_hard},
                                 {"labels_false_hard", score.false_hard},
                                 {"mails_per_second", mails / seconds},
                                 {"bytes", bytes},
                                 {"by_reason", Json(score.by_reason)},
                                 {"by_mta", Json(score.by_mta)},
                                 {"by_rule", by_rule},
                                 {"disagreements", score.disagreements}};
  std::printf("%s\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return 0;
}
