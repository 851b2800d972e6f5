// See evolve.h.
#include "processors/sends/evolve.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "processors/sends/clocks.h"
#include "processors/sends/report.h"
#include "processors/sends/rest.h"
#include "processors/sends/test_tally.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

v1::SendStatus StatusOf(uint8_t verdict) {
  if (verdict == kRestVerdict) return v1::AWAITING;
  if (verdict == 0 || verdict > kRestVerdict) return v1::NONE;
  if (verdict < 64) return v1::SKIPPED;
  return verdict < 128 ? v1::PENDING : v1::HELD_OUT;
}

// The state of one campaign's sending, edited. Of a message, which nobody has planned (processors/messages keeps its state), everything
// here is left out but its open attempt.
class Run {
 public:
  Run(task::Fold& fold, uint64_t campaign_id)
      : fold_(fold),
        campaign_id_(campaign_id),
        is_message_(schema::IsMessage(campaign_id)),
        run_(is_message_ ? own_ : fold.table<v1::SendRun>().Edit(state::Key(fold.tenant(), campaign_id))) {}

  v1::SendRun& run() { return run_; }
  v1::SendRun* operator->() { return &run_; }
  campaigns::v1::CampaignCounts& counts() { return *run_.mutable_counts(); }
  // True if the audience walk is the first to come to this contact.
  bool IsNew(uint64_t ordinal) {
    return !is_message_ && static_cast<uint8_t>(Chunk(ordinal).statuses()[(ordinal - 1) % kChunkOrdinals]) == v1::PENDING;
  }
  uint64_t LaneFor(uint64_t ordinal) { return LaneOf(fold_.view<v1::SendChunk>(), fold_.tenant(), campaign_id_, ordinal); }
  v1::SendLane& Lane(uint64_t lane) { return fold_.table<v1::SendLane>().Edit(state::Key(fold_.tenant(), campaign_id_, lane)); }
  bool is_message() const { return is_message_; }
  void Queue(uint64_t ordinal, uint32_t attempt) {
    if (is_message_) return;
    const std::string key = QueueKey(ordinal);
    const bool there = fold_.table<v1::RetryQueued>().Find(key) != nullptr;
    fold_.table<v1::RetryQueued>().Edit(key).set_attempt(attempt);
    if (there) return;
    v1::SendLane& lane = Lane(LaneFor(ordinal));
    lane.set_queued(lane.queued() + 1);
  }
  void Unqueue(uint64_t ordinal) {
    if (is_message_) return;
    const std::string key = QueueKey(ordinal);
    if (fold_.table<v1::RetryQueued>().Find(key) == nullptr) return;
    fold_.table<v1::RetryQueued>().Erase(key);
    v1::SendLane& lane = Lane(LaneFor(ordinal));
    lane.set_queued(lane.queued() - 1);
  }

  v1::SendChunk& Chunk(uint64_t ordinal) {
    return fold_.table<v1::SendChunk>().Edit(state::Key(fold_.tenant(), campaign_id_, (ordinal - 1) / kChunkOrdinals));
  }
  void SetStatus(uint64_t ordinal, v1::SendStatus status) {
    if (is_message_) return;
    (*Chunk(ordinal).mutable_statuses())[(ordinal - 1) % kChunkOrdinals] = static_cast<char>(status);
  }
  // The walk has handled `ordinal`, the first of its lane that was pending.
  void Passed(uint64_t ordinal) {
    const uint64_t number = LaneFor(ordinal);
    v1::SendLane& lane = Lane(number);
    lane.set_cursor(std::max(lane.cursor(), ordinal));
    lane.set_left(lane.left() - 1);
    PassedByClock(fold_, campaign_id_, ordinal, number);
    Advance();
  }
  // On to the place before the first that is pending.
  void Advance() {
    for (;;) {
      const uint64_t cursor = run_.cursor();
      const v1::SendChunk* chunk = fold_.view<v1::SendChunk>().Find(state::Key(fold_.tenant(), campaign_id_, cursor / kChunkOrdinals));
      const size_t at = cursor % kChunkOrdinals;
      if (chunk == nullptr || at >= chunk->statuses().size()) return;
      const std::string& statuses = chunk->statuses();
      const void* pending = std::memchr(statuses.data() + at, v1::PENDING, statuses.size() - at);
      const size_t steps =
          pending == nullptr ? statuses.size() - at : static_cast<size_t>(static_cast<const char*>(pending) - statuses.data()) - at;
      run_.set_cursor(cursor + steps);
      if (pending != nullptr || statuses.size() < kChunkOrdinals) return;
    }
  }
  void Plus(void (campaigns::v1::CampaignCounts::*set)(uint64_t), uint64_t (campaigns::v1::CampaignCounts::*get)() const, uint64_t n = 1) {
    (counts().*set)((counts().*get)() + n);
  }
  void AddWork() {
    if (!is_message_) fold_.AddWork(kSend, SendSubject(campaign_id_));
  }

 private:
  std::string QueueKey(uint64_t ordinal) { return state::Key(fold_.tenant(), campaign_id_, LaneFor(ordinal), ordinal); }

  task::Fold& fold_;
  const uint64_t campaign_id_;
  const bool is_message_;
  v1::SendRun own_;  // of a message: thrown away
  v1::SendRun& run_;
};

std::string AttemptKey(const task::Fold& fold, uint64_t campaign_id, uint64_t ordinal) {
  return state::Key(fold.tenant(), campaign_id, ordinal);
}

// How many a planning found of each kind.
struct Found {
  uint64_t to_send = 0;
  uint64_t skipped = 0;
  uint64_t holdout = 0;
  uint64_t awaiting = 0;

  void Add(v1::SendStatus status) {
    to_send += status == v1::PENDING || status == v1::AWAITING;
    awaiting += status == v1::AWAITING;
    skipped += status == v1::SKIPPED;
    holdout += status == v1::HELD_OUT;
  }
  uint64_t audience() const { return to_send + skipped + holdout; }
  void PutInto(Run& run) const {
    using campaigns::v1::CampaignCounts;
    run.Plus(&CampaignCounts::set_audience, &CampaignCounts::audience, audience());
    run.Plus(&CampaignCounts::set_to_send, &CampaignCounts::to_send, to_send);
    run.Plus(&CampaignCounts::set_skipped, &CampaignCounts::skipped, skipped);
    run.Plus(&CampaignCounts::set_holdout, &CampaignCounts::holdout, holdout);
    run->set_awaiting(run->awaiting() + awaiting);
  }
};

void AddLanes(Run& run, const campaigns::v1::AudiencePlanned& event) {
  for (const std::string& domain : event.new_lanes()) {
    run->set_lanes(run->lanes() + 1);
    v1::SendLane& lane = run.Lane(run->lanes());
    lane.set_domain_key(domain);
    lane.set_cursor(event.first_ordinal() - 1);
  }
}

// The chunk of these places, as long as it must be.
v1::SendChunk& Grown(Run& run, const campaigns::v1::AudiencePlanned& event, uint64_t ordinal, size_t at, size_t count) {
  v1::SendChunk& chunk = run.Chunk(ordinal);
  if (chunk.verdicts().size() < at + count) {
    chunk.mutable_verdicts()->resize(at + count);
    chunk.mutable_statuses()->resize(at + count);
  }
  if (!event.lanes().empty()) chunk.mutable_lanes()->resize(std::max(chunk.lanes().size(), at + count));
  return chunk;
}

// Who came into the audience later. The walk over it may have passed them: they wait as one does whose retry is due.
void TakeIn(task::Fold& fold, const campaigns::v1::AudiencePlanned& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  Found found;
  AddLanes(run, event);
  for (size_t i = 0; i < event.verdicts().size(); ++i) {
    const v1::SendStatus status = StatusOf(static_cast<uint8_t>(event.verdicts()[i]));
    if (status == v1::NONE) continue;
    const uint64_t ordinal = event.first_ordinal() + i;
    const size_t at = (ordinal - 1) % kChunkOrdinals;
    v1::SendChunk& chunk = Grown(run, event, ordinal, at, 1);
    (*chunk.mutable_verdicts())[at] = event.verdicts()[i];
    (*chunk.mutable_statuses())[at] = static_cast<char>(status == v1::PENDING ? v1::WAITING : status);
    if (!event.lanes().empty()) (*chunk.mutable_lanes())[at] = event.lanes()[i];
    found.Add(status);
    if (status != v1::PENDING) continue;
    v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(AttemptKey(fold, event.campaign_id(), ordinal));
    attempt.set_status(v1::WAITING);
    attempt.set_taken_in_at_us(fold.now().us);
    run->set_waiting(run->waiting() + 1);
    run.Queue(ordinal, 1);
  }
  run.Advance();
  found.PutInto(run);
  run.Plus(&CampaignCounts::set_entrants, &CampaignCounts::entrants, found.audience());
  const auto* of = fold.view<campaigns::v1::CampaignRun>().Find(state::Key(fold.tenant(), event.campaign_id()));
  // The last that it finishes with may be somebody who is not in the audience.
  if (found.audience() > 0 || (of != nullptr && of->finishing())) run.AddWork();
}

// The attempt is over: takes it out of what is open or waiting.
void Close(task::Fold& fold, Run& run, const std::string& key) {
  const auto attempts = fold.table<v1::OpenAttempt>();
  const v1::OpenAttempt* attempt = attempts.Find(key);
  if (attempt == nullptr) return;
  if (attempt->status() == v1::OPEN) run->set_open(run->open() - 1);
  if (attempt->status() == v1::WAITING) run->set_waiting(run->waiting() - 1);
}

void Forget(task::Fold& fold, Run& run, uint64_t campaign_id, uint64_t ordinal) {
  const std::string key = AttemptKey(fold, campaign_id, ordinal);
  Close(fold, run, key);
  fold.table<v1::OpenAttempt>().Erase(key);
  run.Unqueue(ordinal);
}

// X.7.x: for what the sender is.
bool IsPolicy(std::string_view enhanced) { return enhanced.size() >= 5 && enhanced.substr(1, 3) == ".7."; }

// A site has answered.
void Tally(task::Fold& fold, Run& run, uint64_t campaign_id, const std::string& site, const std::string& enhanced = {}) {
  if (site.empty() || run.is_message()) return;
  auto tallies = fold.table<v1::SiteTally>();
  const std::string key = state::Key(fold.tenant(), campaign_id, std::string_view(site));
  if (tallies.Find(key) == nullptr) {
    if (run->sites() >= kSitesTalliedMax) return;
    run->set_sites(run->sites() + 1);
  }
  v1::SiteTally& tally = tallies.Edit(key);
  tally.set_replies(tally.replies() + 1);
  if (!IsPolicy(enhanced)) return;
  tally.set_policy(tally.policy() + 1);
  tally.set_code(enhanced);
  run->set_policy(run->policy() + 1);
}

}  // namespace

std::string SendSubject(uint64_t campaign_id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, campaign_id);
  return subject;
}

uint64_t LaneOf(const state::View<v1::SendChunk>& chunks, TenantId tenant, uint64_t campaign_id, uint64_t ordinal) {
  const v1::SendChunk* chunk = chunks.Find(state::Key(tenant, campaign_id, (ordinal - 1) / kChunkOrdinals));
  const size_t at = (ordinal - 1) % kChunkOrdinals;
  return chunk == nullptr || at >= chunk->lanes().size() ? 0 : static_cast<uint8_t>(chunk->lanes()[at]);
}

std::string RetrySubject(uint64_t campaign_id, uint64_t ordinal) {
  std::string subject = SendSubject(campaign_id);
  PutOrdered<uint64_t>(subject, ordinal);
  return subject;
}

void Evolve(task::Fold& fold, const campaigns::v1::AudiencePlanned& event) {
  if (!event.entrants().empty()) return TakeIn(fold, event);
  Run run(fold, event.campaign_id());
  Found found;
  AddLanes(run, event);
  std::vector<uint64_t> left(run->lanes() + 1);  // new in each lane
  for (size_t done = 0; done < event.verdicts().size();) {
    const uint64_t ordinal = event.first_ordinal() + done;
    const size_t at = (ordinal - 1) % kChunkOrdinals;
    const size_t count = std::min<size_t>(event.verdicts().size() - done, kChunkOrdinals - at);
    v1::SendChunk& chunk = Grown(run, event, ordinal, at, count);
    if (!event.lanes().empty()) chunk.mutable_lanes()->replace(at, count, event.lanes(), done, count);
    for (size_t i = 0; i < count; ++i) {
      const char verdict = event.verdicts()[done + i];
      const v1::SendStatus status = StatusOf(static_cast<uint8_t>(verdict));
      (*chunk.mutable_verdicts())[at + i] = verdict;
      (*chunk.mutable_statuses())[at + i] = static_cast<char>(status);
      found.Add(status);
      if (status == v1::PENDING) ++left[event.lanes().empty() ? 0 : static_cast<uint8_t>(event.lanes()[done + i])];
    }
    done += count;
  }
  for (uint64_t lane = 0; lane < left.size(); ++lane) {
    if (left[lane] == 0) continue;
    v1::SendLane& edited = run.Lane(lane);
    edited.set_left(edited.left() + left[lane]);
  }
  found.PutInto(run);
  run.Advance();
  run.AddWork();
}

void Evolve(task::Fold& fold, const campaigns::v1::RunStateChanged& event) {
  Run run(fold, event.campaign_id());
  if (event.state() == campaigns::v1::CANCELLING) run->set_planned(true);  // nobody else is planned any more
  run.AddWork();
}

void Evolve(task::Fold& fold, const campaigns::v1::CampaignProgressed& event) {
  Run run(fold, event.campaign_id());
  if (event.planned()) run->set_planned(true);
  if (event.sampled()) run->set_sampled(true);
  const campaigns::v1::CampaignCounts& n = event.counts();
  v1::Reported reported;
  reported.set_answered(n.delivered() + n.bounced() + n.unknown() + n.failed());
  reported.set_hard_bounced(n.hard_bounced());
  reported.set_complaints(n.complaints());
  reported.set_policy(run->policy());
  reported.set_render_errors(n.render_errors());
  if (reported.ByteSizeLong() > 0) *run->mutable_reported() = reported;
  if (event.settled() || event.idle()) {
    fold.RemoveWork(kSend, SendSubject(event.campaign_id()));
  } else {
    run.AddWork();
  }
}

void Evolve(task::Fold& fold, const v1::AttemptOpened& event) {
  Run run(fold, event.campaign_id());
  const std::string key = AttemptKey(fold, event.campaign_id(), event.ordinal());
  if (run.IsNew(event.ordinal())) {
    run.SetStatus(event.ordinal(), v1::OPEN);
    run.Passed(event.ordinal());
  } else {
    run.SetStatus(event.ordinal(), v1::OPEN);
    Close(fold, run, key);
    run.Unqueue(event.ordinal());
  }
  run->set_last_lane(event.lane());
  run->set_open(run->open() + 1);
  Pace(fold, event.campaign_id());
  v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(key);
  attempt.set_attempt(event.attempt());
  attempt.set_status(v1::OPEN);
  attempt.set_opened_at_us(fold.now().us);
  attempt.set_opener(event.opener());
  attempt.set_given_up(false);
  if (attempt.first_opened_at_us() == 0) attempt.set_first_opened_at_us(fold.now().us);
}

void Evolve(task::Fold& fold, const v1::SendSkipped& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  const bool is_new = run.IsNew(event.ordinal());
  run.SetStatus(event.ordinal(), v1::SKIPPED);
  if (is_new) {
    run.Passed(event.ordinal());
  } else {
    Forget(fold, run, event.campaign_id(), event.ordinal());
    run.AddWork();  // a timer wakes nobody by itself, and this may have been the last one
  }
  run.Plus(&CampaignCounts::set_skipped, &CampaignCounts::skipped);
  if (event.reason() == campaigns::v1::RENDER_ERROR) run.Plus(&CampaignCounts::set_render_errors, &CampaignCounts::render_errors);
}

void Evolve(task::Fold& fold, const v1::SendPutOff& event) {
  Run run(fold, event.campaign_id());
  const std::string key = AttemptKey(fold, event.campaign_id(), event.ordinal());
  if (run.IsNew(event.ordinal())) {
    run.SetStatus(event.ordinal(), v1::WAITING);
    run.Passed(event.ordinal());
    run->set_waiting(run->waiting() + 1);
  } else {
    run.Unqueue(event.ordinal());  // it waits already, for a credit
  }
  v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(key);
  attempt.set_status(v1::WAITING);
  attempt.set_retry_at_us(event.until_us());
  fold.ArmTimer(Instant{event.until_us()}, kRetryStep, RetrySubject(event.campaign_id(), event.ordinal()));
}

void Evolve(task::Fold& fold, const v1::AttemptDelivered& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  run.SetStatus(event.ordinal(), v1::SENT);
  Forget(fold, run, event.campaign_id(), event.ordinal());
  run.Plus(&CampaignCounts::set_delivered, &CampaignCounts::delivered);
  TallyDelivered(fold, event.campaign_id(), event.ordinal());
  Tally(fold, run, event.campaign_id(), event.site());
}

void Evolve(task::Fold& fold, const v1::AttemptDeferred& event) {
  Run run(fold, event.campaign_id());
  Tally(fold, run, event.campaign_id(), event.site(), event.enhanced_code());
  const std::string key = AttemptKey(fold, event.campaign_id(), event.ordinal());
  run.SetStatus(event.ordinal(), v1::WAITING);
  Close(fold, run, key);
  run->set_waiting(run->waiting() + 1);
  v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(key);
  attempt.set_status(v1::WAITING);
  attempt.set_tries(attempt.tries() + 1);
  attempt.set_last_reply(event.reply_text());
  attempt.set_site(event.site());
  attempt.set_retry_at_us(event.retry_at_us());
  fold.ArmTimer(Instant{event.retry_at_us()}, kRetryStep, RetrySubject(event.campaign_id(), event.ordinal()));
}

void Evolve(task::Fold& fold, const v1::AttemptBounced& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  run.SetStatus(event.ordinal(), v1::HARD_BOUNCED);
  Forget(fold, run, event.campaign_id(), event.ordinal());
  run.Plus(&CampaignCounts::set_bounced, &CampaignCounts::bounced);
  if (event.recipient_invalid()) run.Plus(&CampaignCounts::set_hard_bounced, &CampaignCounts::hard_bounced);
  Tally(fold, run, event.campaign_id(), event.site(), event.enhanced_code());
}

void Evolve(task::Fold& fold, const v1::AttemptUnknown& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  const std::string key = AttemptKey(fold, event.campaign_id(), event.ordinal());
  run.SetStatus(event.ordinal(), v1::UNKNOWN);
  Close(fold, run, key);
  v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(key);
  attempt.set_status(v1::UNKNOWN);
  attempt.set_given_up(event.given_up());
  run.Plus(&CampaignCounts::set_unknown, &CampaignCounts::unknown);
}

void Evolve(task::Fold& fold, const v1::UnknownResolved& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  run.counts().set_unknown(run.counts().unknown() - 1);
  if (event.delivered()) {
    run.SetStatus(event.ordinal(), v1::SENT);
    Forget(fold, run, event.campaign_id(), event.ordinal());
    run.Plus(&CampaignCounts::set_delivered, &CampaignCounts::delivered);
    TallyDelivered(fold, event.campaign_id(), event.ordinal());
  }
  run.AddWork();  // at the least, to report the new sums
}

void Evolve(task::Fold& fold, const v1::RetryDue& event) {
  Run run(fold, event.campaign_id());
  const std::string key = AttemptKey(fold, event.campaign_id(), event.ordinal());
  v1::OpenAttempt& attempt = fold.table<v1::OpenAttempt>().Edit(key);
  // Always the next number, also after NEVER_SENT: a copy of that result that comes late must meet no open attempt of its number.
  const uint32_t number = attempt.attempt() + 1;
  Close(fold, run, key);
  run->set_waiting(run->waiting() + 1);
  attempt.set_status(v1::WAITING);
  // Before its time: its timer must not find the attempt that comes after this one.
  if (attempt.retry_at_us() != 0)
    fold.DisarmTimer(Instant{attempt.retry_at_us()}, kRetryStep, RetrySubject(event.campaign_id(), event.ordinal()));
  attempt.set_retry_at_us(0);
  run.SetStatus(event.ordinal(), v1::WAITING);
  run.Queue(event.ordinal(), number);
  run.AddWork();
}

void Evolve(task::Fold& fold, const v1::SendsFlushed& event) {
  Run run(fold, event.campaign_id());
  const bool done = event.next_ordinal() == 0;
  if (done) run->set_flushed(event.order());
  run->set_flush_order(done ? 0 : event.order());
  run->set_flush_ordinal(event.next_ordinal());
  run.AddWork();
}

void Evolve(task::Fold& fold, const v1::SendExpired& event) {
  using campaigns::v1::CampaignCounts;
  Run run(fold, event.campaign_id());
  run.SetStatus(event.ordinal(), v1::EXPIRED);
  Forget(fold, run, event.campaign_id(), event.ordinal());
  run.Plus(&CampaignCounts::set_failed, &CampaignCounts::failed);
}

void Evolve(task::Fold& fold, const v1::BounceReceived& event) {
  using campaigns::v1::CampaignCounts;
  if (event.recipient_invalid()) Run(fold, event.campaign_id()).Plus(&CampaignCounts::set_hard_bounced, &CampaignCounts::hard_bounced);
}
void Evolve(task::Fold& fold, const v1::ComplaintReceived& event) {
  using campaigns::v1::CampaignCounts;
  Run(fold, event.campaign_id()).Plus(&CampaignCounts::set_complaints, &CampaignCounts::complaints);
}
void Evolve(task::Fold& /*fold*/, const v1::AutoReplied& /*event*/) {}

void Evolve(task::Fold& fold, const v1::BounceReclassified& event) {
  *fold.table<v1::ReclassifiedBounce>().Edit(AttemptKey(fold, event.campaign_id(), event.ordinal())).mutable_now() = event.now();
  if (event.was().recipient_invalid() == event.now().recipient_invalid()) return;
  Run run(fold, event.campaign_id());
  const uint64_t hard = run.counts().hard_bounced();
  run.counts().set_hard_bounced(event.now().recipient_invalid() ? hard + 1 : hard - std::min<uint64_t>(hard, 1));
  run.AddWork();  // to report the new sums
}

}  // namespace maily::sends
