// Appends: an idempotent producer, replaced by a new one when an error has ended it. Internal to the adapter.
//
// acks=all and enable.idempotence: the broker takes each record once and in order per partition, with up to five requests in flight. A
// record that is not acknowledged in time ends in an error and may be stored all the same, also after younger ones. librdkafka then begins
// a new epoch and sends again what was in flight, to any partition: such records can stand there twice, one after the other as a whole
// batch, acknowledged with the last offset. The broker can acknowledge a record that it had already: then without its offset.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "streams/adapters/kafka/partition.h"

namespace maily::kafka {

// Calls things one after another on a thread of its own: what may not be called on the caller's.
class Caller {
 public:
  Caller() : thread_([this] { Run(); }) {}
  // Calls what is left.
  ~Caller();
  void Call(std::move_only_function<void()> what);

 private:
  void Run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::move_only_function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

class Producer {
 public:
  // `acknowledged` hears on the producer's thread of each record that is durable, before its `done`; its offset may be unknown.
  using Acknowledged = std::function<Result<void>(Partition&, std::optional<Offset>, Instant, std::string bytes)>;
  static Result<std::unique_ptr<Producer>> Start(const Options& options, Caller& caller, Acknowledged acknowledged);
  // Waits for what is under way, up to Options::close_timeout; the rest ends in kRetry.
  ~Producer();

  // Never blocks. Thread: any. kRetry through `done` if the queue is full.
  void Append(Partition& partition, std::string record, AppendDone done);

  // As if the broker had reported an error that ends the producer.
  void FailForTesting();

 private:
  struct Flight;
  // A client and its handles of topics, replaced as a whole.
  struct Line {
    ClientPtr client;
    TopicPtr topics[2];
  };

  Producer(const Options& options, Caller& caller, Acknowledged acknowledged)
      : options_(options), caller_(caller), acknowledged_(std::move(acknowledged)) {}
  Result<std::shared_ptr<Line>> Make();
  std::shared_ptr<Line> line();
  void Run();
  void Renew(const std::shared_ptr<Line>& old, const std::string& why);
  static void Empty(Line& line);
  void Refuse(AppendDone done, Error why);
  static void OnDelivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque);
  void Delivered(Flight flight, const rd_kafka_message_t& message);

  const Options options_;
  Caller& caller_;
  const Acknowledged acknowledged_;
  std::mutex mutex_;
  std::shared_ptr<Line> line_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace maily::kafka
