// Folds what happened to segments; keeps what contacts did, whether a segment asks for it or not, so that a new one finds it; and notes
// which contacts are to be decided again. Nothing is evaluated here: slices do (slices.h), and what they found are events.
#pragma once

#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::segments {

inline constexpr uint32_t kEvolveVersion = 2;

// Work: a version that is put into force, a preview that is counted (subject: their id, 8 bytes, big-endian), checks that are due
// (subject: empty).
inline constexpr task::WorkKind kPlanSegment = 3;
inline constexpr task::WorkKind kCountPreview = 4;
inline constexpr task::WorkKind kDecideChecks = 5;
// Timer: the first check is due. Subject: empty.
inline constexpr task::TimerStep kCheckStep = 3;

void Evolve(task::Fold& fold, const v1::SegmentDefined& event);
void Evolve(task::Fold& fold, const v1::SegmentArchived& event);
void Evolve(task::Fold& fold, const v1::SegmentPreviewRequested& event);

void Evolve(task::Fold& fold, const v1::SegmentOpened& event);
void Evolve(task::Fold& fold, const v1::SegmentPlanned& event);
void Evolve(task::Fold& fold, const v1::MembershipsDecided& event);
void Evolve(task::Fold& fold, const v1::SegmentClosed& event);
void Evolve(task::Fold& fold, const v1::ChecksDue& event);
void Evolve(task::Fold& fold, const v1::PreviewOpened& event);
void Evolve(task::Fold& fold, const v1::PreviewCounted& event);

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event);
void Evolve(task::Fold& fold, const contacts::v1::ContactChanged& event);
void Evolve(task::Fold& fold, const contacts::v1::ContactAddressChanged& event);
void Evolve(task::Fold& fold, const contacts::v1::ContactErased& event);
void Evolve(task::Fold& fold, const contacts::v1::ContactMerged& event);
void Evolve(task::Fold& fold, const lists::v1::MemberJoined& event);
void Evolve(task::Fold& fold, const lists::v1::MemberLeft& event);
void Evolve(task::Fold& fold, const lists::v1::Resubscribed& event);
void Evolve(task::Fold& fold, const engagements::v1::Unsubscribed& event);
void Evolve(task::Fold& fold, const suppressions::v1::SuppressionAdded& event);
void Evolve(task::Fold& fold, const suppressions::v1::SuppressionRemoved& event);
void Evolve(task::Fold& fold, const engagements::v1::Opened& event);
void Evolve(task::Fold& fold, const engagements::v1::Clicked& event);
void Evolve(task::Fold& fold, const engagements::v1::ContactEventRecorded& event);
void Evolve(task::Fold& fold, const sends::v1::AttemptDelivered& event);
void Evolve(task::Fold& fold, const sends::v1::UnknownResolved& event);

}  // namespace maily::segments
