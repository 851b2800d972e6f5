// Decides who gets no mail at all, in the partition of the contact key, whether the contact exists or not.
#pragma once

#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr size_t kReasonBytesMax = 200;

// Codes of refusal: "invalid_suppression". Whoever is suppressed already keeps the first reason.
void Decide(task::Context& context, const v1::AddSuppression& command);
// "not_suppressed", "invalid_suppression".
void Decide(task::Context& context, const v1::RemoveSuppression& command);

// An address that is bad for good is suppressed by the decision that learns it.
void React(task::Context& context, const sends::v1::AttemptBounced& event);
void React(task::Context& context, const sends::v1::BounceReceived& event);
// Whoever has reported a mail gets no more.
void React(task::Context& context, const sends::v1::ComplaintReceived& event);

}  // namespace maily::suppressions
