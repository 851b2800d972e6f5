// Tests the file of limits of sites.
#include "app/site_policies.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace maily::app {
namespace {

class SitePoliciesTest : public testing::Test {
 protected:
  Result<smtp::Sites::PolicyOf> Read(const std::string& text) {
    std::ofstream(path_) << text;
    return ReadSitePolicies(path_);
  }
  ~SitePoliciesTest() override { std::filesystem::remove(path_); }
  const std::string path_ = testing::TempDir() + "site_policies_test.yaml";
};

TEST_F(SitePoliciesTest, WhatIsNotNamedHasTheBuiltInLimitsOrThoseOfTheStar) {
  const auto policies = Read("- site: google.com\n  mails_per_day: 500\n- site: '*'\n  connections: 3\n").value();
  EXPECT_EQ(policies("google.com").mails_per_day, 500u);
  EXPECT_EQ(policies("google.com").connections, 20u) << "built in";
  EXPECT_EQ(policies("yahoodns.net").mails_per_connection, 20u) << "built in";
  EXPECT_EQ(policies("mx.example.com").connections, 3u);
  EXPECT_FALSE(policies("mx.example.com").leased());
  EXPECT_TRUE(policies("google.com").leased());
  EXPECT_EQ(ReadSitePolicies("").value()("mx.example.com").connections, smtp::SitePolicy().connections);
}

TEST_F(SitePoliciesTest, ASiteFromASourceHasItsOwnEntryOrTheSourcesOrTheSites) {
  const auto policies =
      Read("- site: google.com@new\n  mails_per_day: 7\n- site: '*@new'\n  warm_up: [50]\n- site: a.example\n  connections: 3\n").value();
  EXPECT_EQ(policies("google.com@new").mails_per_day, 7u);
  EXPECT_EQ(policies("google.com@new").connections, 20u) << "built in, of the site";
  EXPECT_EQ(policies("a.example@new").warm_up, (std::vector<uint64_t>{50}));
  EXPECT_EQ(policies("a.example@old").connections, 3u);
  EXPECT_EQ(policies("yahoodns.net@old").mails_per_connection, 20u) << "built in";
}

TEST_F(SitePoliciesTest, AWarmUpPlanIsAListOfDays) {
  const auto policies = Read("- site: google.com\n  warm_up: [50, 100, 500]\n  warm_up_hold_percent: 8\n").value();
  EXPECT_EQ(policies("google.com").warm_up, (std::vector<uint64_t>{50, 100, 500}));
  EXPECT_EQ(policies("google.com").hold_percent, 8u);
  EXPECT_TRUE(policies("google.com").leased());
}

TEST_F(SitePoliciesTest, WhatARefusedSenderMeansIsARule) {
  using Then = smtp::SitePolicy::Then;
  const auto policies = Read(
                            "- site: google.com\n  refusals_then: suspend\n  refusals_percent: 20\n  refusals_window: 50\n- site: "
                            "gmx.net\n  refusals_then: nothing\n")
                            .value();
  EXPECT_EQ(policies("google.com").refusals_then, Then::kSuspend);
  EXPECT_EQ(policies("google.com").refusals_percent, 20u);
  EXPECT_EQ(policies("google.com").refusals_window, 50u);
  EXPECT_EQ(policies("gmx.net").refusals_then, Then::kNothing);
  EXPECT_EQ(policies("yahoodns.net").refusals_then, Then::kSlow) << "by default";
  EXPECT_EQ(policies("yahoodns.net").refusals_percent, 5u);
}

TEST_F(SitePoliciesTest, WhatIsWrongIsNamedWithItsLine) {
  const auto why = [&](const std::string& text) {
    const auto read = Read(text);
    return read ? std::string("taken") : read.error().message;
  };
  EXPECT_NE(why("- site: a.example\n  warm_up: []\n").find(":2: warm_up lists the mails of 1 to 100 days"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  warm_up: [5, 0]\n").find("each from 1"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  warm_up: 5\n").find("warm_up lists"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  warm_up_hold_percent: 101\n").find("from 0 to 100"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  refusals_then: panic\n").find(":2: refusals_then is slow, suspend or nothing"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  refusals_window: 0\n").find("from 1 to 10000"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n  mails: 3\n").find("unknown member 'mails'"), std::string::npos);
  EXPECT_NE(why("- site: a.example\n- site: a.example\n").find("stands here twice"), std::string::npos);
}

}  // namespace
}  // namespace maily::app
