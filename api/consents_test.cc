// Consents through the whole API: the ledger, the pages without a key, their limits, and a log that takes nothing.
#include <gtest/gtest.h>

#include "api/people_pages.h"
#include "schemas/tracking_id.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

class ConsentsTest : public ApiTest {
 protected:
  ConsentsTest() {
    dependencies_.tracking_base_url = "https://t.example";
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    for (const bool is_public : {true, true, false})
      Show(ApiTest::Post("/v1/lists", {{"name", is_public ? fmt::format("open {}", ++named_) : "staff"}, {"public", is_public}}));
    const Said made = ApiTest::Post("/v1/contacts", {{"email", "ann@example.com"}, {"attributes", {{"locale", "de_CH"}}}, {"lists", {1}}});
    contact_ = made.body["id"];
    Show(made);
  }
  std::string Token(schema::TrackingKind kind, uint64_t number) {
    const schema::ContactId id = schema::UnpackContactId(std::stoull(contact_));
    return schema::EncodeTrackingId({kind, SimApi::kTenant, id.partition, number, id.ordinal, 0},
                                    *world_.keyring->Tenant(SimApi::kTenant).value());
  }
  std::string Consents(const std::string& query = "") { return "/v1/contacts/" + contact_ + "/consents" + query; }
  json Newest() {
    world_.scheduler.RunFor(Seconds(2));
    return Get(Consents()).body["history"].back();
  }
  std::string MakeForm() {
    const Said text = Post("/v1/consent-texts", {{"name", "t"}, {"language", "de"}, {"text", "Ja <bitte>"}});
    Show(text);
    const Said form = Post("/v1/forms", {{"name", "f"}, {"list_id", 1}, {"text", text.body["id"]}});
    EXPECT_EQ(form.status, 201) << form.body;
    Show(form);
    const std::string url = Get("/v1/forms/1").body["url"];
    EXPECT_TRUE(url.starts_with("https://t.example/f/")) << url;
    return url.substr(std::string("https://t.example").size());
  }
  uint64_t Records() {
    uint64_t written = 0;
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) written += world_.log.Ends({Topic::kCommands, PartitionId(p)}).written.value();
    return written;
  }

  int named_ = 0;
  std::string contact_;
};

TEST_F(ConsentsTest, TheLedgerIsAsOfAnyTimeThatHasBeen) {
  const json found = Get(Consents()).body;
  ASSERT_EQ(found["consents"].size(), 1u) << found;
  EXPECT_EQ(found["consents"][0]["source"], "api");
  EXPECT_EQ(Get(Consents("?as_of=2001-01-01T00:00:00Z")).body["consents"], json::array());
  EXPECT_EQ(Get(Consents("?as_of=2999-01-01T00:00:00Z")).status, 422);
  EXPECT_EQ(Get("/v1/lists/1/members?as_of=2001-01-01T00:00:00Z").body["items"], json::array());
  EXPECT_EQ(Get("/v1/lists/1/members").body["items"].size(), 1u);
}

TEST_F(ConsentsTest, ThePageShowsPublicListsInTheContactsLanguage) {
  const std::string page = "/p/" + Token(schema::TrackingKind::kPreferences, 0);
  const uint64_t before = Records();
  const Said shown = Get(page);
  EXPECT_EQ(shown.status, 200);
  EXPECT_NE(shown.response.body.find("lang=\"de\""), std::string::npos);
  EXPECT_NE(shown.response.body.find("value=\"1\" checked"), std::string::npos);
  EXPECT_EQ(shown.response.body.find("staff"), std::string::npos);
  EXPECT_EQ(Records(), before);
  EXPECT_EQ(Ask(Method::kPost, page, "list=2&list=3&action=save").status, 200);
  world_.scheduler.RunFor(Seconds(2));
  const json members = Get("/v1/contacts/" + contact_).body["lists"];
  ASSERT_EQ(members.size(), 1u) << members;
  EXPECT_EQ(members[0]["id"], 2);
  EXPECT_EQ(Newest()["ip"], kReader);
  EXPECT_EQ(Get("/p/AAAA").status, 404);
  EXPECT_EQ(Get("/p/" + Token(schema::TrackingKind::kUnsubscribe, 0)).status, 404);  // of another kind
}

TEST_F(ConsentsTest, WhatCannotBeStoredIsNotCalledDone) {
  const std::string page = "/p/" + Token(schema::TrackingKind::kPreferences, 0);
  world_.log.SetFull(true);
  EXPECT_EQ(Ask(Method::kPost, page, "action=leave_all").status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Ask(Method::kPost, page, "action=leave_all").status, 200);
  EXPECT_EQ(Newest()["purpose"], "marketing");
}

TEST_F(ConsentsTest, AConfirmationIsValidForSevenDays) {
  const Said asked = Post(Consents(), {{"list_id", 2}, {"state", "granted"}, {"double_opt_in", true}});
  ASSERT_EQ(asked.status, 200) << asked.body;
  const std::string link = asked.body["confirm_url"].get<std::string>().substr(std::string("https://t.example").size());
  EXPECT_NE(Get(link).response.body.find("<button"), std::string::npos);
  EXPECT_EQ(Newest()["state"], "pending");
  world_.scheduler.RunFor(Hours(7 * 24));
  EXPECT_NE(Get(link).response.body.find("nicht mehr"), std::string::npos);
  EXPECT_EQ(Ask(Method::kPost, link, "action=confirm").status, 410);
  const Said again = Post(Consents(), {{"list_id", 2}, {"state", "granted"}, {"double_opt_in", true}});
  const std::string fresh = again.body["confirm_url"].get<std::string>().substr(std::string("https://t.example").size());
  EXPECT_EQ(Ask(Method::kPost, fresh, "action=confirm").status, 200);
  EXPECT_EQ(Ask(Method::kPost, fresh, "action=confirm").status, 200);
  EXPECT_EQ(Newest()["source"], "double_opt_in");
}

TEST_F(ConsentsTest, AFormAnswersAllAlikeAndEachClientSoOften) {
  const std::string form = MakeForm();
  const Said shown = Get(form);
  EXPECT_NE(shown.response.body.find("Ja &lt;bitte&gt;"), std::string::npos);
  const uint64_t before = Records();
  const std::string trapped = Ask(Method::kPost, form, "email=robot%40example.com&website=x").response.body;
  EXPECT_EQ(Records(), before);
  const std::string known = Ask(Method::kPost, form, "email=ann%40example.com").response.body;
  const uint64_t of_known = Records() - before;
  const std::string unknown = Ask(Method::kPost, form, "email=nobody%40example.com").response.body;
  EXPECT_EQ(Records() - before, 2 * of_known);
  EXPECT_EQ(known, unknown);
  EXPECT_EQ(known, trapped);
  EXPECT_EQ(Ask(Method::kPost, form, "email=x").status, 422);
  for (int i = 4; i < kFormPostsMax; ++i) EXPECT_EQ(Ask(Method::kPost, form, "email=ann%40example.com").status, 200);
  const Said refused = Ask(Method::kPost, form, "email=ann%40example.com");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.response.headers["retry-after"], "60");
  world_.scheduler.RunFor(kFormWindow);
  EXPECT_EQ(Ask(Method::kPost, form, "email=ann%40example.com").status, 200);
  Show(Ask(Method::kPost, "/v1/forms/1:archive"));
  EXPECT_EQ(Get(form).status, 404);
}

TEST_F(ConsentsTest, AFormThatAsksForAConfirmationIsRefusedAsLongAsNobodyMailsIt) {
  const Said said = Post("/v1/forms", {{"name", "f"}, {"list_id", 1}, {"text", std::string(64, '0')}, {"double_opt_in", true}});
  EXPECT_EQ(said.status, kConfirmationsAreMailed ? 422 : 501) << said.body;
}

}  // namespace
}  // namespace maily::api
