// Plain records of an inlet as commands: each is decided once, whatever dies in between; what nobody understands is a dead letter.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_inlet.h"
#include "streams/adapters/sim/sim_kv.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/adapters/sim/sim_slots.h"
#include "streams/journal/find.h"
#include "streams/journal/frame.h"
#include "streams/journal/reader.h"
#include "streams/journal/rejected.h"
#include "streams/journal/writer.h"
#include "streams/task/counters.h"
#include "streams/task/host.h"

namespace maily::task {
namespace {

constexpr uint16_t kPartitions = 2;

std::string Adding(const std::string& name, uint64_t n) {
  Add add;
  add.name = name;
  add.n = n;
  return add.SerializeAsString();
}

class InletTest : public ::testing::Test {
 protected:
  struct Process {
    explicit Process(InletTest& test)
        : executor(test.scheduler.MakeExecutor()), sender(test.log, 1 << 20), replies(1'000), environment{test.log,
                                                                                                          test.scheduler.clock(),
                                                                                                          test.scheduler.entropy(),
                                                                                                          test.stores,
                                                                                                          test.slots,
                                                                                                          sender,
                                                                                                          replies,
                                                                                                          test.pipeline,
                                                                                                          nullptr,
                                                                                                          "test",
                                                                                                          "test"} {
      environment.cache_bytes_max = 64 << 10;
      environment.flush_journal_bytes = 1 << 10;
      environment.plain = {.inlet = &test.inlet, .type = TypeNumberOf<Add>(), .tenant = TenantId(1), .generation = test.generation};
      Host::Listener listener;
      listener.failed = [&test](PartitionId, const Error& error) { test.failure = error; };
      tails = std::make_unique<journal::Tails>(test.log);
      host = std::make_unique<Host>(environment, *tails, std::vector<Executor*>{executor.get()}, listener);
      host->Start();
    }
    uint64_t decided() const { return host->status()[0].lsn + host->status()[1].lsn; }

    std::unique_ptr<Executor> executor;
    command::Sender sender;
    command::Replies replies;
    TaskEnvironment environment;
    std::unique_ptr<journal::Tails> tails;
    std::unique_ptr<Host> host;
  };

  InletTest() {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      log.Append({Topic::kJournal, PartitionId(p)}, journal::BuildGenesis(log.settings().log_id, PartitionId(p), {kPartitions}), Sync::kNow,
                 [](const Result<Appended>&) {});
    }
    scheduler.RunFor(Seconds(1));
  }
  ~InletTest() override { process.reset(); }

  static sim::SimLog::Options LogOptions() {
    sim::SimLog::Options options;
    options.settings.log_id.bytes.fill(5);
    options.settings.partition_count = kPartitions;
    return options;
  }
  static uint64_t Seed() {
    const char* given = std::getenv("MAILY_SEED");
    return given == nullptr ? 20'261'121 : std::strtoull(given, nullptr, 10);
  }
  void Kill() {
    process.reset();
    stores.Crash();
    log.Crash(sim::SimLog::Death::kProcess);
  }
  bool Until(const std::function<bool()>& reached) { return scheduler.RunUntil(reached, Seconds(600)); }

  // Everything that the journals say, decision by decision.
  void ForEachDecision(const std::function<void(PartitionId, const journal::Decision&)>& visit) {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      journal::Tail tail(log, PartitionId(p), 0);
      journal::Position from;
      from.log_id = log.settings().log_id;
      from.partition = PartitionId(p);
      const auto reader = tail.Open(from).value();
      for (;;) {
        const auto frame = reader->Next().value();
        if (frame == nullptr) break;
        for (const journal::Decision& decision : frame->decisions) visit(PartitionId(p), decision);
      }
    }
  }
  // How often each record of the inlet was decided, by partition and offset.
  std::map<std::pair<uint16_t, uint64_t>, int> Decided() {
    std::map<std::pair<uint16_t, uint64_t>, int> times;
    ForEachDecision([&](PartitionId partition, const journal::Decision& decision) {
      if (decision.cause.kind != journal::CauseKind::kCommand || !IsInlet(decision.cause.at)) return;
      ++times[{partition.value(), decision.cause.at.offset.value()}];
      if (decision.outcome == journal::Outcome::kDone) {
        EXPECT_EQ(decision.cause.command_id, PlainCommandId("events", partition, decision.cause.at.offset));
      }
    });
    return times;
  }

  sim::Scheduler scheduler{Seed()};
  sim::SimLog log{scheduler, LogOptions()};
  sim::SimKvStores stores{scheduler};
  sim::SimSlots slots{scheduler, size_t{2} * kPartitions};
  sim::SimInlet inlet{scheduler, "events", kPartitions};
  Pipeline pipeline = CounterPipeline();
  uint32_t generation = 1;
  std::optional<Error> failure;
  std::unique_ptr<Process> process;
};

TEST_F(InletTest, EachRecordIsDecidedOnceWhateverDiesInBetween) {
  SCOPED_TRACE(testing::Message() << "MAILY_SEED=" << Seed());
  constexpr uint64_t kRecords = 2'000;
  uint64_t sent = 0;
  const auto send = [&] {
    inlet.Append(PartitionId(static_cast<uint16_t>(sent % kPartitions)), "k", Adding("name" + std::to_string(sent % 17), 1 + sent % 5));
    ++sent;
  };
  int kills = 0;
  for (process = std::make_unique<Process>(*this); sent < kRecords;) {
    for (size_t i = scheduler.Random(40); i > 0 && sent < kRecords; --i) send();
    scheduler.RunFor(scheduler.RandomDuration(Microseconds(1), Milliseconds(20)));
    if (!scheduler.Chance(0.25)) continue;
    Kill();
    ++kills;
    process = std::make_unique<Process>(*this);
  }
  scheduler.RunFor(Seconds(60));
  EXPECT_EQ(Decided().size(), kRecords);
  for (const auto& [place, times] : Decided()) EXPECT_EQ(times, 1) << "partition " << place.first << ", offset " << place.second;
  EXPECT_GT(kills, 5);
  EXPECT_FALSE(failure);
}

TEST(GoldenBytes, PlainRecord) {
  EXPECT_EQ(PlainCommandId("events", PartitionId(3), Offset(258)).ToHex(), "61f51ddbc75100030000000000000102");
  EXPECT_EQ(kInletSource, 1);
  EXPECT_EQ(kInletGeneration, 0x8000'0000U);
}

TEST_F(InletTest, CommandsAndRecordsTakeTurns) {
  constexpr size_t kEach = 1'000;
  {
    command::Sender sender(log, 1 << 20);
    for (size_t i = 0; i < kEach; ++i) {
      const std::string payload = Adding("asked", 1);
      command::Command command;
      command.id = scheduler.entropy().NextId<CommandId>();
      command.type = TypeNumberOf<Add>();
      command.tenant = TenantId(1);
      command.payload = payload;
      sender.Send(PartitionId(0), command, Sync::kNow, [](const Result<CommandAt>&) {});
      inlet.Append(PartitionId(0), "k", Adding("busy", 1));
    }
    scheduler.RunFor(Seconds(1));
  }
  process = std::make_unique<Process>(*this);
  scheduler.RunFor(Seconds(30));
  size_t total = 0;
  size_t row = 0;
  size_t longest = 0;
  bool plain = false;
  ForEachDecision([&](PartitionId, const journal::Decision& decision) {
    if (decision.cause.command_type != TypeNumberOf<Add>()) return;
    ++total;
    row = IsInlet(decision.cause.at) == plain ? row + 1 : 1;
    plain = IsInlet(decision.cause.at);
    longest = std::max(longest, row);
  });
  EXPECT_EQ(total, 2 * kEach);
  EXPECT_LE(longest, 256U);
}

TEST_F(InletTest, AReaderFindsItsPlaceInAJournalOfPlainRecordsAlone) {
  constexpr PartitionId kPartition(0);
  constexpr uint64_t kFrames = 500;
  const auto rules = journal::ReaderRules::Of(log.settings(), kPartition);
  journal::Position at;
  uint64_t offset = 0;
  const auto judge = [&](const std::string& record) {
    const journal::Step step = journal::Judge(rules, at, Offset(offset++), record);
    ASSERT_EQ(step.verdict, journal::Verdict::kAccept);
    at = step.after;
  };
  const auto put = [&](const std::string& record) {
    log.Append({Topic::kJournal, kPartition}, record, Sync::kNow, [](const Result<Appended>&) {});
    judge(record);
  };
  judge(journal::BuildGenesis(rules.log_id, kPartition, {kPartitions}));
  put(journal::BuildClaim(rules.log_id, kPartition, {.epoch = at.epoch.Next(), .nonce = 1, .writer_level = 1, .owner = "o", .build = "b"}));
  for (uint64_t i = 0; i < kFrames; ++i) {
    journal::Decision decision;
    decision.cause.kind = journal::CauseKind::kCommand;
    decision.cause.at = {.partition = kPartition, .generation = kInletGeneration | 1, .offset = Offset(i), .index = 0};
    journal::FrameDraft draft;
    draft.Add(decision);
    journal::FrameHeader header{
        .epoch = at.epoch, .nonce = at.nonce, .seq = at.seq + 1, .first_lsn = at.lsn.Next(), .count = 1, .time = at.time};
    header.prev_chain = at.chain;
    journal::FrameSource source{.source = kInletSource, .generation = kInletGeneration | 1, .last_offset = Offset(i)};
    source.prev_any = i > 0;
    if (i > 0) source.prev_offset = Offset(i - 1);
    header.sources.push_back(source);
    put(journal::BuildFrame(rules.log_id, kPartition, header, draft.body()));
  }
  scheduler.RunFor(Seconds(1));
  for (const uint64_t lsn : {uint64_t{2}, uint64_t{250}, kFrames}) {
    const auto before = journal::PositionBefore(log, at, Lsn(lsn));
    ASSERT_TRUE(before) << before.error().ToString();
    EXPECT_EQ(before->lsn, Lsn(lsn - 1));
  }
}

TEST_F(InletTest, WhatDoesNotParseOrIsTooLargeIsADeadLetterAndTheRestGoesOn) {
  inlet.Append(PartitionId(0), "k", "\xff\xff\xff");
  inlet.Append(PartitionId(0), "k", std::string(command::kCommandBytesMax, 'x'));
  inlet.Append(PartitionId(0), "k", Adding("good", 1));
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return Decided().size() == 3; }));
  std::vector<std::string> codes;
  ForEachDecision([&](PartitionId, const journal::Decision& decision) {
    if (decision.outcome != journal::Outcome::kRejected) return;
    journal::CommandRejected rejected;
    ASSERT_TRUE(rejected.ParseFromArray(decision.events[0].payload.data(), static_cast<int>(decision.events[0].payload.size())));
    codes.push_back(rejected.code);
  });
  EXPECT_EQ(codes, (std::vector<std::string>{"malformed", "unreadable"}));
}

TEST_F(InletTest, RecordsThatAreDeletedUndecidedStopTheTask) {
  for (int i = 0; i < 10; ++i) inlet.Append(PartitionId(0), "k", Adding("a", 1));
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return Decided().size() == 10; }));
  Kill();
  for (int i = 0; i < 10; ++i) inlet.Append(PartitionId(0), "k", Adding("a", 1));
  inlet.Trim(PartitionId(0), Offset(15));
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->code, Code::kNotFound);
}

TEST_F(InletTest, ATopicMadeAnewStopsTheTaskUntilItsGenerationIsRaised) {
  for (int i = 0; i < 10; ++i) inlet.Append(PartitionId(0), "k", Adding("a", 1));
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return Decided().size() == 10; }));
  Kill();
  inlet.Recreate();
  inlet.Append(PartitionId(0), "k", Adding("a", 1));
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->code, Code::kDiverged);
  Kill();
  generation = 2;
  process = std::make_unique<Process>(*this);
  ASSERT_TRUE(Until([&] { return process->decided() == 2 * 10 + 2; }));  // and each is carried home
}

}  // namespace
}  // namespace maily::task
