// Tests who may begin how many mails, and that what is reserved at a site comes back however an attempt goes.
#include "processors/effects/smtp/granter.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>
#include <vector>

#include "processors/effects/smtp/fixture.h"
#include "schemas/keys.h"

namespace maily::smtp {
namespace {

constexpr PartitionId kFirst(0), kSecond(1);

class GranterTest : public testing::Test {
 protected:
  GranterTest() {
    for (task::Credits* credits : {&first_, &second_}) credits->OnGranted([this] { ++woken_; });
  }
  void Join() {
    granter_.Join(kFirst, first_);
    granter_.Join(kSecond, second_);
    executor_.Run();
  }
  std::shared_ptr<Site> Learn(const char* key, const SitePolicy& policy) {
    auto site = std::make_shared<Site>(std::string("mx.") + key, policy);
    EXPECT_TRUE(granter_.Learn(key, site));
    executor_.Run();
    return site;
  }
  void Lend(Site& site, uint64_t mails) {
    const int64_t hour = executor_.Now().us / (int64_t{3600} * 1'000'000);
    site.Lend({.mails = mails, .hour = hour, .until = executor_.Now() + Seconds(600)}, {});
  }
  // Spends what is there of `key`, and asks for more; gives how many.
  uint32_t Spend(task::Credits& credits, const char* key) {
    uint32_t spent = 0;
    while (credits.Take(key)) ++spent;
    executor_.Run();
    return spent;
  }

  ManualExecutor executor_;
  Granter granter_{{.budget = 128, .per_domain = true, .opener = 7}, executor_, executor_};
  task::Credits first_, second_;
  int woken_ = 0;
};

TEST_F(GranterTest, OneMailAtATimeGoesToADomainThatNobodyHasRouted) {
  Join();
  EXPECT_TRUE(first_.per_domain());
  EXPECT_EQ(Spend(first_, "a"), 0u);
  EXPECT_EQ(first_.available("a"), 1u);
  EXPECT_EQ(first_.holder("a").id, 7u);
  EXPECT_EQ(Spend(first_, "a"), 1u);
  EXPECT_EQ(first_.available("a"), 0u) << "it is not accepted yet";
  EXPECT_EQ(granter_.Opened(kFirst, "a"), nullptr) << "nothing is reserved for it";
  granter_.PostDistribute();
  executor_.Run();
  EXPECT_EQ(first_.available("a"), 0u) << "it is looked up";
  granter_.Ended("a", nullptr);
  executor_.Run();
  EXPECT_EQ(first_.available("a"), 1u) << "the next one may follow";
}

// Two granters beside each other, as delivery.cc has them.
TEST_F(GranterTest, MessagesFindRoomWhereCampaignsHaveAll) {
  Granter messages({.budget = 128, .per_domain = true, .opener = 7, .messages = true}, executor_, executor_);
  Join();
  messages.Join(kFirst, first_);
  first_.OnWanted([&](std::string_view name) {
    granter_.Want(kFirst, name);
    messages.Want(kFirst, name);
  });
  const auto site = Learn("a", {.connections = 4});
  EXPECT_TRUE(messages.Learn("a", site));
  Spend(first_, "a");
  EXPECT_EQ(Spend(first_, "a"), 8u) << "all that the site takes";
  for (int n = 0; n < 8; ++n) {
    granter_.Opened(kFirst, "a");
    granter_.Begun("a", *site);
  }
  Spend(first_, "a");
  EXPECT_EQ(first_.available("a"), 0u);
  const std::string name = schema::MessageCredits("a");
  Spend(first_, name.c_str());
  EXPECT_EQ(first_.available(name), 8u) << "as much as if nobody else was there";
  EXPECT_EQ(first_.available("a"), 0u) << "and of their own name alone";
}

TEST_F(GranterTest, WhereMessagesWaitCampaignsHaveOneTurnInEight) {
  Granter campaigns({.budget = 128, .per_domain = true, .opener = 7, .yields = [](const Site&) { return true; }}, executor_, executor_);
  campaigns.Join(kFirst, first_);
  const auto site = std::make_shared<Site>("mx.a", SitePolicy{.connections = 4});
  campaigns.Learn("a", site);
  first_.Take("a");
  uint32_t turns = 0;
  while (first_.available("a") == 0 && turns < 100) {
    ++turns;
    campaigns.Distribute();
  }
  EXPECT_LE(turns, kYieldsTo);
  EXPECT_GE(turns, kYieldsTo - 2) << "Learn and Join look, too";
  EXPECT_EQ(first_.available("a"), 8u) << "all that the site takes, in that turn";
}

TEST_F(GranterTest, WhatIsFreeAtASiteIsSharedByThoseWhoWantIt) {
  Join();
  const auto site = Learn("a", {.connections = 4});
  Spend(first_, "a");
  EXPECT_EQ(first_.available("a"), 8u) << "two a connection";
  EXPECT_EQ(Spend(first_, "a"), 8u);
  Spend(second_, "a");
  EXPECT_EQ(second_.available("a"), 0u);
  // All are under way, and end one after another.
  for (int n = 0; n < 8; ++n) {
    EXPECT_EQ(granter_.Opened(kFirst, "a"), site);
    granter_.Begun("a", *site);
  }
  // Each that ends makes room for one, in turn.
  for (int n = 0; n < 2; ++n) {
    granter_.Ended("a", site.get());
    executor_.Run();
  }
  EXPECT_EQ(first_.available("a"), 1u);
  EXPECT_EQ(second_.available("a"), 1u);
  // Who uses what he gets wants more; six are still under way.
  EXPECT_EQ(Spend(first_, "a"), 1u);
  EXPECT_EQ(Spend(second_, "a"), 1u);
  EXPECT_EQ(first_.available("a") + second_.available("a"), 0u);
}

TEST_F(GranterTest, WhileMuchIsOutCreditsComeInTurnsAndSomeAtOnce) {
  Granter granter({.budget = 24, .opener = 7}, executor_, executor_);
  const auto site = std::make_shared<Site>("relay", SitePolicy{.connections = 12});
  granter.Join(kFirst, first_);
  granter.Learn("relay", site);
  executor_.Run();
  EXPECT_EQ(Spend(first_, "relay"), 0u);
  EXPECT_EQ(first_.available("relay"), 24u);
  EXPECT_EQ(Spend(first_, "relay"), 24u);  // and wants more
  for (int n = 0; n < 24; ++n) {
    granter.Opened(kFirst, "relay");
    granter.Begun("relay", *site);
  }
  for (int n = 0; n < 6; ++n) granter.Ended("relay", site.get());
  executor_.Run();
  EXPECT_EQ(first_.available("relay"), 0u) << "18 are under way";
  executor_.Advance(kTurn);
  EXPECT_EQ(first_.available("relay"), 6u);
  EXPECT_EQ(Spend(first_, "relay"), 6u);
  granter.Leave(kFirst);
}

TEST_F(GranterTest, ASuspendedSiteIsGrantedNothingAndAnotherOneAsBefore) {
  Join();
  const auto site = Learn("a", {});
  Learn("b", {});
  site->SetGate(SiteGate::kSuspended, 1);
  Spend(first_, "a");
  Spend(first_, "b");
  EXPECT_EQ(first_.available("a"), 0u);
  EXPECT_GT(first_.available("b"), 0u);
  site->SetGate(SiteGate::kOpen, 2);
  granter_.PostDistribute();
  executor_.Advance(kTurn);  // more than half of the budget is out
  EXPECT_GT(first_.available("a"), 0u);
}

TEST_F(GranterTest, NoMoreIsGrantedThanIsLeasedAndUnspentCreditsGoBackToTheSite) {
  Join();
  const auto site = Learn("a", {.mails_per_day = 100});
  Spend(first_, "a");
  EXPECT_EQ(first_.available("a"), 0u) << "nothing is leased";
  Lend(*site, 3);
  executor_.Advance(Seconds(1));
  EXPECT_EQ(first_.available("a"), 3u) << "found without anybody telling";
  EXPECT_EQ(site->Take(1, {}, executor_.Now()), 0u) << "all are reserved";
  executor_.Advance(Seconds(3));  // nobody spends them
  EXPECT_EQ(first_.available("a"), 0u);
  EXPECT_EQ(site->Look({}, executor_.Now()).leased, 3u);
}

TEST_F(GranterTest, APartitionThatLeavesGivesItsReservationsBack) {
  Join();
  const auto site = Learn("a", {.mails_per_day = 100});
  Lend(*site, 4);
  Spend(first_, "a");
  ASSERT_EQ(first_.available("a"), 4u);
  ASSERT_TRUE(first_.Take("a"));
  EXPECT_EQ(granter_.Opened(kFirst, "a"), site) << "its mail holds one now";
  granter_.Leave(kFirst);
  EXPECT_EQ(site->Look({}, executor_.Now()).leased, 3u);
  site->Unreserve(1);
  EXPECT_EQ(site->Look({}, executor_.Now()).leased, 4u);
}

TEST_F(GranterTest, ADomainThatMovesToAnotherSiteTakesItsReservationsAlong) {
  Join();
  const auto before = Learn("a", {.mails_per_day = 100});
  Lend(*before, 4);
  Spend(first_, "a");
  ASSERT_EQ(first_.available("a"), 4u);
  const auto after = std::make_shared<Site>("mx.new", SitePolicy{.mails_per_day = 10});
  Lend(*after, 5);
  granter_.Learn("a", after);
  EXPECT_EQ(before->Look({}, executor_.Now()).leased, 4u);
  EXPECT_EQ(after->Look({}, executor_.Now()).leased, 1u);
  ASSERT_TRUE(first_.Take("a"));
  EXPECT_EQ(granter_.Opened(kFirst, "a"), after);
}

TEST_F(GranterTest, WhatASiteHasNoNumberForGoesAnotherWayUntilThereIsOne) {
  Join();
  const auto fresh = std::make_shared<Site>("mx.a@new", SitePolicy{.mails_per_day = 100}, [](const auto&) {});
  const auto old = std::make_shared<Site>("mx.a@old", SitePolicy{.connections = 4});
  EXPECT_TRUE(granter_.Learn("a", {fresh, old}));
  EXPECT_EQ(granter_.SiteOf("a"), fresh) << "nobody knows yet what it has";
  Spend(first_, "a");
  EXPECT_EQ(first_.available("a"), 0u) << "it is asked for";
  Lend(*fresh, 2);
  executor_.Advance(Seconds(1));
  ASSERT_EQ(first_.available("a"), 2u);
  ASSERT_TRUE(first_.Take("a"));
  EXPECT_EQ(granter_.Opened(kFirst, "a"), fresh);
  ASSERT_TRUE(first_.Take("a"));
  EXPECT_EQ(granter_.Opened(kFirst, "a"), fresh);
  for (int mail = 0; mail < 2; ++mail) EXPECT_TRUE(fresh->Begin(executor_.Steady(), executor_.Now()));
  Spend(first_, "a");
  fresh->Lend({.mails = 0, .hour = 0, .until = {}, .used_up = true}, executor_.Steady() + Seconds(5));  // its day's number is used up
  executor_.Advance(Seconds(1));
  EXPECT_EQ(granter_.SiteOf("a"), old);
  ASSERT_GT(first_.available("a"), 0u);
  ASSERT_TRUE(first_.Take("a"));
  EXPECT_EQ(granter_.Opened(kFirst, "a"), old);
  executor_.Advance(Seconds(5));  // it is asked again
  Spend(first_, "a");
  Lend(*fresh, 5);
  executor_.Advance(Seconds(1));
  EXPECT_EQ(granter_.SiteOf("a"), fresh) << "the next day";
}

constexpr TenantId kAnn(2), kBob(3);

// Two tenants that always have more to send than the one site takes: what each gets, by keys of domains and partitions that it has.
class SharesTest : public testing::Test {
 protected:
  struct Key {
    std::string name;
    TenantId tenant;
    size_t partition;
  };
  // Plays `mails` ends of mails, oldest first, a batch at a time with turns between; gives what each tenant had of them.
  std::map<TenantId, int64_t> Play(const std::vector<Key>& keys, int64_t mails, int64_t at_once, uint32_t connections = 10) {
    for (task::Credits& credits : credits_) credits = task::Credits();
    auto site = std::make_shared<Site>("mx.example", SitePolicy{.connections = connections});
    Granter granter({.budget = 64, .per_domain = true, .weight_of = [](TenantId tenant) { return tenant == kBob ? 3U : 1U; }}, executor_,
                    executor_);
    granter.Join(kFirst, credits_[0]);
    granter.Join(kSecond, credits_[1]);
    for (const Key& key : keys) {  // the first mail of each is how the site is learnt
      Want(key);
      EXPECT_EQ(Want(key), 1u);
      granter.Opened(PartitionId(static_cast<uint16_t>(key.partition)), key.name, key.tenant);
      granter.Learn(key.name, site);
      granter.Begun(key.name, *site);
      granter.Ended(key.name, site.get());
    }
    std::map<TenantId, int64_t> had;
    std::deque<const Key*> under_way;
    int64_t ended = 0;
    while (ended < mails) {
      for (const Key& key : keys) {
        for (uint32_t n = Want(key); n > 0; --n) {
          EXPECT_NE(granter.Opened(PartitionId(static_cast<uint16_t>(key.partition)), key.name, key.tenant), nullptr);
          granter.Begun(key.name, *site);
          under_way.push_back(&key);
        }
      }
      for (int64_t n = 0; n < at_once && !under_way.empty(); ++n, ++ended) {
        ++had[under_way.front()->tenant];
        granter.Ended(under_way.front()->name, site.get());
        under_way.pop_front();
      }
      executor_.Advance(kTurn);
    }
    granter.Leave(kFirst);
    granter.Leave(kSecond);
    return had;
  }
  // Spends what is there, and asks for more.
  uint32_t Want(const Key& key) {
    uint32_t spent = 0;
    while (credits_[key.partition].Take(key.name)) ++spent;
    executor_.Run();
    return spent;
  }

  ManualExecutor executor_;
  std::array<task::Credits, 2> credits_;
};

// Within 5 %, however many mails end at once, and whatever keys they have.
TEST_F(SharesTest, TenantsShareASiteByTheirWeights) {
  for (const int64_t at_once : {1, 3, 7, 20}) {
    const auto had = Play({{"ann", kAnn, 0}, {"bob", kBob, 0}}, 4000, at_once);
    EXPECT_NEAR(static_cast<double>(had.at(kBob)), 3000, 150) << at_once << " at once";
  }
}

TEST_F(SharesTest, ATenantWithManyDomainsAndPartitionsGetsNoMoreForThem) {
  const auto had =
      Play({{"ann1", kAnn, 0}, {"ann2", kAnn, 1}, {"ann3", kAnn, 0}, {"ann4", kAnn, 1}, {"ann5", kAnn, 0}, {"bob", kBob, 1}}, 4000, 5);
  EXPECT_NEAR(static_cast<double>(had.at(kBob)), 3000, 150);
}

TEST_F(SharesTest, ATenantThatIsAloneGetsAll) {
  const auto had = Play({{"ann1", kAnn, 0}, {"ann2", kAnn, 1}}, 400, 5);
  EXPECT_GE(had.at(kAnn), 400);
}

TEST_F(SharesTest, AVerySlowSiteIsSharedToo) {
  const auto had = Play({{"ann", kAnn, 0}, {"bob", kBob, 1}}, 400, 1, 1);
  EXPECT_NEAR(static_cast<double>(had.at(kBob)), 300, 15);
}

// Who was idle is not made up for what went by meanwhile.
TEST_F(SharesTest, WhoComesBackBeginsWhereTheOthersAre) {
  auto site = std::make_shared<Site>("mx.example", SitePolicy{.connections = 1});
  Granter granter({.budget = 64, .per_domain = true}, executor_, executor_);
  granter.Join(kFirst, credits_[0]);
  const std::vector<Key> keys = {{"ann", kAnn, 0}, {"bob", kBob, 0}};
  for (const Key& key : keys) {
    Want(key);
    EXPECT_EQ(Want(key), 1u);
    granter.Opened(kFirst, key.name, key.tenant);
    granter.Learn(key.name, site);
    granter.Begun(key.name, *site);
    granter.Ended(key.name, site.get());
  }
  std::map<TenantId, int> had;
  const auto play = [&](int mails, bool with_bob) {
    for (int n = 0; n < mails; ++n) {
      for (const Key& key : keys) {
        if (key.tenant == kBob && !with_bob) continue;
        for (uint32_t spent = Want(key); spent > 0; --spent) {
          granter.Opened(kFirst, key.name, key.tenant);
          granter.Begun(key.name, *site);
          granter.Ended(key.name, site.get());
          ++had[key.tenant];
        }
      }
      executor_.Advance(Milliseconds(100));
    }
  };
  play(200, false);
  EXPECT_EQ(had[kBob], 0);
  had.clear();
  play(100, true);
  EXPECT_NEAR(had[kAnn], had[kBob], (had[kAnn] + had[kBob]) / 10.0) << "not all to Bob";
  granter.Leave(kFirst);
}

}  // namespace
}  // namespace maily::smtp
