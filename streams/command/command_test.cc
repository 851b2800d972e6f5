// The command record: what goes in comes out, and damaged bytes never give a wrong command.
#include "streams/command/command.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "tests/hex.h"

namespace maily::command {
namespace {

using test::Hex;

const LogId kLog = LogId::FromHex("000102030405060708090a0b0c0d0e0f");
constexpr uint32_t kGeneration = 3;
const PartitionId kPartition{7};

Command Full() {
  Command c;
  c.id = CommandId::FromHex("10111213141516171819202122232425");
  c.type = 513;
  c.tenant = TenantId(300);
  c.key = "key";
  c.actor = "key:1";
  c.occurred_at = Instant{1'700'000'000'000'000};
  c.trace = TraceId::FromHex("30313233343536373839404142434445");
  c.causation = CommandId::FromHex("50515253545556575859606162636465");
  c.correlation = CommandId::FromHex("70717273747576777879808182838485");
  c.natural_key = "import/1";
  c.sequence = 1000;
  c.request_hash = "0123456789abcdef";
  c.payload = std::string_view("pay\0load", 8);
  return c;
}

Command Plain(std::string_view payload) {
  Command c;
  c.id = CommandId::FromHex("10111213141516171819202122232425");
  c.type = 17;
  c.tenant = TenantId(1);
  c.key = "0123456789abcdef";
  c.actor = "tracking";
  c.occurred_at = Instant{1'700'000'000'000'000};
  c.payload = payload;
  return c;
}

void ExpectSame(const Command& a, const Command& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.tenant, b.tenant);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.actor, b.actor);
  EXPECT_EQ(a.occurred_at, b.occurred_at);
  EXPECT_EQ(a.trace, b.trace);
  EXPECT_EQ(a.causation, b.causation);
  EXPECT_EQ(a.correlation, b.correlation);
  EXPECT_EQ(a.natural_key, b.natural_key);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.request_hash, b.request_hash);
  EXPECT_EQ(a.payload, b.payload);
}

std::string TwoCommands() {
  RecordBuilder builder;
  EXPECT_TRUE(builder.Add(Full()));
  EXPECT_TRUE(builder.Add(Plain("x")));
  return builder.Finish(kLog, kGeneration, kPartition);
}

TEST(CommandRecord, WhatGoesInComesOut) {
  const std::string record = TwoCommands();
  const auto parsed = ParseRecord(record, kLog, kGeneration, kPartition);
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  ASSERT_EQ(parsed->size(), 2u);
  ExpectSame((*parsed)[0], Full());
  ExpectSame((*parsed)[1], Plain("x"));
}

TEST(CommandRecord, ABuilderIsEmptyAfterFinish) {
  RecordBuilder builder;
  ASSERT_TRUE(builder.Add(Full()));
  const std::string first = builder.Finish(kLog, kGeneration, kPartition);
  EXPECT_EQ(builder.count(), 0u);
  EXPECT_EQ(builder.bytes(), 0u);
  ASSERT_TRUE(builder.Add(Full()));
  EXPECT_EQ(builder.Finish(kLog, kGeneration, kPartition), first);
  const std::string empty = builder.Finish(kLog, kGeneration, kPartition);
  const auto parsed = ParseRecord(empty, kLog, kGeneration, kPartition);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->empty());
}

TEST(CommandRecord, AFullRecordRefusesOneMoreAndStaysBelowItsLimit) {
  RecordBuilder builder;
  const std::string payload(60'000, 'p');
  int added = 0;
  while (builder.Add(Plain(payload))) ++added;
  EXPECT_EQ(added, 14);
  const std::string record = builder.Finish(kLog, kGeneration, kPartition);
  EXPECT_LE(record.size(), kRecordBytesMax);
  EXPECT_EQ(ParseRecord(record, kLog, kGeneration, kPartition)->size(), 14u);
}

TEST(CommandRecord, AStrayIsInvalidAndAnotherPlaceIsCorrupt) {
  const std::string record = TwoCommands();
  EXPECT_EQ(ParseRecord("hello", kLog, kGeneration, kPartition).error().code, Code::kInvalid);
  EXPECT_EQ(ParseRecord("", kLog, kGeneration, kPartition).error().code, Code::kInvalid);
  EXPECT_EQ(ParseRecord(record, LogId{}, kGeneration, kPartition).error().code, Code::kCorrupt);
  EXPECT_EQ(ParseRecord(record, kLog, kGeneration + 1, kPartition).error().code, Code::kCorrupt);
  EXPECT_EQ(ParseRecord(record, kLog, kGeneration, PartitionId(8)).error().code, Code::kCorrupt);
}

TEST(CommandRecord, EveryFlippedOrMissingByteIsNoticed) {
  const std::string record = TwoCommands();
  for (size_t i = 0; i < record.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string damaged = record;
      damaged[i] = static_cast<char>(static_cast<uint8_t>(damaged[i]) ^ flip);
      const auto parsed = ParseRecord(damaged, kLog, kGeneration, kPartition);
      ASSERT_FALSE(parsed) << "byte " << i;
      EXPECT_EQ(parsed.error().code, i < 4 ? Code::kInvalid : Code::kCorrupt) << "byte " << i;
    }
    ASSERT_FALSE(ParseRecord(std::string_view(record).substr(0, i), kLog, kGeneration, kPartition)) << "cut at " << i;
  }
  ASSERT_FALSE(ParseRecord(record + "x", kLog, kGeneration, kPartition));
}

// Bodies whose hashes are right and whose content is not: the decoder itself stays within its bytes.
TEST(CommandRecord, RandomBodiesWithRightHashesNeverReadOutside) {
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string good = TwoCommands();
  for (int round = 0; round < 20'000; ++round) {
    std::string record = good;
    const size_t changes = 1 + random() % 4;
    for (size_t i = 0; i < changes; ++i) record[51 + random() % (record.size() - 51)] = static_cast<char>(random());
    if (random() % 4 == 0) record.resize(51 + random() % (record.size() - 51));
    std::string header = record.substr(0, 27);
    PutFixed<uint32_t>(header, random() % 4);
    PutFixed(header, static_cast<uint32_t>(record.size() - 51));
    PutFixed(header, Xxh3_64(std::string_view(record).substr(51)));
    PutFixed(header, Xxh3_64(header));
    record.replace(0, 51, header);
    const auto parsed = ParseRecord(record, kLog, kGeneration, kPartition);
    if (!parsed) {
      EXPECT_EQ(parsed.error().code, Code::kCorrupt);
      continue;
    }
    for (const Command& c : *parsed) {
      for (const std::string_view part : {c.key, c.actor, c.natural_key, c.request_hash, c.payload}) {
        EXPECT_TRUE(part.empty() || (part.data() >= record.data() && part.data() + part.size() <= record.data() + record.size()));
      }
    }
  }
}

// [format] A difference here means that records written by earlier builds cannot be read any more.
TEST(CommandRecord, GoldenBytes) {
  EXPECT_EQ(Hex(TwoCommands()),
            "4d434d4401070003000000000102030405060708090a0b0c0d0e0f02000000b4000000a52c9b808ea2e6282c0fb9a1605d1791"
            "3f01021011121314151617181920212223242500401e18240a0600ac02036b6579056b65793a31303132333435363738394041"
            "42434445505152535455565758596061626364657071727374757677787980818283848508696d706f72742f31e80710303132"
            "3334353637383961626364656608706179006c6f61640011001011121314151617181920212223242500401e18240a06000110"
            "3031323334353637383961626364656608747261636b696e670178");
}

TEST(CommandRecord, EncodingAndParsingAreCheap) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr int kCommands = 256;
  constexpr int kRounds = 200;
  const std::string payload(40, 'p');
  const Command command = Plain(payload);
  RecordBuilder builder;
  std::vector<Command> commands;
  double encode_ns = 1e9;
  double parse_ns = 1e9;
  size_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = SteadyClock::now();
    for (int i = 0; i < kCommands; ++i) ASSERT_TRUE(builder.Add(command));
    const std::string record = builder.Finish(kLog, kGeneration, kPartition);
    const auto middle = SteadyClock::now();
    ASSERT_TRUE(ParseRecordInto(commands, record, kLog, kGeneration, kPartition));
    const auto end = SteadyClock::now();
    bytes = record.size();
    encode_ns = std::min(encode_ns, std::chrono::duration<double, std::nano>(middle - start).count() / kCommands);
    parse_ns = std::min(parse_ns, std::chrono::duration<double, std::nano>(end - middle).count() / kCommands);
  }
  RecordProperty("encode_ns", fmt::format("{:.1f}", encode_ns));
  RecordProperty("parse_ns", fmt::format("{:.1f}", parse_ns));
  fmt::print("command of {} bytes: encode {:.1f} ns, parse {:.1f} ns\n", bytes / kCommands, encode_ns, parse_ns);
#if defined(NDEBUG)
  EXPECT_LT(encode_ns, 500);  // wide, so that a busy machine does not fail it; usual: under 50
  EXPECT_LT(parse_ns, 500);
#endif
}

}  // namespace
}  // namespace maily::command
