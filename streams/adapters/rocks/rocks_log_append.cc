// Group commit over one WAL: appenders write under one lock, one thread syncs and acknowledges.
#include <rocksdb/file_system.h>

#include "streams/adapters/rocks/damage.h"
#include "streams/adapters/rocks/rocks_log_internal.h"

namespace maily::rocks {
namespace {

constexpr size_t kRecordBytesMax = 1'000'000;
constexpr std::chrono::milliseconds kSoonMax{5};  // Sync::kSoon
// When so many records asked for one sync at once, the next one waits a little for as many: a sync costs the processor as much as deciding
// a hundred commands, and who comes one by one never waits.
constexpr size_t kCrowd = 8;
constexpr std::chrono::microseconds kCrowdWait{100};
constexpr std::chrono::milliseconds kMarkAfter{20};    // without an append: the last records are marked as durable, see damage.h
constexpr std::chrono::milliseconds kSpaceRetry{100};  // between two looks at a full disk
constexpr std::chrono::seconds kSpaceLook{1};          // between two looks at one that is not, or after kSpaceLookBytes
constexpr size_t kSpaceLookBytes = 4 << 20;
constexpr uint64_t kReopenBytes = 1 << 20;  // besides the memtables: manifest, WAL, table metadata

}  // namespace

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
    MakeMark(batch_, synced_sequence_.load(std::memory_order_relaxed));
    const rocksdb::Status put =
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
  rocksdb::Status status = SyncWal();
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

rocksdb::Status RocksLogImpl::SyncWal() {
  const uint64_t written = db_->GetLatestSequenceNumber();
  rocksdb::Status status = db_->SyncWAL();
  if (!status.ok()) return status;
  synced_sequence_ = std::max(written, synced_sequence_.load());
  mark_due_ = true;
  return status;
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
      } else if (!mark_due_ || stopping_ || broken_) {
        wake_.wait(lock);
      } else if (wake_.wait_for(lock, kMarkAfter) == std::cv_status::timeout && pending_.empty()) {
        MakeMark(batch_, synced_sequence_);
        WriteLocked(batch_).IgnoreError("it is noted for the next append");
        mark_due_ = false;
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
      if (!broken && !synced) status = SyncWal();
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

}  // namespace maily::rocks
