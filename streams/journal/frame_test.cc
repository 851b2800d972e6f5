// Decisions, positions, claims and frames: what goes in comes out, the bytes stay as they are, and damage is noticed.
#include "streams/journal/frame.h"

#include <gtest/gtest.h>

#include <random>

#include "streams/base/bytes.h"
#include "streams/base/compress.h"
#include "streams/base/hash.h"
#include "streams/journal/decision.h"
#include "streams/journal/position.h"
#include "tests/hex.h"

namespace maily::journal {
namespace {

using test::Hex;

const LogId kLog = LogId::FromHex("000102030405060708090a0b0c0d0e0f");
const PartitionId kPartition{7};

const Event kEvents[] = {{.type = 5, .payload = "first"}, {.type = 600, .payload = ""}};

Decision OfCommand() {
  Decision d;
  d.cause.kind = CauseKind::kCommand;
  d.cause.at = {.partition = kPartition, .generation = 2, .offset = Offset(1234567), .index = 9};
  d.cause.command_id = CommandId::FromHex("10111213141516171819202122232425");
  d.cause.command_type = 513;
  d.tenant = TenantId(300);
  d.trace = TraceId::FromHex("30313233343536373839404142434445");
  d.causation = CommandId::FromHex("50515253545556575859606162636465");
  d.correlation = CommandId::FromHex("70717273747576777879808182838485");
  d.occurred_at = Instant{1'700'000'000'000'000};
  d.outcome = Outcome::kConflict;
  d.answer = R"({"a":1})";
  d.actor = "key:1";
  d.natural_key = "import/1";
  d.sequence = 77;
  d.request_hash = "0123456789abcdef";
  d.events = kEvents;
  return d;
}

Decision OfWork() {
  Decision d;
  d.cause.kind = CauseKind::kWork;
  d.cause.item = "slice/1";
  d.tenant = TenantId(1);
  return d;
}

std::string Bodies() {
  std::string body;
  EncodeDecision(body, OfCommand());
  EncodeDecision(body, OfWork());
  return body;
}

FrameHeader Header() {
  return {.epoch = Epoch(3),
          .nonce = 0x1122334455667788,
          .seq = 2,
          .window = 1,
          .first_lsn = Lsn(41),
          .count = 2,
          .time = Instant{1'700'000'000'000'001},
          .reader_level = 1,
          .prev_chain = 0xA1A2A3A4A5A6A7A8,
          .sources = {{.source = 0,
                       .generation = 2,
                       .prev_any = true,
                       .prev_offset = Offset(1234566),
                       .prev_index = 1,
                       .last_offset = Offset(1234567),
                       .last_index = 9}},
          .body_hash = 0,
          .body_size = 0};
}

Position SomePosition() {
  return {.log_id = kLog,
          .partition = kPartition,
          .epoch = Epoch(3),
          .nonce = 0x1122334455667788,
          .seq = 2,
          .lsn = Lsn(42),
          .chain = 99,
          .sources = {{.source = 0, .generation = 2, .any = true, .offset = Offset(1234567), .index = 9}},
          .at_genesis = false,
          .offset_hint = Offset(12),
          .time = Instant{1'700'000'000'000'001}};
}

TEST(Decision, WhatGoesInComesOut) {
  const std::string body = Bodies();
  Cursor cursor(body);
  std::vector<Event> events;
  const auto first = DecodeDecision(cursor, events);
  ASSERT_TRUE(first) << first.error().ToString();
  const Decision& d = first->decision;
  const Decision want = OfCommand();
  EXPECT_EQ(d.cause.kind, want.cause.kind);
  EXPECT_EQ(d.cause.at, want.cause.at);
  EXPECT_EQ(d.cause.command_id, want.cause.command_id);
  EXPECT_EQ(d.cause.command_type, want.cause.command_type);
  EXPECT_EQ(d.tenant, want.tenant);
  EXPECT_EQ(d.trace, want.trace);
  EXPECT_EQ(d.causation, want.causation);
  EXPECT_EQ(d.correlation, want.correlation);
  EXPECT_EQ(d.occurred_at, want.occurred_at);
  EXPECT_EQ(d.outcome, want.outcome);
  EXPECT_EQ(d.answer, want.answer);
  EXPECT_EQ(d.actor, want.actor);
  EXPECT_EQ(d.natural_key, want.natural_key);
  EXPECT_EQ(d.sequence, want.sequence);
  EXPECT_EQ(d.request_hash, want.request_hash);
  ASSERT_EQ(first->count, 2u);
  EXPECT_EQ(events[0].type, 5);
  EXPECT_EQ(events[0].payload, "first");
  EXPECT_EQ(events[1].type, 600);
  const auto second = DecodeDecision(cursor, events);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->decision.cause.kind, CauseKind::kWork);
  EXPECT_EQ(second->decision.cause.item, "slice/1");
  EXPECT_EQ(second->first, 2u);
  EXPECT_EQ(second->count, 0u);
  EXPECT_TRUE(cursor.AtEnd());
}

TEST(Decision, CutAndRandomBytesAreCorruptAndNeverReadOutside) {
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  std::string good;
  EncodeDecision(good, OfCommand());
  for (size_t size = 0; size < good.size(); ++size) {
    std::vector<Event> events;
    const std::string cut = good.substr(0, size);
    Cursor cursor(cut);
    EXPECT_FALSE(DecodeDecision(cursor, events)) << size;
    EXPECT_TRUE(events.empty());
  }
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = good;
    for (size_t i = 0; i <= random() % 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    std::vector<Event> events;
    Cursor cursor(bytes);
    if (const auto decoded = DecodeDecision(cursor, events)) {
      for (const Event& e : events) {
        EXPECT_TRUE(e.payload.empty() ||
                    (e.payload.data() >= bytes.data() && e.payload.data() + e.payload.size() <= bytes.data() + bytes.size()));
      }
    }
  }
}

TEST(Position, WhatGoesInComesOutAndEveryFlippedByteIsNoticed) {
  const std::string bytes = EncodePosition(SomePosition());
  const auto decoded = DecodePosition(bytes);
  ASSERT_TRUE(decoded) << decoded.error().ToString();
  EXPECT_EQ(*decoded, SomePosition());
  EXPECT_EQ(*DecodePosition(EncodePosition(Position{})), Position{});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    const auto wrong = DecodePosition(damaged);
    ASSERT_FALSE(wrong) << i;
    EXPECT_EQ(wrong.error().code, Code::kCorrupt);
    EXPECT_FALSE(DecodePosition(std::string_view(bytes).substr(0, i)));
  }
}

TEST(Frame, WhatGoesInComesOut) {
  const std::string record = BuildFrame(kLog, kPartition, Header(), Bodies());
  const auto parsed = ParseJournalRecord(record);
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->kind, RecordKind::kFrame);
  EXPECT_EQ(parsed->log_id, kLog);
  EXPECT_EQ(parsed->partition, kPartition);
  const FrameHeader& f = parsed->frame;
  EXPECT_EQ(f.epoch, Epoch(3));
  EXPECT_EQ(f.nonce, 0x1122334455667788u);
  EXPECT_EQ(f.seq, 2u);
  EXPECT_EQ(f.window, 1u);
  EXPECT_EQ(f.first_lsn, Lsn(41));
  EXPECT_EQ(f.count, 2u);
  EXPECT_EQ(f.time, Instant{1'700'000'000'000'001});
  EXPECT_EQ(f.reader_level, 1u);
  EXPECT_EQ(f.prev_chain, 0xA1A2A3A4A5A6A7A8u);
  ASSERT_EQ(f.sources.size(), 1u);
  EXPECT_TRUE(f.sources[0].prev_any);
  EXPECT_EQ(f.sources[0].prev_offset, Offset(1234566));
  EXPECT_EQ(f.sources[0].last_index, 9u);
  EXPECT_EQ(*Decompress(parsed->body, kFrameRawBytesMax), Bodies());
}

TEST(Claim, WhatGoesInComesOut) {
  const std::string record =
      BuildClaim(kLog, kPartition, {.epoch = Epoch(4), .nonce = 5, .writer_level = 1, .owner = "host:1", .build = "0.1.0"});
  const auto parsed = ParseJournalRecord(record);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, RecordKind::kClaim);
  EXPECT_EQ(parsed->claim.epoch, Epoch(4));
  EXPECT_EQ(parsed->claim.nonce, 5u);
  EXPECT_EQ(parsed->claim.owner, "host:1");
  EXPECT_EQ(parsed->claim.build, "0.1.0");
}

TEST(JournalRecord, EveryFlippedOrMissingByteIsNoticed) {
  for (const std::string& record :
       {BuildGenesis(kLog, kPartition, {16}), BuildFrame(kLog, kPartition, Header(), Bodies()),
        BuildClaim(kLog, kPartition, {.epoch = Epoch(4), .nonce = 5, .writer_level = 1, .owner = "host:1", .build = "0.1.0"})}) {
    for (size_t i = 0; i < record.size(); ++i) {
      for (const int flip : {0x01, 0x02, 0x80, 0xFF}) {
        std::string damaged = record;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        const auto parsed = ParseJournalRecord(damaged);
        ASSERT_FALSE(parsed) << "byte " << i;
        EXPECT_EQ(parsed.error().code, i < 4 ? Code::kInvalid : Code::kCorrupt) << "byte " << i;
      }
      ASSERT_FALSE(ParseJournalRecord(std::string_view(record).substr(0, i))) << "cut at " << i;
    }
    EXPECT_FALSE(ParseJournalRecord(record + "x"));
  }
}

// [format] A difference in one of these means that what earlier builds wrote cannot be read any more.
TEST(GoldenBytes, Decision) {
  EXPECT_EQ(Hex(Bodies()),
            "fc0703ac02070287ad4b09810410111213141516171819202122232425303132333435363738394041424344455051525354"
            "55565758596061626364657071727374757677787980818283848500401e18240a0600077b2261223a317d056b65793a3108"
            "696d706f72742f314d10303132333435363738396162636465660205056669727374d804000100000107736c6963652f3100");
}
TEST(GoldenBytes, Position) {
  EXPECT_EQ(Hex(EncodePosition(SomePosition())),
            "4d504f5301000102030405060708090a0b0c0d0e0f07000300000000000000887766554433221102000000000000002a0000"
            "00000000006300000000000000000c0000000000000001401e18240a060001000000020000000187d6120000000000090000"
            "001e077778b39d12bb");
}
TEST(GoldenBytes, Genesis) {
  EXPECT_EQ(Hex(BuildGenesis(kLog, kPartition, {16})), "4d4a4e4c0101000102030405060708090a0b0c0d0e0f07001000a6f4adb464de65ee");
}
TEST(GoldenBytes, Claim) {
  const Claim claim{.epoch = Epoch(4), .nonce = 5, .writer_level = 1, .owner = "host:1", .build = "0.1.0"};
  EXPECT_EQ(Hex(BuildClaim(kLog, kPartition, claim)),
            "4d4a4e4c0201000102030405060708090a0b0c0d0e0f0700040000000000000005000000000000000100000006000500686f"
            "73743a31302e312e307cd436a958998423");
}
// The body is compressed, and zstd may compress otherwise tomorrow: an empty one has one form, and a stored one must stay readable.
TEST(GoldenBytes, Frame) {
  const std::string record = BuildFrame(kLog, kPartition, Header(), "");
  EXPECT_EQ(Hex(record),
            "4d4a4e4c0301000102030405060708090a0b0c0d0e0f07000300000000000000887766554433221102000000000000000100"
            "000029000000000000000200000001401e18240a060001000000a8a7a6a5a4a3a2a101000000020000000186d61200000000"
            "000100000087d61200000000000900000073a8e7a2dd29fbe6090000003d62b16eee6fb6d828b52ffd2000010000");
  const auto parsed = ParseJournalRecord(record);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(fmt::format("{:016x}", ChainAfter(0xA1A2A3A4A5A6A7A8, *parsed)), "bad48643072f342c");
}
TEST(GoldenBytes, ChainOfClaimAndGenesis) {
  const std::string genesis = BuildGenesis(kLog, kPartition, {16});
  const std::string claim = BuildClaim(kLog, kPartition, {.epoch = Epoch(4), .nonce = 5, .writer_level = 1, .owner = "a", .build = "b"});
  const uint64_t first = ChainAfter(0, *ParseJournalRecord(genesis));
  EXPECT_EQ(fmt::format("{:016x}", first), "9becfbf08d46a57f");
  EXPECT_EQ(fmt::format("{:016x}", ChainAfter(first, *ParseJournalRecord(claim))), "a76f02a8ef65a919");
}

}  // namespace
}  // namespace maily::journal
