// Owners of librdkafka's objects. Internal to the adapter.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

namespace maily::kafka {

template <auto Destroy>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};

// Destroying a client waits for its threads; topics, queues and messages of a client die before it.
using ClientPtr = std::unique_ptr<rd_kafka_t, Deleter<&rd_kafka_destroy>>;
using TopicPtr = std::unique_ptr<rd_kafka_topic_t, Deleter<&rd_kafka_topic_destroy>>;
using QueuePtr = std::unique_ptr<rd_kafka_queue_t, Deleter<&rd_kafka_queue_destroy>>;
using MessagePtr = std::unique_ptr<rd_kafka_message_t, Deleter<&rd_kafka_message_destroy>>;
using EventPtr = std::unique_ptr<rd_kafka_event_t, Deleter<&rd_kafka_event_destroy>>;
using ConfPtr = std::unique_ptr<rd_kafka_conf_t, Deleter<&rd_kafka_conf_destroy>>;
using AdminOptionsPtr = std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<&rd_kafka_AdminOptions_destroy>>;
using MetadataPtr = std::unique_ptr<const rd_kafka_metadata_t, Deleter<&rd_kafka_metadata_destroy>>;
using PositionsPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, Deleter<&rd_kafka_topic_partition_list_destroy>>;

}  // namespace maily::kafka
