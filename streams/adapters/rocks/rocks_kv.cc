// One RocksDB database a store; recovers from a full disk by Resume (no WAL) or by reopening (WAL).
#include "streams/adapters/rocks/rocks_kv.h"

#include <rocksdb/listener.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <shared_mutex>

#include "streams/adapters/rocks/damage.h"
#include "streams/adapters/rocks/handles.h"
#include "streams/adapters/rocks/options_internal.h"

namespace maily::rocks {
namespace {

// After Resume, Flush of RocksDB 7.8 may return before it has flushed: this tells when it has, or has failed.
class FlushWatch : public rocksdb::EventListener {
 public:
  void OnFlushCompleted(rocksdb::DB* /*db*/, const rocksdb::FlushJobInfo& /*flush*/) override { Tell(rocksdb::Status()); }
  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status* error) override { Tell(*error); }

  // Until no memtable of `db` waits to be flushed.
  rocksdb::Status Wait(rocksdb::DB& db) {
    std::unique_lock lock(mutex_);
    error_ = rocksdb::Status();
    uint64_t waiting = 0;
    while (error_.ok() && db.GetIntProperty(rocksdb::DB::Properties::kNumImmutableMemTable, &waiting) && waiting > 0) {
      changed_.wait_for(lock, std::chrono::milliseconds(10));  // RocksDB tells a little before or after it counts
    }
    return error_;
  }

 private:
  void Tell(const rocksdb::Status& error) {
    const std::lock_guard lock(mutex_);
    if (!error.ok()) error_ = error;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  rocksdb::Status error_;
};

// From here on a batch in order becomes a table file of its own: nothing is sorted again, and there is no memtable to write.
constexpr const char* kIngestName = "next.sst";
constexpr size_t kIngestChanges = 4'096;

constexpr size_t kGetTogether = 64;

bool InOrder(const KvBatch& batch) {
  const auto not_before = [](const KvBatch::Change& a, const KvBatch::Change& b) { return a.key >= b.key; };
  return std::ranges::adjacent_find(batch.changes, not_before) == batch.changes.end();
}

// An iterator holds the files and memtables of its moment. The store takes it away before it closes its database.
struct Held {
  std::mutex mutex;
  std::unique_ptr<rocksdb::Iterator> iterator;  // null: the store was closed
  bool begun = false;                           // it stands somewhere
};

class RocksView : public KvView {
 public:
  RocksView(std::shared_ptr<Held> held, std::string path) : held_(std::move(held)), path_(std::move(path)) {}
  ~RocksView() override {
    const std::lock_guard lock(held_->mutex);
    held_->iterator.reset();
  }

  Result<bool> Next(const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    const std::lock_guard lock(held_->mutex);
    if (held_->iterator == nullptr) return Fail(Code::kConflict, "the store {} was closed while it was read", path_);
    rocksdb::Iterator& at = *held_->iterator;
    if (!std::exchange(held_->begun, true)) at.SeekToFirst();
    for (bool more = true; more && at.Valid(); at.Next()) more = visit(ToView(at.key()), ToView(at.value()));
    if (!at.status().ok()) return ToError(at.status(), "reading the store", path_);
    return at.Valid();
  }

 private:
  const std::shared_ptr<Held> held_;
  const std::string path_;
};

class RocksKv : public Kv {
 public:
  RocksKv(std::string path, const Resources& resources, KvDurability durability)
      : path_(std::move(path)), resources_(resources.impl()), on_write_(durability == KvDurability::kOnWrite) {}
  ~RocksKv() override {
    CloseViews();
    // Table files have checksums to their last byte; the last record of a WAL, if it rots, looks torn.
    if (on_write_ && db_.is_open() && !stalled_ && !failed_) db_->Flush(rocksdb::FlushOptions()).PermitUncheckedError();
  }

  Result<void> OpenDatabase() {
    rocksdb::Options options = resources_.KvStore();
    options.listeners.push_back(flush_watch_);
    MAILY_TRY_VOID(CheckManifest(*options.env, path_));
    std::unique_ptr<rocksdb::WalFilter> filter;
    if (on_write_) {
      MAILY_TRY(filter, CheckWals(*options.env, path_));
    }
    const rocksdb::Status status = db_.Open(options, path_, {{rocksdb::kDefaultColumnFamilyName, options}}, std::move(filter));
    if (!status.ok()) return ToError(status, "opening the store", path_);
    synced_sequence_ = db_->GetLatestSequenceNumber();
    return {};
  }

  Result<std::optional<std::string>> Get(std::string_view key) override {
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), ToSlice(key), &value);
    if (status.ok()) return std::optional<std::string>(std::string(ToView(value)));
    if (status.IsNotFound()) return std::optional<std::string>();
    return ToError(status, "reading the store", path_);
  }

  Result<void> GetMany(std::span<const std::string_view> keys,
                       const std::function<void(size_t index, std::optional<std::string_view> value)>& visit) override {
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    std::array<rocksdb::Slice, kGetTogether> slices;
    std::array<rocksdb::PinnableSlice, kGetTogether> values;
    std::array<rocksdb::Status, kGetTogether> states;
    for (size_t begin = 0; begin < keys.size(); begin += kGetTogether) {
      const size_t count = std::min(kGetTogether, keys.size() - begin);
      for (size_t i = 0; i < count; ++i) slices[i] = ToSlice(keys[begin + i]);
      db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), count, slices.data(), values.data(), states.data(),
                    /*sorted_input=*/true);
      for (size_t i = 0; i < count; ++i) {
        if (!states[i].ok() && !states[i].IsNotFound()) return ToError(states[i], "reading the store", path_);
        visit(begin + i, states[i].ok() ? std::optional<std::string_view>(ToView(values[i])) : std::nullopt);
        values[i].Reset();
      }
    }
    return {};
  }

  Result<void> Scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    rocksdb::ReadOptions options;
    const rocksdb::Slice upper = ToSlice(to);
    if (!to.empty()) options.iterate_upper_bound = &upper;
    options.fill_cache = !to.empty();  // a scan to the end reads everything, once
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options));
    for (iterator->Seek(ToSlice(from)); iterator->Valid(); iterator->Next()) {
      if (!visit(ToView(iterator->key()), ToView(iterator->value()))) return {};
    }
    if (!iterator->status().ok()) return ToError(iterator->status(), "reading the store", path_);
    return {};
  }

  Result<std::unique_ptr<KvView>> View() override {
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    auto held = std::make_shared<Held>();
    held->iterator.reset(db_->NewIterator(options));
    const std::lock_guard views_lock(views_mutex_);
    std::erase_if(views_, [](const std::weak_ptr<Held>& view) { return view.expired(); });
    views_.push_back(held);
    return std::unique_ptr<KvView>(std::make_unique<RocksView>(std::move(held), path_));
  }

  Result<void> Write(const KvBatch& changes) override {
    MAILY_TRY_VOID(Recover());
    if (!on_write_ && changes.changes.size() >= kIngestChanges && InOrder(changes)) return Ingest(changes);
    size_t bytes = 64;
    for (const KvBatch::Change& change : changes.changes) bytes += change.key.size() + (change.value ? change.value->size() : 0) + 16;
    rocksdb::WriteBatch batch(bytes);
    if (on_write_) MakeMark(batch, synced_sequence_);
    for (const KvBatch::Change& change : changes.changes) {
      const rocksdb::Status status =
          change.value ? batch.Put(ToSlice(change.key), ToSlice(*change.value)) : batch.Delete(ToSlice(change.key));
      MAILY_CHECK(status.ok(), "{}", status.ToString());
    }
    rocksdb::WriteOptions options;
    options.sync = on_write_;
    options.disableWAL = !on_write_;
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    MAILY_TRY_VOID(Done(db_->Write(options, &batch), "writing to the store"));
    if (on_write_) MarkSynced();
    return {};
  }

  Result<void> Flush() override {
    MAILY_TRY_VOID(Recover());
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    rocksdb::Status status = db_->Flush(rocksdb::FlushOptions());
    if (status.ok()) status = flush_watch_->Wait(*db_);
    return Done(status, "flushing the store");
  }

  uint64_t SizeOnDisk() override {
    const std::shared_lock lock(mutex_);
    uint64_t bytes = 0;
    if (db_.is_open()) db_->GetIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
    return bytes;
  }

 private:
  // Everything is durable: what stands in the WAL is no torn record, should it rot.
  void MarkSynced() {
    synced_sequence_ = db_->GetLatestSequenceNumber();
    rocksdb::WriteBatch mark;
    MakeMark(mark, synced_sequence_);
    Done(db_->Write(rocksdb::WriteOptions(), &mark), "writing to the store").IgnoreError("the store recovers before its next write");
  }

  // One sorted file that becomes part of the store in one step, synced with what was written before it.
  Result<void> Ingest(const KvBatch& changes) {
    const std::shared_lock lock(mutex_);
    MAILY_TRY_VOID(IsOpen());
    const std::string path = fmt::format("{}/{}", path_, kIngestName);
    rocksdb::Options options = db_->GetOptions(db_->DefaultColumnFamily());
    options.compression_per_level.clear();  // unless it lasts, it is compacted soon
    options.compression = changes.lasting ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
    options.env->DeleteFile(path).PermitUncheckedError();  // what a crash has left
    rocksdb::SstFileWriter file(rocksdb::EnvOptions(), options, db_->DefaultColumnFamily());
    rocksdb::Status status = file.Open(path);
    for (const KvBatch::Change& change : changes.changes) {
      if (!status.ok()) break;
      status = change.value ? file.Put(ToSlice(change.key), ToSlice(*change.value)) : file.Delete(ToSlice(change.key));
    }
    if (status.ok()) status = file.Finish();
    rocksdb::IngestExternalFileOptions ingest;
    ingest.move_files = true;
    ingest.snapshot_consistency = false;  // nobody holds one: a view is an iterator, which keeps the files of its moment
    ingest.write_global_seqno = false;    // the file stays as it was synced
    if (status.ok()) status = db_->Flush(rocksdb::FlushOptions());
    if (status.ok()) status = flush_watch_->Wait(*db_);
    if (status.ok()) status = db_->IngestExternalFile({path}, ingest);
    if (!status.ok()) options.env->DeleteFile(path).PermitUncheckedError();
    return Done(status, "writing to the store");
  }

  Result<void> IsOpen() const {
    if (db_.is_open()) return {};
    return Fail(Code::kRetry, "the store {} could not be reopened after a full disk yet", path_);
  }

  Result<void> Done(const rocksdb::Status& status, std::string_view what) {
    if (status.ok()) return {};
    const Error error = ToError(status, what, path_);
    if (error.code == Code::kRetry) {
      stalled_ = true;
    } else {
      failed_ = true;
    }
    return error;
  }

  // Makes a store writable again that a full disk has stopped.
  Result<void> Recover() {
    if (failed_) return Fail(Code::kFatal, "the store {} failed before; see the first error", path_);
    if (!stalled_) return {};
    const std::lock_guard exclusive(mutex_);
    if (!stalled_) return {};
    if (!on_write_) {
      if (const rocksdb::Status status = db_->Resume(); !status.ok()) return ToError(status, "resuming the store", path_);
    } else {
      // RocksDB 7.8 never writes again to a WAL file on which a write failed. Everything acknowledged is synced, so nothing is lost.
      CloseViews();
      db_.Close();
      MAILY_TRY_VOID(OpenDatabase());
    }
    stalled_ = false;
    return {};
  }

  void CloseViews() {
    const std::lock_guard lock(views_mutex_);
    for (const std::weak_ptr<Held>& view : views_) {
      const auto held = view.lock();
      if (held == nullptr) continue;
      const std::lock_guard held_lock(held->mutex);
      held->iterator.reset();
    }
    views_.clear();
  }

  const std::string path_;
  const Resources::Impl& resources_;
  const bool on_write_;
  const std::shared_ptr<FlushWatch> flush_watch_ = std::make_shared<FlushWatch>();
  std::shared_mutex mutex_;  // exclusive only while the store recovers
  Database db_;
  std::atomic<uint64_t> synced_sequence_ = 0;  // of RocksDB, kOnWrite: all up to here is durable
  std::atomic<bool> stalled_ = false;
  std::atomic<bool> failed_ = false;
  std::mutex views_mutex_;  // after mutex_, before a view's
  std::vector<std::weak_ptr<Held>> views_;
};

Result<void> CheckName(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
    return Fail(Code::kInvalid, "\"{}\" is not the name of a store", name);
  }
  return {};
}

}  // namespace

RocksKvStores::RocksKvStores(std::string base, const Resources& resources) : base_(std::move(base)), resources_(resources) {}

Result<std::unique_ptr<Kv>> RocksKvStores::Open(const std::string& name, KvDurability durability) {
  MAILY_TRY_VOID(CheckName(name));
  std::error_code ignored;  // RocksDB reports a directory that is not there
  std::filesystem::create_directories(base_, ignored);
  auto store = std::make_unique<RocksKv>(base_ + "/" + name, resources_, durability);
  MAILY_TRY_VOID(store->OpenDatabase());
  return std::unique_ptr<Kv>(std::move(store));
}

Result<void> RocksKvStores::Destroy(const std::string& name) {
  MAILY_TRY_VOID(CheckName(name));
  const std::string path = base_ + "/" + name;
  if (!std::filesystem::exists(path)) return {};
  if (const rocksdb::Status status = rocksdb::DestroyDB(path, resources_.impl().KvStore()); !status.ok()) {
    return ToError(status, "removing the store", path);
  }
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return Fail(Code::kRetry, "removing the directory {}: {}", path, error.message());
  return {};
}

}  // namespace maily::rocks
