// Tasks whose stores are lost: they go on from a snapshot and the journal's tail, and are where the journal alone would have brought them.
#include "streams/task/snapshots.h"

#include <cstdlib>

#include "streams/observe/metrics.h"
#include "tests/cluster.h"

namespace maily::task {
namespace {

uint64_t Counted(const char* name) {
  uint64_t sum = 0;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    sum += observe::Metrics::Process().AddCounter(name, "", {{"partition", std::to_string(p)}}).value();
  }
  return sum;
}
constexpr const char* kRestores = "maily_snapshot_restores_total";
constexpr const char* kUnusable = "maily_snapshot_unusable_total";
constexpr const char* kFailures = "maily_snapshot_failures_total";

SnapshotOptions Small() {
  SnapshotOptions options;
  options.journal_bytes = 4 << 10;
  options.interval = Seconds(60);
  options.part_bytes = 200;
  return options;
}

struct SnapshotsTest : ::testing::Test {
  SnapshotsTest() {
    for (size_t m = 0; m < 2; ++m) {
      cluster[m].blobs = &blobs;
      cluster[m].snapshot_options = Small();
    }
    cluster[0].Start(All());
    EXPECT_TRUE(cluster.Until([&] { return Leads(0); }));
  }
  bool Leads(size_t m) { return cluster[m].Leads(0) && cluster[m].Leads(1) && cluster[m].Leads(2); }
  void Work(int count) {
    for (int i = 0; i < count; ++i) {
      cluster.Add1(0, fmt::format("n{}", i % 40));
      cluster.scheduler().RunFor(Milliseconds(20));
    }
    cluster.scheduler().RunFor(Seconds(5));
  }
  std::vector<std::string> Digests(size_t m) {
    std::vector<std::string> all;
    for (uint16_t p = 0; p < kPartitions; ++p) all.push_back(DigestOf(cluster[m], p));
    return all;
  }
  state::SnapshotPlace Place(uint16_t partition) { return {blobs, cluster.log().settings().log_id, PartitionId(partition)}; }
  std::vector<std::string> Ids(uint16_t partition) { return Place(partition).List("").value(); }
  // The process dies, its stores are gone; another one leads in its place.
  void LoseAndStart() {
    cluster[0].Kill();
    cluster[0].LoseStores();
    cluster[0].Start(All());
    ASSERT_TRUE(cluster.Until([&] { return Leads(0); }));
  }

  Cluster cluster{5, 2, /*faults=*/false};
  sim::SimBlobs blobs{cluster.scheduler()};
};

TEST_F(SnapshotsTest, AnOwnerWithoutAStoreStartsFromTheNewest) {
  Work(400);
  for (uint16_t p = 0; p < kPartitions; ++p) EXPECT_EQ(Ids(p).size(), 2u) << "two are kept";
  const auto digests = Digests(0);
  const uint64_t before = Counted(kRestores);
  LoseAndStart();
  EXPECT_EQ(Counted(kRestores) - before, kPartitions);
  EXPECT_EQ(Digests(0), digests);
  // A store that is there is not touched, whatever snapshots there are.
  cluster[0].Kill();
  cluster[0].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return Leads(0); }));
  EXPECT_EQ(Counted(kRestores) - before, kPartitions);
  EXPECT_EQ(Digests(0), digests);
}

TEST_F(SnapshotsTest, AFollowerOnANewMachineStartsFromThemToo) {
  Work(200);
  const uint64_t before = Counted(kRestores);
  cluster[1].Start({});
  ASSERT_TRUE(
      cluster.Until([&] { return cluster[1].Of(0).state == TaskState::kFollowing && cluster[1].Of(0).lsn == cluster[0].Of(0).lsn; }));
  EXPECT_EQ(Counted(kRestores) - before, kPartitions);
  const auto digests = Digests(0);
  cluster[0].Kill();
  cluster[1].process->host->Assign(All());
  ASSERT_TRUE(cluster.Until([&] { return Leads(1); }));
  EXPECT_EQ(Digests(1), digests);
}

TEST_F(SnapshotsTest, WhoIsToldToLeadOrToStopWhileItsStoreIsFilled) {
  Work(200);
  const auto digests = Digests(0);
  cluster[0].Kill();
  for (int jobs = 0; jobs < 60; ++jobs) {
    cluster[1].LoseStores();
    cluster[1].Start({});
    for (int i = 0; i < jobs; ++i) cluster.scheduler().RunOne();
    cluster[1].process->host->Assign(jobs % 2 == 0 ? All() : Some({1}));
    for (int i = 0; i < jobs % 7; ++i) cluster.scheduler().RunOne();
    bool stopped = false;
    if (jobs % 3 == 0) {
      cluster[1].process->host->Stop([&] { stopped = true; });
      ASSERT_TRUE(cluster.Until([&] { return stopped; })) << jobs;
      EXPECT_EQ(cluster[1].Of(0).state, TaskState::kClosed);
    } else {
      ASSERT_TRUE(cluster.Until([&] { return cluster[1].Leads(1); })) << jobs;
    }
    cluster[1].Kill();
  }
  cluster[1].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return Leads(1); }));
  EXPECT_EQ(Digests(1), digests);
}

TEST_F(SnapshotsTest, ADamagedOneIsPassedOverForTheOneBefore) {
  Work(400);
  const auto digests = Digests(0);
  for (int damaged = 1; damaged <= 2; ++damaged) {
    cluster[0].Kill();  // nobody takes another one
    for (uint16_t p = 0; p < kPartitions; ++p) {
      blobs.content()[Place(p).PartName(Ids(p)[static_cast<size_t>(damaged - 1)], 1)][5] ^= 1;
    }
    cluster[0].LoseStores();
    const uint64_t restores = Counted(kRestores), unusable = Counted(kUnusable);
    cluster[0].Start(All());
    ASSERT_TRUE(cluster.Until([&] { return Leads(0); }));
    EXPECT_EQ(Counted(kUnusable) - unusable, static_cast<uint64_t>(damaged) * kPartitions);
    EXPECT_EQ(Counted(kRestores) - restores, damaged == 1 ? kPartitions : 0U) << "without any, from the journal alone";
    EXPECT_EQ(Digests(0), digests);
  }
}

TEST_F(SnapshotsTest, OneThatTheJournalDidNotPassThroughIsRefused) {
  Work(400);
  const auto digests = Digests(0);
  cluster[0].Kill();
  for (uint16_t p = 0; p < kPartitions; ++p) {
    for (const std::string& id : Ids(p)) {
      state::Snapshot snapshot = Place(p).Read(id).value();
      snapshot.position.chain ^= 1;
      blobs.content()[Place(p).ManifestName(id)] = state::EncodeManifest(snapshot);
    }
  }
  cluster[0].LoseStores();
  const uint64_t restores = Counted(kRestores), unusable = Counted(kUnusable);
  cluster[0].Start(All());
  ASSERT_TRUE(cluster.Until([&] { return Leads(0); }));
  EXPECT_EQ(Counted(kUnusable) - unusable, 2 * kPartitions);
  EXPECT_EQ(Counted(kRestores), restores);
  EXPECT_EQ(Digests(0), digests);
}

TEST_F(SnapshotsTest, APlaceThatCannotBeReachedStopsNobody) {
  blobs.faults() = {.put_fails = 1, .get_fails = 1, .list_fails = 1, .delete_fails = 1};
  const uint64_t before = Counted(kFailures);
  Work(200);
  EXPECT_TRUE(Leads(0));
  blobs.faults().list_fails = 0;
  cluster.scheduler().RunFor(Seconds(90));
  EXPECT_GT(Counted(kFailures), before);
  const auto digests = Digests(0);
  LoseAndStart();
  EXPECT_EQ(Digests(0), digests);
  blobs.faults() = {};
  Work(200);
  cluster.scheduler().RunFor(Seconds(90));
  EXPECT_FALSE(Ids(0).empty()) << "it is tried again";
}

TEST_F(SnapshotsTest, AFullDiskWhileAStoreIsFilledIsWaitedOut) {
  Work(200);
  const auto digests = Digests(0);
  cluster[0].Kill();
  cluster[0].LoseStores();
  cluster[0].stores.SetFull(true);
  cluster[0].Start(All());
  cluster.scheduler().RunFor(Seconds(10));
  EXPECT_FALSE(cluster[0].Leads(0));
  cluster[0].stores.SetFull(false);
  ASSERT_TRUE(cluster.Until([&] { return Leads(0); }));
  EXPECT_EQ(Digests(0), digests);
}

TEST_F(SnapshotsTest, WithoutDecisionsNoneIsTakenAndWithFewEachInterval) {
  Work(30);
  cluster.scheduler().RunFor(Seconds(200));
  const auto ids = Ids(1);
  ASSERT_FALSE(ids.empty());
  cluster.scheduler().RunFor(Seconds(600));
  EXPECT_EQ(Ids(1), ids);
  for (int i = 0; i < 40; ++i) cluster.Add1(0, fmt::format("n{}", i));
  cluster.scheduler().RunFor(Seconds(10));
  ASSERT_NE(Ids(1), ids) << "the newest is old";
  const auto then = Ids(1);
  for (int i = 0; i < 10; ++i) cluster.Add1(0, fmt::format("n{}", i));
  cluster.scheduler().RunFor(Seconds(40));
  EXPECT_EQ(Ids(1), then) << "it is young";
  cluster.scheduler().RunFor(Seconds(40));
  EXPECT_NE(Ids(1), then);
}

// Processes die at any step of taking and of loading, on machines that lose their stores, over a place that fails; what machine 2 folds
// from the journal alone is what all others come to.
void Play(uint64_t seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Cluster cluster(seed, 3, /*faults=*/true);
  sim::Scheduler& chance = cluster.scheduler();
  sim::SimBlobs blobs(chance);
  for (size_t m = 0; m < 2; ++m) {
    cluster[m].blobs = &blobs;
    cluster[m].snapshot_options = Small();
    cluster[m].snapshot_options.journal_bytes = 500;
  }
  blobs.faults() = {.put_fails = 0.02, .put_fails_and_lands = 0.02, .get_fails = 0.02, .list_fails = 0.02, .delete_fails = 0.05};
  for (int step = 0; step < 150; ++step) {
    const size_t m = chance.Random(2);
    Machine& machine = cluster[m];
    if (machine.process == nullptr) {
      if (chance.Chance(0.5)) machine.LoseStores();
      machine.Start(chance.Chance(0.6) ? All() : Some({1}));
    } else if (chance.Chance(0.15)) {
      machine.Kill();
    } else {
      for (uint64_t n = chance.Random(12); n-- > 0;) cluster.Add1(m, fmt::format("n{}", chance.Random(30)));
    }
    if (chance.Chance(0.02) && !blobs.content().empty()) {
      std::string& bytes = std::next(blobs.content().begin(), static_cast<ptrdiff_t>(chance.Random(blobs.content().size())))->second;
      if (!bytes.empty()) bytes[chance.Random(bytes.size())] ^= 1;
    }
    if (chance.Chance(0.5)) {
      for (uint64_t jobs = chance.Random(200); jobs-- > 0;) chance.RunOne();
    } else {
      chance.RunFor(chance.RandomDuration(Milliseconds(1), Seconds(3)));
    }
  }
  cluster.log().options().drop = cluster.log().options().store_and_fail = cluster.log().options().delay_and_fail = 0;
  cluster[0].Kill();
  cluster[1].Kill();
  cluster[0].LoseStores();
  std::vector<std::string> digests;
  for (const size_t m : {0, 1, 2}) {  // the last one knows of no snapshots
    cluster[m].Start(All());
    const auto settled = [&] {
      for (uint16_t p = 0; p < kPartitions; ++p) {
        if (!cluster[m].Leads(p) || cluster[m].Of(p).command_lag > 0) return false;
      }
      return true;
    };
    ASSERT_TRUE(cluster.Until(settled, Seconds(120)));
    chance.RunFor(Seconds(20));  // acknowledgements between partitions settle
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (m == 0) digests.push_back(DigestOf(cluster[m], p));
      EXPECT_EQ(DigestOf(cluster[m], p), digests[p]) << "machine " << m << " partition " << p;
    }
    cluster[m].Kill();
  }
  const auto totals = cluster.Totals();
  for (const auto& [name, count] : cluster.durable()) {
    const uint64_t total = totals.contains(name) ? totals.at(name) : 0;
    EXPECT_GE(total, count) << name << " lost something acknowledged";
    EXPECT_LE(total, count + cluster.unsure(name)) << name << " was added to twice";
  }
}

TEST(Snapshots, WhoeverDiesWhenTheStateIsTheFoldOfTheJournal) {
  const char* from = std::getenv("MAILY_SEED");
  const char* count = std::getenv("MAILY_SEEDS");
  const uint64_t first = from == nullptr ? 1 : std::strtoull(from, nullptr, 10);
  const uint64_t last = first + (count == nullptr ? 8 : std::strtoull(count, nullptr, 10));
  const uint64_t restores = Counted(kRestores), unusable = Counted(kUnusable);
  for (uint64_t seed = first; seed < last && !testing::Test::HasFailure(); ++seed) Play(seed);
  fmt::print("{} stores filled from snapshots, {} snapshots passed over\n", Counted(kRestores) - restores, Counted(kUnusable) - unusable);
  EXPECT_GT(Counted(kRestores), restores);
}

}  // namespace
}  // namespace maily::task
