// The definition of a journey: its JSON form, read and checked as a whole. docs/journeys.md is its reference.
//
//   {"entry": {"event": "order_placed", "key": "order_id"}, "steps": [{"id": "thanks", "type": "send", "template": "thanks"}, …]}
// Pure. Every problem is named at once, each with its JSON Pointer. What follows a step is its "next"; without one, the step that stands
// behind it; behind the last one, or at "end", the journey is over.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "maily/journeys/v1/state.pb.h"
#include "processors/audience/segment_language.h"

namespace maily::journeys {

inline constexpr size_t kDefinitionBytesMax = 24 * 1024;
inline constexpr int kStepsMax = 100;
inline constexpr int kBranchesMax = 20;        // of a split
inline constexpr size_t kStepIdBytesMax = 40;  // a-z, 0-9, _ and -
inline constexpr size_t kEventNameBytesMax = 64;
inline constexpr size_t kPropertyBytesMax = 64;
inline constexpr size_t kProblemsMax = 50;  // further ones are not looked for
inline constexpr int64_t kDurationMaxS = 366 * 86'400;
inline constexpr int64_t kMaxLateDefaultS = 86'400;
inline constexpr std::string_view kEnd = "end";  // no step may be called so

struct JourneyProblem {
  std::string where;  // JSON Pointer
  std::string
      code;  // "missing", "unknown_field", "invalid", "unknown_step", "unknown_segment", "unknown_template", "unreachable", "cycle", …
  std::string sentence;
  bool operator==(const JourneyProblem&) const = default;
};

// What names stand for.
struct JourneyCatalog {
  std::function<std::optional<uint64_t>(std::string_view name)> segment = {};
  // What a step that sends this template needs; none: why not is put into the problem.
  std::function<std::optional<v1::StepForm>(std::string_view name, JourneyProblem& problem)> form = {};
  audience::SegmentCatalog expressions = {};  // of splits
};

struct ParsedJourney {
  v1::JourneyDefinition definition;  // not to be used if there are problems
  std::vector<JourneyProblem> problems;
};
// Never fails but by problems; any bytes may be given.
ParsedJourney ParseJourney(std::string_view json, const JourneyCatalog& catalog);

// "90s", "15m", "36h", "3d", "2w" as seconds, 1 to kDurationMaxS; none: it is no such text.
std::optional<int64_t> ParseDuration(std::string_view text);

// The step of that id; null: there is none.
const v1::JourneyStep* FindStep(const v1::JourneyDefinition& definition, std::string_view id);

}  // namespace maily::journeys
