// Sets of contacts as bits: bit i % 8 of byte i / 8 is place i of a chunk; trailing zero bytes are left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maily::audience {

inline constexpr uint64_t kBitsOrdinals = 4096;  // of a chunk [format]

inline bool BitAt(std::string_view bits, uint64_t at) {
  return at / 8 < bits.size() && (static_cast<uint8_t>(bits[at / 8]) >> (at % 8) & 1) != 0;
}
// Grows as it must; takes trailing zero bytes off.
void SetBit(std::string& bits, uint64_t at, bool member);

// An ordinal's (from 1) chunk, and its place there.
inline uint64_t ChunkOf(uint64_t ordinal) { return (ordinal - 1) / kBitsOrdinals; }
inline uint64_t PlaceOf(uint64_t ordinal) { return (ordinal - 1) % kBitsOrdinals; }

}  // namespace maily::audience
