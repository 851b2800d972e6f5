// See follower.h.
#include "streams/adapters/kafka/follower.h"

#include <array>

#include "streams/adapters/kafka/counters.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

constexpr int kPollMs = 50;
constexpr size_t kBatch = 1024;
constexpr std::chrono::milliseconds kAgain{500};  // after a failure
constexpr std::chrono::milliseconds kLook{250};   // between two looks at the watermarks of a partition
constexpr int kLookTimeoutMs = 2000;

// Of the consumer at the ends. Its thread takes what comes at once, so the limits are seldom met; 2.0.2 pauses up to a second at them.
const Properties kProperties{
    {"check.crcs", "true"},
    {"isolation.level", "read_uncommitted"},  // no transactions here; a stray one must not hold up the
                                              // readers
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"enable.auto.commit", "false"},
    {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "100"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "8388608"},
    {"queued.max.messages.kbytes", "32768"},
    {"queued.min.messages", "100000"},
};

}  // namespace

Result<std::unique_ptr<Follower>> Follower::Start(const Options& options, Admin& admin, Cursors& cursors,
                                                  std::vector<Partition*> partitions) {
  auto follower = std::unique_ptr<Follower>(new Follower(admin, cursors, std::move(partitions)));
  MAILY_TRY_VOID(follower->Open(options));
  follower->thread_ = std::thread([self = follower.get()] { self->Run(); });
  return follower;
}

Result<void> Follower::Open(const Options& options) {
  MAILY_TRY(client_, MakeClient(RD_KAFKA_CONSUMER, options, kProperties));
  MAILY_TRY(topics_[0], MakeTopic(client_.get(), CommandsTopic(options)));
  MAILY_TRY(topics_[1], MakeTopic(client_.get(), JournalTopic(options)));
  queue_.reset(rd_kafka_queue_new(client_.get()));
  again_.resize(partitions_.size());
  for (Partition* const partition : partitions_) {
    rd_kafka_topic_t* const topic = topics_[static_cast<size_t>(partition->at.topic)].get();
    if (rd_kafka_consume_start_queue(topic, partition->number(), static_cast<int64_t>(partition->recent.end().value()), queue_.get()) !=
        0) {
      return Fail(Code::kFatal, "{}: reading: {}", partition->Name(), rd_kafka_err2str(rd_kafka_last_error()));
    }
  }
  return Ok();
}

Follower::~Follower() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  for (Partition* const partition : partitions_) {
    if (queue_) rd_kafka_consume_stop(topics_[static_cast<size_t>(partition->at.topic)].get(), partition->number());
  }
}

Partition* Follower::Of(const rd_kafka_message_t& message) const {
  const size_t count = partitions_.size() / 2;
  if (message.rkt == nullptr || message.partition < 0 || static_cast<size_t>(message.partition) >= count) return nullptr;
  const bool journal = rd_kafka_topic_name(message.rkt) == partitions_[count]->topic;
  return partitions_[(journal ? count : 0) + static_cast<size_t>(message.partition)];
}

void Follower::Run() {
  std::vector<rd_kafka_message_t*> batch(kBatch);
  std::vector<Partition*> moved;
  size_t looked_at = 0;
  Time next_look = std::chrono::steady_clock::now() + kLook;
  while (!stopping_) {
    // A batch waits until it is full; so it waits for one message, and takes what is there then.
    if (const MessagePtr first{rd_kafka_consume_queue(queue_.get(), kPollMs)}) {
      Arrived(*first, moved);
      const ssize_t got = rd_kafka_consume_batch_queue(queue_.get(), 0, batch.data(), batch.size());
      for (ssize_t i = 0; i < got; ++i) Arrived(*MessagePtr(batch[static_cast<size_t>(i)]), moved);
    }
    for (Partition* const partition : moved) partition->channel.Signal();
    moved.clear();
    rd_kafka_poll(client_.get(), 0);
    const Time now = std::chrono::steady_clock::now();
    for (size_t i = 0; i < again_.size(); ++i) {
      if (again_[i] && now >= *again_[i]) Again(i);
    }
    if (now >= next_look) {
      Look(*partitions_[looked_at++ % partitions_.size()]);
      cursors_.EndIdle();
      next_look = now + kLook;
    }
  }
}

void Follower::Arrived(const rd_kafka_message_t& message, std::vector<Partition*>& moved) {
  Partition* const partition = Of(message);
  if (partition == nullptr) {
    observe::Log(observe::Level::kWarn, "reading from kafka", {{"error", rd_kafka_message_errstr(&message)}});
    return;
  }
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return AtEnd(*partition, message.offset);
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(*partition, message);
  rd_kafka_timestamp_type_t type{};
  LogRecord record{Offset(static_cast<uint64_t>(message.offset)), Instant{rd_kafka_message_timestamp(&message, &type) * 1000},
                   std::string(static_cast<const char*>(message.payload), message.len)};
  const std::lock_guard lock(partition->mutex);
  const auto taken = TakeRead(*partition, std::move(record));
  if (taken && *taken && (moved.empty() || moved.back() != partition)) moved.push_back(partition);
}

// Between the last record and here there are none: control records of a stray transaction, say.
void Follower::AtEnd(Partition& partition, int64_t offset) {
  const std::lock_guard lock(partition.mutex);
  const Offset end(static_cast<uint64_t>(offset));
  if (end <= partition.recent.end()) return;
  partition.recent.SkipTo(end);
  partition.high = std::max(partition.high, end);
  partition.arrived.notify_all();
}

void Follower::Failed(Partition& partition, const rd_kafka_message_t& message) {
  Counters::Process().fetch_failures.Add();
  const size_t index = static_cast<size_t>(partition.at.topic) * (partitions_.size() / 2) + partition.number();
  if (!again_[index]) again_[index] = std::chrono::steady_clock::now() + kAgain;
  const std::lock_guard lock(partition.mutex);
  const bool known = partition.trouble.has_value();
  partition.trouble = Fail(Code::kRetry, "{}: reading at offset {}: {}{}", partition.Name(), partition.recent.end().value(),
                           rd_kafka_message_errstr(&message), Hint(message.err));
  if (!known && !partition.lost) observe::Log(observe::Level::kWarn, "reading from kafka", {{"error", *partition.trouble}});
}

void Follower::Again(size_t index) {
  Partition& partition = *partitions_[index];
  again_[index] = std::chrono::steady_clock::now() + kAgain;
  const auto marks = admin_.QueryWatermarks(partition.topic, partition.number(), kLookTimeoutMs);
  if (!marks) return;
  Offset next;
  {
    const std::lock_guard lock(partition.mutex);
    const auto learned = Learn(partition, *marks);
    if (partition.lost) again_[index].reset();
    if (!learned) return;
    next = partition.recent.end();
    // The newest one that is known comes again: if another stands there now, the topic was made anew.
    if (next > partition.recent.first()) next = Offset(next.value() - 1);
    partition.trouble.reset();
  }
  again_[index].reset();
  // Not a seek: one is ignored after an offset that was out of range.
  rd_kafka_topic_t* const topic = topics_[static_cast<size_t>(partition.at.topic)].get();
  rd_kafka_consume_stop(topic, partition.number());
  if (rd_kafka_consume_start_queue(topic, partition.number(), static_cast<int64_t>(next.value()), queue_.get()) != 0) {
    again_[index] = std::chrono::steady_clock::now() + kAgain;
  }
}

void Follower::Look(Partition& partition) {
  {
    const std::lock_guard lock(partition.mutex);
    if (partition.lost) return;
  }
  const auto marks = admin_.QueryWatermarks(partition.topic, partition.number(), kLookTimeoutMs);
  if (!marks) return;  // its consumer says why
  const std::lock_guard lock(partition.mutex);
  Learn(partition, *marks).IgnoreError("a doubt is looked at again, a loss is remembered");
}

}  // namespace maily::kafka
