// Opens the attempts of messages: ahead of campaigns, a credit each, after the last check.
#pragma once

#include <string>
#include <string_view>

#include "streams/task/processor.h"

namespace maily::messages {

// Work kind kSendMessages: one message a slice, of the lanes in turn.
task::SliceEnd SendMessage(task::Context& context, std::string_view subject);

// The only check there is of who gets a message: nobody whose address, or its domain, is suppressed for all mails or for transactional
// ones; of a marketing form, for marketing, nor who has opted out. Lists, caps and quiet hours are of campaigns. Emits SendSkipped and
// gives the reason; empty: it may go. The mail of a double opt-in goes to nobody who is suppressed for anything, was erased, or has
// confirmed or withdrawn since.
std::string SkipIfSuppressed(task::Context& context, uint64_t message_id);

}  // namespace maily::messages
