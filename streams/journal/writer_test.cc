// Writer and tail on a log that does what the test says: claims, reports, read-back, resends, fencing, sharing of frames.
#include "streams/journal/writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "streams/journal/frame.h"
#include "streams/journal/tail.h"
#include "tests/model/script_log.h"

namespace maily::journal {
namespace {

using model::CountingEntropy;
using model::ManualExecutor;
using model::ScriptLog;

const PartitionId kPartition{2};
const TopicPartition kTopic{Topic::kJournal, kPartition};
constexpr size_t kCacheBytes = 1 << 20;

// One process: its executor, tail and writer, and what the writer told.
struct Process {
  explicit Process(ScriptLog& log) : log_(log) {}

  void Lead(const Position& from = {}) {
    led.reset();
    writer.Lead(
        from,
        [this](const AcceptedFrame& frame) {
          for (const Decision& d : frame.decisions) folded.emplace_back(d.answer);
          return fold_error ? Result<void>(*fold_error) : Ok();
        },
        [this](Result<Epoch> epoch) { led = std::move(epoch); });
    executor.Run();
  }
  void Append(std::string_view answer) {
    accepted.reset();
    FrameDraft draft;
    Decision decision;
    decision.answer = answer;
    const Event event{.type = 9, .payload = answer};
    decision.events = {&event, 1};
    draft.Add(decision);
    draft.Consumed(0, {.partition = kPartition, .generation = 1, .offset = Offset(next_command++), .index = 0});
    draft.SetTime(log_.now);
    writer.Append(std::move(draft), [this](Result<Position> position) { accepted = std::move(position); });
    executor.Run();
  }

  ScriptLog& log_;
  ManualExecutor executor;
  CountingEntropy entropy;
  Tail tail{log_, kPartition, kCacheBytes};
  Writer writer{log_, tail, executor, entropy, {.partition = kPartition, .owner = "here:1", .build = "test", .level = 1}};
  uint64_t next_command = 0;
  std::vector<std::string> folded;
  std::optional<Error> fold_error;
  std::optional<Result<Epoch>> led;
  std::optional<Result<Position>> accepted;
};

struct WriterTest : ::testing::Test {
  WriterTest() { EXPECT_TRUE(WriteGenesis(log, kPartition)); }
  // What a reader from the beginning sees.
  std::vector<std::string> Journal() {
    Tail tail(log, kPartition, 0);
    auto reader = tail.Open({});
    EXPECT_TRUE(reader);
    std::vector<std::string> answers;
    while (true) {
      auto frame = (*reader)->Next();
      EXPECT_TRUE(frame) << frame.error().ToString();
      if (!frame || *frame == nullptr) return answers;
      for (const Decision& d : (*frame)->decisions) answers.emplace_back(d.answer);
    }
  }
  ScriptLog log;
};

std::string ClaimOf(const ScriptLog& log, uint64_t epoch, uint64_t nonce) {
  return BuildClaim(log.settings().log_id, kPartition,
                    {.epoch = Epoch(epoch), .nonce = nonce, .writer_level = 1, .owner = "other", .build = ""});
}

TEST_F(WriterTest, GenesisIsWrittenOnce) {
  EXPECT_TRUE(WriteGenesis(log, kPartition));
  EXPECT_EQ(log.Ends(kTopic).durable, Offset(1));
  ScriptLog other(5);
  other.Put(kTopic, log.Bytes(kTopic, Offset(0)));
  EXPECT_EQ(WriteGenesis(other, kPartition).error().code, Code::kConflict);
}

TEST_F(WriterTest, ClaimsLeadsAndAppends) {
  Process p(log);
  p.Lead();
  ASSERT_TRUE(p.led && *p.led);
  EXPECT_EQ(**p.led, Epoch(1));
  const int reads = log.reads.load();
  p.Append("a");
  ASSERT_TRUE(p.accepted && *p.accepted);
  EXPECT_EQ(log.reads.load(), reads) << "a frame directly after the last one needs no read-back";
  EXPECT_EQ((*p.accepted)->lsn, Lsn(1));
  EXPECT_EQ((*p.accepted)->seq, 1u);
  EXPECT_EQ(p.writer.position(), **p.accepted);
  p.Append("b");
  EXPECT_FALSE(p.writer.in_flight());
  EXPECT_EQ(Journal(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(WriterTest, ANewOwnerFoldsEverythingAndTheOldOneIsFenced) {
  Process first(log);
  first.Lead();
  first.Append("a");
  const Position stored = first.writer.position();
  first.Append("b");
  Process second(log);
  second.next_command = 2;
  second.Lead();
  ASSERT_TRUE(second.led && *second.led);
  EXPECT_EQ(**second.led, Epoch(2));
  EXPECT_EQ(second.folded, (std::vector<std::string>{"a", "b"}));
  first.Append("zombie");
  ASSERT_TRUE(first.accepted);
  EXPECT_EQ(first.accepted->error().code, Code::kFenced);
  second.Append("c");
  ASSERT_TRUE(*second.accepted);
  EXPECT_EQ(Journal(), (std::vector<std::string>{"a", "b", "c"}));
  // The old one becomes a standby and takes over again, from its stored position.
  first.folded.clear();
  first.next_command = 3;
  first.Lead(stored);
  ASSERT_TRUE(first.led && *first.led) << first.led->error().ToString();
  EXPECT_EQ(**first.led, Epoch(3));
  EXPECT_EQ(first.folded, (std::vector<std::string>{"b", "c"}));
}

TEST_F(WriterTest, AFailedAppendIsReadBackAndResentAsTheSameBytes) {
  Process p(log);
  p.Lead();
  log.automatic = false;
  p.Append("a");
  const std::string bytes = log.pending[0].record;
  log.Land(Result<Appended>(Fail(Code::kRetry, "time-out")), false);  // lost
  p.executor.RunFor(Seconds(2));
  ASSERT_EQ(log.pending.size(), 1u);
  EXPECT_EQ(log.pending[0].record, bytes);
  EXPECT_FALSE(p.accepted);
  log.Land(Result<Appended>(Fail(Code::kRetry, "time-out")), true);  // there, and nobody was told
  p.executor.RunFor(Seconds(2));
  ASSERT_TRUE(p.accepted && *p.accepted);
  EXPECT_TRUE(log.pending.empty());
  // The first copy turns up late.
  log.Put(kTopic, bytes);
  p.Append("b");
  log.Land();
  p.executor.Run();
  ASSERT_TRUE(p.accepted && *p.accepted);
  EXPECT_EQ(Journal(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(WriterTest, AnAcknowledgementWithoutOffsetIsReadBack) {
  Process p(log);
  p.Lead();
  log.automatic = false;
  p.Append("a");
  log.Land(Result<Appended>(Appended{}));
  p.executor.Run();
  ASSERT_TRUE(p.accepted && *p.accepted);
  EXPECT_EQ((*p.accepted)->offset_hint, Offset(2));
}

TEST_F(WriterTest, AFrameBehindAnothersClaimIsVoid) {
  Process p(log);
  p.Lead();
  log.automatic = false;
  p.Append("a");
  log.Put(kTopic, ClaimOf(log, 2, 77));
  log.Land();
  p.executor.Run();
  ASSERT_TRUE(p.accepted);
  EXPECT_EQ(p.accepted->error().code, Code::kFenced);
  EXPECT_TRUE(Journal().empty());
}

TEST_F(WriterTest, AFrameBeforeAnothersClaimIsAccepted) {
  Process p(log);
  p.Lead();
  log.automatic = false;
  p.Append("a");
  log.Land(Result<Appended>(Fail(Code::kRetry, "time-out")), true);
  log.Put(kTopic, ClaimOf(log, 2, 77));
  p.executor.Run();
  ASSERT_TRUE(p.accepted && *p.accepted);
  p.Append("b");
  log.Land();
  p.executor.Run();
  EXPECT_EQ(p.accepted->error().code, Code::kFenced);
  EXPECT_EQ(Journal(), (std::vector<std::string>{"a"}));
}

TEST_F(WriterTest, ATruncatedLogStopsIt) {
  Process p(log);
  p.Lead();
  p.Append("a");
  p.Append("b");
  log.Truncate(kTopic, Offset(2));
  p.Append("c");
  ASSERT_TRUE(p.accepted);
  EXPECT_EQ(p.accepted->error().code, Code::kDiverged);
  Process later(log);
  later.Lead(p.writer.position());
  ASSERT_TRUE(later.led);
  EXPECT_EQ(later.led->error().code, Code::kDiverged);
}

TEST_F(WriterTest, WhoLosesTheClaimWaitsAndTriesAgain) {
  Process p(log);
  log.automatic = false;
  p.Lead();
  ASSERT_EQ(log.pending.size(), 1u);
  log.Put(kTopic, ClaimOf(log, 1, 77));
  log.Land();
  p.executor.Run();
  EXPECT_FALSE(p.led);
  EXPECT_TRUE(log.pending.empty());
  p.executor.RunFor(Milliseconds(999));
  EXPECT_TRUE(log.pending.empty());
  p.executor.RunFor(Seconds(10));
  ASSERT_EQ(log.pending.size(), 1u);
  log.Land();
  p.executor.Run();
  ASSERT_TRUE(p.led && *p.led);
  EXPECT_EQ(**p.led, Epoch(2));
}

TEST_F(WriterTest, ALostClaimIsResent) {
  Process p(log);
  log.automatic = false;
  p.Lead();
  log.Land(Result<Appended>(Fail(Code::kRetry, "time-out")), false);
  p.executor.RunFor(Seconds(1));
  ASSERT_EQ(log.pending.size(), 1u);
  log.Land();
  p.executor.Run();
  ASSERT_TRUE(p.led && *p.led);
}

TEST_F(WriterTest, ErrorsOfTheFoldAndOfTheLogEndInLed) {
  Process first(log);
  first.Lead();
  first.Append("a");
  Process second(log);
  second.fold_error = Fail(Code::kCorrupt, "unknown event");
  second.Lead();
  ASSERT_TRUE(second.led);
  EXPECT_EQ(second.led->error().code, Code::kCorrupt);
  log.Bytes(kTopic, Offset(2)).back() ^= 1;
  Process third(log);
  third.Lead();
  ASSERT_TRUE(third.led);
  EXPECT_EQ(third.led->error().code, Code::kCorrupt);
}

TEST_F(WriterTest, AFrameOverTheLimitIsRefused) {
  Process p(log);
  p.Lead();
  std::string noise(1'000'000, '\0');
  uint64_t x = 88172645463325252;
  for (char& c : noise) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c = static_cast<char>(x);
  }
  p.Append(noise);
  ASSERT_TRUE(p.accepted);
  EXPECT_EQ(p.accepted->error().code, Code::kInvalid);
}

TEST_F(WriterTest, DestroyedWithAFrameInTheAirItIsSilent) {
  ManualExecutor executor;
  CountingEntropy entropy;
  Tail tail(log, kPartition, kCacheBytes);
  bool told = false;
  {
    Writer writer(log, tail, executor, entropy, {.partition = kPartition, .owner = "", .build = "", .level = 1});
    writer.Lead({}, [](const AcceptedFrame&) { return Ok(); }, [](Result<Epoch>) {});
    executor.Run();
    log.automatic = false;
    writer.Append(FrameDraft(), [&](Result<Position>) { told = true; });
    ASSERT_EQ(log.pending.size(), 1u);
  }
  log.Land();
  executor.Run();
  EXPECT_FALSE(told);
}

TEST_F(WriterTest, FoldsInBatchesAndLeavesTheExecutorToOthersBetween) {
  Process first(log);
  first.Lead();
  for (int i = 0; i < 200; ++i) first.Append("x");
  Process second(log);
  size_t seen_by_other = 0;
  second.writer.Lead(
      {},
      [&](const AcceptedFrame&) {
        second.folded.emplace_back();
        return Ok();
      },
      [&](Result<Epoch> e) { second.led = std::move(e); });
  second.executor.Post([&] { second.executor.Post([&] { seen_by_other = second.folded.size(); }); });
  second.executor.Run();
  ASSERT_TRUE(second.led && *second.led);
  EXPECT_EQ(second.folded.size(), 200u);
  EXPECT_GT(seen_by_other, 0u);
  EXPECT_LT(seen_by_other, 200u);
}

TEST_F(WriterTest, FramesAreUnpackedOnceAndSharedByReaders) {
  Process p(log);
  p.Lead();
  for (int i = 0; i < 10; ++i) p.Append(fmt::format("{}", i));
  auto a = *p.tail.Open({});
  auto b = *p.tail.Open({});
  for (int i = 0; i < 10; ++i) {
    const FramePtr from_a = *a->Next();
    const FramePtr from_b = *b->Next();
    ASSERT_NE(from_a, nullptr);
    EXPECT_EQ(from_a, from_b);
    EXPECT_EQ(from_a->decisions.at(0).answer, fmt::format("{}", i));
    EXPECT_EQ(from_a->decisions[0].events[0].payload, fmt::format("{}", i));
    EXPECT_EQ(from_a->after, a->position());
  }
  EXPECT_EQ(*a->Next(), nullptr);
  EXPECT_EQ(*b->Next(), nullptr);
  EXPECT_EQ(a->position(), b->position());
  EXPECT_EQ(a->position(), p.writer.position());
}

TEST_F(WriterTest, TheCacheOfFramesIsBounded) {
  Process p(log);
  p.Lead();
  for (int i = 0; i < 10; ++i) p.Append("x");
  Tail tail(log, kPartition, 1);
  auto a = *tail.Open({});
  auto b = *tail.Open({});
  while (const FramePtr frame = *a->Next()) {
    const FramePtr other = *b->Next();
    EXPECT_NE(frame, other);
    EXPECT_EQ(frame->after, other->after);
  }
}

TEST_F(WriterTest, AReaderResumesAtAStoredPositionAndRefusesOneThatDoesNotFit) {
  Process p(log);
  p.Lead();
  p.Append("a");
  const Position stored = *DecodePosition(EncodePosition(p.writer.position()));
  p.Append("b");
  auto reader = *p.tail.Open(stored);
  EXPECT_EQ((*reader->Next())->decisions.at(0).answer, "b");
  Position forged = stored;
  forged.chain ^= 1;
  EXPECT_EQ(p.tail.Open(forged).error().code, Code::kDiverged);
  forged = stored;
  forged.offset_hint = Offset(1000);
  EXPECT_EQ(p.tail.Open(forged).error().code, Code::kDiverged);
  forged.offset_hint = log.Ends(kTopic).durable;
  EXPECT_EQ(p.tail.Open(forged).error().code, Code::kDiverged);
}

TEST_F(WriterTest, StraysAreCountedAndAStopStays) {
  Process p(log);
  p.Lead();
  log.Put(kTopic, "stray");
  p.Append("a");
  ASSERT_TRUE(*p.accepted);
  Tail tail(log, kPartition, kCacheBytes);
  auto reader = *tail.Open({});
  EXPECT_NE(*reader->Next(), nullptr);
  EXPECT_EQ(tail.skipped(SkipWhy::kStray), 1u);
  std::string damaged = log.Bytes(kTopic, Offset(3));
  damaged.back() ^= 1;
  log.Put(kTopic, damaged);
  EXPECT_EQ(reader->Next().error().code, Code::kCorrupt);
  log.Bytes(kTopic, Offset(4)) = log.Bytes(kTopic, Offset(3));
  EXPECT_EQ(reader->Next().error().code, Code::kCorrupt);
}

TEST_F(WriterTest, WhenReadyComesOnceWhenThereIsMore) {
  Process p(log);
  p.Lead();
  auto reader = *p.tail.Open({});
  int ready = 0;
  reader->WhenReady(p.executor, [&] { ++ready; });
  p.executor.Run();
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(*reader->Next(), nullptr);
  reader->WhenReady(p.executor, [&] { ++ready; });
  p.executor.Run();
  EXPECT_EQ(ready, 1);
  p.Append("a");
  EXPECT_EQ(ready, 2);
  EXPECT_NE(*reader->Next(), nullptr);
  p.Append("b");
  EXPECT_EQ(ready, 2);
  reader->WhenReady(p.executor, [&] { ++ready; });
  reader.reset();
  p.executor.Run();
}

// Run under tsan too: readers of several threads share one tail and a cache that is too small for all.
TEST_F(WriterTest, ReadersOnManyThreadsSeeTheSameFrames) {
  Process p(log);
  p.Lead();
  constexpr uint64_t kFrames = 300;
  for (uint64_t i = 0; i < kFrames; ++i) p.Append("x");
  Tail tail(log, kPartition, 20'000);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      auto reader = *tail.Open({});
      uint64_t lsn = 0;
      while (const FramePtr frame = *reader->Next()) {
        if (frame->first_lsn != Lsn(++lsn) || frame->decisions.at(0).events.size() != 1) return;
      }
      if (lsn == kFrames && reader->position() == p.writer.position()) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 4);
}

TEST_F(WriterTest, AFrameOfManyDecisionsIsCheap) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr int kDecisions = 2'000;
  constexpr int kRounds = 20;
  const std::string payload(40, 'p');
  Process p(log);
  p.Lead();
  double encode_ns = 1e9;
  double append_ns = 1e9;
  double unpack_ns = 1e9;
  const auto ns = [](auto a, auto b) { return std::chrono::duration<double, std::nano>(b - a).count() / kDecisions; };
  auto reader = *p.tail.Open({});
  for (int round = 0; round < kRounds; ++round) {
    FrameDraft draft;
    const auto start = SteadyClock::now();
    for (int i = 0; i < kDecisions; ++i) {
      Decision d;
      d.cause.at = {.partition = kPartition,
                    .generation = 1,
                    .offset = Offset(static_cast<uint64_t>(i / 256)),
                    .index = static_cast<uint32_t>(i % 256)};
      d.cause.command_id.bytes[3] = static_cast<uint8_t>(i);
      d.cause.command_id.bytes[4] = static_cast<uint8_t>(i * 7);
      d.cause.command_type = 7;
      d.tenant = TenantId(1);
      d.actor = "tracking";
      const Event event{.type = 9, .payload = payload};
      d.events = {&event, 1};
      draft.Add(d);
    }
    const auto encoded = SteadyClock::now();
    p.accepted.reset();
    p.writer.Append(std::move(draft), [&](Result<Position> position) { p.accepted = std::move(position); });
    p.executor.Run();
    const auto appended = SteadyClock::now();
    ASSERT_TRUE(p.accepted && *p.accepted);
    const FramePtr frame = *reader->Next();
    const auto end = SteadyClock::now();
    ASSERT_EQ(frame->decisions.size(), static_cast<size_t>(kDecisions));
    encode_ns = std::min(encode_ns, ns(start, encoded));
    append_ns = std::min(append_ns, ns(encoded, appended));
    unpack_ns = std::min(unpack_ns, ns(appended, end));
  }
  fmt::print("a decision: encode {:.0f} ns, append {:.0f} ns, read and unpack {:.0f} ns\n", encode_ns, append_ns, unpack_ns);
}

}  // namespace
}  // namespace maily::journal
