// Partitions shared out by a consumer group of Kafka (eager protocol): its members are the processes that can lead.
//
// Nothing is read through the group: the assignment is all that is wanted of it. A member that dies is missed after kSessionTimeout; one
// that leaves, at once. A change moves as few partitions as the range assignor does. Who loses a partition hears of it at the same time as
// who gets it.
#pragma once

#include <memory>
#include <string>

#include "streams/adapters/kafka/options.h"
#include "streams/port/assignment.h"

namespace maily::kafka {

inline constexpr Duration kSessionTimeout = Seconds(6);  // what brokers allow at least, by default

// The group is "<prefix>.tasks", its topic the log's commands, of `partition_count` partitions. `member`: a name for people. kInvalid,
// kFatal: a property is wrong, or refused. Brokers that do not answer are waited for.
Result<std::unique_ptr<Assignment>> MakeGroup(const Options& options, uint16_t partition_count, const std::string& member);

}  // namespace maily::kafka
