// Tests what a process asks and tells the home of a site: once decided however often it is sent, and returned when it is over.
#include "processors/effects/smtp/site_leases.h"

#include <gtest/gtest.h>

#include <set>

#include "maily/sites/v1/commands.pb.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_log.h"

namespace maily::smtp {
namespace {

using sites::v1::LeaseSite;
using sites::v1::ReturnSiteLease;
using sites::v1::SlowSite;

sim::SimLog::Options OnePartition() {
  sim::SimLog::Options options;
  options.settings.partition_count = 1;
  options.settings.log_id.bytes[0] = 7;
  return options;
}

class SiteLeasesTest : public testing::Test {
 protected:
  // Commands in the log, in order, by type; each once more for each time that it was sent.
  template <class Message>
  std::vector<std::pair<command::Command, Message>> Sent() {
    std::vector<std::pair<command::Command, Message>> sent;
    const TopicPartition at{Topic::kCommands, PartitionId(0)};
    for (const LogRecord& record : log_.Read(at, log_.Ends(at).begin, 1 << 20, ReadTo::kDurable).value()) {
      records_.push_back(std::make_unique<std::string>(record.bytes));
      for (const auto& command :
           command::ParseRecord(*records_.back(), log_.settings().log_id, log_.settings().generation, PartitionId(0)).value()) {
        if (command.type != TypeNumberOf<Message>()) continue;
        Message message;
        EXPECT_TRUE(schema::DecodeInto(message, command.payload).has_value());
        sent.emplace_back(command, message);
      }
    }
    return sent;
  }
  void Answer(const CommandId& id, uint64_t mails) {
    const Instant now = scheduler_.clock().Now();
    replies_.Answer(id,
                    {.outcome = 0,
                     .answer = fmt::format(R"({{"mails":{},"hour":{},"until_us":{}}})", mails, now.us / kHourUs, (now + Seconds(600)).us),
                     .at = {},
                     .first = 0});
    scheduler_.RunFor(Milliseconds(10));
  }
  uint32_t Take(uint32_t n) {
    const uint32_t taken = site_->Take(n, scheduler_.clock().Steady(), scheduler_.clock().Now());
    scheduler_.RunFor(Milliseconds(100));
    return taken;
  }
  bool Begin() { return site_->Begin(scheduler_.clock().Steady(), scheduler_.clock().Now()); }

  static constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;
  sim::Scheduler scheduler_{1};
  std::vector<std::unique_ptr<std::string>> records_;
  sim::SimLog log_{scheduler_, OnePartition()};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();  // outlives who answers on it
  command::Sender sender_{log_, 1 << 20};
  command::Replies replies_{100};
  std::shared_ptr<SiteHome> home_ =
      std::make_shared<SiteHome>(sender_, replies_, *executor_, scheduler_.clock(), scheduler_.entropy(), uint16_t{1});
  std::shared_ptr<Sites> sites_ = std::make_shared<Sites>([](std::string_view name) {
    return name == "open" ? SitePolicy{} : SitePolicy{.mails_per_day = 1000, .warm_up = {50, 100}, .hold_percent = 10};
  });
  std::shared_ptr<SiteLeases> leases_ = SiteLeases::Make(home_, sites_);
  std::shared_ptr<Site> site_ = sites_->At("capped");
};

TEST_F(SiteLeasesTest, ASiteWithoutLimitsAsksNobody) {
  EXPECT_EQ(sites_->At("open")->Take(5, {}, scheduler_.clock().Now()), 5u);
  scheduler_.RunFor(Seconds(1));
  EXPECT_TRUE(Sent<LeaseSite>().empty());
}

TEST_F(SiteLeasesTest, WhatIsWantedIsAskedForOnceAndLent) {
  int changed = 0;
  sites_->OnChange([&] { ++changed; });
  EXPECT_EQ(Take(5), 0u);
  EXPECT_EQ(Take(5), 0u);
  const auto sent = Sent<LeaseSite>();
  ASSERT_EQ(sent.size(), 1u) << "one at a time";
  EXPECT_EQ(sent[0].second.site(), "capped");
  EXPECT_EQ(sent[0].second.limits().mails_per_day(), 1000u);
  EXPECT_EQ(sent[0].second.limits().warm_up_size(), 2);
  EXPECT_EQ(sent[0].second.limits().hold_percent(), 10u);
  Answer(sent[0].first.id, 4);
  EXPECT_EQ(changed, 1) << "granters look again";
  EXPECT_EQ(Take(5), 4u);
  EXPECT_EQ(Sent<LeaseSite>().size(), 2u) << "it wants more";
  for (int n = 0; n < 4; ++n) EXPECT_TRUE(Begin());
  EXPECT_FALSE(Begin());
}

TEST_F(SiteLeasesTest, WhatIsNotAnsweredIsSentAgainUnderTheSameKey) {
  Take(1);
  scheduler_.RunFor(Seconds(30));
  const auto sent = Sent<LeaseSite>();
  ASSERT_GE(sent.size(), 2u);
  std::set<std::string> keys;
  for (const auto& [command, lease] : sent) keys.insert(std::string(command.natural_key));
  EXPECT_EQ(keys.size(), 1u);
  EXPECT_FALSE(keys.begin()->empty());
  Answer(sent.back().first.id, 2);
  EXPECT_EQ(Take(5), 2u);
}

TEST_F(SiteLeasesTest, NoneLeftIsAskedAgainOnlyAfterAWhile) {
  Take(1);
  Answer(Sent<LeaseSite>().back().first.id, 0);
  Take(1);
  EXPECT_EQ(Sent<LeaseSite>().size(), 1u);
  scheduler_.RunFor(Seconds(61));
  Take(1);
  EXPECT_EQ(Sent<LeaseSite>().size(), 2u);
}

TEST_F(SiteLeasesTest, WhatIsOverIsReturnedAndDoesNotBegin) {
  Take(1);
  Answer(Sent<LeaseSite>().back().first.id, 5);
  EXPECT_EQ(Take(2), 2u);
  EXPECT_TRUE(Begin());
  scheduler_.RunFor(Seconds(700));
  EXPECT_FALSE(Begin()) << "its lease is over";
  const auto returned = Sent<ReturnSiteLease>();
  ASSERT_EQ(returned.size(), 1u);
  EXPECT_EQ(returned[0].second.mails(), 4u);
}

TEST_F(SiteLeasesTest, ACleanStopReturnsWhatIsLeftAndTellsWhatBecameOfMails) {
  Take(1);
  Answer(Sent<LeaseSite>().back().first.id, 5);
  EXPECT_EQ(Take(1), 1u);
  EXPECT_TRUE(Begin());
  SiteChange change;
  site_->Heard({.kind = Verdict::Kind::kBounced, .stage = Stage::kDot, .code = 550}, {}, change);
  bool done = false;
  leases_->Stop([&] { done = true; });
  scheduler_.RunFor(Seconds(1));
  EXPECT_TRUE(done);
  const auto returned = Sent<ReturnSiteLease>();
  ASSERT_EQ(returned.size(), 1u);
  EXPECT_EQ(returned[0].second.mails(), 4u);
  EXPECT_EQ(returned[0].second.tally().bounced(), 1u);
  EXPECT_FALSE(Begin());
}

TEST_F(SiteLeasesTest, AStopWithNothingToReturnIsOverAtOnce) {
  bool done = false;
  leases_->Stop([&] { done = true; });
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(done);
}

TEST_F(SiteLeasesTest, WhyASiteIsSlowIsToldUntilItIsDurable) {
  int appends = 0;
  log_.options().fate = [&](TopicPartition, std::string_view) { return ++appends <= 3 ? sim::Fate::kDrop : sim::Fate::kStore; };
  home_->Report({.site = "capped",
                 .kind = SiteChange::Kind::kSlowed,
                 .reply_code = 421,
                 .enhanced_code = "4.7.0",
                 .reply_text = "slow down",
                 .pause = Seconds(60)});
  scheduler_.RunFor(Seconds(10));
  EXPECT_EQ(appends, 4);
  const auto told = Sent<SlowSite>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].second.reply_text(), "slow down");
  EXPECT_EQ(told[0].second.pause_us(), Seconds(60).us);
}

TEST_F(SiteLeasesTest, ALogThatFailsBoundsWhatIsKept) {
  log_.options().fate = [](TopicPartition, std::string_view) { return sim::Fate::kDrop; };
  size_t over = 0;
  for (size_t n = 0; n < kSiteTellsMax + 5; ++n) {
    home_->Tell("capped", TypeNumberOf<SlowSite>(), "", [&over] { ++over; });
  }
  scheduler_.RunFor(Seconds(10));
  EXPECT_EQ(over, 5u);
}

}  // namespace
}  // namespace maily::smtp
