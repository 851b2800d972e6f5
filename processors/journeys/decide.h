// Decides what is asked of journeys in the tenant's home, and what the home announced in each partition.
//
//   DefineJourney ──▶ JourneyDefined ──link──▶ in each partition JourneyOpened: who enters from then on is in that version. Who is in an
//   older one stays in it, unless the version says where those who stand at a step go on: a sweep (slices.h) moves them.
#pragma once

#include "maily/journeys/v1/commands.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::journeys {

inline constexpr uint32_t kJourneysMax = 100;  // of one tenant, archived ones apart
inline constexpr uint32_t kVersionsMax = 200;  // of one journey: every partition keeps them
inline constexpr size_t kJourneyNameBytesMax = 100;
inline constexpr size_t kVersionBytesMax = 56 * 1024;  // of a version as it is stored: a link carries it as one command

// In the home. Answers journey_id, version. Codes of refusal: "invalid_name", "journey_invalid" (every problem, with its JSON Pointer),
// "journey_exists" (with its journey_id), "journey_not_found", "journey_archived", "journey_changed" (it has another version than
// based_on), "too_many_journeys", "too_many_versions".
void Decide(task::Context& context, const v1::DefineJourney& command);
// "journey_not_found".
void Decide(task::Context& context, const v1::ArchiveJourney& command);
// "journey_not_found", "journey_archived".
void Decide(task::Context& context, const v1::PauseJourney& command);
void Decide(task::Context& context, const v1::ResumeJourney& command);

// In each partition. A second copy changes nothing.
void Decide(task::Context& context, const v1::JourneyDefined& defined);
void Decide(task::Context& context, const v1::JourneyArchived& archived);
void Decide(task::Context& context, const v1::JourneyPaused& paused);
void Decide(task::Context& context, const v1::JourneyResumed& resumed);

}  // namespace maily::journeys
