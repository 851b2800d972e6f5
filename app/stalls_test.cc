// Tests which partitions are said to have commands that nobody decides.
#include "app/stalls.h"

#include <gtest/gtest.h>

namespace maily::app {
namespace {

using All = std::vector<uint16_t>;

TEST(Stalls, OnlyWhereCommandsWaitAndNoneIsDecidedForLong) {
  Stalls stalls;
  stalls.Look({{false, 3, 10}, {false, 0, 10}, {true, 3, 10}, {false, 3, 10}}, Seconds(1));
  EXPECT_EQ(stalls.stalled(), All{});
  stalls.Look({{false, 3, 10}, {false, 0, 10}, {true, 3, 10}, {false, 3, 11}}, Seconds(7));
  EXPECT_EQ(stalls.stalled(), All{0}) << "the others have nothing to do, are led here, or are decided elsewhere";
  stalls.Look({{false, 4, 11}, {false, 1, 10}, {true, 3, 10}, {false, 0, 11}}, Seconds(8));
  EXPECT_EQ(stalls.stalled(), All{}) << "somebody has decided one";
  stalls.Look({{false, 4, 11}, {false, 1, 10}, {true, 3, 10}, {false, 1, 11}}, Seconds(14));
  EXPECT_EQ(stalls.stalled(), (All{0, 1})) << "waiting begins anew where there was nothing";
}

}  // namespace
}  // namespace maily::app
