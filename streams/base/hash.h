// The hashes that stored bytes depend on: XXH3 for checks and chains, murmur2 for partitions.
#pragma once

#include <cstdint>
#include <string_view>

namespace maily {

// XXH3_64 with seed 0 (xxHash 0.8): the check of every header and the link of the journal's chain.
uint64_t Xxh3_64(std::string_view bytes);
// The same over `seed_hash` (8 little-endian bytes) followed by a, then b: chain' = H(chain ‖ header ‖ body hash).
uint64_t Xxh3_64Chain(uint64_t seed_hash, std::string_view a, uint64_t b);

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};
// XXH3_128 with seed 0: the digest of a canonical row.
Hash128 Xxh3_128(std::string_view bytes);

// Kafka's default partitioner hash (org.apache.kafka.common.utils.Utils.murmur2), made positive as Kafka does.
uint32_t Murmur2(std::string_view bytes);

}  // namespace maily
