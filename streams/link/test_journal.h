// A journal for tests of publishers: its frames are accepted, and each event says what it is.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "streams/journal/frame.h"
#include "streams/journal/writer.h"
#include "streams/link/publisher.h"

namespace maily::link {

inline constexpr TypeNumber kFirstTopic = 1000;  // an event of type kFirstTopic + n goes to topic n, the others nowhere

// Types as above; the value is the payload.
class ByType : public Mapping {
 public:
  explicit ByType(size_t topics) : topics_(topics) {}
  int fail = 0;  // so many calls of Map from now on say kRetry

  std::optional<size_t> TopicOf(const journal::Event& event) override {
    if (event.type < kFirstTopic || event.type >= kFirstTopic + topics_) return std::nullopt;
    return event.type - kFirstTopic;
  }
  Result<void> Map(const Source& source, OutletBatch& out) override {
    if (fail > 0) {
      --fail;
      return Fail(Code::kRetry, "the key store is away");
    }
    const OutletHeader id{kEventIdHeader, source.id};
    out.Add("key", source.event.payload, std::span(&id, 1), source.frame.time);
    return Ok();
  }

 private:
  const size_t topics_;
};

// Of one partition, new and written by nobody else.
class TestJournal {
 public:
  // The log outlives it.
  TestJournal(Log& log, PartitionId partition) : log_(log), partition_(partition) {
    Put(journal::BuildGenesis(rules_.log_id, partition, {log.settings().partition_count}));
    Claim();
  }

  void Claim() {
    Put(journal::BuildClaim(rules_.log_id, partition_,
                            {.epoch = at.epoch.Next(), .nonce = ++nonce_, .writer_level = 1, .owner = "o", .build = "b"}));
  }
  // One frame of so many decisions; event e of a decision is of type `type(e)`.
  void Decide(size_t decisions, size_t events, const std::function<TypeNumber()>& type, bool of_commands = true) {
    journal::FrameDraft draft;
    for (size_t d = 0; d < decisions; ++d) {
      std::vector<journal::Event> list;
      std::vector<std::string> payloads;
      const uint64_t lsn = at.lsn.value() + d + 1;
      for (uint32_t e = 0; e < events; ++e) payloads.push_back(FormatEventId(partition_, {Lsn(lsn), e}) + " happened");
      for (uint32_t e = 0; e < events; ++e) {
        list.push_back({type(), payloads[e]});
        if (list[e].type >= kFirstTopic) expected[list[e].type - kFirstTopic].push_back(FormatEventId(partition_, {Lsn(lsn), e}));
      }
      journal::Decision decision;
      decision.cause.kind = of_commands ? journal::CauseKind::kCommand : journal::CauseKind::kWork;
      decision.cause.at = {.partition = partition_, .generation = 1, .offset = Offset(next_command_ + d), .index = 0};
      decision.cause.item = of_commands ? "" : "a slice";
      decision.events = list;
      draft.Add(decision);
    }
    journal::FrameHeader header{
        .epoch = at.epoch, .nonce = at.nonce, .seq = at.seq + 1, .first_lsn = at.lsn.Next(), .count = draft.count(), .time = at.time};
    header.prev_chain = at.chain;
    if (of_commands) {
      journal::FrameSource source{.generation = 1, .last_offset = Offset(next_command_ + decisions - 1)};
      if (const journal::SourcePosition* mine = at.Source(0)) {
        source.prev_any = true;
        source.prev_offset = mine->offset;
      }
      header.sources.push_back(source);
      next_command_ += decisions;
    }
    Put(journal::BuildFrame(rules_.log_id, partition_, header, draft.body()));
  }

  journal::Position at;                                 // of a reader that has seen everything
  std::map<size_t, std::vector<std::string>> expected;  // ids of events by topic

 private:
  void Put(const std::string& record) {
    log_.Append({Topic::kJournal, partition_}, record, Sync::kNow, [](const Result<Appended>&) {});
    const journal::Step step = journal::Judge(rules_, at, Offset(next_offset_++), record);
    ASSERT_EQ(step.verdict, journal::Verdict::kAccept);
    at = step.after;
  }

  Log& log_;
  const PartitionId partition_;
  const journal::ReaderRules rules_ = journal::ReaderRules::Of(log_.settings(), partition_);
  uint64_t nonce_ = 0;
  uint64_t next_offset_ = 0;
  uint64_t next_command_ = 0;
};

}  // namespace maily::link
