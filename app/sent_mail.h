// The mail of a send once more: what the journal says of its attempt, and that mail, made again.
#pragma once

#include <functional>

#include "api/api.h"
#include "processors/effects/smtp/remaker.h"
#include "streams/journal/tail.h"
#include "streams/port/log.h"

namespace maily::app {

struct SentMailNeeds {
  Log& log;
  journal::Tails& tails;
  smtp::Remaker& remaker;
  std::function<journal::Position(PartitionId)> known;  // a place in the journal behind what is asked for
};

// As api::Dependencies::remake_mail wants it. Blocks while it reads and while the mail is made. Thread: any that may block.
Result<api::SentMail> RemakeMail(const SentMailNeeds& needs, const api::SentMailSource& source);

}  // namespace maily::app
