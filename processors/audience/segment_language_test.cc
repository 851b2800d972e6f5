// Tests of the language of segments: both forms, what they mean, and what is refused with which words.
#include "processors/audience/segment_language.h"

#include <gtest/gtest.h>

namespace maily::audience {
namespace {

using Problems = std::vector<SegmentProblem>;

SegmentCatalog Catalog() {
  SegmentCatalog catalog;
  catalog.attributes = {{"plan", tenants::v1::TEXT},      {"age", tenants::v1::INTEGER},    {"share", tenants::v1::NUMBER},
                        {"newbie", tenants::v1::BOOLEAN}, {"renews_on", tenants::v1::TEXT}, {"city", tenants::v1::TEXT, true},
                        {"today", tenants::v1::TEXT}};
  catalog.list = [](std::string_view name) { return name == "vip" ? std::optional<uint64_t>(4) : std::nullopt; };
  catalog.list_exists = [](uint64_t id) { return id == 4; };
  catalog.segment = [](std::string_view name) { return name == "buyers" ? std::optional<uint64_t>(2) : std::nullopt; };
  catalog.segment_exists = [](uint64_t id) { return id == 2; };
  catalog.campaign_exists = [](uint64_t id) { return id == 12; };
  return catalog;
}

// What is wrong with a text, in the form or in the meaning.
Problems WrongWith(const std::string& text) {
  ParsedSegment parsed = ParseSegmentText(text);
  return parsed.problems.empty() ? CheckSegment(parsed, Catalog()) : parsed.problems;
}
Problems WrongWithJson(const std::string& json) {
  ParsedSegment parsed = ParseSegmentJson(json);
  return parsed.problems.empty() ? CheckSegment(parsed, Catalog()) : parsed.problems;
}
std::string Canonical(const std::string& text) {
  const ParsedSegment parsed = ParseSegmentText(text);
  return parsed.problems.empty() ? SegmentText(parsed.expression) : parsed.problems[0].where + " " + parsed.problems[0].sentence;
}
std::string Json(const std::string& text) { return SegmentJson(ParseSegmentText(text).expression); }

TEST(SegmentLanguage, HasOneCanonicalText) {
  EXPECT_EQ(Canonical(R"(plan = "pro" and clicked(last: 7d) >= 1 and not in_list("vip"))"),
            R"(plan = "pro" and clicked(last: 7d) >= 1 and not in_list("vip"))");
  EXPECT_EQ(Canonical("  PLAN=\"pro\"\n AND(age>=-3 or  share<0.5)"), R"(PLAN = "pro" and (age >= -3 or share < 0.5))");
  EXPECT_EQ(Canonical("(a = 1 and (b = 2 and c = 3))"), "a = 1 and b = 2 and c = 3");
  EXPECT_EQ(Canonical("a = 1 or b = 2 and c = 3"), "a = 1 or b = 2 and c = 3");
  EXPECT_EQ(Canonical("(a = 1 or b = 2) and c = 3"), "(a = 1 or b = 2) and c = 3");
  EXPECT_EQ(Canonical("not (a = 1 or not b = 2)"), "not (a = 1 or not b = 2)");
  EXPECT_EQ(Canonical("not a not in (1, 2)"), "not not a in (1, 2)");
  EXPECT_EQ(Canonical("opened( )"), "opened() >= 1");
  EXPECT_EQ(Canonical("clicked(since: today-2w, campaign: 12) = 0"), "clicked(campaign: 12, since: today - 14d) = 0");
  EXPECT_EQ(Canonical("event(\"a \\\"b\\\"\", last: 90m)"), R"(event("a \"b\"", last: 90m) >= 1)");
  EXPECT_EQ(Canonical("renews_on <= today + 30d and renews_on > 2026-02-28"), "renews_on <= today + 30d and renews_on > 2026-02-28");
  EXPECT_EQ(Canonical("a is not known or b is not unknown"), "a is unknown or b is known");
  EXPECT_EQ(Canonical("`today` = \"x\" and `plain` = true"), "`today` = \"x\" and plain = true");
  EXPECT_EQ(Canonical("subscribed() and not suppressed() and in_segment(2)"), "subscribed() and not suppressed() and in_segment(2)");
  EXPECT_EQ(Canonical("share = 1e3 or share = 2.50"), "share = 1000.0 or share = 2.5");
}

TEST(SegmentLanguage, HasAJsonFormThatMeansTheSame) {
  EXPECT_EQ(
      Json(R"(plan = "pro" and clicked(last: 7d) >= 1 and not in_list("vip"))"),
      R"({"and":[{"attribute":"plan","op":"=","value":"pro"},{"happened":"clicked","last":"7d","op":">=","count":1},{"not":{"in_list":"vip"}}]})");
  EXPECT_EQ(
      Json("renews_on < today - 7d or age in (1, 2) or city is unknown or suppressed()"),
      R"({"or":[{"attribute":"renews_on","op":"<","value":{"today":-7}},{"attribute":"age","op":"in","values":[1,2]},{"attribute":"city","op":"unknown"},{"is":"suppressed"}]})");
  for (const char* text : {R"(plan = "pro" and clicked(last: 7d) >= 1 and not in_list("vip"))", "event(\"x\", since: 2026-01-01) < 3",
                           "share = 0.1 or in_segment(2)", "opened(campaign: 12, last: 30m)", "a = 9223372036854775807", "newbie = false",
                           "renews_on = 0001-01-01"}) {
    const ParsedSegment first = ParseSegmentText(text);
    const ParsedSegment again = ParseSegmentJson(SegmentJson(first.expression));
    ASSERT_TRUE(again.problems.empty()) << again.problems[0].where << again.problems[0].sentence;
    EXPECT_EQ(again.expression.SerializeAsString(), first.expression.SerializeAsString()) << text;
  }
}

TEST(SegmentLanguage, SaysWhereAndWhatToDo) {
  EXPECT_EQ(WrongWith("plan = \"pro\" and\n  clicked(last 7d)"), (Problems{{"2:16", "expected : after last; here is \"7d\""}}));
  EXPECT_EQ(WrongWith(""), (Problems{{"1:1", "expected a test, like plan = \"pro\" or clicked(last: 7d) >= 1; the text ends here"}}));
  EXPECT_EQ(WrongWith("plan == \"pro\""), (Problems{{"1:6", "write = instead of =="}}));
  EXPECT_EQ(WrongWith("plan = 'pro'"), (Problems{{"1:8", "texts stand in double quotes: \"pro\""}}));
  EXPECT_EQ(WrongWith("plan = \"pro"), (Problems{{"1:8", "the text that begins here has no \" at its end"}}));
  EXPECT_EQ(WrongWith("(age > 3"), (Problems{{"1:9", "expected ) after what begins with (; the text ends here"}}));
  EXPECT_EQ(WrongWith("age > 3)"), (Problems{{"1:8", "expected and, or, or the end; here is \")\""}}));
  EXPECT_EQ(WrongWith("clicked(last: 7days)"), (Problems{{"1:15", "a duration is a whole number with m, h, d or w: 30m, 12h, 7d, 2w"}}));
  EXPECT_EQ(WrongWith("clicked(last: 367d)"),
            (Problems{{"1:15", "expected a duration up to 366d, like 30m, 12h, 7d or 2w; here is \"367d\""}}));
  EXPECT_EQ(WrongWith("clicked(last: 7d, last: 8d)"), (Problems{{"1:19", "last: stands here twice; here is \"last\""}}));
  EXPECT_EQ(WrongWith("clicks()"),
            (Problems{{"1:1",
                       "there are the functions opened, clicked, event, delivered, in_list, in_segment, tag, subscribed and "
                       "suppressed; here is \"clicks\""}}));
  EXPECT_EQ(WrongWith("tag(vip)"), (Problems{{"1:5", "expected a tag in quotes, like tag(\"vip\"); here is \"vip\""}}));
  EXPECT_EQ(WrongWith("renews_on = 2026-02-30"), (Problems{{"1:13", "a day is written like 2026-11-22"}}));
  EXPECT_EQ(WrongWith("today = \"x\""),
            (Problems{{"1:1", "expected a test; an attribute of this name is written `today`; here is \"today\""}}));
  EXPECT_EQ(WrongWith("a = \xFF"), (Problems{{"1:1", "byte 5 is no UTF-8"}}));
}

TEST(SegmentLanguage, ChecksEveryNameAndType) {
  EXPECT_EQ(WrongWith("plna = \"pro\" and agee > 3 and nothing_like_it = 1"),
            (Problems{{"1:1", "no attribute \"plna\" is registered; \"plan\" is"},
                      {"1:18", "no attribute \"agee\" is registered; \"age\" is"},
                      {"1:31", "no attribute \"nothing_like_it\" is registered; register it, or take one that is (GET /v1/attributes)"}}));
  EXPECT_EQ(WrongWith("age = \"7\""), (Problems{{"1:1", "\"age\" is a whole number, and a text is no value of it"}}));
  EXPECT_EQ(WrongWith("plan = 7"), (Problems{{"1:1", "\"plan\" is a text, and a whole number is no value of it"}}));
  EXPECT_EQ(WrongWith("newbie = 1"), (Problems{{"1:1", "\"newbie\" is true or false, and a whole number is no value of it"}}));
  EXPECT_EQ(WrongWith("plan > \"a\""), (Problems{{"1:1", "> compares numbers and days; a text has =, != and in"}}));
  EXPECT_EQ(WrongWith("age contains 3"), (Problems{{"1:1", "contains asks for a text"}}));
  EXPECT_EQ(WrongWith("age = today"), (Problems{{"1:1", "\"age\" is a whole number, and a day is no value of it"}}));
  EXPECT_EQ(WrongWith("plan in (\"a\", 3)"), (Problems{{"1:1", "\"plan\" is a text, and a whole number is no value of it"}}));
  EXPECT_EQ(WrongWith("in_list(\"vips\") or in_list(5) or in_segment(\"x\")"),
            (Problems{{"1:1", "there is no list \"vips\""}, {"1:20", "there is no list 5"}, {"1:34", "there is no segment \"x\""}}));
  EXPECT_EQ(WrongWith("clicked(campaign: 13)"), (Problems{{"1:1", "there is no campaign 13"}}));
  EXPECT_EQ(WrongWith("delivered()"), (Problems{{"1:1", "delivered asks for a campaign: delivered(campaign: 12)"}}));
  EXPECT_EQ(WrongWith("clicked(last: 7d) > 32"),
            (Problems{{"1:1", "in a window it is counted up to 31; without a window up to 1000000000"}}));
  EXPECT_EQ(WrongWith("clicked() >= 0"), (Problems{{"1:1", "this is true of everybody: a count is never below 0"}}));
  EXPECT_EQ(WrongWith("clicked(since: today + 1d)"), (Problems{{"1:1", "since: a day that is to come counts nothing"}}));
  for (const char* good :
       {"age > 3.5", "share = 3", "city starts_with \"B\"", "renews_on < today + 30d", "`today` = \"x\"", "clicked() > 100000",
        "clicked(last: 366d) <= 31", "delivered(campaign: 12) = 0", "in_list(4)", "age in (1, 2, -3)"}) {
    EXPECT_EQ(WrongWith(good), Problems{}) << good;
  }
}

TEST(SegmentLanguage, SaysWhereInJson) {
  EXPECT_EQ(WrongWithJson("{"), (Problems{{"$", WrongWithJson("{")[0].sentence}}));
  EXPECT_EQ(WrongWithJson(R"({"and":[{"attribute":"plan","op":"=","value":"pro"},{"attribute":"age","op":"~","value":1}]})"),
            (Problems{{"$.and[1].op", "expected =, !=, <, <=, >, >=, contains, starts_with, ends_with, in, known or unknown"}}));
  EXPECT_EQ(WrongWithJson(R"({"attribute":"age","op":"=","value":1,"extra":2})"), (Problems{{"$", "there is no member \"extra\" here"}}));
  EXPECT_EQ(WrongWithJson(R"({"or":[]})"), (Problems{{"$.or", "expected a list of one test or more"}}));
  EXPECT_EQ(WrongWithJson(R"({"happened":"clicked","last":"x"})"), (Problems{{"$.last", "expected a duration up to 366d, like \"7d\""}}));
  EXPECT_EQ(WrongWithJson(R"({"not":{"attribute":"age","op":"=","value":"x"}})"),
            (Problems{{"$.not", "\"age\" is a whole number, and a text is no value of it"}}));
  EXPECT_EQ(WrongWithJson("[]"),
            (Problems{{"$", "expected a test or a joint, like {\"attribute\": \"plan\", \"op\": \"=\", \"value\": \"pro\"}"}}));
}

TEST(SegmentLanguage, IsBounded) {
  std::string deep;
  for (size_t i = 0; i < kSegmentDepthMax; ++i) deep += "(";
  const std::string closed = deep.substr(1) + "age = 1" + std::string(kSegmentDepthMax - 1, ')');
  EXPECT_EQ(Canonical(closed), "age = 1");
  EXPECT_EQ(WrongWith(deep + "age = 1" + std::string(kSegmentDepthMax, ')'))[0].sentence.substr(0, 53),
            "parentheses and not stand at most 16 deep within one ");
  std::string nots = "age = 1";
  for (int i = 0; i < 100'000 / 4; ++i) nots = "not " + nots;
  EXPECT_EQ(WrongWith(nots)[0].where, "1:1");  // too long
  EXPECT_EQ(WrongWith(nots.substr(nots.size() - 407)).size(), 1u);
  std::string wide = "age = 1";
  for (size_t i = 1; i < kSegmentNodesMax - 1; ++i) wide += " and age = 1";
  EXPECT_EQ(WrongWith(wide), Problems{});
  EXPECT_EQ(WrongWith(wide + " or age = 2")[0].sentence, "an expression has at most 256 tests and joints; divide it with in_segment(…)");
  std::string many = "age in (0";
  for (size_t i = 1; i < kSegmentValuesMax; ++i) many += ", 1";
  EXPECT_EQ(WrongWith(many + ")"), Problems{});
  EXPECT_EQ(WrongWith(many + ", 1)")[0].sentence.substr(0, 28), "in (…) takes at most 200 v");
  std::string json = R"({"attribute":"age","op":"=","value":1})";
  for (size_t i = 0; i < 60; ++i) json = R"({"not":)" + json + "}";
  EXPECT_NE(WrongWithJson(json)[0].sentence.find("16 deep"), std::string::npos);
}

TEST(SegmentLanguage, ATagIsNamedAsContactsHaveIt) {
  EXPECT_EQ(Canonical("TAG( \"vip\" )"), "tag(\"vip\")");
  EXPECT_EQ(Json("not tag(\"a:b.c-1\")"), R"({"not":{"tag":"a:b.c-1"}})");
  EXPECT_EQ(WrongWith("tag(\"V I P\")"), (Problems{{"1:1", "a tag has 1 to 40 of a-z, 0-9, _ - . and :"}}));
  EXPECT_EQ(WrongWithJson(R"({"tag": 3})").size(), 1u);
  EXPECT_EQ(DependenciesOf(ParseSegmentText("tag(\"vip\")").expression).wakes,
            (std::vector<SegmentDependencies::One>{{segments::v1::WAKE_TAG, 0, "vip"}}));
}

TEST(SegmentLanguage, DependsOnWhatItNames) {
  const auto all =
      DependenciesOf(ParseSegmentText("plan = \"a\" and (plan = \"b\" or clicked(campaign: 12) > 1) and event(\"x\") and in_list(4) and "
                                      "in_segment(2) and not subscribed() and suppressed() and opened() and delivered(campaign: 12)")
                         .expression);
  using enum segments::v1::WakeKind;
  using Wakes = std::vector<SegmentDependencies::One>;
  EXPECT_EQ(all.wakes, (Wakes{{WAKE_ATTRIBUTE, 0, "plan"},
                              {WAKE_LIST, 4, ""},
                              {WAKE_SEGMENT, 2, ""},
                              {WAKE_SUBSCRIBED, 0, ""},
                              {WAKE_SUPPRESSED, 0, ""},
                              {WAKE_OPENED, 0, ""},
                              {WAKE_CLICKED, 12, ""},
                              {WAKE_EVENT, 0, "x"},
                              {WAKE_DELIVERED, 12, ""}}));
  EXPECT_FALSE(all.timed);
  EXPECT_TRUE(DependenciesOf(ParseSegmentText("clicked(last: 7d)").expression).timed);
  EXPECT_TRUE(DependenciesOf(ParseSegmentText("clicked(since: today - 7d)").expression).timed);
  EXPECT_FALSE(DependenciesOf(ParseSegmentText("clicked(since: 2026-01-01)").expression).timed);
  EXPECT_TRUE(DependenciesOf(ParseSegmentText("renews_on = today").expression).timed);
  EXPECT_FALSE(DependenciesOf(ParseSegmentText("renews_on = 2026-01-01").expression).timed);
}

TEST(SegmentLanguage, KnowsDays) {
  EXPECT_EQ(ParseDay("1970-01-01"), 0);
  EXPECT_EQ(ParseDay("2000-02-29"), 11016);
  EXPECT_EQ(ParseDay("1900-02-29"), std::nullopt);
  EXPECT_EQ(ParseDay("2026-13-01"), std::nullopt);
  EXPECT_EQ(ParseDay("0000-01-01"), std::nullopt);
  for (int32_t day = *ParseDay("0001-01-01"); day <= *ParseDay("9999-12-31"); day += 37) EXPECT_EQ(ParseDay(DayText(day)), day);
}

}  // namespace
}  // namespace maily::audience
