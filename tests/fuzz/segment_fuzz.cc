// Segments: the first byte says whether the rest is the text or the JSON form. What is read is written in both forms, which read back as
// the same; and it can be asked of somebody of whom nothing is known.
#include "processors/audience/segment_evaluate.h"
#include "processors/audience/segment_language.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

struct Nobody : audience::SegmentFacts {
  audience::SegmentValue Attribute(const std::string&, tenants::v1::AttributeType, bool) override { return {}; }
  bool HasAttribute(const std::string&) override { return false; }
  bool HasTag(const std::string&) override { return false; }
  bool OnList(uint64_t) override { return false; }
  bool InSegment(uint64_t) override { return false; }
  bool Subscribed() override { return true; }
  bool Suppressed() override { return false; }
  bool Delivered(uint64_t) override { return false; }
  const segments::v1::Signal* Signal(segments::v1::SignalKind, uint64_t, const std::string&) override { return nullptr; }
};

void Try(const audience::ParsedSegment& parsed) {
  if (!parsed.problems.empty()) {
    MAILY_CHECK(parsed.expression.nodes().empty() && parsed.problems.size() <= audience::kSegmentProblemsMax,
                "an expression with problems");
    for (const auto& problem : parsed.problems) MAILY_CHECK(!problem.where.empty() && !problem.sentence.empty(), "a problem without words");
    return;
  }
  const auto& expression = parsed.expression;
  MAILY_CHECK(static_cast<size_t>(expression.nodes_size()) == parsed.where.size() && !expression.nodes().empty() &&
                  static_cast<size_t>(expression.nodes_size()) <= audience::kSegmentNodesMax,
              "{} nodes, {} places", expression.nodes_size(), parsed.where.size());
  const std::string text = audience::SegmentText(expression);
  const std::string json = audience::SegmentJson(expression);
  if (text.size() <= audience::kSegmentBytesMax) {
    const auto again = audience::ParseSegmentText(text);
    // Without parentheses that mean nothing, no form is deeper than it was, but JSON counts its joints otherwise.
    if (again.problems.empty()) {
      MAILY_CHECK(again.expression.SerializeAsString() == expression.SerializeAsString(), "reads back as another: {}", text);
    } else {
      MAILY_CHECK(again.problems[0].sentence.find(" deep ") != std::string::npos, "{} {}: {}", again.problems[0].where,
                  again.problems[0].sentence, text);
    }
  }
  if (json.size() <= audience::kSegmentBytesMax) {
    const auto again = audience::ParseSegmentJson(json);
    if (again.problems.empty()) {
      MAILY_CHECK(again.expression.SerializeAsString() == expression.SerializeAsString(), "reads back as another: {}", json);
    } else {
      MAILY_CHECK(again.problems[0].sentence.find(" deep") != std::string::npos, "{} {}: {}", again.problems[0].where,
                  again.problems[0].sentence, json);
    }
  }
  const auto dependencies = audience::DependenciesOf(expression);
  MAILY_CHECK(dependencies.wakes.size() <= audience::kSegmentNodesMax, "{} dependencies", dependencies.wakes.size());
  Nobody nobody;
  const auto answer = audience::EvaluateSegment(expression, {}, 1'700'000'000, nobody);
  MAILY_CHECK(answer.next_s == audience::kNever, "of nobody time changes something");
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input = maily::fuzz::View(data, size);
  const bool json = maily::fuzz::TakeByte(input) == 'j';
  maily::fuzz::Try(json ? maily::audience::ParseSegmentJson(input) : maily::audience::ParseSegmentText(input));
  return 0;
}
