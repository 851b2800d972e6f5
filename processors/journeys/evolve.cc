// See evolve.h.
#include "processors/journeys/evolve.h"

#include <algorithm>

#include "maily/journeys/v1/state.pb.h"
#include "processors/journeys/keys.h"
#include "processors/journeys/update.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::journeys {
namespace {

int64_t NowS(const task::Fold& fold) { return fold.now().us / 1'000'000; }

void Work(task::Fold& fold) {
  const auto* clock = fold.view<v1::JourneyClock>().Find(state::Key(fold.tenant()));
  if (clock != nullptr && clock->working()) return;
  fold.table<v1::JourneyClock>().Edit(state::Key(fold.tenant())).set_working(true);
  fold.AddWork(kStepJourneys, {});
}

// The timer goes off at due_s, or before.
void ArmFor(task::Fold& fold, int64_t due_s) {
  const auto* clock = fold.view<v1::JourneyClock>().Find(state::Key(fold.tenant()));
  const int64_t armed_s = clock == nullptr ? 0 : clock->armed_s();
  if (armed_s != 0 && armed_s <= due_s) return;
  fold.table<v1::JourneyClock>().Edit(state::Key(fold.tenant())).set_armed_s(due_s);
  if (armed_s != 0) fold.DisarmTimer(Instant{armed_s * 1'000'000}, kDueStep, {});
  fold.ArmTimer(Instant{due_s * 1'000'000}, kDueStep, {});
}

// The instance goes on at due_s; 0 = it does not.
void SetDue(task::Fold& fold, const InstanceRef& ref, v1::JourneyInstance& instance, int64_t due_s) {
  auto due = fold.table<v1::JourneyDue>();
  if (instance.due_s() != 0 && !instance.held()) due.Erase(DueKey(fold.tenant(), instance.due_s(), ref));
  instance.set_held(false);
  instance.set_due_s(due_s);
  if (due_s == 0) return;
  const std::string key = DueKey(fold.tenant(), due_s, ref);
  due.Edit(key).set_due(true);
  const auto* clock = fold.view<v1::JourneyClock>().Find(state::Key(fold.tenant()));
  if (clock != nullptr && key < clock->first()) fold.table<v1::JourneyClock>().Edit(state::Key(fold.tenant())).set_first(key);
  due_s <= NowS(fold) ? Work(fold) : ArmFor(fold, due_s);
}

void Apply(task::Fold& fold, const v1::JourneyMove& move) {
  const InstanceRef ref{move.journey_id(), move.ordinal(), move.key()};
  const std::string key = InstanceKey(fold.tenant(), ref);
  auto instances = fold.table<v1::JourneyInstance>();
  // A copy: SetDue edits other tables meanwhile.
  v1::JourneyInstance instance = instances.Edit(key);
  const auto stands_at = [&](const std::string& step) {
    instance.set_step(step);
    instance.set_waits(false);
    instance.set_since_s(NowS(fold));
  };
  switch (move.kind()) {
    case v1::MOVE_ENTERED: {
      const v1::JourneyInstance before = instance;
      instance = {};
      // What one may change in an hour is over re-entries too.
      if (NowS(fold) - before.updates_from_s() < kUpdatesWithinS) {
        instance.set_updates(before.updates());
        instance.set_updates_from_s(before.updates_from_s());
      }
      instance.set_version(move.version());
      instance.set_entered_at_s(NowS(fold));
      stands_at(move.next());
      SetDue(fold, ref, instance, NowS(fold));
      fold.table<v1::JourneyPresence>().Edit(PresenceKey(fold.tenant(), ref)).set_here(true);
      break;
    }
    case v1::MOVE_UPDATED:
      if (move.why() == "changed") CountUpdate(instance, NowS(fold));
      stands_at(move.next());
      SetDue(fold, ref, instance, NowS(fold));
      break;
    case v1::MOVE_DEFERRED:
      if (instance.waits() || instance.step() != move.next()) stands_at(move.next());
      SetDue(fold, ref, instance, move.due_s());
      break;
    case v1::MOVE_SENT: {
      auto* sent = instance.mutable_sent();
      const auto found = std::ranges::find(*sent, move.step(), &v1::SentStep::step);
      v1::SentStep& one = found == sent->end() ? *sent->Add() : *found;
      one.set_step(move.step());
      one.set_message_id(move.message_id());
      [[fallthrough]];
    }
    case v1::MOVE_PASSED:
    case v1::MOVE_SKIPPED:
      stands_at(move.next());
      SetDue(fold, ref, instance, NowS(fold));
      break;
    case v1::MOVE_WAITS:
      stands_at(move.next());
      instance.set_waits(true);
      SetDue(fold, ref, instance, move.due_s());
      break;
    case v1::MOVE_HELD: {
      const int64_t due_s = move.due_s();
      SetDue(fold, ref, instance, 0);
      instance.set_due_s(due_s);
      instance.set_held(true);
      break;
    }
    case v1::MOVE_RELEASED:
      SetDue(fold, ref, instance, instance.due_s());
      break;
    case v1::MOVE_REMAPPED: {
      const int64_t since_s = instance.since_s();
      instance.set_version(move.version());
      stands_at(move.next());
      instance.set_waits(move.due_s() != 0);
      if (move.due_s() != 0) instance.set_since_s(since_s);
      SetDue(fold, ref, instance, move.due_s() != 0 ? move.due_s() : NowS(fold));
      break;
    }
    case v1::MOVE_LEFT:
      SetDue(fold, ref, instance, 0);
      instance.set_waits(false);
      instance.set_over(true);
      instance.set_over_at_s(NowS(fold));
      instance.clear_sent();
      fold.table<v1::JourneyPresence>().Erase(PresenceKey(fold.tenant(), ref));
      break;
    case v1::MOVE_KIND_UNSPECIFIED:
    default:
      break;
  }
  instances.Replace(key) = instance;
}

void RebuildIndex(task::Fold& fold) {
  const std::string prefix = state::Key(fold.tenant());
  v1::JourneyIndex index;
  if (const auto* before = fold.view<v1::JourneyIndex>().Find(prefix)) *index.mutable_segments() = before->segments();
  fold.view<v1::JourneyRun>().Scan(prefix, {}, [&](std::string_view key, const v1::JourneyRun& run) {
    if (run.archived()) return true;
    v1::JourneyTrigger& trigger = *index.add_triggers();
    trigger.set_journey_id(Cursor(key.substr(prefix.size())).Ordered<uint64_t>());
    trigger.set_version(run.version());
    trigger.set_paused(run.paused());
    return true;
  });
  for (v1::JourneyTrigger& trigger : *index.mutable_triggers()) {
    const auto* held =
        fold.view<v1::JourneyVersionHeld>().Find(state::Key(fold.tenant(), trigger.journey_id(), uint64_t{trigger.version()}));
    if (held == nullptr) continue;
    const v1::JourneyDefinition& definition = held->definition();
    trigger.set_entry_event(definition.entry_event());
    trigger.set_entry_segment(definition.entry_segment());
    trigger.set_key(definition.key());
    trigger.set_reentry(definition.reentry());
    for (const uint64_t segment_id : {definition.entry_segment(), definition.goal_segment()}) {
      auto& segments = *index.mutable_segments();
      const auto place = std::ranges::lower_bound(segments, segment_id);
      if (segment_id == 0 || (place != segments.end() && *place == segment_id)) continue;
      segments.Add(segment_id);
      std::ranges::sort(segments);
    }
  }
  fold.table<v1::JourneyIndex>().Replace(prefix) = index;
}

void Sweep(task::Fold& fold, uint64_t journey_id) {
  v1::JourneyRun& run = fold.table<v1::JourneyRun>().Edit(state::Key(fold.tenant(), journey_id));
  run.set_sweeping(true);
  run.clear_swept_to();
  fold.AddWork(kSweepJourney, IdSubject(journey_id));
}

}  // namespace

// ---- In the home ----

void Evolve(task::Fold& fold, const v1::JourneyDefined& event) {
  v1::Journey& journey = fold.table<v1::Journey>().Edit(state::Key(fold.tenant(), event.journey_id()));
  const bool known = journey.version().number() != 0;
  journey.set_name(event.name());
  *journey.mutable_version() = event.version();
  if (known) return;
  v1::JourneyCounter& counter = fold.table<v1::JourneyCounter>().Edit(state::Key(fold.tenant()));
  counter.set_last_journey_id(event.journey_id());
  counter.set_journeys(counter.journeys() + 1);
}

void Evolve(task::Fold& fold, const v1::JourneyArchived& event) {
  fold.table<v1::Journey>().Edit(state::Key(fold.tenant(), event.journey_id())).set_archived(true);
  v1::JourneyCounter& counter = fold.table<v1::JourneyCounter>().Edit(state::Key(fold.tenant()));
  counter.set_journeys(counter.journeys() - 1);
}

void Evolve(task::Fold& fold, const v1::JourneyPaused& event) {
  fold.table<v1::Journey>().Edit(state::Key(fold.tenant(), event.journey_id())).set_paused(true);
}

void Evolve(task::Fold& fold, const v1::JourneyResumed& event) {
  fold.table<v1::Journey>().Edit(state::Key(fold.tenant(), event.journey_id())).set_paused(false);
}

// ---- In each partition ----

void Evolve(task::Fold& fold, const v1::JourneyOpened& event) {
  const v1::JourneyVersion& version = event.version();
  fold.table<v1::JourneyVersionHeld>()
      .Edit(state::Key(fold.tenant(), event.journey_id(), uint64_t{version.number()}))
      .mutable_definition()
      ->CopyFrom(version.definition());
  v1::JourneyRun& run = fold.table<v1::JourneyRun>().Edit(state::Key(fold.tenant(), event.journey_id()));
  run.set_version(version.number());
  *run.mutable_moves() = version.moves();
  RebuildIndex(fold);
  if (!version.moves().empty()) Sweep(fold, event.journey_id());
}

void Evolve(task::Fold& fold, const v1::JourneyClosed& event) {
  fold.table<v1::JourneyRun>().Edit(state::Key(fold.tenant(), event.journey_id())).set_archived(true);
  RebuildIndex(fold);
  Sweep(fold, event.journey_id());
}

void Evolve(task::Fold& fold, const v1::JourneyHeld& event) {
  fold.table<v1::JourneyRun>().Edit(state::Key(fold.tenant(), event.journey_id())).set_paused(event.held());
  RebuildIndex(fold);
  if (!event.held()) Sweep(fold, event.journey_id());
}

void Evolve(task::Fold& fold, const v1::JourneysMoved& event) {
  for (const v1::JourneyDueDone& done : event.done()) {
    const InstanceRef ref{done.journey_id(), done.ordinal(), done.key()};
    fold.table<v1::JourneyDue>().Erase(DueKey(fold.tenant(), done.due_s(), ref));
    v1::JourneyInstance& instance = fold.table<v1::JourneyInstance>().Edit(InstanceKey(fold.tenant(), ref));
    if (instance.due_s() == done.due_s() && !instance.held()) instance.set_due_s(0);
  }
  for (const v1::JourneyMove& move : event.moves()) Apply(fold, move);
  if (event.swept_journey() != 0) {
    v1::JourneyRun& run = fold.table<v1::JourneyRun>().Edit(state::Key(fold.tenant(), event.swept_journey()));
    run.set_swept_to(event.swept_to());
    if (event.swept()) {
      run.set_sweeping(false);
      fold.RemoveWork(kSweepJourney, IdSubject(event.swept_journey()));
    }
  }
  if (!event.taken()) return;
  const std::string prefix = state::Key(fold.tenant());
  int64_t next_s = 0;
  // Not from the beginning: what was taken lies there still, as keys that were erased.
  const auto* clock = fold.view<v1::JourneyClock>().Find(prefix);
  std::string first = clock == nullptr ? std::string() : clock->first();
  fold.view<v1::JourneyDue>().Scan(prefix, first, [&](std::string_view key, const v1::JourneyDue&) {
    next_s = static_cast<int64_t>(Cursor(key.substr(prefix.size())).Ordered<uint64_t>());
    first = key;
    return false;
  });
  if (next_s == 0 && !event.done().empty()) {
    const v1::JourneyDueDone& last = *event.done().rbegin();
    first = std::max(first, DueKey(fold.tenant(), last.due_s(), {last.journey_id(), last.ordinal(), last.key()}));
  }
  fold.table<v1::JourneyClock>().Edit(prefix).set_first(first);
  if (next_s != 0 && next_s <= NowS(fold)) return;
  fold.table<v1::JourneyClock>().Edit(prefix).set_working(false);
  fold.RemoveWork(kStepJourneys, {});
  if (next_s != 0) ArmFor(fold, next_s);
}

void Evolve(task::Fold& /*fold*/, const v1::ContactUpdateWanted& /*event*/) {}  // what comes of it is the noun contacts' own

void Evolve(task::Fold& fold, const v1::JourneysDue&) {
  fold.table<v1::JourneyClock>().Edit(state::Key(fold.tenant())).set_armed_s(0);
  Work(fold);
}

}  // namespace maily::journeys
