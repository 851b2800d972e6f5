// Tests quiet hours and caps: by name, and for every zone and every hour around each change of its clock from 2020 to 2040.
#include "processors/compliance/timing.h"

#include <gtest/gtest.h>

#include <random>

namespace maily::compliance {
namespace {

campaigns::v1::SendingRules Rules(uint32_t from, uint32_t to) {
  campaigns::v1::SendingRules rules;
  rules.mutable_quiet_hours()->set_from_minute(from);
  rules.mutable_quiet_hours()->set_to_minute(to);
  return rules;
}

Instant At(std::string_view zone, std::string_view local) { return schema::ZoneNamed(zone)->InstantOf(*schema::ParseWallTime(local)); }
std::string Opens(const Quiet& quiet, std::string_view zone, std::string_view local) {
  const auto until = quiet.Until(*schema::ZoneNamed(zone), At(zone, local));
  return until ? schema::WallTimeText(schema::ZoneNamed(zone)->At(*until)) : "now";
}

TEST(Quiet, HoldsAcrossMidnight) {
  const auto rules = Rules(22 * 60, 8 * 60);
  const Quiet quiet(&rules, {});
  EXPECT_EQ(Opens(quiet, "Europe/Berlin", "2026-11-22T21:59:59"), "now");
  EXPECT_EQ(Opens(quiet, "Europe/Berlin", "2026-11-22T22:00"), "2026-11-23T08:00");
  EXPECT_EQ(Opens(quiet, "Europe/Berlin", "2026-11-23T07:59:59"), "2026-11-23T08:00");
  EXPECT_EQ(Opens(quiet, "Europe/Berlin", "2026-11-23T08:00"), "now");
  // The night in which the clock goes on an hour is shorter.
  EXPECT_EQ(Opens(quiet, "Europe/Berlin", "2026-03-28T23:00"), "2026-03-29T08:00");
  EXPECT_EQ(At("Europe/Berlin", "2026-03-29T08:00") - At("Europe/Berlin", "2026-03-28T23:00"), Hours(8));
}

TEST(Quiet, OfTheCampaignHoldBesidesTheTenants) {
  const auto rules = Rules(22 * 60, 8 * 60);
  campaigns::v1::CampaignSpec spec;
  spec.mutable_quiet_hours()->set_from_minute(8 * 60);
  spec.mutable_quiet_hours()->set_to_minute(9 * 60 + 30);
  const Quiet quiet(&rules, spec);
  EXPECT_EQ(Opens(quiet, "Asia/Tokyo", "2026-11-22T23:00"), "2026-11-23T09:30");
  EXPECT_EQ(Opens(quiet, "Asia/Tokyo", "2026-11-23T09:30"), "now");
  EXPECT_FALSE(Quiet(nullptr, {}).any());
  const auto off = Rules(480, 480);
  EXPECT_FALSE(Quiet(&off, {}).any());
}

// Whatever the clock does: what is opened is not quiet, and nothing between was missed for long.
TEST(QuietProperty, NeverEndsInsideForAllZonesFrom2020To2040) {
  const Instant begin = At("UTC", "2020-01-01T00:00");
  const Instant end = At("UTC", "2040-12-31T00:00");
  const auto night = Rules(22 * 60, 8 * 60);
  const auto small_hours = Rules(90, 150);  // where clocks change
  size_t held = 0;
  for (const std::string& name : schema::ZoneNames()) {
    const schema::Zone& zone = *schema::ZoneNamed(name);
    for (auto change = zone.NextChange(begin, end); change; change = zone.NextChange(*change, end)) {
      for (const auto* rules : {&night, &small_hours}) {
        const Quiet quiet(rules, {});
        for (int64_t minutes = -26 * 60; minutes <= 26 * 60; minutes += 37) {
          const Instant now = *change + Seconds(minutes * 60);
          const auto until = quiet.Until(zone, now);
          if (!until) continue;
          ++held;
          ASSERT_GT(*until, now) << name << " " << now.us;
          ASSERT_LE(*until - now, Hours(14)) << name << " " << now.us;
          ASSERT_FALSE(quiet.Until(zone, *until)) << name << " " << now.us;
          ASSERT_TRUE(quiet.Until(zone, *until - Microseconds(1)) || zone.OffsetAt(*until) != zone.OffsetAt(*until - Hours(1)))
              << name << " " << now.us;
        }
      }
    }
  }
  EXPECT_GT(held, 100'000U);
}

TEST(Cap, CountsDaysAndSevenOfThem) {
  tenants::v1::FrequencyCap cap;
  cap.set_per_day(2);
  cap.set_per_week(3);
  sends::v1::ContactMails mails;
  EXPECT_FALSE(CapReached(cap, nullptr, 100));
  CountMail(mails, 100);
  EXPECT_FALSE(CapReached(cap, &mails, 100));
  CountMail(mails, 100);
  EXPECT_TRUE(CapReached(cap, &mails, 100));
  EXPECT_TRUE(CapReached(cap, &mails, 99));  // it went west
  EXPECT_FALSE(CapReached(cap, &mails, 101));
  CountMail(mails, 101);
  EXPECT_TRUE(CapReached(cap, &mails, 101));
  EXPECT_TRUE(CapReached(cap, &mails, 106));   // 100 is the seventh day back
  EXPECT_FALSE(CapReached(cap, &mails, 107));  // two of its week are over
  CountMail(mails, 120);
  EXPECT_EQ(mails.counts().size(), 1U);
  EXPECT_FALSE(CapReached({}, &mails, 120));
}

// Against a plain list of days.
TEST(CapProperty, IsNeverExceededOnAnyDayOrWeek) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2'000; ++i) {
    tenants::v1::FrequencyCap cap;
    cap.set_per_day(static_cast<uint32_t>(random() % 4));
    cap.set_per_week(static_cast<uint32_t>(random() % 9));
    sends::v1::ContactMails mails;
    std::vector<int32_t> sent;
    int32_t day = 20'000;
    for (int j = 0; j < 60; ++j) {
      day += static_cast<int32_t>(random() % 3 == 0 ? random() % 4 : 0);
      const auto of = [&](int32_t first) {
        return static_cast<uint32_t>(std::ranges::count_if(sent, [&](int32_t d) { return d >= first && d <= day; }));
      };
      const bool reached = (cap.per_day() != 0 && of(day) >= cap.per_day()) || (cap.per_week() != 0 && of(day - 6) >= cap.per_week());
      ASSERT_EQ(CapReached(cap, &mails, day), reached) << i << " " << j;
      if (reached) continue;
      CountMail(mails, day);
      sent.push_back(day);
      ASSERT_LE(mails.counts().size(), 7U);
    }
  }
}

}  // namespace
}  // namespace maily::compliance
