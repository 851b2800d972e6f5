// See cursors.h.
#include "streams/adapters/kafka/cursors.h"

#include "streams/adapters/kafka/counters.h"

namespace maily::kafka {
namespace {

constexpr size_t kBatch = 512;
constexpr std::chrono::seconds kIdle{2};
// librdkafka 2.0.2 looks at a queue that ran empty only when its thread wakes, up to a second later. A seek to where the cursor is wakes it
// and fetches the next portion. One seek and no more until something came: a seek throws away what is under way, so seeking again and again
// would never see the answer of a broker that is slower than that, nor the end behind a marker, which takes two answers.
constexpr int kPollMs = 500;

const Properties kProperties{
    {"check.crcs", "true"},
    {"isolation.level", "read_uncommitted"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"enable.auto.commit", "false"},
    {"fetch.wait.max.ms", "10"},
    {"fetch.error.backoff.ms", "100"},
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.max.bytes", "8388608"},
    {"queued.min.messages", "1"},  // a portion is fetched when the one before it is taken
};

}  // namespace

Cursors::Cursors(const Options& options, size_t partition_count) : options_(options), partition_count_(partition_count) {}

Cursors::~Cursors() {
  for (Lane& lane : lanes_) {
    for (size_t i = 0; i < lane.cursors.size(); ++i) {
      if (lane.cursors[i].started)
        rd_kafka_consume_stop(lane.topics[i / partition_count_].get(), static_cast<int32_t>(i % partition_count_));
    }
  }
}

Result<void> Cursors::OpenLane(Lane& lane) {
  MAILY_TRY(lane.client, MakeClient(RD_KAFKA_CONSUMER, options_, kProperties));
  MAILY_TRY(lane.topics[0], MakeTopic(lane.client.get(), CommandsTopic(options_)));
  MAILY_TRY(lane.topics[1], MakeTopic(lane.client.get(), JournalTopic(options_)));
  lane.cursors.resize(2 * partition_count_);
  return Ok();
}

// The cursor that stands at `from`, or one that is free, or one of a consumer that is made now, or the one unused for longest.
Result<Cursors::Choice> Cursors::Choose(const Partition& partition, Offset from) {
  const size_t index = static_cast<size_t>(partition.at.topic) * partition_count_ + partition.number();
  std::unique_lock lock(mutex_);
  for (;;) {
    Lane* best = nullptr;
    const auto rank = [&](const Lane& lane) {
      if (lane.cursors.empty()) return 2;
      const Cursor& cursor = lane.cursors[index];
      return cursor.busy ? 4 : (!cursor.started ? 1 : (PlaceOf(cursor) == from ? 0 : 3));
    };
    for (Lane& lane : lanes_) {
      if (rank(lane) == 4) continue;
      const bool older = best != nullptr && rank(lane) == 3 && rank(*best) == 3 && lane.cursors[index].used < best->cursors[index].used;
      if (best == nullptr || rank(lane) < rank(*best) || older) best = &lane;
    }
    if (best != nullptr) {
      if (best->cursors.empty()) MAILY_TRY_VOID(OpenLane(*best));
      best->cursors[index].busy = true;
      return Choice{best, &best->cursors[index]};
    }
    freed_.wait(lock);
  }
}

Result<void> Cursors::Place(rd_kafka_topic_t* topic, Cursor& cursor, const Partition& partition, Offset from) {
  const auto offset = static_cast<int64_t>(from.value());
  cursor.waiting.clear();
  cursor.next = from;
  auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (cursor.started) {
    error = rd_kafka_seek(topic, partition.number(), offset, 0);
  } else if (rd_kafka_consume_start(topic, partition.number(), offset) != 0) {
    error = rd_kafka_last_error();
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kRetry, "{}: looking for offset {}: {}", partition.Name(), offset, rd_kafka_err2str(error));
  }
  cursor.started = true;
  return Ok();
}

void Cursors::Stop(rd_kafka_topic_t* topic, Cursor& cursor, uint16_t partition) {
  rd_kafka_consume_stop(topic, partition);
  cursor.started = false;
  cursor.waiting.clear();
}

Result<Cursors::Portion> Cursors::Read(const Partition& partition, Offset from, Offset until, size_t bytes_max) {
  MAILY_TRY(const Choice choice, Choose(partition, from));
  auto portion = Fetch(*choice.lane, *choice.cursor, partition, from, until, bytes_max);
  {
    const std::lock_guard lock(mutex_);
    choice.cursor->busy = false;
    choice.cursor->used = std::chrono::steady_clock::now();
  }
  freed_.notify_one();
  return portion;
}

Cursors::Came Cursors::Take(rd_kafka_topic_t* topic, Cursor& cursor, const Partition& partition, int wait_ms, std::string& trouble) {
  // A batch waits until it is full; so this waits for one message, and takes what is there then.
  rd_kafka_message_t* batch[kBatch];
  batch[0] = rd_kafka_consume(topic, partition.number(), wait_ms);
  if (batch[0] == nullptr) return Came::kNothing;
  const ssize_t got = 1 + std::max<ssize_t>(0, rd_kafka_consume_batch(topic, partition.number(), 0, batch + 1, kBatch - 1));
  Came came = Came::kOld;
  for (ssize_t i = 0; i < got; ++i) {
    const MessagePtr message(batch[i]);
    const Offset offset(static_cast<uint64_t>(message->offset));
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR: {
        if (offset < cursor.next) break;
        rd_kafka_timestamp_type_t type{};
        cursor.waiting.push_back({offset, Instant{rd_kafka_message_timestamp(message.get(), &type) * 1000},
                                  std::string(static_cast<const char*>(message->payload), message->len)});
        cursor.next = offset.Next();
        came = Came::kRecords;
        break;
      }
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (offset >= cursor.next) came = Came::kEnd;
        break;
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        came = Came::kOutOfRange;
        break;
      default:
        Counters::Process().fetch_failures.Add();
        trouble = rd_kafka_message_errstr(message.get()) + Hint(message->err);
        came = Came::kNothing;  // it tries again by itself, after fetch.error.backoff.ms
    }
  }
  return came;
}

Result<Cursors::Portion> Cursors::Fetch(Lane& lane, Cursor& cursor, const Partition& partition, Offset from, Offset until,
                                        size_t bytes_max) {
  rd_kafka_topic_t* const topic = lane.topics[static_cast<size_t>(partition.at.topic)].get();
  bool asked = false;  // by a seek after which nothing came yet
  const auto ask = [&](Offset next) -> Result<void> {
    asked = true;
    return Place(topic, cursor, partition, next);
  };
  if (!cursor.started || PlaceOf(cursor) != from) {
    Counters::Process().seeks.Add();
    MAILY_TRY_VOID(ask(from));
  }
  const Time give_up = std::chrono::steady_clock::now() + std::chrono::microseconds(options_.request_timeout.us);
  Portion portion;
  size_t bytes = 0;
  std::string trouble = "no answer";
  for (bool end = false;;) {
    while (!cursor.waiting.empty()) {
      LogRecord& record = cursor.waiting.front();
      bytes += record.bytes.size();
      if (!portion.records.empty() && (bytes > bytes_max || record.offset >= until)) return portion;
      portion.records.push_back(std::move(record));
      cursor.waiting.pop_front();
    }
    portion.at_end = end;
    if (end || (!portion.records.empty() && cursor.next >= until)) return portion;
    const Came came = Take(topic, cursor, partition, asked ? kPollMs : 0, trouble);
    end = came == Came::kEnd;
    if (came == Came::kOutOfRange) {
      Stop(topic, cursor, partition.number());  // a seek is ignored after this
      portion.out_of_range = portion.records.empty();
      return portion;
    }
    if (came != Came::kNothing) {
      asked = false;
      continue;
    }
    rd_kafka_poll(lane.client.get(), 0);
    if (std::chrono::steady_clock::now() >= give_up) {
      if (!portion.records.empty()) return portion;
      return Fail(Code::kRetry, "{}: reading at offset {}: {} in {} s", partition.Name(), from.value(), trouble,
                  options_.request_timeout.us / 1'000'000);
    }
    if (!asked) MAILY_TRY_VOID(ask(cursor.next));
  }
}

void Cursors::EndIdle() {
  const std::lock_guard lock(mutex_);
  const Time now = std::chrono::steady_clock::now();
  for (Lane& lane : lanes_) {
    for (size_t i = 0; i < lane.cursors.size(); ++i) {
      Cursor& cursor = lane.cursors[i];
      if (cursor.busy || !cursor.started || now - cursor.used < kIdle) continue;
      Stop(lane.topics[i / partition_count_].get(), cursor, static_cast<uint16_t>(i % partition_count_));
    }
  }
}

}  // namespace maily::kafka
