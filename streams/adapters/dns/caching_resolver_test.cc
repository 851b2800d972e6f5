// What was answered is not asked again while it holds, and what many ask at once is asked once.
#include "streams/adapters/dns/caching_resolver.h"

#include <gtest/gtest.h>

#include <optional>

#include "streams/adapters/sim/sim_resolver.h"

namespace maily::dns {
namespace {

using Kind = DnsAnswer::Kind;

class CachingResolverTest : public testing::Test {
 protected:
  Result<DnsAnswer> Ask(const std::string& name, DnsType type = DnsType::kMx) {
    std::optional<Result<DnsAnswer>> got;
    cache->Ask({type, name}, *caller, [&](Result<DnsAnswer> answer) { got = std::move(answer); });
    EXPECT_FALSE(got);
    EXPECT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, Seconds(10)));
    return *got;
  }
  size_t Asked(const std::string& name) const { return zone.asked(DnsType::kMx, name); }
  void SetMx(const std::string& name, Duration ttl) { zone.Set(DnsType::kMx, name, {{"mx." + name, 10}}, ttl); }

  sim::Scheduler scheduler{1};
  std::unique_ptr<Executor> caller = scheduler.MakeExecutor();
  std::unique_ptr<Executor> own = scheduler.MakeExecutor();
  sim::SimResolver zone{scheduler, {.latency_min = Milliseconds(1), .latency_max = Milliseconds(1)}};
  std::unique_ptr<CachingResolver> cache = std::make_unique<CachingResolver>(zone, *own, scheduler.clock());
};

TEST_F(CachingResolverTest, RecordsLiveForTheirTtlWhichRunsDown) {
  SetMx("a.example", Seconds(100));
  EXPECT_EQ(Ask("a.example")->ttl, Seconds(100));
  scheduler.RunFor(Seconds(40));
  const auto later = Ask("A.Example.");
  EXPECT_EQ(later->records, (std::vector<DnsRecord>{{"mx.a.example", 10}}));
  EXPECT_GT(later->ttl, Seconds(59));
  EXPECT_LE(later->ttl, Seconds(60));
  EXPECT_EQ(Asked("a.example"), 1u);
  scheduler.RunFor(Seconds(61));
  EXPECT_TRUE(Ask("a.example"));
  EXPECT_EQ(Asked("a.example"), 2u);
}

TEST_F(CachingResolverTest, NoShorterThanHalfAMinuteAndNoLongerThanAnHour) {
  SetMx("short.example", Seconds(0));
  SetMx("long.example", Days(7));
  static_cast<void>(Ask("short.example"));
  static_cast<void>(Ask("long.example"));
  scheduler.RunFor(Seconds(29));
  static_cast<void>(Ask("short.example"));
  EXPECT_EQ(Asked("short.example"), 1u);
  scheduler.RunFor(Seconds(2));
  static_cast<void>(Ask("short.example"));
  EXPECT_EQ(Asked("short.example"), 2u);
  scheduler.RunFor(Hours(1) - Seconds(60));
  static_cast<void>(Ask("long.example"));
  EXPECT_EQ(Asked("long.example"), 1u);
  scheduler.RunFor(Seconds(60));
  static_cast<void>(Ask("long.example"));
  EXPECT_EQ(Asked("long.example"), 2u);
}

TEST_F(CachingResolverTest, NothingLivesForAMinuteAndAFailureForFiveSeconds) {
  zone.Break("broken.example", "SERVFAIL");
  EXPECT_EQ(Ask("gone.example")->kind, Kind::kNoName);
  EXPECT_EQ(Ask("broken.example").error().code, Code::kRetry);
  scheduler.RunFor(Seconds(4));
  EXPECT_EQ(Ask("broken.example").error().code, Code::kRetry);
  EXPECT_EQ(Asked("broken.example"), 1u);
  zone.Break("broken.example", "");
  SetMx("broken.example", Hours(1));
  scheduler.RunFor(Seconds(2));
  EXPECT_TRUE(Ask("broken.example"));
  SetMx("gone.example", Hours(1));
  scheduler.RunFor(Seconds(50));
  EXPECT_EQ(Ask("gone.example")->kind, Kind::kNoName);
  scheduler.RunFor(Seconds(10));
  EXPECT_EQ(Ask("gone.example")->kind, Kind::kRecords);
}

TEST_F(CachingResolverTest, TypesOfANameAreQuestionsOfTheirOwn) {
  SetMx("a.example", Hours(1));
  EXPECT_EQ(Ask("a.example")->kind, Kind::kRecords);
  EXPECT_EQ(Ask("a.example", DnsType::kTxt)->kind, Kind::kNoData);
  EXPECT_EQ(cache->answers(), 2u);
}

TEST_F(CachingResolverTest, WhatIsUnderWayIsAskedOnce) {
  SetMx("a.example", Hours(1));
  size_t answered = 0;
  for (int i = 0; i < 100; ++i) {
    cache->Mx(i % 2 == 0 ? "a.example" : "A.EXAMPLE", *caller, [&](const Result<DnsAnswer>& answer) { answered += answer ? 1 : 0; });
  }
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(answered, 100u);
  EXPECT_EQ(Asked("a.example"), 1u);
}

TEST_F(CachingResolverTest, TheLeastRecentlyAskedForGoesFirst) {
  cache = std::make_unique<CachingResolver>(zone, *own, scheduler.clock(), CacheLimits{.answers_max = 2});
  for (const char* name : {"a.example", "b.example", "a.example", "c.example"}) static_cast<void>(Ask(name));
  EXPECT_EQ(cache->answers(), 2u);
  static_cast<void>(Ask("a.example"));
  EXPECT_EQ(Asked("a.example"), 1u);
  static_cast<void>(Ask("b.example"));
  EXPECT_EQ(Asked("b.example"), 2u);
}

TEST_F(CachingResolverTest, BytesAreBoundedToo) {
  cache = std::make_unique<CachingResolver>(zone, *own, scheduler.clock(), CacheLimits{.answers_bytes_max = 4096});
  for (const char* name : {"a.example", "b.example"}) zone.SetTxt(name, {std::string(2000, 'x')});
  zone.SetTxt("c.example", {std::string(5000, 'x')});
  EXPECT_TRUE(Ask("a.example", DnsType::kTxt));
  EXPECT_TRUE(Ask("b.example", DnsType::kTxt));
  EXPECT_EQ(cache->answers(), 1u);
  EXPECT_EQ(Ask("c.example", DnsType::kTxt)->records[0].value.size(), 5000u);
  EXPECT_EQ(cache->answers(), 1u);
}

TEST_F(CachingResolverTest, CallersThatWaitAreBounded) {
  cache = std::make_unique<CachingResolver>(zone, *own, scheduler.clock(), CacheLimits{.callers_waiting_max = 3});
  size_t refused = 0;
  size_t answered = 0;
  for (int i = 0; i < 5; ++i) {
    cache->Mx("a.example", *caller, [&](const Result<DnsAnswer>& answer) { ++(answer ? answered : refused); });
  }
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(answered, 3u);
  EXPECT_EQ(refused, 2u);
  EXPECT_EQ(Ask("a.example")->kind, Kind::kNoName);
}

TEST_F(CachingResolverTest, WhatIsNoNameIsNotAskedAndNotRemembered) {
  EXPECT_EQ(Ask("a..b").error().code, Code::kInvalid);
  EXPECT_EQ(cache->answers(), 0u);
}

TEST_F(CachingResolverTest, DestroyedItDropsItsCallers) {
  cache->Mx("a.example", *caller, [](const Result<DnsAnswer>&) { ADD_FAILURE(); });
  cache.reset();
  scheduler.RunFor(Seconds(1));
}

}  // namespace
}  // namespace maily::dns
