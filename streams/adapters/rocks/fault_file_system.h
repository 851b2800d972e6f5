// For tests: a file system that can lose power, run full, and fail to sync.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>

namespace maily::rocks {

// Thread: any. Knows of every file written through it how much was synced. Directory entries count as durable at once.
class FaultFileSystem : public rocksdb::FileSystemWrapper {
 public:
  FaultFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultFileSystem"; }

  // From now on nothing reaches the disk any more, and nothing may be acknowledged.
  void LosePower() {
    const std::lock_guard lock(mutex_);
    dead_ = true;
  }
  bool power_is_lost() const { return dead_; }
  // Of the unsynced end of every file a random part stays; behind it comes nothing, in WAL files also zeros. Then the machine is up again.
  void Restart(std::minstd_rand& random) {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, sizes] : files_) {
      if (sizes.written == sizes.synced || !std::filesystem::exists(name)) continue;
      const uint64_t size = std::max(sizes.written, sizes.laid_out);
      const uint64_t kept = sizes.synced + random() % (sizes.written - sizes.synced + 1);
      std::filesystem::resize_file(name, kept);
      // Reads as zeros.
      if (sizes.laid_out > 0 || (name.ends_with(".log") && random() % 2 == 0)) std::filesystem::resize_file(name, size);
    }
    files_.clear();
    dead_ = false;
  }

  // Bytes that still fit; writes beyond fail with NoSpace, as does looking at the free space.
  std::atomic<int64_t> space_bytes = INT64_MAX;
  // What GetFreeSpace says, if less than space_bytes.
  std::atomic<int64_t> free_bytes_told = INT64_MAX;
  std::atomic<bool> syncs_fail = false;
  std::atomic<int> wal_syncs = 0;
  // Called before every sync of a WAL file, if set before the database is opened.
  std::function<void()> before_wal_sync;

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override {
    if (auto status = Alive(); !status.ok()) return status;
    rocksdb::IOStatus status = target()->NewWritableFile(name, options, file, debug);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    files_[name] = {};
    *file = std::make_unique<File>(*this, name, std::move(*file));
    return status;
  }
  // Used to truncate a file.
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override {
    if (auto status = Alive(); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    files_[name].laid_out = 0;
    return target()->ReopenWritableFile(name, options, file, debug);
  }
  // Of a file that is zeros until its end.
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file, rocksdb::IODebugContext* debug) override {
    if (auto status = Alive(); !status.ok()) return status;
    rocksdb::IOStatus status = target()->NewRandomRWFile(name, options, file, debug);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    files_[name] = {.laid_out = std::filesystem::file_size(name)};
    *file = std::make_unique<LaidOut>(*this, name, std::move(*file));
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (auto status = Alive(); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    if (auto node = files_.extract(from); !node.empty()) {
      files_.erase(to);
      node.key() = to;
      files_.insert(std::move(node));
    }
    return target()->RenameFile(from, to, options, debug);
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (auto status = Alive(); !status.ok()) return status;
    return target()->DeleteFile(name, options, debug);
  }
  rocksdb::IOStatus GetFreeSpace(const std::string& /*path*/, const rocksdb::IOOptions& /*options*/, uint64_t* bytes,
                                 rocksdb::IODebugContext* /*debug*/) override {
    *bytes = static_cast<uint64_t>(std::max<int64_t>(0, std::min(space_bytes.load(), free_bytes_told.load())));
    return rocksdb::IOStatus::OK();
  }

 private:
  struct Sizes {
    uint64_t written = 0;
    uint64_t synced = 0;
    uint64_t laid_out = 0;  // zeros up to here that were durable before
  };

  class File : public rocksdb::FSWritableFileWrapper {
   public:
    File(FaultFileSystem& system, std::string name, std::unique_ptr<rocksdb::FSWritableFile> file)
        : FSWritableFileWrapper(file.get()), system_(system), name_(std::move(name)), file_(std::move(file)) {}

    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (auto status = system_.Alive(); !status.ok()) return status;
      rocksdb::Slice fits = data;
      if (system_.space_bytes != INT64_MAX) {
        const int64_t left = system_.space_bytes.fetch_sub(static_cast<int64_t>(data.size())) - static_cast<int64_t>(data.size());
        if (left < 0) fits = {data.data(), static_cast<size_t>(std::max<int64_t>(0, static_cast<int64_t>(data.size()) + left))};
      }
      rocksdb::IOStatus status = target()->Append(fits, options, debug);  // a torn write, as a full disk leaves it
      const std::lock_guard lock(system_.mutex_);
      system_.files_[name_].written += fits.size();
      if (status.ok() && fits.size() < data.size()) return rocksdb::IOStatus::NoSpace("injected");
      return status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo& /*info*/,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      return system_.Synced(name_, [&] { return target()->Sync(options, debug); });
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override { return Sync(options, debug); }

   private:
    FaultFileSystem& system_;
    const std::string name_;
    const std::unique_ptr<rocksdb::FSWritableFile> file_;
  };

  class LaidOut : public rocksdb::FSRandomRWFile {
   public:
    LaidOut(FaultFileSystem& system, std::string name, std::unique_ptr<rocksdb::FSRandomRWFile> file)
        : system_(system), name_(std::move(name)), file_(std::move(file)) {}

    rocksdb::IOStatus Write(uint64_t offset, const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* debug) override {
      if (auto status = system_.Alive(); !status.ok()) return status;
      rocksdb::Slice fits = data;
      {
        const std::lock_guard lock(system_.mutex_);
        Sizes& sizes = system_.files_[name_];
        const uint64_t end = offset + data.size();
        const uint64_t beyond = end - std::min(end, std::max({sizes.laid_out, sizes.written, offset}));
        if (system_.space_bytes != INT64_MAX && beyond > 0) {
          const int64_t left = system_.space_bytes.fetch_sub(static_cast<int64_t>(beyond)) - static_cast<int64_t>(beyond);
          if (left < 0) fits = {data.data(), data.size() - static_cast<size_t>(std::min<int64_t>(-left, static_cast<int64_t>(beyond)))};
        }
        sizes.written = std::max(sizes.written, offset + fits.size());
      }
      rocksdb::IOStatus status = file_->Write(offset, fits, options, debug);
      if (status.ok() && fits.size() < data.size()) return rocksdb::IOStatus::NoSpace("injected");
      return status;
    }
    rocksdb::IOStatus Read(uint64_t offset, size_t size, const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* debug) const override {
      return file_->Read(offset, size, options, result, scratch, debug);
    }
    rocksdb::IOStatus Flush(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      return file_->Flush(options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      return system_.Synced(name_, [&] { return file_->Sync(options, debug); });
    }
    rocksdb::IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      return file_->Close(options, debug);
    }

   private:
    FaultFileSystem& system_;
    const std::string name_;
    const std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  };

  // A sync of the file `name`, unless the power is gone, or goes meanwhile.
  template <class Sync>
  rocksdb::IOStatus Synced(const std::string& name, Sync sync) {
    const bool wal = name.ends_with(".log");
    if (wal && before_wal_sync) before_wal_sync();
    if (auto status = Alive(); !status.ok()) return status;
    if (syncs_fail) return rocksdb::IOStatus::IOError("injected");
    if (wal) ++wal_syncs;
    uint64_t written = 0;
    {
      const std::lock_guard lock(mutex_);
      written = files_[name].written;
    }
    rocksdb::IOStatus status = sync();
    const std::lock_guard lock(mutex_);
    if (dead_) return Alive();  // nobody hears of it
    if (status.ok()) files_[name].synced = std::max(files_[name].synced, written);
    return status;
  }
  rocksdb::IOStatus Alive() const { return dead_ ? rocksdb::IOStatus::IOError("the power is gone") : rocksdb::IOStatus::OK(); }

  std::atomic<bool> dead_ = false;
  std::mutex mutex_;
  std::map<std::string, Sizes> files_;
};

}  // namespace maily::rocks
