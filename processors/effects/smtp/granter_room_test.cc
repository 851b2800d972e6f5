// Tests that one slow site, or one domain that is looked up for long, leaves others their part of a worker's credits.
#include <gtest/gtest.h>

#include "processors/effects/smtp/granter.h"
#include "streams/adapters/sim/sim_env.h"

namespace maily::smtp {
namespace {

constexpr std::string_view kDomain = "key of a domain";
const PartitionId kPartition(0);

struct Fixture {
  Fixture() { granter.Join(kPartition, credits); }
  ~Fixture() { granter.Leave(kPartition); }
  // Credits of the key now, after it was asked for them.
  uint32_t Ask() {
    if (credits.available(kDomain) == 0) credits.Take(kDomain);
    scheduler.RunFor(Milliseconds(10));
    return credits.available(kDomain);
  }
  std::shared_ptr<Site> Open() {
    EXPECT_TRUE(credits.Take(kDomain));
    return granter.Opened(kPartition, kDomain);
  }

  sim::Scheduler scheduler{1};
  std::unique_ptr<Executor> executor = scheduler.MakeExecutor();
  task::Credits credits;
  Granter granter{{.per_domain = true}, *executor, scheduler.clock()};
};

TEST(GranterRoom, OneMailAtATimeIsLookedUpOfADomainThatNobodyHasRouted) {
  Fixture f;
  ASSERT_EQ(f.Ask(), 1);
  f.Open();
  EXPECT_EQ(f.Ask(), 0) << "while the DNS is asked for the first";
  f.scheduler.RunFor(Seconds(30));
  EXPECT_EQ(f.Ask(), 0) << "also if that takes long";
  f.granter.Ended(kDomain, nullptr);
  EXPECT_EQ(f.Ask(), 1);
}

TEST(GranterRoom, AfterAMailFoundItsSiteTheOthersFollowWithinTheSitesLimits) {
  Fixture f;
  const auto site = std::make_shared<Site>("s", SitePolicy{.connections = 3});
  ASSERT_EQ(f.Ask(), 1);
  f.Open();
  f.granter.Learn(kDomain, site);
  f.granter.Begun(kDomain, *site);
  EXPECT_EQ(f.Ask(), 5) << "two a connection, less the one that is under way";
}

TEST(GranterRoom, TellsWhoseLimitsACreditWasTakenFrom) {
  Fixture f;
  const auto site = std::make_shared<Site>("s", SitePolicy{});
  ASSERT_EQ(f.Ask(), 1);
  EXPECT_EQ(f.Open(), nullptr) << "nobody knew where it goes";
  EXPECT_TRUE(f.granter.Learn(kDomain, site));
  f.granter.Begun(kDomain, *site);
  ASSERT_GT(f.Ask(), 0);
  EXPECT_EQ(f.Open(), site);
}

// Sites that answer nothing take all that they get, again and again.
TEST(GranterRoom, SlowSitesLeaveOthersTheirPart) {
  constexpr int64_t kBudget = 40;
  sim::Scheduler scheduler(1);
  const auto executor = scheduler.MakeExecutor();
  task::Credits credits;
  Granter granter({.budget = kBudget, .per_domain = true}, *executor, scheduler.clock());
  granter.Join(kPartition, credits);
  std::vector<std::shared_ptr<Site>> sites;
  for (int i = 0; i <= 10; ++i) {
    sites.push_back(std::make_shared<Site>(std::to_string(i), SitePolicy{}));
    granter.Learn(std::to_string(i), sites.back());
  }
  int64_t held = 0;
  const auto spend = [&](size_t site) {
    const std::string key = std::to_string(site);
    int64_t spent = 0;
    while (credits.Take(key)) {
      granter.Opened(kPartition, key);
      granter.Begun(key, *sites[site]);
      ++spent;
    }
    scheduler.RunFor(Milliseconds(10));
    return spent;
  };
  for (int round = 0; round < 20; ++round) {
    for (size_t site = 0; site < 10; ++site) held += spend(site);
  }
  EXPECT_GT(held, kBudget / 2);
  EXPECT_LT(held, kBudget) << "ten slow sites have all that there is";
  spend(10);
  EXPECT_GT(credits.available("10"), 0) << "a quick one waits for them";
  for (int mail = 0; mail < 100; ++mail) {  // and it goes on
    ASSERT_EQ(spend(10) > 0 || credits.available("10") > 0, true) << mail;
    granter.Ended("10", sites[10].get());
    scheduler.RunFor(Milliseconds(10));
  }
  granter.Leave(kPartition);
}

TEST(GranterRoom, ASiteThatIsAloneHasAsManyAsItTakes) {
  Fixture f;
  const auto site = std::make_shared<Site>("s", SitePolicy{.connections = 4});
  f.granter.Learn(kDomain, site);
  EXPECT_EQ(f.Ask(), 8);
}

}  // namespace
}  // namespace maily::smtp
