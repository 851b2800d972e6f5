// A log, an executor and chance for unit tests of commands and journal: nothing happens unless the test says so.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::model {

// Appends wait in `pending` until the test lands, fails or loses them; with `automatic` they land and are reported at once.
class ScriptLog : public Log {
 public:
  struct Pending {
    TopicPartition at;
    std::string record;
    Sync sync;
    AppendDone done;
  };

  explicit ScriptLog(uint16_t partition_count = 4) {
    settings_.log_id = LogId::FromHex("000102030405060708090a0b0c0d0e0f");
    settings_.partition_count = partition_count;
  }

  bool automatic = true;
  std::deque<Pending> pending;
  Instant now{1'000'000};

  const LogSettings& settings() const override { return settings_; }
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override {
    if (!automatic) {
      pending.push_back({at, std::move(record), sync, std::move(done)});
      return;
    }
    const Offset offset = Put(at, std::move(record));
    done(Appended{offset});
  }
  // The record is there, durable, and nobody was told.
  Offset Put(TopicPartition at, std::string record) {
    auto& records = records_[at];
    const Offset offset(first_[at] + records.size());
    records.push_back({.offset = offset, .time = now, .bytes = std::move(record)});
    Signal(at);
    return offset;
  }
  // Lands the oldest pending append, or not, and reports `report` (none: its offset).
  void Land(std::optional<Result<Appended>> report = std::nullopt, bool lands = true) {
    Pending oldest = std::move(pending.front());
    pending.pop_front();
    Offset offset;
    if (lands) offset = Put(oldest.at, std::move(oldest.record));
    oldest.done(report ? std::move(*report) : Result<Appended>(Appended{offset}));
  }
  void Truncate(TopicPartition at, Offset end) { records_[at].resize(end.value() - first_[at]); }
  std::string& Bytes(TopicPartition at, Offset offset) { return records_[at][offset.value() - first_[at]].bytes; }

  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo) override {
    ++reads;
    const auto& records = records_[at];
    if (from.value() < first_[at]) return Fail(Code::kNotFound, "offset {} is trimmed", from.value());
    size_t index = from.value() - first_[at];
    if (index > records.size()) return Fail(Code::kInvalid, "offset {} is beyond the end", from.value());
    std::vector<LogRecord> out;
    size_t bytes = 0;
    for (; index < records.size() && (out.empty() || bytes + records[index].bytes.size() <= bytes_max); ++index) {
      bytes += records[index].bytes.size();
      out.push_back(records[index]);
    }
    return out;
  }
  LogEnds Ends(TopicPartition at) override {
    const Offset end(first_[at] + records_[at].size());
    return {.begin = Offset(first_[at]), .durable = end, .written = end};
  }
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo, std::function<void()> signal) override {
    class Watch final : public TailWatch {
     public:
      Watch(ScriptLog& log, uint64_t id) : log_(log), id_(id) {}
      ~Watch() override { log_.watches_.erase(id_); }

     private:
      ScriptLog& log_;
      uint64_t id_;
    };
    const uint64_t id = ++watch_ids_;
    watches_[id] = {at, std::move(signal)};
    return std::make_unique<Watch>(*this, id);
  }
  Result<void> Trim(TopicPartition at, Offset before) override {
    auto& records = records_[at];
    while (!records.empty() && first_[at] < before.value()) {
      records.erase(records.begin());
      ++first_[at];
    }
    return Ok();
  }
  bool ordered_across_partitions() const override { return true; }
  std::string durability_class() const override { return "memory"; }

  std::atomic<int> reads = 0;

 private:
  void Signal(TopicPartition at) {
    std::vector<std::function<void()>> signals;
    for (const auto& [id, watch] : watches_) {
      if (watch.first == at) signals.push_back(watch.second);
    }
    for (const auto& signal : signals) signal();
  }

  LogSettings settings_;
  std::map<TopicPartition, std::vector<LogRecord>> records_;
  std::map<TopicPartition, uint64_t> first_;
  std::map<uint64_t, std::pair<TopicPartition, std::function<void()>>> watches_;
  uint64_t watch_ids_ = 0;
};

// Runs what was posted when the test says so; its clock moves only by RunFor.
class ManualExecutor final : public Executor {
 public:
  void Post(Job job) override { posted_.push_back(std::move(job)); }
  TimerId After(Duration delay, Job job) override {
    timers_.emplace(++timer_ids_, std::pair(now_ + delay, std::move(job)));
    return timer_ids_;
  }
  void Cancel(TimerId timer) override { timers_.erase(timer); }

  // Runs what is posted until nothing is.
  void Run() {
    while (!posted_.empty()) {
      Job job = std::move(posted_.front());
      posted_.pop_front();
      job();
    }
  }
  // Moves the clock on; due timers run in order of their time.
  void RunFor(Duration duration) {
    const Duration until = now_ + duration;
    Run();
    while (true) {
      auto due = timers_.end();
      for (auto it = timers_.begin(); it != timers_.end(); ++it) {
        if (it->second.first <= until && (due == timers_.end() || it->second.first < due->second.first)) due = it;
      }
      if (due == timers_.end()) break;
      now_ = due->second.first;
      Job job = std::move(due->second.second);
      timers_.erase(due);
      job();
      Run();
    }
    now_ = until;
  }
  size_t timers() const { return timers_.size(); }

 private:
  std::deque<Job> posted_;
  std::map<TimerId, std::pair<Duration, Job>> timers_;
  TimerId timer_ids_ = 0;
  Duration now_;
};

class CountingEntropy final : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(next_++ * 37 + 11);
  }

 private:
  uint32_t next_ = 1;
};

}  // namespace maily::model
