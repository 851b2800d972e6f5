// Time, chance and turns: the only way in which core code may have any of them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "streams/base/ids.h"
#include "streams/base/time.h"

namespace maily {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time; may jump in either direction.
  virtual Instant Now() = 0;
  // Time since some start; never goes back, and goes on while the machine is suspended. For waits, leases and measurements.
  virtual Duration Steady() = 0;
};

class Entropy {
 public:
  virtual ~Entropy() = default;
  // Cryptographically strong in production, seeded in simulation. Thread: any.
  virtual void Fill(std::span<uint8_t> out) = 0;

  uint64_t Next() {
    uint8_t raw[8];
    Fill(raw);
    uint64_t value = 0;
    for (const uint8_t byte : raw) value = (value << 8) | byte;
    return value;
  }
  template <class Id16>
  Id16 NextId() {
    Id16 id;
    Fill(id.bytes);
    return id;
  }
};

using Job = std::move_only_function<void()>;
using TimerId = uint64_t;  // 0 = none

// Runs jobs one after another, never two at once: what lives on one executor needs no lock.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `job` soon, in the order of posting. Thread: any.
  virtual void Post(Job job) = 0;
  // Runs `job` once after `delay` of steady time. Thread: any.
  virtual TimerId After(Duration delay, Job job) = 0;
  // Afterwards the job will not start; harmless if it already ran. Call on the executor itself.
  virtual void Cancel(TimerId timer) = 0;
};

}  // namespace maily
