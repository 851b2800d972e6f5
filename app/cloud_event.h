// An event of the journal as a CloudEvent: what /v1/journal shows and what the public topics carry.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "streams/journal/tail.h"

namespace maily::app {

struct CloudEvent {
  std::string type;    // "maily.contacts.v1.ContactCreated"
  std::string source;  // "/partitions/<p>"
  std::string key;     // whom it is about: a contact by its id, else the tenant by the key of its home
  std::string time;    // RFC 3339
  std::string tenant;
  std::string trace_id;
  std::string causation_id;  // the command that it was decided for, or the slice of work or the timer in the partition's state
  // As stored, personal fields sealed. Null: of the platform itself, or not understood.
  std::unique_ptr<google::protobuf::Message> message;
};

CloudEvent MakeCloudEvent(PartitionId partition, const journal::AcceptedFrame& frame, const journal::Decision& decision,
                          const journal::Event& event);

}  // namespace maily::app
