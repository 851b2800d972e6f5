// The key-value port: what state stores and the keyring are kept in. Adapters: rocks, sim.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily {

// Changes that become visible, and durable, together.
struct KvBatch {
  struct Change {
    std::string key;
    std::optional<std::string> value;  // none = delete
  };
  std::vector<Change> changes;

  void Put(std::string key, std::string value) { changes.push_back({std::move(key), std::move(value)}); }
  void Delete(std::string key) { changes.push_back({std::move(key), std::nullopt}); }
};

// Ordered by unsigned bytes. Thread: any; writes of one caller keep their order.
class Kv {
 public:
  virtual ~Kv() = default;

  // The value, or none. kCorrupt: the stored bytes do not match their checksum.
  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;

  // Calls `visit` for every key in [from, to), in order, until it returns false. An empty `to` = to the end.
  virtual Result<void> Scan(std::string_view from, std::string_view to,
                            const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;

  // All of it or nothing, also over a crash. A store opened with kOnFlush forgets batches after the last Flush when the process
  // dies, always as a suffix; one opened with kOnWrite has synced them when this returns. A large batch in the order of its keys, each
  // there once, costs least.
  virtual Result<void> Write(const KvBatch& batch) = 0;

  // Makes every batch written so far survive kill -9 and loss of power.
  virtual Result<void> Flush() = 0;

  // Bytes on disk, about.
  virtual uint64_t SizeOnDisk() = 0;
};

enum class KvDurability {
  kOnFlush,  // state: rebuilt from the journal, so no write-ahead log
  kOnWrite,  // keyring: every write is synced
};

// Opens stores by name ("state-0", "keyring"); at most one handle a name at a time.
class KvStores {
 public:
  virtual ~KvStores() = default;
  virtual Result<std::unique_ptr<Kv>> Open(const std::string& name, KvDurability durability) = 0;
  // Removes a store that is not open. Removing one that does not exist is no error.
  virtual Result<void> Destroy(const std::string& name) = 0;
};

}  // namespace maily
