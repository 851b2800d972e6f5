// Tests wall times: by name what has surprised others, and every zone of the database around every change of its clock from 2020 to 2040.
#include "schemas/wall_time.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace maily::schema {
namespace {

constexpr int64_t kS = 1'000'000;

Instant At(std::string_view zone, std::string_view local) { return ZoneNamed(zone)->InstantOf(*ParseWallTime(local)); }
Instant Utc(std::string_view local) { return At("UTC", local); }
std::string Shown(std::string_view zone, Instant at) { return WallTimeText(ZoneNamed(zone)->At(at)); }

TEST(WallTime, IsReadAndWritten) {
  EXPECT_EQ(WallTimeText(*ParseWallTime("2026-12-01T09:00")), "2026-12-01T09:00");
  EXPECT_EQ(WallTimeText(*ParseWallTime("2024-02-29T23:59:59")), "2024-02-29T23:59:59");
  EXPECT_EQ(ParseWallTime("1970-01-02T00:00")->day, 1);
  for (const char* wrong : {"", "2026-12-01", "2026-12-01T9:00", "2026-12-01 09:00", "2026-02-29T09:00", "2026-13-01T09:00",
                            "2026-12-01T24:00", "2026-12-01T09:60", "2026-12-01T09:00Z", "2026-12-01T09:00+01:00", "1969-12-31T23:59",
                            "2200-01-01T00:00", "2026-12-01T09:00:60", "2o26-12-01T09:00", "2026-12-01T09:00:0x"}) {
    EXPECT_FALSE(ParseWallTime(wrong)) << wrong;
  }
}

TEST(Zones, AreThoseOfTheDatabase) {
  for (const char* name : {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Pacific", "Etc/GMT+5", "Pacific/Kiritimati"}) {
    ASSERT_NE(ZoneNamed(name), nullptr) << name;
    EXPECT_EQ(ZoneNamed(name)->name(), name);
  }
  for (const char* name :
       {"", "Mars/Olympus", "GMT+2", "UTC+1", "+02:00", "europe/berlin", "PST", "IST", "Etc/Unknown", " UTC", "Europe/Berlin "}) {
    EXPECT_EQ(ZoneNamed(name), nullptr) << name;
  }
  EXPECT_EQ(ZoneNamed(std::string("UTC\0", 4)), nullptr);
  EXPECT_GT(ZoneNames().size(), 400U);
  EXPECT_EQ(NearestZone("Europe/Berlinn"), "Europe/Berlin");
  EXPECT_EQ(NearestZone("america/new_york"), "America/New_York");
  EXPECT_FALSE(TzVersion().empty());
}

TEST(WallTime, ThatAClockLeavesOutIsTakenWithTheOffsetBefore) {
  EXPECT_EQ(At("Europe/Berlin", "2026-03-29T02:30"), Utc("2026-03-29T01:30"));
  EXPECT_EQ(Shown("Europe/Berlin", At("Europe/Berlin", "2026-03-29T02:30")), "2026-03-29T03:30");
  EXPECT_EQ(At("America/New_York", "2026-03-08T02:00"), Utc("2026-03-08T07:00"));
  // Half an hour, at Lord Howe.
  EXPECT_EQ(Shown("Australia/Lord_Howe", At("Australia/Lord_Howe", "2026-10-04T02:15")), "2026-10-04T02:45");
  // A whole day: Samoa had no 30 December 2011.
  EXPECT_EQ(Shown("Pacific/Apia", At("Pacific/Apia", "2011-12-30T09:00")), "2011-12-31T09:00");
}

TEST(WallTime, ThatAClockShowsTwiceIsTheFirst) {
  EXPECT_EQ(At("Europe/Berlin", "2026-10-25T02:30"), Utc("2026-10-25T00:30"));
  EXPECT_EQ(At("America/New_York", "2026-11-01T01:30"), Utc("2026-11-01T05:30"));
  EXPECT_EQ(At("Australia/Lord_Howe", "2026-04-05T01:45"), Utc("2026-04-04T14:45"));
  // Dublin's winter is what it calls daylight saving, the other way round; the clock is what counts.
  EXPECT_EQ(At("Europe/Dublin", "2026-10-25T01:30"), Utc("2026-10-25T00:30"));
  EXPECT_EQ(At("Europe/Dublin", "2026-07-01T09:00"), Utc("2026-07-01T08:00"));
}

TEST(WallTime, OfZonesThatAreUnusual) {
  EXPECT_EQ(At("Pacific/Kiritimati", "2026-12-01T09:00"), Utc("2026-11-30T19:00"));  // the first
  EXPECT_EQ(At("Etc/GMT+12", "2026-12-01T09:00"), Utc("2026-12-01T21:00"));          // the last
  EXPECT_EQ(At("Asia/Kathmandu", "2026-12-01T09:00"), Utc("2026-12-01T03:15"));
  // Casablanca goes back an hour for Ramadan (in 2026 from 15 February to 22 March).
  EXPECT_EQ(At("Africa/Casablanca", "2026-01-15T09:00"), Utc("2026-01-15T08:00"));
  EXPECT_EQ(At("Africa/Casablanca", "2026-03-01T09:00"), Utc("2026-03-01T09:00"));
}

// Every zone, around every change of its clock: exactly one instant, and the one that RFC 5545 says.
TEST(WallTimeProperty, HoldsForAllZonesFrom2020To2040) {
  const Instant begin = Utc("2020-01-01T00:00");
  const Instant end = Utc("2040-12-31T00:00");
  size_t gaps = 0, overlaps = 0, changes = 0;
  for (const std::string& name : ZoneNames()) {
    const Zone* zone = ZoneNamed(name);
    ASSERT_NE(zone, nullptr) << name;
    for (auto change = zone->NextChange(begin, end); change; change = zone->NextChange(*change, end)) {
      ++changes;
      const int32_t before = zone->OffsetAt(*change - Microseconds(1));
      const int32_t after = zone->OffsetAt(*change);
      ASSERT_NE(before, after) << name;
      for (int64_t minutes = -180; minutes <= 180; minutes += 15) {
        const int64_t local = change->us / kS + before + minutes * 60;
        const WallTime wall{static_cast<int32_t>(local / 86'400), static_cast<int32_t>(local % 86'400)};
        const Instant is = zone->InstantOf(wall);
        std::set<int64_t> shown;  // when the clock shows it
        for (const int32_t offset : {before, after}) {
          if (const Instant at{(local - offset) * kS}; zone->At(at) == wall) shown.insert(at.us);
        }
        if (shown.empty()) {
          ++gaps;
          EXPECT_EQ(is.us, (local - before) * kS) << name << " " << WallTimeText(wall);
          EXPECT_GE(is, *change) << name;
        } else {
          overlaps += shown.size() == 2;
          EXPECT_EQ(is.us, *shown.begin()) << name << " " << WallTimeText(wall);
        }
      }
    }
  }
  EXPECT_GT(changes, 5'000U);
  EXPECT_GT(gaps, 5'000U);
  EXPECT_GT(overlaps, 5'000U);
}

// Anywhere else: there and back, and later wall times are never earlier instants but for the second time around.
TEST(WallTimeProperty, ComesBackAtRandomInstants) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> names = ZoneNames();
  for (int i = 0; i < 100'000; ++i) {
    const Zone* zone = ZoneNamed(names[random() % names.size()]);
    const Instant at{(1'577'836'800 + static_cast<int64_t>(random() % 662'688'000)) * kS};
    const WallTime wall = zone->At(at);
    const Instant back = zone->InstantOf(wall);
    ASSERT_LE(back, at) << zone->name() << " " << at.us;
    ASSERT_EQ(zone->At(back), wall) << zone->name();
  }
}

}  // namespace
}  // namespace maily::schema
