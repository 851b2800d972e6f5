// Definitions of journeys: what is read, and every problem with its place.
#include "processors/journeys/definition.h"

#include <gtest/gtest.h>

namespace maily::journeys {
namespace {

JourneyCatalog Catalog() {
  JourneyCatalog catalog;
  catalog.segment = [](std::string_view name) { return name == "vip" ? std::optional<uint64_t>(3) : std::nullopt; };
  catalog.form = [](std::string_view name, JourneyProblem&) -> std::optional<v1::StepForm> {
    if (name != "hello") return std::nullopt;
    v1::StepForm form;
    form.set_form_id(7);
    return form;
  };
  catalog.expressions.attributes.push_back({"plan", tenants::v1::TEXT, false});
  catalog.expressions.segment = catalog.segment;
  return catalog;
}

// "pointer code; …" in order.
std::string Problems(std::string_view json) {
  std::string all;
  for (const JourneyProblem& problem : ParseJourney(json, Catalog()).problems) {
    all += (all.empty() ? "" : "; ") + problem.where + " " + problem.code;
  }
  return all;
}

constexpr std::string_view kWelcome = R"({
  "entry": {"event": "signed_up"}, "goal": {"segment": "vip"}, "max_late": "2h",
  "steps": [
    {"id": "hello", "type": "send", "template": "hello"},
    {"id": "look", "type": "wait_for", "opened": "hello", "timeout": "2d", "next": "parts", "else": "end"},
    {"id": "parts", "type": "split", "branches": [{"if": "plan = \"pro\"", "next": "monday"}], "else": "chance"},
    {"id": "chance", "type": "split", "random": [{"weight": 1, "next": "monday"}, {"weight": 3, "next": "out"}]},
    {"id": "monday", "type": "delay", "until": {"weekday": "monday", "time": "09:30"}, "next": "hello"},
    {"id": "out", "type": "exit"}
  ]})";

TEST(JourneyDefinition, IsReadWhole) {
  const ParsedJourney parsed = ParseJourney(kWelcome, Catalog());
  ASSERT_TRUE(parsed.problems.empty()) << Problems(kWelcome);
  const v1::JourneyDefinition& journey = parsed.definition;
  EXPECT_EQ(journey.entry_event(), "signed_up");
  EXPECT_EQ(journey.goal_segment(), 3u);
  EXPECT_EQ(journey.reentry(), v1::REENTRY_NEVER);
  EXPECT_EQ(journey.max_late_s(), 7200);
  ASSERT_EQ(journey.steps_size(), 6);
  EXPECT_EQ(journey.steps(0).send().form_id(), 7u);
  EXPECT_EQ(journey.steps(0).next(), "look");
  EXPECT_EQ(journey.steps(1).wait().otherwise(), "");
  EXPECT_EQ(journey.steps(1).wait().timeout_s(), 2 * 86'400);
  EXPECT_EQ(journey.steps(2).next(), "chance");
  EXPECT_EQ(journey.steps(2).split().branches(0).text(), "plan = \"pro\"");
  EXPECT_TRUE(journey.steps(3).split().random());
  EXPECT_EQ(journey.steps(4).delay().weekday(), 1);
  EXPECT_EQ(journey.steps(4).delay().minute(), 570);
}

TEST(JourneyDefinition, AKeyTellsInstancesApart) {
  const auto read = [](std::string_view json) { return ParseJourney(json, Catalog()).definition; };
  EXPECT_EQ(read(R"({"entry":{"event":"e","key":"order_id"},"steps":[{"id":"x","type":"exit"}]})").reentry(), v1::REENTRY_PER_KEY);
  EXPECT_EQ(read(R"({"entry":{"event":"e"},"reentry":"after_end","steps":[{"id":"x","type":"exit"}]})").reentry(), v1::REENTRY_AFTER_END);
  EXPECT_EQ(Problems(R"({"entry":{"event":"e"},"reentry":"per_key","steps":[{"id":"x","type":"exit"}]})"), "/reentry invalid");
  EXPECT_EQ(Problems(R"({"entry":{"event":"e","key":"k"},"reentry":"never","steps":[{"id":"x","type":"exit"}]})"), "/reentry invalid");
  EXPECT_EQ(Problems(R"({"entry":{"segment":"vip","key":"k"},"steps":[{"id":"x","type":"exit"}]})"), "/entry/key invalid");
}

TEST(JourneyDefinition, EveryProblemIsNamedWithItsPlace) {
  EXPECT_EQ(Problems("{"), " invalid");
  EXPECT_EQ(Problems("[]"), " invalid");
  EXPECT_EQ(Problems("{}"), "/entry missing; /steps missing");
  EXPECT_EQ(
      Problems(R"({"entry":{"event":"e","segment":"x"},"goal":7,"max_late":"soon","colour":1,"exit_on_leave":true,
    "steps":[{"id":"A","type":"send","template":"none","nxt":1},{"id":"w","type":"wait_for","event":"e","timeout":"400d","else":"gone"},
    {"type":"delay"},{"id":"w","type":"webhook"},{"id":"u","type":"update","set":{"plan":3,"name":"x"},"add_tags":["No"]},
    {"id":"s","type":"split","branches":[{"if":"plan = 3","next":"w"},{"if":"clicked() > 1","next":"w"}]}]})"),
      "/colour unknown_field; /entry invalid; /entry/segment unknown_segment; /exit_on_leave invalid; /goal invalid; /max_late invalid; "
      "/steps/0/id invalid; /steps/2/id missing; /steps/3/id duplicate; /steps/0/nxt unknown_field; /steps/0/template unknown_template; "
      "/steps/1/else unknown_step; /steps/1/timeout invalid; /steps/2 invalid; /steps/3/type not_implemented; "
      "/steps/4/set/name unknown_attribute; /steps/4/set/plan invalid; /steps/4/add_tags invalid; /steps/5/branches/0/if invalid; "
      "/steps/5/branches/1/if invalid");
}

TEST(JourneyDefinition, NoStepIsLostAndNoWayGoesRoundWithoutAWait) {
  EXPECT_EQ(Problems(R"({"entry":{"event":"e"},"steps":[{"id":"a","type":"exit"},{"id":"b","type":"exit"}]})"), "/steps/1 unreachable");
  EXPECT_EQ(Problems(R"({"entry":{"event":"e"},"steps":[{"id":"a","type":"send","template":"hello","next":"b"},
    {"id":"b","type":"split","random":[{"weight":1,"next":"a"},{"weight":1,"next":"c"}]},{"id":"c","type":"delay","for":"1s","next":"a"}]})"),
            "/steps/0 cycle; /steps/1 cycle");
  EXPECT_EQ(Problems(R"({"entry":{"event":"e"},"steps":[{"id":"a","type":"delay","for":"1s","next":"a"}]})"), "");
  EXPECT_EQ(Problems(R"({"entry":{"event":"e"},"steps":[{"id":"w","type":"wait_for","clicked":"late","timeout":"1d","else":"late"},
    {"id":"late","type":"send","template":"hello"}]})"),
            "/steps/0/clicked unknown_step");
}

TEST(JourneyDefinition, ATimeOfDayIsOfSomebodysClock) {
  const auto until = [](const std::string& members) {
    return R"({"entry":{"event":"e"},"steps":[{"id":"w","type":"delay","until":{"time":"09:00",)" + members + "}}]}";
  };
  const auto read = [&](const std::string& members) { return ParseJourney(until(members), Catalog()).definition.steps(0).delay(); };
  EXPECT_EQ(read(R"("zone":"contact")").zone(), "contact");
  EXPECT_EQ(read(R"("zone":"tenant","weekdays":["monday","friday"])").weekdays(), 0b0010001u);
  EXPECT_EQ(read(R"("zone":"Europe/Berlin","weekday":"sunday")").weekday(), 7);
  EXPECT_EQ(Problems(until(R"("zone":"Mars/Olympus")")), "/steps/0/until/zone unknown_zone");
  EXPECT_EQ(Problems(until(R"("weekdays":[])")), "/steps/0/until/weekdays invalid");
  EXPECT_EQ(Problems(until(R"("weekdays":"monday")")), "/steps/0/until/weekdays invalid");
  EXPECT_EQ(Problems(until(R"("weekdays":["monday",7])")), "/steps/0/until/weekdays invalid");
  EXPECT_EQ(Problems(until(R"("weekdays":["monday"],"weekday":"monday")")), "/steps/0/until invalid");
}

TEST(JourneyDefinition, AnUpdateNamesWhatIsThere) {
  const auto with = [](const std::string& members) {
    return R"({"entry":{"event":"e"},"steps":[{"id":"u","type":"update")" + members + "}]}";
  };
  const auto parsed = ParseJourney(with(R"(,"set":{"plan":"pro"},"add_tags":["a","b"],"remove_tags":["c"])"), Catalog());
  ASSERT_TRUE(parsed.problems.empty());
  const v1::UpdateStep& update = parsed.definition.steps(0).update();
  EXPECT_EQ(update.set(0).text(), "pro");
  EXPECT_EQ(update.add_tags_size(), 2);
  EXPECT_EQ(update.remove_tags(0), "c");
  const auto removed = ParseJourney(with(R"(,"set":{"plan":null})"), Catalog()).definition.steps(0).update();
  EXPECT_EQ(removed.set(0).value_case(), v1::JourneyValue::VALUE_NOT_SET);
  EXPECT_EQ(Problems(with("")), "/steps/0 missing");
  EXPECT_EQ(Problems(with(R"(,"set":{})")), "/steps/0/set invalid");
  EXPECT_EQ(Problems(with(R"(,"add_tags":["a"],"remove_tags":["a"])")), "/steps/0/remove_tags invalid");
  EXPECT_EQ(Problems(with(R"(,"set":{"plan":["x"]},"remove_tags":{})")), "/steps/0/set/plan invalid; /steps/0/remove_tags invalid");
}

TEST(JourneyDefinition, Durations) {
  EXPECT_EQ(ParseDuration("90s"), 90);
  EXPECT_EQ(ParseDuration("2w"), 14 * 86'400);
  EXPECT_EQ(ParseDuration("366d"), kDurationMaxS);
  for (const char* wrong : {"", "s", "3", "0s", "-1d", "1.5h", "367d", "1y", "99999999999999999999s"})
    EXPECT_EQ(ParseDuration(wrong), std::nullopt);
}

}  // namespace
}  // namespace maily::journeys
