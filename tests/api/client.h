// A client of the whole API, on a Maily without sockets: what every test of routes begins with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/api.h"
#include "api/gateway/token.h"
#include "maily/tenants/v1/commands.pb.h"
#include "streams/adapters/sim/sim_resolver.h"
#include "streams/journal/find.h"
#include "tests/api/sim_api.h"

namespace maily::api {

using http::Method;
using http::Request;
using http::Response;
using nlohmann::json;
using testing::SimApi;

struct Said {
  int status = 0;
  json body;
  Response response;
  std::string token() const { return std::string(response.headers["maily-consistency-token"]); }
};

class ApiTest : public ::testing::Test {
 protected:
  ApiTest()
      : bulk_(world_.scheduler.MakeExecutor()),
        dependencies_{.sender = *world_.sender,
                      .replies = *world_.replies,
                      .keyring = *world_.keyring,
                      .views = *world_.views,
                      .clock = world_.scheduler.clock(),
                      .entropy = world_.scheduler.entropy(),
                      .executor = *world_.api,
                      .blocking = {world_.disk.get()},
                      .bulk = *bulk_,
                      .log = world_.log.settings(),
                      .read_message_id = [](std::string_view id) -> Result<ReceivedSend> { return Fail(Code::kInvalid, "{}", id); },
                      .find_decision = [this](const CommandAt& at) { return FindDecision(at); },
                      .make_preview = [this](const PreviewSource& source) -> Result<Preview> {
                        previewed_ = source;
                        return Preview{source.subject, source.html, source.text, "whole"};
                      },
                      .make_signing_keys = [](uint32_t generation, const std::vector<std::string>&) -> Result<std::vector<SigningKeyPair>> {
                        return std::vector<SigningKeyPair>{{fmt::format("m{}r", generation), "rsa-sha256", "v=DKIM1; p=AA", "secret"}};
                      },
                      .trouble = [this] { return trouble_; },
                      .not_ready = [this] { return not_ready_; },
                      .version = "test",
                      .resolver = &zone_} {
    router_ = std::make_unique<http::Router>(MakeRouter(dependencies_));
    admin_ = NewKey(SimApi::kTenant, "admin");
  }

  std::string NewKey(TenantId tenant, const std::string& scope) {
    const gateway::NewApiKey made = gateway::MakeApiKey(world_.scheduler.entropy());
    tenants::v1::CreateApiKey command;
    command.set_key_id(made.key_id);
    command.set_secret_hash(std::string(keyring::View(made.hash)));
    command.add_scopes(scope);
    std::optional<gateway::Verdict> verdict;
    world_.gateway->Submit({tenant, "test", {}}, gateway::PlainOrder(command, schema::HomeKey(tenant)), Seconds(60),
                           [&](gateway::Verdict v) { verdict = std::move(v); });
    EXPECT_TRUE(world_.Until([&] { return verdict.has_value(); }));
    EXPECT_TRUE(world_.Fresh({*verdict->at}));
    return made.text;
  }

  static constexpr const char* kReader = "198.51.100.23";  // who asks
  Said Ask(Method method, const std::string& target, const std::string& body = "", http::Headers headers = {}) {
    Request request{.method = method, .target = target, .headers = std::move(headers), .body = body, .peer = kReader};
    request.trace_id.bytes[0] = 7;
    if (!request.headers.Find("authorization")) request.headers.Add("authorization", "Bearer " + key());
    const auto match = router_->Find(method, request.path(), request.params);
    if (match.route == nullptr) return {.status = match.miss == http::Router::Miss::kMethod ? 405 : 404, .body = {}, .response = {}};
    const auto answer = std::make_shared<std::optional<Response>>();
    match.route->handler(std::move(request), [answer](Response r) { *answer = std::move(r); });
    return Finish(answer);
  }
  // A request that is asked and not waited for; Finish waits. `answered`: called while the answer is given. CHECK: there is such a route.
  using Begun = std::shared_ptr<std::optional<Response>>;
  Begun Begin(
      Method method, const std::string& target, const std::string& body, http::Headers headers, std::function<void()> answered = [] {}) {
    Request request{.method = method, .target = target, .headers = std::move(headers), .body = body};
    request.headers.Add("authorization", "Bearer " + key());
    const auto match = router_->Find(method, request.path(), request.params);
    MAILY_CHECK(match.route != nullptr, "no route {}", target);
    auto answer = std::make_shared<std::optional<Response>>();
    match.route->handler(std::move(request), [answer, answered = std::move(answered)](Response r) {
      *answer = std::move(r);
      answered();
    });
    return answer;
  }
  Said Finish(const Begun& answer) {
    EXPECT_TRUE(world_.Until([&] { return answer->has_value(); }));
    if (!*answer) return {};
    return {.status = (*answer)->status, .body = json::parse((*answer)->body, nullptr, false), .response = std::move(**answer)};
  }
  Said Get(const std::string& target) { return Ask(Method::kGet, target); }
  Said Post(const std::string& target, const json& body, http::Headers headers = {}) {
    return Ask(Method::kPost, target, body.dump(), std::move(headers));
  }
  // Waits until every view shows what was said to be done.
  void Show(const Said& said) {
    const auto at = gateway::DecodeToken(said.token(), *world_.keyring->Tenant(SimApi::kTenant).value());
    ASSERT_TRUE(at) << said.status << said.body;
    ASSERT_TRUE(world_.Fresh(*at));
  }
  const std::string& key() const { return as_.empty() ? admin_ : as_; }

  Result<std::optional<FoundDecision>> FindDecision(const CommandAt& at) {
    MAILY_TRY(const auto found, journal::FindDecision(world_.log, projections::Furthest(world_.groups, at.partition), at));
    if (!found) return std::optional<FoundDecision>();
    const journal::Decision& decision = found->decision();
    return std::optional(FoundDecision{decision.tenant, static_cast<gateway::Outcome>(decision.outcome), std::string(decision.answer)});
  }

  SimApi world_;
  sim::SimResolver zone_{world_.scheduler, {}};
  std::unique_ptr<Executor> bulk_;
  std::string not_ready_;
  std::string trouble_;
  PreviewSource previewed_;  // what the last preview was made of
  Dependencies dependencies_;
  std::unique_ptr<http::Router> router_;
  std::string admin_;
  std::string as_;
};

}  // namespace maily::api
