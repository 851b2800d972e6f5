// Tests of campaigns and of what their mails call back.
#include <map>

#include "api/signal_keys.h"
#include "maily/engagements/v1/commands.pb.h"
#include "schemas/codec.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

class CampaignApiTest : public ApiTest {
 protected:
  static constexpr const char* kTarget = "https://shop.example.com/new?from=mail&season=spring#a%20b";

  // A campaign that is launched, to ann; gives its id.
  uint64_t Launch(const std::string& more_html = "") {
    EXPECT_EQ(
        Ask(Method::kPut, "/v1/settings", R"({"senders":["news@shop.example.com"],"company":"Shop","postal_address":"1 Main Street"})")
            .status,
        200);
    const Said list = Post("/v1/lists", {{"name", "people"}});
    list_ = list.body["id"];
    const Said contact = Post("/v1/contacts", {{"email", "ann@example.com"}, {"lists", {list_}}});
    contact_ = std::stoull(contact.body["id"].get<std::string>());
    const std::string html =
        std::string() +
        "<p><a href=\"https://shop.example.com/new?from=mail&amp;season=spring#a%20b\">x</a></p>{{ postal_address }}<a href=\"{{ "
        "unsubscribe_url }}\">u</a>" +
        more_html;
    const Said saved =
        Post("/v1/templates", {{"name", "t"}, {"subject", "s"}, {"html", html}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}});
    EXPECT_EQ(saved.status, 201) << saved.body;
    template_ = saved.body["id"];
    const Said made =
        Post("/v1/campaigns", {{"name", "c"}, {"template_id", template_}, {"list_id", list_}, {"from", "news@shop.example.com"}});
    EXPECT_EQ(made.status, 201) << made.body;
    const uint64_t id = made.body["id"];
    const Said launched = Ask(Method::kPost, "/v1/campaigns/" + std::to_string(id) + ":launch");
    EXPECT_EQ(launched.status, 200) << launched.body;
    Show(launched);
    return id;
  }
  std::string Token(schema::TrackingKind kind, uint64_t campaign, uint32_t link = 0) {
    const schema::ContactId contact = schema::UnpackContactId(contact_);
    return schema::EncodeTrackingId({kind, SimApi::kTenant, contact.partition, campaign, contact.ordinal, link},
                                    *world_.keyring->Tenant(SimApi::kTenant).value());
  }
  uint64_t Records() {
    uint64_t written = 0;
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) written += world_.log.Ends({Topic::kCommands, PartitionId(p)}).written.value();
    return written;
  }

  uint64_t list_ = 0, template_ = 0, contact_ = 0;
};

TEST_F(CampaignApiTest, StatesAreGuardedAndCountsAddUp) {
  const uint64_t id = Launch();
  const std::string path = "/v1/campaigns/" + std::to_string(id);
  const Said again = Ask(Method::kPost, path + ":launch");
  EXPECT_EQ(again.status, 409) << again.body;
  EXPECT_EQ(Ask(Method::kPost, path + ":pause").body["status"], "paused");
  EXPECT_EQ(Ask(Method::kPost, path + ":resume").status, 200);
  EXPECT_EQ(Ask(Method::kPost, "/v1/campaigns/999:launch").status, 404);
  EXPECT_EQ(Ask(Method::kPost, "/v1/campaigns/x:launch").status, 404);
  world_.scheduler.RunFor(Seconds(5));
  const json counts = Get(path).body["counts"];
  EXPECT_EQ(counts["audience"], 1) << counts;
  EXPECT_EQ(counts["planned"], 1) << counts;
  EXPECT_EQ(counts["holdout"], 0) << counts;
  EXPECT_EQ(counts["planned"].get<int>(), counts["pending"].get<int>() + counts["delivered"].get<int>() + counts["bounced"].get<int>() +
                                              counts["unknown"].get<int>() + counts["expired"].get<int>() + counts["skipped"].get<int>());
  const json sends = Get(path + "/sends").body["items"];
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0]["contact_id"], std::to_string(contact_));
  EXPECT_EQ(Get(path + "/sends/" + std::to_string(contact_)).status, 200);
  EXPECT_EQ(Get(path + "/sends/12345").status, 404);
  EXPECT_EQ(Get(path + "/report").body["arms"].size(), 1u);
  EXPECT_EQ(Get(path + "/skips").status, 200);
  EXPECT_EQ(Get("/v1/sends/unknown").body["items"].size(), 0u);
  EXPECT_EQ(Get("/v1/deadletters").status, 200);
}

TEST_F(CampaignApiTest, AnEmptyAudienceCannotBeLaunched) {
  Launch();
  const uint64_t empty = Post("/v1/lists", {{"name", "empty"}}).body["id"];
  const Said made =
      Post("/v1/campaigns", {{"name", "e"}, {"template_id", template_}, {"list_id", empty}, {"from", "news@shop.example.com"}});
  const Said said = Ask(Method::kPost, "/v1/campaigns/" + made.body["id"].dump() + ":launch");
  EXPECT_EQ(said.status, 422);
  EXPECT_EQ(said.body["code"], "empty_audience");
  ASSERT_EQ(said.body["details"].size(), 1u) << said.body;
  EXPECT_EQ(said.body["details"][0]["path"], "/list_id");
  EXPECT_EQ(Get("/v1/campaigns/" + made.body["id"].dump()).body["status"], "draft");
}

TEST_F(CampaignApiTest, AnEvergreenCampaignTakesInWhoComesUntilItIsFinished) {
  const uint64_t once = Launch();
  EXPECT_EQ(Get("/v1/campaigns/" + std::to_string(once)).body["evergreen"], false);
  EXPECT_EQ(Ask(Method::kPost, "/v1/campaigns/" + std::to_string(once) + ":finish").body["code"], "campaign_not_evergreen");
  const uint64_t empty = Post("/v1/lists", {{"name", "empty"}}).body["id"];
  const json spec = {{"name", "e"}, {"template_id", template_}, {"list_id", empty}, {"from", "news@shop.example.com"}, {"evergreen", true}};
  const Said made = Post("/v1/campaigns", spec);
  ASSERT_EQ(made.status, 201) << made.body;
  Show(made);
  const std::string path = "/v1/campaigns/" + made.body["id"].dump();
  EXPECT_EQ(Get(path).body["evergreen"], true);
  EXPECT_TRUE(Get(path).body["entry"].is_null());
  // A draft's is changed, and taken back.
  Show(Ask(Method::kPatch, path, R"({"evergreen":null})", {{"if-match", "1"}}));
  EXPECT_EQ(Get(path).body["evergreen"], false);
  Show(Ask(Method::kPatch, path, R"({"evergreen":true})", {{"if-match", "2"}}));
  EXPECT_EQ(Ask(Method::kPatch, path, R"({"evergreen":1})", {{"if-match", "3"}}).body["details"][0]["path"], "/evergreen");
  const Said foreseen = Ask(Method::kPost, path + ":launch?dry_run=true");
  ASSERT_EQ(foreseen.status, 202) << foreseen.body;
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_EQ(Get("/v1/launch-previews/" + foreseen.body["id"].dump()).body["may_launch"], true);
  const Said launched = Ask(Method::kPost, path + ":launch");
  EXPECT_EQ(launched.status, 200) << launched.body;
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_EQ(Get(path).body["status"], "running");
  EXPECT_EQ(Get(path).body["entry"], "open");
  Show(Post("/v1/contacts", {{"email", "later@example.com"}, {"lists", {empty}}}));
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_EQ(Get(path).body["counts"]["audience"], 1);
  EXPECT_EQ(Get(path + "/sends").body["items"].size(), 1u);
  const Said finished = Ask(Method::kPost, path + ":finish");
  EXPECT_EQ(finished.status, 200) << finished.body;
  EXPECT_EQ(finished.body["entry"], "finishing");
  Show(finished);
  EXPECT_EQ(Get(path).body["entry"], "finishing");
  EXPECT_FALSE(Get(path).body["finishing_at"].is_null());
  Show(Ask(Method::kPost, path + ":cancel"));
  EXPECT_EQ(Get(path).body["entry"], "closed");
}

TEST_F(CampaignApiTest, EveryReasonAgainstALaunchIsNamedAtOnce) {
  Launch();
  const uint64_t empty = Post("/v1/lists", {{"name", "empty"}}).body["id"];
  const Said made = Post("/v1/campaigns", {{"name", "e"}, {"template_id", 77}, {"list_id", empty}, {"from", "eve@other.example.com"}});
  const std::string launch = "/v1/campaigns/" + made.body["id"].dump() + ":launch";
  const Said said = Ask(Method::kPost, launch);
  EXPECT_EQ(said.status, 422);
  std::map<std::string, std::string> found;
  for (const json& detail : said.body["details"]) found[detail["code"]] = detail["path"];
  EXPECT_EQ(found, (std::map<std::string, std::string>{
                       {"template_not_found", "/template_id"}, {"from_not_verified", "/from"}, {"empty_audience", "/list_id"}}))
      << said.body;
  EXPECT_EQ(Post(launch, {{"when", "now"}}).body["details"][0]["code"], "unknown_field");
}

TEST_F(CampaignApiTest, ALaunchThatComesAgainWithItsKeyGetsItsAnswerThoughTheAudienceLeft) {
  Launch();
  const Said made =
      Post("/v1/campaigns", {{"name", "e"}, {"template_id", template_}, {"list_id", list_}, {"from", "news@shop.example.com"}});
  const std::string launch = "/v1/campaigns/" + made.body["id"].dump() + ":launch";
  const http::Headers key{{"idempotency-key", "launch-1"}};
  const Said first = Ask(Method::kPost, launch, "", key);
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(Post("/v1/lists/" + std::to_string(list_) + "/members", {{"email", "ann@example.com"}, {"leave", true}}).status, 200);
  const Said again = Ask(Method::kPost, launch, "", key);
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(again.body, first.body);
}

TEST_F(CampaignApiTest, ARunningCampaignSaysWhyNoMailGoesOut) {
  const uint64_t id = Launch();
  const std::string path = "/v1/campaigns/" + std::to_string(id);
  EXPECT_TRUE(Get(path).body["trouble"].is_null());
  trouble_ = "the relay is down";
  EXPECT_EQ(Get(path).body["trouble"], trouble_);
  Show(Ask(Method::kPost, path + ":cancel"));
  EXPECT_TRUE(Get(path).body["trouble"].is_null());
}

TEST_F(CampaignApiTest, APreviewIsMadeOfWhatTheContactWillGet) {
  const uint64_t id = Launch();
  for (const auto& [name, type, personal] :
       {std::tuple("first", "text", true), {"score", "number", false}, {"age", "integer", false}, {"vip", "boolean", false}}) {
    EXPECT_EQ(Post("/v1/attributes", {{"name", name}, {"type", type}, {"personal", personal}}).status, 201);
  }
  const Said contact =
      Post("/v1/contacts", {{"email", "Zoe@example.com"}, {"attributes", {{"first", "Zoë"}, {"score", 2.5}, {"age", 30}, {"vip", false}}}});
  const std::string path = "/v1/campaigns/" + std::to_string(id) + "/preview";
  const std::string fresh = "&wait_ms=5000&min=" + contact.token();
  const Said said = Get(path + "?email=zoe%40example.com" + fresh);
  ASSERT_EQ(said.status, 200) << said.body;
  EXPECT_EQ(said.body["contact_id"], contact.body["id"]);
  EXPECT_EQ(said.body["to"], "Zoe@example.com");
  EXPECT_EQ(said.body["subject"], "s");
  EXPECT_EQ(said.body["message"], "whole");
  EXPECT_EQ(previewed_.attributes,
            (std::map<std::string, std::string>{{"first", "\"Zoë\""}, {"score", "2.5"}, {"age", "30"}, {"vip", "false"}}));
  EXPECT_EQ(previewed_.postal_address, "1 Main Street");
  EXPECT_EQ(previewed_.links, std::vector<std::string>{kTarget});
  // What was launched stays, whatever is saved later.
  Ask(Method::kPut, "/v1/settings", R"({"postal_address":"elsewhere"})");
  const Said saved = Post("/v1/templates", {{"name", "t"}, {"subject", "later"}, {"html", "{{ postal_address }} {{ unsubscribe_url }}"}});
  const Said draft =
      Post("/v1/campaigns", {{"name", "d"}, {"template_id", saved.body["id"]}, {"list_id", list_}, {"from", "news@shop.example.com"}});
  Show(draft);
  EXPECT_EQ(Get(path + "?contact_id=" + contact.body["id"].get<std::string>()).body["subject"], "s");
  EXPECT_EQ(previewed_.postal_address, "1 Main Street");
  EXPECT_EQ(Get("/v1/campaigns/" + draft.body["id"].dump() + "/preview?email=zoe%40example.com").body["subject"], "later");
  EXPECT_EQ(previewed_.postal_address, "elsewhere");
  EXPECT_EQ(Get(path + "?email=nobody%40example.com").status, 404);
  EXPECT_EQ(Get(path + "?contact_id=12").status, 404);
  EXPECT_EQ(Get(path).status, 422);
  EXPECT_EQ(Get("/v1/campaigns/99/preview?email=zoe%40example.com").status, 404);
}

TEST_F(CampaignApiTest, AClickLeadsToTheExactTargetAndCountsOnce) {
  const uint64_t id = Launch();
  const std::string click = "/c/" + Token(schema::TrackingKind::kClick, id);
  const uint64_t before = Records();
  const Said head = Ask(Method::kHead, click);
  EXPECT_EQ(head.status, 302);
  EXPECT_EQ(Records(), before);
  const Said said = Get(click);
  EXPECT_EQ(said.status, 302);
  EXPECT_EQ(said.response.headers["location"], kTarget);
  EXPECT_GT(Records(), before);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id, 99)).status, 404);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kOpen, id)).status, 404);
  std::string forged = Token(schema::TrackingKind::kClick, id);
  forged[forged.size() / 2] = forged[forged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Get("/c/" + forged).status, 404);
  world_.scheduler.RunFor(Seconds(2));
  const json report = Get("/v1/campaigns/" + std::to_string(id) + "/report").body;
  // Nothing says who it was: it is nobody's in particular, and counted as such.
  EXPECT_EQ(report["totals"]["unknown_clicks"], 1) << report;
  EXPECT_EQ(report["totals"]["clicks"], 0);
  EXPECT_EQ(report["totals"]["machine_clicks"], 0);
  EXPECT_EQ(report["signal_filter"], 3);
}

TEST_F(CampaignApiTest, AFollowedHoneypotIsNoClickAndMakesTheClicksBesideItAMachines) {
  const uint64_t id = Launch();
  const http::Headers browser{{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}};
  const std::string trap = "/c/" + Token(schema::TrackingKind::kHoneypot, id);
  const uint64_t before = Records();
  EXPECT_EQ(Ask(Method::kHead, trap).status, 200);
  EXPECT_EQ(Records(), before);
  EXPECT_EQ(Ask(Method::kGet, "/c/" + Token(schema::TrackingKind::kClick, id), "", browser).status, 302);
  const Said followed = Ask(Method::kGet, trap, "", browser);
  EXPECT_EQ(followed.status, 200);
  EXPECT_EQ(followed.response.headers["location"], "");
  EXPECT_EQ(followed.response.headers["cache-control"], "no-store, max-age=0");
  EXPECT_EQ(Get(trap + "x").status, 404);
  EXPECT_EQ(Get("/o/" + Token(schema::TrackingKind::kHoneypot, id) + ".gif").status, 200) << "a pixel is always answered";
  world_.scheduler.RunFor(Seconds(2));
  const json items = Get("/v1/contacts/" + std::to_string(contact_) + "/engagements").body["items"];
  ASSERT_EQ(items.size(), 1u) << items;
  EXPECT_EQ(items[0]["read_by"], "machine");
  EXPECT_EQ(items[0]["rule"], "honeypot");
}

TEST_F(CampaignApiTest, AnArmsTemplateIsInItsPreviewAndPinnedByTheLaunch) {
  Launch();
  const json text = {
      {"name", "short"}, {"subject", "short"}, {"text", "https://shop.example.com/2 {{ unsubscribe_url }} {{ postal_address }}"}};
  const Said own = Post("/v1/templates", text);
  json draft{{"name", "c"},
             {"template_id", template_},
             {"list_id", list_},
             {"from", "news@shop.example.com"},
             {"arms",
              {{{"name", "none"}, {"weight", 10}, {"holdout", true}},
               {{"name", "long"}, {"weight", 40}, {"from_name", "Ann"}},
               {{"name", "short"}, {"weight", 50}, {"subject", "Look"}, {"template_id", own.body["id"]}}}}};
  const Said made = Post("/v1/campaigns", draft);
  ASSERT_EQ(made.status, 201) << made.body;
  Show(made);
  const std::string at = "/v1/campaigns/" + made.body["id"].dump();
  const auto preview = [&](const std::string& more) { return Get(at + "/preview?email=ann%40example.com" + more); };
  EXPECT_EQ(preview("").body["arm"], "long") << "the first that gets any";
  EXPECT_EQ(previewed_.from_name, "Ann");
  EXPECT_EQ(preview("&arm=short").body["template_id"], own.body["id"]);
  EXPECT_EQ(previewed_.subject, "Look");
  EXPECT_EQ(previewed_.links, std::vector<std::string>{"https://shop.example.com/2"});
  EXPECT_EQ(preview("&arm=none").status, 422);
  EXPECT_EQ(preview("&arm=nobody").status, 422);
  const Said launched = Ask(Method::kPost, at + ":launch");
  ASSERT_EQ(launched.status, 200) << launched.body;
  Show(launched);
  Show(Post("/v1/templates", {{"name", "short"}, {"subject", "edited"}, {"text", text["text"]}}));
  const json arms = Get(at).body["arms"];
  EXPECT_TRUE(arms[0]["template_id"].is_null()) << arms;
  EXPECT_EQ(arms[1]["template_id"], template_);
  EXPECT_EQ(arms[2]["template_id"], own.body["id"]);
  EXPECT_EQ(arms[2]["template_version"], 1);
  EXPECT_EQ(preview("&arm=short").body["template_version"], 1) << "what the launch has pinned";
  EXPECT_TRUE(Get(at + "/report").body["locales"].is_array());
  draft["arms"][0]["template_id"] = own.body["id"];
  const Said wrong = Post("/v1/campaigns", draft);
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(wrong.body["details"][0]["path"], "/arms/0/template_id") << wrong.body;
}

TEST_F(CampaignApiTest, ATemplateOutOfUseIsListedApartAndOneInUseIsNotDeleted) {
  const uint64_t campaign = Launch();
  const std::string at = "/v1/templates/" + std::to_string(template_);
  const Said used = Ask(Method::kDelete, at);
  EXPECT_EQ(used.status, 409);
  EXPECT_EQ(used.body["code"], "template_in_use");
  EXPECT_NE(used.body["message"].get<std::string>().find("campaign " + std::to_string(campaign)), std::string::npos) << used.body;
  Show(Ask(Method::kPost, at + ":archive"));
  EXPECT_TRUE(Get("/v1/templates").body["items"].empty());
  EXPECT_EQ(Get("/v1/templates?archived=true").body["items"][0]["id"], template_);
  EXPECT_TRUE(Get(at).body["archived_at"].is_string());
  EXPECT_EQ(Post("/v1/campaigns", {{"name", "c"}, {"template_id", template_}, {"from", "news@shop.example.com"}}).status, 422);
  EXPECT_EQ(Post("/v1/messages", {{"to", "ann@example.com"}, {"template_id", template_}}).body["code"], "template_archived");
  Show(Ask(Method::kPost, at + ":restore"));
  EXPECT_EQ(Get("/v1/templates").body["items"].size(), 1u);
  EXPECT_TRUE(Get(at).body["archived_at"].is_null());
  const Said spare = Post("/v1/templates", {{"name", "spare"}, {"subject", "s"}, {"text", "{{ unsubscribe_url }} {{ postal_address }}"}});
  const std::string other = "/v1/templates/" + spare.body["id"].dump();
  const Said gone = Ask(Method::kDelete, other);
  EXPECT_EQ(gone.status, 204) << gone.body;
  Show(gone);
  EXPECT_EQ(Get(other).status, 404);
  EXPECT_EQ(Ask(Method::kDelete, other).status, 404);
  EXPECT_EQ(Ask(Method::kPost, "/v1/templates/77:archive").status, 404);
}

TEST_F(CampaignApiTest, TrackingIsOffByTenantCampaignAndContact) {
  EXPECT_EQ(Get("/v1/settings").body["tracking"], "on");
  Launch();
  Show(Post("/v1/contacts", {{"email", "zoe@example.com"}}));
  const json campaign{{"name", "c"}, {"template_id", template_}, {"list_id", list_}, {"from", "news@shop.example.com"}};
  const auto preview = [this](const json& made) {
    const Said said = Get("/v1/campaigns/" + made["id"].dump() + "/preview?email=zoe%40example.com");
    EXPECT_EQ(said.status, 200) << said.body;
    EXPECT_EQ(said.body["tracking"], previewed_.untracked ? "off" : "on");
    return said.body["tracking"].get<std::string>();
  };
  const Said on = Post("/v1/campaigns", campaign);
  Show(on);
  EXPECT_EQ(preview(on.body), "on");
  json without = campaign;
  without["tracking"] = "off";
  const Said off = Post("/v1/campaigns", without);
  Show(off);
  EXPECT_EQ(Get("/v1/campaigns/" + off.body["id"].dump()).body["tracking"], "off");
  EXPECT_EQ(preview(off.body), "off");
  without["tracking"] = "no";
  EXPECT_EQ(Post("/v1/campaigns", without).status, 422);
  EXPECT_EQ(Ask(Method::kPut, "/v1/settings", R"({"tracking":false})").status, 422);
  // The tenant's word counts for what is launched from now on.
  Show(Ask(Method::kPut, "/v1/settings", R"({"tracking":"off"})"));
  EXPECT_EQ(Get("/v1/settings").body["tracking"], "off");
  EXPECT_EQ(preview(on.body), "off");
  Show(Ask(Method::kPost, "/v1/campaigns/" + on.body["id"].dump() + ":launch"));
  Show(Ask(Method::kPut, "/v1/settings", R"({"tracking":"on"})"));
  EXPECT_EQ(preview(on.body), "off");
  EXPECT_EQ(Get("/v1/campaigns/" + on.body["id"].dump()).body["tracking"], "off");
  // A contact's for itself.
  const Said later = Post("/v1/campaigns", campaign);
  Show(later);
  EXPECT_EQ(preview(later.body), "on");
  Show(Post("/v1/attributes", {{"name", "tracking"}, {"type", "boolean"}}));
  Show(Post("/v1/contacts", {{"email", "zoe@example.com"}, {"attributes", {{"tracking", false}}}}));
  EXPECT_EQ(preview(later.body), "off");
}

TEST_F(CampaignApiTest, ARedirectLeadsToTheBytesThatTheTemplateHas) {
  const std::vector<std::string> targets = {"https://a.example/p%20q%2Fr%2f?x=%C3%A9&y=a+b&y=a%2Bb#c%20d?e&f",
                                            "https://b\xC3\xBC"
                                            "cher.example/\xC3\xA4",
                                            "https://xn--bcher-kva.example",
                                            "HTTPS://A.Example:8443/~u/;p=1,2!*()@:$?next=https://b.example/?a"};
  std::string html;
  for (const std::string& target : targets) {
    html += "<a href=\"";
    for (const char c : target) html += c == '&' ? std::string("&amp;") : std::string(1, c);
    html += "\">x</a>";
  }
  const uint64_t id = Launch(html + "<a href='mailto:x@y.example'>m</a><a data-track='false' href='https://own.example/'>o</a>");
  for (uint32_t i = 0; i < targets.size(); ++i) {
    const std::string click = "/c/" + Token(schema::TrackingKind::kClick, id, i + 1);
    for (const Method method : {Method::kGet, Method::kHead}) {
      const Said said = Ask(method, click);
      EXPECT_EQ(said.status, 302);
      EXPECT_EQ(said.response.headers["location"], targets[i]);
    }
  }
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id, static_cast<uint32_t>(targets.size()) + 1)).status, 404)
      << "no other link is tracked";
}

TEST_F(CampaignApiTest, AnOverrideIsARequestOfItsOwn) {
  const uint64_t id = Launch();
  const std::string path = "/v1/campaigns/" + std::to_string(id);
  EXPECT_TRUE(Get(path).body["stop"].is_null());
  Show(Ask(Method::kPost, path + ":pause"));
  EXPECT_EQ(Ask(Method::kPost, path + ":resume", R"({"override":"yes"})").status, 422);
  EXPECT_EQ(Ask(Method::kPost, path + ":resume", R"({"overide":true})").status, 422);
  // Where no safety stop is there is nothing to override.
  const Said resumed = Ask(Method::kPost, path + ":resume", R"({"override":true,"why":"it is fine"})");
  EXPECT_EQ(resumed.status, 200) << resumed.body;
  Show(resumed);
  EXPECT_TRUE(Get(path).body["overridden"].is_null());
  const json safety = Get("/v1/settings").body["safety"];
  EXPECT_EQ(safety,
            (json{{"hard_bounces_bp", 500}, {"complaints_bp", 30}, {"policy_bp", 500}, {"after_sends", 500}, {"after_replies", 200}}));
  EXPECT_EQ(Ask(Method::kPut, "/v1/settings", R"({"safety":{"policy_bp":10001}})").status, 422);
  EXPECT_EQ(Ask(Method::kPut, "/v1/settings", R"({"safety":{"policy":1}})").status, 422);
  Show(Ask(Method::kPut, "/v1/settings", R"({"safety":{"complaints_bp":10}})"));
  EXPECT_EQ(Get("/v1/settings").body["safety"]["complaints_bp"], 10);
  EXPECT_EQ(Get("/v1/settings").body["safety"]["after_sends"], 500);
}

TEST_F(CampaignApiTest, OfAReaderTheAgentAndTheNetworkAreStoredSealed) {
  const uint64_t id = Launch();
  const std::string agent = "Mozilla/5.0 of-ann (via ggpht.com GoogleImageProxy)";
  // What a header says of the address is anybody's word; the connection's other end counts.
  EXPECT_EQ(Ask(Method::kGet, "/o/" + Token(schema::TrackingKind::kOpen, id) + ".gif", "",
                {{"user-agent", agent}, {"x-forwarded-for", "203.0.113.7"}})
                .status,
            200);
  EXPECT_EQ(Ask(Method::kGet, "/c/" + Token(schema::TrackingKind::kClick, id), "", {{"user-agent", "python-requests of-ann"}}).status, 302);
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id)).status, 302);
  world_.scheduler.RunFor(Seconds(2));
  std::vector<engagements::v1::AgentClass> classes;
  std::vector<std::string> agents;
  std::vector<std::string> networks;
  const auto look = [&](auto message) {
    classes.push_back(message->agent());
    EXPECT_EQ(schema::OpenPersonal(*message, SimApi::kTenant, *world_.keyring).value(), 0u);
    agents.push_back(message->user_agent());
    networks.push_back(message->ip());
  };
  for (uint16_t p = 0; p < SimApi::kPartitions; ++p) {
    for (const Topic topic : {Topic::kCommands, Topic::kJournal}) {
      const auto records = world_.log.Read({topic, PartitionId(p)}, Offset(0), 64 << 20, ReadTo::kDurable);
      for (const LogRecord& record : records.value()) {
        for (const char* word : {"of-ann", "203.0.113.7", kReader}) EXPECT_EQ(record.bytes.find(word), std::string::npos) << word;
        if (topic == Topic::kJournal) continue;
        const LogSettings& settings = world_.log.settings();
        const auto commands = command::ParseRecord(record.bytes, settings.log_id, settings.generation, PartitionId(p));
        for (const command::Command& command : commands.value()) {
          if (command.type == TypeNumberOf<engagements::v1::RecordOpen>())
            look(schema::Decode<engagements::v1::RecordOpen>(command.payload));
          if (command.type == TypeNumberOf<engagements::v1::RecordClick>())
            look(schema::Decode<engagements::v1::RecordClick>(command.payload));
        }
      }
    }
  }
  EXPECT_EQ(classes, (std::vector{engagements::v1::AGENT_IMAGE_PROXY, engagements::v1::AGENT_MACHINE, engagements::v1::AGENT_UNKNOWN}));
  EXPECT_EQ(agents, (std::vector<std::string>{agent, "python-requests of-ann", ""}));
  EXPECT_EQ(networks, (std::vector<std::string>(3, std::string("\xC6\x33\x64", 3))));  // of kReader
  const json engagements = Get("/v1/contacts/" + std::to_string(contact_) + "/engagements").body["items"];
  ASSERT_EQ(engagements.size(), 3u) << engagements;
  EXPECT_EQ(engagements[1]["read_by"], "machine");
  EXPECT_EQ(engagements[1]["rule"], "python");
  EXPECT_EQ(engagements[2]["read_by"], "unknown");
}

TEST(SignalKeys, AreOfAMonth) {
  const Instant at{1'795'305'600'000'000};  // 2026-11-22T00:00:00Z
  EXPECT_EQ(SignalSubject(at), "signals:2026-11");
  EXPECT_EQ(SignalSubject(at, 11), "signals:2025-12");
  EXPECT_EQ(SignalSubject(at, kSignalMonthsKept), "signals:2024-10");
}

TEST_F(CampaignApiTest, RawSignalsAreForgottenAfterTheirTime) {
  const uint64_t id = Launch();
  const Instant now = world_.scheduler.clock().Now();
  const auto old = world_.keyring->GetOrCreate(SimApi::kTenant, SignalSubject(now, kSignalMonthsKept)).value();
  const auto kept = world_.keyring->GetOrCreate(SimApi::kTenant, SignalSubject(now, kSignalMonthsKept - 1)).value();
  EXPECT_EQ(Get("/c/" + Token(schema::TrackingKind::kClick, id)).status, 302);
  world_.scheduler.RunFor(Seconds(1));
  EXPECT_EQ(world_.keyring->Find(SimApi::kTenant, old.key_id).error().code, Code::kNotFound);
  EXPECT_TRUE(world_.keyring->Find(SimApi::kTenant, kept.key_id));
}

TEST_F(CampaignApiTest, AReaderGetsAnAnswerThoughNothingCanBeStored) {
  const uint64_t id = Launch();
  const std::string click = "/c/" + Token(schema::TrackingKind::kClick, id);
  ASSERT_EQ(Get(click).status, 302);  // its links are in memory now
  world_.log.SetFull(true);
  EXPECT_EQ(Get(click).status, 302);
  const Said pixel = Get("/o/" + Token(schema::TrackingKind::kOpen, id) + ".gif");
  EXPECT_EQ(pixel.status, 200);
  EXPECT_EQ(pixel.response.headers["content-type"], "image/gif");
  EXPECT_EQ(Ask(Method::kPost, "/u/" + Token(schema::TrackingKind::kUnsubscribe, id), "List-Unsubscribe=One-Click").status, 503);
  EXPECT_EQ(Post("/v1/lists", {{"name", "x"}}).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Ask(Method::kPost, "/u/" + Token(schema::TrackingKind::kUnsubscribe, id), "List-Unsubscribe=One-Click").status, 200);
}

TEST_F(CampaignApiTest, OptingOutTakesAPost) {
  const uint64_t id = Launch();
  const std::string path = "/u/" + Token(schema::TrackingKind::kUnsubscribe, id);
  const uint64_t before = Records();
  const Said page = Get(path);
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.response.body.find("<form method=\"post\"><button"), std::string::npos);
  EXPECT_EQ(Records(), before);
  for (const std::string& body :
       {std::string("List-Unsubscribe=One-Click"), std::string(),
        std::string("--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--")}) {
    const Said said = Ask(Method::kPost, path, body, {{"authorization", ""}});
    EXPECT_EQ(said.status, 200);
    EXPECT_FALSE(said.response.headers.Find("location") || said.response.headers.Find("set-cookie"));
  }
  EXPECT_EQ(Ask(Method::kPost, "/u/AAAA").status, 404);
  world_.scheduler.RunFor(Seconds(2));
  EXPECT_FALSE(Get("/v1/contacts/" + std::to_string(contact_)).body["unsubscribed_at"].is_null());
}

TEST_F(CampaignApiTest, AForgedPixelIsAPixelAndCountsNothing) {
  const uint64_t before = Records();
  for (const std::string token : {"AAAA.gif", "x", "A%00.gif"}) {
    const Said said = Get("/o/" + token);
    if (said.status == 404) continue;  // no path at all
    EXPECT_EQ(said.status, 200);
    EXPECT_EQ(said.response.body.substr(0, 6), "GIF89a");
  }
  EXPECT_EQ(Records(), before);
}

}  // namespace
}  // namespace maily::api
