// For the tests of this folder: a journal that a test writes record by record, with strays, claims, copies and frames of fenced writers.
#pragma once

#include <gtest/gtest.h>

#include "streams/journal/find.h"
#include "streams/journal/writer.h"
#include "tests/model/script_log.h"

namespace maily::journal {

using model::ScriptLog;

inline const PartitionId kPartition{2};
inline const TopicPartition kTopic{Topic::kJournal, kPartition};

inline CommandAt Command(uint64_t offset, uint32_t index = 0, uint32_t generation = 1) {
  return {.partition = kPartition, .generation = generation, .offset = Offset(offset), .index = index};
}
inline CommandAt After(const CommandAt& command) {
  return command.index < 2 ? Command(command.offset.value(), command.index + 1) : Command(command.offset.value() + 1);
}

// A journal, and a reader of it that saw everything.
struct Journal {
  Journal() {
    Put(BuildGenesis(rules.log_id, kPartition, {rules.partition_count}));
    Claim();
  }

  void Put(const std::string& record) {
    const Step step = Judge(rules, at, log.Put(kTopic, record), record);
    ASSERT_NE(step.verdict, Verdict::kStop) << step.stop->ToString();
    if (step.verdict == Verdict::kAccept) at = step.after;
  }
  void Claim() {
    Put(BuildClaim(rules.log_id, kPartition, {.epoch = at.epoch.Next(), .nonce = ++nonce, .writer_level = 1, .owner = "o", .build = "b"}));
  }
  // The frame of a writer that stands at `from` and decides these; none: one slice of work.
  std::string Frame(const Position& from, const std::vector<CommandAt>& commands, std::string_view answer) const {
    FrameDraft draft;
    for (const CommandAt& command : commands) {
      Decision decision;
      decision.cause.at = command;
      decision.answer = answer;
      draft.Add(decision);
    }
    if (commands.empty()) {
      Decision slice;
      slice.cause.kind = CauseKind::kWork;
      slice.cause.item = "a slice";
      draft.Add(slice);
    }
    FrameHeader header{.epoch = from.epoch, .nonce = from.nonce, .seq = from.seq + 1, .first_lsn = from.lsn.Next(), .count = draft.count()};
    header.prev_chain = from.chain;
    if (!commands.empty()) {
      const CommandAt& last = commands.back();
      FrameSource source{.generation = last.generation, .last_offset = last.offset, .last_index = last.index};
      if (const SourcePosition* mine = from.Source(0); mine != nullptr && mine->generation == last.generation) {
        source.prev_any = true;
        source.prev_offset = mine->offset;
        source.prev_index = mine->index;
      }
      header.sources.push_back(source);
    }
    return BuildFrame(rules.log_id, kPartition, header, draft.body());
  }
  void Decide(const std::vector<CommandAt>& commands, std::string_view answer = "right") { Put(Frame(at, commands, answer)); }

  // The answer that is found; "none", or the code of an error.
  std::string Find(const CommandAt& command) { return Find(command, at); }
  std::string Find(const CommandAt& command, const Position& known) {
    const auto found = FindDecision(log, known, command);
    if (!found) return CodeName(found.error().code);
    if (!*found) return "none";
    EXPECT_EQ((*found)->decision().cause.at, command);
    return std::string((*found)->decision().answer);
  }

  // A reader that starts before `wanted` comes to stand at `known`; gives how many decisions it sees before `wanted`.
  uint64_t ReadsFromBefore(Lsn wanted, const Position& known) {
    const auto from = PositionBefore(log, known, wanted);
    EXPECT_TRUE(from) << from.error().ToString();
    if (!from) return 0;
    EXPECT_LT(from->lsn, wanted);
    Tail tail(log, kPartition, 0);
    const auto reader = tail.Open(*from);
    EXPECT_TRUE(reader) << reader.error().ToString();
    while (reader && (*reader)->position().lsn < known.lsn) {
      const auto frame = (*reader)->Next();
      EXPECT_TRUE(frame) << frame.error().ToString();
      if (!frame || *frame == nullptr) break;
    }
    EXPECT_EQ((*reader)->position().lsn, known.lsn);
    return wanted.value() - from->lsn.value() - 1;
  }

  ScriptLog log;
  const ReaderRules rules = ReaderRules::Of(log.settings(), kPartition);
  Position at;
  uint64_t nonce = 0;
};

}  // namespace maily::journal
