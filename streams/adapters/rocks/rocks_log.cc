// See rocks_log.h. A partition of a topic is a column family, its keys are offsets.
#include "streams/adapters/rocks/rocks_log.h"

#include <rocksdb/convenience.h>

#include <filesystem>

#include "streams/adapters/rocks/damage.h"
#include "streams/adapters/rocks/rocks_log_internal.h"

namespace maily::rocks {
namespace {

constexpr uint16_t kPartitionCountMax = 1024;
constexpr uint32_t kSettingsVersion = 1;
constexpr std::string_view kSettingsKey = "settings";
constexpr uint64_t kGetsMax = 4;  // up to so many records a read uses Get, beyond an iterator

uint64_t OffsetOf(const rocksdb::Slice& key) { return Cursor(ToView(key)).Ordered<uint64_t>(); }

std::string FamilyName(Topic topic, size_t partition) { return fmt::format("{}-{}", TopicName(topic), partition); }
std::string BeginKey(const TopicPartition& at) { return fmt::format("begin/{}/{}", TopicName(at.topic), at.partition.value()); }

std::string EncodeSettings(const LogSettings& settings) {
  std::string out;
  PutFixed(out, kSettingsVersion);
  out.append(settings.log_id.view());
  PutFixed(out, settings.partition_count);
  PutFixed(out, settings.generation);
  return out;
}

}  // namespace

// ---- opening ----

Result<void> RocksLogImpl::OpenDatabase() {
  std::vector<std::string> names;
  rocksdb::DBOptions options = resources_.LogDatabase();
  options.env = env_.get();
  MAILY_TRY_VOID(CheckManifest(*options.env, path_));
  MAILY_TRY(auto filter, CheckWals(*options.env, path_));
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, path_, &names);
  if (!listed.ok()) names = {rocksdb::kDefaultColumnFamilyName};  // there is no database yet, or Open says what is wrong
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, resources_.LogFamily());
  const rocksdb::Status opened = db_.Open(options, path_, families, std::move(filter));
  if (!opened.ok()) return ToError(opened, "opening the log", path_);
  if (const rocksdb::Status status = FirstSync(); !status.ok()) return ToError(status, "opening the log", path_);
  synced_sequence_ = db_->GetLatestSequenceNumber();
  return {};
}

Result<void> RocksLogImpl::LoadSettings(const LogSettings& wanted) {
  std::string stored;
  const rocksdb::Status got = db_->Get(rocksdb::ReadOptions(), kSettingsKey, &stored);
  if (got.ok()) {
    Cursor cursor(stored);
    const auto version = cursor.Fixed<uint32_t>();
    settings_.log_id = LogId::From(cursor.Take(16));
    settings_.partition_count = cursor.Fixed<uint16_t>();
    settings_.generation = cursor.Fixed<uint32_t>();
    if (version != kSettingsVersion)
      return Fail(Code::kDiverged, "the log {} has format {}, this build reads {}: it is of another build", path_, version,
                  kSettingsVersion);
    if (!cursor.ok()) return Fail(Code::kCorrupt, "the settings of the log {} do not parse", path_);
    if (wanted.partition_count != 0 && wanted.partition_count != settings_.partition_count) {
      return Fail(Code::kConflict,
                  "the log {} has {} partitions and {} were asked for: the number is fixed when a log is made; ask for {} or use another "
                  "directory",
                  path_, settings_.partition_count, wanted.partition_count, settings_.partition_count);
    }
    return {};
  }
  if (!got.IsNotFound()) return ToError(got, "reading the settings of the log", path_);
  if (wanted.partition_count == 0) return Fail(Code::kNotFound, "there is no log in {}", path_);
  if (wanted.partition_count > kPartitionCountMax || wanted.log_id.IsZero()) {
    return Fail(Code::kInvalid, "a new log needs 1 to {} partitions and a log id; {} partitions were asked for", kPartitionCountMax,
                wanted.partition_count);
  }
  // A new log, or one whose making was interrupted: the settings are written last.
  std::vector<std::string> missing;
  for (const Topic topic : kTopics) {
    for (size_t i = 0; i < wanted.partition_count; ++i) missing.push_back(FamilyName(topic, i));
  }
  for (const rocksdb::ColumnFamilyHandle* family : db_.families()) std::erase(missing, family->GetName());
  std::vector<rocksdb::ColumnFamilyHandle*> made;
  const rocksdb::Status status = db_->CreateColumnFamilies(resources_.LogFamily(), missing, &made);
  for (rocksdb::ColumnFamilyHandle* family : made) db_.Add(family);
  if (!status.ok()) return ToError(status, "making the log", path_);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (const rocksdb::Status put = db_->Put(synced, kSettingsKey, EncodeSettings(wanted)); !put.ok()) {
    return ToError(put, "making the log", path_);
  }
  settings_ = wanted;
  return {};
}

// Opening has brought everything found in the WAL into synced table files: what is there is durable.
Result<void> RocksLogImpl::RecoverEnds() {
  for (const auto& partition : partitions_) {
    const std::string name = FamilyName(partition->at.topic, partition->at.partition.value());
    const auto& families = db_.families();
    const auto family = std::ranges::find_if(families, [&](const auto* each) { return each->GetName() == name; });
    if (family == families.end()) return Fail(Code::kCorrupt, "the log {} lacks the column family {}", path_, name);
    partition->family = static_cast<size_t>(family - families.begin());

    std::string stored_begin;
    const rocksdb::Status got = db_->Get(rocksdb::ReadOptions(), BeginKey(partition->at), &stored_begin);
    if (!got.ok() && !got.IsNotFound()) return ToError(got, "reading the log", path_);
    uint64_t begin = got.ok() ? Cursor(stored_begin).Fixed<uint64_t>() : 0;
    uint64_t end = begin;
    const std::unique_ptr<rocksdb::Iterator> records(db_->NewIterator(rocksdb::ReadOptions(), *family));
    records->SeekToFirst();
    if (records->Valid()) begin = std::max(begin, OffsetOf(records->key()));
    records->SeekToLast();
    if (records->Valid()) {
      end = std::max(end, OffsetOf(records->key()) + 1);
      partition->last_time_us = std::max(partition->last_time_us, Cursor(ToView(records->value())).Fixed<int64_t>());
    }
    if (!records->status().ok()) return ToError(records->status(), "reading the log", path_);
    partition->begin = std::min(begin, end);
    partition->written = end;
    partition->durable = end;
  }
  return {};
}

Result<void> RocksLogImpl::Start(const LogSettings& wanted) {
  std::error_code ignored;  // Open reports a directory that is not there
  std::filesystem::create_directories(path_, ignored);
  const uint64_t memtables = resources_.limits.log_memtable_bytes;  // a WAL file is a little longer, or less (kRecordOverhead)
  wals_ = std::make_shared<LaidOutWals>(resources_.env->GetFileSystem(), path_, memtables + memtables / 8,
                                        resources_.limits.disk_reserve_bytes);
  env_ = rocksdb::NewCompositeEnv(wals_);
  MAILY_TRY_VOID(OpenDatabase());
  MAILY_TRY_VOID(LoadSettings(wanted));
  for (const Topic topic : kTopics) {
    for (size_t i = 0; i < settings_.partition_count; ++i) {
      partitions_.push_back(std::make_unique<Partition>());
      partitions_.back()->at = {topic, PartitionId(static_cast<uint16_t>(i))};
    }
  }
  MAILY_TRY_VOID(RecoverEnds());
  thread_ = std::thread([this] { Run(); });
  return {};
}

RocksLogImpl::~RocksLogImpl() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (broken_ || stalled_ || !db_.is_open()) return;
  // Table files have checksums to their last byte; the last records of a WAL, if they rot, look torn.
  db_->Flush(rocksdb::FlushOptions(), db_.families()).PermitUncheckedError();
}

Partition* RocksLogImpl::Find(TopicPartition at) const {
  if (at.partition.value() >= settings_.partition_count) return nullptr;
  return partitions_[static_cast<size_t>(at.topic) * settings_.partition_count + at.partition.value()].get();
}
// ---- reading ----

Result<std::vector<LogRecord>> RocksLogImpl::Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) {
  Partition* const partition = Find(at);
  if (partition == nullptr) return Fail(Code::kInvalid, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic));
  const std::shared_lock shared(db_mutex_);
  uint64_t offset = from.value();
  const uint64_t written = partition->written.load(std::memory_order_acquire);
  const uint64_t end = to == ReadTo::kWritten ? written : partition->durable.load(std::memory_order_acquire);
  const auto trimmed = [&] {
    return Fail(Code::kNotFound, "{} partition {} begins at offset {}; {} is trimmed", TopicName(at.topic), at.partition.value(),
                partition->begin.load(), from.value());
  };
  if (offset < partition->begin) return trimmed();
  if (offset > written) {
    return Fail(Code::kInvalid, "{} partition {} ends at offset {}; {} is beyond", TopicName(at.topic), at.partition.value(), written,
                offset);
  }
  std::vector<LogRecord> records;
  if (offset >= end) return records;
  if (!db_.is_open()) return Fail(Code::kRetry, "the log {} is being reopened after a full disk", path_);

  size_t bytes = 0;
  const auto take = [&](const rocksdb::Slice& value) {
    if (!records.empty() && bytes + value.size() - sizeof(int64_t) > bytes_max) return false;
    const int64_t time_us = Cursor(ToView(value)).Fixed<int64_t>();
    records.push_back({Offset(offset), Instant{time_us}, std::string(value.data() + sizeof(time_us), value.size() - sizeof(time_us))});
    bytes += records.back().bytes.size();
    ++offset;
    return bytes < bytes_max;
  };
  const auto bad = [&](const rocksdb::Status& status) -> Error {
    if (offset < partition->begin) return trimmed();  // meanwhile
    const std::string where = fmt::format("reading {} partition {} offset {} of", TopicName(at.topic), at.partition.value(), offset);
    if (status.ok() || status.IsNotFound()) return Fail(Code::kCorrupt, "{} {}: the record is missing or malformed", where, path_);
    return ToError(status, where, path_);
  };
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  rocksdb::ColumnFamilyHandle* const family = db_.families()[partition->family];
  if (end - offset <= kGetsMax) {
    records.reserve(end - offset);
    rocksdb::PinnableSlice value;
    while (offset < end) {
      value.Reset();
      const rocksdb::Status status = db_->Get(options, family, OffsetKey(offset).slice(), &value);
      if (!status.ok() || value.size() < sizeof(int64_t)) return bad(status);
      if (!take(value)) break;
    }
    return records;
  }
  const OffsetKey upper(end);
  const rocksdb::Slice upper_slice = upper.slice();
  options.iterate_upper_bound = &upper_slice;
  options.fill_cache = false;  // read once: the cache is for what is read again
  options.readahead_size = std::clamp<size_t>(bytes_max, 64 << 10, 1 << 20);
  const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options, family));
  for (iterator->Seek(OffsetKey(offset).slice()); offset < end; iterator->Next()) {
    if (!iterator->Valid() || OffsetOf(iterator->key()) != offset || iterator->value().size() < sizeof(int64_t))
      return bad(iterator->status());
    if (!take(iterator->value())) break;
  }
  return records;
}

LogEnds RocksLogImpl::Ends(TopicPartition at) {
  const Partition* const partition = Find(at);
  MAILY_CHECK(partition != nullptr, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic));
  // In this order each is at least the one before, whatever happens meanwhile.
  LogEnds ends;
  ends.begin = Offset(partition->begin.load(std::memory_order_acquire));
  ends.durable = Offset(partition->durable.load(std::memory_order_acquire));
  ends.written = Offset(partition->written.load(std::memory_order_acquire));
  return ends;
}

std::unique_ptr<TailWatch> RocksLogImpl::WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) {
  Partition* const partition = Find(at);
  MAILY_CHECK(partition != nullptr, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic));
  auto watch = std::make_unique<ChannelWatch>(partition->channel(to), std::move(signal));
  const LogEnds ends = Ends(at);
  if ((to == ReadTo::kDurable ? ends.durable : ends.written) > ends.begin) {
    const std::lock_guard lock(mutex_);
    first_calls_.push_back(&partition->channel(to));
    wake_.notify_one();
  }
  return watch;
}

Result<void> RocksLogImpl::Trim(TopicPartition at, Offset before) {
  Partition* const partition = Find(at);
  if (partition == nullptr) return Fail(Code::kInvalid, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic));
  const std::lock_guard trimming(trim_mutex_);
  const LogEnds ends = Ends(at);
  if (before > ends.durable) {
    return Fail(Code::kInvalid, "trimming {} partition {} before {}: it ends at {}", TopicName(at.topic), at.partition.value(),
                before.value(), ends.durable.value());
  }
  if (before <= ends.begin) return {};
  // The new beginning is durable before anything is deleted: an empty partition must still know its end.
  std::string begin;
  PutFixed(begin, before.value());
  {
    const std::lock_guard lock(mutex_);
    if (broken_) return *broken_;
    if (stalled_) return Fail(Code::kRetry, "no space left for the log in {}", path_);
    batch_.Clear();
    rocksdb::Status put = batch_.Put(BeginKey(at), begin);
    MAILY_CHECK(put.ok(), "{}", put.ToString());
    MAILY_TRY_VOID(WriteLocked(batch_));
    memtable_bytes_ += kRecordOverhead;
  }
  const std::shared_lock shared(db_mutex_);
  if (!db_.is_open()) return Fail(Code::kRetry, "the log {} is being reopened after a full disk", path_);
  if (const rocksdb::Status synced = db_->SyncWAL(); !synced.ok()) {
    const std::lock_guard lock(mutex_);
    SyncFailed(synced);
    return broken_ ? *broken_ : ToError(synced, "trimming the log", path_);
  }
  partition->begin.store(before.value(), std::memory_order_release);
  // Whole files go at once; the rest of a file, and what is still in a memtable, at a later trim.
  const OffsetKey limit(before.value());
  const rocksdb::Slice limit_slice = limit.slice();
  const rocksdb::Status deleted =
      rocksdb::DeleteFilesInRange(&*db_, db_.families()[partition->family], nullptr, &limit_slice, /*include_end=*/false);
  if (!deleted.ok()) return ToError(deleted, "trimming the log", path_);
  return {};
}

Result<std::unique_ptr<Log>> RocksLog::Open(const std::string& path, const LogSettings& wanted, const Resources& resources, Clock& clock) {
  auto log = std::make_unique<RocksLogImpl>(path, resources, clock);
  MAILY_TRY_VOID(log->Start(wanted));
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace maily::rocks
