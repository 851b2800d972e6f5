// Webhooks through the whole API: who is let in, what is answered when, and what is remembered between requests.
#include "api/webhooks.h"

#include "api/esp/mailgun.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

// Answers each GET at once, or keeps it until it is told.
class Pages : public Fetch {
 public:
  void Get(const std::string& url, Executor& on, FetchDone done) override {
    asked.push_back(url);
    if (hold) {
      held.push_back([&on, done = std::move(done), fetched = next]() mutable {
        on.Post([done = std::move(done), fetched]() mutable { done(std::move(fetched)); });
      });
      return;
    }
    on.Post([done = std::move(done), fetched = next]() mutable { done(std::move(fetched)); });
  }

  Fetched next{.end = FetchEnd::kAnswered, .status = 200, .body = "pem"};
  bool hold = false;
  std::vector<Job> held;
  std::vector<std::string> asked;
};

class WebhooksTest : public ApiTest {
 protected:
  WebhooksTest() {
    const auto read = [this](std::string_view token) -> Result<inbound::Send> {
      if (!keys_) return Fail(Code::kRetry, "the keys cannot be read");
      if (!token.starts_with("mgood")) return Fail(Code::kInvalid, "not ours");
      return inbound::Send{SimApi::kTenant, PartitionId(1), 7, 1};
    };
    dependencies_.inbound = {.return_path = read,
                             .message_id = read,
                             .opt_out = read,
                             .redact = [](std::string_view text, std::string_view) { return std::string(text); },
                             .partition_count = SimApi::kPartitions};
    WebhookSettings settings;
    settings.postmark.in_url = kSecret;
    settings.mailgun_key = kKey;
    settings.ses_topics = {"arn:aws:sns:eu-west-1:111122223333:ses-events"};
    dependencies_.webhooks = std::make_shared<Webhooks>(settings, pages_, world_.scheduler.clock());
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  }

  static std::string Bounce(const std::string& message_id = kOurs) {
    return json{{"RecordType", "Bounce"},
                {"Type", "HardBounce"},
                {"ID", 42},
                {"Email", "ann@a.example"},
                {"BouncedAt", "2026-03-01T10:00:00Z"},
                {"Metadata", {{"maily", message_id}}}}
        .dump();
  }
  Said Bring(const std::string& body, const std::string& secret = kSecret) {
    return Ask(Method::kPost, "/v1/webhooks/postmark?secret=" + secret, body, {{"authorization", "none"}});
  }
  // As Mailgun signs it now.
  std::string FromMailgun(const std::string& token, const std::string& id) {
    const std::string at = std::to_string(world_.scheduler.clock().Now().us / 1'000'000);
    return json{{"signature", {{"timestamp", at}, {"token", token}, {"signature", esp::HmacSha256Hex(kKey, {at, token})}}},
                {"event-data",
                 {{"event", "complained"},
                  {"id", id},
                  {"timestamp", 1'772'359'200.5},
                  {"recipient", "ann@a.example"},
                  {"message", {{"headers", {{"message-id", kOurs}}}}}}}}
        .dump();
  }
  Said BringMailgun(const std::string& body) { return Ask(Method::kPost, "/v1/webhooks/mailgun", body, {{"authorization", "none"}}); }
  std::vector<uint64_t> Ends() {
    std::vector<uint64_t> all;
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) all.push_back(world_.log.Ends({Topic::kCommands, PartitionId(p)}).written.value());
    return all;
  }

  static constexpr const char* kSecret = "0123456789abcdef0123";
  static constexpr const char* kKey = "key-of-mailgun-for-this-test";
  static constexpr const char* kOurs = "mgoodaaaaaaaaaaaaaaaaaaaa@shop.example";
  bool keys_ = true;
  Pages pages_;
};

TEST_F(WebhooksTest, OnlyWhatIsSetAndFitsIsTaken) {
  const auto before = Ends();
  EXPECT_EQ(Ask(Method::kPost, "/v1/webhooks/sendgrid", "[]").status, 404);  // no key of it is set
  EXPECT_EQ(Ask(Method::kPost, "/v1/webhooks/other", "[]").status, 404);
  const Said refused = Bring(Bounce(), "0123456789abcdef0124");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body["code"], "unauthorized");
  EXPECT_EQ(refused.response.headers["www-authenticate"], "Basic realm=\"maily\"");
  EXPECT_EQ(Ask(Method::kPost, "/v1/webhooks/postmark", Bounce()).status, 401);  // an API key is no secret of the provider's
  EXPECT_EQ(Bring("no JSON").status, 400);
  EXPECT_EQ(Ends(), before);
}

TEST_F(WebhooksTest, WhatBecomesOfEachIsSaid) {
  const Said unknown_send = Bring(Bounce());
  EXPECT_EQ(unknown_send.status, 200);
  EXPECT_EQ(unknown_send.body["unknown_send"], 1) << unknown_send.body;
  EXPECT_EQ(Bring(Bounce("mevilaaaaaaaaaaaaaaaaaaaa@shop.example")).body["quarantined"], 1);
  EXPECT_EQ(Bring(Bounce("")).body["quarantined"], 1);
  const Said strange = Bring(R"({"RecordType":"Tomorrow"})");
  EXPECT_EQ(strange.status, 200);
  EXPECT_EQ(strange.body["unknown"], 1) << strange.body;
  EXPECT_EQ(Bring(R"({"RecordType":"Tomorrow"})").status, 200);
  // It came twice, and is one dead letter, of no tenant of theirs.
  const auto letters = [this] {
    return world_.views
        ->Query("dead_letters_of_all",
                {{"after_partition", sql::Value::Integer(-1)}, {"after", sql::Value::Integer(-1)}, {"limit", sql::Value::Integer(10)}})
        .value();
  };
  EXPECT_TRUE(world_.Until([&] { return !letters().empty(); }));
  ASSERT_EQ(letters().size(), 1U);
  EXPECT_EQ(letters().at(0, "code").bytes, "unknown_notice");
  EXPECT_EQ(letters().at(0, "reason").bytes, "postmark tells of 'Tomorrow', which is not known here");
  const Said unreadable = Bring(R"({"RecordType":"Bounce"})");
  EXPECT_EQ(unreadable.status, 200);
  EXPECT_EQ(unreadable.body["unreadable"], 1) << unreadable.body;
}

TEST_F(WebhooksTest, WhatIsNotDurableIsAskedForAgain) {
  world_.log.SetFull(true);
  EXPECT_EQ(Bring(Bounce()).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Bring(Bounce()).status, 200);
  keys_ = false;
  EXPECT_EQ(Bring(Bounce()).status, 503);
}

TEST_F(WebhooksTest, ASignatureOfMailgunIsGoodForOneEvent) {
  const std::string body = FromMailgun("token-1", "event-1");
  EXPECT_EQ(BringMailgun(body).status, 200);
  EXPECT_EQ(BringMailgun(body).status, 200);  // again, as after an answer that got lost
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-2")).status, 401);
  EXPECT_EQ(BringMailgun(FromMailgun("token-2", "event-2")).status, 200);
  world_.scheduler.RunFor(Seconds(301));
  EXPECT_EQ(BringMailgun(body).status, 401);  // too old
}

TEST_F(WebhooksTest, AUsedSignatureOfMailgunIsKnownAfterARestartAndToOtherProcesses) {
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-1")).status, 200);
  // Another process, or the same after a restart: all that it remembers is in the log.
  const auto& known = *dependencies_.webhooks;
  dependencies_.webhooks = std::make_shared<Webhooks>(known.settings, pages_, world_.scheduler.clock());
  router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-2")).status, 401);
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-1")).status, 200);
}

TEST_F(WebhooksTest, ANoticeOfMailgunIsNotTakenBeforeItsTokenIs) {
  const auto ends = Ends();
  world_.log.SetFull(true);
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-1")).status, 503);
  world_.log.SetFull(false);
  EXPECT_EQ(Ends(), ends);
  EXPECT_EQ(BringMailgun(FromMailgun("token-1", "event-1")).status, 200);
}

TEST_F(WebhooksTest, ACertificateIsFetchedOnceAndAFailureIsNotAskedForAgainAtOnce) {
  SnsCertificates& certificates = dependencies_.webhooks->certificates;
  const std::string url = "https://sns.eu-west-1.amazonaws.com/a.pem";
  const auto get = [&] {
    bool done = false;
    certificates.Get(url, *world_.api, [&done] { done = true; });
    EXPECT_TRUE(world_.Until([&] { return done; }));
  };
  EXPECT_EQ(certificates.Find(url).error().code, Code::kNotFound);
  pages_.next = {.end = FetchEnd::kTimeOut, .reason = "nobody answers"};
  get();
  EXPECT_EQ(certificates.Find(url).error().code, Code::kRetry);
  world_.scheduler.RunFor(Seconds(11));
  EXPECT_EQ(certificates.Find(url).error().code, Code::kNotFound);
  pages_.next = {.end = FetchEnd::kAnswered, .status = 200, .body = "pem"};
  get();
  EXPECT_EQ(certificates.Find(url).value(), "pem");
  world_.scheduler.RunFor(Hours(23));
  EXPECT_EQ(certificates.Find(url).value(), "pem");
  world_.scheduler.RunFor(Hours(2));
  EXPECT_EQ(certificates.Find(url).error().code, Code::kNotFound);
  EXPECT_EQ(pages_.asked.size(), 2u);
}

TEST_F(WebhooksTest, FetchesOfCertificatesAreBounded) {
  SnsCertificates& certificates = dependencies_.webhooks->certificates;
  pages_.hold = true;
  size_t done = 0;
  for (size_t i = 0; i < SnsCertificates::kFetchesMax + 1; ++i)
    certificates.Get(fmt::format("https://sns.eu-west-1.amazonaws.com/{}.pem", i), *world_.api, [&done] { ++done; });
  EXPECT_EQ(pages_.asked.size(), SnsCertificates::kFetchesMax);
  EXPECT_EQ(done, 1u);
  for (auto& answer : pages_.held) answer();
  EXPECT_TRUE(world_.Until([&] { return done == SnsCertificates::kFetchesMax + 1; }));
  pages_.hold = false;
  for (size_t i = 0; i < SnsCertificates::kKeptMax; ++i) {
    bool one = false;
    certificates.Get(fmt::format("https://sns.eu-west-1.amazonaws.com/more-{}.pem", i), *world_.api, [&one] { one = true; });
    EXPECT_TRUE(world_.Until([&] { return one; }));
  }
  EXPECT_FALSE(certificates.Find("https://sns.eu-west-1.amazonaws.com/0.pem"));  // the oldest has gone
}

}  // namespace
}  // namespace maily::api
