// What a task decides next: the commands of its own topic and, if it has an inlet, the plain records of that as commands, in turn.
//
// A plain record becomes one command: its key is the command's key, its value the payload, and it is decided in the partition where it
// stands, whatever its key would say. Its place is told apart from that of a command by its generation, which has kInletGeneration set.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "streams/command/receiver.h"
#include "streams/journal/position.h"
#include "streams/port/env.h"
#include "streams/port/inlet.h"
#include "streams/port/log.h"

namespace maily::task {

// Sources in positions and frames. [format]
inline constexpr uint16_t kCommandsSource = 0;
inline constexpr uint16_t kInletSource = 1;
inline constexpr uint32_t kInletGeneration = uint32_t{1} << 31;  // [format]

inline bool IsInlet(const CommandAt& at) { return (at.generation & kInletGeneration) != 0; }
inline uint16_t SourceOf(const CommandAt& at) { return IsInlet(at) ? kInletSource : kCommandsSource; }

// How the records of a topic are to be understood.
struct PlainInlet {
  Inlet* inlet = nullptr;  // none
  TypeNumber type = 0;     // of the commands that its records are
  TenantId tenant;
  uint32_t generation = 1;  // to be raised when the topic was made anew; below kInletGeneration
};

// The id of the command that a plain record is: the same whenever it is read. Bytes 0-5 tell the topic, 6-7 the partition, 8-15 the offset.
// [format]
CommandId PlainCommandId(const std::string& topic, PartitionId partition, Offset offset);

// Lives on the task's executor; no lock inside.
class Intake {
 public:
  // Goes on after what `from` says was decided. kConflict: the inlet has another number of partitions than the log. Other errors as of
  // Inlet::Open.
  static Result<std::unique_ptr<Intake>> Open(Log& log, Clock& clock, PartitionId partition, const journal::Position& from,
                                              const PlainInlet& plain, std::function<void()> signal);
  ~Intake();

  // As those of command::Receiver, over both sources. A plain record that is larger than a command may be counts as unreadable.
  const command::Received* Peek();
  const command::Unreadable* unreadable() const;
  void Pop();
  // What Peek showed and those of its source behind it, as far as they are at hand, up to `max`. Valid until Pop.
  std::span<const command::Command> Upcoming(size_t max);
  const Error* error() const;
  // Of the commands topic, as of command::Receiver.
  Offset next_offset() const { return receiver_.next_offset(); }

 private:
  struct Plain;
  Intake(Log& log, PartitionId partition, const journal::Position& from);
  bool PeekPlain();

  command::Receiver receiver_;
  std::unique_ptr<Plain> plain_;
  bool from_plain_ = false;  // what Peek showed last
  size_t in_a_row_ = 0;      // taken of that source since the other one had its turn
};

}  // namespace maily::task
