// The commands of a log that nobody has decided yet, as records for the log that it is copied to.
#pragma once

#include <functional>
#include <string>

#include "streams/command/command.h"
#include "streams/port/log.h"

namespace maily::command {

// Gives the commands after `last` (null: all) of the partition, up to the durable end, as records of `generation`, in their order.
// Offsets begin anew in another log, so its generation must be above that of `log`: then readers know that these places are others. A
// record that no parser understands is given as it is. Stops at `give`'s first error. Errors as Receiver::error, and kRetry: the log
// cannot be read now. Blocks. Thread: any.
Result<uint64_t> GiveUndecided(Log& log, PartitionId partition, const CommandAt* last, uint32_t generation,
                               const std::function<Result<void>(std::string record)>& give);

}  // namespace maily::command
