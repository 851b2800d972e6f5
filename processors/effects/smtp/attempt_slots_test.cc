// What a new process learns from the slots of one that was killed at each point.
#include "processors/effects/smtp/attempt_slots.h"

#include <gtest/gtest.h>

#include "processors/effects/smtp/fixture.h"
#include "tests/hex.h"

namespace maily::smtp {
namespace {

using test::Hex;
using test::Unhex;

using Last = AttemptSlots::Last;

const AttemptKey kKey{TenantId(1), PartitionId(2), 7, 1000, 3};
const SlotResult kReply{.result = 3, .code = 550, .stage = 4, .enhanced = "5.1.10"};

TEST(AttemptSlots, AKilledProcessLeavesHowFarItCame) {
  MemorySlots slots(24);
  {
    AttemptSlots first(slots, 16);
    EXPECT_FALSE(first.Trusted(PartitionId(2)));
    first.Trust(PartitionId(2));
  }
  // Killed after: nothing, Open, DotSent, Replied, Free.
  for (int kill = 0; kill < 5; ++kill) {
    {
      AttemptSlots dying(slots, 16);
      EXPECT_TRUE(dying.Trusted(PartitionId(2)));
      EXPECT_FALSE(dying.Trusted(PartitionId(3)));
      dying.ForgetLeftovers(PartitionId(2), {});
      std::optional<size_t> slot;
      if (kill >= 1) slot = dying.Open(kKey, Epoch(4));
      if (kill >= 1) {
        EXPECT_EQ(dying.Find(kKey).last, Last::kUnderWay);
      }
      if (kill >= 2) dying.DotSent(*slot);
      if (kill >= 3) dying.Replied(*slot, kReply);
      if (kill >= 4) dying.Free(*slot);
    }
    const AttemptSlots next(slots, 16);
    const AttemptSlots::Found found = next.Find(kKey);
    EXPECT_EQ(found.last, kill == 2 ? Last::kUnknown : kill == 3 ? Last::kReplied : Last::kNeverSent) << kill;
    if (kill == 3) {
      EXPECT_EQ(found.result, kReply);
    }
    AttemptKey other = kKey;
    other.attempt = 4;
    EXPECT_EQ(next.Find(other).last, Last::kNeverSent);
  }
}

TEST(AttemptSlots, AnotherBootProvesNothing) {
  MemorySlots slots(24);
  {
    AttemptSlots first(slots, 16);
    first.Trust(PartitionId(2));
    first.Open(kKey, Epoch(1));
  }
  slots.boot = "another";
  AttemptSlots next(slots, 16);
  EXPECT_FALSE(next.Trusted(PartitionId(2)));
  EXPECT_EQ(next.free_count(), 8u);
}

// A slot's bytes after each step, of boot "boot", and what they mean to the next process.
TEST(AttemptSlots, GoldenBytes) {
  const std::string trusted = "480e5a944ce7313423";  // kind, XXH3_64("boot")
  // Kind, boot, tenant, partition, campaign, ordinal, attempt, epoch; then stage, result, code, stage of the reply, enhanced code.
  const std::string begun =
      "410e5a944ce7313423"
      "01000000"
      "0200"
      "0700000000000000"
      "e803000000000000"
      "03000000"
      "0400000000000000";
  MemorySlots slots(18);
  {
    AttemptSlots attempts(slots, 16);
    attempts.Trust(PartitionId(2));
    EXPECT_EQ(Hex(slots.Read(2)), trusted);
    const size_t slot = attempts.Open(kKey, Epoch(4)).value();
    EXPECT_EQ(slot, 16u);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "01" + "00" + "0000" + "00" + "0000000000");
    attempts.DotSent(slot);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "02" + "00" + "0000" + "00" + "0000000000");
    attempts.Replied(slot, kReply);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "03" + "03" + "2602" + "04" + "0501000a00");
  }
  MemorySlots written(18);
  written.Write(2, Unhex(trusted));
  written.Write(17, Unhex(begun + "03" + "03" + "2602" + "04" + "0501000a00"));
  const AttemptSlots next(written, 16);
  EXPECT_TRUE(next.Trusted(PartitionId(2)));
  EXPECT_EQ(next.Find(kKey).last, Last::kReplied);
  EXPECT_EQ(next.Find(kKey).result, kReply);
}

TEST(AttemptSlots, SlotsAreABoundedRing) {
  MemorySlots slots(18);
  AttemptSlots attempts(slots, 16);
  AttemptKey a = kKey, b = kKey, c = kKey;
  b.ordinal = 2;
  c.ordinal = 3;
  const auto first = attempts.Open(a, Epoch(1));
  ASSERT_TRUE(first && attempts.Open(b, Epoch(1)));
  EXPECT_FALSE(attempts.Open(c, Epoch(1)));
  attempts.Free(*first);
  EXPECT_TRUE(attempts.Open(c, Epoch(1)));
}

TEST(AttemptSlots, LeftoversStayUntilTheirResultIsDurable) {
  MemorySlots slots(24);
  AttemptKey settled = kKey, other_partition = kKey;
  settled.ordinal = 5;
  other_partition.partition = PartitionId(9);
  {
    AttemptSlots dying(slots, 16);
    for (const AttemptKey& key : {kKey, settled, other_partition}) dying.DotSent(*dying.Open(key, Epoch(1)));
  }
  AttemptSlots next(slots, 16);
  next.ForgetLeftovers(PartitionId(2), {kKey});
  EXPECT_EQ(next.Find(settled).last, Last::kNeverSent);
  EXPECT_EQ(next.Find(kKey).last, Last::kUnknown);
  EXPECT_EQ(next.Find(other_partition).last, Last::kUnknown);
  EXPECT_EQ(next.free_count(), 6u);
  next.ForgetLeftover(kKey);
  EXPECT_EQ(next.free_count(), 7u);
  EXPECT_EQ(AttemptSlots(slots, 16).Find(kKey).last, Last::kNeverSent);
}

}  // namespace
}  // namespace maily::smtp
