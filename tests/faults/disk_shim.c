// Preloaded into the real program: makes one system call on its files fail. It knows nothing of the program.
//
//   DISK_SHIM_ROOT   only files below this directory count
//   DISK_SHIM_STATE  a file of sizeof(struct State) bytes, shared with who looks on: which calls there were, and what failed
//   DISK_SHIM_FAULT  none, or a kind and the number of the call, 1 = the first of its kind: write-eio:7, write-enospc:7, write-short:7,
//                    sync-eio:7, make-eio:7, read-eio:7; with a + behind it, that call and all later ones of its kind (a disk that stays so)
//
// Kinds of calls: write (write, pwrite, writev, pwritev, posix_fallocate, ftruncate), sync (fsync, fdatasync), make (open that creates,
// rename, unlink, mkdir, link), read (read, pread). A short write writes half of its bytes and says so, as the system may. After a sync
// failed, what it was to sync counts as lost nowhere here: the program must not rely on it, and is killed later.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum Kind { kWrite, kSync, kMake, kRead, kKinds };

struct State {
  _Atomic uint64_t calls[kKinds];
  _Atomic uint64_t faults;
  char what[256];  // the first that failed
};

static const char* const kNames[kKinds] = {"write", "sync", "make", "read"};
static struct State fallback;
static struct State* state = &fallback;
static char root[PATH_MAX];
static size_t root_size;
static enum Kind fault_kind = kKinds;
static int fault_errno;  // 0: a short write
static uint64_t fault_at;
static bool fault_stays;

#define MAX_FDS 65536
static _Atomic unsigned char ours[MAX_FDS];  // 1: below the root

#define REAL(name) ((__typeof__(&name))real(#name))
static void* real(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

__attribute__((constructor)) static void start(void) {
  const char* where = getenv("DISK_SHIM_ROOT");
  const char* shared = getenv("DISK_SHIM_STATE");
  const char* fault = getenv("DISK_SHIM_FAULT");
  if (where == NULL || shared == NULL) return;
  const int fd = REAL(open)(shared, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || REAL(ftruncate)(fd, sizeof(struct State)) != 0) abort();
  void* memory = mmap(NULL, sizeof(struct State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) abort();
  close(fd);
  state = memory;
  snprintf(root, sizeof(root), "%s/", where);
  root_size = strlen(root);
  if (fault == NULL) return;
  for (int kind = 0; kind < kKinds; ++kind) {
    const size_t size = strlen(kNames[kind]);
    if (strncmp(fault, kNames[kind], size) != 0 || fault[size] != '-') continue;
    const char* how = fault + size + 1;
    const char* at = strchr(how, ':');
    if (at == NULL) abort();
    fault_kind = kind;
    fault_errno = strncmp(how, "eio", 3) == 0 ? EIO : strncmp(how, "enospc", 6) == 0 ? ENOSPC : 0;
    fault_at = strtoull(at + 1, NULL, 10);
    fault_stays = fault[strlen(fault) - 1] == '+';
  }
}

static bool below_root(const char* path) {
  if (root_size == 0 || path == NULL) return false;
  if (path[0] == '/') return strncmp(path, root, root_size) == 0;
  char full[PATH_MAX];
  char here[PATH_MAX];
  if (getcwd(here, sizeof(here)) == NULL) return false;
  if (snprintf(full, sizeof(full), "%s/%s", here, path) >= (int)sizeof(full)) return false;
  return strncmp(full, root, root_size) == 0;
}
static bool is_ours(int fd) { return fd >= 0 && fd < MAX_FDS && ours[fd]; }

static bool can_be_short(const char* call) { return strstr(call, "write") != NULL; }

// Counts a call; true if it is to fail.
static bool fails(enum Kind kind, const char* call, int fd, const char* path) {
  const uint64_t number = atomic_fetch_add(&state->calls[kind], 1) + 1;
  if (kind != fault_kind || (fault_errno == 0 && !can_be_short(call)) || (fault_stays ? number < fault_at : number != fault_at)) return false;
  if (atomic_fetch_add(&state->faults, 1) != 0) return true;
  char name[PATH_MAX] = "";
  if (path == NULL) {
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, name, sizeof(name) - 1);
    if (size > 0) name[size] = 0;
    path = name;
  }
  if (strncmp(path, root, root_size) == 0) path += root_size;
  snprintf(state->what, sizeof(state->what), "%s %.200s", call, path);
  return true;
}

static int refuse(void) {
  errno = fault_errno;
  return -1;
}

static int remember(int fd, bool below) {
  if (fd >= 0 && fd < MAX_FDS) ours[fd] = below;
  return fd;
}

// ---- names ----

static int open_any(int (*call)(const char*, int, ...), const char* path, int flags, mode_t mode) {
  const bool below = below_root(path);
  if (below && (flags & O_CREAT) && REAL(access)(path, F_OK) != 0 && fails(kMake, "open", -1, path)) return refuse();
  return remember(call(path, flags, mode), below);
}
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_any(REAL(open), path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open_any(REAL(open64), path, flags, mode);
}
int close(int fd) {
  if (fd >= 0 && fd < MAX_FDS) ours[fd] = 0;
  return REAL(close)(fd);
}
int rename(const char* from, const char* to) {
  return below_root(to) && fails(kMake, "rename", -1, to) ? refuse() : REAL(rename)(from, to);
}
int unlink(const char* path) { return below_root(path) && fails(kMake, "unlink", -1, path) ? refuse() : REAL(unlink)(path); }
int mkdir(const char* path, mode_t mode) {
  return below_root(path) && fails(kMake, "mkdir", -1, path) ? refuse() : REAL(mkdir)(path, mode);
}
int link(const char* from, const char* to) {
  return below_root(to) && fails(kMake, "link", -1, to) ? refuse() : REAL(link)(from, to);
}

// ---- bytes ----

ssize_t write(int fd, const void* bytes, size_t size) {
  if (!is_ours(fd) || !fails(kWrite, "write", fd, NULL)) return REAL(write)(fd, bytes, size);
  return fault_errno != 0 || size < 2 ? refuse() : REAL(write)(fd, bytes, size / 2);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  if (!is_ours(fd) || !fails(kWrite, "pwrite", fd, NULL)) return REAL(pwrite)(fd, bytes, size, at);
  return fault_errno != 0 || size < 2 ? refuse() : REAL(pwrite)(fd, bytes, size / 2, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  if (!is_ours(fd) || !fails(kWrite, "pwrite", fd, NULL)) return REAL(pwrite64)(fd, bytes, size, at);
  return fault_errno != 0 || size < 2 ? refuse() : REAL(pwrite64)(fd, bytes, size / 2, at);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  if (!is_ours(fd) || !fails(kWrite, "writev", fd, NULL)) return REAL(writev)(fd, parts, count);
  return fault_errno != 0 || count < 2 ? refuse() : REAL(writev)(fd, parts, count / 2);
}
int ftruncate(int fd, off_t size) { return is_ours(fd) && fails(kWrite, "ftruncate", fd, NULL) ? refuse() : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) {
  return is_ours(fd) && fails(kWrite, "ftruncate", fd, NULL) ? refuse() : REAL(ftruncate64)(fd, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  return is_ours(fd) && fails(kWrite, "fallocate", fd, NULL) ? fault_errno : REAL(posix_fallocate)(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
  return is_ours(fd) && fails(kWrite, "fallocate", fd, NULL) ? fault_errno : REAL(posix_fallocate64)(fd, at, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  return is_ours(fd) && fails(kWrite, "fallocate", fd, NULL) ? refuse() : REAL(fallocate)(fd, mode, at, size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  return is_ours(fd) && fails(kWrite, "fallocate", fd, NULL) ? refuse() : REAL(fallocate64)(fd, mode, at, size);
}
ssize_t read(int fd, void* bytes, size_t size) {
  return is_ours(fd) && fails(kRead, "read", fd, NULL) ? refuse() : REAL(read)(fd, bytes, size);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  return is_ours(fd) && fails(kRead, "pread", fd, NULL) ? refuse() : REAL(pread)(fd, bytes, size, at);
}
ssize_t pread64(int fd, void* bytes, size_t size, off64_t at) {
  return is_ours(fd) && fails(kRead, "pread", fd, NULL) ? refuse() : REAL(pread64)(fd, bytes, size, at);
}

// ---- syncs ----

int fsync(int fd) { return is_ours(fd) && fails(kSync, "fsync", fd, NULL) ? refuse() : REAL(fsync)(fd); }
int fdatasync(int fd) { return is_ours(fd) && fails(kSync, "fdatasync", fd, NULL) ? refuse() : REAL(fdatasync)(fd); }
