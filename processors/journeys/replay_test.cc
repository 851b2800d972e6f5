// Contacts that go through a definition again: what they did takes the same branches at the same times.
#include "processors/journeys/replay.h"

#include <gtest/gtest.h>

namespace maily::journeys {
namespace {

constexpr int64_t kStart = 1'700'000'000;
constexpr int64_t kDay = 86'400;

ReplayNames Names() {
  ReplayNames names;
  names.attributes = {{"plan", "text", false}, {"age", "integer", true}};
  names.segments = {{"vip", 3}};
  names.lists = {{"news", 1}};
  names.templates = {"hello", "late"};
  return names;
}
ReplayPerson Person(std::vector<Happening> happened = {}) {
  ReplayPerson person;
  person.ordinal = 1;
  person.journey_id = 1;
  person.entered_at_s = kStart;
  person.attributes = {{"plan", "\"pro\""}, {"age", "\"41\""}};
  person.happened = std::move(happened);
  return person;
}
// "step why due sent…", due in seconds from the start.
std::string Told(const ReplayPlace& place) {
  std::string told = (place.over ? "over " : "") + place.step + " " + place.why;
  if (place.due_s != 0) told += " " + std::to_string(place.due_s - kStart);
  for (const std::string& step : place.sent) told += " +" + step;
  return told;
}

constexpr std::string_view kOrder = R"({"entry": {"event": "ordered"}, "goal": {"event": "paid"}, "steps": [
  {"id": "hello", "type": "send", "template": "hello"},
  {"id": "look", "type": "wait_for", "clicked": "hello", "timeout": "2d", "next": "plan", "else": "late"},
  {"id": "late", "type": "send", "template": "late", "next": "rest"},
  {"id": "plan", "type": "split", "branches": [{"if": "plan = \"pro\" and age > 40", "next": "end"}], "else": "rest"},
  {"id": "rest", "type": "delay", "for": "5d"}]})";

TEST(Replay, TakesTheBranchesOfWhatHappened) {
  const Replay replay(Names(), kOrder);
  ASSERT_TRUE(replay.problems().empty());
  using enum Happening::Kind;
  EXPECT_EQ(Told(replay.Run(Person(), kStart + kDay)), "look wait_for 172800 +hello");
  EXPECT_EQ(Told(replay.Run(Person(), kStart + 3 * kDay)), "rest delay 604800 +hello +late");
  EXPECT_EQ(Told(replay.Run(Person(), kStart + 8 * kDay)), "over rest completed +hello +late");
  EXPECT_EQ(Told(replay.Run(Person({{kStart + 60, kClicked, "hello"}}), kStart + kDay)), "over plan completed +hello");
  EXPECT_EQ(Told(replay.Run(Person({{kStart + 60, kOpened, "hello"}}), kStart + kDay)), "look wait_for 172800 +hello");
  EXPECT_EQ(Told(replay.Run(Person({{kStart + 60, kClicked, "other"}}), kStart + kDay)), "look wait_for 172800 +hello");
  EXPECT_EQ(Told(replay.Run(Person({{kStart + 2 * kDay, kClicked, "hello"}}), kStart + 3 * kDay)), "rest delay 604800 +hello +late");
  EXPECT_EQ(Told(replay.Run(Person({{kStart + 3 * kDay, kEvent, "paid"}}), kStart + 4 * kDay)), "over rest converted +hello +late");
  ReplayPerson free = Person({{kStart + 60, kClicked, "hello"}});
  free.attributes["plan"] = "\"free\"";
  EXPECT_EQ(Told(replay.Run(free, kStart + kDay)), "rest delay 432060 +hello");
}

TEST(Replay, KnowsSegmentsAndClocks) {
  const Replay replay(Names(), R"({"entry": {"segment": "vip"}, "exit_on_leave": true, "steps": [
    {"id": "w", "type": "delay", "until": {"time": "09:00", "zone": "contact"}}, {"id": "u", "type": "update", "set": {"plan": "x"}},
    {"id": "v", "type": "delay", "for": "9d"}]})");
  ASSERT_TRUE(replay.problems().empty());
  EXPECT_EQ(replay.segments(), std::set<uint64_t>{3});
  EXPECT_TRUE(replay.HasStep("v"));
  EXPECT_FALSE(replay.HasStep("x"));
  ReplayPerson person = Person();
  EXPECT_EQ(Told(replay.Run(person, kStart)), "over w segment_left");
  person.segments = {3};
  person.attributes["time_zone"] = "\"Asia/Tokyo\"";
  const ReplayPlace place = replay.Run(person, kStart);
  EXPECT_EQ(Told(place), "w delay 6400");
  EXPECT_EQ(place.zone, "Asia/Tokyo");
  EXPECT_EQ(replay.Run(person, kStart + kDay).updates, 1);
}

TEST(Replay, ARoundHasAnEnd) {
  const Replay replay(Names(), R"({"entry": {"event": "e"}, "steps": [{"id": "w", "type": "delay", "for": "1s", "next": "w"}]})");
  EXPECT_EQ(Told(replay.Run(Person(), kStart + kDay)), "w too_long");
}

TEST(Replay, SaysWhatIsWrong) {
  const Replay replay(Names(), R"({"entry": {"segment": "none"}, "steps": [{"id": "a", "type": "send", "template": "none"}]})");
  ASSERT_EQ(replay.problems().size(), 2u);
  EXPECT_EQ(replay.problems()[0].code, "unknown_segment");
  EXPECT_EQ(replay.problems()[1].where, "/steps/0/template");
}

}  // namespace
}  // namespace maily::journeys
