// The port of the keyring's store: keeps wrapped keys, which it cannot open. Adapters: over a Kv, for one process; postgres, for several.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"

namespace maily {

using KeyId = std::array<uint8_t, 8>;

// Thread: any. Every change is durable when its call returns. What is put stays as it is: of two who put the same, in this process or in
// another, the first one's is kept, and both get it.
class KeyStore {
 public:
  struct Wrapped {
    KeyId id{};
    std::string bytes;
  };

  virtual ~KeyStore() = default;

  // The mark of the root key; `mark` where there is none yet.
  virtual Result<std::string> GetOrPutRoot(std::string_view mark) = 0;

  // The tenant's keys, wrapped; none: it has none.
  virtual Result<std::optional<std::string>> Tenant(TenantId tenant) = 0;
  virtual Result<std::string> GetOrPutTenant(TenantId tenant, std::string_view wrapped) = 0;

  // The key to seal with of every subject, in their order. One that has none gets what `make` gives for its index: all of them in one
  // change. `subjects` are distinct. `make` runs on the caller's thread, its ids are new; it may call HasIdsFrom, and what it gives may be
  // left unused. kRetry: a subject was destroyed meanwhile, again and again.
  using Make = std::function<Result<Wrapped>(size_t subject)>;
  virtual Result<std::vector<Wrapped>> GetOrPut(TenantId tenant, std::span<const std::string_view> subjects, const Make& make) = 0;
  // Whether there is an id that begins with these four bytes.
  virtual Result<bool> HasIdsFrom(TenantId tenant, uint32_t first) = 0;

  // The key of that id, wrapped; none: it is gone, or never was.
  virtual Result<std::optional<std::string>> Find(TenantId tenant, const KeyId& id) = 0;

  // All keys of a subject, to be destroyed.
  virtual Result<std::vector<KeyId>> KeysOf(TenantId tenant, std::string_view subject) = 0;
  // Deletes all keys of a subject, those too that it got since KeysOf.
  virtual Result<void> Destroy(TenantId tenant, std::string_view subject) = 0;

  // All keys of `from` are `to`'s from here on, in one change; `to` goes on sealing with the one that it has. Again: nothing.
  virtual Result<void> Move(TenantId tenant, std::string_view from, std::string_view to) = 0;

  // A number that has changed if another process may have destroyed or moved a key since it was last asked for; asked before each use of a
  // key that was kept in memory, so the answer is cheap, and may be as old as the adapter states. kRetry: that is not known at present.
  virtual Result<uint64_t> Destructions() = 0;
};

}  // namespace maily
