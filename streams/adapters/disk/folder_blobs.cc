// See folder_blobs.h.
#include "streams/adapters/disk/folder_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <functional>
#include <set>

namespace maily::disk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBeside = ".tmp";
constexpr int64_t kLeftoverSeconds = 3600;
constexpr int kRenameTries =
    64;  // another process may remove the folder that has just become empty, and do so again while a sync takes its time

Error Failed(const char* what, const std::string& path) {
  return Fail(errno == ENOENT ? Code::kNotFound : Code::kRetry, "{} {}: {}", what, path, std::strerror(errno));
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

Result<void> SyncFolder(const std::string& path) {
  const Descriptor folder{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.fd < 0) return Failed("open", path);
  // Some network file systems refuse to sync a folder, and have its entries durable with the call that makes them.
  if (fsync(folder.fd) != 0 && errno != EINVAL && errno != ENOTSUP) return Failed("sync", path);
  return Ok();
}

Result<void> WriteFile(const std::string& path, std::string_view bytes) {
  const Descriptor file{open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.fd < 0) return Failed("create", path);
  while (!bytes.empty()) {
    const ssize_t written = write(file.fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(file.fd) != 0) return Failed("sync", path);
  return Ok();
}

// Makes the folders below `folder` that lead to `name`, each one durable in the one above it.
Result<void> MakeWay(const std::string& folder, const std::string& name) {
  std::string above = folder;
  for (size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1)) {
    const std::string path = folder + "/" + name.substr(0, end);
    if (mkdir(path.c_str(), 0700) == 0) {
      MAILY_TRY_VOID(SyncFolder(above));
    } else if (errno != EEXIST) {
      return Failed("create", path);
    }
    above = path;
  }
  return Ok();
}

Error Again(Error error) {
  error.code = Code::kRetry;
  return error;
}

// Renames the written file `beside` to `name`, durably.
Result<void> Land(const std::string& folder, const std::string& beside, const std::string& name) {
  const std::string path = folder + "/" + name;
  Result<void> way;
  for (int tries = 0; tries < kRenameTries; ++tries) {
    way = MakeWay(folder, name);
    if (!way && way.error().code == Code::kNotFound) continue;
    if (!way) return way;
    if (rename(beside.c_str(), path.c_str()) == 0) return SyncFolder(path.substr(0, path.rfind('/')));
    way = Failed("rename to", path);
    if (way.error().code != Code::kNotFound) return way;
  }
  return way;
}

// Files below `path`, in no order. What another process removes meanwhile is not there.
Result<void> Walk(const std::string& path, const std::function<void(const std::string& path, uint64_t bytes)>& visit) {
  std::error_code error;
  fs::directory_iterator each(path, error);
  for (; !error && each != fs::directory_iterator(); each.increment(error)) {
    if (each->path().filename().string().starts_with('.')) continue;
    struct stat stat{};
    if (::stat(each->path().c_str(), &stat) != 0) continue;
    if (S_ISDIR(stat.st_mode)) MAILY_TRY_VOID(Walk(each->path().string(), visit));
    if (S_ISREG(stat.st_mode)) visit(each->path().string(), static_cast<uint64_t>(stat.st_size));
  }
  if (error && error != std::errc::no_such_file_or_directory) return Fail(Code::kRetry, "list {}: {}", path, error.message());
  return Ok();
}

}  // namespace

FolderBlobs::FolderBlobs(const std::string& folder) : folder_(fs::absolute(folder).lexically_normal().string()) {}

Result<void> FolderBlobs::Prepare() {
  const std::lock_guard lock(mutex_);
  if (prepared_) return Ok();
  const std::string beside = folder_ + "/" + kBeside;
  for (const std::string& path : {folder_, beside}) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Again(Failed("create", path));
  }
  if (access(beside.c_str(), R_OK | W_OK | X_OK) != 0) return Again(Failed("use", beside));
  const std::time_t now = std::time(nullptr);
  std::error_code error;
  for (fs::directory_iterator each(beside, error), end; !error && each != end; each.increment(error)) {
    struct stat stat{};
    if (::stat(each->path().c_str(), &stat) == 0 && now - stat.st_mtime > kLeftoverSeconds) unlink(each->path().c_str());
  }
  prepared_ = true;
  return Ok();
}

Result<void> FolderBlobs::Put(const std::string& name, std::string_view bytes) {
  MAILY_TRY_VOID(CheckBlobName(name));
  if (bytes.size() > kBytesMax) return Fail(Code::kInvalid, "the blob {} has {} bytes, of at most {}", name, bytes.size(), kBytesMax);
  MAILY_TRY_VOID(Prepare());
  static std::atomic<uint64_t> count = 0;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string beside = fmt::format("{}/{}/{}-{}-{}", folder_, kBeside, getpid(), now.tv_nsec, count.fetch_add(1));
  Result<void> put = WriteFile(beside, bytes);
  if (put) put = Land(folder_, beside, name);
  if (put) return put;
  unlink(beside.c_str());
  return Again(put.error());
}

Result<std::string> FolderBlobs::Get(const std::string& name, uint64_t offset, size_t bytes_max) {
  MAILY_TRY_VOID(CheckBlobName(name));
  MAILY_TRY_VOID(Prepare());
  const std::string path = folder_ + "/" + name;
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return Failed("open", path);
  struct stat stat{};
  if (fstat(file.fd, &stat) != 0) return Again(Failed("stat", path));
  if (!S_ISREG(stat.st_mode)) return Fail(Code::kNotFound, "{} is no file", path);
  const auto size = static_cast<uint64_t>(stat.st_size);
  std::string bytes(offset >= size ? 0 : std::min<uint64_t>(bytes_max, size - offset), '\0');
  for (size_t got = 0; got < bytes.size();) {
    const ssize_t count = pread(file.fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(offset + got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Again(Failed("read", path));
    if (count == 0) bytes.resize(got);  // it became shorter
    got += static_cast<size_t>(count);
  }
  return bytes;
}

Result<std::vector<BlobEntry>> FolderBlobs::List(const std::string& prefix, const std::string& after, size_t count_max) {
  MAILY_TRY_VOID(CheckBlobPrefix(prefix));
  MAILY_TRY_VOID(Prepare());
  const size_t slash = prefix.rfind('/');
  const std::string deepest = slash == std::string::npos ? folder_ : folder_ + "/" + prefix.substr(0, slash);
  const auto less = [](const BlobEntry& a, const BlobEntry& b) { return a.name < b.name; };
  std::set<BlobEntry, decltype(less)> first(less);
  MAILY_TRY_VOID(Walk(deepest, [&](const std::string& path, uint64_t bytes) {
    std::string name = path.substr(folder_.size() + 1);
    if (!name.starts_with(prefix) || name <= after) return;
    first.insert({std::move(name), bytes});
    if (first.size() > count_max) first.erase(std::prev(first.end()));
  }));
  return std::vector<BlobEntry>(first.begin(), first.end());
}

Result<void> FolderBlobs::Delete(const std::string& name) {
  MAILY_TRY_VOID(CheckBlobName(name));
  MAILY_TRY_VOID(Prepare());
  const std::string path = folder_ + "/" + name;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Failed("remove", path);
  // Folders that have become empty go too.
  for (size_t end = name.rfind('/'); end != std::string::npos; end = name.rfind('/', end - 1)) {
    if (rmdir((folder_ + "/" + name.substr(0, end)).c_str()) != 0) break;
  }
  return Ok();
}

}  // namespace maily::disk
