// Paths find their routes, and messages their parts.
#include "api/http/router.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/http/problem.h"

namespace maily::http {
namespace {

void Nothing(Request, Respond) {}

class RouterTest : public testing::Test {
 protected:
  // "pattern id=value" of the route found, or "404", "405".
  std::string Find(Method method, std::string_view path) {
    std::vector<std::pair<std::string_view, std::string>> params;
    const auto match = router_.Find(method, path, params);
    if (match.route == nullptr) return match.miss == Router::Miss::kPath ? "404" : "405";
    EXPECT_EQ(match.route, router_.rows()[match.index].get());
    std::string out = match.route->pattern;
    for (const auto& [name, value] : params) out += " " + std::string(name) + "=" + value;
    return out;
  }
  Router router_{{
      {Method::kGet, "/", Nothing},
      {Method::kGet, "/v1/campaigns", Nothing},
      {Method::kPost, "/v1/campaigns", Nothing},
      {Method::kGet, "/v1/campaigns/{id}", Nothing},
      {Method::kPost, "/v1/campaigns/{id}:launch", Nothing},
      {Method::kPost, "/v1/campaigns/{id}:pause", Nothing},
      {Method::kGet, "/v1/campaigns/{id}/sends/{send}", Nothing},
      {Method::kPost, "/v1/events:batch", Nothing},
      {Method::kGet, "/v1/campaigns/totals", Nothing},
      {Method::kGet, "/c/{token}", Nothing},
  }};
};

TEST_F(RouterTest, LiteralsWinOverVerbsAndVerbsOverParameters) {
  EXPECT_EQ(Find(Method::kGet, "/"), "/");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns"), "/v1/campaigns");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns/totals"), "/v1/campaigns/totals");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns/42"), "/v1/campaigns/{id} id=42");
  EXPECT_EQ(Find(Method::kPost, "/v1/campaigns/42:launch"), "/v1/campaigns/{id}:launch id=42");
  EXPECT_EQ(Find(Method::kPost, "/v1/campaigns/a:b:pause"), "/v1/campaigns/{id}:pause id=a:b");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns/ext:7"), "/v1/campaigns/{id} id=ext:7");
  EXPECT_EQ(Find(Method::kPost, "/v1/events:batch"), "/v1/events:batch");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns/42/sends/7"), "/v1/campaigns/{id}/sends/{send} id=42 send=7");
  EXPECT_EQ(Find(Method::kGet, "/v1/campaigns/totals/sends/7"), "/v1/campaigns/{id}/sends/{send} id=totals send=7");
}

TEST_F(RouterTest, ParametersAreDecodedAfterTheSplit) {
  EXPECT_EQ(Find(Method::kGet, "/c/a%2Fb%20c"), "/c/{token} token=a/b c");
  EXPECT_EQ(Find(Method::kGet, "/c/a+b"), "/c/{token} token=a+b");
}

TEST_F(RouterTest, WhatIsNotThereIs404AndAnotherMethod405) {
  for (const char* path :
       {"", "v1", "/v1", "/v1/", "/v1/campaigns/", "/c/", "/c", "/v1/events", "/v1/campaigns/42/sends", "//", "/c/x/y"}) {
    EXPECT_EQ(Find(Method::kGet, path), "404") << path;
  }
  EXPECT_EQ(Find(Method::kDelete, "/v1/campaigns"), "405");
  EXPECT_EQ(Find(Method::kOther, "/v1/campaigns"), "405");
  EXPECT_EQ(Find(Method::kHead, "/v1/campaigns/42"), "/v1/campaigns/{id} id=42");
  EXPECT_EQ(router_.Allow("/v1/campaigns"), "GET, HEAD, POST");
  EXPECT_EQ(router_.Allow("/v1/campaigns/1:launch"), "POST");
  EXPECT_EQ(router_.Allow("/nowhere"), "");
}

TEST_F(RouterTest, ARouteThatExistsTwiceIsAProgrammersError) {
  EXPECT_DEATH(router_.Add({Method::kGet, "/c/{token}", Nothing}), "exists twice");
  EXPECT_DEATH(router_.Add({Method::kGet, "/c/{other}/x", Nothing}), "names");
  EXPECT_DEATH(router_.Add({Method::kGet, "no-slash", Nothing}), "pattern");
}

TEST(Message, QueryParametersAreDecoded) {
  const Request request{.target = "/x?a=1&b=two%20words+more&empty=&flag&a=2&%61b=c"};
  EXPECT_EQ(request.path(), "/x");
  EXPECT_EQ(request.Query("a"), "1");
  EXPECT_EQ(request.Query("b"), "two words more");
  EXPECT_EQ(request.Query("empty"), "");
  EXPECT_EQ(request.Query("flag"), "");
  EXPECT_EQ(request.Query("ab"), "c");
  EXPECT_EQ(request.Query("none"), std::nullopt);
  EXPECT_EQ(request.QueryParams().size(), 6u);
  EXPECT_EQ((Request{.target = "/x"}).QueryParams().size(), 0u);
}

TEST(Message, EscapesGoThereAndBack) {
  EXPECT_EQ(PercentDecode(PercentEncode("a/b c?&=%ü\n"), false), "a/b c?&=%ü\n");
  for (const char* bad : {"%", "%1", "%zz", "%00", "abc%2"}) EXPECT_EQ(PercentDecode(bad, false), std::nullopt) << bad;
}

TEST(Message, HeadersKeepOrderAndLowerNames) {
  Headers headers;
  headers.Add("X-One", "1");
  headers.Add("x-two", "");
  headers.Add("X-ONE", "3");
  EXPECT_EQ(headers["x-one"], "1");
  EXPECT_EQ(headers.Count("x-one"), 2u);
  EXPECT_EQ(headers.Find("x-two"), "");
  EXPECT_EQ(headers.Find("x-three"), std::nullopt);
  EXPECT_EQ(headers.at(2).second, "3");
}

TEST(Message, TraceparentIsReadAndMade) {
  const TraceId trace = ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_EQ(trace.ToHex(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(ParseTraceparent(MakeTraceparent(trace)), trace);
  for (const char* bad :
       {"", "00-xyz", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "00-0af7651916cd43dd8448eb211c8031zz-b7ad6b7169203331-01"}) {
    EXPECT_TRUE(ParseTraceparent(bad).IsZero()) << bad;
  }
  EXPECT_NE(NewTraceId(), NewTraceId());
}

TEST(Problem, BodyIsASupersetOfRfc9457) {
  const TraceId trace = TraceId::FromHex("0af7651916cd43dd8448eb211c80319c");
  const Response response = ToResponse(
      {409, "campaign_locked", "the campaign is \"running\"", {{"/arms/0", "not_allowed", "pause it first"}}}, trace, "/v1/campaigns/1");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.headers["content-type"], "application/problem+json");
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["type"], "/api/docs#campaign-locked");
  EXPECT_EQ(json["title"], "Campaign locked");
  EXPECT_EQ(json["status"], 409);
  EXPECT_EQ(json["code"], "campaign_locked");
  EXPECT_EQ(json["message"], json["detail"]);
  EXPECT_EQ(json["instance"], "/v1/campaigns/1");
  EXPECT_EQ(json["details"][0]["path"], "/arms/0");
  EXPECT_EQ(json["details"][0]["hint"], "pause it first");
  EXPECT_EQ(json["traceId"], trace.ToHex());
}

TEST(Problem, StatusesBringTheirHeadersAndBadBytesAreReplaced) {
  EXPECT_EQ(ToResponse({401, "unauthorized", ""}, {}, "/").headers["www-authenticate"], "Bearer");
  EXPECT_EQ(ToResponse({503, "unavailable", ""}, {}, "/").headers["retry-after"], "1");
  EXPECT_EQ(ToResponse({429, "slow_down", "", {}, {{"retry-after", "7"}}}, {}, "/").headers["retry-after"], "7");
  EXPECT_TRUE(nlohmann::json::accept(ToResponse({400, "bad", "\xff\xfe"}, {}, "/\xc0").body));
}

TEST(Problem, AFailureBecomesTheStatusOfItsReaction) {
  EXPECT_EQ(ProblemOf(Fail(Code::kRetry, "full")).status, 503);
  EXPECT_EQ(ProblemOf(Fail(Code::kConflict, "x")).status, 409);
  EXPECT_EQ(ProblemOf(Fail(Code::kNotFound, "x")).status, 404);
  EXPECT_EQ(ProblemOf(Fail(Code::kInvalid, "x")).status, 422);
  const Problem hidden = ProblemOf(Fail(Code::kCorrupt, "SELECT secret"));
  EXPECT_EQ(hidden.status, 500);
  EXPECT_EQ(hidden.message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace maily::http
