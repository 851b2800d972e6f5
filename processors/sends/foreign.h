// Keeps what providers tell and this build does not know.
#pragma once

#include "maily/sends/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::sends {

// A dead letter of the code "unknown_notice": there is nothing to decide, and nothing is lost.
void Decide(task::Context& context, const v1::KeepNotice& command);

}  // namespace maily::sends
