// The log on RocksDB in one class: opened, read and trimmed in rocks_log.cc, written and synced in rocks_log_append.cc.
#pragma once

#include <rocksdb/write_batch.h>

#include <condition_variable>
#include <shared_mutex>
#include <thread>

#include "streams/adapters/rocks/handles.h"
#include "streams/adapters/rocks/laid_out_wals.h"
#include "streams/adapters/rocks/options_internal.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/base/bytes.h"
#include "streams/port/channel.h"

namespace maily::rocks {

inline constexpr size_t kRecordOverhead = 128;  // of a record in a memtable and in the WAL, about

using SteadyTime = std::chrono::steady_clock::time_point;

struct OffsetKey {
  explicit OffsetKey(uint64_t offset) {
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(offset >> (8 * (7 - i)));
  }
  rocksdb::Slice slice() const { return {bytes, sizeof(bytes)}; }
  char bytes[8];
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
  // Syncs the WAL, and notes how far it is durable then.
  rocksdb::Status SyncWal();
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

  std::shared_ptr<LaidOutWals> wals_;
  std::unique_ptr<rocksdb::Env> env_;  // over wals_
  std::shared_mutex db_mutex_;         // exclusive only while the database is reopened
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
  bool full_ = false;                          // by the last look
  std::atomic<uint64_t> synced_sequence_ = 0;  // of RocksDB: all up to here is durable
  std::atomic<bool> mark_due_ = false;         // nothing was written since the last sync
  bool stalled_ = false;                       // RocksDB takes no writes after a full disk, until it is reopened
  std::optional<Error> broken_;                // a sync failed
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace maily::rocks
