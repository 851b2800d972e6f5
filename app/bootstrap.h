// First start: the tenant `default`, and one API key in a file that only its owner may read.
#pragma once

#include <string>
#include <vector>

#include "streams/base/result.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::app {

struct BootstrapNeeds {
  command::Sender& sender;
  command::Replies& replies;
  Entropy& entropy;
  Clock& clock;
  Executor& executor;
  keyring::Keyring& keyring;
  uint16_t partition_count;
  Duration patience = Seconds(30);  // for each of its two commands
};

// Does nothing if `key_path` exists. Blocks until the key is decided (kRetry: not in time); safe to repeat after a crash at any point: at
// worst a key that nobody knows is left behind. Where its commands stand: a view that shows them knows the key.
Result<std::vector<CommandAt>> Bootstrap(const BootstrapNeeds& needs, const std::string& key_path);

}  // namespace maily::app
