// The log port: partitioned, append-only, durable. Adapters: rocks (one machine), kafka, sim (memory).
//
// Guarantees that every adapter keeps (tests/contract/log_contract.h):
//  1. A record is appended whole or not at all; records of a partition are read in the order of their offsets, which only grow.
//  2. `done` with a value = the record is durable: it survives kill -9 and, under the adapter's stated class, loss of power.
//  3. `done` with an error says nothing about the record: it may turn up later, also after younger ones.
//  4. Read(kDurable) never shows a record that a crash can still take back.
//  5. Of what was written and not synced, a crash takes back a suffix, over all partitions of a log together (adapters with
//     one order, `ordered_across_partitions()`), or of each partition alone.
// A record can stand there twice, on an adapter that asks again after a time-out (kafka): acknowledged is the last copy.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/topic.h"

namespace maily {

// What an append waits for before it is synced.
enum class Sync {
  kNow,   // sync as soon as possible
  kSoon,  // nobody waits for this record itself: the next kNow append covers it, or at most 5 ms pass
};

// How far a read may see.
enum class ReadTo {
  kDurable,  // up to the durable end: everyone
  kWritten,  // also what is written and not yet synced: only a partition's own task, for its commands
};

// What an acknowledged append tells. An adapter may acknowledge without knowing the offset (librdkafka after a duplicate).
struct Appended {
  std::optional<Offset> offset;
};
// Called exactly once, on a thread of the adapter; must not block. Post to your own executor.
using AppendDone = std::move_only_function<void(Result<Appended>)>;

struct LogRecord {
  Offset offset;
  Instant time;  // when the log took it; grows within a partition, but for the skew of brokers at a change of leader: tasks take the latest
  std::string bytes;
};

struct LogEnds {
  Offset begin;    // first record still there
  Offset durable;  // one past the last durable record
  Offset written;  // one past the last written record; >= durable
};

// Keeps a tail signal registered; destroying it waits until a running signal has returned.
class TailWatch {
 public:
  virtual ~TailWatch() = default;
};

class Log {
 public:
  virtual ~Log() = default;

  virtual const LogSettings& settings() const = 0;

  // Appends one record of at most 1,000,000 bytes. Thread: any. Appends of one caller thread to one partition keep their order.
  // Errors through `done`: kRetry (full disk, time-out, broker away), kInvalid (too large), kFatal (fsync failed: nothing will be
  // acknowledged any more).
  virtual void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) = 0;

  // Records from `from` on: at least one if there is one, then as many as fit in `bytes_max`; empty at the end. Never waits for
  // new records. Thread: any. kNotFound: `from` is before the beginning (trimmed). kInvalid: beyond the written end.
  virtual Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) = 0;

  // What this process knows: of a broker's log another process may have read, and told of, more. Read() asks.
  virtual LogEnds Ends(TopicPartition at) = 0;

  // Calls `signal` on a thread of the adapter whenever the durable (or written) end has moved; several moves may give one call.
  // It must not block: post to your own executor. A first call comes at once if there is anything to read.
  [[nodiscard]] virtual std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) = 0;

  // Forgets the records before `before`. Only commands are ever trimmed. Thread: any.
  virtual Result<void> Trim(TopicPartition at, Offset before) = 0;

  // True if of all unsynced records of all partitions a crash takes back a suffix in the order of writing: then a frame's own
  // sync covers the commands it was decided on, and a task may read its commands to kWritten.
  virtual bool ordered_across_partitions() const = 0;

  // One line for `doctor`: what an acknowledged record survives (kill -9 / loss of one disk / power).
  virtual std::string durability_class() const = 0;
};

}  // namespace maily
