// Which contacts a file had before: 64 bits of their keys, 10 to 13 bytes of memory each.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace maily::import {

inline constexpr size_t kDuplicateRowsMax = 4'000'000;

// Open addressing in parts by the first bits, at most four fifths full. A part grows by a quarter and by itself, so that never much more
// memory than that is taken. Keys are hashes: their bits are spread evenly. Thread: one at a time.
class Seen {
 public:
  // False: it was there already. True also when kDuplicateRowsMax are there. `contact_key` has 8 bytes or more.
  bool Add(std::string_view contact_key) {
    uint64_t print = 0;
    std::memcpy(&print, contact_key.data(), sizeof(print));
    print |= 1;  // zero marks an empty place
    Part& part = parts_[print >> (64 - kPartBits)];
    if (!part.places.empty() && *PlaceOf(part, print) == print) return false;
    if (count_ >= kDuplicateRowsMax) return true;
    if (5 * (part.count + 1) > 4 * part.places.size()) Grow(part);
    *PlaceOf(part, print) = print;
    ++part.count;
    ++count_;
    return true;
  }

  // Memory that it takes, itself apart.
  size_t bytes() const {
    size_t places = 0;
    for (const Part& part : parts_) places += part.places.capacity();
    return places * sizeof(uint64_t);
  }

 private:
  static constexpr int kPartBits = 8;
  static constexpr size_t kPlacesMin = 32;
  struct Part {
    std::vector<uint64_t> places;
    size_t count = 0;
  };

  // Where it is, or the empty place where it belongs.
  static uint64_t* PlaceOf(Part& part, uint64_t print) {
    const size_t size = part.places.size();
    auto at = static_cast<size_t>((static_cast<unsigned __int128>(print << kPartBits) * size) >> 64);
    while (part.places[at] != 0 && part.places[at] != print) at = at + 1 == size ? 0 : at + 1;
    return &part.places[at];
  }
  static void Grow(Part& part) {
    std::vector<uint64_t> old(std::max(kPlacesMin, part.places.size() + part.places.size() / 4));
    old.swap(part.places);
    for (const uint64_t one : old) {
      if (one != 0) *PlaceOf(part, one) = one;
    }
  }

  std::array<Part, size_t{1} << kPartBits> parts_;
  size_t count_ = 0;
};

}  // namespace maily::import
