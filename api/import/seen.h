// Which contacts a file had before: 64 bits of their keys, 16 bytes of memory each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace maily::import {

inline constexpr size_t kDuplicateRowsMax = 4'000'000;

// Open addressing, at most half full. Thread: one at a time.
class Seen {
 public:
  // False: it was there already. True also when kDuplicateRowsMax are there. `contact_key` has 8 bytes or more.
  bool Add(std::string_view contact_key) {
    uint64_t print = 0;
    std::memcpy(&print, contact_key.data(), sizeof(print));
    print |= 1;  // zero marks an empty place
    if (2 * (count_ + 1) > places_.size()) {
      if (count_ >= kDuplicateRowsMax) return !Find(print);
      std::vector<uint64_t> old(std::max<size_t>(1024, places_.size() * 2));
      old.swap(places_);
      for (const uint64_t one : old) {
        if (one != 0) Insert(one);
      }
    }
    if (Find(print)) return false;
    Insert(print);
    ++count_;
    return true;
  }

 private:
  bool Find(uint64_t print) const {
    for (size_t i = print >> 1;; ++i) {
      const uint64_t there = places_[i & (places_.size() - 1)];
      if (there == 0) return false;
      if (there == print) return true;
    }
  }
  void Insert(uint64_t print) {
    size_t i = print >> 1;
    while (places_[i & (places_.size() - 1)] != 0) ++i;
    places_[i & (places_.size() - 1)] = print;
  }
  std::vector<uint64_t> places_;
  size_t count_ = 0;
};

}  // namespace maily::import
