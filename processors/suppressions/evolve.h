// Folds who gets no mail.
#pragma once

#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr uint32_t kEvolveVersion = 2;

void Evolve(task::Fold& fold, const v1::SuppressionAdded& event);
void Evolve(task::Fold& fold, const v1::SuppressionRemoved& event);
void Evolve(task::Fold& fold, const v1::SuppressionUpheld& event);
void Evolve(task::Fold& fold, const v1::SoftBounceCounted& event);
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
