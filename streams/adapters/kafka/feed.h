// The feed on Kafka: a consumer group whose positions are committed when they are settled, and never before.
//
// The group reads what is committed by transactional producers, from the oldest record of a partition where it has no position. Positions
// that the topic no longer has (its records were deleted, or it was made anew) are logged, counted in maily_inbox_missed_total, and it goes
// on with the oldest record that is there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/kafka/options.h"
#include "streams/port/feed.h"

namespace maily::kafka {

struct FeedOptions {
  std::vector<std::string> topics;  // full names
  std::string group;                // in full
  size_t ahead_bytes_max = 16 << 20;
  Duration session_timeout = Seconds(6);  // a member that dies is missed after that
};

// kInvalid, kFatal: a property is wrong, or refused. Brokers that do not answer, and topics that are missing, are waited for.
Result<std::unique_ptr<Feed>> OpenFeed(const Options& options, const FeedOptions& feed);

}  // namespace maily::kafka
