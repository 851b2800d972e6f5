// Finding decisions in journals as they are: with strays, claims, copies that come late, and frames of writers that were fenced.
#include "streams/journal/find.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "streams/journal/test_journal.h"

namespace maily::journal {
namespace {

TEST(FindDecision, SaysNoneUntilTheKnownPositionIsPast) {
  Journal journal;
  EXPECT_EQ(journal.Find(Command(0)), "none");
  const Position before = journal.at;
  journal.Decide({Command(0), Command(0, 1)}, "first");
  journal.Decide({Command(1)}, "second");
  EXPECT_EQ(journal.Find(Command(0)), "first");
  EXPECT_EQ(journal.Find(Command(0, 1)), "first");
  EXPECT_EQ(journal.Find(Command(1)), "second");
  EXPECT_EQ(journal.Find(Command(2)), "none");
  EXPECT_EQ(journal.Find(Command(0), before), "none");
  EXPECT_EQ(journal.Find(Command(0, 7)), CodeName(Code::kNotFound)) << "the record has two commands";
}

TEST(FindDecision, AFencedFrameIsNotTheAnswerAndNotABound) {
  Journal journal;
  journal.Decide({Command(0)});
  const Position zombie = journal.at;
  journal.Claim();
  journal.Put(journal.Frame(zombie, {Command(1), Command(2), Command(3)}, "fenced"));
  EXPECT_EQ(journal.Find(Command(1)), "none");
  journal.Decide({Command(1)});
  journal.Put(journal.Frame(zombie, {Command(1), Command(2), Command(3)}, "fenced"));
  EXPECT_EQ(journal.Find(Command(1)), "right") << "the last accepted frame, with a fenced one behind it";
  EXPECT_EQ(journal.Find(Command(2)), "none");
  journal.Claim();
  journal.Decide({Command(2), Command(3)});
  for (const uint64_t offset : {0, 1, 2, 3}) EXPECT_EQ(journal.Find(Command(offset)), "right") << offset;
}

TEST(FindDecision, ACopyThatComesLateMisleadsNobody) {
  Journal journal;
  const std::string first = journal.Frame(journal.at, {Command(0)}, "right");
  journal.Put(first);
  for (uint64_t offset = 1; offset < 40; ++offset) {
    journal.Decide({Command(offset)});
    journal.Put(first);
  }
  for (uint64_t offset = 0; offset < 40; ++offset) EXPECT_EQ(journal.Find(Command(offset)), "right") << offset;
}

TEST(FindDecision, CommandsOfANewTopicComeAfterAllOfTheOld) {
  Journal journal;
  journal.Decide({Command(5), Command(9)}, "old");
  journal.Decide({Command(0, 0, 2)}, "new");
  journal.Decide({Command(6, 0, 2)}, "new");
  EXPECT_EQ(journal.Find(Command(9)), "old");
  EXPECT_EQ(journal.Find(Command(0, 0, 2)), "new");
  EXPECT_EQ(journal.Find(Command(6, 0, 2)), "new");
  EXPECT_EQ(journal.Find(Command(10)), CodeName(Code::kNotFound));
  EXPECT_EQ(journal.Find(Command(7, 0, 2)), "none");
}

TEST(FindDecision, ReadsAFewRecordsOfMany) {
  Journal journal;
  for (uint64_t offset = 0; offset < 4096; ++offset) journal.Decide({Command(offset)});
  for (const uint64_t offset : {0, 1, 1000, 4095}) {
    journal.log.reads = 0;
    EXPECT_EQ(journal.Find(Command(offset)), "right");
    EXPECT_LE(journal.log.reads.load(), 2 * 13 + 1) << offset;
  }
  // Frames of work alone say nothing about commands; they are read in batches.
  for (int i = 0; i < 4096; ++i) journal.Decide({});
  journal.log.reads = 0;
  EXPECT_EQ(journal.Find(Command(4000)), "right");
  EXPECT_LE(journal.log.reads.load(), 100);
}

TEST(PositionBefore, IsNearAndReadsAFewRecordsOfMany) {
  Journal journal;
  for (uint64_t offset = 0; offset < 4096; ++offset) journal.Decide({Command(offset), Command(offset, 1), Command(offset, 2)});
  for (const uint64_t lsn : {1, 3, 4, 5000, 3 * 4096}) EXPECT_LT(journal.ReadsFromBefore(Lsn(lsn), journal.at), 3u) << lsn;
  journal.log.reads = 0;
  ASSERT_TRUE(PositionBefore(journal.log, journal.at, Lsn(7000)));
  EXPECT_LE(journal.log.reads.load(), 2 * 14);
  EXPECT_EQ(*PositionBefore(journal.log, journal.at, Lsn(3 * 4096 + 1)), journal.at);
  EXPECT_TRUE(PositionBefore(journal.log, journal.at, Lsn(2))->at_genesis);
}

TEST(FindDecision, ADamagedRecordStopsIt) {
  Journal journal;
  for (uint64_t offset = 0; offset < 8; ++offset) journal.Decide({Command(offset)});
  journal.log.Bytes(kTopic, Offset(5)).back() ^= 1;
  EXPECT_EQ(journal.Find(Command(3)), CodeName(Code::kCorrupt));
}

TEST(FindDecision, SeveralFramesInFlightAreRefused) {
  Journal journal;
  FrameHeader header{.epoch = journal.at.epoch, .nonce = journal.at.nonce, .seq = 1, .window = 2, .first_lsn = Lsn(1), .count = 1};
  header.prev_chain = journal.at.chain;
  header.sources.push_back({.generation = 1});
  journal.Put(BuildFrame(journal.rules.log_id, kPartition, header, "body"));
  EXPECT_EQ(journal.Find(Command(0)), CodeName(Code::kFatal));
}

// Every command that a reader has seen decided is found, as it was accepted, from each position that a reader may stand at.
TEST(FindDecision, FindsWhatAReaderSawInAnyJournal) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const auto chance = [&](uint32_t of_100) { return random() % 100 < of_100; };
    Journal journal;
    CommandAt next = Command(0);
    std::vector<std::string> frames;   // ever written
    std::vector<std::string> zombies;  // of fenced writers, not written yet or once more
    std::vector<Position> positions;
    std::map<CommandAt, std::string> decided;
    const auto some = [&](size_t count) {
      std::vector<CommandAt> commands;
      for (CommandAt command = next; count > 0; --count, command = After(command)) commands.push_back(command);
      return commands;
    };
    for (int step = 0; step < 120; ++step) {
      if (chance(10)) journal.log.Put(kTopic, "stray");
      if (chance(15) && !frames.empty()) journal.Put(frames[random() % frames.size()]);
      if (chance(30) && !zombies.empty()) journal.Put(zombies[random() % zombies.size()]);
      if (chance(10)) {
        zombies.push_back(journal.Frame(journal.at, some(random() % 6), "fenced"));
        journal.Claim();
      }
      const std::vector<CommandAt> commands = some(random() % 4);
      const std::string answer = fmt::format("{}", step);
      frames.push_back(journal.Frame(journal.at, commands, answer));
      journal.Put(frames.back());
      for (const CommandAt& command : commands) decided[command] = answer;
      if (!commands.empty()) next = After(commands.back());
      positions.push_back(journal.at);
    }
    for (const auto& [command, answer] : decided) ASSERT_EQ(journal.Find(command), answer) << command.offset.value();
    ASSERT_EQ(journal.Find(next), "none");
    for (uint64_t lsn = 1; lsn <= journal.at.lsn.value() + 1; ++lsn) journal.ReadsFromBefore(Lsn(lsn), journal.at);
    for (int i = 0; i < 100; ++i) {
      const auto& [command, answer] = *std::next(decided.begin(), random() % decided.size());
      const size_t known = random() % positions.size();
      ASSERT_EQ(journal.Find(command, positions[known]), std::stoul(answer) <= known ? answer : "none");
    }
  }
}

}  // namespace
}  // namespace maily::journal
