// A client that appends: from one thread, values that count upwards, to random partitions, many of them under way at a time.
#pragma once

#include "tests/histories/session.h"

namespace maily::histories {

struct Load {
  uint64_t appends_max = 0;  // of all producers in all lives
  uint64_t rate_max = 0;     // appends a second of this producer; 0 = as fast as it goes
};

class Producer {
 public:
  Producer(Session& session, Outcomes& outcomes, uint16_t number);
  // Until there are appends enough; ends when all of its own are answered.
  void Run(const Load& load);
  // One record to `partition`; its value. Waits until at most `under_way_max` others are under way.
  uint64_t Append(uint8_t partition, uint64_t size, Sync sync, uint64_t under_way_max);
  void AwaitAll() { Await(0); }

 private:
  void Await(uint64_t under_way_max);

  Session& session_;
  Outcomes& outcomes_;
  const uint16_t client_;
  std::minstd_rand random_;
  const std::unique_ptr<TrackWriter> track_;
  uint64_t last_ = 0;
  std::atomic<uint64_t> under_way_ = 0;
};

}  // namespace maily::histories
