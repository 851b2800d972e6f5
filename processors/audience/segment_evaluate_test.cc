// Tests of the evaluation of segments: missing values, windows to the second, days of zones, and when an answer can change.
#include "processors/audience/segment_evaluate.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "processors/audience/segment_language.h"
#include "processors/audience/segment_zone.h"

namespace maily::audience {
namespace {

constexpr int64_t kDayS = 86'400;

struct Person : SegmentFacts {
  std::map<std::string, SegmentValue> attributes;
  std::set<uint64_t> lists;
  std::set<uint64_t> segments;
  std::set<std::string> tags;
  std::map<std::string, segments::v1::Signal> signals;
  bool subscribed = true;

  SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType, bool) override {
    const auto found = attributes.find(name);
    return found == attributes.end() ? SegmentValue() : found->second;
  }
  bool HasAttribute(const std::string& name) override { return attributes.contains(name); }
  bool HasTag(const std::string& tag) override { return tags.contains(tag); }
  bool OnList(uint64_t id) override { return lists.contains(id); }
  bool InSegment(uint64_t id) override { return segments.contains(id); }
  bool Subscribed() override { return subscribed; }
  bool Suppressed() override { return false; }
  bool Delivered(uint64_t campaign_id) override { return campaign_id == 12; }
  const segments::v1::Signal* Signal(segments::v1::SignalKind kind, uint64_t campaign_id, const std::string& event) override {
    const auto found = signals.find(std::string(SignalWord(kind)) + std::to_string(campaign_id) + event);
    return found == signals.end() ? nullptr : &found->second;
  }
  void Did(const std::string& what, std::initializer_list<int64_t> times) {
    for (const int64_t at : times) AddToSignal(signals[what], at);
  }
};

SegmentAnswer Ask(Person& person, const std::string& text, int64_t now_s = 0, const segments::v1::Zone& zone = {}) {
  const ParsedSegment parsed = ParseSegmentText(text);
  EXPECT_TRUE(parsed.problems.empty()) << text;
  return EvaluateSegment(parsed.expression, zone, now_s, person);
}
Truth Of(Person& person, const std::string& text, int64_t now_s = 0) { return Ask(person, text, now_s).truth; }

TEST(SegmentEvaluate, AMissingAttributeMatchesNeitherEqualNorUnequal) {
  Person person;
  for (const char* text :
       {"plan = \"pro\"", "plan != \"pro\"", "not plan = \"pro\"", "age < 3", "age >= 3", "plan in (\"a\")", "not plan in (\"a\")",
        "plan contains \"a\"", "born < today", "plan = \"pro\" and subscribed()", "plan = \"pro\" or not subscribed()"}) {
    EXPECT_EQ(Of(person, text), Truth::kUnknown) << text;
  }
  EXPECT_EQ(Of(person, "plan = \"pro\" and not subscribed()"), Truth::kFalse);
  EXPECT_EQ(Of(person, "plan = \"pro\" or subscribed()"), Truth::kTrue);
  EXPECT_EQ(Of(person, "plan is unknown"), Truth::kTrue);
  EXPECT_EQ(Of(person, "plan is known"), Truth::kFalse);
}

TEST(SegmentEvaluate, ComparesByType) {
  Person person;
  person.attributes = {
      {"plan", std::string("pro")},        {"age", int64_t{7}},          {"share", 0.5}, {"newbie", true}, {"big", INT64_MAX},
      {"born", std::string("2020-02-29")}, {"junk", std::string("soon")}};
  for (const char* text : {"plan = \"pro\"", "plan != \"Pro\"", "plan in (\"free\", \"pro\")", "plan starts_with \"p\"",
                           "plan ends_with \"ro\"", "plan contains \"r\"", "age > 6.5", "age <= 7", "age = 7.0", "share < 1",
                           "share >= 0.5", "newbie = true", "newbie != false", "big > 9223372036854775806", "big < 9223372036854775808.0",
                           "big != 9223372036854775808.0", "born = 2020-02-29", "born < 2020-03-01", "age in (1, 7)"}) {
    EXPECT_EQ(Of(person, text), Truth::kTrue) << text;
  }
  for (const char* text : {"plan = \"PRO\"", "age > 7", "share = 0.4999", "newbie = false", "age in (1, 2)", "born > 2020-02-29"}) {
    EXPECT_EQ(Of(person, text), Truth::kFalse) << text;
  }
  EXPECT_EQ(Of(person, "junk < 2026-01-01"), Truth::kUnknown);
}

TEST(SegmentEvaluate, AWindowEndsToTheSecond) {
  Person person;
  person.Did("clicked0", {1000, 5000, 9000});
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1", 9000).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1", 9000).next_s, 12'600);
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1", 12'599).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1", 12'600).truth, Truth::kFalse);
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1", 12'600).next_s, kNever);
  EXPECT_EQ(Ask(person, "clicked(last: 1d) >= 2", 9000).next_s, 5000 + kDayS);
  EXPECT_EQ(Ask(person, "clicked(last: 1d) = 0", 9000).next_s, 9000 + kDayS);
  EXPECT_EQ(Ask(person, "clicked(last: 1d) = 2", 9000).next_s, 1000 + kDayS);
  EXPECT_EQ(Ask(person, "clicked() = 3", 1'000'000).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "clicked() = 3", 1'000'000).next_s, kNever);
  EXPECT_EQ(Ask(person, "opened(last: 1d) < 1", 9000).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "opened(last: 1d) < 1", 9000).next_s, kNever);
  // What decides alone is all that is waited for.
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1 and not subscribed()", 9000).next_s, kNever);
  EXPECT_EQ(Ask(person, "clicked(last: 1h) >= 1 or clicked(last: 1d) >= 1", 9000).next_s, 12'600);
  EXPECT_EQ(Of(person, "delivered(campaign: 12)"), Truth::kTrue);
  EXPECT_EQ(Of(person, "delivered(campaign: 13) = 0"), Truth::kTrue);
}

TEST(SegmentEvaluate, KeepsTheNewestTimes) {
  segments::v1::Signal signal;
  for (int i = 0; i < 100; ++i) AddToSignal(signal, (i * 37) % 100);  // each of 0 … 99 once
  EXPECT_EQ(signal.total(), 100u);
  ASSERT_EQ(signal.times_s_size(), kSignalTimesMax);
  for (int i = 0; i < kSignalTimesMax; ++i) EXPECT_EQ(signal.times_s(i), 100 - kSignalTimesMax + i);
}

// Europe/Berlin in 2026: summer time from 2026-03-29 01:00 UTC to 2026-10-25 01:00 UTC.
segments::v1::Zone Berlin() {
  segments::v1::Zone zone;
  zone.set_first_offset_s(3600);
  zone.add_at_s(1'774'746'000);
  zone.add_offset_s(7200);
  zone.add_at_s(1'792'890'000);
  zone.add_offset_s(3600);
  return zone;
}

TEST(SegmentEvaluate, DaysHave23Or25HoursWhereTheZoneDoes) {
  const segments::v1::Zone zone = Berlin();
  const int32_t spring = *ParseDay("2026-03-29");
  const int32_t autumn = *ParseDay("2026-10-25");
  EXPECT_EQ(StartOfDay(zone, spring + 1) - StartOfDay(zone, spring), 23 * 3600);
  EXPECT_EQ(StartOfDay(zone, autumn + 1) - StartOfDay(zone, autumn), 25 * 3600);
  EXPECT_EQ(StartOfDay(zone, spring), int64_t{spring} * kDayS - 3600);
  EXPECT_EQ(StartOfDay(zone, autumn), int64_t{autumn} * kDayS - 7200);
  EXPECT_EQ(StartOfDay({}, 3), 3 * kDayS);
  EXPECT_EQ(DayOf({}, -1), -1);
  for (int32_t day = spring - 400; day < spring + 400; ++day) {
    EXPECT_EQ(DayOf(zone, StartOfDay(zone, day)), day);
    EXPECT_EQ(DayOf(zone, StartOfDay(zone, day) - 1), day - 1);
  }
  Person person;
  const int64_t evening = StartOfDay(zone, spring) - 3600;  // 23:00 the day before
  person.Did("clicked0", {evening});
  EXPECT_EQ(Ask(person, "clicked(since: today - 1d) >= 1", StartOfDay(zone, spring), zone).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "clicked(since: today - 1d) >= 1", StartOfDay(zone, spring), zone).next_s, StartOfDay(zone, spring + 1));
  EXPECT_EQ(Ask(person, "clicked(since: today - 1d) >= 1", StartOfDay(zone, spring + 1) - 1, zone).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "clicked(since: today - 1d) >= 1", StartOfDay(zone, spring + 1), zone).truth, Truth::kFalse);
  EXPECT_EQ(Ask(person, "clicked(since: 2026-03-29) >= 1", StartOfDay(zone, spring + 1), zone).truth, Truth::kFalse);
  EXPECT_EQ(Ask(person, "clicked(since: 2026-03-28) >= 1", StartOfDay(zone, spring + 1), zone).truth, Truth::kTrue);
}

TEST(SegmentEvaluate, AMidnightThatIsLeftOutOrComesTwiceBeginsOneDay) {
  segments::v1::Zone zone;  // as in Santiago or Havana: the clock goes from 24:00 to 01:00, and months later from 24:00 back to 23:00
  const int32_t gap = *ParseDay("2026-09-06");
  const int32_t back = *ParseDay("2026-04-05");
  zone.set_first_offset_s(-10'800);
  zone.add_at_s(int64_t{back} * kDayS + 10'800);
  zone.add_offset_s(-14'400);
  zone.add_at_s(int64_t{gap} * kDayS + 14'400);
  zone.add_offset_s(-10'800);
  EXPECT_EQ(StartOfDay(zone, gap), int64_t{gap} * kDayS + 14'400);  // 01:00 local
  EXPECT_EQ(StartOfDay(zone, gap + 1) - StartOfDay(zone, gap), 23 * 3600);
  EXPECT_EQ(StartOfDay(zone, back) - StartOfDay(zone, back - 1), 25 * 3600);
  for (int32_t day = back - 10; day < gap + 10; ++day) {
    EXPECT_EQ(DayOf(zone, StartOfDay(zone, day)), day);
    EXPECT_EQ(DayOf(zone, StartOfDay(zone, day + 1) - 1), day);
  }
}

TEST(SegmentEvaluate, DaysOfAttributesMoveWithToday) {
  const segments::v1::Zone zone = Berlin();
  const int32_t day = *ParseDay("2026-03-29");
  Person person;
  person.attributes["renews_on"] = std::string("2026-03-29");
  const int64_t noon = StartOfDay(zone, day - 3) + kDayS / 2;
  EXPECT_EQ(Ask(person, "renews_on <= today + 2d", noon, zone).truth, Truth::kFalse);
  EXPECT_EQ(Ask(person, "renews_on <= today + 2d", noon, zone).next_s, StartOfDay(zone, day - 2));
  EXPECT_EQ(Ask(person, "renews_on <= today + 2d", StartOfDay(zone, day - 2), zone).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "renews_on = today", noon, zone).next_s, StartOfDay(zone, day));
  EXPECT_EQ(Ask(person, "renews_on = today", StartOfDay(zone, day), zone).truth, Truth::kTrue);
  EXPECT_EQ(Ask(person, "renews_on = today", StartOfDay(zone, day), zone).next_s, StartOfDay(zone, day + 1));
  EXPECT_EQ(Ask(person, "renews_on = today", StartOfDay(zone, day + 1), zone).truth, Truth::kFalse);
  EXPECT_EQ(Ask(person, "renews_on = today", StartOfDay(zone, day + 1), zone).next_s, kNever);
}

TEST(SegmentEvaluate, ASealedValueIsReadAsItsType) {
  EXPECT_EQ(TypedValue("7", tenants::v1::INTEGER), SegmentValue(int64_t{7}));
  EXPECT_EQ(TypedValue("7.5", tenants::v1::NUMBER), SegmentValue(7.5));
  EXPECT_EQ(TypedValue("true", tenants::v1::BOOLEAN), SegmentValue(true));
  EXPECT_EQ(TypedValue(" Yes ", tenants::v1::BOOLEAN), SegmentValue(true));
  EXPECT_EQ(TypedValue("0", tenants::v1::BOOLEAN), SegmentValue(false));
  EXPECT_EQ(TypedValue("perhaps", tenants::v1::BOOLEAN), SegmentValue());
  EXPECT_EQ(TypedValue(" +7", tenants::v1::INTEGER), SegmentValue(int64_t{7}));
  EXPECT_EQ(TypedValue(" a ", tenants::v1::TEXT), SegmentValue(std::string(" a ")));
  EXPECT_EQ(TypedValue("seven", tenants::v1::INTEGER), SegmentValue());
  EXPECT_EQ(TypedValue("7x", tenants::v1::INTEGER), SegmentValue());
}

}  // namespace
}  // namespace maily::audience
