// The road from an inbox to commands: order by key, tries that go on, dead letters once each, whatever dies in between.
#include "app/inbox_road.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>

#include "app/dead_letter.h"
#include "streams/adapters/asio/asio_env.h"

namespace maily::app {
namespace {

using api::InboxVerdict;
using Kind = InboxVerdict::Kind;

// A topic of one partition; what is given is given again to a new reader until it is settled.
struct Topic {
  std::vector<FeedRecord> records;
  size_t settled = 0;

  void Add(std::string value, std::optional<std::string> key = {}, std::vector<std::pair<std::string, std::string>> headers = {}) {
    records.push_back({.topic = 0,
                       .partition = 3,
                       .offset = Offset(records.size()),
                       .time = Instant{1'700'000'000'000'000},
                       .key = std::move(key),
                       .value = std::move(value),
                       .headers = std::move(headers)});
  }
};

class FakeFeed final : public Feed {
 public:
  explicit FakeFeed(Topic& topic) : topic_(topic), next_(topic.settled) {}
  const std::string& topic_name(size_t) const override { return name_; }
  Result<std::vector<FeedRecord>> Take(size_t count_max, size_t, Duration) override {
    const size_t count = std::min(count_max, topic_.records.size() - next_);
    const auto from = topic_.records.begin() + static_cast<ptrdiff_t>(next_);
    next_ += count;
    return std::vector<FeedRecord>(from, from + static_cast<ptrdiff_t>(count));
  }
  Result<void> Settle() override {
    if (refuse_settle) return Fail(Code::kRetry, "another has it now");
    topic_.settled = next_;
    return Ok();
  }
  uint64_t assignment() const override { return 1; }
  uint64_t lag() const override { return 0; }
  bool refuse_settle = false;

 private:
  const std::string name_ = "maily.inbox";
  Topic& topic_;
  size_t next_;
};

// What is appended, and how the next appends end: stored or not, told or not.
class FakeOutlet final : public Outlet {
 public:
  size_t topic_count() const override { return 1; }
  const std::string& topic_name(size_t) const override { return name_; }
  uint16_t partition_count() const override { return 2; }
  void Append(size_t, PartitionId partition, OutletBatch batch, OutletDone done) override {
    if (lose_next) {
      lose_next = false;
      return done(Fail(Code::kRetry, "lost"), std::move(batch));
    }
    for (const OutletBatch::Record& record : batch.records()) {
      OutletRecord stored{
          .offset = records[partition.value()].size(), .key = std::string(batch.text(record.key)), .value = {}, .headers = {}};
      if (record.value) stored.value.emplace(batch.text(*record.value));
      for (const auto& header : batch.headers(record)) stored.headers.emplace_back(batch.text(header.name), batch.text(header.value));
      records[partition.value()].push_back(std::move(stored));
    }
    if (std::exchange(fail_next, false)) return done(Fail(Code::kRetry, "stored, but who knows"), std::move(batch));
    done(Ok(), std::move(batch));
  }
  Result<std::vector<OutletRecord>> Newest(size_t, PartitionId partition, size_t count) override {
    const auto& all = records[partition.value()];
    return std::vector<OutletRecord>(all.end() - static_cast<ptrdiff_t>(std::min(count, all.size())), all.end());
  }
  bool lose_next = false;
  bool fail_next = false;
  std::map<uint16_t, std::vector<OutletRecord>> records;

 private:
  const std::string name_ = "maily.inbox.dead";
};

class InboxRoadTest : public ::testing::Test {
 protected:
  using Done = std::move_only_function<void(InboxVerdict)>;

  // Values that begin with "bad" are refused; others are decided.
  void Decide(const FeedRecord& record, Done done) {
    decided_.push_back(*record.value);
    if (tries_.contains(*record.value) && tries_[*record.value]-- > 0) return done({.kind = again_, .why = {"unavailable", "not now", ""}});
    if (record.value->starts_with("bad")) return done({.kind = Kind::kRefused, .why = {"wrong", "it is bad", "/email"}});
    done({.kind = Kind::kAccepted, .why = {}});
  }
  // A process that takes one batch, and dies.
  size_t Live(bool settles = true) {
    FakeFeed feed(topic_);
    feed.refuse_settle = !settles;
    InboxRoad road({.feed = feed,
                    .dead = dead_,
                    .decide = [this](const FeedRecord& record, Done done) { Decide(record, std::move(done)); },
                    .clock = clock_,
                    .build = "b1"});
    return road.Once(Duration{});
  }
  const std::vector<OutletRecord>& Dead() { return dead_.records[1]; }  // partition 3 of 2

  Topic topic_;
  FakeOutlet dead_;
  asio_net::SystemClock clock_;
  std::vector<std::string> decided_;
  std::map<std::string, int> tries_;
  Kind again_ = Kind::kAgain;
};

TEST_F(InboxRoadTest, WhatIsRefusedIsKeptWithWhatWasWrongAndStopsNothing) {
  topic_.Add("good1");
  topic_.Add("bad1", "ann", {{"ce_id", "7"}, {"ce_id", "8"}, {"odd", std::string("\0\xff", 2)}, {"maily-id", "forged"}});
  topic_.Add("good2");
  EXPECT_EQ(Live(), 3u);
  EXPECT_EQ(topic_.settled, 3u);
  ASSERT_EQ(Dead().size(), 1u);
  const OutletRecord& letter = Dead()[0];
  EXPECT_EQ(letter.key, "ann");
  EXPECT_EQ(letter.value, "bad1");
  EXPECT_EQ(letter.headers[0], (std::pair<std::string, std::string>{"ce_id", "7"}));
  EXPECT_EQ(letter.headers[1], (std::pair<std::string, std::string>{"ce_id", "8"}));
  EXPECT_EQ(letter.headers[2].second, std::string("\0\xff", 2));
  const std::map<std::string, std::string> wanted{{"maily-id", "maily.inbox/3/1/1700000000000"},
                                                  {"maily-source-topic", "maily.inbox"},
                                                  {"maily-source-partition", "3"},
                                                  {"maily-source-offset", "1"},
                                                  {"maily-source-time", "2023-11-14T22:13:20Z"},
                                                  {"maily-error-code", "wrong"},
                                                  {"maily-error-message", "it is bad"},
                                                  {"maily-error-field", "/email"},
                                                  {"maily-attempts", "1"},
                                                  {"maily-headers-left-out", "1"},
                                                  {"maily-build", "b1"}};
  for (const auto& [name, value] : wanted) {
    ASSERT_NE(letter.Header(name), nullptr) << name;
    EXPECT_EQ(*letter.Header(name), value) << name;
  }
  EXPECT_NE(letter.Header("maily-first-tried-at"), nullptr);
  EXPECT_NE(letter.Header("maily-last-tried-at"), nullptr);
  EXPECT_EQ(letter.Header("maily-no-key"), nullptr);
}

TEST_F(InboxRoadTest, OfALargeRecordTheBeginningIsKept) {
  topic_.Add("bad" + std::string(5 << 20, 'x'), std::string(1 << 20, 'k'), {{"long", std::string(1 << 20, 'h')}, {"ce_id", "7"}});
  EXPECT_EQ(Live(), 1u);
  ASSERT_EQ(Dead().size(), 1u);
  const OutletRecord& letter = Dead()[0];
  EXPECT_EQ(letter.value->size(), kDeadValueBytesMax);
  EXPECT_EQ(letter.key.size(), kDeadKeyBytesMax);
  EXPECT_EQ(*letter.Header("maily-value-bytes"), std::to_string((5 << 20) + 3));
  EXPECT_EQ(letter.Header("maily-value-sha256")->size(), 64u);
  EXPECT_EQ(*letter.Header("maily-key-bytes"), std::to_string(1 << 20));
  EXPECT_EQ(letter.Header("long"), nullptr);
}

TEST_F(InboxRoadTest, RecordsOfOneKeyAreDecidedInTheirOrder) {
  tries_["a1"] = 2;
  topic_.Add("a1", "a");
  topic_.Add("b1", "b");
  topic_.Add("a2", "a");
  topic_.Add("c1");
  topic_.Add("a3", "a");
  EXPECT_EQ(Live(), 5u);
  std::vector<std::string> of_a;
  for (const std::string& value : decided_) {
    if (value[0] == 'a') of_a.push_back(value);
  }
  EXPECT_EQ(of_a, (std::vector<std::string>{"a1", "a1", "a1", "a2", "a3"}));
  EXPECT_LT(std::ranges::find(decided_, "c1"), std::ranges::find(decided_, "a2"));  // nobody else waits for it
}

TEST_F(InboxRoadTest, WhatFailsHereTimeAndAgainIsADeadLetter) {
  again_ = Kind::kBroken;
  tries_["poison"] = 1'000'000;
  topic_.Add("poison");
  topic_.Add("good");
  EXPECT_EQ(Live(), 2u);
  ASSERT_EQ(Dead().size(), 1u);
  EXPECT_EQ(*Dead()[0].Header("maily-attempts"), std::to_string(InboxRoad::kBrokenMax));
  EXPECT_EQ(*Dead()[0].Header("maily-error-code"), "unavailable");
  EXPECT_NE(Dead()[0].Header("maily-no-key"), nullptr);
}

TEST_F(InboxRoadTest, ADeadLetterIsWrittenOnceWhateverDies) {
  for (int i = 0; i < 5; ++i) topic_.Add("bad" + std::to_string(i));
  EXPECT_EQ(Live(false), 5u);  // died after the dead letters, before they were settled
  EXPECT_EQ(topic_.settled, 0u);
  EXPECT_EQ(Live(), 5u);
  EXPECT_EQ(Dead().size(), 5u);
  topic_.Add("bad5");
  dead_.lose_next = true;
  EXPECT_EQ(Live(), 1u);
  topic_.Add("bad6");
  dead_.fail_next = true;
  EXPECT_EQ(Live(), 1u);
  std::set<std::string> ids;
  for (const OutletRecord& letter : Dead()) ids.insert(*letter.Header("maily-id"));
  EXPECT_EQ(ids.size(), 7u);
  EXPECT_EQ(Dead().size(), 7u);
}

TEST_F(InboxRoadTest, AStopLeavesWhatIsNotDecidedForTheNext) {
  tries_["slow"] = 1'000'000;
  topic_.Add("slow");
  FakeFeed feed(topic_);
  InboxRoad road({.feed = feed,
                  .dead = dead_,
                  .decide = [this](const FeedRecord& record, Done done) { Decide(record, std::move(done)); },
                  .clock = clock_,
                  .build = "b1"});
  road.Start();
  road.Stop(Duration{});
  EXPECT_EQ(topic_.settled, 0u);
  tries_.clear();
  EXPECT_EQ(Live(), 1u);
  EXPECT_EQ(topic_.settled, 1u);
}

}  // namespace
}  // namespace maily::app
