// How full a file system is, as an operator's `df` counts it, and what doctor says of that.
#pragma once

#include <cstdint>
#include <string>

namespace maily {

// Sizes in blocks of `block_size` bytes, as statvfs(3) gives them. `available` is what a process without privileges may
// still take; `blocks - free` is what files take. The rest is reserved and counts as neither.
struct DiskRoom {
  std::uint64_t blocks = 0;
  std::uint64_t free = 0;
  std::uint64_t available = 0;
  std::uint64_t block_size = 1;

  // Share of what could be used that is used, 0 to 100; 100 for a file system without any room.
  double UsedPercent() const;
  // Bytes that may still be written.
  std::uint64_t AvailableBytes() const;
};

enum class DiskLevel { kOk, kWarn, kFail };

// Warns above 80 % used and fails above 90 %. A share says little of a large disk: with 100 GiB left nothing is said, and with
// 20 GiB left it stays a warning.
DiskLevel Judge(const DiskRoom& room);

// "46 % used, 50.1 GiB left".
std::string Describe(const DiskRoom& room);

}  // namespace maily
