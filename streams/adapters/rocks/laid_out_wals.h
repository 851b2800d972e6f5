// Write-ahead files whose blocks are laid out ahead, as zeros, so that a sync of what was appended writes bytes and nothing else.
//
// Where a file grows, or a block is written for the first time, a sync also has to commit the file system's own journal: on ext4 that takes
// two to three times as long as writing over blocks that are there, and it waits for whatever else was written meanwhile (PostgreSQL fills
// its WAL segments with zeros for the same reason: wal_init_zero).
//
// While one WAL file fills up, a thread writes the next one under another name; RocksDB's next WAL file is that one, renamed. If it is not
// ready, or there is little room on the disk, the file grows as usual. Behind the last record stand zeros, which RocksDB takes for its end;
// damage.h tells holes from it. A file that is closed loses them. What was laid out and is gone (another process that tries to open the
// database removes it, before it meets the lock) is made up for by a file that grows.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace maily::rocks {

// The name, in the database's directory, under which the next file is laid out.
inline constexpr char kLaidOutName[] = "wal.next";

// The file system below, but for WAL files (*.log) in one directory. It outlives the database. Thread: any.
class LaidOutWals : public rocksdb::FileSystemWrapper {
 public:
  // `bytes`: of a file; what is appended beyond makes it grow. Nothing is laid out while less than `reserve_bytes` and twice that are free.
  LaidOutWals(std::shared_ptr<rocksdb::FileSystem> below, std::string directory, uint64_t bytes, uint64_t reserve_bytes);
  // Waits for the thread, and removes what was laid out and is not used.
  ~LaidOutWals() override;
  const char* Name() const override { return "maily.LaidOutWals"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override;

  // For tests: waits until no file is being laid out. True: one is ready.
  bool Wait();

 private:
  class Laid;
  class Plain;
  // `bytes` more were appended to the current file.
  void Appended(uint64_t bytes);
  void Run();
  rocksdb::IOStatus LayOut();

  const std::string directory_;
  const std::string next_;
  const uint64_t bytes_;
  const uint64_t reserve_bytes_;

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t appended_ = 0;  // to the current file
  bool asked_ = false;
  bool working_ = false;
  bool ready_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace maily::rocks
