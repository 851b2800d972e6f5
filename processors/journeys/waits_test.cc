// When waits end: on each contact's own clock, over the changes of clocks, once.
#include "processors/journeys/waits.h"

#include <gtest/gtest.h>

#include "schemas/wall_time.h"

namespace maily::journeys {
namespace {

int64_t Utc(std::string_view local) { return schema::Utc().InstantOf(*schema::ParseWallTime(local)).us / 1'000'000; }

v1::JourneyStep Until(int32_t minute, const std::string& zone, uint32_t weekdays = 0) {
  v1::JourneyStep step;
  step.mutable_delay()->set_minute(minute);
  step.mutable_delay()->set_zone(zone);
  step.mutable_delay()->set_weekdays(weekdays);
  return step;
}

contacts::v1::Contact In(const std::string& zone) {
  contacts::v1::Contact contact;
  contacts::v1::Attribute& attribute = *contact.add_attributes();
  attribute.set_name("time_zone");
  attribute.set_text(zone);
  return contact;
}

// As "2026-03-29T01:30 Europe/Berlin", in UTC.
std::string End(const v1::JourneyStep& step, std::string_view now, const contacts::v1::Contact* contact = nullptr,
                const std::string& tenant = "") {
  campaigns::v1::SendingRules rules;
  rules.set_time_zone(tenant);
  const WaitEnd end = EndOf(step, 0, Utc(now), contact, tenant.empty() ? nullptr : &rules);
  return schema::WallTimeText(schema::Utc().At(Instant{end.due_s * 1'000'000})) + " " + end.zone + (end.zone_missing ? " missing" : "");
}

TEST(Waits, AreOfTheContactsClock) {
  const auto tokyo = In("Asia/Tokyo");
  const auto york = In("America/New_York");
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T12:00", &tokyo), "2026-06-02T00:00 Asia/Tokyo");
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T12:00", &york), "2026-06-01T13:00 America/New_York");
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T13:00", &york), "2026-06-02T13:00 America/New_York");
  EXPECT_EQ(End(Until(540, ""), "2026-06-01T12:00", &york), "2026-06-02T09:00 UTC");
  EXPECT_EQ(End(Until(540, "tenant"), "2026-06-01T12:00", &york, "Europe/Berlin"), "2026-06-02T07:00 Europe/Berlin");
  EXPECT_EQ(End(Until(540, "Asia/Tokyo"), "2026-06-01T12:00", &york), "2026-06-02T00:00 Asia/Tokyo");
}

TEST(Waits, WithoutAZoneAreOfTheTenantsAndSaySo) {
  const auto mars = In("Mars/Olympus");
  const contacts::v1::Contact none;
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T12:00", &mars, "Europe/Berlin"), "2026-06-02T07:00 Europe/Berlin missing");
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T12:00", &none), "2026-06-02T09:00 UTC missing");
  EXPECT_EQ(End(Until(540, "contact"), "2026-06-01T12:00", nullptr), "2026-06-02T09:00 UTC missing");
}

TEST(Waits, EndOnceWhereClocksAreChanged) {
  const auto berlin = In("Europe/Berlin");
  // 02:30 is left out on 29 March: the offset before it counts.
  EXPECT_EQ(End(Until(150, "contact"), "2026-03-28T12:00", &berlin), "2026-03-29T01:30 Europe/Berlin");
  EXPECT_EQ(End(Until(150, "contact"), "2026-03-29T01:30", &berlin), "2026-03-30T00:30 Europe/Berlin");
  // It comes twice on 25 October: the first counts, and the second is not waited for.
  EXPECT_EQ(End(Until(150, "contact"), "2026-10-24T12:00", &berlin), "2026-10-25T00:30 Europe/Berlin");
  EXPECT_EQ(End(Until(150, "contact"), "2026-10-25T00:30", &berlin), "2026-10-26T01:30 Europe/Berlin");
  EXPECT_EQ(End(Until(150, "contact"), "2026-10-25T01:00", &berlin), "2026-10-26T01:30 Europe/Berlin");
}

TEST(Waits, CountTheWeekdayOfThatClock) {
  const auto kiritimati = In("Pacific/Kiritimati");  // 14 hours ahead
  // Sunday noon in UTC is Monday there; 09:00 of that Monday has been.
  EXPECT_EQ(End(Until(540, "contact", 0b0000001), "2026-06-07T12:00", &kiritimati), "2026-06-07T19:00 Pacific/Kiritimati");
  EXPECT_EQ(End(Until(60, "contact", 0b0000001), "2026-06-07T12:00", &kiritimati), "2026-06-14T11:00 Pacific/Kiritimati");
  // Friday evening: the next working day is Monday.
  EXPECT_EQ(End(Until(540, "UTC", 0b0011111), "2026-06-05T20:00"), "2026-06-08T09:00 UTC");
  v1::JourneyStep sunday = Until(0, "UTC");
  sunday.mutable_delay()->set_weekday(7);
  EXPECT_EQ(End(sunday, "2026-06-05T20:00"), "2026-06-07T00:00 UTC");
}

TEST(Waits, EndInEveryZoneOnEveryDay) {
  for (const std::string& name : schema::ZoneNames()) {
    const auto contact = In(name);
    for (int64_t day = Utc("2011-12-20T00:00"); day < Utc("2012-01-10T00:00"); day += 86'400) {
      const WaitEnd end = EndOf(Until(540, "contact"), 0, day, &contact, nullptr);
      EXPECT_EQ(end.zone, name);
      EXPECT_GT(end.due_s, day) << name;
      EXPECT_LE(end.due_s, day + 3 * 86'400) << name;
    }
  }
}

TEST(Waits, OfADurationHaveNoClock) {
  v1::JourneyStep step;
  step.mutable_delay()->set_minute(-1);
  step.mutable_delay()->set_for_s(90);
  const WaitEnd end = EndOf(step, 1'000, 2'000, nullptr, nullptr);
  EXPECT_EQ(end.due_s, 1'090);
  EXPECT_EQ(end.zone, "");
}

}  // namespace
}  // namespace maily::journeys
