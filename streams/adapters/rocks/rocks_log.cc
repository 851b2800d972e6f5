// Group commit over one WAL: appenders write under one lock, one thread syncs and acknowledges.
#include "streams/adapters/rocks/rocks_log.h"

#include <rocksdb/convenience.h>
#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>

#include <condition_variable>
#include <filesystem>
#include <shared_mutex>
#include <thread>

#include "streams/adapters/rocks/handles.h"
#include "streams/adapters/rocks/options_internal.h"
#include "streams/base/bytes.h"

namespace maily::rocks {
namespace {

constexpr size_t kRecordBytesMax = 1'000'000;
constexpr size_t kRecordOverhead = 128;  // of a record in a memtable and in the WAL, about
constexpr uint16_t kPartitionCountMax = 1024;
constexpr uint32_t kSettingsVersion = 1;
constexpr std::string_view kSettingsKey = "settings";
constexpr std::chrono::milliseconds kSoonMax{5};  // Sync::kSoon
// When so many records asked for one sync at once, the next one waits a little for as many: a sync costs the processor as much as deciding
// a hundred commands, and who comes one by one never waits.
constexpr size_t kCrowd = 8;
constexpr std::chrono::microseconds kCrowdWait{100};
constexpr std::chrono::milliseconds kSpaceRetry{100};  // between two looks at a full disk
constexpr std::chrono::seconds kSpaceLook{1};          // between two looks at one that is not, or after kSpaceLookBytes
constexpr size_t kSpaceLookBytes = 4 << 20;
constexpr uint64_t kReopenBytes = 1 << 20;  // besides the memtables: manifest, WAL, table metadata
constexpr uint64_t kGetsMax = 4;            // up to so many records a read uses Get, beyond an iterator

using SteadyTime = std::chrono::steady_clock::time_point;

struct OffsetKey {
  explicit OffsetKey(uint64_t offset) {
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(offset >> (8 * (7 - i)));
  }
  rocksdb::Slice slice() const { return {bytes, sizeof(bytes)}; }
  char bytes[8];
};
uint64_t OffsetOf(const rocksdb::Slice& key) { return Cursor(ToView(key)).Ordered<uint64_t>(); }

// The watches of one partition and ReadTo. Its lock is held while signals run: so destroying a watch waits for them.
struct Channel {
  std::mutex mutex;
  std::vector<const std::function<void()>*> signals;

  void Signal() {
    const std::lock_guard lock(mutex);
    for (const auto* signal : signals) (*signal)();
  }
};

class Watch : public TailWatch {
 public:
  Watch(Channel& channel, std::function<void()> signal) : channel_(channel), signal_(std::move(signal)) {
    const std::lock_guard lock(channel_.mutex);
    channel_.signals.push_back(&signal_);
  }
  ~Watch() override {
    const std::lock_guard lock(channel_.mutex);
    std::erase(channel_.signals, &signal_);
  }

 private:
  Channel& channel_;
  std::function<void()> signal_;
};

struct Partition {
  TopicPartition at;
  size_t family = 0;  // index in Database::families()
  std::atomic<uint64_t> begin = 0;
  std::atomic<uint64_t> durable = 0;  // stored by the sync thread alone
  std::atomic<uint64_t> written = 0;  // stored under RocksLogImpl::mutex_
  int64_t last_time_us = 0;           // guarded by RocksLogImpl::mutex_
  bool touched = false;               // sync thread only: durable has moved in this round
  Channel written_channel;
  Channel durable_channel;
  Channel& channel(ReadTo to) { return to == ReadTo::kDurable ? durable_channel : written_channel; }
};

struct Pending {
  Partition* partition;
  uint64_t offset;
  AppendDone done;
};
struct Refused {
  AppendDone done;
  Error why;
};

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

// Lock order: mutex_ before db_mutex_ before a Channel's mutex. trim_mutex_ before all of them.
class RocksLogImpl : public Log {
 public:
  RocksLogImpl(std::string path, const Resources& resources, Clock& clock)
      : path_(std::move(path)), resources_(resources.impl()), clock_(clock) {}

  Result<void> Start(const LogSettings& wanted);
  ~RocksLogImpl() override;

  const LogSettings& settings() const override { return settings_; }
  void Append(TopicPartition at, std::string record, Sync sync, AppendDone done) override;
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override;
  LogEnds Ends(TopicPartition at) override;
  std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override;
  Result<void> Trim(TopicPartition at, Offset before) override;
  bool ordered_across_partitions() const override { return true; }
  std::string durability_class() const override {
    return "an acknowledged record survives kill -9 and loss of power (fdatasync before it is acknowledged), not loss of the disk";
  }

 private:
  // Null if there is no such partition.
  Partition* Find(TopicPartition at) const;

  // Opening. The first opens the database with every column family that exists.
  Result<void> OpenDatabase();
  Result<void> LoadSettings(const LogSettings& wanted);
  Result<void> RecoverEnds();

  // Writing; with mutex_ held.
  Result<void> CheckWritable(size_t bytes);
  Result<void> WriteLocked(rocksdb::WriteBatch& batch);
  void SwitchMemtables();
  // Of a new WAL file, before anything is written to it. Debian builds RocksDB with its assertions: a sync after a failed write is an
  // error only if the file was synced before, else it aborts the process.
  rocksdb::Status FirstSync() { return db_->SyncWAL(); }
  void SyncFailed(const rocksdb::Status& status);
  void Refuse(AppendDone done, Error why);

  // The sync thread.
  void Run();
  bool SyncDue(SteadyTime now) const;
  bool Crowded(SteadyTime now) const;
  void Acknowledge(std::vector<Pending> batch);
  void Reopen();

  const std::string path_;
  const Resources::Impl& resources_;
  Clock& clock_;
  LogSettings settings_;
  std::vector<std::unique_ptr<Partition>> partitions_;  // topic * partition_count + partition

  std::shared_mutex db_mutex_;  // exclusive only while the database is reopened
  Database db_;
  std::mutex trim_mutex_;

  std::mutex mutex_;  // the order of writing, and all that follows
  std::condition_variable wake_;
  rocksdb::WriteBatch batch_;
  std::vector<Pending> pending_;  // written, in order, waiting for a sync; the records themselves are in the WAL
  size_t pending_synced_ = 0;     // so many of them, from the front, are synced already
  size_t now_waiting_ = 0;        // so many of them are kNow
  SteadyTime crowd_until_;        // after a sync for many: no sync before
  SteadyTime soon_deadline_;      // of the first of them
  std::vector<Refused> refused_;  // never written; answered by the sync thread
  std::vector<Channel*> first_calls_;
  size_t memtable_bytes_ = 0;    // since the last switch
  size_t bytes_since_look_ = 0;  // at the free space
  SteadyTime next_look_;
  uint64_t free_bytes_ = 0;
  bool full_ = false;            // by the last look
  bool stalled_ = false;         // RocksDB takes no writes after a full disk, until it is reopened
  std::optional<Error> broken_;  // a sync failed
  bool stopping_ = false;
  std::thread thread_;
};

// ---- opening ----

Result<void> RocksLogImpl::OpenDatabase() {
  std::vector<std::string> names;
  const rocksdb::DBOptions options = resources_.LogDatabase();
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, path_, &names);
  if (!listed.ok()) names = {rocksdb::kDefaultColumnFamilyName};  // there is no database yet, or Open says what is wrong
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, resources_.LogFamily());
  if (const rocksdb::Status status = db_.Open(options, path_, families); !status.ok()) return ToError(status, "opening the log", path_);
  if (const rocksdb::Status status = FirstSync(); !status.ok()) return ToError(status, "opening the log", path_);
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
    if (version != kSettingsVersion || !cursor.ok()) return Fail(Code::kCorrupt, "settings of the log {} are of another format", path_);
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
}

Partition* RocksLogImpl::Find(TopicPartition at) const {
  if (at.partition.value() >= settings_.partition_count) return nullptr;
  return partitions_[static_cast<size_t>(at.topic) * settings_.partition_count + at.partition.value()].get();
}

// ---- appending ----

void RocksLogImpl::Append(TopicPartition at, std::string record, Sync sync, AppendDone done) {
  Partition* const partition = Find(at);
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (partition == nullptr) {
      return Refuse(std::move(done), Fail(Code::kInvalid, "there is no partition {} in {}", at.partition.value(), TopicName(at.topic)));
    }
    if (record.size() > kRecordBytesMax) {
      return Refuse(std::move(done), Fail(Code::kInvalid, "a record of {} bytes for {} partition {}: at most {} are taken", record.size(),
                                          TopicName(at.topic), at.partition.value(), kRecordBytesMax));
    }
    if (auto writable = CheckWritable(record.size()); !writable) return Refuse(std::move(done), writable.error());

    const uint64_t offset = partition->written.load(std::memory_order_relaxed);
    const int64_t time_us = std::max(partition->last_time_us, clock_.Now().us);
    const OffsetKey key(offset);
    const rocksdb::Slice key_parts[] = {key.slice()};
    const rocksdb::Slice value_parts[] = {{reinterpret_cast<const char*>(&time_us), sizeof(time_us)}, {record.data(), record.size()}};
    batch_.Clear();
    rocksdb::Status put =
        batch_.Put(db_.families()[partition->family], rocksdb::SliceParts(key_parts, 1), rocksdb::SliceParts(value_parts, 2));
    MAILY_CHECK(put.ok(), "{}", put.ToString());
    if (auto wrote = WriteLocked(batch_); !wrote) return Refuse(std::move(done), wrote.error());

    partition->last_time_us = time_us;
    partition->written.store(offset + 1, std::memory_order_release);
    if (pending_.empty()) {
      soon_deadline_ = std::chrono::steady_clock::now() + kSoonMax;
      wake = true;
    }
    if (sync == Sync::kNow && (++now_waiting_ == 1 || now_waiting_ == 2 * kCrowd)) wake = true;
    pending_.push_back({partition, offset, std::move(done)});
    memtable_bytes_ += record.size() + kRecordOverhead;
    if (memtable_bytes_ >= resources_.limits.log_memtable_bytes) {
      SwitchMemtables();
      wake = true;
    }
  }
  if (wake) wake_.notify_one();
  partition->written_channel.Signal();
}

void RocksLogImpl::Refuse(AppendDone done, Error why) {
  refused_.push_back({std::move(done), std::move(why)});
  wake_.notify_one();
}

// Looks at the free space now and then, rather than let RocksDB run into its end.
Result<void> RocksLogImpl::CheckWritable(size_t bytes) {
  if (broken_) return *broken_;
  const SteadyTime now = std::chrono::steady_clock::now();
  bytes_since_look_ += bytes;
  if (now >= next_look_ || (!full_ && bytes_since_look_ >= kSpaceLookBytes)) {
    bytes_since_look_ = 0;
    free_bytes_ = UINT64_MAX;
    resources_.env->GetFileSystem()->GetFreeSpace(path_, rocksdb::IOOptions(), &free_bytes_, nullptr).PermitUncheckedError();
    full_ = free_bytes_ < resources_.limits.disk_reserve_bytes;
    next_look_ = now + (full_ ? SteadyTime::duration(kSpaceRetry) : SteadyTime::duration(kSpaceLook));
  }
  if (full_ || stalled_) {
    return Fail(Code::kRetry, "no space left for the log in {}: {} bytes free, {} are kept in reserve; free some on this file system",
                path_, free_bytes_, resources_.limits.disk_reserve_bytes);
  }
  return {};
}

Result<void> RocksLogImpl::WriteLocked(rocksdb::WriteBatch& batch) {
  const rocksdb::Status status = db_->Write(rocksdb::WriteOptions(), &batch);
  if (status.ok()) return {};
  Error error = ToError(status, "appending to the log", path_);
  if (status.IsNoSpace()) {
    stalled_ = true;
    free_bytes_ = 0;
  } else {
    broken_ = error = Fail(Code::kFatal, "{}; nothing is acknowledged any more", error.message);
  }
  wake_.notify_one();
  return error;
}

// A new WAL file begins here, so the old one is synced first: see LogDatabase().
void RocksLogImpl::SwitchMemtables() {
  memtable_bytes_ = 0;
  rocksdb::Status status = db_->SyncWAL();
  if (!status.ok()) return SyncFailed(status);
  pending_synced_ = pending_.size();
  rocksdb::FlushOptions flush;
  flush.wait = false;
  flush.allow_write_stall = true;
  status = db_->Flush(flush, db_.families());
  if (status.ok()) {
    if (status = FirstSync(); !status.ok()) SyncFailed(status);
    return;
  }
  if (status.IsNoSpace()) {
    stalled_ = true;
  } else {
    broken_ = Fail(Code::kFatal, "flushing the log {} failed: {}; nothing is acknowledged any more", path_, status.ToString());
  }
}

// After a write that failed for lack of space RocksDB refuses to touch that file, which is no failed sync.
void RocksLogImpl::SyncFailed(const rocksdb::Status& status) {
  const bool refused = status.ToString().find("previous error") != std::string::npos;
  if (broken_ || (stalled_ && refused)) return;
  broken_ = Fail(Code::kFatal, "syncing the log {} failed: {}; nothing is acknowledged any more", path_, status.ToString());
}

// ---- syncing ----

bool RocksLogImpl::Crowded(SteadyTime now) const {
  return now < crowd_until_ && now_waiting_ < 2 * kCrowd && pending_synced_ == 0 && !stopping_ && !broken_;
}

bool RocksLogImpl::SyncDue(SteadyTime now) const {
  if (pending_.empty()) return false;
  if (broken_) return true;
  if (stalled_) return false;
  return now_waiting_ > 0 || pending_synced_ > 0 || stopping_ || now >= soon_deadline_;
}

void RocksLogImpl::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const SteadyTime now = std::chrono::steady_clock::now();
    const bool sync = SyncDue(now) && !Crowded(now);
    const bool reopen = stalled_ && !broken_;
    if (!sync && refused_.empty() && first_calls_.empty()) {
      if (stopping_ && (pending_.empty() || reopen)) break;
      if (reopen) {
        Reopen();  // keeps the lock; what stays stalled is tried again
        if (stalled_) wake_.wait_for(lock, kSpaceRetry);
      } else if (!pending_.empty()) {
        wake_.wait_until(lock, now_waiting_ > 0 ? crowd_until_ : soon_deadline_);
      } else {
        wake_.wait(lock);
      }
      continue;
    }
    std::vector<Refused> refused = std::exchange(refused_, {});
    const std::vector<Channel*> first_calls = std::exchange(first_calls_, {});
    std::vector<Pending> batch;
    bool synced = true;
    bool crowd = false;
    std::optional<Error> broken = broken_;
    if (sync) {
      batch = std::exchange(pending_, {});
      synced = pending_synced_ == batch.size();
      pending_synced_ = 0;
      crowd = std::exchange(now_waiting_, 0) >= kCrowd;
    }
    lock.unlock();

    for (Channel* channel : first_calls) channel->Signal();
    for (Refused& each : refused) each.done(std::move(each.why));
    if (!batch.empty()) {
      rocksdb::Status status;
      if (!broken && !synced) status = db_->SyncWAL();
      if (!status.ok()) {
        const std::lock_guard relock(mutex_);
        SyncFailed(status);
        broken = broken_;
        if (!broken) {  // stalled: reopening brings these to the disk
          now_waiting_ += 1;
          pending_.insert(pending_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
          pending_synced_ = 0;
          batch.clear();
        }
      }
      if (broken) {
        for (Pending& each : batch) each.done(*broken);
      } else {
        Acknowledge(std::move(batch));
      }
    }
    lock.lock();
    if (crowd) crowd_until_ = std::chrono::steady_clock::now() + kCrowdWait;
  }
  for (Pending& each : pending_) each.done(Fail(Code::kRetry, "the log {} was closed while its disk was full", path_));
  pending_.clear();
}

void RocksLogImpl::Acknowledge(std::vector<Pending> batch) {
  std::vector<Partition*> moved;
  for (const Pending& each : batch) {
    each.partition->durable.store(each.offset + 1, std::memory_order_release);
    if (!std::exchange(each.partition->touched, true)) moved.push_back(each.partition);
  }
  for (Partition* partition : moved) {
    partition->touched = false;
    partition->durable_channel.Signal();
  }
  for (Pending& each : batch) each.done(Appended{Offset(each.offset)});
}

// After a full disk. Closing and opening brings everything that was written into synced table files. Called with mutex_ held.
void RocksLogImpl::Reopen() {
  uint64_t free_bytes = UINT64_MAX;
  resources_.env->GetFileSystem()->GetFreeSpace(path_, rocksdb::IOOptions(), &free_bytes, nullptr).PermitUncheckedError();
  uint64_t memtable_bytes = 0;  // opening writes them to table files
  if (db_.is_open()) db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &memtable_bytes);
  if (free_bytes < std::max<uint64_t>(resources_.limits.disk_reserve_bytes, 2 * memtable_bytes + kReopenBytes)) return;
  std::vector<Pending> survived;
  {
    const std::lock_guard exclusive(db_mutex_);
    db_.Close();
    if (auto opened = OpenDatabase(); !opened) return;
    if (auto recovered = RecoverEnds(); !recovered) {
      broken_ = Fail(Code::kFatal, "after a full disk: {}", recovered.error().message);
      return;
    }
    for (const Pending& each : pending_) {
      if (each.offset >= each.partition->written) {
        broken_ = Fail(Code::kFatal, "the log {} has lost written records on a full disk", path_);
        return;
      }
    }
    survived = std::exchange(pending_, {});
    pending_synced_ = 0;
    memtable_bytes_ = 0;
    now_waiting_ = 0;
    stalled_ = full_ = false;
  }
  mutex_.unlock();
  for (const auto& partition : partitions_) {
    partition->written_channel.Signal();
    partition->durable_channel.Signal();
  }
  for (Pending& each : survived) each.done(Appended{Offset(each.offset)});
  mutex_.lock();
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
  auto watch = std::make_unique<Watch>(partition->channel(to), std::move(signal));
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

}  // namespace

Result<std::unique_ptr<Log>> RocksLog::Open(const std::string& path, const LogSettings& wanted, const Resources& resources, Clock& clock) {
  auto log = std::make_unique<RocksLogImpl>(path, resources, clock);
  MAILY_TRY_VOID(log->Start(wanted));
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace maily::rocks
