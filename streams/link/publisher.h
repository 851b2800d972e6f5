// Publishes one partition: what its journal accepted becomes records in the same partition of topics for readers outside.
//
// The topics are its only memory. Each record names its event (ce_id), so to go on it reads the newest records of each topic and writes
// what follows. It works in rounds: the records of some decisions, in all topics; a round is sent when all of the last one is acknowledged,
// and spans fewer than kPublishWindow decisions. So for each topic and partition:
//   1. a record is stored only after those of all earlier events of the topic: no gap;
//   2. a record of decision n is stored only after all records of decisions up to n - kPublishWindow, in every topic.
// By 1 what is missing in a topic follows its last record, by 2 it begins at most kPublishWindow decisions before the newest one of all.
// An append that fails may be stored or not: the topics are read back before anything else is sent.
//
// An owner that was replaced, and a request that was given up, can still be stored a moment later: then a run of ids comes twice, from
// somewhere at or before the end of what is there. A reader that skips ids not greater than the last one it saw sees each event once, in
// order. See docs/adr/0021-public-topics.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/journal/tail.h"
#include "streams/observe/metrics.h"
#include "streams/port/env.h"
#include "streams/port/log.h"
#include "streams/port/outlet.h"

namespace maily::link {

// Of the header that holds an event's id.
inline constexpr std::string_view kEventIdHeader = "ce_id";

// Decisions that a round spans at most. A smaller one is always right, a larger one needs topics without records of older builds. [format]
inline constexpr uint64_t kPublishWindow = 8'192;

// An event by its place in its partition's journal; written "<partition>-<lsn>.<index>". [format]
struct EventPlace {
  Lsn lsn;
  uint32_t index = 0;  // among the events of the decision
  auto operator<=>(const EventPlace&) const = default;
};
std::string FormatEventId(PartitionId partition, const EventPlace& place);
// None: no id, or of another partition.
std::optional<EventPlace> ParseEventId(PartitionId partition, std::string_view id);

// What an event is for readers outside; the layer above knows. Called on the publisher's executor.
class Mapping {
 public:
  struct Source {
    const journal::AcceptedFrame& frame;
    const journal::Decision& decision;
    const journal::Event& event;
    PartitionId partition;
    std::string_view id;  // for the header kEventIdHeader, which every record needs
  };
  virtual ~Mapping() = default;
  // The outlet's topic that the event goes to; none: it is not for outside. The same for the same event, always.
  virtual std::optional<size_t> TopicOf(const journal::Event& event) = 0;
  // Adds the one record of the event. kRetry: it cannot be made now. Other errors stop the publisher.
  virtual Result<void> Map(const Source& source, OutletBatch& out) = 0;
};

struct PublisherOptions {
  size_t round_bytes = 1 << 20;  // about; a round holds one event at least, and there are two: one under way, one being made
  size_t round_records = 10'000;
  Duration retry_min = Seconds(1);  // after a failure; doubled with each one in a row
  Duration retry_max = Seconds(30);
};

// What publishers count, over all partitions. Made early, every name is there from the start.
struct PublisherMetrics {
  explicit PublisherMetrics(const std::vector<std::string>& topics);
  observe::Counter resumes;
  observe::Counter unknown;
  std::vector<observe::Counter> records;  // by topic
};

// Of one partition, for as long as the process may lead it. Everything given outlives it; the executor outlives the outlet too, and may
// block: the topics are read back on it. Thread: any.
class Publisher {
 public:
  Publisher(Log& log, Outlet& outlet, Mapping& mapping, Executor& executor, Clock& clock, PartitionId partition,
            const PublisherOptions& options = {});
  ~Publisher();

  // The partition is led here: publishes what follows the last record of each topic. A reader of `tail` stands at `known`: the claim
  // that it is led with.
  void Lead(journal::Tail& tail, const journal::Position& known);
  // No append is begun from now on. What is under way may be stored.
  void Stop();

  // The decision up to which everything is published and acknowledged here, for tests and measurements; 0 = none yet.
  Lsn published() const;
  // Journal records that are not published, and how old the last one is that was, while there are others. None: led elsewhere.
  struct Lag {
    uint64_t records = 0;
    Duration age;
  };
  Lag lag() const;
  // Why it has stopped by itself; empty: it has not.
  std::string stopped_why() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::link
