// What a measurement reads of its own process: wall time, CPU time, and how often the write-ahead log was synced.
#pragma once

#include <cstdint>

namespace maily::bench {

double WallSeconds();
// User and system time of all threads of this process.
double CpuSeconds();
// fdatasync and fsync calls on RocksDB's write-ahead logs (files that end in ".log"). Counted by this program's own definition of the two,
// which stands before that of the C library.
uint64_t WalSyncs();

// A repeatable source of uniform numbers (splitmix64).
class Uniform {
 public:
  explicit Uniform(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64); }

 private:
  uint64_t state_;
};

}  // namespace maily::bench
