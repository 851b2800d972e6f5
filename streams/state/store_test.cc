// The store: state and position come back together, and only where they belong.
#include "streams/state/store.h"

#include <gtest/gtest.h>

#include "streams/state/map_kv.h"
#include "streams/state/timers.h"

namespace maily::state {
namespace {

const LogId kLog = LogId::From("0123456789abcdef");

Result<std::unique_ptr<Store>> OpenStore(Disk& disk, std::string fold_version = "a=1", LogId log_id = kLog, uint16_t partition = 3) {
  return Store::Open(std::make_unique<MapKv>(disk), log_id, PartitionId(partition), {.fold_version = std::move(fold_version)});
}

journal::Position At(uint64_t seq) {
  journal::Position position;
  position.log_id = kLog;
  position.partition = PartitionId(3);
  position.seq = seq;
  position.at_genesis = false;
  return position;
}

void Arm(Store& store, int64_t due) { Timers(store.cache()).Arm(Instant{due}, TenantId(1), 1, "x"); }

TEST(Store, ComesBackAtTheLastPositionThatWasWritten) {
  Disk disk;
  Hash128 digest;
  {
    auto store = OpenStore(disk).value();
    EXPECT_TRUE(store->position().at_genesis);
    EXPECT_FALSE(store->refolding());
    Arm(*store, 100);
    store->Freeze(At(1));
    EXPECT_EQ(store->frozen_position(), At(1));
    digest = *store->Digest();
    Arm(*store, 50);  // of the next generation: not written
    store->WriteFrozen().value();
    EXPECT_EQ(store->position(), At(1));
    EXPECT_NE(*store->Digest(), digest);
  }
  auto store = OpenStore(disk).value();
  EXPECT_EQ(store->position(), At(1));
  EXPECT_EQ(Timers(store->cache()).Next(), Instant{100});
  EXPECT_EQ(*store->Digest(), digest);
}

TEST(Store, FrozenIsLostIfItWasNotWritten) {
  Disk disk;
  {
    auto store = OpenStore(disk).value();
    Arm(*store, 100);
    store->Freeze(At(1));
  }
  auto store = OpenStore(disk).value();
  EXPECT_TRUE(store->position().at_genesis);
  EXPECT_EQ(Timers(store->cache()).Next(), std::nullopt);
}

TEST(Store, AFailedWriteLosesNothing) {
  Disk disk;
  {
    auto kv = std::make_unique<MapKv>(disk);
    MapKv& faulty = *kv;
    auto store = Store::Open(std::move(kv), kLog, PartitionId(3), {.fold_version = "a=1"}).value();
    Arm(*store, 100);
    store->Freeze(At(1));
    faulty.fail_writes = true;
    EXPECT_FALSE(store->WriteFrozen());
    EXPECT_TRUE(store->position().at_genesis);
    faulty.fail_writes = false;
    store->Freeze(At(2));
    store->WriteFrozen().value();
  }
  auto store = OpenStore(disk).value();
  EXPECT_EQ(store->position(), At(2));
  EXPECT_EQ(Timers(store->cache()).Next(), Instant{100});
}

TEST(Store, WhatIsErasedAfterAFailedFlushStaysErased) {
  Disk disk;
  auto kv = std::make_unique<MapKv>(disk);
  MapKv& faulty = *kv;
  {
    auto store = Store::Open(std::move(kv), kLog, PartitionId(3), {.fold_version = "a=1"}).value();
    Arm(*store, 100);
    store->Freeze(At(1));
    faulty.fail_flushes = true;
    EXPECT_FALSE(store->WriteFrozen());  // it was written, and nobody knows
    faulty.fail_flushes = false;
    Timers(store->cache()).Disarm(Instant{100}, TenantId(1), 1, "x");
    store->Freeze(At(2));
    store->WriteFrozen().value();
  }
  auto store = OpenStore(disk).value();
  EXPECT_EQ(store->position(), At(2));
  EXPECT_EQ(Timers(store->cache()).Next(), std::nullopt);
}

TEST(Store, AnotherFoldEmptiesIt) {
  Disk disk;
  {
    auto store = OpenStore(disk).value();
    for (int64_t i = 0; i < 25'000; ++i) Arm(*store, i);
    store->Freeze(At(9));
    store->WriteFrozen().value();
  }
  {
    auto store = OpenStore(disk, "a=2").value();
    EXPECT_TRUE(store->refolding());
    EXPECT_TRUE(store->position().at_genesis);
    EXPECT_EQ(store->position().log_id, kLog);
    EXPECT_EQ(Timers(store->cache()).Next(), std::nullopt);
    EXPECT_EQ(*store->Digest(), Hash128{});
  }
  EXPECT_EQ(disk.flushed.size(), 1u);
  EXPECT_FALSE(OpenStore(disk, "a=2").value()->refolding());
}

TEST(Store, RefusesAnotherLogsOrPartitionsState) {
  Disk disk;
  OpenStore(disk).value();
  EXPECT_EQ(OpenStore(disk, "a=1", LogId::From("fedcba9876543210")).error().code, Code::kDiverged);
  EXPECT_EQ(OpenStore(disk, "a=1", kLog, 4).error().code, Code::kDiverged);
}

}  // namespace
}  // namespace maily::state
