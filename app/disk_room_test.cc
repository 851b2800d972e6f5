#include "app/disk_room.h"

#include <gtest/gtest.h>

namespace maily {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

// In blocks of one GiB.
DiskRoom Room(std::uint64_t blocks, std::uint64_t free, std::uint64_t available) {
  return {.blocks = blocks, .free = free, .available = available, .block_size = kGiB};
}

TEST(DiskRoom, WhatIsReservedIsNotUsed) {
  const DiskRoom room = Room(252, 195, 35);  // 57 taken, 160 reserved
  EXPECT_NEAR(room.UsedPercent(), 100.0 * 57 / 92, 1e-9);
  EXPECT_EQ(room.AvailableBytes(), 35 * kGiB);
  EXPECT_EQ(Describe(room), "62 % used, 35.0 GiB left");
  EXPECT_EQ(Judge(room), DiskLevel::kOk);
}

TEST(DiskRoom, ASmallDiskWarnsAtEightyAndFailsAtNinety) {
  EXPECT_EQ(Judge(Room(100, 20, 20)), DiskLevel::kOk);
  EXPECT_EQ(Judge(Room(100, 19, 19)), DiskLevel::kWarn);
  EXPECT_EQ(Judge(Room(100, 10, 10)), DiskLevel::kWarn);
  EXPECT_EQ(Judge(Room(100, 9, 9)), DiskLevel::kFail);
}

TEST(DiskRoom, ALargeDiskIsJudgedByWhatIsLeft) {
  EXPECT_EQ(Judge(Room(4000, 150, 150)), DiskLevel::kOk);
  EXPECT_EQ(Judge(Room(4000, 50, 50)), DiskLevel::kWarn);
  EXPECT_EQ(Judge(Room(4000, 19, 19)), DiskLevel::kFail);
}

TEST(DiskRoom, ADiskWithoutAnyRoomIsFull) {
  EXPECT_EQ(Room(0, 0, 0).UsedPercent(), 100.0);
  EXPECT_EQ(Judge(Room(0, 0, 0)), DiskLevel::kFail);
}

}  // namespace
}  // namespace maily
