// The root key's file: written beside, synced, then linked into place, so that it is never half there.
#include "streams/keyring/root_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace maily::keyring {
namespace {

constexpr std::string_view kMagic = "maily-root-key-1 ";

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error Failure(const char* what, const std::string& path) {
  return Fail(Code::kFatal, "root key {}: {}: {}", path, what, std::strerror(errno));
}

Result<void> Create(const std::string& path, Entropy& entropy) {
  Key key;
  entropy.Fill(key.bytes);
  std::string text(kMagic);
  for (const uint8_t byte : key.bytes) text += fmt::format("{:02x}", byte);
  text += "\n";
  const std::string beside = fmt::format("{}.{}.new", path, ::getpid());
  {
    const File file(beside, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) return Failure("create", path);
    if (::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.fd()) != 0) {
      return Failure("write", path);
    }
  }
  explicit_bzero(text.data(), text.size());
  // Another process may have been first: then its key counts.
  const bool linked = ::link(beside.c_str(), path.c_str()) == 0 || errno == EEXIST;
  if (!linked) return Failure("link", path);
  ::unlink(beside.c_str());
  const size_t slash = path.rfind('/');
  const File directory(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash), O_RDONLY | O_DIRECTORY);
  if (!directory.ok() || ::fsync(directory.fd()) != 0) return Failure("sync the directory", path);
  return Ok();
}

Result<Key> Read(const File& file, const std::string& path) {
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0) return Failure("stat", path);
  if ((status.st_mode & 077) != 0)
    return Fail(Code::kFatal, "root key {}: others may read it (mode {:o}); chmod 600 it", path, status.st_mode & 0777);
  char text[256];
  const ssize_t size = ::read(file.fd(), text, sizeof(text));
  if (size < 0) return Failure("read", path);
  std::string_view rest(text, static_cast<size_t>(size));
  const Error broken = Fail(Code::kFatal, "root key {}: the file holds no root key; restore it from its backup", path);
  if (!rest.starts_with(kMagic)) return broken;
  rest.remove_prefix(kMagic.size());
  if (rest.size() < 2 * kKeyBytes) return broken;
  Key key;
  for (size_t i = 0; i < kKeyBytes; ++i) {
    int value = 0;
    for (const char c : rest.substr(2 * i, 2)) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) return broken;
      value = value * 16 + digit;
    }
    key.bytes[i] = static_cast<uint8_t>(value);
  }
  explicit_bzero(text, sizeof(text));
  return key;
}

}  // namespace

Result<Key> LoadOrCreateRootKey(const std::string& path, Entropy& entropy) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const File file(path, O_RDONLY);
    if (file.ok()) return Read(file, path);
    if (errno != ENOENT) return Failure("open", path);
    MAILY_TRY_VOID(Create(path, entropy));
  }
  return Failure("open", path);
}

}  // namespace maily::keyring
