// Key-value stores on RocksDB, a directory each under one base directory: state stores and the keyring.
//
// kOnFlush: no WAL; a crash leaves what was flushed, whole batches from the front. kOnWrite: every Write is synced. Indexes and filters
// live in the shared block cache, so memory does not grow with the number of keys. A full disk: Write and Flush end in kRetry, reads go
// on, nothing is forgotten, and the first Write or Flush after there is space again succeeds.
#pragma once

#include <memory>
#include <string>

#include "streams/adapters/rocks/options.h"
#include "streams/port/kv.h"

namespace maily::rocks {

// Thread: any.
class RocksKvStores : public KvStores {
 public:
  // Stores are opened under directory `base`, made if absent. `resources` outlives them all.
  RocksKvStores(std::string base, const Resources& resources);

  // kConflict: it is open already, here or in another process. kCorrupt, kRetry (full disk), kFatal. kInvalid: not a name.
  Result<std::unique_ptr<Kv>> Open(const std::string& name, KvDurability durability) override;
  Result<void> Destroy(const std::string& name) override;

 private:
  const std::string base_;
  const Resources& resources_;
};

}  // namespace maily::rocks
