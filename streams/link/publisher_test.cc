// Publishing over a journal and topics in memory: with every fault of a topic, deaths at every step, and owners that do not know that
// they were replaced. What a reader sees must be each event once, in order.
#include "streams/link/publisher.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_outlet.h"
#include "streams/link/test_journal.h"

namespace maily::link {
namespace {

using sim::OutletFate;
using sim::Scheduler;
using sim::SimOutlet;

constexpr PartitionId kPartition{1};
// A journal, the topics that it is published to, and the processes that do so.
class World {
 public:
  World(uint64_t seed, SimOutlet::Options topics)
      : scheduler(seed), log(scheduler, LogOptions()), mapping(topics.topics.size()), outlet(scheduler, Sized(std::move(topics))) {}
  ~World() { processes.clear(); }

  struct Process {
    Process(World& world, const PublisherOptions& how)
        : outlet(world.outlet.AnotherWriter()),
          executor(world.scheduler.MakeExecutor()),
          tail(world.log, kPartition, 1 << 20),
          publisher(world.log, *outlet, world.mapping, *executor, world.scheduler.clock(), kPartition, how) {
      publisher.Lead(tail, world.journal.at);
    }
    std::unique_ptr<SimOutlet> outlet;
    std::unique_ptr<Executor> executor;
    journal::Tail tail;
    Publisher publisher;
  };

  void Start() { processes.push_back(std::make_unique<Process>(*this, options)); }
  // kill -9 of the i-th process.
  void Kill(size_t i) {
    processes[i]->outlet->Crash();
    processes.erase(processes.begin() + static_cast<ptrdiff_t>(i));
  }

  std::vector<std::string> Ids(size_t topic_index) const {
    std::vector<std::string> ids;
    for (const OutletRecord& record : outlet.records(topic_index, kPartition)) ids.push_back(*record.Header(kEventIdHeader));
    return ids;
  }
  // What a reader sees that skips ids not greater than the last one.
  std::vector<std::string> Read(size_t topic_index) const {
    std::vector<std::string> seen;
    std::optional<EventPlace> last;
    for (const std::string& id : Ids(topic_index)) {
      const auto place = ParseEventId(kPartition, id);
      if (last && *place <= *last) continue;
      last = place;
      seen.push_back(id);
    }
    return seen;
  }
  bool AllPublished() const {
    for (const auto& [topic_index, ids] : journal.expected) {
      if (Read(topic_index).size() != ids.size()) return false;
    }
    return true;
  }
  void ExpectEachOnce() {
    for (const auto& [topic_index, ids] : journal.expected) {
      ASSERT_EQ(Read(topic_index), ids) << "topic " << topic_index;
      for (const OutletRecord& record : outlet.records(topic_index, kPartition)) {
        ASSERT_EQ(record.value, *record.Header(kEventIdHeader) + " happened");
      }
    }
  }
  size_t Duplicates() const {
    size_t count = 0;
    for (const auto& [topic_index, ids] : journal.expected) count += Ids(topic_index).size() - Read(topic_index).size();
    return count;
  }

  static sim::SimLog::Options LogOptions() {
    sim::SimLog::Options made;
    made.settings.log_id = LogId::FromHex("000102030405060708090a0b0c0d0e0f");
    made.settings.partition_count = 4;
    return made;
  }
  static SimOutlet::Options Sized(SimOutlet::Options topics) {
    topics.partitions = 4;
    return topics;
  }

  Scheduler scheduler;
  sim::SimLog log;
  ByType mapping;
  SimOutlet outlet;
  PublisherOptions options;
  TestJournal journal{log, kPartition};
  std::vector<std::unique_ptr<Process>> processes;
};

SimOutlet::Options Topics(size_t count) {
  SimOutlet::Options options;
  options.topics.clear();
  for (size_t i = 0; i < count; ++i) options.topics.push_back(fmt::format("t{}", i));
  return options;
}

TypeNumber First() { return kFirstTopic; }

TEST(EventId, ComesBackAndOnlyOfItsPartition) {
  EXPECT_EQ(FormatEventId(PartitionId(3), {Lsn(17), 2}), "3-17.2");
  EXPECT_EQ(ParseEventId(PartitionId(3), "3-17.2"), (EventPlace{Lsn(17), 2}));
  EXPECT_LT(*ParseEventId(PartitionId(3), "3-9.60"), *ParseEventId(PartitionId(3), "3-10.0"));
  for (const char* wrong : {"", "3", "3-", "3-17", "3-17.", "3-17.x", "3-17.2 ", "4-17.2", "-17.2", "3-.2", "70000-1.1"}) {
    EXPECT_FALSE(ParseEventId(PartitionId(3), wrong)) << wrong;
  }
}

TEST(Publisher, EachEventGoesToItsTopicInOrder) {
  World world(1, Topics(3));
  int n = 0;
  for (int i = 0; i < 50; ++i) world.journal.Decide(4, 3, [&] { return static_cast<TypeNumber>(n++ % 4 == 3 ? 7 : kFirstTopic + n % 3); });
  world.Start();
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
  for (int i = 0; i < 50; ++i) {
    world.journal.Decide(2, 2, First);
    ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60))) << "the journal goes on";
  }
  world.ExpectEachOnce();
  EXPECT_EQ(world.Duplicates(), 0u);
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.processes[0]->publisher.published() == world.journal.at.lsn; }, Seconds(60)));
}

TEST(Publisher, GoesOnAfterTheLastRecordAndReadsLittleOfTheJournal) {
  World world(1, Topics(2));
  world.journal.Decide(1, 2, [n = 0]() mutable { return static_cast<TypeNumber>(kFirstTopic + n++); });
  for (uint64_t i = 0; i < 3 * kPublishWindow; i += 64) world.journal.Decide(64, 1, First);
  world.Start();
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.processes[0]->publisher.published() == world.journal.at.lsn; }, Seconds(600)));
  world.Kill(0);
  world.journal.Decide(10, 1, First);
  world.Start();
  // Where it stands right after it resumed is what it did not read again.
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.processes[0]->publisher.published().value() > 0; }, Seconds(60)));
  EXPECT_GE(world.processes[0]->publisher.published().value() + kPublishWindow + 128, world.journal.at.lsn.value());
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
  world.ExpectEachOnce();
  EXPECT_EQ(world.Duplicates(), 0u);
}

TEST(Publisher, WhatCannotBeMappedNowIsMappedLater) {
  World world(1, Topics(1));
  world.journal.Decide(5, 2, First);
  world.mapping.fail = 3;
  world.Start();
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
  world.mapping.fail = 2;
  world.journal.Decide(5, 2, First);
  ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(120)));
  world.ExpectEachOnce();
  EXPECT_EQ(world.Duplicates(), 0u);
}

TEST(Publisher, TopicsOfAnotherLogStopIt) {
  World world(1, Topics(1));
  OutletBatch batch;
  const std::string id = FormatEventId(kPartition, {Lsn(999), 0});
  const OutletHeader header{kEventIdHeader, id};
  batch.Add("key", "value", std::span(&header, 1), Instant{1});
  world.outlet.Append(0, kPartition, std::move(batch), [](const Result<void>&, const OutletBatch&) {});
  world.journal.Decide(5, 2, First);
  world.scheduler.RunFor(Seconds(1));
  world.Start();
  EXPECT_EQ(world.processes[0]->publisher.stopped_why(), "");
  world.scheduler.RunFor(Seconds(60));
  EXPECT_NE(world.processes[0]->publisher.stopped_why().find("of another log"), std::string::npos);
  EXPECT_EQ(world.Ids(0).size(), 1u);
}

TEST(Publisher, StoppedItAppendsNothingAndLedAgainItGoesOn) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(seed, Topics(2));
    world.options.round_records = 3;
    for (int i = 0; i < 20; ++i) world.journal.Decide(3, 2, [n = 0]() mutable { return static_cast<TypeNumber>(kFirstTopic + n++ % 2); });
    world.Start();
    auto& process = *world.processes[0];
    for (int i = 0; i < 10; ++i) {
      world.scheduler.RunFor(world.scheduler.RandomDuration({}, Milliseconds(20)));
      process.publisher.Stop();
      if (world.scheduler.Chance(0.5)) {
        world.scheduler.RunFor(Milliseconds(100));
        const size_t before = world.Ids(0).size() + world.Ids(1).size();
        world.scheduler.RunFor(Seconds(10));
        ASSERT_EQ(world.Ids(0).size() + world.Ids(1).size(), before);
      }
      process.publisher.Lead(process.tail, world.journal.at);
    }
    ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
    world.ExpectEachOnce();
    ASSERT_EQ(world.Duplicates(), 0u);
  }
}

// One fault at the n-th batch, for every n.
TEST(Publisher, AnyFaultAtAnyBatchLosesAndRepeatsNothing) {
  for (const OutletFate fate : {OutletFate::kDrop, OutletFate::kStoreAndFail, OutletFate::kPartAndFail, OutletFate::kFailThenStore}) {
    for (int at = 0; at < 12; ++at) {
      SCOPED_TRACE(fmt::format("fate {} at batch {}", static_cast<int>(fate), at));
      auto options = Topics(2);
      options.fate = [fate, at, batches = 0](size_t, const OutletBatch&) mutable { return batches++ == at ? fate : OutletFate::kStore; };
      World world(static_cast<uint64_t>(at) + 1, options);
      world.options.round_records = 5;
      for (int i = 0; i < 10; ++i) world.journal.Decide(2, 2, [n = 0]() mutable { return static_cast<TypeNumber>(kFirstTopic + n++ % 2); });
      world.Start();
      ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
      world.scheduler.RunFor(Seconds(10));
      world.ExpectEachOnce();
      if (fate != OutletFate::kFailThenStore) {
        ASSERT_EQ(world.Duplicates(), 0u);
      }
    }
  }
}

// The process dies after its n-th job, for every n until it is through.
TEST(Publisher, AtWhateverStepItDiesNothingIsLostOrRepeated) {
  int deaths = 0;
  for (int steps = 0;; ++steps) {
    SCOPED_TRACE(fmt::format("killed after {} jobs", steps));
    World world(static_cast<uint64_t>(steps) + 1, Topics(2));
    world.options.round_records = 4;
    for (int i = 0; i < 10; ++i) world.journal.Decide(2, 2, [n = 0]() mutable { return static_cast<TypeNumber>(kFirstTopic + n++ % 2); });
    world.scheduler.RunFor(Seconds(1));
    world.Start();
    for (int i = 0; i < steps; ++i) {
      if (!world.scheduler.RunOne()) world.scheduler.RunFor(Microseconds(100));
    }
    const bool through = world.AllPublished();
    world.Kill(0);
    ++deaths;
    world.Start();
    ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(60)));
    world.ExpectEachOnce();
    ASSERT_EQ(world.Duplicates(), 0u);
    if (through) break;
  }
  EXPECT_GT(deaths, 20);
}

// Everything at once: faults by chance, deaths, owners that were replaced and go on, a mapping that fails, work without commands.
TEST(Publisher, InAnyHistoryAReaderSeesEachEventOnceInOrder) {
  size_t duplicates = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Scheduler chance(seed * 7919);
    auto options = Topics(1 + chance.Random(3));
    options.drop = 0.05;
    options.store_and_fail = 0.05;
    options.part_and_fail = 0.05;
    const bool late = chance.Chance(0.5);  // else copies may not come at all
    options.fail_then_store = late ? 0.05 : 0;
    options.newest_fails = 0.05;
    World world(seed, options);
    world.options.round_records = 1 + chance.Random(20);
    world.options.round_bytes = 1 + chance.Random(2000);
    world.options.retry_min = Milliseconds(20);
    world.options.retry_max = Milliseconds(200);
    world.Start();
    for (int step = 0; step < 60; ++step) {
      const size_t topics = world.outlet.topic_count();
      const auto type = [&] { return static_cast<TypeNumber>(chance.Chance(0.2) ? 7 : kFirstTopic + chance.Random(topics)); };
      world.journal.Decide(1 + chance.Random(5), chance.Random(4), type, chance.Chance(0.7));
      if (chance.Chance(0.1)) world.mapping.fail = static_cast<int>(chance.Random(3));
      world.scheduler.RunFor(chance.RandomDuration({}, Milliseconds(30)));
      if (!chance.Chance(0.15)) continue;
      world.journal.Claim();
      world.scheduler.RunFor(Milliseconds(10));
      const bool zombie = late && chance.Chance(0.5);
      if (!zombie) {
        while (!world.processes.empty()) world.Kill(0);
      }
      world.Start();
      while (world.processes.size() > 2) world.Kill(0);
    }
    while (world.processes.size() > 1) world.Kill(0);
    ASSERT_TRUE(world.scheduler.RunUntil([&] { return world.AllPublished(); }, Seconds(600)));
    world.scheduler.RunFor(Seconds(5));
    world.ExpectEachOnce();
    if (!late) {
      ASSERT_EQ(world.Duplicates(), 0u);
    }
    duplicates += world.Duplicates();
  }
  EXPECT_GT(duplicates, 0u) << "no late copy was ever seen";
}

}  // namespace
}  // namespace maily::link
