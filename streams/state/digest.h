// The digest of a state: does not depend on the order of its entries.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/hash.h"

namespace maily::state {

// Sum mod 2^128 of XXH3_128 over (type ‖ key ‖ 0 ‖ value) of all entries.
class DigestSum {
 public:
  // `kv_key` = type ‖ key, as in the store.
  void Add(std::string_view kv_key, std::string_view value) {
    row_.assign(kv_key).append(1, '\0').append(value);
    const Hash128 hash = Xxh3_128(row_);
    sum_.low += hash.low;
    sum_.high += hash.high + (sum_.low < hash.low ? 1 : 0);
  }
  const Hash128& sum() const { return sum_; }

 private:
  Hash128 sum_;
  std::string row_;
};

}  // namespace maily::state
