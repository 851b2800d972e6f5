// A broker's log as one of several simulated processes sees it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "streams/adapters/sim/sim_log.h"

namespace maily::sim {

// The log as one process sees it: nobody is told of anything once it is dead.
class SimLogClient : public Log {
 public:
  explicit SimLogClient(SimLog& log) : log_(log) {}
  const LogSettings& settings() const override { return log_.settings(); }
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override {
    log_.Append(at, std::move(record), sync, [alive = std::weak_ptr(alive_), done = std::move(done)](Result<Appended> result) mutable {
      if (alive.lock()) done(std::move(result));
    });
  }
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override {
    return log_.Read(at, from, bytes_max, to);
  }
  LogEnds Ends(TopicPartition at) override { return log_.Ends(at); }
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override {
    return log_.WatchTail(at, to, std::move(signal));
  }
  Result<void> Trim(TopicPartition at, Offset before) override { return log_.Trim(at, before); }
  bool ordered_across_partitions() const override { return log_.ordered_across_partitions(); }
  std::string durability_class() const override { return log_.durability_class(); }

 private:
  SimLog& log_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace maily::sim
