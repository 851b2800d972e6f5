// See memory_disk.h.
#include "tests/power/memory_disk.h"

#include <algorithm>
#include <utility>

namespace maily::power {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// RocksDB writes some paths with a slash too many.
std::string Clean(const std::string& path) {
  std::string clean;
  for (const char c : path) {
    if (c != '/' || clean.empty() || clean.back() != '/') clean.push_back(c);
  }
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

// What RocksDB logs for people.
bool IsRecorded(const std::string& path) { return !NameOf(path).starts_with("LOG"); }

constexpr size_t kPageBytes = 4096;

IOStatus None(const std::string& name) { return IOStatus::PathNotFound(name); }

}  // namespace

// ---- Platter ----

Platter::Platter(const DiskImage& begin) : directories_(begin.directories) {
  uint32_t number = 0;
  for (const auto& [name, bytes] : begin.files) {
    files_[++number] = {bytes.size(), bytes, {}};
    names_[name] = number;
  }
}

void Platter::Change(Names& names, const DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::kName:
      names[op.name] = op.file;
      return;
    case DiskOp::Kind::kRemove:
      names.erase(op.name);
      return;
    case DiskOp::Kind::kRename:
      if (auto node = names.extract(op.other); !node.empty()) names[op.name] = node.mapped();
      return;
    default:
      return;
  }
}

void Platter::Apply(const DiskOp& op) {
  switch (op.kind) {
    case DiskOp::Kind::kAppend:
    case DiskOp::Kind::kWrite: {
      File& file = files_[op.file];
      const uint64_t at = op.kind == DiskOp::Kind::kAppend ? file.size : op.size;
      file.pending.push_back({at, op.bytes});
      file.size = std::max(file.size, at + op.bytes.size());
      return;
    }
    case DiskOp::Kind::kTruncate: {
      File& file = files_[op.file];
      file.pending.push_back({op.size, {}, true});
      file.size = op.size;
      return;
    }
    case DiskOp::Kind::kSync: {
      File& file = files_[op.file];
      for (const Edit& edit : file.pending) Make(file.durable, edit);
      file.pending.clear();
      return;
    }
    case DiskOp::Kind::kName:
    case DiskOp::Kind::kRename:
    case DiskOp::Kind::kRemove:
      directories_.insert(ParentOf(op.name));
      changes_.push_back(op);
      return;
    case DiskOp::Kind::kSyncDirectory: {
      std::deque<DiskOp> others;
      for (DiskOp& change : changes_) ParentOf(change.name) == op.name ? Change(names_, change) : others.push_back(std::move(change));
      changes_ = std::move(others);
      return;
    }
  }
}

DiskImage Platter::Cut(std::minstd_rand& random) const {
  DiskImage image;
  image.directories = directories_;
  Names names = names_;
  // None of the changes, all, or some: in the order of their making.
  const size_t kept = random() % 3 == 0 ? 0 : random() % 2 == 0 ? changes_.size() : random() % (changes_.size() + 1);
  for (size_t i = 0; i < kept; ++i) Change(names, changes_[i]);
  for (const auto& [name, number] : names) {
    const auto found = files_.find(number);
    if (found == files_.end()) {
      image.files[name] = {};
      continue;
    }
    const File& file = found->second;
    image.files[name] = Remains(file, !NameOf(name).starts_with("MANIFEST"), random);
  }
  return image;
}

void Platter::Make(std::string& bytes, const Edit& edit) {
  if (edit.truncates) return bytes.resize(edit.at);
  if (bytes.size() < edit.at + edit.bytes.size()) bytes.resize(edit.at + edit.bytes.size());
  std::ranges::copy(edit.bytes, bytes.begin() + static_cast<std::ptrdiff_t>(edit.at));
}

std::string Platter::Remains(const File& file, bool holes, std::minstd_rand& random) {
  std::string bytes = file.durable;
  if (file.pending.empty()) return bytes;
  const uint64_t how = random() % (holes ? 4 : 2);
  if (how == 0) return bytes;  // nothing of what was not synced
  if (how < 3) {               // a beginning, and perhaps its size
    const size_t count = random() % (file.pending.size() + 1);
    for (size_t i = 0; i < count; ++i) Make(bytes, file.pending[i]);
    if (count < file.pending.size() && !file.pending[count].truncates) {
      const Edit& torn = file.pending[count];
      Make(bytes, {torn.at, torn.bytes.substr(0, random() % (torn.bytes.size() + 1))});
    }
    if (how == 2) bytes.resize(std::max<size_t>(bytes.size(), file.size));
    return bytes;
  }
  for (const Edit& edit : file.pending) {  // some pages
    if (edit.truncates) {
      bytes.resize(edit.at);
      continue;
    }
    bytes.resize(std::max<size_t>(bytes.size(), edit.at + edit.bytes.size()));
    for (size_t from = 0; from < edit.bytes.size();) {
      const size_t end = std::min<size_t>(edit.bytes.size(), (edit.at + from) / kPageBytes * kPageBytes + kPageBytes - edit.at);
      if (random() % 2 == 0) Make(bytes, {edit.at + from, edit.bytes.substr(from, end - from)});
      from = end;
    }
  }
  return bytes;
}

// ---- MemoryDisk ----

class MemoryDisk::Writer : public rocksdb::FSWritableFile {
 public:
  Writer(MemoryDisk& disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    inode_->bytes.append(data.data(), data.size());
    disk_.Record(inode_->recorded, {.kind = DiskOp::Kind::kAppend, .file = inode_->number, .bytes = data.ToString()});
    return IOStatus::OK();
  }
  IOStatus Truncate(uint64_t size, const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    if (inode_->bytes.size() == size) return IOStatus::OK();
    inode_->bytes.resize(size);
    disk_.Record(inode_->recorded, {.kind = DiskOp::Kind::kTruncate, .file = inode_->number, .size = size});
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    disk_.Record(inode_->recorded, {.kind = DiskOp::Kind::kSync, .file = inode_->number});
    return IOStatus::OK();
  }
  // Says no more than it was asked: a portion written back is not a sync.
  IOStatus RangeSync(uint64_t /*offset*/, uint64_t /*bytes*/, const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    return IOStatus::OK();
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    return inode_->bytes.size();
  }

 private:
  MemoryDisk& disk_;
  const std::shared_ptr<Inode> inode_;
};

class MemoryDisk::Reader : public rocksdb::FSRandomAccessFile {
 public:
  Reader(MemoryDisk& disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions& /*options*/, Slice* result, char* scratch,
                IODebugContext* /*debug*/) const override {
    const std::lock_guard lock(disk_.mutex_);
    const std::string& bytes = inode_->bytes;
    const size_t there = offset < bytes.size() ? std::min<size_t>(size, bytes.size() - offset) : 0;
    std::copy_n(bytes.data() + std::min<size_t>(offset, bytes.size()), there, scratch);
    *result = Slice(scratch, there);
    return IOStatus::OK();
  }

 private:
  MemoryDisk& disk_;
  const std::shared_ptr<Inode> inode_;
};

class MemoryDisk::Overwriter : public rocksdb::FSRandomRWFile {
 public:
  Overwriter(MemoryDisk& disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)) {}

  IOStatus Write(uint64_t offset, const Slice& data, const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    std::string& bytes = inode_->bytes;
    if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
    bytes.replace(offset, data.size(), data.data(), data.size());
    disk_.Record(inode_->recorded, {.kind = DiskOp::Kind::kWrite, .file = inode_->number, .size = offset, .bytes = data.ToString()});
    return IOStatus::OK();
  }
  IOStatus Read(uint64_t offset, size_t size, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) const override {
    return Reader(disk_, inode_).Read(offset, size, options, result, scratch, debug);
  }
  IOStatus Flush(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override { return Writer(disk_, inode_).Sync(options, debug); }
  IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return IOStatus::OK(); }

 private:
  MemoryDisk& disk_;
  const std::shared_ptr<Inode> inode_;
};

class MemoryDisk::SequentialReader : public rocksdb::FSSequentialFile {
 public:
  SequentialReader(MemoryDisk& disk, std::shared_ptr<Inode> inode) : reader_(disk, std::move(inode)) {}

  IOStatus Read(size_t size, const IOOptions& options, Slice* result, char* scratch, IODebugContext* debug) override {
    const IOStatus status = reader_.Read(at_, size, options, result, scratch, debug);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t bytes) override {
    at_ += bytes;
    return IOStatus::OK();
  }

 private:
  Reader reader_;
  uint64_t at_ = 0;
};

class MemoryDisk::Directory : public rocksdb::FSDirectory {
 public:
  Directory(MemoryDisk& disk, std::string name) : disk_(disk), name_(std::move(name)) {}
  IOStatus Fsync(const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    const std::lock_guard lock(disk_.mutex_);
    disk_.Record(true, {.kind = DiskOp::Kind::kSyncDirectory, .name = name_});
    return IOStatus::OK();
  }
  IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*debug*/) override { return IOStatus::OK(); }

 private:
  MemoryDisk& disk_;
  const std::string name_;
};

struct MemoryDisk::Lock : rocksdb::FileLock {
  explicit Lock(std::string name_in) : name(std::move(name_in)) {}
  const std::string name;
};

MemoryDisk::MemoryDisk(const DiskImage& begin) : directories_(begin.directories) {
  for (const auto& [name, bytes] : begin.files) {
    names_[name] = std::make_shared<Inode>(Inode{.number = ++last_number_, .recorded = IsRecorded(name), .bytes = bytes});
  }
}
MemoryDisk::~MemoryDisk() = default;

std::vector<DiskOp> MemoryDisk::TakeOps() {
  const std::lock_guard lock(mutex_);
  return std::move(ops_);
}
size_t MemoryDisk::op_count() const {
  const std::lock_guard lock(mutex_);
  return ops_.size();
}

std::shared_ptr<MemoryDisk::Inode> MemoryDisk::Find(const std::string& name) const {
  const auto found = names_.find(Clean(name));
  return found == names_.end() ? nullptr : found->second;
}

void MemoryDisk::Record(bool recorded, DiskOp op) {
  if (recorded) ops_.push_back(std::move(op));
}

IOStatus MemoryDisk::NewSequentialFile(const std::string& name, const rocksdb::FileOptions& /*options*/,
                                       std::unique_ptr<rocksdb::FSSequentialFile>* file, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  auto inode = Find(name);
  if (inode == nullptr) return None(name);
  *file = std::make_unique<SequentialReader>(*this, std::move(inode));
  return IOStatus::OK();
}

IOStatus MemoryDisk::NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& /*options*/,
                                         std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  auto inode = Find(name);
  if (inode == nullptr) return None(name);
  *file = std::make_unique<Reader>(*this, std::move(inode));
  return IOStatus::OK();
}

IOStatus MemoryDisk::NewWritableFile(const std::string& given, const rocksdb::FileOptions& /*options*/,
                                     std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* /*debug*/) {
  const std::string name = Clean(given);
  const std::lock_guard lock(mutex_);
  auto inode = std::make_shared<Inode>(Inode{.number = ++last_number_, .recorded = IsRecorded(name)});
  names_[name] = inode;
  Record(inode->recorded, {.kind = DiskOp::Kind::kName, .file = inode->number, .name = name});
  *file = std::make_unique<Writer>(*this, std::move(inode));
  return IOStatus::OK();
}

IOStatus MemoryDisk::ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& /*options*/,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  auto inode = Find(name);
  if (inode == nullptr) return None(name);
  *file = std::make_unique<Writer>(*this, std::move(inode));
  return IOStatus::OK();
}

IOStatus MemoryDisk::NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& /*options*/,
                                     std::unique_ptr<rocksdb::FSRandomRWFile>* file, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  auto inode = Find(name);
  if (inode == nullptr) return None(name);
  *file = std::make_unique<Overwriter>(*this, std::move(inode));
  return IOStatus::OK();
}

IOStatus MemoryDisk::LinkFile(const std::string& given, const std::string& target, const IOOptions& /*options*/,
                              IODebugContext* /*debug*/) {
  const std::string to = Clean(target);
  const std::lock_guard lock(mutex_);
  auto inode = Find(given);
  if (inode == nullptr) return None(given);
  names_[to] = inode;
  Record(inode->recorded, {.kind = DiskOp::Kind::kName, .file = inode->number, .name = to});
  return IOStatus::OK();
}

IOStatus MemoryDisk::NewDirectory(const std::string& name, const IOOptions& /*options*/, std::unique_ptr<rocksdb::FSDirectory>* directory,
                                  IODebugContext* /*debug*/) {
  *directory = std::make_unique<Directory>(*this, Clean(name));
  return IOStatus::OK();
}

IOStatus MemoryDisk::FileExists(const std::string& name, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  return Find(name) != nullptr || directories_.contains(Clean(name)) ? IOStatus::OK() : IOStatus::NotFound(name);
}

IOStatus MemoryDisk::GetChildren(const std::string& given, const IOOptions& /*options*/, std::vector<std::string>* children,
                                 IODebugContext* /*debug*/) {
  const std::string name = Clean(given);
  const std::lock_guard lock(mutex_);
  children->clear();
  for (const auto& [path, inode] : names_) {
    if (ParentOf(path) == name) children->push_back(NameOf(path));
  }
  if (children->empty() && !directories_.contains(name)) return IOStatus::NotFound(name);
  return IOStatus::OK();
}

IOStatus MemoryDisk::DeleteFile(const std::string& given, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::string name = Clean(given);
  const std::lock_guard lock(mutex_);
  const auto inode = Find(name);
  if (inode == nullptr) return None(name);
  names_.erase(name);
  Record(inode->recorded, {.kind = DiskOp::Kind::kRemove, .name = name});
  return IOStatus::OK();
}

IOStatus MemoryDisk::Truncate(const std::string& name, size_t size, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  const auto inode = Find(name);
  if (inode == nullptr) return None(name);
  inode->bytes.resize(size);
  Record(inode->recorded, {.kind = DiskOp::Kind::kTruncate, .file = inode->number, .size = size});
  return IOStatus::OK();
}

IOStatus MemoryDisk::CreateDir(const std::string& name, const IOOptions& options, IODebugContext* debug) {
  return CreateDirIfMissing(name, options, debug);
}
IOStatus MemoryDisk::CreateDirIfMissing(const std::string& name, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  directories_.insert(Clean(name));
  return IOStatus::OK();
}
IOStatus MemoryDisk::DeleteDir(const std::string& name, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  directories_.erase(Clean(name));
  return IOStatus::OK();
}

IOStatus MemoryDisk::GetFileSize(const std::string& name, const IOOptions& /*options*/, uint64_t* size, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  const auto inode = Find(name);
  if (inode == nullptr) return None(name);
  *size = inode->bytes.size();
  return IOStatus::OK();
}

IOStatus MemoryDisk::GetFileModificationTime(const std::string& name, const IOOptions& /*options*/, uint64_t* time,
                                             IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  if (Find(name) == nullptr) return None(name);
  *time = 0;
  return IOStatus::OK();
}

IOStatus MemoryDisk::RenameFile(const std::string& given, const std::string& target, const IOOptions& /*options*/,
                                IODebugContext* /*debug*/) {
  const std::string from = Clean(given);
  const std::string to = Clean(target);
  const std::lock_guard lock(mutex_);
  const auto inode = Find(from);
  if (inode == nullptr) return None(from);
  names_.erase(from);
  names_[to] = inode;
  Record(inode->recorded, {.kind = DiskOp::Kind::kRename, .file = inode->number, .name = to, .other = from});
  return IOStatus::OK();
}

IOStatus MemoryDisk::LockFile(const std::string& given, const IOOptions& /*options*/, rocksdb::FileLock** lock, IODebugContext* /*debug*/) {
  const std::string name = Clean(given);
  const std::lock_guard guard(mutex_);
  if (!locked_.insert(name).second) return IOStatus::IOError("lock", name);
  *lock = new Lock(name);
  return IOStatus::OK();
}

IOStatus MemoryDisk::UnlockFile(rocksdb::FileLock* lock, const IOOptions& /*options*/, IODebugContext* /*debug*/) {
  const std::unique_ptr<Lock> held(static_cast<Lock*>(lock));
  const std::lock_guard guard(mutex_);
  locked_.erase(held->name);
  return IOStatus::OK();
}

IOStatus MemoryDisk::GetTestDirectory(const IOOptions& /*options*/, std::string* path, IODebugContext* /*debug*/) {
  *path = "/test";
  return IOStatus::OK();
}
IOStatus MemoryDisk::GetAbsolutePath(const std::string& name, const IOOptions& /*options*/, std::string* path, IODebugContext* /*debug*/) {
  *path = Clean(name);
  return IOStatus::OK();
}
IOStatus MemoryDisk::GetFreeSpace(const std::string& /*path*/, const IOOptions& /*options*/, uint64_t* bytes, IODebugContext* /*debug*/) {
  *bytes = uint64_t{1} << 40;
  return IOStatus::OK();
}
IOStatus MemoryDisk::IsDirectory(const std::string& path, const IOOptions& /*options*/, bool* is, IODebugContext* /*debug*/) {
  const std::lock_guard lock(mutex_);
  *is = directories_.contains(Clean(path));
  return IOStatus::OK();
}

}  // namespace maily::power
