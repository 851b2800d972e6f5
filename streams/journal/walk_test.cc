// Walking through journals that are whole, damaged, and cut at their beginning.
#include "streams/journal/walk.h"

#include <gtest/gtest.h>

#include "streams/journal/writer_core.h"
#include "tests/model/script_log.h"

namespace maily::journal {
namespace {

using model::ScriptLog;

const PartitionId kPartition{2};
const TopicPartition kTopic{Topic::kJournal, kPartition};

// Genesis, a claim, a stray record, a frame, and the same frame again, which readers skip.
void Fill(ScriptLog& log) {
  const ReaderRules rules = ReaderRules::Of(log.settings(), kPartition);
  Position at;
  const auto put = [&](const std::string& record) {
    const Step step = Judge(rules, at, log.Put(kTopic, record), record);
    ASSERT_NE(step.verdict, Verdict::kStop) << step.stop->ToString();
    if (step.verdict == Verdict::kAccept) at = step.after;
  };
  put(BuildGenesis(rules.log_id, kPartition, {rules.partition_count}));
  put(BuildClaim(rules.log_id, kPartition, {.epoch = Epoch(1), .nonce = 7, .writer_level = 1, .owner = "o", .build = "b"}));
  put("somebody else's");
  FrameDraft draft;
  Decision slice;
  slice.cause.kind = CauseKind::kWork;
  slice.cause.item = "a slice";
  draft.Add(slice);
  FrameHeader header{.epoch = Epoch(1), .nonce = 7, .seq = 1, .first_lsn = Lsn(1), .count = draft.count()};
  header.prev_chain = at.chain;
  const std::string frame = BuildFrame(rules.log_id, kPartition, header, draft.body());
  put(frame);
  put(frame);
}

TEST(WalkJournal, ShowsEveryRecordAndSoACopyIsTheSame) {
  ScriptLog log;
  Fill(log);
  ScriptLog copy;
  const auto walked = WalkJournal(log, kPartition, [&](std::vector<LogRecord>& records) -> Result<void> {
    for (LogRecord& record : records) EXPECT_EQ(copy.Put(kTopic, std::move(record.bytes)), record.offset);
    return Ok();
  });
  ASSERT_TRUE(walked) << walked.error().ToString();
  EXPECT_EQ(walked->records, 5u);
  EXPECT_EQ(walked->end.lsn, Lsn(1));
  EXPECT_EQ(walked->end.epoch, Epoch(1));
  const auto again = WalkJournal(copy, kPartition, [](std::vector<LogRecord>&) { return Ok(); });
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(*again, *walked);

  // A record that readers skip belongs to it, too.
  copy.Bytes(kTopic, Offset(2)) = "somebody else’s";
  const auto other = WalkJournal(copy, kPartition, [](std::vector<LogRecord>&) { return Ok(); });
  ASSERT_TRUE(other) << other.error().ToString();
  EXPECT_EQ(other->end, walked->end);
  EXPECT_NE(*other, *walked);
}

TEST(WalkJournal, StopsAtDamageAndShowsNothingOfIt) {
  ScriptLog log;
  Fill(log);
  log.Bytes(kTopic, Offset(3)).back() ^= 1;
  size_t shown = 0;
  const auto walked = WalkJournal(log, kPartition, [&](std::vector<LogRecord>& records) {
    shown += records.size();
    return Ok();
  });
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().code, Code::kCorrupt);
  EXPECT_EQ(shown, 0u);
}

TEST(WalkJournal, RefusesAJournalWithoutItsBeginning) {
  ScriptLog log;
  Fill(log);
  log.Trim(kTopic, Offset(1)).IgnoreError("never fails");
  const auto walked = WalkJournal(log, kPartition, [](std::vector<LogRecord>&) { return Ok(); });
  ASSERT_FALSE(walked);
  EXPECT_EQ(walked.error().code, Code::kDiverged);
}

}  // namespace
}  // namespace maily::journal
