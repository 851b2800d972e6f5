// Folds what happened to journeys: definitions, who stands where, and what is due when. Nothing is judged here: slices do (slices.h).
//
// An instance that is to go on has an entry in JourneyDue: at the end of its wait, or at once. One timer a tenant and partition stands for
// the first of them; what is due is a work item.
#pragma once

#include "maily/journeys/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::journeys {

inline constexpr uint32_t kEvolveVersion = 2;

// Work: instances that are due (subject: empty); everybody in a journey is looked at (subject: journey_id, 8 bytes, big-endian).
inline constexpr task::WorkKind kStepJourneys = 21;
inline constexpr task::WorkKind kSweepJourney = 22;
// Timer: the first wait is over. Subject: empty.
inline constexpr task::TimerStep kDueStep = 21;

void Evolve(task::Fold& fold, const v1::JourneyDefined& event);
void Evolve(task::Fold& fold, const v1::JourneyArchived& event);
void Evolve(task::Fold& fold, const v1::JourneyPaused& event);
void Evolve(task::Fold& fold, const v1::JourneyResumed& event);

void Evolve(task::Fold& fold, const v1::JourneyOpened& event);
void Evolve(task::Fold& fold, const v1::JourneyClosed& event);
void Evolve(task::Fold& fold, const v1::JourneyHeld& event);
void Evolve(task::Fold& fold, const v1::JourneysMoved& event);
void Evolve(task::Fold& fold, const v1::JourneysDue& event);
void Evolve(task::Fold& fold, const v1::ContactUpdateWanted& event);

}  // namespace maily::journeys
