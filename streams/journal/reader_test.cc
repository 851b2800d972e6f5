// The reader rules, one by one.
#include "streams/journal/reader.h"

#include <gtest/gtest.h>

#include "streams/journal/writer_core.h"

namespace maily::journal {
namespace {

const ReaderRules kRules{.log_id = LogId::FromHex("000102030405060708090a0b0c0d0e0f"), .partition = PartitionId(3), .partition_count = 4};

std::string GenesisRecord() { return BuildGenesis(kRules.log_id, kRules.partition, {kRules.partition_count}); }
std::string ClaimRecord(uint64_t epoch, uint64_t nonce) {
  return BuildClaim(kRules.log_id, kRules.partition,
                    {.epoch = Epoch(epoch), .nonce = nonce, .writer_level = 1, .owner = "o", .build = "b"});
}

// A reader with its position, fed record by record.
struct Feed {
  ReaderRules rules = kRules;
  Position at;
  uint64_t next = 0;

  Step Give(std::string_view record) {
    Step step = Judge(rules, at, Offset(next++), record);
    if (step.verdict == Verdict::kAccept) at = step.after;
    return step;
  }
  // The header of a frame that continues this position.
  FrameHeader Next() const {
    return {.epoch = at.epoch,
            .nonce = at.nonce,
            .seq = at.seq + 1,
            .window = 1,
            .first_lsn = at.lsn.Next(),
            .count = 2,
            .time = at.time,
            .reader_level = 1,
            .prev_chain = at.chain,
            .sources = {},
            .body_hash = 0,
            .body_size = 0};
  }
  static std::string Build(const FrameHeader& header) { return BuildFrame(kRules.log_id, kRules.partition, header, "body"); }
  static Feed Led() {
    Feed feed;
    EXPECT_EQ(feed.Give(GenesisRecord()).verdict, Verdict::kAccept);
    EXPECT_EQ(feed.Give(ClaimRecord(1, 11)).verdict, Verdict::kAccept);
    return feed;
  }
};

FrameSource Source(uint32_t generation, std::optional<std::pair<uint64_t, uint32_t>> prev, std::pair<uint64_t, uint32_t> last) {
  FrameSource source{.source = 0, .generation = generation, .last_offset = Offset(last.first), .last_index = last.second};
  source.prev_any = prev.has_value();
  if (prev) {
    source.prev_offset = Offset(prev->first);
    source.prev_index = prev->second;
  }
  return source;
}

void ExpectSkip(const Step& step, SkipWhy why) {
  ASSERT_EQ(step.verdict, Verdict::kSkip) << (step.stop ? step.stop->ToString() : "accepted");
  EXPECT_EQ(SkipName(step.skip), std::string(SkipName(why)));
}
void ExpectStop(const Step& step, Code code) {
  ASSERT_EQ(step.verdict, Verdict::kStop);
  EXPECT_EQ(CodeName(step.stop->code), std::string(CodeName(code))) << step.stop->message;
}

TEST(ReaderRules, Rule1SkipsStraysAndStopsAtDamageOrAnotherPlace) {
  Feed feed = Feed::Led();
  const Position before = feed.at;
  ExpectSkip(feed.Give("hello"), SkipWhy::kStray);
  ExpectSkip(feed.Give(""), SkipWhy::kStray);
  EXPECT_EQ(feed.at, before);
  std::string damaged = Feed::Build(feed.Next());
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  ExpectStop(feed.Give(damaged), Code::kCorrupt);
  ExpectStop(feed.Give(BuildFrame(LogId{}, kRules.partition, feed.Next(), "")), Code::kCorrupt);
  ExpectStop(feed.Give(BuildFrame(kRules.log_id, PartitionId(2), feed.Next(), "")), Code::kCorrupt);
}

TEST(ReaderRules, GenesisComesFirstAndOnce) {
  Feed feed;
  ExpectStop(feed.Give(ClaimRecord(1, 1)), Code::kCorrupt);
  ExpectStop(feed.Give(BuildGenesis(kRules.log_id, kRules.partition, {5})), Code::kCorrupt);
  EXPECT_EQ(feed.Give(GenesisRecord()).verdict, Verdict::kAccept);
  EXPECT_FALSE(feed.at.at_genesis);
  EXPECT_EQ(feed.at.offset_hint, Offset(2));
  ExpectSkip(feed.Give(GenesisRecord()), SkipWhy::kGenesis);
}

TEST(ReaderRules, Rule2TakesOnlyAHigherClaimAndChainsIt) {
  Feed feed = Feed::Led();
  const Position before = feed.at;
  ExpectSkip(feed.Give(ClaimRecord(1, 99)), SkipWhy::kOldClaim);
  ExpectSkip(feed.Give(ClaimRecord(0, 99)), SkipWhy::kOldClaim);
  EXPECT_EQ(feed.at, before);
  EXPECT_EQ(feed.Give(Feed::Build(feed.Next())).verdict, Verdict::kAccept);
  EXPECT_EQ(feed.Give(ClaimRecord(5, 55)).verdict, Verdict::kAccept);
  EXPECT_EQ(feed.at.epoch, Epoch(5));
  EXPECT_EQ(feed.at.nonce, 55u);
  EXPECT_EQ(feed.at.seq, 0u);
  EXPECT_EQ(feed.at.lsn, Lsn(2));
  EXPECT_NE(feed.at.chain, before.chain);
}

TEST(ReaderRules, Rule3SkipsTheFencedAndStopsAtAnUnclaimedEpoch) {
  Feed feed = Feed::Led();
  const FrameHeader zombie = feed.Next();
  FrameHeader other = zombie;
  other.nonce = 12;
  ExpectSkip(feed.Give(Feed::Build(other)), SkipWhy::kFenced);
  ASSERT_EQ(feed.Give(ClaimRecord(2, 22)).verdict, Verdict::kAccept);
  ExpectSkip(feed.Give(Feed::Build(zombie)), SkipWhy::kFenced);
  FrameHeader future = feed.Next();
  future.epoch = Epoch(3);
  ExpectStop(feed.Give(Feed::Build(future)), Code::kCorrupt);
}

TEST(ReaderRules, Rule4SkipsDuplicatesAndGapsWithinTheWindow) {
  Feed feed = Feed::Led();
  const std::string first = Feed::Build(feed.Next());
  ASSERT_EQ(feed.Give(first).verdict, Verdict::kAccept);
  ExpectSkip(feed.Give(first), SkipWhy::kDuplicate);
  FrameHeader ahead = feed.Next();
  ahead.seq += 1;
  ahead.window = 2;
  ExpectSkip(feed.Give(Feed::Build(ahead)), SkipWhy::kGap);
  ahead.window = 1;
  ExpectStop(feed.Give(Feed::Build(ahead)), Code::kDiverged);
  ahead.seq += 1;
  ahead.window = 2;
  ExpectStop(feed.Give(Feed::Build(ahead)), Code::kDiverged);
}

TEST(ReaderRules, Rule5StopsAtAFrameInSequenceThatDoesNotFit) {
  const auto stops = [](Code code, auto change) {
    Feed feed = Feed::Led();
    FrameHeader first = feed.Next();
    first.time = Instant{100};
    first.sources = {Source(1, std::nullopt, {7, 2})};
    ASSERT_EQ(feed.Give(Feed::Build(first)).verdict, Verdict::kAccept);
    FrameHeader second = feed.Next();
    second.sources = {Source(1, std::pair(uint64_t{7}, 2u), {7, 3})};
    change(second);
    ExpectStop(feed.Give(Feed::Build(second)), code);
  };
  stops(Code::kFatal, [](FrameHeader& f) { f.reader_level = kReaderLevel + 1; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.prev_chain ^= 1; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.first_lsn = f.first_lsn.Next(); });
  stops(Code::kDiverged, [](FrameHeader& f) { f.time = Instant{99}; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.sources[0].prev_index = 1; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.sources[0].prev_offset = Offset(6); });
  stops(Code::kDiverged, [](FrameHeader& f) { f.sources[0].prev_any = false; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.sources[0].last_index = 2; });
  stops(Code::kDiverged, [](FrameHeader& f) { f.sources[0].generation = 0; });
}

TEST(ReaderRules, SourcesMoveOnAndBeginAnewWithAGeneration) {
  Feed feed = Feed::Led();
  FrameHeader frame = feed.Next();
  frame.sources = {Source(1, std::nullopt, {7, 2})};
  ASSERT_EQ(feed.Give(Feed::Build(frame)).verdict, Verdict::kAccept);
  ASSERT_EQ(feed.Give(Feed::Build(feed.Next())).verdict, Verdict::kAccept);  // work and timers only
  frame = feed.Next();
  frame.sources = {Source(1, std::pair(uint64_t{7}, 2u), {8, 0})};
  ASSERT_EQ(feed.Give(Feed::Build(frame)).verdict, Verdict::kAccept);
  frame = feed.Next();
  frame.sources = {Source(2, std::nullopt, {0, 0})};
  ASSERT_EQ(feed.Give(Feed::Build(frame)).verdict, Verdict::kAccept);
  ASSERT_NE(feed.at.Source(0), nullptr);
  EXPECT_EQ(*feed.at.Source(0), (SourcePosition{.source = 0, .generation = 2, .any = true, .offset = Offset(0), .index = 0}));
}

TEST(ReaderRules, Rule7TellsWhetherAPositionFitsTheRecordAtItsHint) {
  Feed feed;
  const std::string genesis = GenesisRecord();
  ASSERT_EQ(feed.Give(genesis).verdict, Verdict::kAccept);
  const Position after_genesis = feed.at;
  EXPECT_TRUE(CheckHint(kRules, after_genesis, genesis));
  const std::string claim = ClaimRecord(1, 11);
  ASSERT_EQ(feed.Give(claim).verdict, Verdict::kAccept);
  const Position after_claim = feed.at;
  EXPECT_TRUE(CheckHint(kRules, after_claim, claim));
  const std::string frame = Feed::Build(feed.Next());
  ASSERT_EQ(feed.Give(frame).verdict, Verdict::kAccept);
  EXPECT_TRUE(CheckHint(kRules, feed.at, frame));
  EXPECT_EQ(CheckHint(kRules, after_claim, frame).error().code, Code::kDiverged);
  EXPECT_EQ(CheckHint(kRules, after_claim, ClaimRecord(1, 12)).error().code, Code::kDiverged);
  EXPECT_EQ(CheckHint(kRules, feed.at, claim).error().code, Code::kDiverged);
  EXPECT_EQ(CheckHint(kRules, feed.at, "stray").error().code, Code::kDiverged);
  Position forged = feed.at;
  forged.chain ^= 1;
  EXPECT_EQ(CheckHint(kRules, forged, frame).error().code, Code::kDiverged);
  forged = feed.at;
  forged.log_id = LogId{};
  EXPECT_EQ(CheckHint(kRules, forged, frame).error().code, Code::kDiverged);
}

}  // namespace
}  // namespace maily::journal
