// The log on one machine, without a broker: a RocksDB database of its own, one column family a topic and partition.
//
// Key = offset (8 bytes, big-endian), value = append time (8 bytes, little-endian, µs) ‖ record. The default column family holds
// "settings" and "begin/<topic>/<partition>".
//
// Append writes on the caller's thread, in one order over all partitions (one WAL); the record counts as written then. One thread syncs:
// as soon as a kNow append waits, else 5 ms after the oldest kSoon one; one sync covers all that was written before it (group commit).
// `done` and the kDurable signals come on that thread, kWritten signals also on the appending one.
//
// Full disk: below Limits::disk_reserve_bytes, or when a write fails for lack of space, appends end in kRetry, what was written before
// stays readable, and appends succeed again by themselves once there is space. A failed sync is final: afterwards nothing is
// acknowledged any more (kFatal), and reads go on. After a restart all that is found counts as written and is durable before it is shown.
#pragma once

#include <memory>
#include <string>

#include "streams/adapters/rocks/options.h"
#include "streams/base/result.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::rocks {

class RocksLog {
 public:
  // Opens the log in directory `path`; makes it with `wanted` if there is none. An existing log keeps its own log_id and generation,
  // see settings(). `wanted.partition_count` 0 = whatever is there (kNotFound if nothing is).
  // kConflict: it has another number of partitions, or is open elsewhere. kCorrupt, kRetry (full disk), kFatal.
  // `resources` and `clock` outlive the log. Destroying the log waits until every append is synced and its `done` has returned.
  static Result<std::unique_ptr<Log>> Open(const std::string& path, const LogSettings& wanted, const Resources& resources, Clock& clock);
};

}  // namespace maily::rocks
