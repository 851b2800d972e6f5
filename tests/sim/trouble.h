// What goes wrong in a simulated world, when: a plan of faults by seed, played as the scheduler works.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/sim/world.h"

namespace maily::simulation {

class Trouble {
 public:
  // So many faults, about one in every `every` jobs.
  Trouble(World& world, size_t faults, uint64_t every);

  // From now on. Before, nothing goes wrong.
  void Begin();
  // Runs after every job of the scheduler.
  void AfterJob();
  // All were played, and what they took away is back: machines run, disks have room, wires and clocks are as they should be.
  bool over() const { return begun_ && left_ == 0 && later_.empty(); }
  size_t played() const { return played_; }
  // By name, how often.
  const std::map<std::string, size_t>& kinds() const { return kinds_; }
  // How often a receiver may have taken a mail without being able to say so.
  size_t lost_replies() const { return lost_replies_; }

 private:
  // One fault by chance. False: not here and now, nothing was done.
  bool Play();
  void Count(const std::string& kind);
  void Later(Duration after, std::function<void()> what);
  // The receiver begins anew with these manners; who does not exist there never does.
  void Receive(std::vector<app::SinkRule> rules, Duration delay, double drop_after_dot);
  void Revive(size_t machine);
  size_t AnyMachine();

  World& world_;
  const std::unique_ptr<Executor> wakes_;  // so that time passes also when all are dead
  const uint64_t every_;
  bool begun_ = false;
  size_t left_;
  size_t played_ = 0;
  size_t lost_replies_ = 0;
  uint64_t jobs_ = 0;
  uint64_t next_ = 0;
  std::multimap<int64_t, std::function<void()>> later_;  // by steady time
  std::map<std::string, size_t> kinds_;
};

}  // namespace maily::simulation
