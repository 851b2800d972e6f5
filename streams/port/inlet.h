// The inlet port: plain records that others write to a topic, read in order, partition by partition. Adapters: kafka, sim.
//
// A partition of the topic goes to the partition task of the same number, so both have as many. What it has decided stands in the journal
// like that of its own commands: nothing is committed to the topic's broker.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily {

// Points into what its reader has fetched.
struct PlainRecord {
  Offset offset;
  Instant time;  // as the topic says: of the broker's append, or whatever the producer claims
  std::string_view key;
  std::string_view value;
};

// One partition, from a place on. Used by one thread at a time.
class InletReader {
 public:
  virtual ~InletReader() = default;
  // Some of the records that come next; none: there are none now, and `signal` will be called. What it gave before dies. Never waits.
  // kNotFound: the next record is deleted already, undecided. kDiverged: the place is beyond the end, so the topic was truncated or made
  // anew. kRetry: the broker does not say; call again after `signal`, or later.
  virtual Result<std::span<const PlainRecord>> Next() = 0;
};

class Inlet {
 public:
  virtual ~Inlet() = default;
  virtual const std::string& topic() const = 0;
  virtual uint16_t partition_count() const = 0;
  // Reads from `from` on, or from the first record that is there. Only what is durable is shown: acknowledged by all in-sync replicas, and
  // committed, if its producer uses transactions. `signal` is called on a thread of the adapter when there is something after there was
  // nothing; it must not block. One reader a partition at a time; destroying it waits until a running signal has returned. Thread: any.
  virtual Result<std::unique_ptr<InletReader>> Open(PartitionId partition, std::optional<Offset> from, std::function<void()> signal) = 0;
};

}  // namespace maily
