// The language of segments: who is selected, as text or as JSON; both mean the same Expression. docs/segments.md is its reference.
//
//   plan = "pro" and clicked(last: 7d) >= 1 and not in_list("vip")
// Pure. Parse reads a form, Check gives its names a meaning (types, ids), ToText and ToJson write an expression in its canonical form,
// which reads back as the same expression.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maily/segments/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"

namespace maily::audience {

// Limits of one expression. Nodes are tests, `and`, `or` and `not`; depth counts what stands within one another, parentheses too.
inline constexpr size_t kSegmentBytesMax = 8 * 1024;
inline constexpr size_t kSegmentNodesMax = 256;
inline constexpr size_t kSegmentDepthMax = 16;
inline constexpr size_t kSegmentValuesMax = 200;      // of one in (…)
inline constexpr size_t kSegmentTextBytesMax = 500;   // of one text
inline constexpr size_t kSegmentProblemsMax = 20;     // further ones are not looked for
inline constexpr int64_t kWindowMaxS = 366 * 86'400;  // of last:
inline constexpr int64_t kDaysMax = 36'600;           // of today ± n
// A window counts to here: as many times are kept of a signal, less one (segment_facts.h).
inline constexpr int64_t kWindowCountMax = 31;
inline constexpr size_t kTagBytesMax = 40;  // as contacts have them (contacts::kTagBytesMax)
inline constexpr int64_t kCountMax = 1'000'000'000;

// What is wrong, where ("2:14" = line and column in bytes, from 1; "$.and[1].op" in JSON), and what to do.
struct SegmentProblem {
  std::string where;
  std::string sentence;
  bool operator==(const SegmentProblem&) const = default;
};

struct ParsedSegment {
  segments::v1::Expression expression;   // empty if there are problems
  std::vector<std::string> where;        // of each node
  std::vector<SegmentProblem> problems;  // of the form
};
// Never fails but by problems; any bytes may be given.
ParsedSegment ParseSegmentText(std::string_view text);
ParsedSegment ParseSegmentJson(std::string_view json);

// What names stand for. Functions give none where there is no such thing.
struct SegmentCatalog {
  struct Attribute {
    std::string_view name;
    tenants::v1::AttributeType type;
    bool personal = false;
  };
  std::vector<Attribute> attributes;
  std::function<std::optional<uint64_t>(std::string_view name)> list;
  std::function<bool(uint64_t id)> list_exists;
  std::function<std::optional<uint64_t>(std::string_view name)> segment;
  std::function<bool(uint64_t id)> segment_exists;
  std::function<bool(uint64_t id)> campaign_exists;
};
// Resolves names and types in place; gives all that is wrong. Not to be called on what has problems.
std::vector<SegmentProblem> CheckSegment(ParsedSegment& parsed, const SegmentCatalog& catalog);

// The canonical forms. The expression is one that Parse gave.
std::string SegmentText(const segments::v1::Expression& expression);
std::string SegmentJson(const segments::v1::Expression& expression);

// What an expression depends on, sorted and without repetition: what happens to nothing of these leaves its answer as it is, unless time
// does it.
struct SegmentDependencies {
  struct One {
    segments::v1::WakeKind kind;
    uint64_t id = 0;
    std::string name;
    auto operator<=>(const One&) const = default;
  };
  std::vector<One> wakes;
  bool timed = false;     // time alone can change its answer
  bool personal = false;  // it looks at sealed values
};
SegmentDependencies DependenciesOf(const segments::v1::Expression& expression);

// "2026-11-22" as days since 1970-01-01; none: no such day (years 1 to 9999, proleptic Gregorian).
std::optional<int32_t> ParseDay(std::string_view text);
std::string DayText(int32_t days);

// Words of the JSON form and of messages.
std::string_view OperatorSign(segments::v1::Operator op);
std::string_view SignalWord(segments::v1::SignalKind kind);

}  // namespace maily::audience
