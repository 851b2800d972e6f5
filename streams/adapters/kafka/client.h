// A client of librdkafka, made and questioned: what the log, its topics and its producer have in common. Internal to the adapter.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "streams/adapters/kafka/handles.h"
#include "streams/adapters/kafka/options.h"
#include "streams/port/outlet.h"

namespace maily::kafka {

using Properties = std::vector<std::pair<std::string, std::string>>;

// Records on the wire are a little larger than what they hold: this is what clients and topics must take.
inline constexpr size_t kRecordBytesMax = 1'000'000;
inline constexpr int kMessageBytesMax = 1'048'576;

// What a client calls while it is polled, with `opaque`; null = nothing.
struct Callbacks {
  void* opaque = nullptr;
  void (*on_delivery)(rd_kafka_t*, const rd_kafka_message_t*, void* opaque) = nullptr;
  void (*on_error)(rd_kafka_t*, int error, const char* reason, void* opaque) = nullptr;
  void (*on_rebalance)(rd_kafka_t*, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* list, void* opaque) = nullptr;
};

// Common properties, then `special` ones, then those of the operator. kInvalid: librdkafka does not know a property or its value.
Result<ClientPtr> MakeClient(rd_kafka_type_t type, const Options& options, const Properties& special, const Callbacks& callbacks = {});
Result<TopicPtr> MakeTopic(rd_kafka_t* client, const std::string& name);

// What an operator has to do about `error`, as the end of a message: "; …", or nothing.
std::string Hint(rd_kafka_resp_err_t error);

// Of a message that was read, in their order; a header without a value has an empty one.
std::vector<std::pair<std::string, std::string>> HeadersOf(const rd_kafka_message_t& message);

struct Watermarks {
  int64_t low = 0;   // first offset still there
  int64_t high = 0;  // one past the last that all in-sync replicas have
};

// Asks a cluster things. A consumer by type, so that asking makes no topics. Thread: any.
class Admin {
 public:
  static Result<std::unique_ptr<Admin>> Connect(const Options& options);

  rd_kafka_t* client() const { return client_.get(); }
  int timeout_ms() const { return timeout_ms_; }
  const Options& options() const { return options_; }

  // Of one topic, or of the brokers alone (empty name). kRetry: no answer, with the connection's last error. A topic that does not exist
  // has an error of its own inside.
  Result<MetadataPtr> Metadata(const std::string& topic);
  Result<Watermarks> QueryWatermarks(const std::string& topic, uint16_t partition, int timeout_ms);
  // Of the topic's partition 0, if it has any.
  Result<std::optional<std::string>> FirstRecord(const std::string& topic);
  // The last records up to the high watermark, at most `count`, oldest first. One call at a time for a topic's partition.
  Result<std::vector<OutletRecord>> Newest(const std::string& topic, uint16_t partition, size_t count);
  Result<void> DeleteRecords(const std::string& topic, uint16_t partition, int64_t before);

  // Runs an admin request: `start` gets the options and the queue. kRetry: no answer; kFatal: refused as a whole.
  Result<EventPtr> Run(rd_kafka_admin_op_t op, const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& start);

 private:
  explicit Admin(const Options& options) : options_(options), timeout_ms_(static_cast<int>(options.request_timeout.us / 1000)) {}
  Error Failed(rd_kafka_resp_err_t error, const std::string& what);

  static void OnError(rd_kafka_t* client, int error, const char* reason, void* opaque);

  const Options options_;
  const int timeout_ms_;
  std::mutex mutex_;
  std::string last_reason_;  // of the connection
  ClientPtr client_;
};

}  // namespace maily::kafka
