// See checked_pages.h. A layer over SQLite's own file system: databases pass through Checked, other files are opened below it.
#include "projections/sql/sqlite/checked_pages.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include "streams/base/hash.h"
#include "streams/base/result.h"

namespace maily::sql {
namespace {

constexpr int kPageBytesMin = 512;
constexpr int kPageBytesMax = 65536;
constexpr std::string_view kMagic = "SQLite format 3";
constexpr size_t kReservedAt = 20;  // of the header: bytes reserved at the end of each page
constexpr size_t kPageSizeAt = 16;  // of the header: big-endian; 1 = 65536

thread_local std::string last_damage;

sqlite3_vfs* Below() { return sqlite3_vfs_find(nullptr); }

// What SQLite calls a file: its own part, then that of the file below.
struct Checked {
  sqlite3_file base;
  bool checks;
  sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(alignof(Checked) >= alignof(sqlite3_file) && sizeof(Checked) % alignof(void*) == 0);

Checked& Of(sqlite3_file* file) { return *reinterpret_cast<Checked*>(file); }
sqlite3_file* BelowOf(sqlite3_file* file) { return Of(file).below(); }

bool IsPage(int size, sqlite3_int64 offset) {
  return size >= kPageBytesMin && size <= kPageBytesMax && (size & (size - 1)) == 0 && offset % size == 0;
}
uint64_t SumOf(std::string_view page, sqlite3_int64 offset) {
  const uint64_t number = static_cast<uint64_t>(offset) / page.size() + 1;
  return Xxh3_64Chain(number, page.substr(0, page.size() - kPageChecksumBytes), 0);
}
bool SumFits(std::string_view page, sqlite3_int64 offset) {
  uint64_t stored = 0;
  std::memcpy(&stored, page.data() + page.size() - kPageChecksumBytes, sizeof(stored));
  if (stored == SumOf(page, offset)) return true;
  return std::ranges::all_of(page, [](char byte) { return byte == 0; });
}

// A file whose header denies checksums has none, unless that is what is damaged.
bool HasSums(sqlite3_file* below) {
  sqlite3_int64 size = 0;
  char header[kReservedAt + 1];
  if (below->pMethods->xFileSize(below, &size) != SQLITE_OK || size == 0) return true;
  if (below->pMethods->xRead(below, header, sizeof(header), 0) != SQLITE_OK) return true;
  if (std::string_view(header, kMagic.size()) != kMagic || header[kReservedAt] != 0) return true;
  int page_size = static_cast<uint8_t>(header[kPageSizeAt]) << 8 | static_cast<uint8_t>(header[kPageSizeAt + 1]);
  if (page_size == 1) page_size = kPageBytesMax;
  if (!IsPage(page_size, 0)) return true;
  std::vector<char> page(static_cast<size_t>(page_size));
  if (below->pMethods->xRead(below, page.data(), page_size, 0) != SQLITE_OK) return true;
  page[kReservedAt] = kPageChecksumBytes;
  return SumFits({page.data(), page.size()}, 0);
}

int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  sqlite3_file* const below = BelowOf(file);
  const int code = below->pMethods->xRead(below, to, size, offset);
  if (code != SQLITE_OK || !Of(file).checks || !IsPage(size, offset)) return code;
  if (SumFits({static_cast<const char*>(to), static_cast<size_t>(size)}, offset)) return code;
  last_damage = fmt::format("page {} at offset {} has a wrong checksum", offset / size + 1, offset);
  return SQLITE_IOERR_DATA;
}

int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  sqlite3_file* const below = BelowOf(file);
  if (!Of(file).checks || !IsPage(size, offset)) return below->pMethods->xWrite(below, from, size, offset);
  thread_local std::vector<char> page;
  const char* const bytes = static_cast<const char*>(from);
  page.assign(bytes, bytes + size);
  const uint64_t sum = SumOf({page.data(), page.size()}, offset);
  std::memcpy(page.data() + page.size() - kPageChecksumBytes, &sum, sizeof(sum));
  return below->pMethods->xWrite(below, page.data(), size, offset);
}

// Passes a call on to the file below.
template <auto Method, class... Args>
int Pass(sqlite3_file* file, Args... args) {
  sqlite3_file* const below = BelowOf(file);
  return (below->pMethods->*Method)(below, args...);
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,  // no memory maps: what they show is not read
    .xClose = &Pass<&sqlite3_io_methods::xClose>,
    .xRead = &Read,
    .xWrite = &Write,
    .xTruncate = &Pass<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
    .xSync = &Pass<&sqlite3_io_methods::xSync, int>,
    .xFileSize = &Pass<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
    .xLock = &Pass<&sqlite3_io_methods::xLock, int>,
    .xUnlock = &Pass<&sqlite3_io_methods::xUnlock, int>,
    .xCheckReservedLock = &Pass<&sqlite3_io_methods::xCheckReservedLock, int*>,
    .xFileControl = &Pass<&sqlite3_io_methods::xFileControl, int, void*>,
    .xSectorSize = &Pass<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = &Pass<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = &Pass<&sqlite3_io_methods::xShmMap, int, int, int, volatile void**>,
    .xShmLock = &Pass<&sqlite3_io_methods::xShmLock, int, int, int>,
    .xShmBarrier =
        [](sqlite3_file* file) {
          sqlite3_file* const below = BelowOf(file);
          below->pMethods->xShmBarrier(below);
        },
    .xShmUnmap = &Pass<&sqlite3_io_methods::xShmUnmap, int>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int Open(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return Below()->xOpen(Below(), name, file, flags, out_flags);
  Checked& checked = *new (file) Checked{};
  const int code = Below()->xOpen(Below(), name, checked.below(), flags, out_flags);
  if (code != SQLITE_OK) return code;  // its methods are null: it is not closed
  checked.checks = HasSums(checked.below());
  checked.base.pMethods = &kMethods;
  return SQLITE_OK;
}

sqlite3_vfs Made() {
  sqlite3_vfs vfs = *Below();
  vfs.iVersion = 2;
  vfs.pNext = nullptr;
  vfs.zName = "maily_checked_pages";
  vfs.szOsFile = static_cast<int>(sizeof(Checked)) + Below()->szOsFile;
  vfs.xOpen = &Open;
  vfs.xDelete = [](sqlite3_vfs*, const char* name, int sync) { return Below()->xDelete(Below(), name, sync); };
  vfs.xAccess = [](sqlite3_vfs*, const char* name, int flags, int* out) { return Below()->xAccess(Below(), name, flags, out); };
  vfs.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) { return Below()->xFullPathname(Below(), name, size, out); };
  vfs.xRandomness = [](sqlite3_vfs*, int size, char* out) { return Below()->xRandomness(Below(), size, out); };
  vfs.xSleep = [](sqlite3_vfs*, int microseconds) { return Below()->xSleep(Below(), microseconds); };
  vfs.xCurrentTime = [](sqlite3_vfs*, double* out) { return Below()->xCurrentTime(Below(), out); };
  vfs.xGetLastError = [](sqlite3_vfs*, int size, char* out) { return Below()->xGetLastError(Below(), size, out); };
  vfs.xCurrentTimeInt64 = [](sqlite3_vfs*, sqlite3_int64* out) { return Below()->xCurrentTimeInt64(Below(), out); };
  vfs.xDlOpen = nullptr;  // no extensions
  return vfs;
}

}  // namespace

const char* CheckedPages() {
  static sqlite3_vfs vfs = [] {
    sqlite3_initialize();
    return Made();
  }();
  static const int registered = sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
  MAILY_CHECK(registered == SQLITE_OK, "SQLite takes no file system: code {}", registered);
  return vfs.zName;
}

void ReservePageChecksums(sqlite3* db) {
  int bytes = kPageChecksumBytes;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

const std::string& LastDamage() { return last_damage; }

}  // namespace maily::sql
