// Several processes over one log: followers, hand-over, takeover, two that both believe they own a partition.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/cluster.h"

namespace maily::task {
namespace {

TEST(Takeover, AFollowerIsWhereTheOwnerIsAndLeadsWhenTold) {
  Cluster cluster(1, 2, /*faults=*/false);
  cluster[0].Start(All());
  cluster[1].Start({});
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2); }));
  for (int i = 0; i < 300; ++i) {
    cluster.Add1(i % 2, fmt::format("n{}", i % 7));
    cluster.scheduler().RunFor(Milliseconds(10));
  }
  cluster.scheduler().RunFor(Seconds(3));
  std::vector<std::string> digests;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(cluster[1].Of(p).state, TaskState::kFollowing);
    EXPECT_EQ(cluster[1].Of(p).lsn, cluster[0].Of(p).lsn);
    EXPECT_EQ(cluster[1].Of(p).epoch, cluster[0].Of(p).epoch);
    digests.push_back(DigestOf(cluster[0], p));
  }
  // Handed over one by one: the old owner follows, the new one has the same state.
  cluster[0].process->host->Assign(Some({0, 1}));
  cluster[1].process->host->Assign(Some({2}));
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(2) && cluster[0].Of(2).state == TaskState::kFollowing; }));
  EXPECT_EQ(DigestOf(cluster[1], 2), digests[2]);
  EXPECT_TRUE(cluster[0].Leads(0) && cluster[0].Leads(1));
  // The owner dies; nobody is asked to wait.
  cluster[0].Kill();
  cluster[1].process->host->Assign(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(0) && cluster[1].Leads(1) && cluster[1].Leads(2); }, Seconds(1)));
  for (uint16_t p = 0; p < kPartitions; ++p) EXPECT_EQ(DigestOf(cluster[1], p), digests[p]) << p;
  // It comes back with what its store had, and follows.
  cluster[0].Start({});
  cluster.Add1(0, "late");
  ASSERT_TRUE(cluster.Until([&] { return cluster.Totals()["late"] == 1; }));
  cluster.scheduler().RunFor(Seconds(1));
  for (uint16_t p = 0; p < kPartitions; ++p) EXPECT_EQ(cluster[0].Of(p).lsn, cluster[1].Of(p).lsn) << p;
}

TEST(Takeover, AnAnswerComesWhereverItWasAsked) {
  Cluster cluster(3, 2, /*faults=*/false);
  cluster[0].Start(Some({0, 2}));
  cluster[1].Start(Some({1}));
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[1].Leads(1) && cluster[0].Leads(2); }));
  std::map<std::string, int> totals;
  for (int i = 0; i < 60; ++i) {
    const std::string name = fmt::format("n{}", i % 5);
    EXPECT_EQ(cluster.Ask(static_cast<size_t>(i % 2), name, fmt::format("key {}", i)).answer,
              fmt::format("{{\"total\":{}}}", ++totals[name]));
  }
  const command::Reply again = cluster.Ask(1, "n0", "key 0");
  EXPECT_EQ(again.answer, "{\"total\":1}");
  EXPECT_EQ(again.outcome, static_cast<uint16_t>(journal::Outcome::kDuplicate));
  EXPECT_EQ(again.first, static_cast<uint16_t>(journal::Outcome::kDone));
}

TEST(Takeover, AnIdleOwnerLearnsThatAnotherOneLeads) {
  Cluster cluster(2, 2, /*faults=*/false);
  cluster[0].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0); }));
  cluster[1].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(0); }));
  cluster[0].process->host->Assign(All());  // told again: still the old owner in its own eyes, or claiming anew
  cluster[1].process->host->Assign({});
  ASSERT_TRUE(cluster.Until([&] { return cluster[0].Leads(0) && cluster[1].Of(0).state == TaskState::kFollowing; }));
  cluster.scheduler().RunFor(Seconds(30));
  EXPECT_TRUE(cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2)) << "nobody disputes it any more";
}

// Assignments that overlap and leave gaps, deaths and returns, faults of the log: what was acknowledged is decided once.
void Play(uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Cluster cluster(seed, 3, /*faults=*/true);
  sim::Scheduler& chance = cluster.scheduler();
  const auto random_set = [&] {
    std::vector<PartitionId> set;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (chance.Chance(0.5)) set.emplace_back(p);
    }
    return set;
  };
  for (size_t m = 0; m < 3; ++m) cluster[m].Start(random_set());
  for (int step = 0; step < 200; ++step) {
    const size_t m = chance.Random(3);
    Machine& machine = cluster[m];
    if (machine.process == nullptr) {
      if (chance.Chance(0.3)) machine.Start(random_set());
    } else if (chance.Chance(0.03)) {
      machine.Kill();
    } else if (chance.Chance(0.1)) {
      machine.process->host->Assign(random_set());
    } else {
      for (uint64_t n = chance.Random(4); n-- > 0;) cluster.Add1(m, fmt::format("n{}", chance.Random(5)));
    }
    chance.RunFor(chance.RandomDuration(Milliseconds(1), Milliseconds(500)));
  }
  cluster.log().options().drop = cluster.log().options().store_and_fail = cluster.log().options().delay_and_fail = 0;
  for (size_t m = 0; m < 3; ++m) {
    if (cluster[m].process == nullptr) cluster[m].Start({});
    cluster[m].process->host->Assign(m == 0 ? All() : Some({}));
  }
  // Liveness: one owner, everything decided, everyone in the same place.
  const auto settled = [&] {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (!cluster[0].Leads(p) || cluster[0].Of(p).command_lag > 0) return false;
      for (size_t m = 1; m < 3; ++m) {
        if (cluster[m].Of(p).state != TaskState::kFollowing || cluster[m].Of(p).lsn != cluster[0].Of(p).lsn) return false;
      }
    }
    return true;
  };
  chance.RunFor(Seconds(20));
  const auto state = [&] {
    std::string text;
    for (size_t m = 0; m < 3; ++m) {
      for (uint16_t p = 0; p < kPartitions; ++p) {
        const Task::Status status = cluster[m].Of(p);
        text += fmt::format("\nmachine {} partition {}: {} epoch {} lsn {} lag {} {}", m, p, TaskStateName(status.state), status.epoch,
                            status.lsn, status.command_lag, status.error);
      }
    }
    return text;
  };
  ASSERT_TRUE(cluster.Until(settled, Seconds(120))) << state();
  const auto totals = cluster.Totals();
  for (const auto& [name, count] : cluster.durable()) {
    const uint64_t total = totals.contains(name) ? totals.at(name) : 0;
    EXPECT_GE(total, count) << name << " lost something acknowledged";
    EXPECT_LE(total, count + cluster.unsure(name)) << name << " was added to twice";
  }
  for (uint16_t p = 0; p < kPartitions; ++p) {
    const std::string digest = DigestOf(cluster[0], p);
    cluster[0].process->host->Assign({});
    cluster[1].process->host->Assign(All());
    ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(p); }));
    EXPECT_EQ(DigestOf(cluster[1], p), digest) << "partition " << p;
    cluster[1].process->host->Assign({});
    cluster[0].process->host->Assign(All());
    ASSERT_TRUE(cluster.Until([&] {
      return cluster[0].Leads(0) && cluster[0].Leads(1) && cluster[0].Leads(2) && !cluster[1].Leads(0) && !cluster[1].Leads(1) &&
             !cluster[1].Leads(2);
    }));
  }
}

TEST(Takeover, WhateverAssignmentSaysEachCommandIsDecidedOnce) {
  const char* from = std::getenv("MAILY_SEED");
  const char* count = std::getenv("MAILY_SEEDS");
  const uint64_t first = from == nullptr ? 1 : std::strtoull(from, nullptr, 10);
  const uint64_t last = first + (count == nullptr ? 40 : std::strtoull(count, nullptr, 10));
  for (uint64_t seed = first; seed < last && !HasFailure(); ++seed) Play(seed);
}

}  // namespace
}  // namespace maily::task
