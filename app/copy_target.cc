// See copy_target.h.
#include "app/copy_target.h"

#include <filesystem>
#include <future>
#include <mutex>
#include <optional>

#include "app/instance.h"
#include "streams/adapters/kafka/kafka_log.h"
#include "streams/adapters/kafka/outlet.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/adapters/rocks/rocks_log.h"

namespace maily::app {
namespace {

LogSettings WhateverIsThere() {
  LogSettings settings;
  settings.partition_count = 0;
  return settings;
}

Result<kafka::Options> OptionsOf(const CopyPlace& place) {
  MAILY_TRY(kafka::Options options, kafka::ParseAddress(place.where));
  if (!place.kafka_properties.empty()) {
    MAILY_TRY(options.properties, kafka::LoadProperties(place.kafka_properties));
  }
  return options;
}

// An embedded log with the lock of its data directory, and what it stands on.
class LockedLog final : public Log {
 public:
  LockedLog(std::unique_ptr<Instance> instance, std::unique_ptr<rocks::Resources> resources, std::unique_ptr<Log> log)
      : instance_(std::move(instance)), resources_(std::move(resources)), log_(std::move(log)) {}

  const LogSettings& settings() const override { return log_->settings(); }
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override {
    log_->Append(at, std::move(record), sync, std::move(done));
  }
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override {
    return log_->Read(at, from, bytes_max, to);
  }
  LogEnds Ends(TopicPartition at) override { return log_->Ends(at); }
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override {
    return log_->WatchTail(at, to, std::move(signal));
  }
  Result<void> Trim(TopicPartition at, Offset before) override { return log_->Trim(at, before); }
  bool ordered_across_partitions() const override { return log_->ordered_across_partitions(); }
  std::string durability_class() const override { return log_->durability_class(); }

 private:
  std::unique_ptr<Instance> instance_;
  std::unique_ptr<rocks::Resources> resources_;
  std::unique_ptr<Log> log_;
};

// Written beside as <data>/log.copying, which becomes <data>/log when it is whole.
class RocksTarget final : public CopyTarget {
 public:
  static Result<std::unique_ptr<CopyTarget>> Open(const std::string& data, const LogSettings& settings, Clock& clock) {
    auto target = std::make_unique<RocksTarget>();
    MAILY_TRY(target->instance_, Instance::Open(data));
    target->path_ = target->instance_->data() + "/log";
    if (std::filesystem::exists(target->path_)) return Fail(Code::kConflict, "there is a log in {} already", target->path_);
    std::error_code failed;
    std::filesystem::remove_all(target->path_ + kCopying, failed);  // of an attempt that was interrupted
    target->resources_ = std::make_unique<rocks::Resources>(rocks::Limits{});
    target->clock_ = &clock;
    MAILY_TRY(target->log_, rocks::RocksLog::Open(target->path_ + kCopying, settings, *target->resources_, clock));
    return std::unique_ptr<CopyTarget>(std::move(target));
  }

  Result<void> Append(TopicPartition at, std::vector<std::string> records) override {
    if (records.empty()) return Ok();
    struct Gather {
      std::mutex mutex;
      size_t left = 0;
      std::optional<Error> error;
      std::promise<void> all;
    };
    const auto gather = std::make_shared<Gather>();
    gather->left = records.size();
    auto answered = gather->all.get_future();
    for (size_t i = 0; i < records.size(); ++i) {
      const Sync sync = i + 1 == records.size() ? Sync::kNow : Sync::kSoon;
      log_->Append(at, std::move(records[i]), sync, [gather](const Result<Appended>& appended) {
        const std::lock_guard lock(gather->mutex);
        if (!appended && !gather->error) gather->error = appended.error();
        if (--gather->left == 0) gather->all.set_value();
      });
    }
    answered.wait();
    const std::lock_guard lock(gather->mutex);
    if (gather->error) return *gather->error;
    return Ok();
  }

  Result<std::unique_ptr<Log>> Close() override {
    log_.reset();
    std::error_code failed;
    std::filesystem::rename(path_ + kCopying, path_, failed);
    if (failed) return Fail(Code::kFatal, "{}{} cannot become {}: {}", path_, kCopying, path_, failed.message());
    MAILY_TRY(auto log, rocks::RocksLog::Open(path_, WhateverIsThere(), *resources_, *clock_));
    return std::unique_ptr<Log>(std::make_unique<LockedLog>(std::move(instance_), std::move(resources_), std::move(log)));
  }

 private:
  static constexpr const char* kCopying = ".copying";
  std::string path_;
  std::unique_ptr<Instance> instance_;
  std::unique_ptr<rocks::Resources> resources_;
  Clock* clock_ = nullptr;
  std::unique_ptr<Log> log_;
};

// The settings record, without which there is no log, is written last.
class KafkaTarget final : public CopyTarget {
 public:
  static Result<std::unique_ptr<CopyTarget>> Open(const CopyPlace& place, const LogSettings& settings) {
    auto target = std::make_unique<KafkaTarget>();
    MAILY_TRY(target->options_, OptionsOf(place));
    const kafka::Options& options = target->options_;
    target->settings_ = settings;
    MAILY_TRY(target->plans_, kafka::PlanTopics(options, settings.partition_count, place.replication));
    MAILY_TRY_VOID(kafka::MakeEmptyTopics(options, target->plans_));
    kafka::OutletOptions outlet;
    outlet.topics.resize(std::size(kTopics));
    outlet.topics[static_cast<size_t>(Topic::kCommands)] = kafka::CommandsTopic(options);
    outlet.topics[static_cast<size_t>(Topic::kJournal)] = kafka::JournalTopic(options);
    outlet.partitions = settings.partition_count;
    outlet.append_timeout = Seconds(60);
    outlet.compression = "none";  // bodies are compressed already
    MAILY_TRY(target->outlet_, kafka::OpenOutlet(options, outlet));
    return std::unique_ptr<CopyTarget>(std::move(target));
  }

  Result<void> Append(TopicPartition at, std::vector<std::string> records) override {
    if (records.empty()) return Ok();
    OutletBatch batch;
    for (const std::string& record : records) batch.Add({}, record, {}, Instant{});  // the broker notes its own time
    const auto answer = std::make_shared<std::promise<Result<void>>>();
    auto answered = answer->get_future();
    outlet_->Append(static_cast<size_t>(at.topic), at.partition, std::move(batch),
                    [answer](Result<void> done, const OutletBatch&) { answer->set_value(std::move(done)); });
    return answered.get();
  }

  Result<std::unique_ptr<Log>> Close() override {
    outlet_.reset();
    MAILY_TRY(const LogSettings made, kafka::CreateTopics(options_, plans_, settings_));
    if (made.log_id != settings_.log_id || made.generation != settings_.generation) {
      return Fail(Code::kConflict, "another log was made at {} meanwhile", options_.servers);
    }
    return kafka::KafkaLog::Open(options_, settings_.partition_count);
  }

 private:
  kafka::Options options_;
  LogSettings settings_;
  std::vector<kafka::TopicPlan> plans_;
  std::unique_ptr<Outlet> outlet_;
};

}  // namespace

Result<std::unique_ptr<CopyTarget>> OpenCopyTarget(const CopyPlace& place, const LogSettings& settings, Clock& clock) {
  return place.on_kafka() ? KafkaTarget::Open(place, settings) : RocksTarget::Open(place.where, settings, clock);
}

Result<std::unique_ptr<Log>> OpenCopySource(const CopyPlace& place, Clock& clock) {
  if (place.on_kafka()) {
    MAILY_TRY(const kafka::Options options, OptionsOf(place));
    return kafka::KafkaLog::Open(options, 0);
  }
  if (!std::filesystem::exists(place.where + "/log")) return Fail(Code::kNotFound, "there is no log in {}", place.where);
  MAILY_TRY(auto instance, Instance::Open(place.where));
  auto resources = std::make_unique<rocks::Resources>(rocks::Limits{});
  MAILY_TRY(auto log, rocks::RocksLog::Open(instance->data() + "/log", WhateverIsThere(), *resources, clock));
  return std::unique_ptr<Log>(std::make_unique<LockedLog>(std::move(instance), std::move(resources), std::move(log)));
}

}  // namespace maily::app
