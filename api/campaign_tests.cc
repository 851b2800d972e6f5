// See campaign_tests.h.
#include "api/campaign_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/handlers.h"
#include "api/submit.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "schemas/proportions.h"

namespace maily::api {
namespace {

constexpr int64_t kWaitMinutesMax = 14 * 24 * 60;
constexpr int64_t kEnoughMax = 1'000'000;
constexpr double kMillion = 1e6;

constexpr std::array<std::pair<const char*, campaigns::v1::TestMetric>, 3> kMetrics = {
    {{"clicks", campaigns::v1::TEST_CLICKS}, {"opens", campaigns::v1::TEST_OPENS}, {"conversions", campaigns::v1::TEST_CONVERSIONS}}};

bool IsNull(const Rows& rows, const char* column) { return rows.at(0, column).type == sql::Type::kNull; }

Json RateOf(int64_t did, int64_t of) {
  const schema::Interval interval = schema::Within({.did = std::min(did, of), .of = of});
  return {{"rate", of == 0 ? Json() : Json(static_cast<double>(did) / static_cast<double>(of))},
          {"low", interval.low},
          {"high", interval.high}};
}

// What a person reads.
std::string Sentence(const Rows& test) {
  const std::string& name = test.at(0, "winner_name").bytes;
  const std::string& reason = test.at(0, "reason").bytes;
  const std::string& metric = test.at(0, "metric").bytes;
  const std::string evidence = test.at(0, "evidence").integer != 0
                                   ? fmt::format("there is evidence that it has more {} than each other arm", metric)
                                   : "no evidence that it is better than the others";
  if (reason == "no_data")
    return fmt::format("\"{}\" was taken because it is the first arm: the sample has no {}; {}", name, metric, evidence);
  if (reason == "tie") return fmt::format("\"{}\" was taken because it is the first of those that tie; {}", name, evidence);
  if (reason == "by_hand") return fmt::format("\"{}\" was chosen by hand; {}", name, evidence);
  return fmt::format("\"{}\" has the highest rate of {}; {}", name, metric, evidence);
}

Result<Json> DecisionJson(Call& call, const Parameter& which, const Rows& test) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "campaign_test_arms", {which}));
  Json arms = Json::array();
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto number = [&](const char* column) { return rows.at(row, column).integer; };
    const auto share = [&](const char* column) { return static_cast<double>(number(column)) / kMillion; };
    arms.push_back({{"arm", number("arm")},
                    {"name", rows.at(row, "name").bytes},
                    {"delivered", number("delivered")},
                    {"did", number("did")},
                    {"rate", share("rate_ppm")},
                    {"low", share("low_ppm")},
                    {"high", share("high_ppm")},
                    {"best", share("best_ppm")},
                    {"propensity", {{"sample", share("sample_propensity_ppm")}, {"rest", share("rest_propensity_ppm")}}}});
  }
  return Json{{"at", CellJson("decided_at_us", test.at(0, "decided_at_us"))},
              {"winner", test.at(0, "winner_name").bytes},
              {"arm", test.at(0, "winner").integer},
              {"reason", test.at(0, "reason").bytes},
              {"by_hand", test.at(0, "by_hand").integer != 0},
              {"by", IsNull(test, "decided_by") ? Json() : Json(test.at(0, "decided_by").bytes)},
              {"evidence", test.at(0, "evidence").integer != 0},
              {"says", Sentence(test)},
              {"arms", std::move(arms)}};
}

}  // namespace

void ReadTest(Members& members, campaigns::v1::CampaignSpec& spec) {
  if (const auto seed = members.Integer("seed", 1, INT64_MAX)) spec.set_seed(static_cast<uint64_t>(*seed));
  auto test = members.Nested("test");
  if (!test) return;
  campaigns::v1::Test& into = *spec.mutable_test();
  if (const auto percent = test->Integer("sample_percent", 1, 99, kRequired)) into.set_sample_percent(static_cast<uint32_t>(*percent));
  if (const auto minutes = test->Integer("wait_minutes", 1, kWaitMinutesMax, kRequired))
    into.set_wait_minutes(static_cast<uint32_t>(*minutes));
  if (const auto enough = test->Integer("enough", 1, kEnoughMax)) into.set_enough(static_cast<uint32_t>(*enough));
  if (const auto metric = test->Text("metric", kNameBytesMax)) {
    const auto* found = std::ranges::find(kMetrics, *metric, [](const auto& one) { return std::string_view(one.first); });
    if (found == kMetrics.end()) {
      test->Violation("metric", "unknown_metric", "clicks, opens or conversions");
    } else {
      into.set_metric(found->second);
    }
  }
  test->RefuseUnknown();
}

Result<Json> TestJson(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows test, QueryOwn(call, "campaign_test", {which}));
  if (test.empty()) return Json();
  const auto number = [&](const char* column) { return test.at(0, column).integer; };
  const char* status = !IsNull(test, "decided_at_us")   ? "decided"
                       : !IsNull(test, "closed_at_us")  ? "closing"
                       : !IsNull(test, "decides_at_us") ? "waiting"
                                                        : "sampling";
  Json body{{"sample_percent", number("sample_percent")},
            {"metric", test.at(0, "metric").bytes},
            {"wait_minutes", number("wait_minutes")},
            {"enough", number("enough") == 0 ? Json() : Json(number("enough"))},
            {"seed", number("seed")},
            {"status", status},
            {"decides_at", CellJson("decides_at_us", test.at(0, "decides_at_us"))},
            {"closed_at", CellJson("closed_at_us", test.at(0, "closed_at_us"))},
            {"closed_why", IsNull(test, "closed_why") ? Json() : Json(test.at(0, "closed_why").bytes)},
            {"decision", Json()}};
  if (IsNull(test, "decided_at_us")) return body;
  MAILY_TRY(Json decision, DecisionJson(call, which, test));
  body["decision"] = std::move(decision);
  return body;
}

Json WithRates(Json arms) {
  for (Json& arm : arms) {
    const auto number = [&](const char* member) { return arm.value(member, int64_t{0}); };
    arm["open_rate"] = RateOf(number("opened"), number("delivered"));
    arm["click_rate"] = RateOf(number("clicked"), number("delivered"));
  }
  return arms;
}

void ChooseWinner(Call call) {
  Body body(call);
  campaigns::v1::ChooseWinner command;
  if (const auto arm = body.Text("arm", kNameBytesMax, kRequired)) command.set_arm(*arm);
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

}  // namespace maily::api
