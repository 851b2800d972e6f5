// JSON <-> messages: what comes back, and what an error says.
#include "schemas/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"

namespace maily::schema {
namespace {

// "fault path: message" of what is wrong with it.
template <class M>
std::string Wrong(std::string_view text) {
  M message;
  JsonProblem problem;
  const Result<void> read = FromJson(text, message, &problem);
  if (read) return "nothing";
  EXPECT_EQ(read.error().message, problem.path + ": " + problem.message);
  static constexpr const char* kFaults[] = {"syntax", "depth", "value"};
  return fmt::format("{} {}: {}", kFaults[static_cast<int>(problem.fault)], problem.path, problem.message);
}

TEST(Json, RoundTrips) {
  contacts::v1::UpsertContact command;
  const std::string text =
      R"({"contact_key":"00ff10","address":"ann@example.com","attributes":[{"name":"city","text":"K\u00f6ln"},)"
      R"({"name":"n","integer":-7},{"name":"x","number":0.5},{"name":"b","boolean":false},{"name":"s","sealed":"secret"}],"join_lists":[1,2]})";
  ASSERT_TRUE(FromJson(text, command));
  EXPECT_EQ(command.contact_key(), std::string("\0\xFF\x10", 3));
  EXPECT_EQ(command.address(), "ann@example.com");
  EXPECT_EQ(command.attributes(1).integer(), -7);
  EXPECT_TRUE(command.attributes(3).has_boolean());
  const std::string written = ToJson(command, PersonalAs::kPlaintext);
  EXPECT_EQ(nlohmann::json::parse(written), nlohmann::json::parse(text)) << written;
  EXPECT_LT(written.find("contact_key"), written.find("address")) << "by number";

  const std::string sealed = ToJson(command, PersonalAs::kSealed);
  EXPECT_EQ(sealed.find("ann@"), std::string::npos);
  contacts::v1::UpsertContact again;
  ASSERT_TRUE(FromJson(sealed, again, nullptr, PersonalAs::kSealed));
  EXPECT_EQ(again.SerializeAsString(), command.SerializeAsString());
}

TEST(Json, LargeIntegersStayExact) {
  contacts::v1::UpsertContact command;
  ASSERT_TRUE(FromJson(R"({"attributes":[{"integer":9007199254740993},{"integer":"-9223372036854775808"},{"integer":9007199254740992}],)"
                       R"("join_lists":[18446744073709551615,1e3]})",
                       command));
  EXPECT_EQ(command.attributes(0).integer(), 9007199254740993);
  EXPECT_EQ(command.attributes(1).integer(), INT64_MIN);
  EXPECT_EQ(command.join_lists(1), 1000u);
  EXPECT_EQ(ToJson(command, PersonalAs::kPlaintext),
            R"({"attributes":[{"integer":"9007199254740993"},{"integer":"-9223372036854775808"},{"integer":9007199254740992}],)"
            R"("join_lists":["18446744073709551615",1000]})");
}

TEST(Json, EnumsAreReadInAnyCase) {
  tenants::v1::RegisterAttribute command;
  ASSERT_TRUE(FromJson(R"({"name":"a","attribute_type":"Integer"})", command));
  EXPECT_EQ(command.attribute_type(), tenants::v1::INTEGER);
  EXPECT_EQ(ToJson(command, PersonalAs::kPlaintext), R"({"name":"a","attribute_type":"integer"})");
}

TEST(Json, NullIsAbsent) {
  campaigns::v1::CreateCampaign command;
  ASSERT_TRUE(FromJson(R"({"spec":{"name":null,"list_id":3}})", command));
  EXPECT_EQ(ToJson(command, PersonalAs::kPlaintext), R"({"spec":{"list_id":3}})");
}

TEST(Json, ErrorsNameThePlace) {
  using Upsert = contacts::v1::UpsertContact;
  using Create = campaigns::v1::CreateCampaign;
  EXPECT_EQ(Wrong<Upsert>(R"({"attributes":[{"name":"a"},{"nme":"b"}]})"),
            "value $.attributes[1].nme: there is no such field; did you mean \"name\"?");
  EXPECT_EQ(Wrong<campaigns::v1::PauseCampaign>(R"({"zzzzzzzzzzz":1})"),
            "value $.zzzzzzzzzzz: there is no such field; known are campaign_id");
  EXPECT_EQ(Wrong<Upsert>(R"({"attributes":[{"name":7}]})"), "value $.attributes[0].name: expected a string, got a number");
  EXPECT_EQ(Wrong<Upsert>(R"({"attributes":{}})"), "value $.attributes: expected an array, got an object");
  EXPECT_EQ(Wrong<Upsert>(R"({"attributes":[1]})"), "value $.attributes[0]: expected an object, got a number");
  EXPECT_EQ(Wrong<Upsert>(R"({"join_lists":[-1]})"), "value $.join_lists[0]: out of range: 0 to 18446744073709551615");
  EXPECT_EQ(Wrong<Upsert>(R"({"join_lists":[18446744073709551616]})"), "value $.join_lists[0]: out of range: 0 to 18446744073709551615");
  EXPECT_EQ(Wrong<Upsert>(R"({"join_lists":[1.5]})"), "value $.join_lists[0]: expected a whole number");
  EXPECT_EQ(Wrong<Upsert>(R"({"join_lists":["x"]})"), "value $.join_lists[0]: expected a whole number, got a string");
  EXPECT_EQ(Wrong<Create>(R"({"spec":{"arms":[{"weight":4294967296}]}})"), "value $.spec.arms[0].weight: out of range: 0 to 4294967295");
  EXPECT_EQ(Wrong<Create>(R"({"spec":{"arms":[{"holdout":"yes"}]}})"), "value $.spec.arms[0].holdout: expected a boolean, got a string");
  EXPECT_EQ(Wrong<Upsert>(R"({"contact_key":"0"})"), "value $.contact_key: expected an even number of hexadecimal digits");
  EXPECT_EQ(Wrong<Upsert>(R"({"attributes":[{"text":"a","integer":1}]})"),
            "value $.attributes[0].text: only one of integer and text may be given");
  EXPECT_EQ(Wrong<sends::v1::RecordAttempt>(R"({"result":"deliverd"})"),
            "value $.result: there is no such value; did you mean \"delivered\"?");
  EXPECT_EQ(Wrong<Upsert>(R"([])"), "value $: expected an object, got an array");
}

TEST(Json, DuplicateKeysAreRefused) {
  EXPECT_EQ(Wrong<contacts::v1::UpsertContact>(R"({"attributes":[{},{"name":"a","name":"b"}]})"),
            "value $.attributes[1].name: the key stands twice in one object");
  EXPECT_EQ(Wrong<contacts::v1::UpsertContact>(R"({"source":"a","source":"b"})"), "value $.source: the key stands twice in one object");
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](int depth) { return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']'); };
  EXPECT_TRUE(ParseJson(nested(kJsonDepthMax)));
  JsonProblem problem;
  EXPECT_FALSE(ParseJson(nested(kJsonDepthMax + 1), &problem));
  EXPECT_EQ(problem.fault, JsonFault::kDepth);
  EXPECT_FALSE(ParseJson(std::string(1 << 20, '['), &problem));
  EXPECT_EQ(problem.fault, JsonFault::kDepth);
}

TEST(Json, WhatIsNoJsonIsRefused) {
  for (const char* text : {"", "{", "{\"a\":}", "nul", "{} x", "\"\xFF\"", "{\"a\" 1}", "[1,]", "01", "'a'", "NaN"}) {
    JsonProblem problem;
    EXPECT_FALSE(ParseJson(text, &problem)) << text;
    EXPECT_EQ(problem.fault, JsonFault::kSyntax) << text;
    EXPECT_FALSE(problem.message.empty());
  }
  const std::string echoed =
      Wrong<contacts::v1::UpsertContact>(R"({"source":"ann@example.com} x)") + Wrong<contacts::v1::UpsertContact>("{\"source\":1e999}");
  EXPECT_EQ(echoed.find("ann@"), std::string::npos) << echoed;
  EXPECT_EQ(echoed.find("json.exception"), std::string::npos) << echoed;
  EXPECT_EQ(Wrong<contacts::v1::UpsertContact>("{\"source\":tru}").substr(0, 26), "syntax $.source: not JSON:");
}

}  // namespace
}  // namespace maily::schema
