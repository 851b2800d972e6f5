// Keeps a record of what this process does to the files below a directory by the calls of POSIX: for what does not go through RocksDB's
// FileSystem. The calls themselves are made. What is mapped into memory is not seen.
#pragma once

#include <string>
#include <vector>

#include "tests/power/memory_disk.h"

namespace maily::power {

// At most one at a time. Names in its operations are relative to the directory.
class PosixRecorder {
 public:
  explicit PosixRecorder(const std::string& directory);
  ~PosixRecorder();
  PosixRecorder(const PosixRecorder&) = delete;
  PosixRecorder& operator=(const PosixRecorder&) = delete;

  size_t op_count() const;
  std::vector<DiskOp> TakeOps();
};

}  // namespace maily::power
