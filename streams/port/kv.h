// The key-value port: what state stores and the keyring are kept in. Adapters: rocks, sim.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily {

// Changes that become visible, and durable, together. Copies share the bytes.
struct KvBatch {
  struct Change {
    std::string_view key;
    std::optional<std::string_view> value;  // none = delete
  };
  std::vector<Change> changes;
  bool lasting = false;  // most of it will stay for long: worth being packed well

  void Put(std::string_view key, std::string_view value) {
    const std::string_view kept = Keep(key);
    changes.push_back({kept, Keep(value)});
  }
  void Delete(std::string_view key) { changes.push_back({Keep(key), std::nullopt}); }
  void Clear() { *this = {}; }

 private:
  // Bytes that stay where they are; each piece is larger than the one before.
  static constexpr size_t kFirstPieceBytes = 256;
  static constexpr size_t kDoublings = 8;
  struct Pieces {
    std::vector<std::unique_ptr<char[]>> all;
    char* next = nullptr;  // in the last one
    size_t left = 0;
  };

  std::string_view Keep(std::string_view text) {
    if (pieces_ == nullptr) pieces_ = std::make_shared<Pieces>();
    Pieces& pieces = *pieces_;
    if (text.size() > pieces.left) {
      pieces.left = std::max(text.size(), kFirstPieceBytes << std::min(pieces.all.size(), kDoublings));
      pieces.all.push_back(std::make_unique_for_overwrite<char[]>(pieces.left));
      pieces.next = pieces.all.back().get();
    }
    const std::string_view kept(pieces.next, text.size());
    pieces.next = std::ranges::copy(text, pieces.next).out;
    pieces.left -= text.size();
    return kept;
  }

  std::shared_ptr<Pieces> pieces_;
};

// What a store held at one moment, read piece by piece while the store goes on. Thread: any, one at a time.
class KvView {
 public:
  virtual ~KvView() = default;
  // Calls `visit` for the entries that follow, in order, until it returns false (that entry is read, too). False: there are no more.
  // kConflict: the store was closed meanwhile, which waits for a call that is under way.
  virtual Result<bool> Next(const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
};

// Ordered by unsigned bytes. Thread: any; writes of one caller keep their order.
class Kv {
 public:
  virtual ~Kv() = default;

  // The value, or none. kCorrupt: the stored bytes do not match their checksum.
  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;

  // The same for many keys, in order and each there once: `visit` gets the index of the key and its value, or none, valid during the call.
  // Costs less than as many Gets.
  virtual Result<void> GetMany(std::span<const std::string_view> keys,
                               const std::function<void(size_t index, std::optional<std::string_view> value)>& visit) {
    for (size_t i = 0; i < keys.size(); ++i) {
      MAILY_TRY(const auto value, Get(keys[i]));
      visit(i, value ? std::optional<std::string_view>(*value) : std::nullopt);
    }
    return Ok();
  }

  // Calls `visit` for every key in [from, to), in order, until it returns false. An empty `to` = to the end.
  virtual Result<void> Scan(std::string_view from, std::string_view to,
                            const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;

  // Everything that was written so far, flushed or not. Costs little; while it exists the store keeps what it shows, and may be closed.
  virtual Result<std::unique_ptr<KvView>> View() = 0;

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
