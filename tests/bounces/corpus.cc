// See corpus.h.
#include "tests/bounces/corpus.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace maily::bounces {
namespace {

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Label LabelOf(const nlohmann::json& json) {
  Label label{.cls = json.value("hard", false) ? Class::kHard : Class::kSoft, .reason = json.value("reason", "")};
  if (label.reason == "feedback") {
    const std::string type = json.value("feedback", "");
    label.cls = type.empty() || type == "abuse" || type == "fraud" ? Class::kComplaint : Class::kNone;
  } else if (label.reason == "vacation") {
    label.cls = Class::kAutoReply;
  }
  return label;
}

}  // namespace

std::string DevelopmentCorpus() {
  const char* source = std::getenv("MAILY_SOURCE_DIR");
  return std::string(source != nullptr ? source : ".") + "/../shared/conformance/bounces-dev";
}

Result<std::vector<Labelled>> ReadCorpus(const std::string& folder) {
  const std::filesystem::path root(folder);
  const nlohmann::json expected = nlohmann::json::parse(ReadAll(root / "expected.json"), nullptr, false);
  if (!expected.is_object()) return Fail(Code::kNotFound, "no labels in {}/expected.json", folder);
  std::vector<Labelled> corpus;
  for (const auto& [name, labels] : expected.items()) {
    Labelled mail{.name = name, .mta = name.substr(0, name.rfind('-')), .bytes = ReadAll(root / name)};
    for (const auto& label : labels) mail.labels.push_back(LabelOf(label));
    if (mail.bytes.empty()) return Fail(Code::kNotFound, "{}/{} is labelled and missing or empty", folder, name);
    corpus.push_back(std::move(mail));
  }
  return corpus;
}

void Add(Score& score, const Labelled& mail) {
  const Report report = Read(mail.bytes);
  std::vector<const Recipient*> left;
  for (const Recipient& one : report.recipients) left.push_back(&one);
  std::vector<const Label*> unmet;
  for (const Recipient& one : report.recipients) ++score.by_rule[std::string(one.verdict.rule)];
  for (const Label& label : mail.labels) {
    ++score.all.labels;
    ++score.by_reason[label.reason].labels;
    ++score.by_mta[mail.mta].labels;
    score.not_hard += label.cls != Class::kHard;
    const auto found = std::ranges::find_if(left, [&](const Recipient* one) { return one->verdict.cls == label.cls; });
    if (found == left.end()) {
      unmet.push_back(&label);
      continue;
    }
    ++score.agreed_by_rule[std::string((*found)->verdict.rule)][mail.mta];
    left.erase(found);
    ++score.all.agree;
    ++score.by_reason[label.reason].agree;
    ++score.by_mta[mail.mta].agree;
  }
  if (unmet.empty() && !left.empty()) {  // one too many
    --score.all.agree;
    --score.by_reason[mail.labels.front().reason].agree;
    --score.by_mta[mail.mta].agree;
    score.disagreements.push_back(fmt::format("{}: {} labels, {} recipients: {} {} too many", mail.name, mail.labels.size(),
                                              report.recipients.size(), ClassName(left[0]->verdict.cls), left[0]->verdict.rule));
  }
  for (size_t i = 0; i < unmet.size(); ++i) {
    const Recipient* ours = i < left.size() ? left[i] : nullptr;
    score.false_hard += ours != nullptr && ours->verdict.cls == Class::kHard && unmet[i]->cls != Class::kHard;
    if (ours != nullptr) ++score.wrong_by_rule[std::string(ours->verdict.rule)];
    score.disagreements.push_back(fmt::format(
        "{}: label {} {}, ours {} {} ({}) [{}] {}", mail.name, ClassName(unmet[i]->cls), unmet[i]->reason,
        ours != nullptr ? ClassName(ours->verdict.cls) : "nothing", ours != nullptr ? ReasonName(ours->verdict.reason) : "",
        ours != nullptr ? ours->verdict.rule : "", KindName(report.kind), ours != nullptr ? ours->diagnostic.substr(0, 160) : ""));
  }
}

double Score::shared_agreement() const {
  int shared = 0;
  for (const auto& [rule, by_family] : agreed_by_rule) {
    if (by_family.size() < 2) continue;
    for (const auto& [family, count] : by_family) shared += count;
  }
  return all.labels == 0 ? 0 : static_cast<double>(shared) / all.labels;
}

}  // namespace maily::bounces
