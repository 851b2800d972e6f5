// Tests what limits the mails to a site, by data and by its own replies.
#include "processors/effects/smtp/site.h"

#include <gtest/gtest.h>

namespace maily::smtp {
namespace {

constexpr Instant kNoon{int64_t{20'000} * 86'400 * 1'000'000 + int64_t{12} * 3600 * 1'000'000};

Verdict Reply(Verdict::Kind kind, uint16_t code, std::string enhanced = "", std::string text = "") {
  return {.kind = kind, .stage = Stage::kDot, .code = code, .enhanced = std::move(enhanced), .text = std::move(text)};
}
const Verdict kTaken = Reply(Verdict::Kind::kDelivered, 250);
const Verdict kBusy = Reply(Verdict::Kind::kDeferred, 421, "4.7.0", "too many mails from you");

TEST(Site, ConnectionsAreCounted) {
  Site site("s", {.connections = 2});
  EXPECT_TRUE(site.TryConnect());
  EXPECT_TRUE(site.TryConnect());
  EXPECT_FALSE(site.WantsIdleClosed());
  EXPECT_FALSE(site.TryConnect());
  EXPECT_TRUE(site.WantsIdleClosed()) << "somebody waits";
  EXPECT_FALSE(site.WantsIdleClosed()) << "once";
  site.Disconnected();
  EXPECT_TRUE(site.TryConnect());
}

TEST(Site, ARateIsHeldOverAnyTime) {
  Site site("s", {.mails_per_second = 2.5});
  uint32_t taken = 0;
  for (int second = 0; second <= 60; ++second) taken += site.Take(100, Seconds(second), kNoon);
  EXPECT_LE(taken, 60 * 2.5 + 3.5);
  EXPECT_GE(taken, 60 * 2.5 - 1);
}

TEST(Site, ASlowRateLetsOneMailGoNowAndThen) {
  Site site("s", {.mails_per_second = 0.1});
  uint32_t taken = 0;
  for (int second = 0; second <= 600; ++second) taken += site.Take(5, Seconds(second), kNoon);
  EXPECT_GE(taken, 60u);
  EXPECT_LE(taken, 61u);
}

TEST(Site, AMailThatNobodyKnewWouldComeIsWithinTheRateAndThePause) {
  Site site("s", {.mails_per_second = 1});
  EXPECT_TRUE(site.TryReserve(Seconds(100), kNoon));
  EXPECT_TRUE(site.TryReserve(Seconds(100), kNoon));
  EXPECT_FALSE(site.TryReserve(Seconds(100), kNoon)) << "a second's worth beside the first";
  EXPECT_TRUE(site.TryReserve(Seconds(101), kNoon));
  SiteChange change;
  site.Heard(kBusy, Seconds(102), change);
  EXPECT_FALSE(site.TryReserve(Seconds(110), kNoon)) << "it pauses";
}

constexpr int64_t kNoonHour = int64_t{20'000} * 24 + 12;

TEST(Site, MailsBeginOnlyAgainstALease) {
  Site site("s", {.mails_per_day = 100});
  EXPECT_EQ(site.Take(5, Seconds(0), kNoon), 0u);
  EXPECT_FALSE(site.Begin(Seconds(0), kNoon));
  site.Lend({.mails = 8, .hour = kNoonHour, .until = kNoon + Seconds(600)}, {});
  EXPECT_EQ(site.Take(5, Seconds(1), kNoon), 5u);
  EXPECT_EQ(site.Take(5, Seconds(1), kNoon), 3u) << "the others are reserved";
  site.GiveBack(2);
  EXPECT_EQ(site.Take(5, Seconds(2), kNoon), 2u);
  for (int n = 0; n < 8; ++n) EXPECT_TRUE(site.Begin(Seconds(3), kNoon));
  EXPECT_FALSE(site.Begin(Seconds(3), kNoon));
  EXPECT_EQ(site.Look(Seconds(3), kNoon).today, 8u);
}

// Of several ways the first that is not spent is taken, so a site does not call itself spent while an answer is out.
TEST(Site, ItIsSpentOnceNothingWasToBeHadAndNothingIsLeft) {
  Site site("s", {.mails_per_day = 100});
  EXPECT_FALSE(site.Spent(Seconds(0), kNoon)) << "nobody has asked yet";
  site.Lend({.mails = 1, .hour = kNoonHour, .until = kNoon + Seconds(600)}, {});
  EXPECT_EQ(site.Take(1, Seconds(1), kNoon), 1u);
  EXPECT_TRUE(site.Begin(Seconds(1), kNoon));
  EXPECT_FALSE(site.Spent(Seconds(1), kNoon)) << "there may be more";
  site.Lend({.until = kNoon, .used_up = true}, Seconds(60));
  EXPECT_TRUE(site.Spent(Seconds(2), kNoon));
  EXPECT_FALSE(site.Spent(Seconds(60), kNoon)) << "it may be asked again";
  site.Lend({}, Seconds(90));
  EXPECT_FALSE(site.Spent(Seconds(61), kNoon)) << "nothing for now, and the number is not used up";
  site.Lend({.mails = 1, .hour = kNoonHour, .until = kNoon + Seconds(600)}, {});
  EXPECT_FALSE(site.Spent(Seconds(61), kNoon));
  site.Lend({.until = kNoon, .used_up = true}, Seconds(120));
  EXPECT_FALSE(site.Spent(Seconds(62), kNoon)) << "one is left of what was leased";
}

TEST(Site, WhatIsGivenBackAfterMidnightDoesNotLowerTheNewDaysNumber) {
  Site site("s", {.mails_per_day = 100});
  const Instant late = kNoon + Seconds(12 * 3600 - 1), midnight = kNoon + Seconds(12 * 3600);
  site.Lend({.mails = 10, .hour = kNoonHour + 11, .until = midnight}, {});
  EXPECT_EQ(site.Take(10, Seconds(0), late), 10u);
  EXPECT_TRUE(site.Begin(Seconds(0), late));
  site.Lend({.mails = 2, .hour = kNoonHour + 12, .until = midnight + Seconds(600)}, {});
  EXPECT_TRUE(site.Begin(Seconds(1), midnight)) << "of the new day";
  site.GiveBack(8);
  EXPECT_EQ(site.Look(Seconds(1), midnight).today, 1u);
  EXPECT_EQ(site.Take(10, Seconds(1), midnight), 1u);
  const auto over = site.TakeUnspent(midnight, false);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].mails, 9u) << "nobody begins them any more";
}

TEST(Site, ALeaseOfALimitedHourEndsWithIt) {
  Site hourly("s", {.mails_per_hour = 100}), daily("s", {.mails_per_day = 100});
  for (Site* site : {&hourly, &daily}) {
    site->Lend({.mails = 5, .hour = kNoonHour, .until = kNoon + Seconds(7200)}, {});
    EXPECT_TRUE(site->Begin(Seconds(0), kNoon));
    EXPECT_EQ(site->Begin(Seconds(0), kNoon + Seconds(3600)), site == &daily);
    EXPECT_FALSE(site->Begin(Seconds(0), kNoon + Seconds(7200))) << "over";
  }
}

TEST(Site, MoreIsWantedOnceWhenLittleIsLeft) {
  int wanted = 0;
  const auto site = std::make_shared<Site>("s", SitePolicy{.mails_per_day = 100}, [&](const auto&) { ++wanted; });
  site->Take(1, Seconds(0), kNoon);
  site->Take(1, Seconds(0), kNoon);
  EXPECT_EQ(wanted, 1) << "until it is answered";
  site->Lend({.mails = 16, .hour = kNoonHour, .until = kNoon + Seconds(600)}, {});
  EXPECT_EQ(site->Take(10, Seconds(1), kNoon), 10u);
  EXPECT_EQ(wanted, 1);
  EXPECT_EQ(site->Take(3, Seconds(1), kNoon), 3u);
  EXPECT_EQ(wanted, 2) << "less than a quarter is left";
  site->Lend({}, Seconds(60));
  site->Take(10, Seconds(59), kNoon);
  EXPECT_EQ(wanted, 2);
  site->Take(10, Seconds(60), kNoon);
  EXPECT_EQ(wanted, 3);
}

TEST(Site, APlanIsToldWhatBecameOfMails) {
  Site site("s", {.warm_up = {50}});
  SiteChange change;
  for (int n = 0; n < 3; ++n) site.Heard(kTaken, Seconds(1), change);
  site.Heard(kBusy, Seconds(1), change);
  site.Heard(kBusy, Seconds(1), change);
  site.Heard(Reply(Verdict::Kind::kBounced, 550, "5.1.1"), Seconds(1), change);
  site.Heard(Reply(Verdict::Kind::kDeferred, 451, "4.7.1", "Greylisted"), Seconds(1), change);
  const SiteTally tally = site.TakeTally();
  EXPECT_EQ(tally.delivered, 3u);
  EXPECT_EQ(tally.slowed, 2u);
  EXPECT_EQ(tally.bounced, 1u);
  EXPECT_EQ(site.TakeTally().delivered, 0u);
}

TEST(Site, ASiteThatAsksForLessRestsIsProbedAndRecovers) {
  Site site("s", {.connections = 4, .pause_min = Seconds(60)});
  EXPECT_EQ(site.Allowance(Seconds(0)), 8u);
  SiteChange change;
  EXPECT_TRUE(site.Heard(kBusy, Seconds(10), change));
  EXPECT_EQ(change.kind, SiteChange::Kind::kSlowed);
  EXPECT_EQ(change.reply_code, 421);
  EXPECT_EQ(change.pause, Seconds(60));
  EXPECT_FALSE(site.Heard(kBusy, Seconds(11), change)) << "of the same burst";
  EXPECT_EQ(site.Allowance(Seconds(69)), 0u);
  EXPECT_EQ(site.Allowance(Seconds(70)), 1u) << "the probe";
  EXPECT_TRUE(site.Heard(kBusy, Seconds(71), change));
  EXPECT_EQ(change.pause, Seconds(120)) << "twice as long";
  EXPECT_EQ(site.Allowance(Seconds(190)), 0u);
  // 1, 2, 4, 8: each mail that is taken lets more follow.
  int mails = 0;
  while (!site.Heard(kTaken, Seconds(200), change)) ++mails;
  EXPECT_EQ(change.kind, SiteChange::Kind::kRecovered);
  EXPECT_EQ(mails + 1, 1 + 2 + 4);
  EXPECT_EQ(site.Allowance(Seconds(200)), 8u);
  EXPECT_TRUE(site.Heard(kBusy, Seconds(300), change));
  EXPECT_EQ(change.pause, Seconds(60)) << "it begins anew";
}

TEST(Site, OnlyAReplyAboutTheSenderSlows) {
  SiteChange change;
  const auto slows = [&](const Verdict& verdict) { return Site("s", {}).Heard(verdict, Seconds(1), change); };
  EXPECT_TRUE(slows(Reply(Verdict::Kind::kDeferred, 421)));
  EXPECT_TRUE(slows(Reply(Verdict::Kind::kDeferred, 450, "4.7.28", "rate of mail from your address")));
  EXPECT_FALSE(slows(Reply(Verdict::Kind::kDeferred, 451, "4.7.1", "Greylisted, come back in 5 minutes"))) << "each mail is";
  EXPECT_FALSE(slows(Reply(Verdict::Kind::kDeferred, 452, "4.2.2", "mailbox full")));
  EXPECT_FALSE(slows(Reply(Verdict::Kind::kBounced, 550, "5.7.1"))) << "one does not";
  EXPECT_FALSE(slows(Reply(Verdict::Kind::kDeferred, 0))) << "no reply";
}

TEST(Site, ASuspendedSiteTakesNothing) {
  Site site("s", {});
  EXPECT_TRUE(site.SetGate(SiteGate::kSuspended, 1));
  EXPECT_FALSE(site.SetGate(SiteGate::kSuspended, 1));
  EXPECT_FALSE(site.TryConnect());
  EXPECT_EQ(site.Allowance(Seconds(1)), 0u);
  EXPECT_TRUE(site.WantsIdleClosed());
  EXPECT_TRUE(site.SetGate(SiteGate::kOpen, 2));
  EXPECT_FALSE(site.SetGate(SiteGate::kSuspended, 1)) << "decided before, heard later";
  EXPECT_TRUE(site.TryConnect());
}

TEST(Site, ADrainedSiteTakesNothingNewAndLetsWhatIsUnderWayEnd) {
  Site site("s", {.mails_per_day = 10});
  site.Lend({.mails = 10, .hour = kNoonHour, .until = kNoon + Seconds(600)}, Seconds(0));
  EXPECT_EQ(site.Take(1, Seconds(1), kNoon), 1u);
  EXPECT_TRUE(site.SetGate(SiteGate::kDraining, 1));
  EXPECT_EQ(site.Allowance(Seconds(1)), 0u) << "no credits";
  EXPECT_FALSE(site.TryReserve(Seconds(1), kNoon));
  EXPECT_TRUE(site.TryConnect()) << "for a mail that waits";
  EXPECT_TRUE(site.Begin(Seconds(1), kNoon));
  EXPECT_FALSE(site.suspended()) << "its final dot is handed over";
  EXPECT_TRUE(site.WantsIdleClosed());
  EXPECT_TRUE(site.SetGate(SiteGate::kSuspended, 2));
  EXPECT_FALSE(site.TryConnect());
  EXPECT_TRUE(site.SetGate(SiteGate::kOpen, 3));
  EXPECT_GT(site.Allowance(Seconds(1)), 0u);
}

TEST(Site, TakesUpAPauseOfAProcessThatRanBefore) {
  Site site("s", {.connections = 2, .pause_min = Seconds(60)});
  site.TakeUp({.pause = Seconds(120), .paused_for = Seconds(90)}, Seconds(1000));
  EXPECT_EQ(site.Allowance(Seconds(1089)), 0u);
  EXPECT_EQ(site.Allowance(Seconds(1090)), 1u) << "the probe";
  SiteChange change;
  EXPECT_TRUE(site.Heard(kBusy, Seconds(1091), change));
  EXPECT_EQ(change.pause, Seconds(240)) << "twice as long as the one that was taken up";
}

TEST(Site, TakesUpThatItIsProbedWhereThePauseIsOverAndTellsThatItRecovers) {
  Site site("s", {.connections = 2});
  site.TakeUp({.pause = Seconds(60), .paused_for = Seconds(-3600)}, Seconds(10));
  EXPECT_EQ(site.Allowance(Seconds(10)), 1u);
  SiteChange change;
  int mails = 1;
  while (!site.Heard(kTaken, Seconds(11), change)) ++mails;
  EXPECT_EQ(change.kind, SiteChange::Kind::kRecovered);
  EXPECT_EQ(mails, 1 + 2);
}

TEST(Site, WhatAProcessHeardItselfIsNewerThanWhatIsTakenUp) {
  Site site("s", {.connections = 2});
  SiteChange change;
  site.Heard(kTaken, Seconds(5), change);
  site.TakeUp({.pause = Seconds(60), .paused_for = Seconds(60)}, Seconds(10));
  EXPECT_EQ(site.Allowance(Seconds(10)), 4u);
}

const Verdict kRefused = Reply(Verdict::Kind::kBounced, 550, "5.7.1", "your domain is blocked");
constexpr TenantId kAnn(2), kBob(3);

TEST(Site, RefusalsOfTheSenderAboveTheirPartSlowWithTheNumbers) {
  Site site("s", {.connections = 4, .pause_min = Seconds(60)});
  SiteChange change;
  for (int n = 0; n < 30; ++n) EXPECT_FALSE(site.Heard(kTaken, Seconds(1), change, kAnn));
  for (int n = 0; n < 10; ++n) EXPECT_FALSE(site.Heard(kRefused, Seconds(1), change, kAnn)) << "5 % of 200";
  EXPECT_TRUE(site.Heard(kRefused, Seconds(1), change, kAnn));
  EXPECT_EQ(change.kind, SiteChange::Kind::kSlowed);
  EXPECT_EQ(change.refusals.refused, 11u);
  EXPECT_EQ(change.refusals.replies, 41u);
  EXPECT_EQ(change.enhanced_code, "5.7.1");
  EXPECT_EQ(site.Allowance(Seconds(60)), 0u);
  EXPECT_EQ(site.Allowance(Seconds(61)), 1u);
  EXPECT_TRUE(site.Heard(kRefused, Seconds(62), change, kAnn)) << "a probe that is refused costs a mail: one is enough";
  EXPECT_EQ(change.pause, Seconds(120));
  while (!site.Heard(kTaken, Seconds(200), change, kAnn)) continue;
  EXPECT_EQ(change.kind, SiteChange::Kind::kRecovered);
  EXPECT_FALSE(site.Heard(kRefused, Seconds(201), change, kAnn)) << "it is counted anew";
}

TEST(Site, WhatWasReservedBeforeAPauseDoesNotBeginInIt) {
  Site site("s", {.pause_min = Seconds(60)});
  EXPECT_EQ(site.Take(3, Seconds(1), kNoon), 3u);
  EXPECT_TRUE(site.Begin(Seconds(1), kNoon));
  SiteChange change;
  EXPECT_TRUE(site.Heard(kBusy, Seconds(2), change));
  EXPECT_FALSE(site.Begin(Seconds(2), kNoon));
  EXPECT_TRUE(site.Begin(Seconds(62), kNoon));
  EXPECT_EQ(site.Look(Seconds(62), kNoon).today, 2u);
}

TEST(Site, OnlyTheLastRepliesCount) {
  Site site("s", {.refusals_percent = 10, .refusals_window = 20});
  SiteChange change;
  for (int n = 0; n < 200; ++n) EXPECT_FALSE(site.Heard(n % 11 == 0 ? kRefused : kTaken, Seconds(1), change)) << "at most 2 of 20";
  for (int n = 0; n < 20; ++n) EXPECT_FALSE(site.Heard(kTaken, Seconds(1), change));
  EXPECT_EQ(site.Look(Seconds(1), kNoon).refusals.refused, 0u);
  EXPECT_EQ(site.Look(Seconds(1), kNoon).refused, 19u);
}

TEST(Site, TheRuleMayAskForASuspensionOrForNothing) {
  SiteChange change;
  const auto heard = [&](SitePolicy::Then then) {
    Site site("s", {.refusals_then = then, .refusals_percent = 5, .refusals_window = 20});
    bool any = false;
    for (int n = 0; n < 20; ++n) any = site.Heard(kRefused, Seconds(1), change) || any;
    return any;
  };
  EXPECT_TRUE(heard(SitePolicy::Then::kSuspend));
  EXPECT_EQ(change.kind, SiteChange::Kind::kRefused);
  EXPECT_FALSE(heard(SitePolicy::Then::kNothing));
}

TEST(Site, OneTenantThatIsRefusedAloneSlowsNoOther) {
  SiteChange change;
  Site site("s", {});
  for (int n = 0; n < 60; ++n) {
    EXPECT_FALSE(site.Heard(kTaken, Seconds(1), change, kAnn));
    EXPECT_FALSE(site.Heard(kRefused, Seconds(1), change, kBob)) << "it is about Bob's domain: his campaign's safety stop is there for it";
  }
  bool slowed = false;
  for (int n = 0; n < 60 && !slowed; ++n) {
    slowed = site.Heard(kRefused, Seconds(1), change, kAnn) || site.Heard(kRefused, Seconds(1), change, kBob);
  }
  EXPECT_TRUE(slowed) << "it is about all";
}

TEST(Sites, AreMadeByTheirPolicyAndForgottenWhenNobodyUsesThem) {
  Sites sites([](std::string_view site) { return SitePolicy{.connections = site == "big" ? 20u : 1u}; }, 3);
  const auto big = sites.At("big");
  EXPECT_EQ(big->policy().connections, 20u);
  sites.SetGate("a", SiteGate::kSuspended, 1);
  sites.At("b");
  EXPECT_EQ(sites.At("big"), big);
  sites.At("c");
  EXPECT_EQ(sites.Find("b"), nullptr);
  EXPECT_NE(sites.Find("a"), nullptr) << "it would begin anew";
  EXPECT_EQ(sites.All().size(), 3u);
}

}  // namespace
}  // namespace maily::smtp
