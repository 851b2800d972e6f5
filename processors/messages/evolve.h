// Folds what happened to messages. What events of sends say of a campaign's mail leaves nothing here.
//
// A message is queued in the lane of its recipient's domain while it waits for a credit: lane = the first 8 bytes of the domain's key, or
// 0, which those share that find kLanesMax others. The work item is there while any is queued, or waits for the time of a retry.
#pragma once

#include <string>

#include "maily/messages/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::messages {

inline constexpr uint32_t kEvolveVersion = 2;

inline constexpr uint64_t kLanesMax = 255;  // of a tenant, the shared one apart

// Work: sending a tenant's messages. Subject: empty.
inline constexpr task::WorkKind kSendMessages = 20;
// Timer: a message is given up. Subject: message_id (8 bytes, big-endian).
inline constexpr task::TimerStep kExpireStep = 20;

void Evolve(task::Fold& fold, const v1::MessageFormMade& event);
void Evolve(task::Fold& fold, const v1::MessageFormHeld& event);
void Evolve(task::Fold& fold, const v1::MessageAccepted& event);
// Both are followed by what comes of them.
void Evolve(task::Fold& fold, const v1::MessageWanted& event);
void Evolve(task::Fold& fold, const v1::MessageWithdrawn& event);
void Evolve(task::Fold& fold, const v1::MessagesFlushed& event);

void Evolve(task::Fold& fold, const sends::v1::AttemptOpened& event);
void Evolve(task::Fold& fold, const sends::v1::SendSkipped& event);
void Evolve(task::Fold& fold, const sends::v1::AttemptDelivered& event);
void Evolve(task::Fold& fold, const sends::v1::AttemptDeferred& event);
void Evolve(task::Fold& fold, const sends::v1::AttemptBounced& event);
void Evolve(task::Fold& fold, const sends::v1::AttemptUnknown& event);
void Evolve(task::Fold& fold, const sends::v1::UnknownResolved& event);
void Evolve(task::Fold& fold, const sends::v1::RetryDue& event);
void Evolve(task::Fold& fold, const sends::v1::SendExpired& event);

}  // namespace maily::messages
