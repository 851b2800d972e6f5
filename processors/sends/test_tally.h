// What the arms of a test's sample did in this partition, while the test is open: who got the mail, and of them who opened, clicked or
// converted, each counted once.
//
// Only what persons did counts, as far as the journal's plain part tells: by the class of the program (AgentClass); not within two seconds
// of the hand-over; not where three different links of one mail, or the link that no person sees, were followed within five seconds: such
// clicks are taken back. The report's rules (projections/campaign_totals/signal_rules.h) read the sealed user agent too, so their numbers
// may differ; they may also change later, which this must not.
#pragma once

#include "maily/campaigns/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

inline constexpr Duration kTestAtOnce = Seconds(2);
inline constexpr Duration kTestBurst = Seconds(5);
inline constexpr int kTestBurstLinks = 3;

// The mail of a contact is at its receiver: whoever is of the sample of an open test counts from now on.
void TallyDelivered(task::Fold& fold, uint64_t campaign_id, uint64_t ordinal);

void Evolve(task::Fold& fold, const engagements::v1::Opened& event);
void Evolve(task::Fold& fold, const engagements::v1::Clicked& event);
void Evolve(task::Fold& fold, const engagements::v1::HoneypotFollowed& event);
void Evolve(task::Fold& fold, const engagements::v1::ContactEventRecorded& event);
void Evolve(task::Fold& fold, const campaigns::v1::RunWinnerSet& event);

// What is told to the home: when the test closes; and, of one that is decided as soon as enough did it, with each one who did.
void React(task::Context& context, const campaigns::v1::RunTestClosed& event);
void React(task::Context& context, const engagements::v1::Opened& event);
void React(task::Context& context, const engagements::v1::Clicked& event);
void React(task::Context& context, const engagements::v1::ContactEventRecorded& event);

}  // namespace maily::sends
