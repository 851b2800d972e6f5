// See verify.h.
#include "streams/task/verify.h"

#include <deque>
#include <memory>
#include <utility>

#include "streams/journal/tail.h"
#include "streams/state/store.h"
#include "streams/task/decide.h"

namespace maily::task {
namespace {

constexpr size_t kEntriesAtOnce = 1000;
constexpr size_t kCacheBytes = 64 << 20;  // of the fold; written out at half of it
constexpr size_t kTailBytes = 1 << 20;

// The entries of a store, in order, some in memory at a time.
class Entries {
 public:
  explicit Entries(Kv& kv) : kv_(kv) {}
  // The next one, or null at the end; until the next Pop.
  Result<const std::pair<std::string, std::string>*> Peek() {
    if (at_.empty() && !ended_) {
      MAILY_TRY_VOID(kv_.Scan(from_, "", [this](std::string_view key, std::string_view value) {
        at_.emplace_back(key, value);
        return at_.size() < kEntriesAtOnce;
      }));
      ended_ = at_.size() < kEntriesAtOnce;
      if (!at_.empty()) from_ = at_.back().first + '\0';  // the next key there can be
    }
    return at_.empty() ? nullptr : &at_.front();
  }
  void Pop() { at_.pop_front(); }

 private:
  Kv& kv_;
  std::string from_ = std::string("\0\1", 2);  // before it stands what the store says of itself
  std::deque<std::pair<std::string, std::string>> at_;
  bool ended_ = false;
};

Verified::Difference Differ(const std::string& kv_key, const char* what) {
  Cursor cursor(kv_key);
  Verified::Difference difference;
  difference.type = cursor.Ordered<uint16_t>();
  difference.tenant = TenantId(cursor.Ordered<uint32_t>());
  difference.key_hash = Xxh3_64(std::string_view(kv_key).substr(2));
  difference.what = what;
  return difference;
}

Result<void> Compare(Kv& stored, Kv& folded, Verified& verified) {
  Entries left(stored), right(folded);
  for (;;) {
    MAILY_TRY(const auto* in_store, left.Peek());
    MAILY_TRY(const auto* in_fold, right.Peek());
    if (in_store == nullptr && in_fold == nullptr) return Ok();
    verified.entries += in_store != nullptr ? 1 : 0;
    const char* what = nullptr;
    const bool store_first = in_fold == nullptr || (in_store != nullptr && in_store->first < in_fold->first);
    if (store_first) {
      what = "not in the journal";
    } else if (in_store == nullptr || in_fold->first < in_store->first) {
      what = "missing";
    } else if (in_store->second != in_fold->second) {
      what = "another value";
    }
    if (what != nullptr && !verified.difference) verified.difference = Differ(store_first ? in_store->first : in_fold->first, what);
    if (what == nullptr || store_first || std::string_view(what) == "another value") left.Pop();
    if (!store_first) right.Pop();
    if (what != nullptr && std::string_view(what) == "missing" && in_store != nullptr) --verified.entries;  // it comes again
  }
}

// The journal's fold up to `to`, as a flushed store.
Result<void> FoldTo(const journal::Position& to, Log& log, const Pipeline& pipeline, state::Store& store,
                    const std::function<void(uint64_t, uint64_t)>& progress) {
  Engine engine(pipeline, store.cache(), {to.partition, log.settings().partition_count, "verify", nullptr, nullptr});
  journal::Tail tail(log, to.partition, kTailBytes);
  journal::Position at = store.position();
  MAILY_TRY(auto reader, tail.Open(at));
  const auto write = [&]() -> Result<void> {
    if (const Error* error = store.cache().error()) return *error;
    store.Freeze(at);
    return store.WriteFrozen();
  };
  while (at.lsn < to.lsn) {
    MAILY_TRY(const journal::FramePtr frame, reader->Next());
    if (frame == nullptr) return Fail(Code::kDiverged, "the journal ends before the store's position");
    MAILY_TRY_VOID(engine.Restore(*frame));
    at = frame->after;
    progress(at.lsn.value(), to.lsn.value());
    if (store.cache().dirty_bytes() > kCacheBytes / 2) MAILY_TRY_VOID(write());
  }
  if (at.lsn != to.lsn) return Fail(Code::kDiverged, "the store's position is in the middle of a frame");
  return write();
}

}  // namespace

Result<Verified> VerifyStore(Log& log, const Pipeline& pipeline, PartitionId partition, KvStores& stores, KvStores& scratch,
                             const std::function<void(uint64_t done, uint64_t of)>& progress) {
  const std::string name = state::StoreName(partition);
  MAILY_TRY(auto kv, stores.Open(name, KvDurability::kOnFlush));
  Verified verified;
  MAILY_TRY(verified.position, state::StoredPosition(*kv, log.settings().log_id, partition, pipeline.FoldVersion()));
  {
    // Rule 7: the position is one of this journal's.
    journal::Tail tail(log, partition, kTailBytes);
    MAILY_TRY(const auto reader, tail.Open(verified.position));
    state::Cache cache(*kv, kTailBytes);
    MAILY_TRY(verified.stored, cache.Digest());
  }
  MAILY_TRY_VOID(scratch.Destroy(name));
  const auto compared = [&]() -> Result<void> {
    MAILY_TRY(auto beside, scratch.Open(name, KvDurability::kOnFlush));
    {
      MAILY_TRY(auto store, state::Store::Open(std::move(beside), log.settings().log_id, partition,
                                               {.cache_bytes_max = kCacheBytes, .fold_version = pipeline.FoldVersion()}));
      MAILY_TRY_VOID(FoldTo(verified.position, log, pipeline, *store, progress));
      MAILY_TRY(verified.folded, store->Digest());
    }
    MAILY_TRY(beside, scratch.Open(name, KvDurability::kOnFlush));
    return Compare(*kv, *beside, verified);
  }();
  MAILY_TRY_VOID(scratch.Destroy(name));
  if (!compared) return compared.error();
  return verified;
}

}  // namespace maily::task
