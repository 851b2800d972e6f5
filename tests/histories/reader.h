// A client that reads: every partition in turn, in portions of several sizes, from positions that it keeps; now and then it seeks back.
#pragma once

#include <condition_variable>

#include "tests/histories/session.h"

namespace maily::histories {

class Reader {
 public:
  // The last one of kReaders reads to the written end. The first one trims commands behind itself.
  Reader(Session& session, uint16_t number);
  // Until Finish(), and then to the end of each partition.
  void Run();
  void Finish();

 private:
  // True: there may be more at once.
  bool Poll(uint8_t partition);
  void Start(uint8_t partition);
  void Seek(uint8_t partition, uint64_t to);
  void SeekBack(uint8_t partition);
  void Trim(uint8_t partition);
  void Fail(uint8_t partition, const Error& error);
  void Wait(bool after_failure);

  Session& session_;
  const uint16_t number_;
  const ReadTo to_;
  std::minstd_rand random_;
  const std::unique_ptr<TrackWriter> track_;
  std::array<uint64_t, kPartitions> positions_{};
  bool failed_ = false;  // in this turn

  std::mutex mutex_;
  std::condition_variable wake_;
  bool moved_ = false;  // an end has, since the last look
  bool finishing_ = false;
};

// Adds a poll to a track, and gives the position behind it.
uint64_t AddPoll(TrackWriter& track, uint8_t partition, uint64_t from, const std::vector<LogRecord>& records);

// Reads everything, from the begin of each partition to the record that stands at `last`; false if that cannot be.
bool ReadAll(Session& session, const std::array<uint64_t, kPartitions>& last);

}  // namespace maily::histories
