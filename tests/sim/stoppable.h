// An executor whose process can be stopped and woken up again, as SIGSTOP and SIGCONT do: what is due meanwhile runs late, in order. And
// one that dies before what its jobs hold.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "streams/port/env.h"

namespace maily::simulation {

class StoppableExecutor : public Executor {
 public:
  explicit StoppableExecutor(std::unique_ptr<Executor> inner) : inner_(std::move(inner)) {}
  ~StoppableExecutor() override { Die(); }
  void Post(Job job) override {
    if (inner_) inner_->Post(Turn(std::make_shared<TimerId>(0), std::move(job)));
  }
  TimerId After(Duration delay, Job job) override {
    if (!inner_) return 0;
    auto timer = std::make_shared<TimerId>(0);
    *timer = inner_->After(delay, Turn(timer, std::move(job)));
    return *timer;
  }
  void Cancel(TimerId timer) override {
    if (timer == 0 || !inner_) return;
    inner_->Cancel(timer);
    for (Due& due : state_->due) {
      if (*due.timer == timer) due.job = [] {};
    }
  }

  // Drops all jobs, unrun; takes no more. Dropped jobs may own what posts again meanwhile.
  void Die() {
    const auto inner = std::move(inner_);
    const auto dropped = std::exchange(state_->due, {});
  }

  void Stop() { state_->stopped = true; }
  void Continue() {
    if (!std::exchange(state_->stopped, false)) return;
    for (size_t n = inner_ ? state_->due.size() : 0; n > 0; --n) {
      inner_->Post([state = state_] { state->RunNext(); });
    }
  }

 private:
  struct Due {
    std::shared_ptr<TimerId> timer;
    Job job;
  };
  struct State {
    void RunNext() {
      if (stopped || due.empty()) return;
      Job job = std::move(due.front().job);
      due.pop_front();
      job();
    }
    bool stopped = false;
    std::deque<Due> due;
  };
  Job Turn(std::shared_ptr<TimerId> timer, Job job) {
    return [state = state_, timer = std::move(timer), job = std::move(job)]() mutable {
      state->due.push_back({std::move(timer), std::move(job)});
      state->RunNext();
    };
  }
  std::unique_ptr<Executor> inner_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace maily::simulation
