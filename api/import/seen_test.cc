#include "api/import/seen.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace maily::import {
namespace {

std::string Key(uint64_t bits) { return std::string(reinterpret_cast<const char*>(&bits), sizeof(bits)); }

TEST(Seen, KnowsWhatItHad) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Seen seen;
  std::set<uint64_t> had;
  for (int i = 0; i < 50'000; ++i) {
    // Few enough to repeat, and of all parts.
    const uint64_t bits = ((random() % 30'000) * 0x9E3779B97F4A7C15ULL) | 1;
    EXPECT_EQ(seen.Add(Key(bits)), had.insert(bits).second);
  }
}

TEST(Seen, KeysThatBeginAlikeAreAllKept) {
  Seen seen;
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(seen.Add(Key(~uint64_t{0} - 2 * i)));
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_FALSE(seen.Add(Key(~uint64_t{0} - 2 * i)));
}

TEST(Seen, TakesThirteenBytesAKeyAtMost) {
  std::mt19937_64 random(7);
  Seen seen;
  size_t count = 0;
  for (const size_t upto : {100'000UL, 170'000UL, 300'000UL, 700'000UL}) {
    while (count < upto) count += seen.Add(Key(random())) ? 1 : 0;
    EXPECT_LT(seen.bytes(), 13 * count) << count;
  }
}

}  // namespace
}  // namespace maily::import
