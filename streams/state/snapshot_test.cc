// Snapshots of a store: what goes in comes out, whatever is wrong is noticed, and old ones go.
#include "streams/state/snapshot.h"

#include <gtest/gtest.h>

#include <random>

#include "streams/adapters/sim/sim_blobs.h"
#include "streams/state/map_kv.h"
#include "streams/state/store.h"
#include "streams/state/timers.h"

namespace maily::state {
namespace {

const LogId kLog = LogId::From("0123456789abcdef");
const PartitionId kPartition(3);

journal::Position At(uint64_t lsn) {
  journal::Position position;
  position.log_id = kLog;
  position.partition = kPartition;
  position.epoch = Epoch(2);
  position.seq = lsn;
  position.lsn = Lsn(lsn);
  position.chain = lsn * 77;
  position.at_genesis = false;
  return position;
}

struct SnapshotTest : ::testing::Test {
  // A store with `count` entries, which stands at `lsn`.
  void Fill(Disk& disk, uint64_t lsn, int count) {
    auto store = Store::Open(std::make_unique<MapKv>(disk), kLog, kPartition, {.fold_version = "a=1"}).value();
    Timers timers(store->cache());
    for (int i = 0; i < count; ++i) timers.Arm(Instant{i * 7}, TenantId(1), 1, fmt::format("timer {}", i));
    store->Freeze(At(lsn));
    store->WriteFrozen().value();
  }
  Result<Snapshot> Take(Disk& disk, size_t part_bytes = 500, uint64_t chance = 1) {
    MapKv kv(disk);
    SnapshotWriter writer(place, kv.View().value(), {"build", chance, part_bytes});
    for (;;) {
      MAILY_TRY(const bool more, writer.Step(Instant{1'000'000}));
      if (!more) return writer.snapshot();
    }
  }
  // "complete", or what is the trouble.
  std::string Load(const Snapshot& snapshot, Disk& disk) {
    MapKv kv(disk);
    SnapshotLoader loader(place, snapshot, kv);
    for (;;) {
      const auto state = loader.Step();
      if (!state) return state.error().ToString();
      if (*state == SnapshotLoader::State::kUnusable) return loader.trouble();
      if (*state == SnapshotLoader::State::kComplete) return "complete";
    }
  }
  std::vector<std::string> Parts() {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : blobs.content()) {
      if (name.find("/parts/") != std::string::npos) names.push_back(name);
    }
    return names;
  }

  sim::Scheduler scheduler{1};
  sim::SimBlobs blobs{scheduler};
  SnapshotPlace place{blobs, kLog, kPartition};
};

TEST_F(SnapshotTest, AStoreComesBackAsItWas) {
  for (const int count : {1, 2, 100, 3000}) {
    SCOPED_TRACE(count);
    Disk disk, other;
    Fill(disk, 5, count);
    const Snapshot taken = Take(disk).value();
    EXPECT_EQ(taken.entries, static_cast<uint64_t>(count));
    EXPECT_EQ(taken.parts.size() > 1, count >= 100);
    Fill(other, 9, 17);  // what it held goes
    ASSERT_EQ(Load(place.Read(taken.id).value(), other), "complete");
    EXPECT_EQ(other.flushed, disk.flushed);
    auto store = Store::Open(std::make_unique<MapKv>(other), kLog, kPartition, {.fold_version = "a=1"}).value();
    EXPECT_EQ(store->position(), At(5));
    const Hash128 digest = store->Digest().value();
    EXPECT_EQ(digest, taken.digest);
  }
}

TEST_F(SnapshotTest, ThereIsNothingToTakeOfAStoreThatStandsAfterNoFrame) {
  Disk disk;
  Store::Open(std::make_unique<MapKv>(disk), kLog, kPartition, {.fold_version = "a=1"}).value();
  EXPECT_EQ(Take(disk).error().code, Code::kNotFound);
  Fill(disk, 0, 3);
  EXPECT_EQ(Take(disk).error().code, Code::kNotFound) << "after a claim";
  EXPECT_TRUE(blobs.content().empty());
}

TEST_F(SnapshotTest, UntilItIsCompleteTheStoreCountsAsEmpty) {
  Disk disk, other;
  Fill(disk, 5, 200);
  const Snapshot taken = Take(disk).value();
  Fill(other, 9, 17);
  for (size_t steps = 0; steps <= taken.parts.size() + 1; ++steps) {
    {
      MapKv kv(other);
      SnapshotLoader loader(place, taken, kv);
      for (size_t i = 0; i < steps; ++i) loader.Step().value();
      kv.Flush().value();
    }
    MapKv kv(other);
    EXPECT_EQ(BeginsAnew(kv, kLog, kPartition, "a=1").value(), steps > 0) << steps;
  }
  ASSERT_EQ(Load(taken, other), "complete");
  MapKv kv(other);
  EXPECT_FALSE(BeginsAnew(kv, kLog, kPartition, "a=1").value());
  EXPECT_TRUE(BeginsAnew(kv, kLog, kPartition, "a=2").value());
}

TEST_F(SnapshotTest, EachDamageIsNoticed) {
  Disk disk, other;
  Fill(disk, 5, 60);
  const Snapshot taken = Take(disk).value();
  const auto whole = blobs.content();
  std::mt19937 random(7);
  for (const auto& [name, bytes] : whole) {
    const bool manifest = name.find("/manifests/") != std::string::npos;
    for (int i = 0; i < 40; ++i) {
      blobs.content() = whole;
      std::string& damaged = blobs.content()[name];
      switch (i) {
        case 0:
          damaged.pop_back();
          break;
        case 1:
          damaged.push_back('x');
          break;
        case 2:
          damaged.clear();
          break;
        case 3:
          blobs.content().erase(name);
          break;
        default:
          damaged[random() % damaged.size()] ^= static_cast<char>(1 << (random() % 8));
      }
      if (manifest) {
        EXPECT_FALSE(place.Read(taken.id)) << i;
      } else {
        EXPECT_NE(Load(taken, other), "complete") << name << " " << i;
      }
    }
  }
  // Parts in another order have the right hashes, but in a manifest that says so.
  blobs.content() = whole;
  Snapshot wrong = taken;
  std::swap(wrong.parts[0], wrong.parts[1]);
  std::swap(blobs.content()[place.PartName(taken.id, 0)], blobs.content()[place.PartName(taken.id, 1)]);
  EXPECT_EQ(Load(wrong, other), "part 1 is damaged: its keys are not in order");
  blobs.content() = whole;
  wrong = taken;
  wrong.parts.pop_back();
  EXPECT_EQ(Load(wrong, other), "its entries have another digest than its manifest says");
  EXPECT_EQ(Load(taken, other), "complete");
}

TEST_F(SnapshotTest, OneOfAnotherPartitionIsRefused) {
  Disk disk;
  Fill(disk, 5, 3);
  const Snapshot taken = Take(disk).value();
  const SnapshotPlace other(blobs, kLog, PartitionId(4));
  blobs.content()[other.ManifestName(taken.id)] = blobs.content()[place.ManifestName(taken.id)];
  EXPECT_EQ(other.Read(taken.id).error().code, Code::kCorrupt);
}

TEST_F(SnapshotTest, AFailedOneLeavesNothing) {
  Disk disk;
  Fill(disk, 5, 60);
  MapKv kv(disk);
  SnapshotWriter writer(place, kv.View().value(), {"build", 1, 500});
  ASSERT_TRUE(writer.Step(Instant{1}).value());
  ASSERT_TRUE(writer.Step(Instant{1}).value());
  blobs.faults().put_fails_and_lands = 1;
  EXPECT_EQ(writer.Step(Instant{1}).error().code, Code::kRetry);
  EXPECT_EQ(Parts().size(), 2u);
  writer.Abandon();
  EXPECT_TRUE(blobs.content().empty());
}

TEST_F(SnapshotTest, TheNewestTwoAreKeptAndWhatNobodyFinishesGoes) {
  std::vector<std::string> ids;
  for (uint64_t lsn = 1; lsn <= 4; ++lsn) {
    Disk disk;
    Fill(disk, lsn, 30);
    ids.push_back(Take(disk, 500, lsn).value().id);
  }
  const std::string abandoned = place.NewId(At(3), "a=1", 99), ahead = place.NewId(At(9), "a=1", 99);
  blobs.content()[place.PartName(abandoned, 0)] = "part";
  blobs.content()[place.PartName(ahead, 0)] = "part";
  Snapshot old = place.Read(ids[0]).value();
  for (uint64_t n = 0; n < 3; ++n) {  // of an older build
    old.id = place.NewId(At(1), "a=0", n);
    blobs.content()[place.ManifestName(old.id)] = EncodeManifest(old);
  }
  ASSERT_TRUE(place.Prune("a=1", ids[3], 2));
  EXPECT_EQ(place.List("a=1").value(), (std::vector<std::string>{ids[3], ids[2]}));
  EXPECT_EQ(place.List("a=0").value().size(), 2u);
  EXPECT_FALSE(blobs.content().contains(place.PartName(abandoned, 0)));
  EXPECT_TRUE(blobs.content().contains(place.PartName(ahead, 0))) << "the next owner may be writing it";
  Disk other;
  for (const size_t kept : {2, 3}) EXPECT_EQ(Load(place.Read(ids[kept]).value(), other), "complete");
  // Who was overtaken removes nothing of who came after.
  ASSERT_TRUE(place.Prune("a=1", ids[0], 0));
  EXPECT_EQ(place.List("a=1").value(), (std::vector<std::string>{ids[3], ids[2]}));
}

}  // namespace
}  // namespace maily::state
