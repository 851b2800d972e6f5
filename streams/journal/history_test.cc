// Positions from elsewhere: which of them a journal has passed through.
#include "streams/journal/history.h"

#include <gtest/gtest.h>

#include <random>

#include "streams/journal/test_journal.h"

namespace maily::journal {
namespace {

// Where a writer believes to stand that has put `frame` from `from` and took it for accepted.
Position Believed(Journal& journal, const Position& from, const std::string& frame) {
  const Offset offset = journal.log.Put(kTopic, frame);
  const Step step = Judge(journal.rules, from, offset, frame);
  EXPECT_EQ(step.verdict, Verdict::kAccept);
  return step.after;
}

std::string Why(Journal& journal, const Position& position) {
  const auto checked = CheckPassed(journal.log, position);
  if (checked) return "passed";
  EXPECT_EQ(checked.error().code, Code::kDiverged);
  return checked.error().message.substr(checked.error().message.rfind(": ") + 2);
}

TEST(CheckPassed, EveryPositionAfterAFrameAndNoOther) {
  Journal journal;
  EXPECT_EQ(Why(journal, journal.at), "no frame stands there");
  journal.Decide({Command(0)});
  const Position first = journal.at;
  journal.Decide({});
  journal.log.Put(kTopic, "stray");
  journal.Claim();
  EXPECT_EQ(Why(journal, journal.at), "no frame stands there");
  journal.Decide({Command(1), Command(2)});
  EXPECT_EQ(Why(journal, first), "passed");
  EXPECT_EQ(Why(journal, journal.at), "passed");
  Position other = journal.at;
  other.chain ^= 1;
  EXPECT_EQ(Why(journal, other), "the chain differs; rebuild or restore a snapshot");
  other = journal.at;
  other.lsn = Lsn(other.lsn.value() + 1);
  EXPECT_EQ(Why(journal, other), "its frame ends at another lsn");
  other = journal.at;
  other.offset_hint = first.offset_hint;
  EXPECT_EQ(Why(journal, other), "it is another frame; rebuild or restore a snapshot");
  other = journal.at;
  other.log_id.bytes[0] ^= 1;
  EXPECT_NE(Why(journal, other), "passed");
}

TEST(CheckPassed, ALogThatLostItsEndDoesNotPassThroughWhatItLost) {
  Journal journal;
  journal.Decide({Command(0)});
  const Position before = journal.at;
  journal.Decide({Command(1)});
  Journal shorter;  // the same bytes, but for the last frame
  shorter.Decide({Command(0)});
  EXPECT_EQ(Why(shorter, before), "passed");
  EXPECT_EQ(Why(shorter, journal.at), "it ends before");
  shorter.Decide({Command(1)}, "decided otherwise");
  EXPECT_EQ(Why(shorter, journal.at), "the chain differs; rebuild or restore a snapshot");
}

TEST(CheckPassed, AFrameOfAFencedWriterIsNoHistoryAlsoAtTheEnd) {
  for (const int frames : {0, 1, 2, 50}) {
    Journal journal;
    for (int i = 0; i < frames; ++i) journal.Decide({});
    const Position zombie = journal.at;
    const std::string frame = journal.Frame(zombie, {Command(7)}, "fenced");
    journal.Claim();
    for (int i = 0; i < 30; ++i) journal.log.Put(kTopic, "stray");
    const Position believed = Believed(journal, zombie, frame);
    EXPECT_EQ(Why(journal, believed), "another owner had claimed the partition before") << frames;
    journal.Decide({Command(7)});
    EXPECT_EQ(Why(journal, believed), "another owner had claimed the partition before") << frames;
    EXPECT_EQ(Why(journal, journal.at), "passed") << frames;
  }
}

// In any journal, what a reader passed through is passed, and what a fenced writer put is not.
TEST(CheckPassed, AgreesWithAReaderOfAnyJournal) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const auto chance = [&](uint32_t of_100) { return random() % 100 < of_100; };
    Journal journal;
    std::vector<std::pair<Position, std::string>> zombies;  // where they stand, and what they put
    std::vector<std::string> frames;                        // accepted ones
    std::vector<Position> passed, never;
    for (int step = 0; step < 80; ++step) {
      while (chance(20)) journal.log.Put(kTopic, "stray");
      if (chance(15) && !frames.empty())
        journal.Put(frames[frames.size() - 1 - random() % std::min<size_t>(frames.size(), 4)]);  // a late copy
      if (chance(40) && !zombies.empty()) {
        const auto& [at, frame] = zombies[random() % zombies.size()];
        never.push_back(Believed(journal, at, frame));
      }
      if (chance(15)) {
        zombies.emplace_back(journal.at, journal.Frame(journal.at, {Command(static_cast<uint64_t>(step) + 1000)}, "fenced"));
        journal.Claim();
      }
      if (chance(70)) {
        frames.push_back(journal.Frame(journal.at, {}, fmt::format("{}", step)));
        journal.Put(frames.back());
        passed.push_back(journal.at);
      }
    }
    for (const Position& position : passed) ASSERT_EQ(Why(journal, position), "passed") << position.offset_hint.value();
    for (const Position& position : never) ASSERT_NE(Why(journal, position), "passed") << position.offset_hint.value();
  }
}

TEST(CheckPassed, ReadsAFewRecordsOfMany) {
  Journal journal;
  for (int i = 0; i < 2000; ++i) journal.Decide({});
  journal.log.reads = 0;
  EXPECT_EQ(Why(journal, journal.at), "passed");
  EXPECT_LE(journal.log.reads.load(), 20);
}

}  // namespace
}  // namespace maily::journal
