// Policies are found, kept, refreshed and given up as RFC 8461 §3 and §5 say.
#include "processors/effects/mta_sts/policy_cache.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_resolver.h"

namespace maily::mta_sts {
namespace {

// Pages by their URL, after 100 ms.
class Pages : public Fetch {
 public:
  explicit Pages(Executor& wire) : wire_(wire) {}
  void Get(const std::string& url, Executor& on, FetchDone done) override {
    ++asked[url];
    wire_.After(Milliseconds(100), [this, url, &on, done = std::move(done)]() mutable {
      const auto found = pages.find(url);
      Fetched page = found == pages.end() ? Fetched{.end = FetchEnd::kUnreachable, .reason = "no such page"} : found->second;
      on.Post([done = std::move(done), page = std::move(page)]() mutable { done(std::move(page)); });
    });
  }
  std::map<std::string, Fetched> pages;
  std::map<std::string, int> asked;

 private:
  Executor& wire_;
};

std::string UrlOf(const std::string& domain) { return "https://mta-sts." + domain + "/.well-known/mta-sts.txt"; }

class PolicyCacheTest : public testing::Test {
 protected:
  PolicyCacheTest() { Make({}); }
  void Make(CacheOptions options) {
    options.changed = [this](const Entry& entry) { kept.push_back(EncodeEntry(entry)); };
    options.failed = [this](const std::string& domain, const std::string& reason, const Entry* had) {
      failures.push_back(fmt::format("{}: {}{}", domain, reason, had == nullptr ? "" : ", one is kept"));
    };
    cache = std::make_unique<PolicyCache>(zone, pages, *executor, scheduler.clock(), std::move(options));
  }
  void Publish(const std::string& id, const std::string& mx, int64_t max_age_seconds = 604'800, const std::string& domain = "example.com") {
    Announce(id, domain);
    Serve(fmt::format("version: STSv1\nmode: enforce\nmx: {}\nmax_age: {}\n", mx, max_age_seconds), domain);
  }
  void Announce(const std::string& id, const std::string& domain = "example.com") {
    zone.SetTxt("_mta-sts." + domain, {"v=STSv1; id=" + id + ";"});
  }
  void Serve(const std::string& body, const std::string& domain = "example.com") {
    pages.pages[UrlOf(domain)] = {.end = FetchEnd::kAnswered, .status = 200, .content_type = "text/plain", .body = body};
  }
  Fetched& Page() { return pages.pages[UrlOf("example.com")]; }
  // The id of the policy that holds, with its first pattern; "none".
  std::string Lookup(const std::string& domain = "example.com") {
    std::optional<std::string> got;
    cache->Lookup(domain, [&](const Result<std::optional<Entry>>& found) {
      got = !found    ? CodeName(found.error().code)
            : !*found ? "none"
                      : (*found)->id + " " + ((*found)->policy.mx.empty() ? "-" : (*found)->policy.mx[0]);
    });
    EXPECT_FALSE(got);
    EXPECT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, Seconds(10)));
    return *got;
  }
  int Fetches(const std::string& domain = "example.com") { return pages.asked[UrlOf(domain)]; }

  sim::Scheduler scheduler{1};
  std::unique_ptr<Executor> executor = scheduler.MakeExecutor();
  sim::SimResolver zone{scheduler, {}};
  Pages pages{*executor};
  std::vector<std::string> kept;
  std::vector<std::string> failures;
  std::unique_ptr<PolicyCache> cache;
};

TEST_F(PolicyCacheTest, Section3WithoutARecordThereIsNoPolicyAndNoFetch) {
  Serve("version: STSv1\nmode: none\nmax_age: 1");
  EXPECT_EQ(Lookup(), "none");
  zone.SetTxt("_mta-sts.example.com", {"v=spf1 -all", "v=STSv1; no id"});
  EXPECT_EQ(Lookup(), "none");
  zone.Break("_mta-sts.example.com", "SERVFAIL");
  EXPECT_EQ(Lookup(), "none");
  EXPECT_EQ(Lookup("no domain"), "none");
  EXPECT_EQ(Lookup(std::string(62, 'a') + "." + std::string(62, 'b') + "." + std::string(62, 'c') + "." + std::string(62, 'd')), "none");
  EXPECT_EQ(Fetches(), 0);
  EXPECT_EQ(cache->domains(), 0u);
}

TEST_F(PolicyCacheTest, Section33APolicyIsFetchedOnceAndKept) {
  Publish("1", "mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Lookup("EXAMPLE.com."), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 1);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(DecodeEntry(kept[0])->domain, "example.com");
  EXPECT_TRUE(failures.empty());
}

TEST_F(PolicyCacheTest, Section51ANewIdIsANewFetch) {
  Publish("1", "old.example.com");
  EXPECT_EQ(Lookup(), "1 old.example.com");
  Publish("2", "new.example.com");
  EXPECT_EQ(Lookup(), "2 new.example.com");
  EXPECT_EQ(Fetches(), 2);
}

TEST_F(PolicyCacheTest, Section51AnUnexpiredPolicyHoldsWhileTheRecordIsBroken) {
  Publish("1", "mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  zone.Break("_mta-sts.example.com", "SERVFAIL");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  zone.Break("_mta-sts.example.com", "");
  zone.SetTxt("_mta-sts.example.com", {"v=STSv1; id=2;", "v=STSv1; id=3;"});
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  zone.Remove("_mta-sts.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 1);
  scheduler.RunFor(Seconds(604'801));
  EXPECT_EQ(Lookup(), "none");
}

TEST_F(PolicyCacheTest, Section51AnUnexpiredPolicyHoldsWhileHttpsIsBroken) {
  Publish("1", "mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Announce("2");
  pages.pages.clear();
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 2);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0], "example.com: unreachable: no such page, one is kept");
  scheduler.RunFor(Seconds(604'801));
  EXPECT_EQ(Lookup(), "none");
}

TEST_F(PolicyCacheTest, Section33WithoutAPolicyThatCanBeFetchedThereIsNoneForFiveMinutesPerId) {
  Announce("1");
  EXPECT_EQ(Lookup(), "none");
  EXPECT_EQ(Lookup(), "none");
  EXPECT_EQ(Fetches(), 1);
  EXPECT_EQ(cache->domains(), 1u);
  scheduler.RunFor(Seconds(290));
  EXPECT_EQ(Lookup(), "none");
  EXPECT_EQ(Fetches(), 1);
  Publish("2", "mx.example.com");  // another version may be tried at once
  EXPECT_EQ(Lookup(), "2 mx.example.com");
  pages.pages.clear();
  Announce("3");
  EXPECT_EQ(Lookup(), "2 mx.example.com");
  scheduler.RunFor(Seconds(301));
  EXPECT_EQ(Lookup(), "2 mx.example.com");
  EXPECT_EQ(Fetches(), 4);
}

TEST_F(PolicyCacheTest, Section33OnlyStatus200OfPlainTextIsAPolicy) {
  Publish("1", "mx.example.com");
  const Fetched good = Page();
  int id = 1;
  const auto with = [&](const std::function<void(Fetched&)>& change) {
    Page() = good;
    change(Page());
    Announce(std::to_string(++id));
    return Lookup();
  };
  EXPECT_EQ(with([](Fetched& page) { page.status = 301; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.status = 404; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.status = 204; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.content_type = "text/html"; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.content_type = ""; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.body = "version: STSv1"; }), "none");
  EXPECT_EQ(with([](Fetched& page) { page.end = FetchEnd::kTls; }), "none");
  EXPECT_EQ(failures.size(), 7u);
  EXPECT_EQ(with([](Fetched& page) { page.content_type = "Text/Plain ; charset=utf-8"; }), "9 mx.example.com");
}

TEST_F(PolicyCacheTest, Section51AnExpiredPolicyOfTheSameIdIsFetchedAnew) {
  Publish("1", "mx.example.com", 100);
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  scheduler.RunFor(Seconds(101));
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 2);
  pages.pages.clear();
  scheduler.RunFor(Seconds(101));
  EXPECT_EQ(Lookup(), "none");
}

TEST_F(PolicyCacheTest, Section33OnceADayAPolicyIsRefreshedWithoutKeepingMailWaiting) {
  Publish("1", "mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Publish("1", "moved.example.com");
  scheduler.RunFor(Hours(23));
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 1);
  scheduler.RunFor(Hours(2));
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(Fetches(), 2);
  EXPECT_EQ(Lookup(), "1 moved.example.com");
  EXPECT_EQ(kept.size(), 2u);
  // One that fails is told, and tried again after five minutes.
  pages.pages.clear();
  scheduler.RunFor(Hours(25));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Lookup(), "1 moved.example.com");
    scheduler.RunFor(Seconds(1));
  }
  EXPECT_EQ(Fetches(), 3);
  EXPECT_EQ(failures.size(), 1u);
  scheduler.RunFor(Seconds(300));
  EXPECT_EQ(Lookup(), "1 moved.example.com");
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(Fetches(), 4);
}

TEST_F(PolicyCacheTest, Section5APolicyOfModeNoneIsGivenAsOne) {
  Announce("1");
  Serve("version: STSv1\nmode: none\nmax_age: 86400\n");
  EXPECT_EQ(Lookup(), "1 -");
}

TEST_F(PolicyCacheTest, EqualLookUpsWaitForOneFetch) {
  Publish("1", "mx.example.com");
  int found = 0;
  for (int i = 0; i < 50; ++i) {
    cache->Lookup("example.com", [&](const Result<std::optional<Entry>>& entry) { found += entry && *entry ? 1 : 0; });
  }
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(found, 50);
  EXPECT_EQ(Fetches(), 1);
  EXPECT_EQ(zone.asked(DnsType::kTxt, "_mta-sts.example.com"), 1u);
}

TEST_F(PolicyCacheTest, WhatWasKeptHoldsAfterARestart) {
  Publish("1", "mx.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Make({});
  cache->Restore(DecodeEntry(kept[0]).value());
  zone.Remove("_mta-sts.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  EXPECT_EQ(Fetches(), 1);
  scheduler.RunFor(Seconds(604'801));
  Make({});
  cache->Restore(DecodeEntry(kept[0]).value());
  EXPECT_EQ(cache->domains(), 0u);
}

TEST_F(PolicyCacheTest, AMomentOfFetchThatIsYetToComeCountsAsNow) {
  Publish("1", "mx.example.com", 100);
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Entry entry = DecodeEntry(kept[0]).value();
  entry.fetched_at = scheduler.clock().Now() + Days(300);
  Make({});
  cache->Restore(entry);
  zone.Remove("_mta-sts.example.com");
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  scheduler.RunFor(Seconds(101));
  EXPECT_EQ(Lookup(), "none");
}

TEST_F(PolicyCacheTest, DomainsAndBytesAreBoundedAndTheLeastRecentGoesFirst) {
  Make({.domains_max = 2});
  for (const char* domain : {"a.example", "b.example", "c.example"}) Publish("1", "mx.example.com", 604'800, domain);
  for (const char* domain : {"a.example", "b.example", "a.example", "c.example"}) EXPECT_EQ(Lookup(domain), "1 mx.example.com");
  EXPECT_EQ(cache->domains(), 2u);
  EXPECT_EQ(Lookup("a.example"), "1 mx.example.com");
  EXPECT_EQ(Fetches("a.example"), 1);
  EXPECT_EQ(Lookup("b.example"), "1 mx.example.com");
  EXPECT_EQ(Fetches("b.example"), 2);
  Make({.bytes_max = 1});  // the last one stays, since mail waits for it
  for (const char* domain : {"a.example", "b.example"}) EXPECT_EQ(Lookup(domain), "1 mx.example.com");
  EXPECT_EQ(cache->domains(), 1u);
}

TEST_F(PolicyCacheTest, LookUpsThatWaitAreBounded) {
  Make({.lookups_waiting_max = 2});
  std::string got;
  for (int i = 0; i < 3; ++i) {
    cache->Lookup("example.com", [&](const Result<std::optional<Entry>>& entry) { got += entry ? "none " : "retry "; });
  }
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(got, "retry none none ");
  EXPECT_EQ(Lookup(), "none");
}

TEST_F(PolicyCacheTest, ThatFetchesAreBusyIsNoReasonToSendWithoutAPolicy) {
  Publish("1", "mx.example.com");
  const Fetched good = Page();
  Page().end = FetchEnd::kBusy;
  EXPECT_EQ(Lookup(), "retry");
  EXPECT_TRUE(failures.empty());
  Page() = good;
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Announce("2");
  Page().end = FetchEnd::kBusy;
  EXPECT_EQ(Lookup(), "1 mx.example.com");
  Page() = good;
  EXPECT_EQ(Lookup(), "2 mx.example.com");
}

TEST_F(PolicyCacheTest, DestroyedItDropsItsLookUps) {
  Publish("1", "mx.example.com");
  for (const Duration after : {Microseconds(0), Milliseconds(60), Milliseconds(120)}) {
    Make({});
    bool called = false;
    cache->Lookup("example.com", [&](const Result<std::optional<Entry>>&) { called = true; });
    scheduler.RunFor(after);
    cache.reset();
    const bool before = called;
    scheduler.RunFor(Seconds(1));
    EXPECT_EQ(called, before);
  }
}

// Whatever DNS and HTTPS do, a policy that was fetched holds until it expires, unless another takes its place.
TEST_F(PolicyCacheTest, InAnyHistoryAPolicyThatWasFetchedHoldsUntilItExpires) {
  Instant until{};
  int id = 0;
  for (int step = 0; step < 2'000; ++step) {
    switch (scheduler.Random(6)) {
      case 0:
        Publish(std::to_string(++id), "mx.example.com", 100 + static_cast<int64_t>(scheduler.Random(10'000)));
        break;
      case 1:
        zone.Remove("_mta-sts.example.com");
        break;
      case 2:
        zone.Break("_mta-sts.example.com", scheduler.Chance(0.5) ? "SERVFAIL" : "");
        break;
      case 3:
        pages.pages.clear();
        break;
      default:
        scheduler.RunFor(scheduler.RandomDuration(Seconds(1), Seconds(2'000)));
    }
    const std::string found = Lookup();
    if (!kept.empty()) {
      const Entry last = DecodeEntry(kept.back()).value();
      until = last.fetched_at + last.policy.max_age;
      if (found != "none") {
        ASSERT_EQ(found, last.id + " mx.example.com") << step;
      }
    }
    // A second of room: the look-up itself takes time.
    if (until - scheduler.clock().Now() > Seconds(1)) {
      ASSERT_NE(found, "none") << step;
    }
    if (scheduler.clock().Now() - until > Seconds(1)) {
      ASSERT_EQ(found, "none") << step;
    }
  }
  EXPECT_GT(kept.size(), 20u);
}

}  // namespace
}  // namespace maily::mta_sts
