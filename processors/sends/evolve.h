// Folds what happened to sends: a byte a contact in SendChunk, the sums in SendRun, what is open in OpenAttempt.
//
// SendRun.cursor always stands before a pending contact or at the end of what is planned, so a slice finds the next one at once.
// SendRun.waiting counts the deferred, the queued for a retry, and who came into an evergreen audience later and was not tried yet: whoever
// has an OpenAttempt of status WAITING.
#pragma once

#include <string>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

inline constexpr uint32_t kEvolveVersion = 5;

inline constexpr uint64_t kChunkOrdinals = 4096;  // of one SendChunk [format]

// Work: sending a campaign. Subject: campaign_id (8 bytes, big-endian).
inline constexpr task::WorkKind kSend = 2;
std::string SendSubject(uint64_t campaign_id);
// Timer: a deferred mail is due. Subject: campaign_id ‖ ordinal (8 bytes each, big-endian).
inline constexpr task::TimerStep kRetryStep = 2;
// The lane that the contact of a planned campaign waits in.
uint64_t LaneOf(const state::View<v1::SendChunk>& chunks, TenantId tenant, uint64_t campaign_id, uint64_t ordinal);
std::string RetrySubject(uint64_t campaign_id, uint64_t ordinal);

void Evolve(task::Fold& fold, const campaigns::v1::AudiencePlanned& event);
void Evolve(task::Fold& fold, const campaigns::v1::RunStateChanged& event);
void Evolve(task::Fold& fold, const campaigns::v1::CampaignProgressed& event);

void Evolve(task::Fold& fold, const v1::AttemptOpened& event);
void Evolve(task::Fold& fold, const v1::SendSkipped& event);
void Evolve(task::Fold& fold, const v1::SendPutOff& event);
void Evolve(task::Fold& fold, const v1::AttemptDelivered& event);
void Evolve(task::Fold& fold, const v1::AttemptDeferred& event);
void Evolve(task::Fold& fold, const v1::AttemptBounced& event);
void Evolve(task::Fold& fold, const v1::AttemptUnknown& event);
void Evolve(task::Fold& fold, const v1::UnknownResolved& event);
void Evolve(task::Fold& fold, const v1::RetryDue& event);
void Evolve(task::Fold& fold, const v1::SendsFlushed& event);
void Evolve(task::Fold& fold, const v1::SendExpired& event);

// What came back later leaves no state here: the read models tell of it, and suppressions react to it.
void Evolve(task::Fold& fold, const v1::BounceReceived& event);
void Evolve(task::Fold& fold, const v1::ComplaintReceived& event);
void Evolve(task::Fold& fold, const v1::AutoReplied& event);

void Evolve(task::Fold& fold, const v1::BounceReclassified& event);

}  // namespace maily::sends
