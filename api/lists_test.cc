// Membership of a list by hand: on, off, and what cannot be.
#include "tests/api/client.h"

namespace maily::api {
namespace {

TEST_F(ApiTest, AContactIsPutOnAListAndTakenOff) {
  const Said list = Post("/v1/lists", {{"name", "people"}});
  ASSERT_EQ(list.status, 201);
  ASSERT_EQ(Post("/v1/contacts", {{"email", "ann@example.com"}}).status, 201);
  const std::string members = "/v1/lists/" + list.body["id"].dump() + "/members";
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}}).status, 200);
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}}).status, 200);
  EXPECT_EQ(Post(members, {{"email", "ann@example.com"}, {"leave", true}}).status, 200);
  EXPECT_EQ(Post(members, {{"email", "nobody@example.com"}}).status, 404);
  EXPECT_EQ(Post("/v1/lists/999/members", {{"email", "ann@example.com"}}).status, 404);
}

}  // namespace
}  // namespace maily::api
