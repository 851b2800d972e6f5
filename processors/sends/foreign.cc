// See foreign.h.
#include "processors/sends/foreign.h"

#include <fmt/format.h>

namespace maily::sends {

void Decide(task::Context& context, const v1::KeepNotice& command) {
  context.Reject("unknown_notice", fmt::format("{} tells of '{}', which is not known here", command.provider(), command.kind()));
}

}  // namespace maily::sends
