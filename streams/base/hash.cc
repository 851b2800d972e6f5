// See hash.h.
#include "streams/base/hash.h"

#include <cstring>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace maily {

uint64_t Xxh3_64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t Xxh3_64Chain(uint64_t seed_hash, std::string_view a, uint64_t b) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, &seed_hash, sizeof(seed_hash));
  XXH3_64bits_update(&state, a.data(), a.size());
  XXH3_64bits_update(&state, &b, sizeof(b));
  return XXH3_64bits_digest(&state);
}

Hash128 Xxh3_128(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

uint32_t Murmur2(std::string_view bytes) {
  constexpr uint32_t kSeed = 0x9747b28c;
  constexpr uint32_t kM = 0x5bd1e995;
  constexpr int kR = 24;
  const auto size = static_cast<uint32_t>(bytes.size());
  uint32_t h = kSeed ^ size;
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    uint32_t k = 0;
    std::memcpy(&k, bytes.data() + i, 4);
    k *= kM;
    k ^= k >> kR;
    k *= kM;
    h *= kM;
    h ^= k;
  }
  uint32_t tail = 0;
  for (size_t j = bytes.size(); j > i; --j) tail = (tail << 8) | static_cast<uint8_t>(bytes[j - 1]);
  if (i < bytes.size()) {
    h ^= tail;
    h *= kM;
  }
  h ^= h >> 13;
  h *= kM;
  h ^= h >> 15;
  return h & 0x7fffffff;
}

}  // namespace maily
