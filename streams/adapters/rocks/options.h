// The limits of all RocksDB databases of the process, in one place: memory, open files, the disk kept in reserve.
//
// Memory of all of them together, at most:
//   block_cache_bytes                  blocks of every database, and what the log's index and filter take
// + 1.5 bytes a key                    filters and indexes of stores: of kv_open_files_max files each, about 2 MiB a file
// + 3 * log_memtable_bytes             the log: one memtable generation being filled and two being flushed
// + 2 * state_memtable_bytes           all key-value stores together, plus the batch being written
// + about 1 MiB a database             file handles, column families, arenas
// Disk beyond the data itself: the log's WAL files are at most 3 * log_memtable_bytes; that is also what a restart replays. One more is
// laid out ahead (laid_out_wals.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace maily::rocks {

struct Limits {
  // One cache for all databases. Smaller: more reads from the page cache of the system; correctness does not depend on it.
  size_t block_cache_bytes = 32 << 20;
  // Bytes appended to the log between two flushes of its memtables. Larger: fewer, larger files; longer restart.
  size_t log_memtable_bytes = 20 << 20;
  // Unflushed bytes of all key-value stores together at which one is flushed early.
  size_t state_memtable_bytes = 32 << 20;
  // Open table files: of the log, and of each key-value store. The rest is opened on demand.
  int log_open_files_max = 256;
  int kv_open_files_max = 128;
  // Free bytes of the file system below which appends to the log are refused, so that flushes can still end and reads go on.
  uint64_t disk_reserve_bytes = 64 << 20;
};

// What the databases of the process share: cache, memtable budget, threads. Make one, before the first Open; it outlives every
// database opened with it. Thread: any.
class Resources {
 public:
  explicit Resources(const Limits& limits);
  ~Resources();

  const Limits& limits() const;

  struct Impl;                                     // options_internal.h
  explicit Resources(std::unique_ptr<Impl> impl);  // for tests
  Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::rocks
