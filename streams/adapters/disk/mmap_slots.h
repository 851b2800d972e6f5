// Slots in a memory-mapped file: what is written is in the page cache at once, so it outlives kill -9, without a system call.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "streams/base/result.h"
#include "streams/port/slots.h"

namespace maily::disk {

// The file: 16 bytes {"MAILYSL1", slot count}, then for each slot two copies of 80 bytes
// {checksum 8, sequence 4, length 4, bytes 64}, little-endian. A write goes to the older copy, so that a process killed half-way
// through leaves the slot as it was before. A copy that is neither empty nor fits its checksum makes its slot doubtful: it is told in the
// log, with its offset in the file.
class MmapSlots : public Slots {
 public:
  // Makes the file if there is none, with its blocks allocated: a full disk is met here (kRetry) and not by a write. A file with
  // fewer slots grows; one with more keeps them all, so that a smaller restart still reads the old ones. kCorrupt: not such a file.
  // At most one process may have it open.
  static Result<std::unique_ptr<MmapSlots>> Open(const std::string& path, size_t count);
  ~MmapSlots() override;

  size_t count() const override { return count_; }
  std::string Read(size_t slot) const override;
  bool Doubtful(size_t slot) const override { return doubtful_.contains(slot); }
  void Write(size_t slot, std::string_view bytes) override;
  // The kernel's random boot id, 36 characters.
  std::string boot_id() const override { return boot_id_; }
  // Device and inode of the file.
  std::string place() const override { return place_; }

 private:
  MmapSlots(char* memory, size_t size, size_t count, std::string boot_id, std::string place)
      : memory_(memory), size_(size), count_(count), boot_id_(std::move(boot_id)), place_(std::move(place)) {}
  void FindDoubtful(const std::string& path);

  char* const memory_;
  const size_t size_;
  const size_t count_;
  const std::string boot_id_;
  const std::string place_;
  std::unordered_set<size_t> doubtful_;  // constant after Open
};

}  // namespace maily::disk
