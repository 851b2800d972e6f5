// See trouble.h.
#include "tests/sim/trouble.h"

namespace maily::simulation {
namespace {

constexpr Duration kSkewMax = Seconds(120);  // of the log's clock, either way: twice of what makes timers hold
constexpr Duration kJumpMax = Seconds(600);  // of all clocks

}  // namespace

Trouble::Trouble(World& world, size_t faults, uint64_t every)
    : world_(world), wakes_(world.scheduler().MakeExecutor()), every_(every), left_(faults) {}

void Trouble::Begin() {
  begun_ = true;
  Receive({}, {}, 0);
  next_ = jobs_ + world_.scheduler().Random(2 * every_);
}

void Trouble::AfterJob() {
  ++jobs_;
  const Duration now = world_.scheduler().clock().Steady();
  while (!later_.empty() && later_.begin()->first <= now.us) {
    const auto what = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    what();
  }
  if (!begun_ || left_ == 0 || jobs_ < next_) return;
  next_ = jobs_ + 1 + world_.scheduler().Random(2 * every_);
  while (!Play()) continue;
  --left_;
  ++played_;
}

void Trouble::Later(Duration after, std::function<void()> what) {
  later_.emplace((world_.scheduler().clock().Steady() + after).us, std::move(what));
  wakes_->After(after, [] {});
}

void Trouble::Receive(std::vector<app::SinkRule> rules, Duration delay, double drop_after_dot) {
  lost_replies_ += kWorkers * kConnectionsPerWorker * world_.machines();
  rules.push_back({.suffix = "@hard.test", .stage = app::SinkRule::Stage::kRcpt, .reply = "550 5.1.1 no such user"});
  world_.ChangeReceiver(std::move(rules), delay, drop_after_dot);
}

void Trouble::Revive(size_t machine) {
  if (!world_.running(machine)) world_.Start(machine);
}

size_t Trouble::AnyMachine() { return world_.scheduler().Random(world_.machines()); }

void Trouble::Count(const std::string& kind) { ++kinds_[kind]; }

bool Trouble::Play() {
  sim::Scheduler& scheduler = world_.scheduler();
  const size_t machine = AnyMachine();
  // Shorter and longer than a lease.
  const Duration pause = scheduler.RandomDuration(Milliseconds(1), scheduler.Chance(0.8) ? Seconds(2) : Seconds(90));
  const Duration brief = scheduler.RandomDuration(Milliseconds(10), Seconds(5));
  switch (scheduler.Random(12)) {
    case 0:
    case 1:
    case 2:
      if (!world_.running(machine)) return false;
      Count("kill");
      world_.Kill(machine);
      Later(pause, [this, machine] { Revive(machine); });
      return true;
    case 3:
    case 4:
      if (!world_.running(machine)) return false;
      Count("power cut");
      world_.CutPower(machine);
      Later(pause, [this, machine] { Revive(machine); });
      return true;
    case 5:
      if (!world_.running(machine)) return false;
      Count("stop");
      world_.Stop(machine);
      Later(pause, [this, machine] { world_.Continue(machine); });
      return true;
    case 6:
      Count("wires break");
      lost_replies_ += kWorkers * kConnectionsPerWorker * world_.machines();
      world_.BreakWires();
      return true;
    case 7:
      Count("disks full");
      world_.SetFull(true);
      Later(brief, [this] { world_.SetFull(false); });
      return true;
    case 8: {
      Count("receiver changes");
      const uint64_t manner = scheduler.Random(4);
      std::vector<app::SinkRule> rules;
      if (manner == 0) rules.push_back({.suffix = "@soft.test", .stage = app::SinkRule::Stage::kRcpt, .reply = "451 4.2.0 busy"});
      if (manner == 1) rules.push_back({.suffix = "@soft.test", .stage = app::SinkRule::Stage::kDot, .reply = "452 4.3.1 full"});
      const Duration delay = manner == 2 ? scheduler.RandomDuration(Milliseconds(10), Seconds(20)) : Duration{};
      Receive(std::move(rules), delay, manner == 3 ? 0.05 : 0);
      Later(pause, [this] { Receive({}, {}, 0); });
      return true;
    }
    case 9:
      Count("nobody answers dials");
      world_.SetNet(0.5, 0.3);
      Later(brief, [this] { world_.SetNet(0, 0); });
      return true;
    case 10:
      Count("clocks jump");
      if (scheduler.Chance(0.5)) {
        scheduler.JumpWallClock(scheduler.RandomDuration(Duration{} - kJumpMax, kJumpMax));
        return true;
      }
      world_.SkewLog(scheduler.RandomDuration(Duration{} - kSkewMax, kSkewMax));
      Later(Seconds(300), [this] { world_.SkewLog({}); });
      return true;
    default:
      if (world_.machines() == 1) return false;
      Count("partitions change hands");
      for (uint16_t p = 0; p < kPartitions; ++p) {
        if (scheduler.Chance(0.5)) world_.Assign(PartitionId(p), AnyMachine());
      }
      return true;
  }
}

}  // namespace maily::simulation
