// One partition's state on disk: entries of the cache, and under type 0 what the store is and where it stands.
#include "streams/state/store.h"

#include <utility>

#include "streams/base/bytes.h"
#include "streams/state/store_internal.h"

namespace maily::state {
namespace {

constexpr uint32_t kFormat = 1;
constexpr size_t kEmptyBatch = 10'000;  // deletes in one batch, while a store is emptied

// meta = format u32 | log_id 16 | partition u16 | fold version. [format]
struct Meta {
  LogId log_id;
  PartitionId partition;
  std::string fold_version;
};

std::string EncodeMeta(const Meta& meta) {
  std::string out;
  PutFixed(out, kFormat);
  out.append(meta.log_id.view());
  PutFixed(out, meta.partition.value());
  PutBytes(out, meta.fold_version);
  return out;
}

Result<Meta> DecodeMeta(std::string_view bytes) {
  Cursor cursor(bytes);
  const auto format = cursor.Fixed<uint32_t>();
  if (cursor.ok() && format != kFormat) {
    return Fail(Code::kDiverged, "the state store has format {}, this build reads {}; rebuild it from the journal", format, kFormat);
  }
  Meta meta;
  meta.log_id = LogId::From(cursor.Take(16));
  meta.partition = PartitionId(cursor.Fixed<uint16_t>());
  meta.fold_version = cursor.Bytes();
  if (!cursor.ok() || !cursor.AtEnd()) return Fail(Code::kCorrupt, "the state store's description does not parse; rebuild it");
  return meta;
}

Result<void> Belongs(const Meta& meta, const LogId& log_id, PartitionId partition) {
  if (meta.log_id == log_id && meta.partition == partition) return Ok();
  return Fail(Code::kDiverged, "the state store is of log {} partition {}, not of log {} partition {}; is this another log's directory?",
              meta.log_id.ToHex(), meta.partition.value(), log_id.ToHex(), partition.value());
}

journal::Position Beginning(const LogId& log_id, PartitionId partition) {
  journal::Position position;
  position.log_id = log_id;
  position.partition = partition;
  return position;
}

Result<journal::Position> PositionIn(Kv& kv, const LogId& log_id, PartitionId partition) {
  MAILY_TRY(const std::optional<std::string> stored, kv.Get(kPositionKey));
  if (!stored) return Beginning(log_id, partition);
  MAILY_TRY(auto position, journal::DecodePosition(*stored));
  if (position.log_id != log_id || position.partition != partition) {
    return Fail(Code::kCorrupt, "the state store of partition {} holds the position of another", partition.value());
  }
  return position;
}

}  // namespace

// The description goes first: a crash in between leaves a store that is emptied again.
Result<void> Empty(Kv& kv) {
  KvBatch batch;
  batch.Delete(kMetaKey);
  batch.Delete(kPositionKey);
  MAILY_TRY_VOID(kv.Write(batch));
  std::string from;
  for (bool more = true; more;) {
    batch.Clear();
    MAILY_TRY_VOID(kv.Scan(from, "", [&](std::string_view key, std::string_view) {
      batch.Delete(key);
      return batch.changes.size() < kEmptyBatch;
    }));
    more = batch.changes.size() == kEmptyBatch;
    if (more) from = batch.changes.back().key;
    MAILY_TRY_VOID(kv.Write(batch));
  }
  return kv.Flush();
}

Result<void> Describe(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version,
                      const journal::Position* position) {
  KvBatch batch;
  batch.Put(kMetaKey, EncodeMeta({log_id, partition, fold_version}));
  if (position != nullptr) batch.Put(kPositionKey, journal::EncodePosition(*position));
  MAILY_TRY_VOID(kv.Write(batch));
  return kv.Flush();
}

Result<std::string> FoldVersionOf(std::string_view meta_bytes, const LogId& log_id, PartitionId partition) {
  MAILY_TRY(const Meta meta, DecodeMeta(meta_bytes));
  MAILY_TRY_VOID(Belongs(meta, log_id, partition));
  return meta.fold_version;
}

struct Store::Impl {
  Impl(std::unique_ptr<Kv> opened, size_t cache_bytes_max) : kv(std::move(opened)), cache(*kv, cache_bytes_max) {}

  std::unique_ptr<Kv> kv;
  Cache cache;
  journal::Position position;
  journal::Position frozen_position;
  bool refolding = false;
};

std::string StoreName(PartitionId partition) { return fmt::format("state-{}", partition.value()); }

Result<journal::Position> StoredPosition(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version) {
  MAILY_TRY(const std::optional<std::string> meta_bytes, kv.Get(kMetaKey));
  if (!meta_bytes) return Fail(Code::kNotFound, "partition {} has no state store yet", partition.value());
  MAILY_TRY(const std::string stored_by, FoldVersionOf(*meta_bytes, log_id, partition));
  if (stored_by != fold_version) {
    return Fail(Code::kDiverged, "the state store of partition {} was written by other folds than this build's", partition.value());
  }
  return PositionIn(kv, log_id, partition);
}

Result<bool> BeginsAnew(Kv& kv, const LogId& log_id, PartitionId partition, const std::string& fold_version) {
  MAILY_TRY(const std::optional<std::string> meta_bytes, kv.Get(kMetaKey));
  if (!meta_bytes) return true;
  MAILY_TRY(const std::string stored_by, FoldVersionOf(*meta_bytes, log_id, partition));
  if (stored_by != fold_version) return true;
  MAILY_TRY(const journal::Position position, PositionIn(kv, log_id, partition));
  return position.at_genesis;
}

Result<std::unique_ptr<Store>> Store::Open(std::unique_ptr<Kv> kv, const LogId& log_id, PartitionId partition, Options options) {
  journal::Position position = Beginning(log_id, partition);
  bool fresh = true;
  bool refolding = false;
  MAILY_TRY(const std::optional<std::string> meta_bytes, kv->Get(kMetaKey));
  if (meta_bytes) {
    MAILY_TRY(const std::string stored_by, FoldVersionOf(*meta_bytes, log_id, partition));
    if (stored_by == options.fold_version) {
      fresh = false;
      MAILY_TRY(position, PositionIn(*kv, log_id, partition));
    } else {
      refolding = true;
    }
  }
  if (fresh) {
    MAILY_TRY_VOID(Empty(*kv));
    MAILY_TRY_VOID(Describe(*kv, log_id, partition, options.fold_version, nullptr));
  }
  auto impl = std::make_unique<Impl>(std::move(kv), options.cache_bytes_max);
  impl->position = std::move(position);
  impl->refolding = refolding;
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

const journal::Position& Store::position() const { return impl_->position; }
bool Store::refolding() const { return impl_->refolding; }
Cache& Store::cache() { return impl_->cache; }

void Store::Freeze(const journal::Position& at) {
  impl_->cache.Freeze();
  impl_->frozen_position = at;
}

bool Store::has_frozen() const { return impl_->cache.has_frozen(); }
const journal::Position& Store::frozen_position() const { return impl_->frozen_position; }

Result<void> Store::WriteFrozen() {
  KvBatch batch;
  batch.Put(kPositionKey, journal::EncodePosition(impl_->frozen_position));  // the first of all keys but one
  impl_->cache.CollectFrozen(batch);
  Result<void> written = impl_->kv->Write(batch);
  if (written) written = impl_->kv->Flush();
  // A batch that was written but not flushed is written once more, with a later position.
  impl_->cache.Thaw(written.has_value());
  if (written) impl_->position = impl_->frozen_position;
  return written;
}

Result<Hash128> Store::Digest() { return impl_->cache.Digest(); }
uint64_t Store::SizeOnDisk() { return impl_->kv->SizeOnDisk(); }
Result<std::unique_ptr<KvView>> Store::View() { return impl_->kv->View(); }

}  // namespace maily::state
