// See outlet.h.
#include "streams/adapters/kafka/outlet.h"

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "streams/adapters/kafka/client.h"
#include "streams/adapters/kafka/counters.h"
#include "streams/adapters/kafka/producer.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr int kPollMs = 50;
constexpr std::chrono::milliseconds kRenewAgain{1000};

class KafkaOutlet final : public Outlet {
 public:
  KafkaOutlet(const Options& options, const OutletOptions& outlet)
      : options_(options), outlet_(outlet), busy_(outlet.topics.size() * outlet.partitions) {}
  ~KafkaOutlet() override;
  Result<void> Start();

  size_t topic_count() const override { return outlet_.topics.size(); }
  const std::string& topic_name(size_t topic) const override { return outlet_.topics.at(topic); }
  uint16_t partition_count() const override { return outlet_.partitions; }
  void Append(size_t topic, PartitionId partition, OutletBatch batch, OutletDone done) override;
  Result<std::vector<OutletRecord>> Newest(size_t topic, PartitionId partition, size_t count) override;

 private:
  // A client and its handles of topics, replaced as a whole.
  struct Line {
    ClientPtr client;
    std::vector<TopicPtr> topics;
  };
  // A batch under way; librdkafka reads its bytes where they are. Its records are reported one by one, and the last report ends it.
  struct Flight {
    KafkaOutlet* outlet;
    uint64_t number;
    size_t topic;
    PartitionId partition;
    OutletBatch batch;
    OutletDone done;
    std::atomic<size_t> left;   // records not reported, and one for Append itself
    std::atomic<int> error{0};  // the first one
  };

  std::atomic<bool>& Busy(size_t topic, PartitionId partition) { return busy_[topic * outlet_.partitions + partition.value()]; }
  Result<Line> Make();
  // The error of the first record that cannot be produced, if any.
  static rd_kafka_resp_err_t Produce(Line& line, Flight& flight, const OutletBatch::Record& record);
  static void OnDelivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque);
  static void Report(Flight* flight, size_t records, rd_kafka_resp_err_t error, bool on_caller);
  void End(std::unique_ptr<Flight> flight);
  Error ErrorOf(const Flight& flight, rd_kafka_resp_err_t error) const;
  void Run();
  std::string WhyOver();
  void Renew(const std::string& why);

  const Options options_;
  const OutletOptions outlet_;
  std::unique_ptr<Admin> admin_;
  std::mutex newest_mutex_;  // one reader of the tails at a time

  std::shared_mutex line_mutex_;  // held shared while records are produced: what is produced goes to a line that is still polled
  Line line_;
  std::vector<std::atomic<bool>> busy_;  // topic * partitions + partition
  std::atomic<size_t> in_flight_bytes_ = 0;
  std::mutex flights_mutex_;
  std::map<uint64_t, Time> flights_;  // by number: the first is the oldest
  std::atomic<uint64_t> last_number_ = 0;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Caller> caller_;
  std::thread thread_;
};

Result<void> KafkaOutlet::Start() {
  MAILY_TRY(admin_, Admin::Connect(options_));
  MAILY_TRY(line_, Make());
  caller_ = std::make_unique<Caller>();
  thread_ = std::thread([this] { Run(); });
  return Ok();
}

KafkaOutlet::~KafkaOutlet() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  if (line_.client) {
    rd_kafka_purge(line_.client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(line_.client.get()) > 0) rd_kafka_poll(line_.client.get(), kPollMs);
  }
  caller_.reset();
}

Result<KafkaOutlet::Line> KafkaOutlet::Make() {
  const Properties properties{
      {"acks", "all"},
      {"enable.idempotence", "true"},
      {"enable.gapless.guarantee", "true"},  // a record that is refused ends the producer: none after it is taken
      {"max.in.flight.requests.per.connection", "5"},
      {"linger.ms", "1"},  // the records of a batch come within that
      {"batch.num.messages", "100000"},
      {"compression.codec", outlet_.compression},
      {"message.max.bytes", std::to_string(kMessageBytesMax)},
      {"message.timeout.ms", "0"},  // never of single records, which would leave gaps: Run ends all of them together
      {"request.timeout.ms", std::to_string(std::max<int64_t>(1000, outlet_.append_timeout.us / 2000))},
      {"queue.buffering.max.kbytes", "2097151"},  // the bound is in_flight_bytes_max
      {"queue.buffering.max.messages", "10000000"},
  };
  Line line;
  MAILY_TRY(line.client, MakeClient(RD_KAFKA_PRODUCER, options_, properties, {.opaque = this, .on_delivery = &KafkaOutlet::OnDelivery}));
  for (const std::string& name : outlet_.topics) {
    MAILY_TRY(TopicPtr topic, MakeTopic(line.client.get(), name));
    line.topics.push_back(std::move(topic));
  }
  return line;
}

rd_kafka_resp_err_t KafkaOutlet::Produce(Line& line, Flight& flight, const OutletBatch::Record& record) {
  const auto bytes = [](std::string_view text) { return const_cast<char*>(text.data()); };  // librdkafka only reads them
  const std::string_view key = flight.batch.text(record.key);
  std::array<rd_kafka_vu_t, 7> given{};
  size_t count = 0;
  const auto next = [&](rd_kafka_vtype_t type) -> auto& {
    given[count].vtype = type;
    return given[count++].u;
  };
  next(RD_KAFKA_VTYPE_RKT).rkt = line.topics[flight.topic].get();
  next(RD_KAFKA_VTYPE_PARTITION).i32 = flight.partition.value();
  auto& key_given = next(RD_KAFKA_VTYPE_KEY);
  key_given.mem.ptr = bytes(key);
  key_given.mem.size = key.size();
  if (record.value) {
    const std::string_view value = flight.batch.text(*record.value);
    auto& value_given = next(RD_KAFKA_VTYPE_VALUE);
    value_given.mem.ptr = bytes(value);
    value_given.mem.size = value.size();
  }
  next(RD_KAFKA_VTYPE_TIMESTAMP).i64 = record.time.us / 1000;
  next(RD_KAFKA_VTYPE_OPAQUE).ptr = &flight;
  rd_kafka_headers_t* headers = nullptr;
  if (record.header_count > 0) {
    headers = rd_kafka_headers_new(record.header_count);
    for (const OutletBatch::Header& header : flight.batch.headers(record)) {
      const std::string_view name = flight.batch.text(header.name);
      const std::string_view value = flight.batch.text(header.value);
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(), static_cast<ssize_t>(value.size()));
    }
    next(RD_KAFKA_VTYPE_HEADERS).headers = headers;
  }
  rd_kafka_error_t* const error = rd_kafka_produceva(line.client.get(), given.data(), count);
  if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
  if (headers != nullptr) rd_kafka_headers_destroy(headers);  // taken over only by success
  const auto code = rd_kafka_error_code(error);
  rd_kafka_error_destroy(error);
  return code;
}

void KafkaOutlet::Append(size_t topic, PartitionId partition, OutletBatch batch, OutletDone done) {
  MAILY_CHECK(topic < outlet_.topics.size() && partition.value() < outlet_.partitions, "no partition {} of topic {}", partition.value(),
              topic);
  MAILY_CHECK(!Busy(topic, partition).exchange(true), "a batch for partition {} of {} is under way", partition.value(),
              outlet_.topics[topic]);
  const size_t bytes = batch.bytes();
  const size_t before = in_flight_bytes_.fetch_add(bytes);
  auto* const flight = new Flight{.outlet = this,
                                  .number = ++last_number_,
                                  .topic = topic,
                                  .partition = partition,
                                  .batch = std::move(batch),
                                  .done = std::move(done),
                                  .left = 0};
  const auto records = flight->batch.records();
  flight->left = records.size() + 1;
  if (before > 0 && before + bytes > outlet_.in_flight_bytes_max) {
    return Report(flight, records.size() + 1, RD_KAFKA_RESP_ERR__QUEUE_FULL, true);
  }
  {
    const std::lock_guard lock(flights_mutex_);
    flights_.emplace(flight->number, std::chrono::steady_clock::now());
  }
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  size_t taken = 0;
  {
    const std::shared_lock lock(line_mutex_);
    while (taken < records.size() && error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      error = Produce(line_, *flight, records[taken]);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) ++taken;
    }
  }
  Report(flight, records.size() - taken + 1, error, true);  // those that were not taken, and Append itself
}

void KafkaOutlet::OnDelivery(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  Report(static_cast<Flight*>(message->_private), 1, message->err, false);
}

void KafkaOutlet::Report(Flight* flight, size_t records, rd_kafka_resp_err_t error, bool on_caller) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    int none = 0;
    flight->error.compare_exchange_strong(none, error);
  }
  if (flight->left.fetch_sub(records) > records) return;
  std::unique_ptr<Flight> last(flight);
  KafkaOutlet* const outlet = last->outlet;
  if (!on_caller) return outlet->End(std::move(last));
  outlet->caller_->Call([outlet, last = std::move(last)]() mutable { outlet->End(std::move(last)); });
}

Error KafkaOutlet::ErrorOf(const Flight& flight, rd_kafka_resp_err_t error) const {
  Code code = Code::kRetry;
  if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD) code = Code::kInvalid;
  if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) code = Code::kFatal;
  const std::string why = error == RD_KAFKA_RESP_ERR__QUEUE_FULL
                              ? fmt::format("{} MiB wait for Kafka already", outlet_.in_flight_bytes_max >> 20)
                              : rd_kafka_err2str(error) + Hint(error);
  return Fail(code, "{} partition {}: {} records were not all acknowledged: {}", outlet_.topics[flight.topic], flight.partition.value(),
              flight.batch.size(), why);
}

void KafkaOutlet::End(std::unique_ptr<Flight> flight) {
  {
    const std::lock_guard lock(flights_mutex_);
    flights_.erase(flight->number);
  }
  in_flight_bytes_ -= flight->batch.bytes();
  if (stopping_) return;
  Result<void> result;
  if (const int error = flight->error; error != 0) {
    Counters::Process().append_failures.Add();
    result = ErrorOf(*flight, static_cast<rd_kafka_resp_err_t>(error));
  }
  Busy(flight->topic, flight->partition) = false;
  flight->done(std::move(result), std::move(flight->batch));
}

void KafkaOutlet::Run() {
  while (!stopping_) {
    rd_kafka_poll(line_.client.get(), kPollMs);  // this thread alone replaces the line
    if (const std::string why = WhyOver(); !why.empty()) Renew(why);
  }
}

// Why the producer has come to its end; empty: it has not.
std::string KafkaOutlet::WhyOver() {
  char text[512];
  if (const auto error = rd_kafka_fatal_error(line_.client.get(), text, sizeof(text)); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fmt::format("{}: {}", rd_kafka_err2name(error), text);
  }
  const std::lock_guard lock(flights_mutex_);
  if (flights_.empty()) return {};
  const auto oldest = std::chrono::steady_clock::now() - flights_.begin()->second;
  return oldest < std::chrono::microseconds(outlet_.append_timeout.us) ? std::string() : "appends are not acknowledged";
}

// Everything under way is answered; what is appended from now on goes to the new one.
void KafkaOutlet::Renew(const std::string& why) {
  observe::Log(observe::Level::kWarn, "the producer of the public topics has ended and is replaced", {{"error", why}});
  Counters::Process().renewals.Add();
  auto made = Make();
  if (!made) {
    observe::Log(observe::Level::kError, "no new kafka producer", {{"error", made.error()}});
    std::this_thread::sleep_for(kRenewAgain);
    return;
  }
  Line old;
  {
    const std::lock_guard lock(line_mutex_);
    old = std::exchange(line_, *std::move(made));
  }
  rd_kafka_purge(old.client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (rd_kafka_outq_len(old.client.get()) > 0) rd_kafka_poll(old.client.get(), kPollMs);
}

Result<std::vector<OutletRecord>> KafkaOutlet::Newest(size_t topic, PartitionId partition, size_t count) {
  const std::lock_guard lock(newest_mutex_);
  return admin_->Newest(outlet_.topics.at(topic), partition.value(), count);
}

}  // namespace

Result<std::unique_ptr<Outlet>> OpenOutlet(const Options& options, const OutletOptions& outlet) {
  auto made = std::make_unique<KafkaOutlet>(options, outlet);
  MAILY_TRY_VOID(made->Start());
  return std::unique_ptr<Outlet>(std::move(made));
}

}  // namespace maily::kafka
