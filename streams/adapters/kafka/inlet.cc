// See inlet.h.
#include "streams/adapters/kafka/inlet.h"

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "streams/adapters/kafka/client.h"
#include "streams/adapters/kafka/counters.h"

namespace maily::kafka {
namespace {

constexpr size_t kBatch = 1024;

const Properties kProperties{
    {"check.crcs", "true"},
    {"isolation.level", "read_committed"},
    {"auto.offset.reset", "error"},
    {"enable.auto.commit", "false"},
    {"fetch.wait.max.ms", "50"},
    {"fetch.error.backoff.ms", "100"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "8388608"},
    {"queued.max.messages.kbytes", std::to_string(kInletAheadBytes >> 10)},
    {"queued.min.messages", "1000000"},  // the bytes count
};

// Makes librdkafka look whether it may fetch again. A thread that serves a broker looks whenever it has something to do; with all queues
// full it sleeps for up to a second. A request to that broker wakes it, so this one asks for the ends of the partition, on its own thread.
class Waker {
 public:
  Waker(rd_kafka_t* client, std::string topic) : client_(client), topic_(std::move(topic)), thread_([this] { Run(); }) {}
  ~Waker() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Thread: any. Never waits for the broker.
  void Wake(int32_t partition) {
    {
      const std::lock_guard lock(mutex_);
      asked_.insert(partition);
    }
    changed_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !asked_.empty(); });
      if (stopping_) return;
      const int32_t partition = asked_.extract(asked_.begin()).value();
      lock.unlock();
      int64_t low = 0;
      int64_t high = 0;
      rd_kafka_query_watermark_offsets(client_, topic_.c_str(), partition, &low, &high, kWakeMs);  // whatever it says
      lock.lock();
    }
  }

  static constexpr int kWakeMs = 1000;
  rd_kafka_t* const client_;
  const std::string topic_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int32_t> asked_;
  bool stopping_ = false;
  std::thread thread_;
};

class Reader final : public InletReader {
 public:
  Reader(rd_kafka_t* client, rd_kafka_topic_t* topic, Waker& waker, std::string name, PartitionId partition, std::function<void()> signal)
      : topic_(topic),
        waker_(waker),
        name_(std::move(name)),
        partition_(partition.value()),
        signal_(std::move(signal)),
        queue_(rd_kafka_queue_new(client)) {}
  ~Reader() override {
    Drop();
    rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr);
    if (started_) rd_kafka_consume_stop(topic_, partition_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<void> Start(int64_t from) {
    rd_kafka_queue_cb_event_enable(queue_.get(), &Reader::OnEvent, this);
    if (rd_kafka_consume_start_queue(topic_, partition_, from, queue_.get()) != 0) {
      return Fail(Code::kRetry, "{} partition {}: reading: {}", name_, partition_, rd_kafka_err2str(rd_kafka_last_error()));
    }
    started_ = true;
    return Ok();
  }

  Result<std::span<const PlainRecord>> Next() override {
    Drop();
    records_.clear();
    if (trouble_) return *trouble_;
    const ssize_t got = rd_kafka_consume_batch_queue(queue_.get(), 0, messages_.data(), messages_.size());
    count_ = static_cast<size_t>(std::max<ssize_t>(0, got));
    for (size_t i = 0; i < count_ && !trouble_; ++i) Take(*messages_[i]);
    if (count_ > 0) LookAhead();
    if (records_.empty() && trouble_) return *trouble_;
    return std::span<const PlainRecord>(records_);
  }

 private:
  // Under the lock of the queue, when it is no longer empty.
  static void OnEvent(rd_kafka_t* /*client*/, void* opaque) { static_cast<Reader*>(opaque)->signal_(); }

  void Take(const rd_kafka_message_t& message) {
    switch (message.err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR: {
        rd_kafka_timestamp_type_t type{};
        records_.push_back({.offset = Offset(static_cast<uint64_t>(message.offset)),
                            .time = Instant{rd_kafka_message_timestamp(&message, &type) * 1000},
                            .key = {static_cast<const char*>(message.key), message.key_len},
                            .value = {static_cast<const char*>(message.payload), message.len}});
        return;
      }
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        trouble_ = Fail(Code::kNotFound, "{} partition {}: offset {} is not there: {}", name_, partition_, message.offset,
                        rd_kafka_message_errstr(&message));
        return;
      default:  // librdkafka tries again by itself
        Counters::Process().fetch_failures.Add();
    }
  }
  // Near kInletAheadBytes librdkafka may have stopped; from half of that on it is to go on.
  void LookAhead() {
    size_t bytes = 0;
    for (const PlainRecord& record : records_) bytes += record.key.size() + record.value.size();
    const size_t ahead = rd_kafka_queue_length(queue_.get()) * (bytes / count_);
    if (ahead >= kInletAheadBytes / 4 * 3) full_ = true;
    if (!full_ || ahead >= kInletAheadBytes / 2) return;
    full_ = false;
    waker_.Wake(partition_);
  }
  void Drop() {
    for (size_t i = 0; i < count_; ++i) rd_kafka_message_destroy(messages_[i]);
    count_ = 0;
  }

  rd_kafka_topic_t* const topic_;
  Waker& waker_;
  const std::string name_;
  const int32_t partition_;
  const std::function<void()> signal_;
  const QueuePtr queue_;
  bool started_ = false;
  bool full_ = false;  // it was, since it was last woken
  std::array<rd_kafka_message_t*, kBatch> messages_{};
  size_t count_ = 0;  // of messages_ that records_ point into
  std::vector<PlainRecord> records_;
  std::optional<Error> trouble_;
};

class InletImpl final : public Inlet {
 public:
  InletImpl(const Options& options, std::string topic) : options_(options), name_(std::move(topic)) {}

  Result<void> Connect() {
    MAILY_TRY(admin_, Admin::Connect(options_));
    MAILY_TRY(const MetadataPtr metadata, admin_->Metadata(name_));
    const bool there = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!there) return Fail(Code::kNotFound, "there is no topic {} at {}", name_, options_.servers);
    partition_count_ = static_cast<uint16_t>(metadata->topics[0].partition_cnt);
    MAILY_TRY(client_, MakeClient(RD_KAFKA_CONSUMER, options_, kProperties));
    MAILY_TRY(topic_, MakeTopic(client_.get(), name_));
    waker_ = std::make_unique<Waker>(client_.get(), name_);
    return Ok();
  }

  const std::string& topic() const override { return name_; }
  uint16_t partition_count() const override { return partition_count_; }

  Result<std::unique_ptr<InletReader>> Open(PartitionId partition, std::optional<Offset> from, std::function<void()> signal) override {
    MAILY_TRY(const Watermarks marks, admin_->QueryWatermarks(name_, partition.value(), admin_->timeout_ms()));
    const int64_t start = from ? static_cast<int64_t>(from->value()) : marks.low;
    if (start < marks.low) {
      return Fail(Code::kNotFound, "{} partition {}: offset {} was not decided and is deleted already; the topic begins at {}", name_,
                  partition.value(), start, marks.low);
    }
    if (start > marks.high) {
      return Fail(Code::kDiverged, "{} partition {}: decided up to offset {}, but the topic ends at {}", name_, partition.value(), start,
                  marks.high);
    }
    auto reader = std::make_unique<Reader>(client_.get(), topic_.get(), *waker_, name_, partition, std::move(signal));
    MAILY_TRY_VOID(reader->Start(start));
    return std::unique_ptr<InletReader>(std::move(reader));
  }

 private:
  const Options options_;
  const std::string name_;
  uint16_t partition_count_ = 0;
  std::unique_ptr<Admin> admin_;
  ClientPtr client_;
  TopicPtr topic_;
  std::unique_ptr<Waker> waker_;
};

}  // namespace

Result<std::unique_ptr<Inlet>> KafkaInlet::Open(const Options& options, const std::string& topic) {
  Counters::Process();
  auto inlet = std::make_unique<InletImpl>(options, topic);
  MAILY_TRY_VOID(inlet->Connect());
  return std::unique_ptr<Inlet>(std::move(inlet));
}

}  // namespace maily::kafka
