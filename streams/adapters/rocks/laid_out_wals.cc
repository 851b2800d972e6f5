// See laid_out_wals.h.
#include "streams/adapters/rocks/laid_out_wals.h"

#include <pthread.h>

#include <atomic>

namespace maily::rocks {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr uint64_t kPortionBytes = 256 << 10;
// The next file is laid out when this share of the current one is full: a log that is hardly used never needs one.
constexpr uint64_t kAskAtShare = 8;

}  // namespace

// One that was laid out: written over from its beginning.
class LaidOutWals::Laid : public rocksdb::FSWritableFile {
 public:
  Laid(LaidOutWals& system, std::string name, uint64_t laid, std::unique_ptr<rocksdb::FSRandomRWFile> file)
      : system_(system), name_(std::move(name)), laid_(laid), file_(std::move(file)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = file_->Write(size_, data, options, debug);
    if (!status.ok()) return status;
    size_ += data.size();
    system_.Appended(data.size());
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& /*info*/,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  // RocksDB's file system truncates no file but one that it has open to append.
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = system_.target()->ReopenWritableFile(name_, rocksdb::FileOptions(), &file, debug);
    if (status.ok()) status = file->Truncate(size, options, debug);
    if (status.ok()) status = file->Close(options, debug);
    return status;
  }
  // Nobody appends any more; the zeros behind are for nobody.
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    if (size_ < laid_) Truncate(size_, options, debug).PermitUncheckedError();
    return file_->Close(options, debug);
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override { return file_->Flush(options, debug); }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override { return file_->Sync(options, debug); }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return file_->Fsync(options, debug); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return size_; }

 private:
  LaidOutWals& system_;
  const std::string name_;
  const uint64_t laid_;
  const std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  std::atomic<uint64_t> size_ = 0;  // of what was appended
};

// One that grows.
class LaidOutWals::Plain : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Plain(LaidOutWals& system, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), system_(system) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    system_.Appended(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    system_.Appended(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, info, debug);
  }

 private:
  LaidOutWals& system_;
};

LaidOutWals::LaidOutWals(std::shared_ptr<rocksdb::FileSystem> below, std::string directory, uint64_t bytes, uint64_t reserve_bytes)
    : FileSystemWrapper(std::move(below)),
      directory_(std::move(directory)),
      next_(directory_ + "/" + kLaidOutName),
      bytes_(bytes),
      reserve_bytes_(reserve_bytes) {
  target()->DeleteFile(next_, IOOptions(), nullptr).PermitUncheckedError();  // of a process that was killed
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "wal");
    Run();
  });
}

LaidOutWals::~LaidOutWals() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  target()->DeleteFile(next_, IOOptions(), nullptr).PermitUncheckedError();
}

IOStatus LaidOutWals::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) {
  if (!name.ends_with(".log") || !name.starts_with(directory_ + "/")) return target()->NewWritableFile(name, options, file, debug);
  bool ready = false;
  {
    const std::lock_guard lock(mutex_);
    appended_ = 0;
    ready = std::exchange(ready_, false);
  }
  // The new name is durable before anything in the file counts: RocksDB syncs the directory with the file's first sync.
  if (ready && target()->RenameFile(next_, name, IOOptions(), debug).ok()) {
    std::unique_ptr<rocksdb::FSRandomRWFile> laid;
    if (target()->NewRandomRWFile(name, options, &laid, debug).ok()) {
      *file = std::make_unique<Laid>(*this, name, bytes_, std::move(laid));
      return IOStatus::OK();
    }
  }
  std::unique_ptr<rocksdb::FSWritableFile> plain;
  IOStatus status = target()->NewWritableFile(name, options, &plain, debug);
  if (status.ok()) *file = std::make_unique<Plain>(*this, std::move(plain));
  return status;
}

void LaidOutWals::Appended(uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const bool before = appended_ >= bytes_ / kAskAtShare;
    appended_ += bytes;
    if (before || appended_ < bytes_ / kAskAtShare || asked_ || working_ || ready_) return;
    asked_ = true;
  }
  changed_.notify_all();
}

bool LaidOutWals::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !asked_ && !working_; });
  return ready_;
}

void LaidOutWals::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return asked_ || stopping_; });
    if (stopping_) return;
    asked_ = false;
    working_ = true;
    lock.unlock();
    const bool laid = LayOut().ok();
    if (!laid) target()->DeleteFile(next_, IOOptions(), nullptr).PermitUncheckedError();
    lock.lock();
    working_ = false;
    ready_ = laid;
    changed_.notify_all();
  }
}

// All of it is durable when this is done: zeros that are not would show what the blocks held before.
IOStatus LaidOutWals::LayOut() {
  uint64_t free_bytes = 0;
  IOStatus status = target()->GetFreeSpace(directory_, IOOptions(), &free_bytes, nullptr);
  if (!status.ok()) return status;
  if (free_bytes < reserve_bytes_ + 2 * bytes_) return IOStatus::NoSpace("little room is left");
  std::unique_ptr<rocksdb::FSWritableFile> file;
  status = target()->NewWritableFile(next_, rocksdb::FileOptions(), &file, nullptr);
  const std::string zeros(kPortionBytes, '\0');
  for (uint64_t at = 0; status.ok() && at < bytes_; at += kPortionBytes) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return IOStatus::Aborted("closing");
    }
    const uint64_t portion = std::min(kPortionBytes, bytes_ - at);
    status = file->Append(Slice(zeros.data(), portion), IOOptions(), nullptr);
    // Written back portion by portion, so that no sync of another file waits behind all of it.
    if (status.ok()) file->RangeSync(at, portion, IOOptions(), nullptr).PermitUncheckedError();
  }
  if (status.ok()) status = file->Sync(IOOptions(), nullptr);
  if (status.ok()) status = file->Close(IOOptions(), nullptr);
  return status;
}

}  // namespace maily::rocks
