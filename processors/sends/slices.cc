// See slices.h.
#include "processors/sends/slices.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/audience/arm_mail.h"
#include "processors/audience/reach.h"
#include "processors/compliance/gate.h"
#include "processors/compliance/timing.h"
#include "processors/personalization/variants.h"
#include "processors/sends/clocks.h"
#include "processors/sends/decide.h"
#include "processors/sends/evolve.h"
#include "processors/sends/flush.h"
#include "processors/sends/report.h"
#include "processors/sends/rest.h"
#include "schemas/keys.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

using campaigns::v1::CampaignRun;
using campaigns::v1::SkipReason;

constexpr size_t kEventsMax = 128;  // of one slice
// Of one slice's events; the last may exceed it by what one contact holds (64 KiB), and a decision holds journal::kDecisionBytesMax.
constexpr size_t kBytesMax = 128 * 1024;
constexpr uint8_t kSendVerdict = 64;
constexpr std::string_view kRelay = "relay";

// Whom the walk comes to next.
struct Next {
  uint64_t ordinal = 0;
  uint32_t arm = 0;
};

// The audience walk of one slice. Ahead of the cursor nothing changes but by planning, so a chunk is copied once.
class Walk {
 public:
  // Of one lane, or of all.
  // `bucket`: only of those who wait for this clock.
  Walk(const task::Context& context, uint64_t campaign_id, uint64_t cursor, std::optional<uint64_t> lane = std::nullopt,
       std::optional<uint64_t> bucket = std::nullopt)
      : context_(context), campaign_id_(campaign_id), lane_(lane), bucket_(bucket), at_(cursor) {}

  std::optional<Next> Find() {
    for (;;) {
      if (!loaded_ || at_ / kChunkOrdinals != chunk_) Load();
      const size_t from = at_ % kChunkOrdinals;
      if (from >= statuses_.size()) return std::nullopt;
      if (const size_t offset = Pending(from); offset < statuses_.size()) {
        at_ = chunk_ * kChunkOrdinals + offset;
        return Next{at_ + 1, static_cast<uint32_t>(static_cast<uint8_t>(verdicts_[offset]) - kSendVerdict)};
      }
      if (statuses_.size() < kChunkOrdinals) return std::nullopt;
      at_ = (chunk_ + 1) * kChunkOrdinals;
    }
  }
  void Pass() { ++at_; }

 private:
  // The first place from `from` on that waits; their number if there is none.
  size_t Pending(size_t from) const {
    const auto next = [](const std::string& bytes, size_t at, uint64_t byte) {
      const void* found = at < bytes.size() ? std::memchr(bytes.data() + at, static_cast<int>(byte), bytes.size() - at) : nullptr;
      return found == nullptr ? bytes.size() : static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    };
    if (!lane_) return next(statuses_, from, v1::PENDING);
    if (bucket_) {
      for (size_t at = next(buckets_, from, *bucket_); at < buckets_.size(); at = next(buckets_, at + 1, *bucket_)) {
        if (static_cast<uint8_t>(lanes_[at]) == *lane_ && static_cast<uint8_t>(statuses_[at]) == v1::PENDING) return at;
      }
      return statuses_.size();
    }
    // Contacts of a lane lie far apart, or all together.
    for (size_t at = next(lanes_, from, *lane_); at < statuses_.size(); at = next(lanes_, at + 1, *lane_)) {
      if (static_cast<uint8_t>(statuses_[at]) == v1::PENDING) return at;
    }
    return statuses_.size();
  }
  void Load() {
    chunk_ = at_ / kChunkOrdinals;
    loaded_ = true;
    const auto* chunk = context_.view<v1::SendChunk>().Find(state::Key(context_.tenant(), campaign_id_, chunk_));
    statuses_ = chunk == nullptr ? std::string() : chunk->statuses();
    verdicts_ = chunk == nullptr ? std::string() : chunk->verdicts();
    if (lane_) lanes_ = chunk == nullptr ? std::string() : chunk->lanes();
    if (lane_) lanes_.resize(statuses_.size());
    if (!bucket_) return;
    const auto* zones = context_.view<v1::ZoneChunk>().Find(state::Key(context_.tenant(), campaign_id_, chunk_));
    buckets_ = zones == nullptr ? std::string() : zones->buckets();
    buckets_.resize(statuses_.size());
  }

  const task::Context& context_;
  const uint64_t campaign_id_;
  const std::optional<uint64_t> lane_;
  const std::optional<uint64_t> bucket_;
  uint64_t at_;  // ordinals passed
  bool loaded_ = false;
  uint64_t chunk_ = 0;
  std::string statuses_;
  std::string verdicts_;
  std::string lanes_;
  std::string buckets_;
};

class Sending {
 public:
  Sending(task::Context& context, uint64_t campaign_id, const CampaignRun& run)
      : context_(context),
        campaign_id_(campaign_id),
        run_(run),
        cancelled_(run.state() == campaigns::v1::CANCELLING),
        by_domain_(context.CreditsPerDomain()),
        relay_(schema::RelayCredits(context.tenant())),
        domains_(context.view<suppressions::v1::SuppressedDomain>(), context.view<suppressions::v1::SuppressedDomainCounter>(),
                 context.tenant(), compliance::kCampaignStream),
        rules_(context.view<campaigns::v1::SendingRules>().Find(state::Key(context.tenant()))),
        quiet_(rules_, run.spec()),
        tenants_zone_(compliance::ZoneOf(rules_)) {}

  bool by_domain() const { return by_domain_; }
  bool by_clock() const { return run_.by_clock(); }
  bool cancelled() const { return cancelled_; }
  // From here on credits are those of this lane.
  void Enter(uint64_t lane, std::string domain_key) {
    lane_ = lane;
    site_ = std::move(domain_key);
  }
  bool Full() const { return context_.event_count() >= kEventsMax || bytes_ >= kBytesMax; }

  const compliance::Quiet& quiet() const { return quiet_; }
  // Whether quiet hours until then are too long to wait for, for those who are due at `due`; zero: at the start.
  bool IsStale(Instant until, Instant due) const {
    // Whoever waited for a test's winner was not put off by quiet hours meanwhile.
    const Instant begin = run_.winner() != 0 ? context_.now() : std::max(due, Instant{run_.opened_at_us()});
    return until - begin > compliance::TtlOf(run_.spec());
  }
  // From here on everybody is skipped, for this reason; unspecified: not any more.
  void SkipAll(SkipReason reason) { skip_all_ = reason; }

  // The last check, then the attempt. False: it passed, and there is no credit, or its pace lets none go.
  // `taken_in`: when its contact came into the audience, if that was planned before; else zero.
  bool Try(uint64_t ordinal, uint32_t arm, uint32_t attempt, Instant taken_in = Instant()) {
    if (cancelled_) return Skip(ordinal, campaigns::v1::CANCELLED);
    if (skip_all_ != campaigns::v1::SKIP_REASON_UNSPECIFIED) return Skip(ordinal, skip_all_);
    const auto* contact = context_.view<contacts::v1::Contact>().Find(state::Key(context_.tenant(), ordinal));
    if (contact == nullptr) {  // it was there when the audience was planned
      const bool merged = context_.view<contacts::v1::MergedContact>().Find(state::Key(context_.tenant(), ordinal)) != nullptr;
      return Skip(ordinal, merged ? campaigns::v1::MERGED : campaigns::v1::ERASED);
    }
    // Whom it took over has had it, or the one that this is a second try of.
    const auto had = [contact](uint64_t id) { return std::ranges::find(contact->had(), id) != contact->had().end(); };
    const auto& derived = run_.spec().derived();
    if (had(campaign_id_) || (derived.as() == campaigns::v1::FAILED && had(derived.campaign_id())))
      return Skip(ordinal, campaigns::v1::MERGED);
    if (contact->address().empty()) return Skip(ordinal, campaigns::v1::NO_ADDRESS);
    const auto subscribers = context_.view<lists::v1::Subscriber>();
    compliance::Standing standing =
        compliance::Look(subscribers, context_.view<suppressions::v1::Suppression>(), context_.tenant(), ordinal, contact->contact_key(),
                         /*list_id=*/0, compliance::kCampaignStream);
    standing.member =
        audience::IsStillReached(run_.spec(), context_.tenant(), campaign_id_, ordinal,
                                 subscribers.Find(state::Key(context_.tenant(), ordinal)), context_.view<campaigns::v1::CampaignByList>());
    if (!standing.suppressed) standing.suppressed = domains_.Holds(contact->domain_key());
    const SkipReason reason = compliance::Gate(standing);
    if (reason != campaigns::v1::SKIP_REASON_UNSPECIFIED) return Skip(ordinal, reason);
    const bool entrant = taken_in != Instant();  // no bucket holds it until its time
    const schema::Zone* own = quiet_.any() || Capped() || entrant ? compliance::OwnZone(*contact) : nullptr;
    const schema::Zone& zone = own == nullptr ? tenants_zone_ : *own;
    if (const Instant due = entrant ? DueIn(own == nullptr ? StartsZone() : zone) : Instant(); due > context_.now()) {
      return PutOff(ordinal, due, campaigns::v1::SKIP_REASON_UNSPECIFIED);
    }
    if (const auto until = quiet_.any() ? quiet_.Until(zone, context_.now()) : std::nullopt) {
      return IsStale(*until, std::max(taken_in, DueIn(zone))) ? Skip(ordinal, campaigns::v1::QUIET_HOURS)
                                                              : PutOff(ordinal, *until, campaigns::v1::QUIET_HOURS);
    }
    std::optional<v1::MailCounted> counted;
    if (Capped() && !MayCount(ordinal, zone, counted)) return Skip(ordinal, campaigns::v1::FREQUENCY_CAP);
    if (run_.has_pace() && PacedUntil(context_, campaign_id_) != 0) return false;
    const task::CreditHolder* holder = context_.TakeCredit(by_domain_ ? site_ : relay_);
    if (holder == nullptr) return false;
    thread_local v1::AttemptOpened opened;
    opened.Clear();
    opened.set_campaign_id(campaign_id_);
    opened.set_ordinal(ordinal);
    opened.set_attempt(attempt);
    opened.set_arm(arm);
    opened.set_address(contact->address());
    const audience::ArmMail mail =
        audience::MailOf(run_, arm, context_.tenant(), campaign_id_, context_.view<templates::v1::PinnedTemplate>());
    MAILY_CHECK(mail.version != nullptr, "campaign {}: the template of arm {} is not here", campaign_id_, arm);
    for (const std::string& name : mail.version->attributes()) {
      for (const auto& attribute : contact->attributes()) {
        if (attribute.name() == name && name != schema::kTrackingAttribute) *opened.add_attributes() = attribute;
      }
    }
    for (const auto& attribute : contact->attributes()) {  // the mail is made by it, whether the template names it or not
      if (attribute.name() == schema::kTrackingAttribute) *opened.add_attributes() = attribute;
    }
    opened.set_locale(personalization::LocaleOf(*mail.version, opened.attributes()));
    if (by_domain_) {
      opened.set_domain_key(contact->domain_key());
      opened.set_lane(static_cast<uint32_t>(lane_));
    } else {
      opened.set_site(kRelay.data(), kRelay.size());
    }
    opened.set_contact_key(contact->contact_key());
    opened.set_opener(holder->id);
    opened.set_granted_at_us(holder->granted_at.us);
    bytes_ += opened.ByteSizeLong();
    context_.Emit(opened);
    if (counted) context_.Emit(*counted);
    return true;
  }

  // A retry: given up if it waited too long for its credit.
  bool TryAgain(uint64_t ordinal, uint32_t attempt) {
    const auto* open = context_.view<v1::OpenAttempt>().Find(state::Key(context_.tenant(), campaign_id_, ordinal));
    MAILY_CHECK(open != nullptr, "campaign {}: the retry of contact {} has no attempt before it", campaign_id_, ordinal);
    if (!cancelled_ && open->tries() > 0 && context_.now() - Instant{open->first_opened_at_us()} > kGiveUpAfter) {
      v1::SendExpired expired;
      expired.set_campaign_id(campaign_id_);
      expired.set_ordinal(ordinal);
      expired.set_last_reply(open->last_reply());
      bytes_ += expired.ByteSizeLong();
      context_.Emit(expired);
      return true;
    }
    const auto* chunk = context_.view<v1::SendChunk>().Find(state::Key(context_.tenant(), campaign_id_, (ordinal - 1) / kChunkOrdinals));
    const auto verdict = static_cast<uint8_t>(chunk->verdicts()[(ordinal - 1) % kChunkOrdinals]);
    return Try(ordinal, static_cast<uint32_t>(verdict - kSendVerdict), attempt, Instant{open->taken_in_at_us()});
  }

 private:
  bool Capped() const { return rules_ != nullptr && (rules_->cap().per_day() != 0 || rules_->cap().per_week() != 0); }
  // When the campaign was due there; zero: at the start.
  Instant DueIn(const schema::Zone& zone) const {
    const auto wall = run_.spec().start().per_contact() ? schema::ParseWallTime(run_.spec().start().local()) : std::nullopt;
    return wall ? zone.InstantOf(*wall) : Instant();
  }
  // The clock of a start for contacts that have none of their own.
  const schema::Zone& StartsZone() const {
    const schema::Zone* zone = run_.spec().has_start() ? schema::ZoneNamed(run_.spec().start().zone()) : nullptr;
    return zone == nullptr ? tenants_zone_ : *zone;
  }
  // False: the contact has had its mails. Else `counted` is what counts this one, unless it counts for this day already.
  bool MayCount(uint64_t ordinal, const schema::Zone& zone, std::optional<v1::MailCounted>& counted) const {
    const int32_t day = zone.At(context_.now()).day;
    v1::MailCounted count;
    count.set_campaign_id(campaign_id_);
    count.set_ordinal(ordinal);
    count.set_day(day);
    const auto* mails = context_.view<v1::ContactMails>().Find(state::Key(context_.tenant(), ordinal));
    const auto* open = context_.view<v1::OpenAttempt>().Find(state::Key(context_.tenant(), campaign_id_, ordinal));
    v1::ContactMails others;
    if (mails != nullptr && open != nullptr && open->opened_at_us() != 0) {  // a retry: it may count for another day
      const int32_t was = zone.At(Instant{open->opened_at_us()}).day;
      if (was >= day) return true;
      count.set_moved(true);
      count.set_moved_from(was);
      others = *mails;
      compliance::UncountMail(others, was);
      mails = &others;
    }
    if (compliance::CapReached(rules_->cap(), mails, day)) return false;
    counted = std::move(count);
    return true;
  }
  bool PutOff(uint64_t ordinal, Instant until, SkipReason reason) {
    v1::SendPutOff put_off;
    put_off.set_campaign_id(campaign_id_);
    put_off.set_ordinal(ordinal);
    put_off.set_until_us(until.us);
    put_off.set_reason(reason);
    context_.Emit(put_off);
    return true;
  }
  bool Skip(uint64_t ordinal, SkipReason reason) {
    v1::SendSkipped skipped;
    skipped.set_campaign_id(campaign_id_);
    skipped.set_ordinal(ordinal);
    skipped.set_reason(reason);
    context_.Emit(skipped);
    return true;
  }

  task::Context& context_;
  const uint64_t campaign_id_;
  const CampaignRun& run_;
  const bool cancelled_;
  const bool by_domain_;
  const std::string relay_;  // whose credits are spent where it takes all
  compliance::DomainGate domains_;
  const campaigns::v1::SendingRules* rules_;  // of the slice: no event of it changes them
  const compliance::Quiet quiet_;
  const schema::Zone& tenants_zone_;
  SkipReason skip_all_ = campaigns::v1::SKIP_REASON_UNSPECIFIED;
  uint64_t lane_ = 0;
  std::string site_;  // the key of the lane's domain
  size_t bytes_ = 0;
};

const v1::SendRun& RunOf(const task::Context& context, uint64_t campaign_id) {
  static const v1::SendRun kNew;
  const auto* run = context.view<v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  return run == nullptr ? kNew : *run;
}

// An evergreen campaign that somebody may yet come into.
bool TakesIn(const task::Context& context, uint64_t campaign_id) {
  const std::string key = state::Key(context.tenant(), campaign_id);
  const auto* run = context.view<CampaignRun>().Find(key);
  if (run == nullptr || !run->spec().evergreen() || run->state() == campaigns::v1::CANCELLING) return false;
  bool noted = false;
  if (run->finishing()) {
    context.view<campaigns::v1::CampaignEntrants>().Scan(key, {}, [&](std::string_view, const auto&) {
      noted = true;
      return false;
    });
  }
  return noted || !run->finishing();
}

// A test that is not decided, of a campaign that was not cancelled.
bool TestIsOpen(const task::Context& context, uint64_t campaign_id) {
  const auto* run = context.view<CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  return run != nullptr && run->spec().has_test() && run->winner() == 0 && run->state() != campaigns::v1::CANCELLING;
}

}  // namespace

bool IsSampled(const task::Context& context, uint64_t campaign_id) {
  const v1::SendRun& run = RunOf(context, campaign_id);
  return run.planned() && !Walk(context, campaign_id, run.cursor()).Find();
}

bool IsIdle(const task::Context& context, uint64_t campaign_id) {
  const v1::SendRun& run = RunOf(context, campaign_id);
  if (run.awaiting() > 0 || TestIsOpen(context, campaign_id)) return false;
  return run.planned() && run.open() == 0 && run.waiting() == 0 && !Walk(context, campaign_id, run.cursor()).Find();
}

bool IsSettled(const task::Context& context, uint64_t campaign_id) {
  return IsIdle(context, campaign_id) && !TakesIn(context, campaign_id);
}

namespace {

// How far a slice got.
enum class Way { kFull, kNoCredit, kAll };

// At most `most`, from 1: where there is no credit, one is enough to see whether it is to be given up.
Way Retries(task::Context& context, Sending& sending, const std::string& prefix, size_t most = kEventsMax) {
  std::vector<std::pair<uint64_t, uint32_t>> queued;
  context.view<v1::RetryQueued>().Scan(prefix, {}, [&](std::string_view key, const v1::RetryQueued& retry) {
    queued.emplace_back(Cursor(key.substr(key.size() - sizeof(uint64_t))).Ordered<uint64_t>(), retry.attempt());
    return queued.size() < most;
  });
  for (const auto& [ordinal, attempt] : queued) {
    if (sending.Full()) return Way::kFull;
    if (!sending.TryAgain(ordinal, attempt)) return Way::kNoCredit;
  }
  return queued.size() == most ? Way::kFull : Way::kAll;
}

Way Pending(Sending& sending, Walk walk) {
  while (const auto next = walk.Find()) {
    if (sending.Full()) return Way::kFull;
    if (!sending.Try(next->ordinal, next->arm, 1)) return Way::kNoCredit;
    walk.Pass();
  }
  return Way::kAll;
}

// Those of one bucket, lane by lane.
Way SendBucket(task::Context& context, uint64_t campaign_id, Sending& sending, uint64_t bucket) {
  std::vector<std::pair<uint64_t, uint64_t>> lanes;  // and their cursors
  const std::string prefix = state::Key(context.tenant(), campaign_id, bucket);
  context.view<v1::ZoneLane>().Scan(prefix, {}, [&](std::string_view key, const v1::ZoneLane& lane) {
    if (lane.left() > 0) lanes.emplace_back(Cursor(key.substr(prefix.size())).Ordered<uint64_t>(), lane.cursor());
    return true;
  });
  // From the one after that of the attempt opened last.
  const auto next =
      std::ranges::find_if(lanes, [last = RunOf(context, campaign_id).last_lane()](const auto& lane) { return lane.first > last; });
  std::ranges::rotate(lanes, next);
  Way all = Way::kAll;
  for (const auto& [lane, cursor] : lanes) {
    if (sending.by_domain()) {
      const auto* of = context.view<v1::SendLane>().Find(state::Key(context.tenant(), campaign_id, lane));
      sending.Enter(lane, of == nullptr ? std::string() : of->domain_key());
      if (!sending.cancelled() && of != nullptr && context.LacksCredit(of->domain_key())) {
        all = Way::kNoCredit;
        continue;
      }
    }
    const Way way = Pending(sending, Walk(context, campaign_id, cursor, lane, bucket));
    if (way == Way::kFull) return way;
    if (way == Way::kNoCredit) all = way;
    if (way == Way::kNoCredit && !sending.by_domain()) return way;  // there is one credit for all
  }
  return all;
}

// The walk of a campaign that goes by clocks: over the buckets that are open.
Way SendByClock(task::Context& context, uint64_t campaign_id, Sending& sending) {
  std::vector<std::pair<uint64_t, v1::ZoneBucket>> buckets;
  const std::string prefix = state::Key(context.tenant(), campaign_id);
  context.view<v1::ZoneBucket>().Scan(prefix, {}, [&](std::string_view key, const v1::ZoneBucket& bucket) {
    const bool open = bucket.opens_at_us() == 0 || sending.cancelled();
    if (bucket.left() > 0 && open) buckets.emplace_back(Cursor(key.substr(prefix.size())).Ordered<uint64_t>(), bucket);
    return true;
  });
  Way all = Way::kAll;
  for (const auto& [number, bucket] : buckets) {
    if (sending.Full()) return Way::kFull;
    const schema::Zone* zone = schema::ZoneNamed(bucket.zone());
    SkipReason skip = bucket.late() ? campaigns::v1::LATE : campaigns::v1::SKIP_REASON_UNSPECIFIED;
    if (zone != nullptr && !sending.cancelled() && !bucket.late()) {
      if (const auto until = sending.quiet().Until(*zone, context.now())) {
        if (!sending.IsStale(*until, Instant{bucket.due_us()})) {
          v1::ZoneClosed closed;
          closed.set_campaign_id(campaign_id);
          closed.set_bucket(static_cast<uint32_t>(number));
          closed.set_opens_at_us(until->us);
          context.Emit(closed);
          continue;
        }
        skip = campaigns::v1::QUIET_HOURS;
      }
    }
    sending.SkipAll(skip);
    const Way way = SendBucket(context, campaign_id, sending, number);
    sending.SkipAll(campaigns::v1::SKIP_REASON_UNSPECIFIED);
    if (way == Way::kFull) return way;
    if (way == Way::kNoCredit) all = way;
  }
  return all;
}

// 1. Retries, 2. the walk: over all, for a relay that takes all.
Way SendInOrder(task::Context& context, uint64_t campaign_id, Sending& sending) {
  if (RunOf(context, campaign_id).waiting() > 0) {
    const Way way = Retries(context, sending, state::Key(context.tenant(), campaign_id));
    if (way != Way::kAll) return way;
  }
  if (sending.by_clock()) return SendByClock(context, campaign_id, sending);
  return Pending(sending, Walk(context, campaign_id, RunOf(context, campaign_id).cursor()));
}

// The same lane by lane, in turn: a domain that takes nothing holds up nobody else.
Way SendLanes(task::Context& context, uint64_t campaign_id, Sending& sending) {
  const uint64_t count = RunOf(context, campaign_id).lanes() + 1;
  const uint64_t begin = RunOf(context, campaign_id).last_lane() + 1;
  Way all = Way::kAll;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t lane = (begin + i) % count;
    const auto* of = context.view<v1::SendLane>().Find(state::Key(context.tenant(), campaign_id, lane));
    sending.Enter(lane, of == nullptr ? std::string() : of->domain_key());
    const uint64_t cursor = of == nullptr ? 0 : of->cursor();
    const bool pending = of != nullptr && of->left() > 0 && !sending.by_clock();
    const bool queued = of != nullptr && of->queued() > 0;
    Way way = Way::kAll;
    // Whoever is first in a lane without credits was looked at when the credit was asked for: with many lanes, most wait so.
    const bool lacks = (pending || queued) && !sending.cancelled() && context.LacksCredit(of->domain_key());
    if (queued) way = Retries(context, sending, state::Key(context.tenant(), campaign_id, lane), lacks ? 1 : kEventsMax);
    if (lacks && way == Way::kAll) way = Way::kNoCredit;
    if (way == Way::kAll && pending) way = Pending(sending, Walk(context, campaign_id, cursor, lane));
    if (way == Way::kFull) return way;
    if (way == Way::kNoCredit) all = way;
  }
  if (!sending.by_clock()) return all;
  const Way way = SendByClock(context, campaign_id, sending);
  return way == Way::kAll ? all : way;
}

// True: the pace lets nothing go, and a timer brings the campaign back.
bool Paced(task::Context& context, uint64_t campaign_id, const Sending& sending) {
  const int64_t until = sending.cancelled() ? 0 : PacedUntil(context, campaign_id);
  if (until == 0 || IsIdle(context, campaign_id)) return false;
  WaitForPace(context, campaign_id, until);
  return true;
}

}  // namespace

task::SliceEnd Send(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const CampaignRun* run = context.view<CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  MAILY_CHECK(run != nullptr, "campaign {} of tenant {} is sent and not there", campaign_id, context.tenant().value());
  context.Continue(TraceId::From(run->trace()));
  if (FlushSites(context, campaign_id) || ReleaseRest(context, campaign_id)) return task::SliceEnd::kMore;
  if (run->state() != campaigns::v1::PAUSED) {
    Sending sending(context, campaign_id, *run);
    if (Paced(context, campaign_id, sending)) return task::SliceEnd::kWaiting;
    const auto way = sending.by_domain() ? SendLanes(context, campaign_id, sending) : SendInOrder(context, campaign_id, sending);
    if (way == Way::kFull) return task::SliceEnd::kMore;
    if (way == Way::kNoCredit) {
      Paced(context, campaign_id, sending);
      return task::SliceEnd::kWaiting;
    }
  }
  if (TestIsOpen(context, campaign_id) && !RunOf(context, campaign_id).sampled() && IsSampled(context, campaign_id)) {
    Report(context, campaign_id, run->state());
    return task::SliceEnd::kMore;
  }
  // 3. All is settled, or there is nothing to do until somebody comes.
  if (!IsIdle(context, campaign_id)) return task::SliceEnd::kWaiting;
  Report(context, campaign_id, run->state());
  return task::SliceEnd::kMore;
}

void React(task::Context& context, const campaigns::v1::RunStateChanged& event) { Report(context, event.campaign_id(), event.state()); }

}  // namespace maily::sends
