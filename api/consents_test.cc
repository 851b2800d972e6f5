// Consents through the whole API: the ledger, the pages without a key, their limits, and a log that takes nothing.
#include <gtest/gtest.h>

#include <map>
#include <set>

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
  // Its address. `more`: members besides name, list and text.
  std::string MakeForm(json more = json::object()) {
    const Said text = Post("/v1/consent-texts", {{"name", "t"}, {"language", "de"}, {"text", "Ja <bitte>"}});
    Show(text);
    json body{{"name", "f"}, {"list_id", 1}, {"text", text.body["id"]}};
    body.update(more);
    const Said form = Post("/v1/forms", body);
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

TEST_F(ConsentsTest, WhileReadModelsAreAwayWhoConfirmsOrLeavesIsHeard) {
  const std::string form = MakeForm();
  const Said asked = Post(Consents(), {{"list_id", 2}, {"state", "granted"}, {"double_opt_in", true}});
  ASSERT_EQ(asked.status, 200) << asked.body;
  const std::string link = asked.body["confirm_url"].get<std::string>().substr(std::string("https://t.example").size());
  const std::string page = "/p/" + Token(schema::TrackingKind::kPreferences, 0);
  EXPECT_EQ(Newest()["state"], "pending");
  std::map<std::string, std::string> live;
  for (const char* query : {"contact", "consents_of_contact", "public_lists", "form_page"}) {
    const std::string group = world_.views->GroupOf(query);
    if (live.contains(group)) continue;
    live[group] = world_.views->live(group);
    world_.views->SetLive(group, "");
  }
  const Said shown = Get(link);
  EXPECT_EQ(shown.status, 200);
  EXPECT_NE(shown.response.body.find("value=\"confirm\""), std::string::npos) << shown.response.body;
  EXPECT_EQ(Ask(Method::kPost, link, "action=confirm").status, 200);
  const Said preferences = Get(page);
  EXPECT_EQ(preferences.status, 200);
  EXPECT_NE(preferences.response.body.find("value=\"leave_all\""), std::string::npos) << preferences.response.body;
  EXPECT_EQ(preferences.response.body.find("checkbox"), std::string::npos);
  EXPECT_EQ(Ask(Method::kPost, page, "list=1&action=save").status, 503) << "what is public nobody knows";
  EXPECT_EQ(Get(form).status, 503);
  EXPECT_EQ(Ask(Method::kPost, form, "email=bob%40example.com").status, 503);
  EXPECT_EQ(Ask(Method::kPost, page, "action=leave_all").status, 200);
  EXPECT_EQ(Get("/y/AAAA").status, 404);
  for (const auto& [group, database] : live) world_.views->SetLive(group, database);
  const json newest = Newest();
  EXPECT_EQ(newest["purpose"], "marketing");
  EXPECT_EQ(newest["state"], "withdrawn");
  EXPECT_FALSE(newest.contains("ip")) << "without the views its key is not known, and nothing is kept in plain";
  const json history = Get(Consents()).body["history"];
  EXPECT_EQ(history[history.size() - 2]["source"], "double_opt_in") << history;
  EXPECT_EQ(Get(form).status, 200);
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

TEST_F(ConsentsTest, AFormThatCannotMailItsConfirmationIsRefused) {
  const auto refused = [&](json more) {
    json body{{"name", "f"}, {"list_id", 2}, {"text", std::string(64, '0')}, {"double_opt_in", true}};
    body.update(more);
    const Said said = Post("/v1/forms", body);
    EXPECT_EQ(said.status, 422) << said.body;
    return said.body;
  };
  EXPECT_EQ(refused(json::object())["code"], "from_not_verified");
  Show(Ask(Method::kPut, "/v1/settings", json{{"senders", {"news@example.com"}}}.dump()));
  EXPECT_EQ(refused(json::object())["code"], "consent_text_not_found");
  EXPECT_EQ(refused({{"template", "nothing"}})["code"], "template_not_found");
  EXPECT_EQ(refused({{"template", "a"}, {"template_id", 1}, {"version", 0}})["details"].size(), 2u);
  EXPECT_EQ(refused({{"double_opt_in", false}, {"template", "a"}, {"from", "news@example.com"}})["details"].size(), 2u);
  Show(Post("/v1/templates", {{"name", "no link"}, {"subject", "s"}, {"text", "t"}, {"message_class", "transactional"}}));
  EXPECT_EQ(refused({{"template", "no link"}})["code"], "confirm_url_missing");
}

TEST_F(ConsentsTest, AFormMailsOneConfirmationAnHourAndAnotherOnceItHasExpired) {
  Show(Ask(Method::kPut, "/v1/settings", json{{"senders", {"news@example.com"}}}.dump()));
  const std::string form = MakeForm({{"double_opt_in", true}, {"list_id", 2}});
  EXPECT_TRUE(Get("/v1/forms/1").body["mail"]["template_id"].is_null()) << Get("/v1/forms/1").body;
  const auto mails = [&] {
    world_.scheduler.RunFor(Seconds(2));
    return Get("/v1/messages").body["items"];
  };
  Show(Post("/v1/suppressions", {{"email", "dan@example.com"}}));
  std::set<std::string> answers;
  for (const char* who : {"ann", "ann", "bob", "dan"})
    answers.insert(Ask(Method::kPost, form, fmt::format("email={}%40example.com", who)).response.body);
  EXPECT_EQ(answers.size(), 1u);
  ASSERT_EQ(mails().size(), 2u) << mails();
  EXPECT_EQ(mails()[0]["source"], "consents");
  const std::string link = "/y/" + Token(schema::TrackingKind::kConfirm, 1);
  EXPECT_EQ(Newest()["state"], "pending");
  EXPECT_EQ(Ask(Method::kPost, link, "action=again").status, 409);
  world_.scheduler.RunFor(Hours(7 * 24));
  const Said shown = Get(link);
  EXPECT_EQ(shown.status, 200);
  EXPECT_NE(shown.response.body.find("value=\"again\""), std::string::npos) << shown.response.body;
  EXPECT_EQ(mails().size(), 2u) << "looking mails nothing";
  const Said expired = Ask(Method::kPost, link, "action=confirm");
  EXPECT_EQ(expired.status, 410);
  EXPECT_NE(expired.response.body.find("value=\"again\""), std::string::npos) << expired.response.body;
  EXPECT_EQ(Ask(Method::kPost, link, "action=again").status, 200);
  EXPECT_EQ(mails().size(), 3u);
  EXPECT_EQ(Ask(Method::kPost, link, "action=again").status, 410) << "the newest link is another one";
  EXPECT_EQ(Ask(Method::kPost, "/y/" + Token(schema::TrackingKind::kConfirm, 2), "action=confirm").status, 200);
  EXPECT_EQ(Newest()["source"], "double_opt_in");
  EXPECT_EQ(mails().size(), 3u);
}

TEST_F(ConsentsTest, TheApiHasAConfirmationMailedIfItSaysSo) {
  json body{{"list_id", 2}, {"state", "granted"}, {"double_opt_in", true}, {"mail", true}, {"ip", "192.0.2.7"}};
  EXPECT_EQ(Post(Consents(), body).body["code"], "from_not_verified");
  Show(Ask(Method::kPut, "/v1/settings", json{{"senders", {"news@example.com"}}}.dump()));
  const Said asked = Post(Consents(), body);
  ASSERT_EQ(asked.status, 200) << asked.body;
  EXPECT_EQ(asked.body["mailed"], true);
  EXPECT_TRUE(asked.body.contains("confirm_url"));
  EXPECT_EQ(Post(Consents(), body).body["mailed"], false) << "within the hour";
  EXPECT_EQ(Newest()["ip"], "192.0.2.7");
  EXPECT_EQ(Get("/v1/messages").body["items"].size(), 1u);
  body["double_opt_in"] = false;
  EXPECT_EQ(Post(Consents(), body).status, 422);
  body = {{"list_id", 2}, {"state", "granted"}, {"double_opt_in", true}, {"template", "x"}};
  EXPECT_EQ(Post(Consents(), body).body["details"][0]["path"], "/template");
}

}  // namespace
}  // namespace maily::api
