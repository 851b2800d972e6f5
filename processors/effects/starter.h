// The starter effect: starts scheduled campaigns whose time has come, in the homes of tenants that are led here.
//
// That the time has come is decided by a timer; whether the campaign may start depends on what this process knows of the instance as well
// (does its mail go to the world, how large may a mail be), so it is the effect that says "start", by a command. It says so again until
// the state shows what came of it.
#pragma once

#include <cstdint>
#include <memory>

#include "processors/effects/effect.h"
#include "streams/command/sender.h"
#include "streams/port/env.h"

namespace maily::effects {

inline constexpr Duration kStarterPoll = Milliseconds(250);
inline constexpr Duration kStarterAgain = Seconds(5);
inline constexpr size_t kStartsAtOnce = 64;  // of a poll; others wait for the next one

struct InstanceFacts {
  bool live = false;            // its mail goes to the world
  bool held = false;            // it is a copy of another one, or was not released: it starts nothing
  uint64_t mail_bytes_max = 0;  // of a whole mail; 0: not said
};

class StarterEffect : public Effect {
 public:
  StarterEffect(const InstanceFacts& facts, Clock& clock, Entropy& entropy, Executor& executor, command::Sender& sender);
  ~StarterEffect() override;
  void Lead(const Leadership& leadership) override;
  void Accepted(const journal::AcceptedFrame& frame) override;
  void Stop() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::effects
