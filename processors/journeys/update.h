// Steps that change the contact: how they are read, and how often one may.
//
// A change may let the contact enter the same journey again, by a segment, and so on for ever. So a contact's place in a journey has at
// most kUpdatesMax changes an hour, over re-entries; the step is skipped then, nothing changes, and the round ends.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <utility>

#include "maily/contacts/v1/state.pb.h"
#include "maily/journeys/v1/state.pb.h"
#include "processors/journeys/definition.h"

namespace maily::journeys {

inline constexpr uint32_t kUpdatesMax = 20;
inline constexpr int64_t kUpdatesWithinS = 3'600;
inline constexpr size_t kUpdateValuesMax = 20;       // attributes that a step sets
inline constexpr size_t kUpdateTagsMax = 20;         // tags that it adds, and that it removes
inline constexpr size_t kUpdateTextBytesMax = 1024;  // of a value

// Reads "set", "add_tags" and "remove_tags" of a step. `attributes`: those that are registered.
v1::UpdateStep ReadUpdate(const nlohmann::json& step, std::string_view where, const audience::SegmentCatalog& catalog,
                          std::vector<JourneyProblem>& problems);

// The contact has all of it already.
bool IsAsWanted(const contacts::v1::Contact& contact, const v1::UpdateStep& update);

// Whether one more is allowed at that second, and what is then remembered: since when, and how many.
bool MayUpdate(const v1::JourneyInstance& instance, int64_t now_s);
void CountUpdate(v1::JourneyInstance& instance, int64_t now_s);

}  // namespace maily::journeys
