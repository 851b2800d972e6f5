// The key that wraps all others: a file of its own, outside of backups of the data.
#pragma once

#include <string>

#include "streams/base/result.h"
#include "streams/keyring/cipher.h"
#include "streams/port/env.h"

namespace maily::keyring {

// The key in the file `path`; made there (mode 0600, synced) if there is no such file. File: "maily-root-key-1 " and 64 hex digits.
// kFatal: the file cannot be read or made, is no root key, or others may read it.
Result<Key> LoadOrCreateRootKey(const std::string& path, Entropy& entropy);

}  // namespace maily::keyring
