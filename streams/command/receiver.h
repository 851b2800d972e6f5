// Reads a partition's commands in order, each with where it stands, from a position on.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "streams/command/command.h"
#include "streams/port/log.h"

namespace maily::command {

// A command with its place and the log's time for it.
struct Received {
  Command command;  // points into the receiver's current record
  CommandAt at;
  Instant time;
};

// A record of the commands topic that holds no readable commands; the task journals it as rejected and goes on.
struct Unreadable {
  CommandAt at;
  Instant time;
  Error why;
  std::string bytes;
};

// Lives on the task's executor; no lock inside.
class Receiver {
 public:
  // Reads from the command after `last` (offset, index); none, or one of an earlier generation = from the beginning. `to`: kWritten
  // where the log keeps one order over all partitions, else kDurable. Records are read ahead, up to 1 MiB at a time.
  Receiver(Log& log, PartitionId partition, ReadTo to, const CommandAt* last);

  // The next command without taking it, or null: none now (then wait for the tail signal), or the next thing is unreadable.
  // An error of the log ends in error(). Valid until Pop.
  const Received* Peek();
  // Set when Peek returned null because of a record that no parser understands; Pop passes over it.
  const Unreadable* unreadable() const;
  // Takes what Peek showed.
  void Pop();
  // What Peek showed and those behind it in its record, up to `max`. Valid until Pop.
  std::span<const Command> Upcoming(size_t max) const;
  // Why reading stopped, if it did: kNotFound (trimmed away: commands were lost before they were decided), kDiverged (`last` is beyond
  // the end or of a later generation), kCorrupt, kFatal.
  const Error* error() const;
  // One past the offset of the record being read: what may be trimmed once everything before is decided.
  Offset next_offset() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::command
