// Membership of a list by hand: on, off, and what cannot be.
#include <gtest/gtest.h>

#include "api/api.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "tests/api/sim_api.h"

namespace maily::api {
namespace {

using nlohmann::json;
using testing::SimApi;

class ListsTest : public ::testing::Test {
 protected:
  ListsTest()
      : router_(MakeRouter({.sender = *world_.sender,
                            .replies = *world_.replies,
                            .keyring = *world_.keyring,
                            .views = *world_.views,
                            .clock = world_.scheduler.clock(),
                            .entropy = world_.scheduler.entropy(),
                            .executor = *world_.api,
                            .blocking = {world_.disk.get()},
                            .bulk = *world_.disk,
                            .log = world_.log.settings(),
                            .read_message_id = {},
                            .not_ready = [] { return std::string(); },
                            .version = "test"})) {
    const gateway::NewApiKey key = gateway::MakeApiKey(world_.scheduler.entropy());
    tenants::v1::CreateApiKey create;
    create.set_key_id(key.key_id);
    create.set_secret_hash(key.hash.data(), key.hash.size());
    create.add_scopes("write");
    create.set_label("test");
    world_.Command(create);
    key_ = key.text;
  }

  std::pair<int, json> Post(const std::string& path, const json& body) {
    http::Request request{.method = http::Method::kPost, .target = path, .body = body.dump()};
    request.headers.Add("authorization", "Bearer " + key_);
    request.headers.Add("content-type", "application/json");
    const http::Router::Match match = router_.Find(request.method, path, request.params);
    std::optional<http::Response> response;
    match.route->handler(std::move(request), [&response](http::Response r) { response = std::move(r); });
    EXPECT_TRUE(world_.Until([&response] { return response.has_value(); }));
    return {response->status, json::parse(response->body, nullptr, false)};
  }

  SimApi world_;
  http::Router router_;
  std::string key_;
};

TEST_F(ListsTest, AContactIsPutOnAListAndTakenOff) {
  const auto [made, list] = Post("/v1/lists", {{"name", "people"}});
  ASSERT_EQ(made, 201);
  ASSERT_EQ(Post("/v1/contacts", {{"email", "ann@example.com"}}).first, 201);
  const std::string members = "/v1/lists/" + list["id"].dump() + "/members";
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}}).first, 200);
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}}).first, 200);
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}, {"leave", true}}).first, 200);
  EXPECT_EQ(Post(members, {{"email", "nobody@example.com"}}).first, 404);
  EXPECT_EQ(Post("/v1/lists/999/members", {{"email", "ann@example.com"}}).first, 404);
}

}  // namespace
}  // namespace maily::api
