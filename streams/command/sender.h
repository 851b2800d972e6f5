// The way in to the commands topic: gathers what is sent while the last append of a partition is in flight, never for a timer,
// into one record a partition, and tells when it is durable, and where.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "streams/command/command.h"
#include "streams/port/env.h"
#include "streams/port/log.h"

namespace maily::command {

// Called once a command, on a thread of the log (or by the destructor): where it stands, or why it could not be appended. An error
// says nothing about whether it is there: commands are idempotent, so that the caller may send again. Must not block.
using Sent = std::move_only_function<void(Result<CommandAt>)>;

// kFollows: the caller sends another command to the same partition at once, which may share its record.
enum class More : uint8_t { kNone, kFollows };

// Thread: any. One a process is enough; its queue is bounded by `bytes_max` over all partitions. Partitions do not wait for each other;
// commands of one caller thread to one partition keep their order.
class Sender {
 public:
  // `bytes_max`: commands waiting or in flight; beyond it Send answers kRetry at once.
  Sender(Log& log, size_t bytes_max);
  // Answers whatever was not answered yet with kRetry; returns when no callback runs any more. Not from within a callback.
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Copies the command. `sync`: kSoon if the caller waits for the decision (the frame's sync covers it), kNow if durability itself
  // is the answer. A record that carries both is synced now. kInvalid: larger than kCommandBytesMax. kRetry: the queue is full, the log
  // failed, or it acknowledged without telling the offset.
  void Send(PartitionId partition, const Command& command, Sync sync, Sent sent, More more = More::kNone);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::command
