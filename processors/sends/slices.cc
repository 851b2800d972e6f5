// See slices.h.
#include "processors/sends/slices.h"

#include <cstring>
#include <optional>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/audience/reach.h"
#include "processors/compliance/gate.h"
#include "processors/sends/decide.h"
#include "processors/sends/evolve.h"
#include "processors/sends/flush.h"
#include "processors/sends/report.h"
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
  Walk(const task::Context& context, uint64_t campaign_id, uint64_t cursor, std::optional<uint64_t> lane = std::nullopt)
      : context_(context), campaign_id_(campaign_id), lane_(lane), at_(cursor) {}

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
  }

  const task::Context& context_;
  const uint64_t campaign_id_;
  const std::optional<uint64_t> lane_;
  uint64_t at_;  // ordinals passed
  bool loaded_ = false;
  uint64_t chunk_ = 0;
  std::string statuses_;
  std::string verdicts_;
  std::string lanes_;
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
                 context.tenant(), compliance::kCampaignStream) {}

  bool by_domain() const { return by_domain_; }
  bool cancelled() const { return cancelled_; }
  // From here on credits are those of this lane.
  void Enter(uint64_t lane, std::string domain_key) {
    lane_ = lane;
    site_ = std::move(domain_key);
  }
  bool Full() const { return context_.event_count() >= kEventsMax || bytes_ >= kBytesMax; }

  // The last check, then the attempt. False: it passed, and there is no credit.
  bool Try(uint64_t ordinal, uint32_t arm, uint32_t attempt) {
    if (cancelled_) return Skip(ordinal, campaigns::v1::CANCELLED);
    const auto* contact = context_.view<contacts::v1::Contact>().Find(state::Key(context_.tenant(), ordinal));
    if (contact == nullptr) return Skip(ordinal, campaigns::v1::ERASED);  // it was there when the audience was planned
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
    const task::CreditHolder* holder = context_.TakeCredit(by_domain_ ? site_ : relay_);
    if (holder == nullptr) return false;
    thread_local v1::AttemptOpened opened;
    opened.Clear();
    opened.set_campaign_id(campaign_id_);
    opened.set_ordinal(ordinal);
    opened.set_attempt(attempt);
    opened.set_arm(arm);
    opened.set_address(contact->address());
    for (const std::string& name : run_.template_version().attributes()) {
      for (const auto& attribute : contact->attributes()) {
        if (attribute.name() == name && name != schema::kTrackingAttribute) *opened.add_attributes() = attribute;
      }
    }
    for (const auto& attribute : contact->attributes()) {  // the mail is made by it, whether the template names it or not
      if (attribute.name() == schema::kTrackingAttribute) *opened.add_attributes() = attribute;
    }
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
    return Try(ordinal, static_cast<uint32_t>(verdict - kSendVerdict), attempt);
  }

 private:
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
  uint64_t lane_ = 0;
  std::string site_;  // the key of the lane's domain
  size_t bytes_ = 0;
};

const v1::SendRun& RunOf(const task::Context& context, uint64_t campaign_id) {
  static const v1::SendRun kNew;
  const auto* run = context.view<v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  return run == nullptr ? kNew : *run;
}

}  // namespace

bool IsSettled(const task::Context& context, uint64_t campaign_id) {
  const v1::SendRun& run = RunOf(context, campaign_id);
  return run.planned() && run.open() == 0 && run.waiting() == 0 && !Walk(context, campaign_id, run.cursor()).Find();
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

// 1. Retries, 2. the walk: over all, for a relay that takes all.
Way SendInOrder(task::Context& context, uint64_t campaign_id, Sending& sending) {
  if (RunOf(context, campaign_id).waiting() > 0) {
    const Way way = Retries(context, sending, state::Key(context.tenant(), campaign_id));
    if (way != Way::kAll) return way;
  }
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
    const bool pending = of != nullptr && of->left() > 0;
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
  return all;
}

}  // namespace

task::SliceEnd Send(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const CampaignRun* run = context.view<CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  MAILY_CHECK(run != nullptr, "campaign {} of tenant {} is sent and not there", campaign_id, context.tenant().value());
  context.Continue(TraceId::From(run->trace()));
  if (FlushSites(context, campaign_id)) return task::SliceEnd::kMore;
  if (run->state() != campaigns::v1::PAUSED) {
    Sending sending(context, campaign_id, *run);
    const auto way = sending.by_domain() ? SendLanes(context, campaign_id, sending) : SendInOrder(context, campaign_id, sending);
    if (way == Way::kFull) return task::SliceEnd::kMore;
    if (way == Way::kNoCredit) return task::SliceEnd::kWaiting;
  }
  // 3. All is settled.
  if (!IsSettled(context, campaign_id)) return task::SliceEnd::kWaiting;
  Report(context, campaign_id, run->state());
  return task::SliceEnd::kMore;
}

void React(task::Context& context, const campaigns::v1::RunStateChanged& event) { Report(context, event.campaign_id(), event.state()); }

}  // namespace maily::sends
