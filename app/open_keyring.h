// Opens the keyring that the settings name: in the data directory, or in PostgreSQL.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "streams/adapters/rocks/options.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/kv.h"

namespace maily::app {

// The file of the root key: the setting `root_key`, or `<data>/keys/root.key`.
std::string RootKeyPath(const Config& config, const std::string& data);

// Of the settings `keyring` and `root_key`; `stores` are those of `<data>/keys`. `<data>/keys/place` says where this instance has its keys:
// kFatal if that is elsewhere, because keys made anew open nothing. `stores`, `clock` and `entropy` outlive the keyring. Errors else as the
// adapters'.
Result<std::unique_ptr<keyring::Keyring>> OpenKeyring(const Config& config, const std::string& data, KvStores& stores, Clock& clock,
                                                      Entropy& entropy);

}  // namespace maily::app
