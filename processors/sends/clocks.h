// The sending side of clocks: buckets of contacts that wait for the same one, the pace, and the caps of contacts.
//
// A campaign that goes by clocks is walked bucket by bucket, in each by lane: ZoneLane has the cursor. A bucket that waits costs nothing
// and has one timer, however many its contacts are. Who is put off alone (a retry, a contact that has moved) waits as a retry does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

// What a partition may catch up of its pace after it had to wait for something else: an outage is not made good for.
inline constexpr Duration kPaceBurst = Seconds(1);
// A bucket that opens later than this after its time: its contacts get no mail.
inline constexpr Duration kLateMax = Hours(24);

// Timers. Subjects: campaign_id ‖ bucket; campaign_id (8 bytes each, big-endian).
inline constexpr task::TimerStep kZoneStep = 61;
inline constexpr task::TimerStep kPaceStep = 62;
std::string ZoneSubject(uint64_t campaign_id, uint64_t bucket);

// 0: none.
uint64_t BucketOf(const state::View<v1::ZoneChunk>& chunks, TenantId tenant, uint64_t campaign_id, uint64_t ordinal);

// A contact of this lane is pending no more. Nothing if the campaign goes by no clock.
void PassedByClock(task::Fold& fold, uint64_t campaign_id, uint64_t ordinal, uint64_t lane);
// A mail was opened: the next one goes when the pace lets it.
void Pace(task::Fold& fold, uint64_t campaign_id);

// When the next mail may go; 0: now.
int64_t PacedUntil(const task::Context& context, uint64_t campaign_id);
// The campaign waits for its pace: a timer brings it back.
void WaitForPace(task::Context& context, uint64_t campaign_id, int64_t until_us);

void OpenZone(task::Context& context, std::string_view subject);
void PaceDue(task::Context& context, std::string_view subject);

void Evolve(task::Fold& fold, const campaigns::v1::ZonesPlanned& event);
void Evolve(task::Fold& fold, const campaigns::v1::RunThrottled& event);
void Evolve(task::Fold& fold, const v1::MailCounted& event);
void Evolve(task::Fold& fold, const v1::ZoneClosed& event);
void Evolve(task::Fold& fold, const v1::ZoneOpened& event);
void Evolve(task::Fold& fold, const v1::PaceWaited& event);

}  // namespace maily::sends
