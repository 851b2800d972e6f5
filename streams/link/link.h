// The links of one partition: carry its outbox to other partitions' commands, exactly once.
//
// The receiving task accepts only last + 1 of the stream "link/<source>", so sending again is harmless; an item leaves the outbox when the
// destination has decided it and this partition has journaled the acknowledgement.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "streams/base/ids.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/link/outbox.h"
#include "streams/port/env.h"

namespace maily::link {

// Items of one destination that may be on their way at a time.
inline constexpr uint64_t kWindow = 64;

// Lives on the partition's executor, from take-over until Stop.
class Links {
 public:
  Links(PartitionId source, uint16_t partition_count, const Outbox& outbox, command::Sender& sender, command::Replies& replies,
        Entropy& entropy, Executor& executor);
  ~Links();

  // Everything that is in the outbox now was accepted: send it.
  void Lead();
  // Items of `destination` up to `upto` are in accepted frames.
  void Release(PartitionId destination, uint64_t upto);
  void Stop();
  // Items released and not acknowledged, over all destinations.
  uint64_t Lag() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::link
