// What happens to a contact moves it in its journeys, in the decision of what happened: it enters, a wait is over, a goal is reached, or it
// is out. One event has all of it, whoever is concerned; what is then to be done at a step, slices do (slices.h).
#pragma once

#include <string>

#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::journeys {

void React(task::Context& context, const engagements::v1::ContactEventRecorded& event);
// Of people, not of machines.
void React(task::Context& context, const engagements::v1::Opened& event);
void React(task::Context& context, const engagements::v1::Clicked& event);
void React(task::Context& context, const engagements::v1::Unsubscribed& event);
// It is over for the contact in every journey that it is in.
void LeaveAll(task::Context& context, uint64_t ordinal, const std::string& why);
void React(task::Context& context, const suppressions::v1::SuppressionAdded& event);
void React(task::Context& context, const contacts::v1::ContactErased& event);
void React(task::Context& context, const contacts::v1::ContactMerged& event);
void React(task::Context& context, const segments::v1::MembershipsDecided& event);
void React(task::Context& context, const segments::v1::SegmentPlanned& event);

}  // namespace maily::journeys
