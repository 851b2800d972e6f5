// Sets RocksDB's options from the limits.
#include "streams/adapters/rocks/options.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>

#include "streams/adapters/rocks/options_internal.h"

namespace maily::rocks {
namespace {

constexpr size_t kKvMemtableBytesMax = 8 << 20;  // of one key-value store
constexpr size_t kKvPrefixBytes = 2;             // the type of a state's key; the kind of a keyring's

// After a full disk RocksDB 7.8 believes itself recovered and then fails every write (its issue 11643), so the adapters reopen instead.
class NoAutoRecovery : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status /*error*/, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

rocksdb::DBOptions AnyDatabase(const Resources::Impl& resources) {
  rocksdb::DBOptions options;
  options.env = resources.env;
  options.create_if_missing = true;
  options.max_background_jobs = 2;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.stats_dump_period_sec = 0;  // no thread of its own for statistics nobody reads
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.bytes_per_sync = 1 << 20;  // write-back of new table files in small portions, so that a commit's sync need not wait for them
  options.listeners.push_back(std::make_shared<NoAutoRecovery>());
  return options;
}

}  // namespace

Resources::Impl::Impl(const Limits& limits_in, rocksdb::Env* env_in)
    : limits(limits_in),
      env(env_in == nullptr ? rocksdb::Env::Default() : env_in),
      block_cache(rocksdb::NewLRUCache(limits_in.block_cache_bytes, /*num_shard_bits=*/2, /*strict_capacity_limit=*/false,
                                       /*high_pri_pool_ratio=*/0.5)),
      state_memtables(std::make_shared<rocksdb::WriteBufferManager>(limits_in.state_memtable_bytes)) {}

rocksdb::DBOptions Resources::Impl::LogDatabase() const {
  rocksdb::DBOptions options = AnyDatabase(*this);
  options.create_missing_column_families = true;
  options.max_open_files = limits.log_open_files_max;
  // The log itself decides when memtables are flushed (RocksLog::SwitchMemtables), and syncs the WAL before: then no newer WAL file can
  // survive a loss of power that an older one did not, and what a crash takes back is a suffix. RocksDB's own triggers stay out of reach.
  options.max_total_wal_size = 16 * limits.log_memtable_bytes;
  options.atomic_flush = true;                      // one manifest write for all column families
  options.allow_concurrent_memtable_write = false;  // one writer at a time anyway
  // A torn tail is where the log ends. Acknowledged records before it are missed by their readers' positions, which then stop.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.avoid_flush_during_recovery = false;  // what is recovered from the WAL is in synced table files before Open returns
  return options;
}

rocksdb::ColumnFamilyOptions Resources::Impl::LogFamily() const {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 4 * limits.log_memtable_bytes;  // out of reach, see above
  options.max_write_buffer_number = 2;                        // being flushed; a third generation makes appends wait
  options.arena_block_size = 64 << 10;                        // column families are many, and mostly idle
  options.compression = rocksdb::kNoCompression;              // bodies are compressed by who writes them
  // Keys only grow, so files never overlap: compaction moves them from level 0 to level 1 without rewriting, and that is all of it.
  options.num_levels = 2;
  options.level0_file_num_compaction_trigger = 4;
  options.level0_slowdown_writes_trigger = 64;
  options.level0_stop_writes_trigger = 128;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = block_cache;
  table.block_size = 32 << 10;
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Options Resources::Impl::KvStore() const {
  rocksdb::Options options(AnyDatabase(*this), rocksdb::ColumnFamilyOptions());
  options.max_open_files = limits.kv_open_files_max;
  options.avoid_flush_during_shutdown = true;  // what was not flushed is rebuilt from the journal
  options.write_buffer_manager = state_memtables;
  options.write_buffer_size = std::min<size_t>(limits.state_memtable_bytes, kKvMemtableBytesMax);
  options.max_write_buffer_number = 2;
  options.arena_block_size = 256 << 10;
  // Most reads are of keys that are not there: 160 KiB of filter a memtable spare them its skip list.
  options.memtable_prefix_bloom_size_ratio = 0.02;
  options.memtable_whole_key_filtering = true;
  // Batches come ordered by type, and mostly by key within it: a key is looked for from where the last one of its type went.
  options.allow_concurrent_memtable_write = false;
  options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kKvPrefixBytes));
  // What is flushed is soon compacted; only what stays is worth compressing.
  options.compression_per_level.assign(static_cast<size_t>(options.num_levels), rocksdb::kLZ4Compression);
  options.compression_per_level[0] = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = 16 << 20;
  options.max_bytes_for_level_base = 64 << 20;
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = block_cache;
  // Reads are mostly of single keys that are not near each other: a small block is soon unpacked, and searched by a hash.
  table.block_size = 4 << 10;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.format_version = 5;
  // Every read asks the filters of several files: those of open files are held, about 1.5 bytes a key, and never looked up in the cache.
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = false;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

Resources::Resources(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
Resources::Resources(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resources::~Resources() = default;
const Limits& Resources::limits() const { return impl_->limits; }

}  // namespace maily::rocks
