// What the clients of one life of the recording process share: the log, the history's directory, and what is remembered from life to life.
#pragma once

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "streams/port/log.h"
#include "tests/histories/track_writer.h"

namespace maily::histories {

inline constexpr uint16_t kPartitionsEach = 3;  // of each topic
inline constexpr uint8_t kPartitions = 2 * kPartitionsEach;
inline constexpr uint16_t kProducers = 3;
inline constexpr uint16_t kReaders = 3;  // the first two to the durable end, the last one to the written end

// A history numbers the partitions of both topics through.
inline TopicPartition At(uint8_t partition) {
  return {partition < kPartitionsEach ? Topic::kCommands : Topic::kJournal,
          PartitionId(static_cast<uint16_t>(partition % kPartitionsEach))};
}

// In a shared mapping of the file "progress": outlives a kill -9, and the driver looks at it.
struct Progress {
  std::atomic<uint64_t> appends;
  std::atomic<uint64_t> polls;                                      // that gave records
  std::atomic<uint64_t> positions_plus_one[kReaders][kPartitions];  // of the durable readers; 0 = none
};

struct Session {
  Session(const std::string& directory_in, uint64_t number_in, uint64_t seed, Log& log_in);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::unique_ptr<TrackWriter> Track(const std::string& name, Role role, uint64_t detail) const;
  std::minstd_rand Random(uint64_t stream) const { return std::minstd_rand(static_cast<uint32_t>((seed_ * 1'009 + number) * 31 + stream)); }

  const uint64_t number;
  Log& log;
  Progress* progress = nullptr;
  std::array<std::atomic<uint64_t>, kPartitions> acknowledged{};  // one past the last offset that was acknowledged in this life

 private:
  const std::string directory_;
  const uint64_t seed_;
};

// How outcomes of all producers are written: on threads of the adapter, one at a time.
class Outcomes {
 public:
  explicit Outcomes(Session& session) : session_(session), track_(session.Track("outcomes", Role::kOutcomes, 0)) {}
  void Add(uint64_t value, const Result<Appended>& result);

 private:
  Session& session_;
  std::mutex mutex_;
  const std::unique_ptr<TrackWriter> track_;
};

}  // namespace maily::histories
