// Each anomaly, planted in a small history, is found under its name and no other; without it nothing is.
#include "tests/histories/checker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

namespace maily::histories {
namespace {

constexpr uint8_t kP = 1;

// Written as clients would: tracks by role, in sessions.
class History {
 public:
  using Events = std::vector<Event>;

  Events& Open(Role role, uint64_t session, uint64_t detail) {
    tracks_.push_back({Event::Of(Kind::kTrack, session, static_cast<uint8_t>(role), detail)});
    return tracks_.back();
  }
  Report Checked() const {
    std::vector<Track> tracks;
    for (const Events& events : tracks_) tracks.push_back({"track", events});
    return Check(tracks);
  }

 private:
  std::list<Events> tracks_;
};

uint64_t V(uint64_t number, uint16_t client = 0) { return ValueOf(kP, client, number); }
Event Invoked(uint64_t value) { return Event::Of(Kind::kInvoked, value, 0, 100); }
Event Ok(uint64_t value, uint64_t offset) { return Event::Of(Kind::kOk, value, 0, offset); }
Event Record(uint64_t value, uint64_t offset) { return Event::Of(Kind::kRecord, value, 0, offset); }
void Poll(History::Events& reader, uint64_t from, const std::vector<Event>& records) {
  reader.push_back(Event::Of(Kind::kPolled, from, kP, records.size()));
  reader.insert(reader.end(), records.begin(), records.end());
}

// Values 1 to 5 acknowledged at 10 to 14, 6 refused, 7 of unknown outcome at 15; read by one reader and in the end. Session 0 was killed:
// it had written 8 to 16 and 9 to 17, unanswered, and a crash took both back.
struct Story {
  explicit Story(uint64_t promises = kOrdered | kOnce)
      : session(history.Open(Role::kSession, 0, promises)), last(history.Open(Role::kSession, 1, promises)) {
    for (uint64_t i = 1; i <= 9; ++i) producer.push_back(Invoked(V(i)));
    for (uint64_t i = 1; i <= 5; ++i) outcomes.push_back(Ok(V(i), 9 + i));
    outcomes.push_back(Event::Of(Kind::kRefused, V(6), static_cast<uint8_t>(Answer::kInvalid), 0));
    outcomes.push_back(Event::Of(Kind::kUnknown, V(7), static_cast<uint8_t>(Answer::kRetry), 0));
    reader.push_back(Event::Of(Kind::kSeek, 10, kP, 0));
    Poll(reader, 10, {Record(V(1), 10), Record(V(2), 11)});
    Poll(reader, 12, {Record(V(3), 12)});
    written.push_back(Event::Of(Kind::kSeek, 14, kP, 0));
    Poll(written, 14, {Record(V(5), 14), Record(V(7), 15), Record(V(8), 16), Record(V(9), 17)});
    end.push_back(Event::Of(Kind::kBegins, 0, kP, 0));
    Poll(end, 0, {Record(V(1), 10), Record(V(2), 11), Record(V(3), 12), Record(V(4), 13), Record(V(5), 14), Record(V(7), 15)});
    last.push_back(Event::Of(Kind::kEnded, 0, 0, 0));
  }
  // The final read without the record of that offset.
  void Lose(uint64_t offset) {
    std::erase_if(end, [&](const Event& event) { return event.kind() == Kind::kRecord && event.detail() == offset; });
    SetCount(end);
  }
  static void SetCount(History::Events& reader) {
    for (Event& event : reader) {
      if (event.kind() != Kind::kPolled) continue;
      const auto records = std::ranges::count_if(reader, [](const Event& each) { return each.kind() == Kind::kRecord; });
      event = Event::Of(Kind::kPolled, event.subject, kP, static_cast<uint64_t>(records));
    }
  }
  void AtTheEnd(Event record) {
    end.push_back(record);
    SetCount(end);
  }
  // Only this one anomaly, so many times.
  void Expect(Anomaly which, uint64_t times = 1) const {
    const Report report = history.Checked();
    EXPECT_EQ(report.of(which), times) << kAnomalyNames[static_cast<size_t>(which)];
    EXPECT_EQ(report.found(), times);
    for (const std::string& example : report.examples) SCOPED_TRACE(example);
    EXPECT_EQ(report.examples.size(), times);
  }

  History history;
  History::Events& session;
  History::Events& last;
  History::Events& producer = history.Open(Role::kProducer, 0, 0);
  History::Events& outcomes = history.Open(Role::kOutcomes, 0, 0);
  History::Events& reader = history.Open(Role::kDurable, 0, 0);
  History::Events& written = history.Open(Role::kWritten, 0, 1);
  History::Events& end = history.Open(Role::kFinal, 1, 0);
};

TEST(HistoryChecker, FindsNothingInAHistoryThatKeepsEveryPromise) {
  const Story story;
  const Report report = story.history.Checked();
  EXPECT_EQ(report.found(), 0u) << (report.examples.empty() ? "" : report.examples[0]);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.appends, 9u);
  EXPECT_EQ(report.acknowledged, 5u);
  EXPECT_EQ(report.refused, 1u);
  EXPECT_EQ(report.unknown, 1u);
  EXPECT_EQ(report.unanswered, 2u);
  EXPECT_EQ(report.taken_back, 2u);
  EXPECT_EQ(report.polls, 4u);
  EXPECT_EQ(report.records_read, 13u);
  EXPECT_EQ(report.sessions, 2u);
}

TEST(HistoryChecker, AHistoryWithoutAFinalReadIsNotComplete) {
  History history;
  history.Open(Role::kProducer, 0, 0).push_back(Invoked(V(1)));
  EXPECT_FALSE(history.Checked().complete);
}

TEST(HistoryChecker, FindsALostWrite) {
  Story story;
  story.Lose(13);
  story.Expect(Anomaly::kLostWrite);
}

TEST(HistoryChecker, FindsALostWriteThatOnlyAReaderHadSeen) {
  Story story;
  story.producer.push_back(Invoked(V(10)));
  story.outcomes.push_back(Event::Of(Kind::kUnknown, V(10), 0, 0));
  Poll(story.reader, 13, {Record(V(4), 13), Record(V(5), 14), Record(V(7), 15), Record(V(10), 16)});
  story.written.clear();
  story.Expect(Anomaly::kLostWrite);
}

TEST(HistoryChecker, FindsALostWriteThatWasAcknowledgedWithoutAnOffset) {
  Story story;
  story.producer.push_back(Invoked(V(10)));
  story.outcomes.push_back(Event::Of(Kind::kOkSomewhere, V(10), 0, 0));
  story.Expect(Anomaly::kLostWrite);
}

TEST(HistoryChecker, FindsRecordsThatWereTrimmedByNobody) {
  Story story;
  story.end[1] = Event::Of(Kind::kBegins, 9, kP, 0);
  story.Expect(Anomaly::kLostWrite);
}

TEST(HistoryChecker, FindsADuplicate) {
  Story story;
  story.AtTheEnd(Record(V(2), 18));
  story.Expect(Anomaly::kDuplicate);
}

// Value 10 at 18 and 19, acknowledged at `acknowledged`.
struct Twice : Story {
  Twice(uint64_t promises, uint64_t acknowledged) : Story(promises) {
    producer.push_back(Invoked(V(10)));
    outcomes.push_back(Ok(V(10), acknowledged));
    AtTheEnd(Record(V(10), 18));
    AtTheEnd(Record(V(10), 19));
    written.clear();
  }
};

TEST(HistoryChecker, ARecordMayStandTwiceWhereAnAppendTimedOutOnALogThatAsksAgain) {
  const Twice story(0, 19);
  const Report report = story.history.Checked();
  EXPECT_EQ(report.found(), 0u);
  EXPECT_EQ(report.stored_twice, 1u);
}

TEST(HistoryChecker, FindsARecordThatStandsTwiceOnALogThatNeverAsksAgain) { Twice(kOnce, 19).Expect(Anomaly::kDuplicate); }

TEST(HistoryChecker, FindsARecordThatStandsTwiceThoughNoAppendTimedOut) {
  Twice story(0, 19);
  story.outcomes[7] = Ok(V(7), 15);
  story.Expect(Anomaly::kDuplicate);
}

TEST(HistoryChecker, FindsACopyBehindTheAcknowledgedOne) { Twice(0, 18).Expect(Anomaly::kDuplicate); }

TEST(HistoryChecker, FindsTwoValuesAtOneOffset) {
  Story story(kOnce);
  story.producer.push_back(Invoked(V(10)));
  story.outcomes.push_back(Ok(V(10), 15));
  story.Expect(Anomaly::kInconsistentOffset);
}

TEST(HistoryChecker, FindsThatADurableRecordWasReadAsAnotherToTheWrittenEnd) {
  Story story;
  story.producer.push_back(Invoked(V(10)));
  story.written.clear();
  History::Events& other = story.history.Open(Role::kWritten, 0, 2);
  Poll(other, 13, {Record(V(10), 13)});
  story.Expect(Anomaly::kInconsistentOffset);
}

TEST(HistoryChecker, FindsAnAbortedRead) {
  Story story;
  story.AtTheEnd(Record(V(6), 18));
  story.Expect(Anomaly::kAbortedRead);
}

TEST(HistoryChecker, FindsAPollThatGoesBack) {
  Story story;
  Poll(story.reader, 13, {Record(V(3), 12)});
  story.Expect(Anomaly::kNonmonotonicPoll);
}

TEST(HistoryChecker, ASeekIsNoPollThatGoesBack) {
  Story story;
  story.reader.push_back(Event::Of(Kind::kSeek, 11, kP, 0));
  Poll(story.reader, 11, {Record(V(2), 11), Record(V(3), 12)});
  EXPECT_EQ(story.history.Checked().found(), 0u);
}

TEST(HistoryChecker, FindsASkippedPoll) {
  Story story;
  Poll(story.reader, 13, {Record(V(5), 14)});
  story.Expect(Anomaly::kSkippedPoll);
}

TEST(HistoryChecker, AnOffsetThatHoldsNoRecordIsNotSkipped) {
  Story story;
  story.producer.push_back(Invoked(V(10)));
  story.outcomes.push_back(Ok(V(10), 19));
  story.AtTheEnd(Record(V(10), 19));
  Poll(story.reader, 13, {Record(V(4), 13), Record(V(5), 14), Record(V(7), 15), Record(V(10), 19)});
  story.written.clear();
  story.producer.erase(story.producer.begin() + 8, story.producer.begin() + 10);  // 8 and 9 were never invoked
  EXPECT_EQ(story.history.Checked().found(), 0u);
}

TEST(HistoryChecker, FindsAppendsOfOneThreadInAnotherOrder) {
  Story story(kOnce);
  story.producer.push_back(Invoked(V(10)));
  story.producer.push_back(Invoked(V(11)));
  story.outcomes.push_back(Ok(V(10), 19));
  story.outcomes.push_back(Ok(V(11), 18));
  story.AtTheEnd(Record(V(11), 18));
  story.AtTheEnd(Record(V(10), 19));
  story.written.clear();
  story.Expect(Anomaly::kNonmonotonicSend);
}

TEST(HistoryChecker, AnAppendOfUnknownOutcomeMayComeBehindYoungerOnes) {
  Story story(kOnce);
  story.producer.push_back(Invoked(V(10)));
  story.outcomes.push_back(Ok(V(10), 18));
  story.AtTheEnd(Record(V(10), 18));
  story.AtTheEnd(Record(V(8), 19));
  story.written.clear();
  EXPECT_EQ(story.history.Checked().found(), 0u);
}

TEST(HistoryChecker, FindsThatACrashTookBackTheMiddle) {
  Story story;
  story.AtTheEnd(Record(V(9), 17));
  story.Expect(Anomaly::kHole, 2);  // to who read both, and to who appended both
}

TEST(HistoryChecker, ATooLargeRecordIsNotMissedThoughNobodyHeardOfItsRefusal) {
  Story story;
  story.written.clear();
  story.producer[8] = Event::Of(Kind::kInvoked, V(8), 0, 1'000'001);
  story.AtTheEnd(Record(V(9), 17));
  EXPECT_EQ(story.history.Checked().found(), 0u);
  story.AtTheEnd(Record(V(8), 18));
  story.Expect(Anomaly::kAbortedRead);
}

TEST(HistoryChecker, FindsARecordThatNobodyAppended) {
  Story story;
  story.AtTheEnd(Record(V(77), 18));
  story.Expect(Anomaly::kForeignRead);
}

TEST(HistoryChecker, FindsARecordWithOtherBytes) {
  Story story;
  Poll(story.reader, 13, {Event::Of(Kind::kRecord, V(4), 1, 13)});
  story.Expect(Anomaly::kForeignRead);
}

TEST(HistoryChecker, FindsAPollThatDoesNotSeeWhatWasAcknowledgedBefore) {
  Story story;
  story.reader.push_back(Event::Of(Kind::kEmpty, 13, kP, 13));  // nothing yet
  story.reader.push_back(Event::Of(Kind::kEmpty, 13, kP, 14));
  story.Expect(Anomaly::kStalePoll);
}

TEST(HistoryChecker, FindsAnErrorThatNoFaultExplains) {
  Story story;
  const auto failed = [&](uint64_t at, Answer answer) {
    story.reader.push_back(Event::Of(Kind::kFailed, at, kP, static_cast<uint64_t>(answer)));
  };
  failed(13, Answer::kRetry);
  story.reader.push_back(Event::Of(Kind::kTrimming, 5, kP, 0));
  failed(4, Answer::kNotFound);
  failed(5, Answer::kNotFound);
  failed(13, Answer::kInvalid);
  failed(13, Answer::kDiverged);
  story.Expect(Anomaly::kBadAnswer, 3);
}

TEST(HistoryChecker, HalfAPollOfAKilledReaderIsNoRead) {
  Story story;
  story.reader.push_back(Event::Of(Kind::kPolled, 13, kP, 3));
  story.reader.push_back(Record(V(4), 13));
  story.reader.resize(story.reader.size() + 100);
  EXPECT_EQ(story.history.Checked().found(), 0u);
}

}  // namespace
}  // namespace maily::histories
