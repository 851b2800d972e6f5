// See clock.h.
#include "processors/effects/clock.h"

#include <optional>

#include "processors/effects/lag.h"
#include "streams/state/timers.h"

namespace maily::effects {

struct ClockEffect::Impl : std::enable_shared_from_this<Impl> {
  Impl(Clock& clock_in, Entropy& entropy_in, Executor& executor_in, command::Sender& sender_in, uint16_t tick_in)
      : clock(clock_in), entropy(entropy_in), executor(executor_in), sender(sender_in), tick(tick_in) {}

  void Tick() {
    command::Command command;
    command.id = entropy.NextId<CommandId>();
    command.type = tick;
    command.actor = "effect:clock";
    command.occurred_at = clock.Now();
    sender.Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});  // sent again at the next poll if it was lost
  }

  void Poll() {
    executor.After(kClockPoll, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || self->stopped) return;
      const auto next = state::Timers(*self->cache).Next();  // afresh: the task's own instance arms them
      const Instant now = self->clock.Now();
      // Also when journal time has reached it: the task holds its timers as long as the last Tick that it saw found the clocks apart.
      if (next && *next <= now) self->Tick();
      if (next && *next <= now && self->journal_time < *next) {
        if (!self->owed || self->due != *next) self->owed = self->lag->Begin(now - *next);
        self->due = *next;
      } else {
        self->owed.reset();
      }
      self->Poll();
    });
  }

  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  command::Sender& sender;
  const uint16_t tick;
  PartitionId partition;
  state::Cache* cache = nullptr;
  Instant journal_time;
  std::optional<Lag> lag;
  Lag::Open owed;  // a timer is due, and journal time has not come to it
  Instant due;     // of that timer
  bool stopped = false;
};

ClockEffect::ClockEffect(Clock& clock, Entropy& entropy, Executor& executor, command::Sender& sender, uint16_t tick)
    : impl_(std::make_shared<Impl>(clock, entropy, executor, sender, tick)) {}

ClockEffect::~ClockEffect() { impl_->stopped = true; }

void ClockEffect::Lead(const Leadership& leadership) {
  impl_->partition = leadership.partition;
  impl_->cache = leadership.cache;
  impl_->journal_time = leadership.position.time;
  impl_->lag.emplace(impl_->clock, "clock", leadership.partition);
  impl_->Tick();
  impl_->Poll();
}

void ClockEffect::Accepted(const journal::AcceptedFrame& frame) {
  impl_->journal_time = frame.time;
  if (frame.time >= impl_->due) impl_->owed.reset();
}

void ClockEffect::Stop() {
  impl_->stopped = true;
  impl_->owed.reset();
  impl_->lag.reset();
}

}  // namespace maily::effects
