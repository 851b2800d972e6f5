// See client.h.
#include "streams/adapters/kafka/client.h"

#include <syslog.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "streams/observe/logging.h"

namespace maily::kafka {
namespace {

// One request to a broker is under way at a time: one that waits for records at an end delays the next partition's.
const Properties kAdminProperties{
    {"enable.partition.eof", "true"}, {"auto.offset.reset", "error"}, {"isolation.level", "read_uncommitted"}, {"fetch.wait.max.ms", "10"}};

// The leader of a new topic may not know yet that it is, and then has no first offset to tell.
constexpr std::chrono::milliseconds kFirstRecordAgain{100};

// One of librdkafka's threads.
void OnLog(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  const auto as = level <= LOG_ERR ? observe::Level::kWarn : (level <= LOG_NOTICE ? observe::Level::kInfo : observe::Level::kDebug);
  observe::Log(as, "kafka client", {{"client", rd_kafka_name(client)}, {"facility", facility}, {"text", text}});
}

bool IsRefused(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__SSL:
      return true;
    default:
      return false;
  }
}

OutletRecord RecordOf(const rd_kafka_message_t& message) {
  OutletRecord record;
  record.offset = static_cast<uint64_t>(message.offset);
  if (message.key != nullptr) record.key.assign(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr) record.value.emplace(static_cast<const char*>(message.payload), message.len);
  record.headers = HeadersOf(message);
  return record;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> HeadersOf(const rd_kafka_message_t& message) {
  std::vector<std::pair<std::string, std::string>> all;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return all;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    all.emplace_back(name, std::string(static_cast<const char*>(value), value == nullptr ? 0 : size));
  }
  return all;
}

std::string Hint(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return "; give its user Read, Write, Describe, DescribeConfigs and Delete on the topic (kafka-acls --add)";
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return "; give its user IdempotentWrite and DescribeConfigs on the cluster (kafka-acls --add)";
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return "; check sasl.* in the file of the setting kafka_properties";
    case RD_KAFKA_RESP_ERR__SSL:
      return "; check ssl.* in the file of the setting kafka_properties";
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return "; the topic is gone: was it deleted?";
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return "; fewer brokers are in sync than min.insync.replicas wants";
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return "; raise max.message.bytes of the topic, see maily doctor";
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
      return "; is the broker up and reachable?";
    default:
      return "";
  }
}

Result<ClientPtr> MakeClient(rd_kafka_type_t type, const Options& options, const Properties& special, const Callbacks& callbacks) {
  ConfPtr conf(rd_kafka_conf_new());
  Properties all{{"bootstrap.servers", options.servers}, {"client.id", "maily"},
                 {"socket.nagle.disable", "true"},       {"socket.keepalive.enable", "true"},
                 {"reconnect.backoff.max.ms", "1000"},   {"topic.metadata.refresh.interval.ms", "60000"},
                 {"allow.auto.create.topics", "false"},  {"log.connection.close", "false"}};
  all.insert(all.end(), special.begin(), special.end());
  all.insert(all.end(), options.properties.begin(), options.properties.end());
  char text[512];
  for (const auto& [name, value] : all) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text, sizeof(text)) != RD_KAFKA_CONF_OK) {
      return Fail(Code::kInvalid, "kafka property {}: {}", name, text);
    }
  }
  rd_kafka_conf_set_log_cb(conf.get(), &OnLog);
  rd_kafka_conf_set_opaque(conf.get(), callbacks.opaque);
  if (callbacks.on_delivery != nullptr) rd_kafka_conf_set_dr_msg_cb(conf.get(), callbacks.on_delivery);
  if (callbacks.on_error != nullptr) rd_kafka_conf_set_error_cb(conf.get(), callbacks.on_error);
  if (callbacks.on_rebalance != nullptr) rd_kafka_conf_set_rebalance_cb(conf.get(), callbacks.on_rebalance);
  rd_kafka_t* client = rd_kafka_new(type, conf.get(), text, sizeof(text));
  if (client == nullptr) return Fail(Code::kInvalid, "kafka client: {}", text);
  static_cast<void>(conf.release());  // the client owns it, since it was made
  return ClientPtr(client);
}

Result<TopicPtr> MakeTopic(rd_kafka_t* client, const std::string& name) {
  TopicPtr topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
  if (!topic) return Fail(Code::kInvalid, "topic {}: {}", name, rd_kafka_err2str(rd_kafka_last_error()));
  return topic;
}

// ---- Admin ----

void Admin::OnError(rd_kafka_t* /*client*/, int error, const char* reason, void* opaque) {
  auto* const self = static_cast<Admin*>(opaque);
  const std::lock_guard lock(self->mutex_);
  const auto code = static_cast<rd_kafka_resp_err_t>(error);
  // "All brokers are down" follows the error that says why.
  if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || self->last_reason_.empty()) self->last_reason_ = reason + Hint(code);
}

Result<std::unique_ptr<Admin>> Admin::Connect(const Options& options) {
  auto admin = std::unique_ptr<Admin>(new Admin(options));
  MAILY_TRY(admin->client_, MakeClient(RD_KAFKA_CONSUMER, options, kAdminProperties, {.opaque = admin.get(), .on_error = &Admin::OnError}));
  return admin;
}

Error Admin::Failed(rd_kafka_resp_err_t error, const std::string& what) {
  rd_kafka_poll(client_.get(), 0);  // the connection's errors
  const std::lock_guard lock(mutex_);
  const bool silent = error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT;
  return Fail(IsRefused(error) ? Code::kFatal : Code::kRetry, "kafka at {}: {}: {}{}", options_.servers, what, rd_kafka_err2str(error),
              silent && !last_reason_.empty() ? "; " + last_reason_ : Hint(error));
}

Result<MetadataPtr> Admin::Metadata(const std::string& topic) {
  TopicPtr handle;
  if (!topic.empty()) {
    MAILY_TRY(handle, MakeTopic(client_.get(), topic));
  }
  const rd_kafka_metadata_t* found = nullptr;
  const auto error = rd_kafka_metadata(client_.get(), 0, handle.get(), &found, timeout_ms_);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(error, topic.empty() ? "asking for the brokers" : "asking for topic " + topic);
  return MetadataPtr(found);
}

Result<std::optional<std::string>> Admin::FirstRecord(const std::string& name) {
  MAILY_TRY(const TopicPtr topic, MakeTopic(client_.get(), name));
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_);
  for (;;) {
    if (rd_kafka_consume_start(topic.get(), 0, RD_KAFKA_OFFSET_BEGINNING) != 0) return Failed(rd_kafka_last_error(), "reading " + name);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
    const MessagePtr message(rd_kafka_consume(topic.get(), 0, static_cast<int>(std::max<int64_t>(0, left.count()))));
    rd_kafka_consume_stop(topic.get(), 0);
    if (!message) return Failed(RD_KAFKA_RESP_ERR__TIMED_OUT, "reading " + name);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return std::optional<std::string>();
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
      return std::optional(std::string(static_cast<const char*>(message->payload), message->len));
    const bool unknown_yet = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && left > kFirstRecordAgain;
    if (!unknown_yet) return Failed(message->err, "reading " + name);
    std::this_thread::sleep_for(kFirstRecordAgain);
  }
}

Result<Watermarks> Admin::QueryWatermarks(const std::string& topic, uint16_t partition, int timeout_ms) {
  Watermarks marks;
  const auto error = rd_kafka_query_watermark_offsets(client_.get(), topic.c_str(), partition, &marks.low, &marks.high, timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return Failed(error, fmt::format("asking for the ends of {} partition {}", topic, partition));
  return marks;
}

Result<std::vector<OutletRecord>> Admin::Newest(const std::string& name, uint16_t partition, size_t count) {
  MAILY_TRY(const Watermarks marks, QueryWatermarks(name, partition, timeout_ms_));
  const int64_t from = std::max(marks.low, marks.high - static_cast<int64_t>(count));
  std::vector<OutletRecord> records;
  if (from >= marks.high) return records;
  MAILY_TRY(const TopicPtr topic, MakeTopic(client_.get(), name));
  if (rd_kafka_consume_start(topic.get(), partition, from) != 0) return Failed(rd_kafka_last_error(), "reading " + name);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_);
  auto error = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (int64_t next = from; next < marks.high && error == RD_KAFKA_RESP_ERR_NO_ERROR;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
    const MessagePtr message(rd_kafka_consume(topic.get(), partition, static_cast<int>(std::max<int64_t>(0, left.count()))));
    error = message ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
    next = message->offset + 1;
    if (message->offset >= marks.high) break;
    records.push_back(RecordOf(*message));
  }
  rd_kafka_consume_stop(topic.get(), partition);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__PARTITION_EOF) return Failed(error, "reading " + name);
  return records;
}

Result<EventPtr> Admin::Run(rd_kafka_admin_op_t op, const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& start) {
  const AdminOptionsPtr options(rd_kafka_AdminOptions_new(client_.get(), op));
  char text[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms_, text, sizeof(text));
  const QueuePtr queue(rd_kafka_queue_new(client_.get()));
  start(options.get(), queue.get());
  EventPtr event(rd_kafka_queue_poll(queue.get(), timeout_ms_ + 1000));
  if (!event) return Failed(RD_KAFKA_RESP_ERR__TIMED_OUT, "an administrative request");
  if (const auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Failed(error, fmt::format("an administrative request ({})", rd_kafka_event_error_string(event.get())));
  }
  return event;
}

Result<void> Admin::DeleteRecords(const std::string& topic, uint16_t partition, int64_t before) {
  const PositionsPtr where(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(where.get(), topic.c_str(), partition)->offset = before;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(where.get());
  const auto event = Run(RD_KAFKA_ADMIN_OP_DELETERECORDS,
                         [&](auto* options, auto* queue) { rd_kafka_DeleteRecords(client_.get(), &request, 1, options, queue); });
  rd_kafka_DeleteRecords_destroy(request);
  if (!event) return event.error();
  const auto* offsets = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event->get()));
  if (offsets == nullptr || offsets->cnt != 1) return Fail(Code::kRetry, "trimming {} partition {}: no answer for it", topic, partition);
  if (const auto error = offsets->elems[0].err; error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Failed(error, fmt::format("trimming {} partition {} before {}", topic, partition, before));
  }
  return Ok();
}

}  // namespace maily::kafka
