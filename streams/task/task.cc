// See task.h.
#include "streams/task/task.h"

#include <atomic>
#include <mutex>
#include <optional>

#include "streams/journal/writer.h"
#include "streams/link/link.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"
#include "streams/task/careful.h"
#include "streams/task/clock_watch.h"
#include "streams/task/decide.h"
#include "streams/task/flusher.h"
#include "streams/task/follower.h"
#include "streams/task/intake.h"
#include "streams/task/snapshot_taker.h"
#include "streams/task/snapshots.h"

namespace maily::task {
namespace {

constexpr Duration kDecideBudget = Milliseconds(5);
constexpr size_t kForesee = 128;  // commands whose lookups are read together
// Commands that nobody waits for are taken once in so long: their frames become fewer and larger, and as all partitions count it from the
// same moments, one sync of the log serves many of them.
constexpr Duration kGather = Milliseconds(4);
// While nothing but opens and clicks comes, and so many of them in a turn that most would have to wait anyway.
constexpr Duration kGatherUnhurried = Milliseconds(16);
constexpr size_t kUnhurriedMin = 4;
constexpr size_t kCommandsBetweenClockReads = 32;
constexpr size_t kTimersMax = 64;             // fired in one turn
constexpr size_t kSlicesMax = 8;              // taken in one turn when no command waits
constexpr Duration kClockLook = Seconds(1);   // while timers hold
constexpr Duration kRetryAfter = Seconds(1);  // what a full disk has stopped
constexpr Duration kClaimLook = Seconds(1);

}  // namespace

const char* TaskStateName(TaskState state) {
  switch (state) {
    case TaskState::kClosed:
      return "closed";
    case TaskState::kFollowing:
      return "following";
    case TaskState::kRestoring:
      return "restoring";
    case TaskState::kLeading:
      return "leading";
    case TaskState::kDraining:
      return "draining";
    case TaskState::kFailed:
      return "failed";
  }
  return "failed";
}

struct Task::Impl : std::enable_shared_from_this<Impl> {
  // What is answered once the frame that holds it is accepted.
  struct Answer {
    CommandId id;
    command::Reply reply;
  };
  // A frame that is being decided, or in flight.
  struct Building {
    journal::FrameDraft draft;
    std::vector<Answer> answers;
    std::vector<std::pair<PartitionId, uint64_t>> outbox;
    bool alone = false;  // careful: nothing may join
  };

  Impl(PartitionId partition_in, const TaskEnvironment& environment_in, journal::Tail& tail_in, Executor& executor_in,
       std::shared_ptr<Turns> turns_in, TaskListener listener_in)
      : partition(partition_in),
        environment(environment_in),
        tail(tail_in),
        executor(executor_in),
        turns(std::move(turns_in)),
        listener(std::move(listener_in)) {
    auto& metrics = observe::Metrics::Process();
    const observe::Labels labels = {{"partition", std::to_string(partition.value())}};
    lag_records = metrics.AddGauge("maily_task_lag_records", "Records of the commands topic that are not decided yet.", labels);
    lag_seconds = metrics.AddGauge("maily_task_lag_seconds",
                                   "How long ago the newest command that was decided was appended, while there are others.", labels);
    first_command = metrics.AddGauge("maily_task_commands_first_offset",
                                     "First offset of the commands topic that is kept; older ones are trimmed.", labels);
    link_lag = metrics.AddGauge("maily_link_lag_items", "Items that links still have to carry from this partition.", labels);
    link_lag_seconds =
        metrics.AddGauge("maily_link_lag_seconds", "For how long links have had something to carry from this partition.", labels);
    clock_skew = metrics.AddGauge("maily_task_clock_skew_seconds",
                                  "The log's clock minus the machine's, as far as it is known; a minute apart, timers hold.", labels);
    timers_held = metrics.AddGauge("maily_task_timers_held", "1 while no timer fires because the two clocks are a minute apart.", labels);
    decisions = metrics.AddCounter("maily_task_decisions_total", "Decisions that were accepted.", labels);
    state_bytes = metrics.AddGauge("maily_task_state_bytes", "State of this partition in memory.", labels);
  }

  bool leading() const { return state == TaskState::kLeading; }

  void Enter(TaskState to) {
    const bool legal = (state == TaskState::kClosed && (to == TaskState::kFollowing || to == TaskState::kRestoring)) ||
                       (state == TaskState::kFollowing && (to == TaskState::kRestoring || to == TaskState::kClosed)) ||
                       (state == TaskState::kRestoring && (to == TaskState::kLeading || to == TaskState::kClosed)) ||
                       (state == TaskState::kLeading && (to == TaskState::kDraining || to == TaskState::kClosed)) ||
                       (state == TaskState::kDraining && to == TaskState::kClosed) ||
                       (state == TaskState::kFailed && to == TaskState::kClosed) || to == TaskState::kFailed;
    MAILY_CHECK(legal, "partition {}: {} -> {}", partition.value(), TaskStateName(state), TaskStateName(to));
    state = to;
    shared_state = to;
  }

  // A copy: what it was taken from is gone with the release.
  void Fail(Error error) {  // NOLINT(performance-unnecessary-value-param)
    if (state == TaskState::kFailed || state == TaskState::kClosed) return;
    Enter(TaskState::kFailed);
    {
      const std::lock_guard lock(error_mutex);
      error_text = error.ToString();
    }
    observe::Log(observe::Level::kError, "partition task stopped", {{"partition", partition.value()}, {"error", error.ToString()}});
    Release();
    if (listener.failed) listener.failed(error);
    if (stop_done) return executor.Post(std::exchange(stop_done, nullptr));
    if (error.code != Code::kRetry) return;
    executor.After(kRetryAfter, [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine || self->state != TaskState::kFailed) return;
      self->Enter(TaskState::kClosed);
      self->wanted ? self->Lead() : self->Follow();
    });
  }

  // Who waits for a command that was decided here and not accepted: nobody will know here how it comes out, or it is heard from the next
  // owner's frames.
  enum class Waiters { kAbandon, kKeep };
  // Drops everything that is not accepted, and all that hangs on leadership.
  void Release(Waiters waiters = Waiters::kAbandon) {
    ++generation;
    waits_for_turn = false;
    turns->Leave(ticket);
    watch.reset();
    follower.reset();
    if (links) links->Stop();
    links.reset();
    if (was_led && listener.stopped) listener.stopped();
    was_led = false;
    for (const Building* frame : {&current, &flying}) {
      if (waiters == Waiters::kKeep) break;
      for (const Answer& answer : frame->answers) environment.replies.Abandon(answer.id);
    }
    current = {};
    flying = {};
    intake.reset();
    writer.reset();
    engine.reset();
    snapshot_taker.reset();
    flusher.reset();
    store.reset();
  }

  // Opens the store as it was flushed or, if it begins anew, fills it from a snapshot; then Opened() goes on.
  void Open() {
    auto kv = environment.stores.Open(state::StoreName(partition), KvDurability::kOnFlush);
    if (!kv) return Fail(kv.error());
    if (environment.snapshots == nullptr) return Opened(*std::move(kv));
    const std::string fold_version = environment.pipeline.FoldVersion();
    const auto anew = state::BeginsAnew(**kv, environment.log.settings().log_id, partition, fold_version);
    if (!anew) return Fail(anew.error());
    if (!*anew) return Opened(*std::move(kv));
    filling = environment.snapshots->Fill(partition, *std::move(kv), fold_version, executor,
                                          [weak = weak_from_this(), mine = generation](Snapshots::Filled filled) {
                                            auto self = weak.lock();
                                            if (self && self->generation == mine) self->Filled(std::move(filled));
                                          });
  }

  void Filled(Snapshots::Filled filled) {
    filling.reset();
    if (stop_done) {
      filled.kv.reset();
      return StoppedEarly();
    }
    if (filled.error) {
      filled.kv.reset();
      return Fail(*filled.error);
    }
    Opened(std::move(filled.kv));
  }

  void Opened(std::unique_ptr<Kv> kv) {
    if (auto used = UseStore(std::move(kv)); !used) return Fail(used.error());
    state == TaskState::kFollowing ? StartFollower() : AwaitTurn();
  }

  void AwaitTurn() {
    const uint64_t end = environment.log.Ends({Topic::kJournal, partition}).durable.value();
    const uint64_t begin = restored_from.at_genesis ? 0 : restored_from.offset_hint.value();
    waits_for_turn = true;
    ticket = turns->Ask(end - std::min(begin, end), [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine || !self->waits_for_turn) return;
      self->waits_for_turn = false;
      self->StartWriter();
    });
  }

  // What folds and decides on the state.
  Result<void> UseStore(std::unique_ptr<Kv> kv) {
    state::Store::Options options;
    options.cache_bytes_max = environment.cache_bytes_max;
    options.fold_version = environment.pipeline.FoldVersion();
    MAILY_TRY(store, state::Store::Open(std::move(kv), environment.log.settings().log_id, partition, options));
    engine = std::make_unique<Engine>(
        environment.pipeline, store->cache(),
        Engine::Options{partition, environment.log.settings().partition_count, environment.build, environment.keyring, &credits});
    flusher.emplace(environment, partition, *store);
    restored_from = store->position();
    return Ok();
  }

  void Follow() {
    wanted = false;
    if (state != TaskState::kClosed) return;
    Enter(TaskState::kFollowing);
    ++generation;
    Open();
  }

  void StartFollower() {
    // The follower is a part of this, and so is what it calls.
    auto started = Follower::Start(tail, executor, restored_from,
                                   {.fold = [this](const journal::AcceptedFrame& frame) { return Restore(frame); },
                                    .reached =
                                        [this](const journal::Position& at) {
                                          lsn = at.lsn.value();
                                          epoch = at.epoch.value();
                                          const journal::SourcePosition* own = at.Source(0);
                                          followed_upto = own != nullptr && own->any ? own->offset.value() + 1 : 0;
                                          if (std::exchange(followed_epoch, at.epoch) == at.epoch) return;
                                          if (listener.followed) listener.followed(store->cache());
                                        },
                                    .failed = [this](const Error& error) { Fail(error); }});
    if (!started) return Fail(started.error());
    followed_epoch.reset();
    follower = std::move(*started);
  }

  // What the owner elsewhere, if there is one, has not decided yet. Thread: any.
  uint64_t FollowedLag() const {
    const LogEnds ends = environment.log.Ends({Topic::kCommands, partition});
    return ends.durable.value() - std::min(ends.durable.value(), std::max<uint64_t>(followed_upto, ends.begin.value()));
  }

  void Lead() {
    wanted = true;
    // What failed and may be tried again goes on by itself, and leads then.
    if (state == TaskState::kRestoring || state == TaskState::kLeading || state == TaskState::kFailed) return;
    const bool followed = state == TaskState::kFollowing;
    Enter(TaskState::kRestoring);
    if (!followed) {
      ++generation;
      return Open();
    }
    if (filling) return;  // Opened goes on
    restored_from = follower->position();
    follower.reset();
    StartWriter();
  }

  void StartWriter() {
    careful.emplace(environment.careful_slots, partition.value());
    if (environment.plain.inlet != nullptr) {
      careful_plain.emplace(environment.careful_slots, size_t{environment.log.settings().partition_count} + partition.value());
    }
    writer = std::make_unique<journal::Writer>(environment.log, tail, executor, environment.entropy,
                                               journal::Writer::Options{partition, environment.owner, environment.build, 1});
    flush_retried = holding = false;
    const uint64_t mine = ++generation;
    // The writer is a part of this: what it holds must not hold this.
    writer->Lead(
        restored_from,
        [weak = weak_from_this()](const journal::AcceptedFrame& frame) {
          auto self = weak.lock();
          return self ? self->Restore(frame) : Ok();
        },
        [weak = weak_from_this(), mine](Result<Epoch> led) {
          if (auto self = weak.lock(); self && self->generation == mine) self->Led(std::move(led));
        });
  }

  Result<void> Restore(const journal::AcceptedFrame& frame) {
    MAILY_TRY_VOID(engine->Restore(frame));
    if (const Error* error = store->cache().error()) return *error;
    restored_bytes += frame.body.size();
    if (!environment.replies.Empty()) AnswerFrom(frame);
    return flusher->Restored(frame.after);
  }

  // The journal is the reply: whoever waits in this process for what another owner decided hears it here.
  void AnswerFrom(const journal::AcceptedFrame& frame) {
    for (const journal::Decision& decision : frame.decisions) {
      if (decision.cause.kind != journal::CauseKind::kCommand) continue;
      environment.replies.Answer(decision.cause.command_id, {.outcome = static_cast<uint16_t>(decision.outcome),
                                                             .answer = std::string(decision.answer),
                                                             .at = decision.cause.at,
                                                             .first = static_cast<uint16_t>(engine->First(decision))});
    }
  }

  void Led(Result<Epoch> led) {
    if (!led) return Fail(led.error());
    turns->Leave(ticket);
    if (stop_done) return StoppedEarly();
    Enter(TaskState::kLeading);
    engine->work().Load();
    engine->TakeOutboxMarks();
    const journal::Position& at = writer->position();
    now = latest = at.time;
    epoch = led->value();
    lsn = at.lsn.value();
    const ReadTo to = environment.log.ordered_across_partitions() ? ReadTo::kWritten : ReadTo::kDurable;
    auto opened = Intake::Open(environment.log, environment.clock, partition, at, environment.plain, StepSignal());
    if (!opened) return Fail(opened.error());
    intake = std::move(*opened);
    // The first command that is decided may be the one that ends the process.
    careful->Passed(StandsAt(at, kCommandsSource));
    if (careful_plain) careful_plain->Passed(StandsAt(at, kInletSource));
    credits = Credits();
    credits.OnGranted([weak = weak_from_this()] {
      if (auto task = weak.lock(); task && task->leading()) {
        task->engine->work().WakeAll();
        task->Wake();
      }
    });
    links = std::make_unique<link::Links>(partition, environment.log.settings().partition_count, engine->outbox(), environment.sender,
                                          environment.replies, environment.entropy, executor);
    was_led = true;
    link_busy_since = environment.clock.Steady();
    time_known = stirred = false;
    gathering = false;
    last_taken = {};
    unhurried = 0;
    foreseen = 0;
    observe::Log(observe::Level::kInfo, "partition led",
                 {{"partition", partition.value()}, {"epoch", epoch.load()}, {"lsn", lsn.load()}, {"restored_bytes", restored_bytes}});
    if (listener.led) listener.led(*led, at, store->cache(), credits);
    links->Lead();
    watch = environment.log.WatchTail({Topic::kCommands, partition}, to, StepSignal());
    clocks = {};
    clock_look = false;
    snapshot_taker.emplace(environment, partition, executor, *store);
    FlushTimer();
    ClaimTimer();
    Step();
  }

  // The last command that was decided of a source; before the first one, where it will stand.
  CommandAt StandsAt(const journal::Position& at, uint16_t source) const {
    const journal::SourcePosition* const stands = at.Source(source);
    if (stands != nullptr && stands->any) return {partition, stands->generation, stands->offset, stands->index};
    if (source == kInletSource) return {partition, kInletGeneration | environment.plain.generation, Offset(), 0};
    return {partition, environment.log.settings().generation, environment.log.Ends({Topic::kCommands, partition}).begin, 0};
  }

  // Stopped while it restored, or while its store was filled.
  void StoppedEarly() {
    Release();
    Enter(TaskState::kClosed);
    executor.Post(std::exchange(stop_done, nullptr));
  }

  // What adapters call when there is something to take.
  std::function<void()> StepSignal() {
    return [weak = weak_from_this(), executor_pointer = &executor] {
      auto task = weak.lock();
      if (!task || (task->gathering && task->environment.replies.Empty())) return;  // its timer comes
      // One posted wake-up at a time is enough: it reads everything there is.
      if (task->signalled.exchange(true)) return;
      executor_pointer->Post([weak] {
        if (auto posted = weak.lock()) {
          posted->signalled = false;
          if (posted->leading()) posted->Step();
        }
      });
    };
  }

  void Wake() {
    if (awake) return;
    awake = true;
    executor.Post([weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine) return;
      self->awake = false;
      if (self->leading()) self->Step();
    });
  }

  // Step 1-3 of the loop.
  void Step() {
    if (holding) return;  // a flush waits for the frame in flight: nothing may be decided before it is frozen
    const Duration start = environment.clock.Steady();
    bool more = false;
    size_t count = 0, hurried = 0;
    // 1. External commands.
    const bool take = !Gathering(start);
    while (take && !Full()) {
      const command::Received* received = intake->Peek();
      if (received == nullptr) {
        if (const command::Unreadable* record = intake->unreadable()) {
          Advance(record->time);
          engine->Unreadable(*record, current.draft);
          current.draft.Consumed(SourceOf(record->at), record->at);
          intake->Pop();
          stirred = true;
          ++hurried;
          continue;
        }
        break;
      }
      if (CarefulOf(received->at).active(received->at)) {
        if (!current.draft.empty() || !flying.draft.empty()) break;  // alone in its frame
        current.alone = true;
      } else if (foreseen-- == 0) {  // not of those that may end the process
        const auto upcoming = intake->Upcoming(kForesee);
        engine->Foresee(upcoming);
        foreseen = upcoming.empty() ? 0 : upcoming.size() - 1;
      }
      stirred = true;
      last_taken = start;
      if (!environment.pipeline.decider(received->command.type).unhurried) ++hurried;
      Decide(*received);
      const CommandAt at = received->at;
      intake->Pop();
      if (current.alone) break;
      if (++count % kCommandsBetweenClockReads != 0) continue;
      // Thousands of records are under way: not how far they are accepted tells where it died, but how far it was.
      if (IsInlet(at)) careful_plain->Passed(at);
      if (environment.clock.Steady() - start > kDecideBudget) {
        more = true;
        break;
      }
    }
    if (take) unhurried = hurried > 0 ? 0 : count;
    if (const Error* error = intake->error()) return Fail(*error);
    // 2. Work and timers, on journal time: only once this leadership has seen what time it is.
    if (time_known && !current.alone && !Full()) {
      Advance(latest);
      if (std::exchange(stirred, false)) engine->work().WakeAll();
      if (!TimersHold() && engine->FireTimers(now, kTimersMax, current.draft) == kTimersMax) more = true;
      for (size_t i = 0; i < kSlicesMax && !Full(); ++i) {
        const bool progress = engine->Slice(now, current.draft);
        if (!progress) break;
        if (i + 1 == kSlicesMax || environment.clock.Steady() - start > kDecideBudget) {
          more = true;
          break;
        }
      }
      for (auto& mark : engine->TakeOutboxMarks()) current.outbox.push_back(mark);
    }
    if (const Error* error = store->cache().error()) return Fail(*error);
    // 3. Append.
    if (!current.draft.empty() && flying.draft.empty()) Append();
    // What a new leadership reads once more is no work, and no frame says that it is done.
    if (shared_command_lag > 0 && current.draft.empty() && flying.draft.empty()) Measure();
    if (more && !Full()) Wake();
  }

  // True if the commands that are there should wait for others; then Step comes back by itself.
  bool Gathering(Duration steady) {
    const int64_t length = unhurried >= kUnhurriedMin ? kGatherUnhurried.us : kGather.us;
    const int64_t turn = steady.us / length;
    if (!environment.replies.Empty() || turn != last_taken.us / length) return false;
    if (!gathering.exchange(true)) {
      executor.After(Duration{(turn + 1) * length} - steady, [weak = weak_from_this(), mine = generation] {
        auto self = weak.lock();
        if (!self || self->generation != mine) return;
        self->gathering = false;
        if (self->leading()) self->Step();
      });
    }
    return true;
  }

  bool Full() const { return current.alone || current.draft.bytes() >= journal::kFrameBytesAim; }

  // All decisions of a frame have the frame's time, in which they are folded again at restore: it moves only between frames.
  void Advance(Instant time) {
    if (time > latest) latest = time;
    time_known = true;
    if (!current.draft.empty()) return;
    now = latest;
    current.draft.SetTime(now);
  }

  // Decided live only, and what fires is in the journal: a restore does not ask.
  bool TimersHold() {
    const Duration skew = clocks.Look(latest, environment.clock.Now());
    const bool hold = ClockWatch::Apart(skew);
    clock_skew.Set(skew.us / 1'000'000);
    timers_held.Set(hold ? 1 : 0);
    shared_clock_skew_us = skew.us;
    if (hold != shared_timers_held.exchange(hold)) {
      observe::Log(hold ? observe::Level::kError : observe::Level::kInfo,
                   hold ? "the log's clock and the machine's differ: timers hold" : "the log's clock and the machine's agree: timers fire",
                   {{"partition", partition.value()}, {"log_minus_machine_seconds", skew.us / 1'000'000}});
    }
    if (hold && !std::exchange(clock_look, true)) {
      executor.After(kClockLook, [weak = weak_from_this(), mine = generation] {
        auto self = weak.lock();
        if (!self || self->generation != mine) return;
        self->clock_look = false;
        if (self->leading()) self->Step();
      });
    }
    return hold;
  }

  Careful& CarefulOf(const CommandAt& at) { return IsInlet(at) ? *careful_plain : *careful; }

  void Decide(const command::Received& received) {
    Advance(received.time);
    if (received.command.type == kTickCommand) clocks.Ticked(received.command.occurred_at, received.time);
    const bool poison = current.alone && CarefulOf(received.at).Enter(received.at);
    const Engine::Decided decided =
        poison ? engine->Reject(received, "poison", "this command ended the process three times; it was not decided", current.draft)
               : engine->Command(received, now, current.draft);
    current.draft.Consumed(SourceOf(received.at), received.at);
    ++commands_decided;
    if (!environment.replies.Empty()) {
      current.answers.push_back({received.command.id,
                                 {.outcome = static_cast<uint16_t>(decided.outcome),
                                  .answer = std::string(decided.answer),
                                  .at = received.at,
                                  .first = static_cast<uint16_t>(decided.first)}});
    }
    for (auto& mark : engine->TakeOutboxMarks()) current.outbox.push_back(mark);
  }

  void Append() {
    flying = std::exchange(current, {});
    flusher->Appended(flying.draft.bytes());
    snapshot_taker->Appended(flying.draft.bytes());
    if (flusher->Due()) holding = true;
    Careful* const entered = !flying.alone ? nullptr : flying.draft.last(kCommandsSource) != nullptr ? &*careful : &*careful_plain;
    // The body goes to the writer; what stays tells how many decisions the frame has, and what it consumed.
    writer->Append(std::move(flying.draft), [weak = weak_from_this(), mine = generation](Result<journal::Position> accepted) {
      auto self = weak.lock();
      if (self && self->generation == mine) self->Accepted(std::move(accepted));
    });
    if (entered != nullptr) entered->Waits();
  }

  // Step 4.
  void Accepted(Result<journal::Position> accepted) {
    if (!accepted) {
      if (accepted.error().code == Code::kFenced) return Fenced(accepted.error());
      return Fail(accepted.error());
    }
    const Building done = std::exchange(flying, {});
    lsn = accepted->lsn.value();
    decisions.Add(done.draft.count());
    if (const CommandAt* last = done.draft.last(kCommandsSource)) careful->Passed(*last);
    if (const CommandAt* last = done.draft.last(kInletSource); last != nullptr && done.alone) careful_plain->Passed(*last);
    for (const Answer& answer : done.answers) environment.replies.Answer(answer.id, answer.reply);
    for (const auto& [to, upto] : done.outbox) links->Release(to, upto);
    if (holding) {
      holding = false;
      if (auto flushed = Flush(*accepted); !flushed) return Fail(flushed.error());
    }
    Measure();
    if (state == TaskState::kDraining) return Drain();
    Step();
  }

  void Measure() {
    const LogEnds ends = environment.log.Ends({Topic::kCommands, partition});
    const uint64_t end = ends.written.value();
    const uint64_t next = intake->next_offset().value();
    ShowCommandsBegin();
    const uint64_t behind = end > next ? end - next : 0;
    lag_records.Set(static_cast<int64_t>(behind));
    lag_seconds.Set(behind == 0 ? 0 : std::max<int64_t>(0, (environment.clock.Now() - latest).us / 1'000'000));
    const uint64_t to_carry = links->Lag();
    if (to_carry == 0) link_busy_since = environment.clock.Steady();
    link_lag.Set(static_cast<int64_t>(to_carry));
    link_lag_seconds.Set((environment.clock.Steady() - link_busy_since).us / 1'000'000);
    state_bytes.Set(static_cast<int64_t>(store->cache().bytes()));
    shared_command_lag = behind;
    shared_link_lag = to_carry;
    shared_state_bytes = store->cache().bytes();
  }

  void ShowCommandsBegin() {
    shared_commands_begin = environment.log.Ends({Topic::kCommands, partition}).begin.value();
    first_command.Set(static_cast<int64_t>(shared_commands_begin));
  }

  // An owner that appends nothing learns of another one's claim only if it looks.
  void ClaimTimer() {
    executor.After(kClaimLook, [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine || !self->leading()) return;
      const journal::Position& at = self->writer->position();
      const bool idle = self->flying.draft.empty() && !self->writer->in_flight();
      if (idle && self->environment.log.Ends({Topic::kJournal, self->partition}).durable > at.offset_hint.Next()) {
        if (auto reader = self->tail.Open(at)) {
          const auto frame = (*reader)->Next();
          const journal::Position& there = frame && *frame ? (*frame)->before : (*reader)->position();
          if (there.epoch != at.epoch)
            return self->Fenced(
                maily::Fail(Code::kFenced, "epoch {} was claimed; this one led epoch {}", there.epoch.value(), at.epoch.value()));
        }
      }
      self->ClaimTimer();
    });
  }

  // What was decided and not accepted goes with the state that it was folded into: what was flushed is folded on from there.
  void Fenced(const Error& error) {
    observe::Log(observe::Level::kWarn, "partition fenced: another owner leads it",
                 {{"partition", partition.value()}, {"error", error.message}});
    const bool draining = state == TaskState::kDraining;
    Release(stop_done ? Waiters::kAbandon : Waiters::kKeep);
    Enter(TaskState::kClosed);
    if (draining) return executor.Post(std::exchange(stop_done, nullptr));
    const bool again = wanted;
    Follow();
    if (!again) return;
    // Whoever assigns partitions still wants this one here.
    wanted = true;
    executor.After(journal::ReclaimPause(environment.entropy), [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (self && self->generation == mine && self->wanted) self->Lead();
    });
  }

  Result<void> Flush(const journal::Position& at) {
    MAILY_TRY_VOID(flusher->Flush(at));
    holding = flusher->full();
    if (state == TaskState::kLeading) snapshot_taker->Look();
    ShowCommandsBegin();
    if (!flusher->stalled() || std::exchange(flush_retried, true)) return Ok();
    executor.After(kRetryAfter, [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine || !self->leading()) return;
      self->flush_retried = false;
      if (self->flusher->stalled()) self->FlushSoon();
      if (self->leading()) self->Step();
    });
    return Ok();
  }

  // Now, or with the next frame that is accepted.
  void FlushSoon() {
    if (!flying.draft.empty() || !current.draft.empty()) {
      flusher->Ask();
    } else if (auto flushed = Flush(writer->position()); !flushed) {
      Fail(flushed.error());
    }
  }

  void FlushTimer() {
    executor.After(environment.flush_interval, [weak = weak_from_this(), mine = generation] {
      auto self = weak.lock();
      if (!self || self->generation != mine || !self->leading()) return;
      if (self->store->cache().dirty_bytes() > 0 && !self->flusher->stalled()) self->FlushSoon();
      if (!self->leading()) return;
      self->flusher->Trim();
      self->snapshot_taker->Look();
      self->ShowCommandsBegin();
      self->FlushTimer();
    });
  }

  void Stop(Job done) {
    wanted = false;
    stop_done = std::move(done);
    if (filling) return filling->Stop();  // Filled goes on
    if (waits_for_turn) return StoppedEarly();
    switch (state) {
      case TaskState::kRestoring:  // Led or Fail goes on
      case TaskState::kDraining:
        return;
      case TaskState::kLeading:
        Enter(TaskState::kDraining);
        return Drain();
      case TaskState::kFollowing:
        Release();
        Enter(TaskState::kClosed);
        break;
      case TaskState::kFailed:
        Enter(TaskState::kClosed);
        break;
      default:
        break;
    }
    executor.Post(std::exchange(stop_done, nullptr));
  }

  void Drain() {
    if (!flying.draft.empty()) return;
    if (!current.draft.empty()) return Append();
    if (auto flushed = Flush(writer->position()); !flushed) return Fail(flushed.error());
    careful->Clean();
    if (careful_plain) careful_plain->Clean();
    Release();
    Enter(TaskState::kClosed);
    observe::Log(observe::Level::kInfo, "partition handed over", {{"partition", partition.value()}});
    executor.Post(std::exchange(stop_done, nullptr));
  }

  const PartitionId partition;
  const TaskEnvironment& environment;
  journal::Tail& tail;
  Executor& executor;
  const std::shared_ptr<Turns> turns;
  Turns::Ticket ticket = 0;
  bool waits_for_turn = false;
  TaskListener listener;

  TaskState state = TaskState::kClosed;
  uint64_t generation = 0;  // grows with every leadership, so that late callbacks of an old one are dropped
  bool was_led = false;
  bool wanted = false;                  // to lead here
  std::unique_ptr<Follower> follower;   // while following
  std::optional<Epoch> followed_epoch;  // the last one that the listener was told of
  std::unique_ptr<state::Store> store;
  std::optional<Snapshots::Filling> filling;  // while the store is away, to be filled
  std::optional<Flusher> flusher;             // of the store
  std::optional<SnapshotTaker> snapshot_taker;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<journal::Writer> writer;
  std::unique_ptr<Intake> intake;
  std::unique_ptr<link::Links> links;
  std::unique_ptr<TailWatch> watch;
  std::optional<Careful> careful;
  std::optional<Careful> careful_plain;  // of the inlet
  Credits credits;
  journal::Position restored_from;
  size_t restored_bytes = 0;

  Building current;
  Building flying;
  Instant now;              // journal time: of the frame that is being decided
  Instant latest;           // of the newest command seen
  bool stirred = false;     // commands were decided since the work was last woken
  bool time_known = false;  // a command of this leadership has told the time
  bool awake = false;
  Duration last_taken;         // when commands were taken last
  size_t unhurried = 0;        // so many of them; 0 if others were among them
  bool holding = false;        // a flush is due: wait for the frame in flight
  bool flush_retried = false;  // a timer is set
  Job stop_done;
  ClockWatch clocks;
  bool clock_look = false;   // timers hold, and a look at the clocks is due
  Duration link_busy_since;  // since when links have had something to carry
  observe::Gauge lag_records, lag_seconds, first_command, clock_skew, timers_held, link_lag, link_lag_seconds, state_bytes;
  observe::Counter decisions;

  // Self-synchronised: read by status() on any thread.
  std::atomic<bool> signalled = false;
  size_t foreseen = 0;                  // commands left of those that were looked at ahead
  std::atomic<bool> gathering = false;  // a timer is set
  std::atomic<TaskState> shared_state = TaskState::kClosed;
  std::atomic<uint64_t> epoch = 0;
  std::atomic<uint64_t> lsn = 0;
  std::atomic<uint64_t> commands_decided = 0;
  std::atomic<uint64_t> shared_command_lag = 0;
  std::atomic<uint64_t> followed_upto = 0;  // one past the last command that the owner elsewhere has decided
  std::atomic<uint64_t> shared_commands_begin = 0;
  std::atomic<uint64_t> shared_link_lag = 0;
  std::atomic<int64_t> shared_clock_skew_us = 0;
  std::atomic<bool> shared_timers_held = false;
  std::atomic<size_t> shared_state_bytes = 0;
  mutable std::mutex error_mutex;
  std::string error_text;
};

Task::Task(PartitionId partition, const TaskEnvironment& environment, journal::Tail& tail, Executor& executor, std::shared_ptr<Turns> turns,
           TaskListener listener)
    : impl_(std::make_shared<Impl>(partition, environment, tail, executor, std::move(turns), std::move(listener))) {}

Task::~Task() = default;
void Task::Follow() { impl_->Follow(); }
void Task::Lead() { impl_->Lead(); }
void Task::Stop(Job done) { impl_->Stop(std::move(done)); }

Task::Status Task::status() const {
  Status status;
  status.state = impl_->shared_state;
  status.epoch = impl_->epoch;
  status.lsn = impl_->lsn;
  status.decided = impl_->commands_decided;
  status.command_lag = status.state == TaskState::kFollowing ? impl_->FollowedLag() : impl_->shared_command_lag.load();
  status.commands_begin = impl_->shared_commands_begin;
  status.link_lag = impl_->shared_link_lag;
  status.clock_skew = {impl_->shared_clock_skew_us};
  status.timers_held = impl_->shared_timers_held;
  status.state_bytes = impl_->shared_state_bytes;
  const std::lock_guard lock(impl_->error_mutex);
  status.error = impl_->error_text;
  return status;
}

}  // namespace maily::task
