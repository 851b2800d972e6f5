// See undecided.h.
#include "streams/command/undecided.h"

#include <utility>

#include "streams/command/receiver.h"

namespace maily::command {

Result<uint64_t> GiveUndecided(Log& log, PartitionId partition, const CommandAt* last, uint32_t generation,
                               const std::function<Result<void>(std::string record)>& give) {
  MAILY_CHECK(generation > log.settings().generation, "records of generation {}", generation);
  Receiver receiver(log, partition, ReadTo::kDurable, last);
  RecordBuilder builder;
  uint64_t commands = 0;
  const auto finish = [&]() -> Result<void> {
    return builder.count() == 0 ? Ok() : give(builder.Finish(log.settings().log_id, generation, partition));
  };
  for (;;) {
    if (const Received* received = receiver.Peek()) {
      if (!builder.Add(received->command)) {
        MAILY_TRY_VOID(finish());
        MAILY_CHECK(builder.Add(received->command), "a command that no record takes");
      }
      ++commands;
      receiver.Pop();
    } else if (const Unreadable* unreadable = receiver.unreadable()) {
      MAILY_TRY_VOID(finish());
      MAILY_TRY_VOID(give(unreadable->bytes));
      ++commands;
      receiver.Pop();
    } else if (const Error* error = receiver.error()) {
      return *error;
    } else {
      break;
    }
  }
  MAILY_TRY_VOID(finish());
  if (receiver.next_offset() < log.Ends({Topic::kCommands, partition}).durable) {
    return Fail(Code::kRetry, "commands {}: offset {} cannot be read now", partition.value(), receiver.next_offset().value());
  }
  return commands;
}

}  // namespace maily::command
