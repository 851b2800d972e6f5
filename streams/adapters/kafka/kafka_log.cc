// See kafka_log.h.
#include "streams/adapters/kafka/kafka_log.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <optional>

#include "streams/adapters/kafka/counters.h"
#include "streams/adapters/kafka/kafka_log_internal.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

constexpr size_t kEndsAtOnce = 8;

std::string NoPartition(TopicPartition at) {
  return fmt::format("there is no partition {} in {}", at.partition.value(), TopicName(at.topic));
}

Error Trimmed(const Partition& partition, Offset from) {
  return Fail(Code::kNotFound, "{}: offset {} is trimmed away, it begins at {}", partition.Name(), from.value(), partition.begin.value());
}

}  // namespace

// ---- opening ----

Result<void> KafkaLogImpl::CheckTopics(uint16_t partition_count) {
  MAILY_TRY(const Examination examination, ExamineTopics(*admin_));
  for (const Finding& finding : examination.findings) {
    if (finding.level == Finding::Level::kOk) continue;
    const bool fails = finding.level == Finding::Level::kFail;
    if (fails) {
      return Fail(examination.found ? Code::kConflict : Code::kNotFound, "{}: {} is {}, wanted is {}; {}", finding.where, finding.setting,
                  finding.found, finding.wanted, finding.fix);
    }
    observe::Log(observe::Level::kWarn, "a setting of the log's topics",
                 {{"where", finding.where}, {"setting", finding.setting}, {"found", finding.found}, {"wanted", finding.wanted}});
  }
  durability_ = examination.durability;
  settings_ = *examination.settings;  // else that was found to fail
  if (partition_count != 0 && partition_count != settings_.partition_count) {
    return Fail(Code::kConflict, "the log at {} has {} partitions and {} were asked for: the number is fixed when a log is made",
                options_.servers, settings_.partition_count, partition_count);
  }
  return Ok();
}

Result<void> KafkaLogImpl::FindEnds() {
  const size_t count = 2 * size_t{settings_.partition_count};
  const size_t recent_bytes = options_.recent_bytes_max / count;
  const auto at = [this](size_t i) {
    return TopicPartition{kTopics[i / settings_.partition_count], PartitionId(static_cast<uint16_t>(i % settings_.partition_count))};
  };
  const auto name = [this](Topic topic) { return topic == Topic::kCommands ? CommandsTopic(options_) : JournalTopic(options_); };
  // The broker answers one question after the other, and so many are on their way.
  std::vector<std::optional<Result<Watermarks>>> found(count);
  std::atomic<size_t> next = 0;
  std::vector<std::future<void>> asking;
  for (size_t i = 0; i < std::min(count, kEndsAtOnce); ++i) {
    asking.push_back(std::async(std::launch::async, [&] {
      for (size_t mine = next++; mine < count; mine = next++) {
        found[mine] = admin_->QueryWatermarks(name(at(mine).topic), at(mine).partition.value(), admin_->timeout_ms());
      }
    }));
  }
  for (const auto& one : asking) one.wait();
  for (size_t i = 0; i < count; ++i) {
    MAILY_TRY(const Watermarks marks, *std::move(found[i]));
    partitions_.push_back(std::make_unique<Partition>(at(i), name(at(i).topic), marks, recent_bytes));
  }
  return Ok();
}

Result<void> KafkaLogImpl::Start(uint16_t partition_count) {
  MAILY_TRY(admin_, Admin::Connect(options_));
  {
    // librdkafka 2.0.2 takes half a second to learn the leaders of a topic: side by side with the rest.
    const auto learn = [this](const std::string& topic) {
      return std::async(std::launch::async, [this, topic] { return admin_->QueryWatermarks(topic, 0, admin_->timeout_ms()); });
    };
    const auto commands = learn(CommandsTopic(options_));
    const auto journal = learn(JournalTopic(options_));
    MAILY_TRY_VOID(CheckTopics(partition_count));
  }
  MAILY_TRY_VOID(FindEnds());
  caller_ = std::make_unique<Caller>();
  cursors_ = std::make_unique<Cursors>(options_, settings_.partition_count);
  MAILY_TRY(producer_, Producer::Start(options_, *caller_,
                                       [this](Partition& partition, std::optional<Offset> offset, Instant time, std::string bytes) {
                                         return Acknowledged(partition, offset, time, std::move(bytes));
                                       }));
  std::vector<Partition*> all;
  for (const auto& partition : partitions_) all.push_back(partition.get());
  MAILY_TRY(follower_, Follower::Start(options_, *admin_, *cursors_, all));
  return Ok();
}

KafkaLogImpl::~KafkaLogImpl() {
  producer_.reset();  // what is under way is answered while everything else is there
  follower_.reset();
  caller_.reset();
}

Partition* KafkaLogImpl::Find(TopicPartition at) const {
  if (at.partition.value() >= settings_.partition_count) return nullptr;
  return partitions_[static_cast<size_t>(at.topic) * settings_.partition_count + at.partition.value()].get();
}

// ---- appending ----

void KafkaLogImpl::Append(TopicPartition at, std::string record, Sync /*sync*/, AppendDone done) {
  Partition* const partition = Find(at);
  std::optional<Error> refused;
  if (partition == nullptr) {
    refused = Fail(Code::kInvalid, "{}", NoPartition(at));
  } else if (record.size() > kRecordBytesMax) {
    refused = Fail(Code::kInvalid, "a record of {} bytes for {}: at most {} are taken", record.size(), partition->Name(), kRecordBytesMax);
  } else {
    const std::lock_guard lock(partition->mutex);
    refused = partition->lost;
  }
  if (refused) {
    return caller_->Call([done = std::move(done), why = *std::move(refused)]() mutable { done(std::move(why)); });
  }
  producer_->Append(*partition, std::move(record), std::move(done));
}

Result<void> KafkaLogImpl::Acknowledged(Partition& partition, std::optional<Offset> offset, Instant time, std::string bytes) {
  if (!offset) {  // it is there, but where? Readers who look for it must not stop before it
    Refresh(partition).IgnoreError("the follower sees it");
    return Ok();
  }
  {
    const std::lock_guard lock(partition.mutex);
    MAILY_TRY(const bool taken, TakeAppended(partition, {*offset, time, std::move(bytes)}));
    if (!taken) return Ok();
  }
  partition.channel.Signal();
  return Ok();
}

// ---- reading ----

Result<void> KafkaLogImpl::Refresh(Partition& partition) {
  MAILY_TRY(const Watermarks marks, admin_->QueryWatermarks(partition.topic, partition.number(), admin_->timeout_ms()));
  const std::lock_guard lock(partition.mutex);
  MAILY_TRY_VOID(Learn(partition, marks));
  partition.end = std::max(partition.end, partition.high);
  return Ok();
}

Result<std::vector<LogRecord>> KafkaLogImpl::Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo /*to*/) {
  Partition* const partition = Find(at);
  if (partition == nullptr) return Fail(Code::kInvalid, "{}", NoPartition(at));
  std::unique_lock lock(partition->mutex);
  if (partition->lost) return *partition->lost;
  if (from > partition->end && from > partition->high) {
    lock.unlock();
    MAILY_TRY_VOID(Refresh(*partition));
    lock.lock();
    if (from > partition->high) {
      return Fail(Code::kInvalid, "{}: offset {} is beyond the end, {}", partition->Name(), from.value(), partition->high.value());
    }
  }
  if (from < partition->begin) return Trimmed(*partition, from);
  if (from >= partition->end) return std::vector<LogRecord>();
  if (from >= partition->recent.first()) return ReadNew(*partition, std::move(lock), from, bytes_max);
  const Offset until = partition->end;
  lock.unlock();
  return ReadOld(*partition, from, until, bytes_max);
}

// At the ends: in memory, or about to come there.
Result<std::vector<LogRecord>> KafkaLogImpl::ReadNew(Partition& partition, std::unique_lock<std::mutex> lock, Offset from,
                                                     size_t bytes_max) {
  const auto patience = std::chrono::microseconds(options_.request_timeout.us);
  const bool came = partition.arrived.wait_for(lock, patience, [&] { return partition.lost || partition.recent.end() > from; });
  if (partition.lost) return *partition.lost;
  if (!came) {
    if (partition.trouble) return *partition.trouble;
    return Fail(Code::kRetry, "{}: offset {} did not come within {} s; is the broker up?", partition.Name(), from.value(),
                options_.request_timeout.us / 1'000'000);
  }
  if (!partition.recent.Covers(from)) {  // so much came that it is old already
    const Offset until = partition.end;
    lock.unlock();
    return ReadOld(partition, from, until, bytes_max);
  }
  return partition.recent.Read(from, bytes_max);
}

Result<std::vector<LogRecord>> KafkaLogImpl::ReadOld(Partition& partition, Offset from, Offset until, size_t bytes_max) {
  MAILY_TRY(Cursors::Portion portion, cursors_->Read(partition, from, until, bytes_max));
  if (!portion.records.empty()) return std::move(portion.records);
  if (portion.at_end) {  // what lies between here and the high watermark are no records
    const std::lock_guard lock(partition.mutex);
    if (partition.end == until) partition.end = std::max(partition.begin, from);
    return std::vector<LogRecord>();
  }
  MAILY_TRY_VOID(Refresh(partition));
  const std::lock_guard lock(partition.mutex);
  if (from < partition.begin) return Trimmed(partition, from);
  return Fail(Code::kRetry, "{}: the broker does not have offset {} now; asking again", partition.Name(), from.value());
}

LogEnds KafkaLogImpl::Ends(TopicPartition at) {
  Partition* const partition = Find(at);
  MAILY_CHECK(partition != nullptr, "{}", NoPartition(at));
  const std::lock_guard lock(partition->mutex);
  return {partition->begin, partition->end, partition->end};
}

std::unique_ptr<TailWatch> KafkaLogImpl::WatchTail(TopicPartition at, ReadTo /*to*/, std::function<void()> signal) {
  Partition* const partition = Find(at);
  MAILY_CHECK(partition != nullptr, "{}", NoPartition(at));
  auto watch = std::make_unique<ChannelWatch>(partition->channel, std::move(signal));
  const LogEnds ends = Ends(at);
  if (ends.durable > ends.begin) {
    caller_->Call([partition] { partition->channel.Signal(); });
  }
  return watch;
}

Result<void> KafkaLogImpl::Trim(TopicPartition at, Offset before) {
  Partition* const partition = Find(at);
  if (partition == nullptr) return Fail(Code::kInvalid, "{}", NoPartition(at));
  if (before > Ends(at).durable) MAILY_TRY_VOID(Refresh(*partition));
  const LogEnds ends = Ends(at);
  if (before > ends.durable) {
    return Fail(Code::kInvalid, "trimming {} before {}: it ends at {}", partition->Name(), before.value(), ends.durable.value());
  }
  if (before <= ends.begin) return Ok();
  MAILY_TRY_VOID(admin_->DeleteRecords(partition->topic, partition->number(), static_cast<int64_t>(before.value())));
  const std::lock_guard lock(partition->mutex);
  partition->begin = std::max(partition->begin, before);
  partition->recent.ForgetBefore(before);
  return Ok();
}

Result<std::unique_ptr<Log>> KafkaLog::Open(const Options& options, uint16_t partition_count) {
  Counters::Process();
  auto log = std::make_unique<KafkaLogImpl>(options);
  MAILY_TRY_VOID(log->Start(partition_count));
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace maily::kafka
