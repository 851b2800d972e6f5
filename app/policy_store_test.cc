// Policies of MTA-STS come back after a restart, but for those that are too old or cannot be read.
#include "app/policy_store.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_kv.h"

namespace maily::app {
namespace {

mta_sts::Entry Of(const std::string& domain, Instant at, int64_t seconds) {
  return {.domain = domain,
          .id = "1",
          .policy = {.mode = mta_sts::Mode::kEnforce, .mx = {"mx." + domain}, .max_age = Seconds(seconds)},
          .fetched_at = at};
}

TEST(PolicyStore, WhatIsValidComesBack) {
  sim::Scheduler scheduler(1);
  const auto disk = scheduler.MakeExecutor();
  sim::SimKvStores stores(scheduler);
  const Instant now = scheduler.clock().Now();
  {
    auto store = PolicyStore::Open(stores, *disk, now).value();
    EXPECT_TRUE(store->known().empty());
    store->Keep(Of("old.example", now, 10));
    store->Keep(Of("young.example", now, 100));
    store->Keep(Of("young.example", now, 200));
    stores.SetFull(true);
    scheduler.RunFor(Seconds(1));  // what cannot be written is no error
    stores.SetFull(false);
    store->Keep(Of("old.example", now, 10));
    store->Keep(Of("young.example", now, 200));
    scheduler.RunFor(Seconds(1));
  }
  {
    auto kv = stores.Open("mta_sts", KvDurability::kOnWrite).value();
    KvBatch batch;
    batch.Put("broken.example", "no entry");
    ASSERT_TRUE(kv->Write(batch));
  }
  stores.Crash();
  {
    auto store = PolicyStore::Open(stores, *disk, now + Seconds(11)).value();
    ASSERT_EQ(store->known().size(), 1u);
    EXPECT_EQ(store->known()[0], Of("young.example", now, 200));
  }
  auto kv = stores.Open("mta_sts", KvDurability::kOnWrite).value();
  EXPECT_FALSE(kv->Get("broken.example").value());  // forgotten
  EXPECT_FALSE(kv->Get("old.example").value());
}

}  // namespace
}  // namespace maily::app
