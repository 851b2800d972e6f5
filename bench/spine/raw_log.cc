// See raw_log.h.
#include "bench/spine/raw_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "bench/spine/meter.h"
#include "streams/adapters/rocks/options.h"

namespace maily::bench {
namespace {

std::vector<TopicPartition> All(Log& log) {
  std::vector<TopicPartition> all;
  for (const Topic topic : kTopics) {
    for (uint16_t p = 0; p < log.settings().partition_count; ++p) all.push_back({topic, PartitionId(p)});
  }
  return all;
}

void Check(const rocksdb::Status& status) { MAILY_CHECK(status.ok(), "{}", status.ToString()); }

}  // namespace

std::vector<uint64_t> Ends(Log& log) {
  std::vector<uint64_t> ends;
  for (const TopicPartition& at : All(log)) ends.push_back(log.Ends(at).durable.value());
  return ends;
}

std::vector<Written> ReadBack(Log& log, const std::vector<uint64_t>& from) {
  struct Timed {
    Instant time;
    Written written;
  };
  std::vector<Timed> records;
  const std::vector<TopicPartition> all = All(log);
  for (size_t family = 0; family < all.size(); ++family) {
    Offset next(from[family]);
    for (;;) {
      auto read = log.Read(all[family], next, 4 << 20, ReadTo::kDurable);
      MAILY_CHECK(read.has_value(), "{}", read.error().ToString());
      if (read->empty()) break;
      next = read->back().offset.Next();
      for (LogRecord& record : *read) records.push_back({record.time, {family, std::move(record.bytes)}});
    }
  }
  std::ranges::stable_sort(records, {}, &Timed::time);
  std::vector<Written> ordered;
  ordered.reserve(records.size());
  for (Timed& record : records) ordered.push_back(std::move(record.written));
  return ordered;
}

RawCost WriteRaw(const std::string& directory, size_t families, const std::vector<Written>& records, uint64_t syncs) {
  std::filesystem::remove_all(directory);
  // As the log sets its own database, as far as it matters for writing: memtables of the same size, no compression, no rewriting.
  const rocks::Limits limits;
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.atomic_flush = true;
  options.allow_concurrent_memtable_write = false;
  options.max_background_jobs = 2;
  options.db_write_buffer_size = limits.log_memtable_bytes;
  options.max_total_wal_size = 16 * limits.log_memtable_bytes;
  options.bytes_per_sync = 1 << 20;
  options.stats_dump_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = 4 * limits.log_memtable_bytes;
  family.arena_block_size = 64 << 10;
  family.compression = rocksdb::kNoCompression;
  family.num_levels = 2;
  family.level0_slowdown_writes_trigger = 64;
  family.level0_stop_writes_trigger = 128;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 32 << 10;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors{{rocksdb::kDefaultColumnFamilyName, family}};
  for (size_t i = 0; i < families; ++i) descriptors.emplace_back(fmt::format("family-{}", i), family);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  Check(rocksdb::DB::Open(options, directory, descriptors, &handles, &opened));
  const std::unique_ptr<rocksdb::DB> db(opened);

  RawCost cost;
  const double cpu = CpuSeconds();
  const double start = WallSeconds();
  std::vector<uint64_t> next(families);
  rocksdb::WriteBatch batch;
  uint64_t synced = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const Written& record = records[i];
    char key[8];
    const uint64_t offset = next[record.family]++;
    for (size_t b = 0; b < 8; ++b) key[b] = static_cast<char>(offset >> (8 * (7 - b)));
    batch.Clear();
    Check(batch.Put(handles[record.family + 1], rocksdb::Slice(key, sizeof(key)), record.bytes));
    Check(db->Write(rocksdb::WriteOptions(), &batch));
    if ((i + 1) * syncs / records.size() > synced || i + 1 == records.size()) {
      Check(db->SyncWAL());
      ++synced;
    }
  }
  cost.seconds = WallSeconds() - start;
  cost.cpu_seconds = CpuSeconds() - cpu;
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  return cost;
}

std::vector<double> AppendAndSync(const std::string& path, size_t bytes, double seconds) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  MAILY_CHECK(file >= 0, "{}: {}", path, std::strerror(errno));
  std::string data(bytes, '\0');
  Uniform chance(bytes);
  for (char& byte : data) byte = static_cast<char>(chance.Next());
  std::vector<double> times;
  const double end = WallSeconds() + seconds;
  for (double now = WallSeconds(); now < end;) {
    MAILY_CHECK(::write(file, data.data(), data.size()) == static_cast<ssize_t>(data.size()) && ::fdatasync(file) == 0, "{}: {}", path,
                std::strerror(errno));
    const double after = WallSeconds();
    times.push_back((after - now) * 1e6);
    now = after;
  }
  ::close(file);
  std::filesystem::remove(path);
  return times;
}

}  // namespace maily::bench
