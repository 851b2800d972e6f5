// The calls are interposed: the program defines them, and is linked so that libraries find its definitions first.
#include "tests/power/posix_recorder.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

namespace maily::power {
namespace {

struct Recording {
  std::mutex mutex;
  bool on = false;
  std::string root;  // with a slash at its end
  std::map<std::string, uint32_t> names;
  std::map<int, uint32_t> files;           // by descriptor
  std::map<int, std::string> directories;  // by descriptor
  uint32_t last_number = 0;
  std::vector<DiskOp> ops;
};

Recording& Now() {
  static auto* const recording = new Recording;  // calls come also while the program ends
  return *recording;
}

// Relative to the root; none: it is not below it.
std::optional<std::string> Below(const Recording& now, const char* path) {
  const std::string_view text(path);
  if (!now.on || !(text.starts_with(now.root) || std::string(text) + "/" == now.root)) return std::nullopt;
  return text.size() < now.root.size() ? std::string(".") : "./" + std::string(text.substr(now.root.size()));
}

template <class Function>
Function* Real(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

using OpenCall = int(const char*, int, ...);

int Opened(const char* call, const char* path, int flags, mode_t mode) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const auto name = Below(now, path);
  const bool there = name && ::access(path, F_OK) == 0;
  const int fd = Real<OpenCall>(call)(path, flags, mode);
  if (!name || fd < 0) return fd;
  struct stat stat{};
  if (::fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
    now.directories[fd] = *name;
    return fd;
  }
  if (!there) {
    now.names[*name] = ++now.last_number;
    now.ops.push_back({.kind = DiskOp::Kind::kName, .file = now.last_number, .name = *name});
  }
  now.files[fd] = now.names[*name];
  if (there && (flags & O_TRUNC) != 0) now.ops.push_back({.kind = DiskOp::Kind::kTruncate, .file = now.files[fd]});
  return fd;
}

// The file's number; 0: it is not recorded. The lock is held.
uint32_t NumberOf(const Recording& now, int fd) {
  const auto found = now.files.find(fd);
  return found == now.files.end() ? 0 : found->second;
}

ssize_t Written(const Recording& /*locked*/, uint32_t file, const void* bytes, ssize_t size, off_t at) {
  if (file != 0 && size > 0) {
    Now().ops.push_back({.kind = DiskOp::Kind::kWrite,
                         .file = file,
                         .size = static_cast<uint64_t>(at),
                         .bytes = std::string(static_cast<const char*>(bytes), static_cast<size_t>(size))});
  }
  return size;
}

template <class Call>
int Synced(const char* call, int fd) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const int result = Real<Call>(call)(fd);
  if (result != 0) return result;
  if (const auto directory = now.directories.find(fd); directory != now.directories.end()) {
    now.ops.push_back({.kind = DiskOp::Kind::kSyncDirectory, .name = directory->second});
  } else if (const uint32_t file = NumberOf(now, fd); file != 0) {
    now.ops.push_back({.kind = DiskOp::Kind::kSync, .file = file});
  }
  return result;
}

template <class Call, class Size>
int Truncated(const char* call, int fd, Size size) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const int result = Real<Call>(call)(fd, size);
  if (const uint32_t file = NumberOf(now, fd); result == 0 && file != 0) {
    now.ops.push_back({.kind = DiskOp::Kind::kTruncate, .file = file, .size = static_cast<uint64_t>(size)});
  }
  return result;
}

template <class Call>
int Removed(const char* call, const char* path) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const int result = Real<Call>(call)(path);
  if (const auto name = Below(now, path); result == 0 && name && now.names.erase(*name) > 0) {
    now.ops.push_back({.kind = DiskOp::Kind::kRemove, .name = *name});
  }
  return result;
}

}  // namespace

PosixRecorder::PosixRecorder(const std::string& directory) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  now.names.clear();
  now.files.clear();
  now.directories.clear();
  now.ops.clear();
  now.last_number = 0;
  now.root = directory + "/";
  now.on = true;
}
PosixRecorder::~PosixRecorder() {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  now.on = false;
}
size_t PosixRecorder::op_count() const {
  const std::lock_guard lock(Now().mutex);
  return Now().ops.size();
}
std::vector<DiskOp> PosixRecorder::TakeOps() {
  const std::lock_guard lock(Now().mutex);
  return std::exchange(Now().ops, {});
}

}  // namespace maily::power

using namespace maily::power;  // NOLINT(google-build-using-namespace)

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return Opened("open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return Opened("open64", path, flags, mode);
}
int close(int fd) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  now.files.erase(fd);
  now.directories.erase(fd);
  return Real<int(int)>("close")(fd);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const uint32_t file = NumberOf(now, fd);
  const off_t at = file == 0 ? 0 : lseek(fd, 0, SEEK_CUR);
  return Written(now, file, bytes, Real<ssize_t(int, const void*, size_t)>("write")(fd, bytes, size), at);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  return Written(now, NumberOf(now, fd), bytes, Real<ssize_t(int, const void*, size_t, off_t)>("pwrite")(fd, bytes, size, at), at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  return Written(now, NumberOf(now, fd), bytes, Real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64")(fd, bytes, size, at), at);
}
int ftruncate(int fd, off_t size) noexcept { return Truncated<int(int, off_t)>("ftruncate", fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return Truncated<int(int, off64_t)>("ftruncate64", fd, size); }
int fsync(int fd) { return Synced<int(int)>("fsync", fd); }
int fdatasync(int fd) { return Synced<int(int)>("fdatasync", fd); }
int unlink(const char* path) noexcept { return Removed<int(const char*)>("unlink", path); }
int remove(const char* path) noexcept { return Removed<int(const char*)>("remove", path); }
int rename(const char* from, const char* to) noexcept {
  Recording& now = Now();
  const std::lock_guard lock(now.mutex);
  const int result = Real<int(const char*, const char*)>("rename")(from, to);
  const auto old_name = Below(now, from);
  const auto new_name = Below(now, to);
  if (result != 0 || !old_name || !new_name) return result;
  const auto node = now.names.extract(*old_name);
  if (node.empty()) return result;
  now.names[*new_name] = node.mapped();
  now.ops.push_back({.kind = DiskOp::Kind::kRename, .file = node.mapped(), .name = *new_name, .other = *old_name});
  return result;
}

}  // extern "C"
