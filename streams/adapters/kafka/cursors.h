// Reads records older than those in memory: consumers that are set to a place and read on from it. Internal to the adapter.
//
// A cursor is one place in one partition; a consumer has one a partition, and there are up to kLanes consumers, made when needed. A reader
// that goes on where it stopped finds its cursor again; another one takes the cursor that was unused for longest, with a seek. A cursor
// fetches at most one portion (1 MiB, or one record) ahead, and none once its reader is gone for two seconds.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>

#include "streams/adapters/kafka/partition.h"

namespace maily::kafka {

class Cursors {
 public:
  static constexpr size_t kLanes = 3;

  Cursors(const Options& options, size_t partition_count);
  ~Cursors();

  struct Portion {
    std::vector<LogRecord> records;
    bool at_end = false;        // none: between `from` and the end there is no record
    bool out_of_range = false;  // none: `from` is no offset of the partition now
  };
  // One record from `from` on, then as many as fit in `bytes_max` and stand before `until`. Blocks until the broker answers. Thread: any.
  // kRetry: it does not.
  Result<Portion> Read(const Partition& partition, Offset from, Offset until, size_t bytes_max);

  // Ends cursors that nobody used for two seconds. Call now and then.
  void EndIdle();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Cursor {
    bool busy = false;
    bool started = false;
    Offset next;                    // what is fetched goes on here
    std::deque<LogRecord> waiting;  // fetched and not yet given, before `next`
    Time used;
  };
  struct Lane {
    ClientPtr client;
    TopicPtr topics[2];
    std::vector<Cursor> cursors;
  };
  struct Choice {
    Lane* lane;
    Cursor* cursor;
  };
  enum class Came { kRecords, kOld /* of an earlier place */, kNothing, kEnd, kOutOfRange };

  static Offset PlaceOf(const Cursor& cursor) { return cursor.waiting.empty() ? cursor.next : cursor.waiting.front().offset; }
  Result<void> OpenLane(Lane& lane);
  Result<Choice> Choose(const Partition& partition, Offset from);
  static Result<void> Place(rd_kafka_topic_t* topic, Cursor& cursor, const Partition& partition, Offset from);
  static void Stop(rd_kafka_topic_t* topic, Cursor& cursor, uint16_t partition);
  // What the consumer has within `wait_ms`.
  static Came Take(rd_kafka_topic_t* topic, Cursor& cursor, const Partition& partition, int wait_ms, std::string& trouble);
  Result<Portion> Fetch(Lane& lane, Cursor& cursor, const Partition& partition, Offset from, Offset until, size_t bytes_max);

  const Options options_;
  const size_t partition_count_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::array<Lane, kLanes> lanes_;
};

}  // namespace maily::kafka
