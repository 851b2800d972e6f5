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
  Keys keys;
  const uint64_t opener = AttemptSlots(slots, 16, keys.entropy).opener();
  // Killed after: nothing, Open, DotSent, Replied, Free.
  for (int kill = 0; kill < 5; ++kill) {
    {
      AttemptSlots dying(slots, 16, keys.entropy);
      EXPECT_EQ(dying.opener(), opener);
      dying.ForgetLeftovers(PartitionId(2), {});
      std::optional<size_t> slot;
      if (kill >= 1) slot = dying.Open(kKey, Epoch(4));
      if (kill >= 1) {
        EXPECT_EQ(dying.Find(kKey, opener).last, Last::kUnderWay);
      }
      if (kill >= 2) dying.DotSent(*slot);
      if (kill >= 3) dying.Replied(*slot, kReply);
      if (kill >= 4) dying.Free(*slot);
    }
    const AttemptSlots next(slots, 16, keys.entropy);
    const AttemptSlots::Found found = next.Find(kKey, opener);
    EXPECT_EQ(found.last, kill == 2 ? Last::kUnknown : kill == 3 ? Last::kReplied : Last::kNeverSent) << kill;
    if (kill == 3) {
      EXPECT_EQ(found.result, kReply);
    }
    AttemptKey other = kKey;
    other.attempt = 4;
    EXPECT_EQ(next.Find(other, opener).last, Last::kNeverSent);
  }
}

// What was written last may be gone: that the dot was sent.
TEST(AttemptSlots, OfADamagedSlotItIsNotSaidThatNothingWasSent) {
  for (int stage = 1; stage <= 3; ++stage) {
    MemorySlots slots(24);
    Keys keys;
    uint64_t opener = 0;
    {
      AttemptSlots dying(slots, 16, keys.entropy);
      opener = dying.opener();
      slots.doubtful = *dying.Open(kKey, Epoch(4));
      if (stage >= 2) dying.DotSent(slots.doubtful);
      if (stage >= 3) dying.Replied(slots.doubtful, kReply);
    }
    const AttemptSlots next(slots, 16, keys.entropy);
    EXPECT_EQ(next.Find(kKey, opener).last, stage == 3 ? Last::kReplied : Last::kUnknown) << stage;
  }
}

// Of what was opened under another boot, in the file that this one is a copy of, or by another process, these slots know nothing.
TEST(AttemptSlots, AnotherBootOrPlaceIsAnotherOpener) {
  for (const bool boots : {true, false}) {
    MemorySlots slots(24);
    Keys keys;
    uint64_t before = 0;
    {
      AttemptSlots first(slots, 16, keys.entropy);
      before = first.opener();
      first.DotSent(*first.Open(kKey, Epoch(1)));
    }
    (boots ? slots.boot : slots.at) = "another";
    const AttemptSlots next(slots, 16, keys.entropy);
    EXPECT_NE(next.opener(), before);
    EXPECT_EQ(next.Find(kKey, before).last, Last::kElsewhere);
    EXPECT_EQ(next.Find(kKey, 0).last, Last::kElsewhere);
    EXPECT_EQ(next.Find(kKey, next.opener()).last, Last::kNeverSent);
    EXPECT_EQ(next.free_count(), 8u);
    // And does not learn it later.
    EXPECT_EQ(AttemptSlots(slots, 16, keys.entropy).opener(), next.opener());
    EXPECT_EQ(AttemptSlots(slots, 16, keys.entropy).free_count(), 8u);
  }
}

// A slot's bytes after each step, of boot "boot" at place "here", and what they mean to the next process.
TEST(AttemptSlots, GoldenBytes) {
  const std::string identity =
      "490e5a944ce7313423"  // kind, XXH3_64("boot"),
      "5d45d8e68602ce46"    // XXH3_64("here"),
      "0807060504030201";   // opener
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
  Keys keys;
  slots.Write(0, Unhex(identity));
  {
    AttemptSlots attempts(slots, 16, keys.entropy);
    EXPECT_EQ(attempts.opener(), 0x0102030405060708u);
    EXPECT_EQ(Hex(slots.Read(0)), identity);
    const size_t slot = attempts.Open(kKey, Epoch(4)).value();
    EXPECT_EQ(slot, 16u);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "01" + "00" + "0000" + "00" + "0000000000");
    attempts.DotSent(slot);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "02" + "00" + "0000" + "00" + "0000000000");
    attempts.Replied(slot, kReply);
    EXPECT_EQ(Hex(slots.Read(slot)), begun + "03" + "03" + "2602" + "04" + "0501000a00");
  }
  MemorySlots written(18);
  written.Write(0, Unhex(identity));
  written.Write(17, Unhex(begun + "03" + "03" + "2602" + "04" + "0501000a00"));
  const AttemptSlots next(written, 16, keys.entropy);
  EXPECT_EQ(next.Find(kKey, next.opener()).last, Last::kReplied);
  EXPECT_EQ(next.Find(kKey, next.opener()).result, kReply);
}

TEST(AttemptSlots, SlotsAreABoundedRing) {
  MemorySlots slots(18);
  Keys keys;
  AttemptSlots attempts(slots, 16, keys.entropy);
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
  Keys keys;
  AttemptKey settled = kKey, other_partition = kKey;
  settled.ordinal = 5;
  other_partition.partition = PartitionId(9);
  {
    AttemptSlots dying(slots, 16, keys.entropy);
    for (const AttemptKey& key : {kKey, settled, other_partition}) dying.DotSent(*dying.Open(key, Epoch(1)));
  }
  AttemptSlots next(slots, 16, keys.entropy);
  const uint64_t opener = next.opener();
  next.ForgetLeftovers(PartitionId(2), {kKey});
  EXPECT_EQ(next.Find(settled, opener).last, Last::kNeverSent);
  EXPECT_EQ(next.Find(kKey, opener).last, Last::kUnknown);
  EXPECT_EQ(next.Find(other_partition, opener).last, Last::kUnknown);
  EXPECT_EQ(next.free_count(), 6u);
  next.ForgetLeftover(kKey);
  EXPECT_EQ(next.free_count(), 7u);
  EXPECT_EQ(AttemptSlots(slots, 16, keys.entropy).Find(kKey, opener).last, Last::kNeverSent);
}

}  // namespace
}  // namespace maily::smtp
