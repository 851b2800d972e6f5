// See inlet.h.
#include "streams/adapters/kafka/inlet.h"

#include <array>
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

class Reader final : public InletReader {
 public:
  Reader(rd_kafka_t* client, rd_kafka_topic_t* topic, std::string name, PartitionId partition, std::function<void()> signal)
      : topic_(topic),
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
  void Drop() {
    for (size_t i = 0; i < count_; ++i) rd_kafka_message_destroy(messages_[i]);
    count_ = 0;
  }

  rd_kafka_topic_t* const topic_;
  const std::string name_;
  const int32_t partition_;
  const std::function<void()> signal_;
  const QueuePtr queue_;
  bool started_ = false;
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
    auto reader = std::make_unique<Reader>(client_.get(), topic_.get(), name_, partition, std::move(signal));
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
};

}  // namespace

Result<std::unique_ptr<Inlet>> KafkaInlet::Open(const Options& options, const std::string& topic) {
  Counters::Process();
  auto inlet = std::make_unique<InletImpl>(options, topic);
  MAILY_TRY_VOID(inlet->Connect());
  return std::unique_ptr<Inlet>(std::move(inlet));
}

}  // namespace maily::kafka
