// See clocks.h.
#include "processors/sends/clocks.h"

#include <algorithm>
#include <limits>
#include <map>

#include "maily/campaigns/v1/state.pb.h"
#include "processors/compliance/timing.h"
#include "processors/sends/evolve.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

const campaigns::v1::CampaignRun* RunOf(const task::Fold& fold, uint64_t campaign_id) {
  return fold.view<campaigns::v1::CampaignRun>().Find(state::Key(fold.tenant(), campaign_id));
}

v1::ZoneBucket& Bucket(task::Fold& fold, uint64_t campaign_id, uint64_t bucket) {
  return fold.table<v1::ZoneBucket>().Edit(state::Key(fold.tenant(), campaign_id, bucket));
}

v1::ZoneLane& Lane(task::Fold& fold, uint64_t campaign_id, uint64_t bucket, uint64_t lane) {
  return fold.table<v1::ZoneLane>().Edit(state::Key(fold.tenant(), campaign_id, bucket, lane));
}

void Close(task::Fold& fold, v1::ZoneBucket& bucket, uint64_t campaign_id, uint64_t number, int64_t opens_at_us) {
  bucket.set_opens_at_us(opens_at_us);
  fold.ArmTimer(Instant{opens_at_us}, kZoneStep, ZoneSubject(campaign_id, number));
}

// Those of one slice, whose chunk it does not leave.
void Place(task::Fold& fold, const campaigns::v1::ZonesPlanned& event) {
  const uint64_t number = (event.first_ordinal() - 1) / kChunkOrdinals;
  const size_t at = (event.first_ordinal() - 1) % kChunkOrdinals;
  std::string& places = *fold.table<v1::ZoneChunk>().Edit(state::Key(fold.tenant(), event.campaign_id(), number)).mutable_buckets();
  places.resize(std::max(places.size(), at + event.buckets().size()));
  places.replace(at, event.buckets().size(), event.buckets());
}

}  // namespace

std::string ZoneSubject(uint64_t campaign_id, uint64_t bucket) {
  std::string subject = SendSubject(campaign_id);
  PutOrdered<uint64_t>(subject, bucket);
  return subject;
}

uint64_t BucketOf(const state::View<v1::ZoneChunk>& chunks, TenantId tenant, uint64_t campaign_id, uint64_t ordinal) {
  const v1::ZoneChunk* chunk = chunks.Find(state::Key(tenant, campaign_id, (ordinal - 1) / kChunkOrdinals));
  const size_t at = (ordinal - 1) % kChunkOrdinals;
  return chunk == nullptr || at >= chunk->buckets().size() ? 0 : static_cast<uint8_t>(chunk->buckets()[at]);
}

// ---- Evolve ----

void Evolve(task::Fold& fold, const campaigns::v1::ZonesPlanned& event) {
  const uint64_t campaign_id = event.campaign_id();
  if (!event.new_buckets().empty()) {
    uint64_t number = 0;  // of the last that there is
    fold.view<v1::ZoneBucket>().Scan(state::Key(fold.tenant(), campaign_id), {}, [&](std::string_view, const v1::ZoneBucket&) {
      ++number;
      return true;
    });
    for (const campaigns::v1::NewBucket& planned : event.new_buckets()) {
      v1::ZoneBucket& bucket = Bucket(fold, campaign_id, ++number);
      bucket.set_zone(planned.zone());
      bucket.set_due_us(planned.due_us());
      bucket.set_agree(planned.agree());
      if (planned.opens_at_us() != 0) Close(fold, bucket, campaign_id, number, planned.opens_at_us());
    }
  }
  Place(fold, event);
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> left;  // by bucket and lane
  const auto chunks = fold.view<v1::SendChunk>();
  const v1::SendChunk* chunk = chunks.Find(state::Key(fold.tenant(), campaign_id, (event.first_ordinal() - 1) / kChunkOrdinals));
  for (size_t i = 0; i < event.buckets().size(); ++i) {
    const auto bucket = static_cast<uint8_t>(event.buckets()[i]);
    const size_t at = (event.first_ordinal() - 1) % kChunkOrdinals + i;
    if (bucket == 0 || chunk == nullptr || at >= chunk->statuses().size() || static_cast<uint8_t>(chunk->statuses()[at]) != v1::PENDING)
      continue;
    ++left[{bucket, at < chunk->lanes().size() ? static_cast<uint8_t>(chunk->lanes()[at]) : 0}];
  }
  for (const auto& [where, count] : left) {
    const auto& [bucket, lane] = where;
    v1::ZoneBucket& whole = Bucket(fold, campaign_id, bucket);
    whole.set_left(whole.left() + count);
    v1::ZoneLane& part = Lane(fold, campaign_id, bucket, lane);
    if (part.left() == 0) part.set_cursor(event.first_ordinal() - 1);
    part.set_left(part.left() + count);
  }
  fold.AddWork(kSend, SendSubject(campaign_id));
}

void PassedByClock(task::Fold& fold, uint64_t campaign_id, uint64_t ordinal, uint64_t lane) {
  const auto* run = RunOf(fold, campaign_id);
  if (run == nullptr || !run->by_clock()) return;
  const uint64_t bucket = BucketOf(fold.view<v1::ZoneChunk>(), fold.tenant(), campaign_id, ordinal);
  if (bucket == 0) return;
  v1::ZoneBucket& whole = Bucket(fold, campaign_id, bucket);
  whole.set_left(whole.left() - 1);
  v1::ZoneLane& part = Lane(fold, campaign_id, bucket, lane);
  part.set_cursor(std::max(part.cursor(), ordinal));
  part.set_left(part.left() - 1);
}

void Pace(task::Fold& fold, uint64_t campaign_id) {
  const auto* run = RunOf(fold, campaign_id);
  if (run == nullptr || !run->has_pace()) return;
  const std::string key = state::Key(fold.tenant(), campaign_id);
  if (fold.view<v1::SendPace>().Find(key) == nullptr) return;
  v1::SendPace& pace = fold.table<v1::SendPace>().Edit(key);
  if (pace.interval_us() == 0 || pace.next_us() == kNever) return;
  pace.set_next_us(std::max(pace.next_us(), (fold.now() - kPaceBurst).us) + pace.interval_us());
}

void Evolve(task::Fold& fold, const campaigns::v1::RunThrottled& event) {
  v1::SendPace& pace = fold.table<v1::SendPace>().Edit(state::Key(fold.tenant(), event.campaign_id()));
  pace.set_interval_us(event.interval_us());
  pace.set_next_us(event.interval_us() == 0 ? 0 : event.first_us());
  pace.set_wakes_us(0);
  fold.AddWork(kSend, SendSubject(event.campaign_id()));
}

void Evolve(task::Fold& fold, const v1::PaceWaited& event) {
  fold.table<v1::SendPace>().Edit(state::Key(fold.tenant(), event.campaign_id())).set_wakes_us(event.until_us());
  if (event.until_us() != 0) {
    fold.ArmTimer(Instant{event.until_us()}, kPaceStep, SendSubject(event.campaign_id()));
  } else {
    fold.AddWork(kSend, SendSubject(event.campaign_id()));
  }
}

void Evolve(task::Fold& fold, const v1::MailCounted& event) {
  v1::ContactMails& mails = fold.table<v1::ContactMails>().Edit(state::Key(fold.tenant(), event.ordinal()));
  if (event.moved()) compliance::UncountMail(mails, event.moved_from());
  compliance::CountMail(mails, event.day());
}

void Evolve(task::Fold& fold, const v1::ZoneClosed& event) {
  Close(fold, Bucket(fold, event.campaign_id(), event.bucket()), event.campaign_id(), event.bucket(), event.opens_at_us());
}

void Evolve(task::Fold& fold, const v1::ZoneOpened& event) {
  v1::ZoneBucket& bucket = Bucket(fold, event.campaign_id(), event.bucket());
  bucket.set_opens_at_us(0);
  bucket.set_late(event.late());
  fold.AddWork(kSend, SendSubject(event.campaign_id()));
}

// ---- Decide ----

int64_t PacedUntil(const task::Context& context, uint64_t campaign_id) {
  const auto* pace = context.view<v1::SendPace>().Find(state::Key(context.tenant(), campaign_id));
  return pace == nullptr || pace->interval_us() == 0 || pace->next_us() <= context.now().us ? 0 : pace->next_us();
}

void WaitForPace(task::Context& context, uint64_t campaign_id, int64_t until_us) {
  if (until_us == kNever) return;  // the plan brings it back
  const auto* pace = context.view<v1::SendPace>().Find(state::Key(context.tenant(), campaign_id));
  if (pace == nullptr || pace->wakes_us() > context.now().us) return;  // its timer runs
  v1::PaceWaited waited;
  waited.set_campaign_id(campaign_id);
  waited.set_until_us(until_us);
  context.Emit(waited);
}

void PaceDue(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const auto* pace = context.view<v1::SendPace>().Find(state::Key(context.tenant(), campaign_id));
  if (pace == nullptr || pace->wakes_us() == 0 || pace->wakes_us() > context.now().us) return;
  v1::PaceWaited waited;
  waited.set_campaign_id(campaign_id);
  context.Emit(waited);
}

void OpenZone(task::Context& context, std::string_view subject) {
  Cursor cursor(subject);
  const auto campaign_id = cursor.Ordered<uint64_t>();
  const auto number = cursor.Ordered<uint64_t>();
  const auto* bucket = context.view<v1::ZoneBucket>().Find(state::Key(context.tenant(), campaign_id, number));
  if (bucket == nullptr || bucket->opens_at_us() == 0 || bucket->opens_at_us() > context.now().us) return;
  const auto* run = context.view<campaigns::v1::CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  if (run != nullptr && run->state() == campaigns::v1::CANCELLING) return;
  v1::ZoneOpened opened;
  opened.set_campaign_id(campaign_id);
  opened.set_bucket(static_cast<uint32_t>(number));
  // A pause is somebody's will, and no outage.
  opened.set_late(run != nullptr && run->state() == campaigns::v1::RUNNING && context.now() - Instant{bucket->opens_at_us()} > kLateMax);
  context.Emit(opened);
}

}  // namespace maily::sends
