// The only places where segments are evaluated, each a slice of work whose findings are events: a version that comes into force, contacts
// that are to be decided again, previews.
#pragma once

#include <string_view>

#include "streams/task/processor.h"

namespace maily::segments {

// Ordinals of one slice of a plan or a preview: about a millisecond; fewer where sealed values are opened. Both divide kChunkOrdinals.
inline constexpr uint64_t kPlanOrdinals = 1024;
inline constexpr uint64_t kSealedPlanOrdinals = 64;
// Contacts of one slice of checks.
inline constexpr size_t kChecksMax = 128;
// Sample contacts of a preview, of each kind, in one partition.
inline constexpr uint32_t kSamplesMax = 20;

// Work kinds kPlanSegment, kDecideChecks, kCountPreview.
task::SliceEnd PlanSegment(task::Context& context, std::string_view subject);
task::SliceEnd DecideChecks(task::Context& context, std::string_view subject);
task::SliceEnd CountPreview(task::Context& context, std::string_view subject);

// Timer kCheckStep.
void ChecksCome(task::Context& context, std::string_view subject);

}  // namespace maily::segments
