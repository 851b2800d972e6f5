// See producer.h.
#include "streams/adapters/kafka/producer.h"

#include "streams/adapters/kafka/counters.h"
#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

constexpr int kPollMs = 100;
constexpr std::chrono::milliseconds kRenewAgain{1000};

// An error that ends the producer, if there was one.
std::optional<std::string> FatalError(rd_kafka_t* client) {
  char text[512];
  const auto error = rd_kafka_fatal_error(client, text, sizeof(text));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  return fmt::format("{}: {}", rd_kafka_err2name(error), text);
}

}  // namespace

Caller::~Caller() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Caller::Call(std::move_only_function<void()> what) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(what));
  }
  wake_.notify_one();
}

void Caller::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto what = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    what();
    lock.lock();
  }
}

// What a message carries until it is reported; librdkafka reads the bytes where they are.
struct Producer::Flight {
  Partition* partition;
  std::string bytes;
  AppendDone done;
};

Result<std::unique_ptr<Producer>> Producer::Start(const Options& options, Caller& caller, Acknowledged acknowledged) {
  auto producer = std::unique_ptr<Producer>(new Producer(options, caller, std::move(acknowledged)));
  MAILY_TRY(producer->line_, producer->Make());
  producer->thread_ = std::thread([self = producer.get()] { self->Run(); });
  return producer;
}

Result<std::shared_ptr<Producer::Line>> Producer::Make() {
  const int64_t timeout_ms = std::max<int64_t>(1000, options_.append_timeout.us / 1000);
  const Properties properties{
      {"acks", "all"},
      {"enable.idempotence", "true"},
      {"max.in.flight.requests.per.connection", "5"},
      {"linger.ms", "0"},             // what waits while requests are in flight makes the next batch
      {"compression.codec", "none"},  // frames are compressed already
      {"message.max.bytes", std::to_string(kMessageBytesMax)},
      {"message.timeout.ms", std::to_string(timeout_ms)},
      {"request.timeout.ms", std::to_string(std::max<int64_t>(1000, timeout_ms / 3))},
      {"queue.buffering.max.kbytes", std::to_string(std::max<size_t>(1, options_.append_queue_bytes_max >> 10))},
      {"queue.buffering.max.messages", "1000000"},
  };
  auto line = std::make_shared<Line>();
  MAILY_TRY(line->client, MakeClient(RD_KAFKA_PRODUCER, options_, properties, {.opaque = this, .on_delivery = &Producer::OnDelivery}));
  MAILY_TRY(line->topics[0], MakeTopic(line->client.get(), CommandsTopic(options_)));
  MAILY_TRY(line->topics[1], MakeTopic(line->client.get(), JournalTopic(options_)));
  return line;
}

Producer::~Producer() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  thread_.join();
  rd_kafka_flush(line_->client.get(), static_cast<int>(options_.close_timeout.us / 1000));
  Empty(*line_);
}

std::shared_ptr<Producer::Line> Producer::line() {
  const std::lock_guard lock(mutex_);
  return line_;
}

void Producer::Refuse(AppendDone done, Error why) {
  caller_.Call([done = std::move(done), why = std::move(why)]() mutable { done(std::move(why)); });
}

void Producer::Append(Partition& partition, std::string record, AppendDone done) {
  auto flight = std::make_unique<Flight>(Flight{&partition, std::move(record), std::move(done)});
  const auto line = this->line();
  // Without flags the bytes stay ours, and where they are, until the report.
  const int failed = rd_kafka_produce(line->topics[static_cast<size_t>(partition.at.topic)].get(), partition.number(), 0,
                                      flight->bytes.data(), flight->bytes.size(), nullptr, 0, flight.get());
  if (failed == 0) {
    static_cast<void>(flight.release());  // comes back in OnDelivery
    return;
  }
  const rd_kafka_resp_err_t error = rd_kafka_last_error();
  Counters::Process().append_failures.Add();
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    return Refuse(std::move(flight->done), Fail(Code::kRetry, "{}: {} MiB wait for Kafka already, more are not taken; is the broker up?",
                                                partition.Name(), options_.append_queue_bytes_max >> 20));
  }
  Refuse(std::move(flight->done), Fail(Code::kRetry, "{}: append: {}{}", partition.Name(), rd_kafka_err2str(error), Hint(error)));
}

void Producer::OnDelivery(rd_kafka_t* /*client*/, const rd_kafka_message_t* message, void* opaque) {
  const std::unique_ptr<Flight> flight(static_cast<Flight*>(message->_private));
  static_cast<Producer*>(opaque)->Delivered(std::move(*flight), *message);
}

void Producer::Delivered(Flight flight, const rd_kafka_message_t& message) {
  Partition& partition = *flight.partition;
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    Counters::Process().append_failures.Add();
    return flight.done(Fail(Code::kRetry, "{}: an append of {} bytes was not acknowledged: {}{}", partition.Name(), flight.bytes.size(),
                            rd_kafka_err2str(message.err), Hint(message.err)));
  }
  std::optional<Offset> offset;
  if (message.offset >= 0) offset = Offset(static_cast<uint64_t>(message.offset));
  rd_kafka_timestamp_type_t type{};
  const Instant time{rd_kafka_message_timestamp(&message, &type) * 1000};
  if (auto taken = acknowledged_(partition, offset, time, std::move(flight.bytes)); !taken) return flight.done(taken.error());
  flight.done(Appended{offset});
}

void Producer::Run() {
  while (!stopping_) {
    const auto line = this->line();
    rd_kafka_poll(line->client.get(), kPollMs);
    if (const auto why = FatalError(line->client.get())) Renew(line, *why);
  }
}

// Everything under way in `old` is answered first; what is appended meanwhile goes to the new one.
void Producer::Renew(const std::shared_ptr<Line>& old, const std::string& why) {
  observe::Log(observe::Level::kWarn, "a kafka producer has ended and is replaced", {{"error", why}});
  Counters::Process().renewals.Add();
  auto made = Make();
  if (!made) {
    observe::Log(observe::Level::kError, "no new kafka producer", {{"error", made.error()}});
    std::this_thread::sleep_for(kRenewAgain);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    line_ = *std::move(made);
  }
  Empty(*old);
}

void Producer::Empty(Line& line) {
  rd_kafka_purge(line.client.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (rd_kafka_outq_len(line.client.get()) > 0) rd_kafka_poll(line.client.get(), kPollMs);
}

void Producer::FailForTesting() {
  rd_kafka_test_fatal_error(line()->client.get(), RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "asked for by a test");
}

}  // namespace maily::kafka
