// What a policy of MTA-STS leaves of a route, and what is said of a mail under one.
#include "processors/effects/smtp/policies.h"

#include <gtest/gtest.h>

#include <optional>

#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_resolver.h"

namespace maily::smtp {
namespace {

using mta_sts::Entry;
using mta_sts::Mode;

// Policies by domain.
class Pages : public Fetch {
 public:
  void Get(const std::string& url, Executor& on, FetchDone done) override {
    const auto found = pages.find(url);
    Fetched page{.end = end};
    if (end == FetchEnd::kAnswered && found != pages.end())
      page = {.end = end, .status = 200, .content_type = "text/plain", .body = found->second};
    on.Post([done = std::move(done), page = std::move(page)]() mutable { done(std::move(page)); });
  }
  std::map<std::string, std::string> pages;
  FetchEnd end = FetchEnd::kAnswered;
};

class PoliciesTest : public testing::Test {
 protected:
  PoliciesTest() { Make({}); }
  void Make(std::vector<Entry> known) {
    policies_.reset();
    policies_ = std::make_unique<Policies>(
        StsOptions{.fetch = &pages_, .known = std::move(known), .keep = [this](const Entry& entry) { kept_.push_back(entry); }}, zone_,
        *executor_, scheduler_.clock(), 2);
  }
  void Publish(const std::string& domain, const std::string& mode, const std::string& mx) {
    zone_.SetTxt("_mta-sts." + domain, {"v=STSv1; id=1;"});
    pages_.pages["https://mta-sts." + domain + "/.well-known/mta-sts.txt"] =
        fmt::format("version: STSv1\nmode: {}\n{}max_age: 86400\n", mode, mx.empty() ? "" : "mx: " + mx + "\n");
  }
  Policies::Found Apply(const std::string& domain, std::vector<std::string> hosts) {
    std::optional<Policies::Found> found;
    policies_->Apply(domain, {.site = "s", .hosts = std::move(hosts)}, [&](Policies::Found one) { found = std::move(one); });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return found.has_value(); }, Seconds(60)));
    return found.value_or(Policies::Found());
  }
  static Verdict At(std::string peer, std::optional<tls::Facts> tls, Verdict::Kind kind = Verdict::Kind::kDelivered) {
    return {.kind = kind, .stage = Stage::kDot, .tls = std::move(tls), .peer = std::move(peer)};
  }
  using Hosts = std::vector<std::string>;

  sim::Scheduler scheduler_{1};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  sim::SimResolver zone_{scheduler_, {}};
  Pages pages_;
  std::vector<Entry> kept_;
  std::unique_ptr<Policies> policies_;
};

TEST_F(PoliciesTest, OfAnEnforcedPolicyOnlyTheHostsThatItNamesAreLeftInTheirOrder) {
  Publish("shop.example", "enforce", "*.shop.example");
  const auto found = Apply("shop.example", {"b.shop.example", "mx.elsewhere.example", "a.shop.example", "a.b.shop.example"});
  EXPECT_TRUE(Enforced(found.policy));
  EXPECT_EQ(found.route.hosts, (Hosts{"b.shop.example", "a.shop.example"}));
  EXPECT_EQ(found.route.site, "s");
  ASSERT_EQ(kept_.size(), 1u);
  EXPECT_EQ(kept_[0].domain, "shop.example");
}

TEST_F(PoliciesTest, WhereItNamesNoneTheMailWaitsAndSaysWhy) {
  Publish("shop.example", "enforce", "mx.shop.example");
  const auto found = Apply("shop.example", {"mx.elsewhere.example"});
  EXPECT_FALSE(found.ok());
  Verdict verdict = found.verdict;
  EXPECT_EQ(verdict.kind, Verdict::Kind::kDeferred);
  EXPECT_EQ(verdict.text, "MTA-STS of shop.example: its policy names none of its mail servers, but mx.shop.example");
  ASSERT_NE(found.policy, nullptr);
  const auto told = policies_->Tell(*found.policy, verdict);
  EXPECT_EQ(told.mode(), "enforce");
  EXPECT_EQ(told.failure(), verdict.text);
}

TEST_F(PoliciesTest, ATestedPolicyTakesNothingAwayAndIsRecorded) {
  Publish("shop.example", "testing", "mx.shop.example");
  const auto found = Apply("shop.example", {"mx.elsewhere.example", "mx.shop.example"});
  ASSERT_NE(found.policy, nullptr);
  EXPECT_FALSE(Enforced(found.policy));
  EXPECT_EQ(found.route.hosts, (Hosts{"mx.elsewhere.example", "mx.shop.example"}));
  const auto told = [&](Verdict verdict) { return policies_->Tell(*found.policy, verdict).failure(); };
  const tls::Facts good{.version = "TLSv1.3", .cipher = "c", .verified = true};
  EXPECT_EQ(told(At("mx.shop.example:25", good)), "");
  EXPECT_EQ(told(At("mx.elsewhere.example:25", good)), "the policy does not name mx.elsewhere.example");
  EXPECT_EQ(told(At("mx.shop.example:25", std::nullopt)), "mx.shop.example was spoken with without TLS");
  EXPECT_EQ(told(At("mx.shop.example:25", tls::Facts{.version = "TLSv1.3", .cipher = "c", .verified = false, .why_not = "expired"})),
            "the certificate of mx.shop.example: expired");
  EXPECT_EQ(told(At("", std::nullopt, Verdict::Kind::kDeferred)), "");  // nobody was spoken with
}

TEST_F(PoliciesTest, ADeferralIsThePolicysOnlyIfNoConnectionWasAsItWantsIt) {
  Publish("shop.example", "enforce", "mx.shop.example");
  const auto found = Apply("shop.example", {"mx.shop.example"});
  Verdict at_tls{.kind = Verdict::Kind::kDeferred, .stage = Stage::kStartTls, .text = "the certificate is not accepted"};
  EXPECT_EQ(policies_->Tell(*found.policy, at_tls).failure(), "MTA-STS of shop.example: the certificate is not accepted");
  EXPECT_EQ(at_tls.text, "MTA-STS of shop.example: the certificate is not accepted");
  Verdict busy{.kind = Verdict::Kind::kDeferred, .stage = Stage::kRcpt, .code = 451, .text = "try later"};
  EXPECT_EQ(policies_->Tell(*found.policy, busy).failure(), "");
  EXPECT_EQ(busy.text, "try later");
}

TEST_F(PoliciesTest, WithoutAPolicyOrWithOneOfModeNoneAllIsAsBefore) {
  EXPECT_EQ(Apply("free.example", {"a", "b"}).policy, nullptr);
  Publish("none.example", "none", "");
  const auto none = Apply("none.example", {"a", "b"});
  EXPECT_EQ(none.policy, nullptr);
  EXPECT_EQ(none.route.hosts, (Hosts{"a", "b"}));
  zone_.SetTxt("_mta-sts.gone.example", {"v=STSv1; id=1;"});
  EXPECT_EQ(Apply("gone.example", {"a"}).policy, nullptr);  // announced, and not to be had: RFC 8461 §3.3
}

TEST_F(PoliciesTest, WhatWasKeptHoldsThoughNothingCanBeFetched) {
  Publish("shop.example", "enforce", "mx.shop.example");
  Apply("shop.example", {"mx.shop.example"});
  ASSERT_EQ(kept_.size(), 1u);
  Make(kept_);
  zone_.Remove("_mta-sts.shop.example");
  pages_.end = FetchEnd::kUnreachable;
  EXPECT_TRUE(Enforced(Apply("shop.example", {"mx.shop.example"}).policy));
  scheduler_.RunFor(Seconds(86'401));
  EXPECT_EQ(Apply("shop.example", {"mx.shop.example"}).policy, nullptr);  // too old
}

TEST_F(PoliciesTest, WhereItIsNotKnownNowTheMailWaits) {
  zone_.SetTxt("_mta-sts.shop.example", {"v=STSv1; id=1;"});
  pages_.end = FetchEnd::kBusy;
  const auto found = Apply("shop.example", {"mx.shop.example"});
  EXPECT_FALSE(found.ok());
  EXPECT_EQ(found.policy, nullptr);
  EXPECT_EQ(found.verdict.kind, Verdict::Kind::kDeferred);
}

}  // namespace
}  // namespace maily::smtp
