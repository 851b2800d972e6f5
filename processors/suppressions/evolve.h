// Folds who gets no mail.
#pragma once

#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr uint32_t kEvolveVersion = 3;

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SuppressionUpheld& event);
void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event);
// Messages that got through while soft bounces are counted: beyond kDeliveredMax the count is over.
inline constexpr int kDeliveredMax = 8;
void Evolve(task::Fold& fold, const sends::v1::AttemptDelivered& event);
void Evolve(task::Fold& fold, const sends::v1::UnknownResolved& event);
void Evolve(task::Fold& fold, const v1::DomainSuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::DomainSuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SuppressedDomainChanged& event);

// What says that an address is not to be mailed (SuppressionHolds).
inline constexpr int kCampaignsHeldMax = 16;
void Evolve(task::Fold& fold, const sends::v1::AttemptBounced& event);
void Evolve(task::Fold& fold, const sends::v1::BounceReceived& event);
void Evolve(task::Fold& fold, const sends::v1::ComplaintReceived& event);
void Evolve(task::Fold& fold, const sends::v1::BounceReclassified& event);

}  // namespace maily::suppressions
