// What of a log's commands goes into a copy of it.
#include "streams/command/undecided.h"

#include <gtest/gtest.h>

#include "streams/command/receiver.h"
#include "tests/model/script_log.h"

namespace maily::command {
namespace {

using model::ScriptLog;

const PartitionId kPartition{1};
const TopicPartition kTopic{Topic::kCommands, kPartition};

std::string RecordOf(const ScriptLog& log, const std::vector<std::string>& payloads) {
  RecordBuilder builder;
  Command command;
  command.type = 7;
  for (const std::string& payload : payloads) {
    command.payload = payload;
    EXPECT_TRUE(builder.Add(command));
  }
  return builder.Finish(log.settings().log_id, log.settings().generation, kPartition);
}

TEST(GiveUndecided, GivesWhatFollowsTheLastDecidedCommandAlsoInsideItsRecord) {
  ScriptLog log;
  log.Put(kTopic, RecordOf(log, {"a", "b"}));
  log.Put(kTopic, RecordOf(log, {"c", "d", "e"}));
  log.Put(kTopic, "poison");
  log.Put(kTopic, RecordOf(log, {"f"}));
  const auto given_after = [&](const CommandAt* last) {
    std::vector<std::string> given;
    const auto count = GiveUndecided(log, kPartition, last, 2, [&](const std::string& record) -> Result<void> {
      const auto commands = ParseRecord(record, log.settings().log_id, 2, kPartition);
      std::string text = commands ? "" : record;
      for (const Command& command : commands ? *commands : std::vector<Command>()) text += command.payload;
      given.push_back(text);
      return Ok();
    });
    EXPECT_TRUE(count) << count.error().ToString();
    return given;
  };
  const CommandAt inside{.partition = kPartition, .generation = 1, .offset = Offset(1), .index = 0};
  EXPECT_EQ(given_after(&inside), (std::vector<std::string>{"de", "poison", "f"}));
  const CommandAt all{.partition = kPartition, .generation = 1, .offset = Offset(3), .index = 0};
  EXPECT_EQ(given_after(&all), std::vector<std::string>{});
  EXPECT_EQ(given_after(nullptr), (std::vector<std::string>{"abcde", "poison", "f"}));
}

TEST(GiveUndecided, CommandsThatWereTrimmedUndecidedAreAnError) {
  ScriptLog log;
  for (int i = 0; i < 3; ++i) log.Put(kTopic, RecordOf(log, {"x"}));
  log.Trim(kTopic, Offset(2)).IgnoreError("never fails");
  const CommandAt last{.partition = kPartition, .generation = 1, .offset = Offset(0), .index = 0};
  const auto given = GiveUndecided(log, kPartition, &last, 2, [](const std::string&) { return Ok(); });
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace maily::command
