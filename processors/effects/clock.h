// The clock effect: tells a partition what time it is, by a Tick command, only when something is due (and once at take-over).
#pragma once

#include <memory>

#include "processors/effects/effect.h"
#include "streams/command/sender.h"
#include "streams/port/env.h"

namespace maily::effects {

// Reads the wall clock at least this often: a step of it wakes nobody by itself.
inline constexpr Duration kClockPoll = Milliseconds(250);

class ClockEffect : public Effect {
 public:
  // `tick` is the type number of the Tick command.
  ClockEffect(Clock& clock, Entropy& entropy, Executor& executor, command::Sender& sender, uint16_t tick);
  ~ClockEffect() override;
  void Lead(const Leadership& leadership) override;
  void Accepted(const journal::AcceptedFrame& frame) override;
  void Stop() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::effects
