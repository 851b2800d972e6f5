// The mapping, and which of a slot's two copies holds.
#include "streams/adapters/disk/mmap_slots.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "streams/base/hash.h"
#include "streams/observe/logging.h"

namespace maily::disk {
namespace {

struct Header {
  char magic[8];
  uint64_t count;
};
struct Copy {
  uint64_t checksum;
  uint32_t sequence;  // grows with every write of the slot; compared modulo 2^32
  uint32_t length;
  char bytes[Slots::kSlotBytesMax];
};
static_assert(sizeof(Header) == 16 && sizeof(Copy) == 80);
constexpr char kMagic[9] = "MAILYSL1";

size_t FileSize(size_t count) { return sizeof(Header) + count * 2 * sizeof(Copy); }

size_t OffsetOf(size_t slot, size_t which) { return sizeof(Header) + (slot * 2 + which) * sizeof(Copy); }

uint64_t Checksum(const Copy& copy, size_t slot) {
  const char* from = reinterpret_cast<const char*>(&copy) + sizeof(copy.checksum);
  return Xxh3_64Chain(0, {from, sizeof(copy) - sizeof(copy.checksum)}, slot);
}

Copy Load(const char* memory, size_t slot, size_t which) {
  Copy copy;
  std::memcpy(&copy, memory + OffsetOf(slot, which), sizeof(copy));
  return copy;
}

bool Holds(const Copy& copy, size_t slot) { return copy.length <= Slots::kSlotBytesMax && copy.checksum == Checksum(copy, slot); }

// The copy that holds the slot's last whole write; -1 if neither does.
int Newest(const char* memory, size_t slot, Copy& newest) {
  int found = -1;
  for (size_t which = 0; which < 2; ++which) {
    const Copy copy = Load(memory, slot, which);
    if (!Holds(copy, slot)) continue;
    if (found < 0 || static_cast<int32_t>(copy.sequence - newest.sequence) > 0) {
      found = static_cast<int>(which);
      newest = copy;
    }
  }
  return found;
}

// Closes on the way out.
struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Result<std::unique_ptr<MmapSlots>> MmapSlots::Open(const std::string& path, size_t count) {
  const Descriptor file{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (file.fd < 0) return Fail(Code::kFatal, "open {}: {}", path, std::strerror(errno));
  struct stat stat{};
  if (fstat(file.fd, &stat) != 0) return Fail(Code::kFatal, "stat {}: {}", path, std::strerror(errno));
  const auto bytes_before = static_cast<size_t>(stat.st_size);
  Header header{};
  // A file shorter than its header is one whose making was interrupted: it holds nothing yet.
  if (bytes_before >= sizeof(header)) {
    if (pread(file.fd, &header, sizeof(header), 0) != sizeof(header)) return Fail(Code::kFatal, "read {}: {}", path, std::strerror(errno));
    const Header empty{};
    if (std::memcmp(&header, &empty, sizeof(header)) != 0 && std::memcmp(header.magic, kMagic, sizeof(header.magic)) != 0) {
      return Fail(Code::kCorrupt, "{} is not a slot file", path);
    }
    if (header.count > 1'000'000) return Fail(Code::kCorrupt, "{}: impossible slot count {}", path, header.count);
    count = std::max<size_t>(count, header.count);
  }
  const size_t size = FileSize(count);
  if (const int error = posix_fallocate(file.fd, 0, static_cast<off_t>(size)); error != 0) {
    return Fail(Code::kRetry, "allocate {} bytes for {}: {}", size, path, std::strerror(error));
  }
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
  if (memory == MAP_FAILED) return Fail(Code::kFatal, "mmap {}: {}", path, std::strerror(errno));
  std::memcpy(header.magic, kMagic, sizeof(header.magic));
  header.count = count;
  std::memcpy(memory, &header, sizeof(header));

  std::string boot_id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot_id;
  if (boot_id.empty()) {
    munmap(memory, size);
    return Fail(Code::kFatal, "the kernel tells no boot id");
  }
  std::unique_ptr<MmapSlots> slots(new MmapSlots(static_cast<char*>(memory), size, count, std::move(boot_id),
                                                 std::to_string(stat.st_dev) + ":" + std::to_string(stat.st_ino)));
  slots->FindDoubtful(path);
  return slots;
}

void MmapSlots::FindDoubtful(const std::string& path) {
  const Copy empty{};
  for (size_t slot = 0; slot < count_; ++slot) {
    for (size_t which = 0; which < 2; ++which) {
      const Copy copy = Load(memory_, slot, which);
      if (Holds(copy, slot) || std::memcmp(&copy, &empty, sizeof(copy)) == 0) continue;
      doubtful_.insert(slot);
      observe::Log(observe::Level::kWarn, "a slot is damaged: what it held before is taken",
                   {{"file", path}, {"slot", slot}, {"offset", OffsetOf(slot, which)}});
    }
  }
}

MmapSlots::~MmapSlots() { munmap(memory_, size_); }

std::string MmapSlots::Read(size_t slot) const {
  MAILY_CHECK(slot < count_, "slot {} of {}", slot, count_);
  Copy copy;
  if (Newest(memory_, slot, copy) < 0) return {};
  return {copy.bytes, copy.length};
}

void MmapSlots::Write(size_t slot, std::string_view bytes) {
  MAILY_CHECK(slot < count_ && bytes.size() <= kSlotBytesMax, "{} bytes to slot {} of {}", bytes.size(), slot, count_);
  Copy newest{};
  const int holds = Newest(memory_, slot, newest);
  Copy made{};
  made.sequence = newest.sequence + 1;
  made.length = static_cast<uint32_t>(bytes.size());
  if (!bytes.empty()) std::memcpy(made.bytes, bytes.data(), bytes.size());  // memcpy takes no null, not even for nothing
  made.checksum = Checksum(made, slot);
  const size_t which = holds == 0 ? 1 : 0;
  std::memcpy(memory_ + OffsetOf(slot, which), &made, sizeof(made));
}

}  // namespace maily::disk
