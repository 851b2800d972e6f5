// A disk in memory that keeps a record of what was done to it, so that the power can go at any moment of it afterwards.
//
// What a loss of power leaves (after POSIX, and what journalling file systems do): of a file what was synced, and of what was written since
// any beginning, or any of its pages, in no order, with zeros or the old bytes in the place of the others, as after a size that was written
// before its blocks; of the entries of a directory those of its last sync, and any beginning of the changes since, each change whole.
// RocksDB takes a hole in what it has not synced of its MANIFEST for damage; ext4 (ordered) leaves none, so of that file only beginnings
// remain here.
#pragma once

#include <rocksdb/file_system.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace maily::power {

// The files of a disk at one moment, by path.
struct DiskImage {
  std::map<std::string, std::string> files;
  std::set<std::string> directories;
};

// One thing that was done to the disk.
struct DiskOp {
  enum class Kind {
    kAppend,
    kWrite,  // at `size`
    kTruncate,
    kSync,
    kName,    // `name` is `file` from now on
    kRename,  // `other` becomes `name`
    kRemove,
    kSyncDirectory,  // `name`
  };
  Kind kind;
  uint32_t file = 0;
  uint64_t size = 0;  // kTruncate; where a kWrite begins
  std::string name{};
  std::string other{};
  std::string bytes{};
};

// What has reached the platter, while operations go on.
class Platter {
 public:
  explicit Platter(const DiskImage& begin);
  void Apply(const DiskOp& op);
  // What is there when the machine is up again.
  DiskImage Cut(std::minstd_rand& random) const;

 private:
  struct Edit {
    uint64_t at = 0;
    std::string bytes;
    bool truncates = false;  // to `at`
  };
  struct File {
    uint64_t size = 0;
    std::string durable;
    std::vector<Edit> pending;  // since the last sync
  };
  static void Make(std::string& bytes, const Edit& edit);
  using Names = std::map<std::string, uint32_t>;
  static std::string Remains(const File& file, bool holes, std::minstd_rand& random);
  static void Change(Names& names, const DiskOp& op);

  std::map<uint32_t, File> files_;
  std::set<std::string> directories_;
  Names names_;                 // as of the last syncs
  std::deque<DiskOp> changes_;  // of entries, since
};

// Thread: any. Everything happens under one lock, so that what is done has one order.
class MemoryDisk : public rocksdb::FileSystem {
 public:
  explicit MemoryDisk(const DiskImage& begin);
  ~MemoryDisk() override;
  const char* Name() const override { return "MemoryDisk"; }

  // What was done since it was made; what RocksDB logs for people is not in it.
  std::vector<DiskOp> TakeOps();
  size_t op_count() const;

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus FileExists(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetChildren(const std::string& name, const rocksdb::IOOptions& options, std::vector<std::string>* children,
                                rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Truncate(const std::string& name, size_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDir(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteDir(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& name, const rocksdb::IOOptions& options, uint64_t* time,
                                            rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options, rocksdb::FileLock** lock,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetTestDirectory(const rocksdb::IOOptions& options, std::string* path, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& name, const rocksdb::IOOptions& options, std::string* path,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options, uint64_t* bytes,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions& options, bool* is,
                                rocksdb::IODebugContext* debug) override;

 private:
  struct Inode {
    uint32_t number = 0;
    bool recorded = true;
    std::string bytes{};
  };
  class Writer;
  class Reader;
  class SequentialReader;
  class Overwriter;
  class Directory;
  struct Lock;

  std::shared_ptr<Inode> Find(const std::string& name) const;  // null: none
  void Record(bool recorded, DiskOp op);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Inode>> names_;
  std::set<std::string> directories_;
  std::set<std::string> locked_;
  std::vector<DiskOp> ops_;
  uint32_t last_number_ = 0;
};

}  // namespace maily::power
