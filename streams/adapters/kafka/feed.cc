// See feed.h.
#include "streams/adapters/kafka/feed.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "streams/adapters/kafka/client.h"
#include "streams/adapters/kafka/counters.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

using Place = std::pair<std::string, int32_t>;  // topic and partition

class KafkaFeed final : public Feed {
 public:
  explicit KafkaFeed(const FeedOptions& feed) : feed_(feed) {}
  ~KafkaFeed() override {
    if (client_) rd_kafka_consumer_close(client_.get());
  }

  Result<void> Open(const Options& options) {
    const Properties properties{
        {"group.id", feed_.group},
        {"partition.assignment.strategy", "range"},
        {"session.timeout.ms", std::to_string(feed_.session_timeout.us / 1000)},
        {"heartbeat.interval.ms", std::to_string(std::max<int64_t>(100, feed_.session_timeout.us / 6000))},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"},  // Missed tells of what that passes over
        {"isolation.level", "read_committed"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},
        {"queued.max.messages.kbytes", std::to_string(feed_.ahead_bytes_max >> 10)},
        {"queued.min.messages", "100000"},  // the bytes count
    };
    timeout_ms_ = static_cast<int>(options.request_timeout.us / 1000);
    MAILY_TRY(client_, MakeClient(RD_KAFKA_CONSUMER, options, properties, {.opaque = this, .on_rebalance = &OnRebalance}));
    rd_kafka_poll_set_consumer(client_.get());
    const PositionsPtr topics(rd_kafka_topic_partition_list_new(static_cast<int>(feed_.topics.size())));
    for (const std::string& topic : feed_.topics) rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    const auto error = rd_kafka_subscribe(client_.get(), topics.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Fail(Code::kFatal, "group {}: {}", feed_.group, rd_kafka_err2str(error));
    return Ok();
  }

  const std::string& topic_name(size_t topic) const override { return feed_.topics.at(topic); }
  uint64_t assignment() const override { return assignment_; }
  uint64_t lag() const override { return lag_; }

  Result<std::vector<FeedRecord>> Take(size_t count_max, size_t bytes_max, Duration wait) override {
    std::vector<FeedRecord> records;
    size_t bytes = 0;
    trouble_.reset();
    int wait_ms = static_cast<int>(wait.us / 1000);
    while (records.size() < count_max && bytes < bytes_max) {
      const MessagePtr message(rd_kafka_consumer_poll(client_.get(), wait_ms));
      if (!message) break;
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        Failed(*message);
        if (records.empty()) break;
        continue;
      }
      wait_ms = 0;
      const auto topic = std::ranges::find(feed_.topics, std::string_view(rd_kafka_topic_name(message->rkt)));
      if (topic == feed_.topics.end()) continue;
      Advance({*topic, message->partition}, message->offset);
      records.push_back(RecordOf(*message, static_cast<size_t>(topic - feed_.topics.begin())));
      bytes += records.back().key.value_or("").size() + records.back().value.value_or("").size();
    }
    MeasureLag();
    if (records.empty() && trouble_) return *trouble_;
    return records;
  }

  Result<void> Settle() override {
    if (next_.empty()) return Ok();
    const PositionsPtr positions(rd_kafka_topic_partition_list_new(static_cast<int>(next_.size())));
    for (const auto& [place, offset] : next_) {
      rd_kafka_topic_partition_list_add(positions.get(), place.first.c_str(), place.second)->offset = offset;
    }
    next_.clear();
    auto error = rd_kafka_commit(client_.get(), positions.get(), 0);
    for (int i = 0; i < positions->cnt && error == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) error = positions->elems[i].err;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Ok();
    return Fail(Code::kRetry, "group {}: positions were not committed: {}{}", feed_.group, rd_kafka_err2str(error), Hint(error));
  }

 private:
  // Within rd_kafka_consumer_poll or _close.
  static void OnRebalance(rd_kafka_t* client, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* list, void* opaque) {
    auto* const self = static_cast<KafkaFeed*>(opaque);
    ++self->assignment_;
    self->expected_.clear();
    if (what != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      rd_kafka_assign(client, nullptr);
      return;
    }
    self->FindPlaces(list);
    rd_kafka_assign(client, list);
    observe::Log(observe::Level::kInfo, "inbox partitions assigned", {{"group", self->feed_.group}, {"count", list->cnt}});
  }

  // Where each partition goes on. One that cannot be asked now goes on from its committed position, whatever that is.
  void FindPlaces(rd_kafka_topic_partition_list_t* list) {
    const auto error = rd_kafka_committed(client_.get(), list, timeout_ms_);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    for (int i = 0; i < list->cnt; ++i) {
      rd_kafka_topic_partition_t& one = list->elems[i];
      const bool known = one.err == RD_KAFKA_RESP_ERR_NO_ERROR && one.offset >= 0;
      const int64_t committed = one.offset;
      one.offset = known ? committed : RD_KAFKA_OFFSET_STORED;
      one.err = RD_KAFKA_RESP_ERR_NO_ERROR;
      if (!known) continue;
      int64_t low = 0;
      int64_t high = 0;
      if (rd_kafka_query_watermark_offsets(client_.get(), one.topic, one.partition, &low, &high, timeout_ms_) !=
          RD_KAFKA_RESP_ERR_NO_ERROR) {
        continue;
      }
      if (committed > high) {
        Counters::Process().inbox_missed.Add();
        observe::Log(observe::Level::kError, "an inbox topic was made anew, or has lost records; it is read from its beginning",
                     {{"topic", one.topic}, {"kafka_partition", one.partition}, {"taken_up_to", committed}, {"ends_at", high}});
        one.offset = low;
      } else {
        expected_[{one.topic, one.partition}] = committed;
      }
    }
  }

  void Advance(const Place& place, int64_t offset) {
    const auto expected = expected_.find(place);
    if (expected != expected_.end() && offset > expected->second) Missed(place, expected->second);
    expected_[place] = offset + 1;
    next_[place] = offset + 1;
  }

  // Between `from` and the record that came there is none; those that producers' transactions leave out are no loss.
  void Missed(const Place& place, int64_t from) {
    int64_t low = 0;
    int64_t high = 0;
    const auto error = rd_kafka_query_watermark_offsets(client_.get(), place.first.c_str(), place.second, &low, &high, timeout_ms_);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || low <= from) return;
    Counters::Process().inbox_missed.Add(static_cast<uint64_t>(low - from));
    observe::Log(observe::Level::kError, "records of an inbox topic were deleted before they were taken; raise its retention.ms",
                 {{"topic", place.first}, {"kafka_partition", place.second}, {"from", from}, {"up_to", low}});
  }

  void Failed(const rd_kafka_message_t& message) {
    Counters::Process().fetch_failures.Add();
    trouble_ = Fail(Code::kRetry, "group {}: {}{}", feed_.group, rd_kafka_message_errstr(&message), Hint(message.err));
  }

  static FeedRecord RecordOf(const rd_kafka_message_t& message, size_t topic) {
    rd_kafka_timestamp_type_t type{};
    FeedRecord record{.topic = topic,
                      .partition = static_cast<uint16_t>(message.partition),
                      .offset = Offset(static_cast<uint64_t>(message.offset)),
                      .time = Instant{rd_kafka_message_timestamp(&message, &type) * 1000},
                      .key = {},
                      .value = {},
                      .headers = {}};
    if (message.key != nullptr) record.key.emplace(static_cast<const char*>(message.key), message.key_len);
    if (message.payload != nullptr) record.value.emplace(static_cast<const char*>(message.payload), message.len);
    record.headers = HeadersOf(message);
    return record;
  }

  void MeasureLag() {
    uint64_t lag = 0;
    for (const auto& [place, expected] : expected_) {
      int64_t low = 0;
      int64_t high = 0;
      const auto error = rd_kafka_get_watermark_offsets(client_.get(), place.first.c_str(), place.second, &low, &high);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR && high > expected) lag += static_cast<uint64_t>(high - expected);
    }
    lag_ = lag;
  }

  const FeedOptions feed_;
  int timeout_ms_ = 0;
  ClientPtr client_;
  std::map<Place, int64_t> expected_;  // of this assignment: the next offset
  std::map<Place, int64_t> next_;      // what Settle commits
  std::optional<Error> trouble_;
  std::atomic<uint64_t> assignment_ = 0;
  std::atomic<uint64_t> lag_ = 0;
};

}  // namespace

Result<std::unique_ptr<Feed>> OpenFeed(const Options& options, const FeedOptions& feed) {
  Counters::Process();
  auto made = std::make_unique<KafkaFeed>(feed);
  MAILY_TRY_VOID(made->Open(options));
  return std::unique_ptr<Feed>(std::move(made));
}

}  // namespace maily::kafka
