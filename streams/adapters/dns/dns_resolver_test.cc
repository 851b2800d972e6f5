// The resolver against a server that answers over UDP and TCP on loopback, well and badly.
#include "streams/adapters/dns/dns_resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/dns/test_server.h"

namespace maily::app {
class LiveRuntime {
 public:
  static LiveCapability Make(Mode mode) { return LiveCapability(mode); }
};
}  // namespace maily::app

namespace maily::dns {
namespace {

using app::LiveRuntime;
using test::A;
using test::Asked;
using test::Mx;
using test::Record;
using test::Reply;
using test::Wire;
using Kind = DnsAnswer::Kind;

const std::string kTen("\x0A\x00\x00\x01", 4);

class DnsResolverTest : public testing::Test {
 protected:
  void Serve(test::Server::Handler handler, DnsOptions options = {}) {
    server_.emplace(std::move(handler));
    options.servers.push_back({"127.0.0.1", server_->port()});
    if (options.try_timeout == Seconds(3)) options.try_timeout = Seconds(30);  // a loaded machine shall not look like a silent server
    resolver_ = DnsResolver::Make(std::move(options), LiveRuntime::Make(Mode::kSandbox)).value();
  }
  Result<DnsAnswer> Ask(DnsType type, const std::string& name) {
    std::promise<Result<DnsAnswer>> done;
    resolver_->Ask({type, name}, worker_, [&](Result<DnsAnswer> answer) {
      EXPECT_TRUE(worker_.OnThisThread());
      done.set_value(std::move(answer));
    });
    return done.get_future().get();
  }
  // What the server's thread may touch to its end.
  std::atomic<int> udp_{0};
  std::atomic<int> tcp_{0};
  std::promise<void> first_;
  asio_net::Worker worker_{"dns-test"};
  std::optional<test::Server> server_;
  std::unique_ptr<DnsResolver> resolver_;
};

TEST_F(DnsResolverTest, AnswersOverUdp) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    EXPECT_FALSE(asked.tcp);
    if (asked.type == WireType::kMx) return {Reply(asked, {Mx(asked.name, 300, 10, "mx.example.com")})};
    if (asked.type == WireType::kA) return {Reply(asked, {A(asked.name, 60, kTen)})};
    if (asked.type == WireType::kAaaa) return {Reply(asked, {Record(asked.name, WireType::kAaaa, 90, std::string(15, '\0') + '\1')})};
    if (asked.type == WireType::kTxt) return {Reply(asked, {Record(asked.name, WireType::kTxt, 90, "\x02v=\x03STS")})};
    EXPECT_EQ(asked.name, "1.0.0.10.in-addr.arpa");
    return {Reply(asked, {Record(asked.name, WireType::kPtr, 90, Wire("Host.example.com"))})};
  });
  const auto mx = Ask(DnsType::kMx, "Example.COM.");
  ASSERT_TRUE(mx) << mx.error().ToString();
  EXPECT_EQ(mx->records, (std::vector<DnsRecord>{{"mx.example.com", 10}}));
  EXPECT_EQ(mx->ttl, Seconds(300));
  const auto addresses = Ask(DnsType::kAddress, "mx.example.com");
  ASSERT_TRUE(addresses) << addresses.error().ToString();
  EXPECT_EQ(addresses->records, (std::vector<DnsRecord>{{"10.0.0.1"}, {"::1"}}));
  EXPECT_EQ(addresses->ttl, Seconds(60));
  EXPECT_EQ(Ask(DnsType::kTxt, "_mta-sts.example.com")->records, (std::vector<DnsRecord>{{"v=STS"}}));
  std::promise<Result<DnsAnswer>> ptr;
  resolver_->Ptr("10.0.0.1", worker_, [&](Result<DnsAnswer> answer) { ptr.set_value(std::move(answer)); });
  EXPECT_EQ(ptr.get_future().get()->records, (std::vector<DnsRecord>{{"host.example.com"}}));
}

TEST_F(DnsResolverTest, WhatIsTruncatedIsAskedOverTcp) {
  Serve([this](const Asked& asked) -> std::vector<std::string> {
    ++(asked.tcp ? tcp_ : udp_);
    if (!asked.tcp) return {Reply(asked, {}, test::kTruncated)};
    std::vector<std::string> many;
    for (uint16_t i = 0; i < 400; ++i) many.push_back(Mx(asked.name, 60, i, fmt::format("mx{}.a-long-name-of-a-host.example.com", i)));
    return {Reply(asked, many)};
  });
  const auto mx = Ask(DnsType::kMx, "example.com");
  ASSERT_TRUE(mx) << mx.error().ToString();
  ASSERT_EQ(mx->records.size(), 400u);
  EXPECT_EQ(mx->records[399], (DnsRecord{"mx399.a-long-name-of-a-host.example.com", 399}));
  EXPECT_EQ(udp_, 1);
  EXPECT_EQ(tcp_, 1);
}

TEST_F(DnsResolverTest, NoNameNoDataAndNullMxAreAnswers) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    if (asked.name == "gone.example") return {Reply(asked, {}, test::kNxDomain)};
    if (asked.name == "null.example") return {Reply(asked, {Mx(asked.name, 60, 0, "")})};
    if (asked.name == "four.example" && asked.type == WireType::kA) return {Reply(asked, {A(asked.name, 60, kTen)})};
    return {Reply(asked, {})};
  });
  EXPECT_EQ(Ask(DnsType::kMx, "gone.example")->kind, Kind::kNoName);
  EXPECT_EQ(Ask(DnsType::kAddress, "gone.example")->kind, Kind::kNoName);
  EXPECT_EQ(Ask(DnsType::kMx, "quiet.example")->kind, Kind::kNoData);
  EXPECT_EQ(Ask(DnsType::kAddress, "quiet.example")->kind, Kind::kNoData);
  EXPECT_EQ(Ask(DnsType::kAddress, "four.example")->records, (std::vector<DnsRecord>{{"10.0.0.1"}}));
  EXPECT_TRUE(Ask(DnsType::kMx, "null.example")->IsNullMx());
}

TEST_F(DnsResolverTest, AnAliasIsFollowed) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    const std::string alias = Record(asked.name, WireType::kCname, 30, Wire("real.example"));
    if (asked.type == WireType::kMx) return {Reply(asked, {alias, Mx("real.example", 60, 5, "mx.real.example")})};
    if (asked.type == WireType::kA) return {Reply(asked, {alias, A("real.example", 60, kTen)})};
    return {Reply(asked, {alias})};
  });
  EXPECT_EQ(Ask(DnsType::kMx, "alias.example")->records, (std::vector<DnsRecord>{{"mx.real.example", 5}}));
  const auto addresses = Ask(DnsType::kAddress, "alias.example");
  EXPECT_EQ(addresses->records, (std::vector<DnsRecord>{{"10.0.0.1"}}));
  EXPECT_EQ(addresses->ttl, Seconds(30));
}

TEST_F(DnsResolverTest, ServersThatFailOrRefuseAreATemporaryFailure) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    return {Reply(asked, {}, asked.name == "fails.example" ? test::kServFail : test::kRefused)};
  });
  for (const char* name : {"fails.example", "refuses.example"}) {
    for (const DnsType type : {DnsType::kMx, DnsType::kAddress}) {
      const auto answer = Ask(type, name);
      ASSERT_FALSE(answer) << name;
      EXPECT_EQ(answer.error().code, Code::kRetry);
      EXPECT_NE(answer.error().message.find(name), std::string::npos) << answer.error().message;
    }
  }
}

TEST_F(DnsResolverTest, TheNextServerIsAskedWhenOneFails) {
  test::Server failing([](const Asked& asked) -> std::vector<std::string> { return {Reply(asked, {}, test::kServFail)}; });
  Serve([](const Asked& asked) -> std::vector<std::string> { return {Reply(asked, {Mx(asked.name, 60, 1, "a.example")})}; },
        {.servers = {{"127.0.0.1", failing.port()}}});
  EXPECT_EQ(Ask(DnsType::kMx, "example.com")->records, (std::vector<DnsRecord>{{"a.example", 1}}));
}

TEST_F(DnsResolverTest, ASilentServerIsATimeOut) {
  Serve(
      [this](const Asked&) -> std::vector<std::string> {
        ++udp_;
        return {};
      },
      {.try_timeout = Milliseconds(20), .tries = 2});
  const auto answer = Ask(DnsType::kMx, "example.com");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kRetry);
  EXPECT_NE(answer.error().message.find("Timeout"), std::string::npos) << answer.error().message;
  EXPECT_LE(udp_, 2);
}

TEST_F(DnsResolverTest, APortWithoutAServerIsATemporaryFailure) {
  Serve([](const Asked&) -> std::vector<std::string> { return {}; });
  const uint16_t port = server_->port();
  server_.reset();
  resolver_ =
      DnsResolver::Make({.servers = {{"127.0.0.1", port}}, .try_timeout = Milliseconds(50), .tries = 2}, LiveRuntime::Make(Mode::kSandbox))
          .value();
  EXPECT_EQ(Ask(DnsType::kMx, "example.com").error().code, Code::kRetry);
}

TEST_F(DnsResolverTest, AnswersToOtherQuestionsAndGarbageAreNotTaken) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    Asked wrong_id = asked;
    wrong_id.id[0] = static_cast<char>(wrong_id.id[0] ^ 0x55);
    Asked wrong_name = asked;
    wrong_name.question = Wire("evil.example") + asked.question.substr(asked.question.size() - 4);
    return {Reply(wrong_id, {Mx(asked.name, 60, 1, "evil.example")}), Reply(wrong_name, {Mx(asked.name, 60, 1, "evil.example")}), "x",
            std::string(40, '\xFF'), Reply(asked, {Mx(asked.name, 60, 1, "good.example")})};
  });
  const auto answer = Ask(DnsType::kMx, "example.com");
  ASSERT_TRUE(answer) << answer.error().ToString();
  EXPECT_EQ(answer->records, (std::vector<DnsRecord>{{"good.example", 1}}));
}

TEST_F(DnsResolverTest, AMalformedAnswerIsATemporaryFailure) {
  Serve([](const Asked& asked) -> std::vector<std::string> { return {Reply(asked, {"\xC0\x0C garbage"})}; });
  const auto answer = Ask(DnsType::kMx, "example.com");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kRetry);
  EXPECT_NE(answer.error().message.find("malformed"), std::string::npos) << answer.error().message;
}

TEST_F(DnsResolverTest, OneFamilyThatFailsLeavesTheOther) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    if (asked.type == WireType::kAaaa) return {Reply(asked, {}, test::kServFail)};
    if (asked.name == "four.example") return {Reply(asked, {A(asked.name, 3600, kTen)})};
    return {Reply(asked, {})};
  });
  const auto partial = Ask(DnsType::kAddress, "four.example");
  ASSERT_TRUE(partial) << partial.error().ToString();
  EXPECT_EQ(partial->records.size(), 1u);
  EXPECT_EQ(partial->ttl, DnsResolver::kPartialTtl);
  EXPECT_EQ(Ask(DnsType::kAddress, "unknown.example").error().code, Code::kRetry);  // it may have an AAAA
}

TEST_F(DnsResolverTest, ManyQuestionsWaitForTheirTurnAndOneTooManyIsRefused) {
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  Serve(
      [gone](const Asked& asked) -> std::vector<std::string> {
        gone.wait();
        return {Reply(asked, {Mx(asked.name, 60, 1, "mx." + asked.name)})};
      },
      {.questions_under_way_max = 4, .questions_waiting_max = 36});
  std::promise<void> all;
  size_t right = 0;
  size_t answered = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string domain = fmt::format("d{}.example", i);
    resolver_->Mx(domain, worker_, [&, domain](Result<DnsAnswer> answer) {
      right += answer && answer->records == std::vector<DnsRecord>{{"mx." + domain, 1}} ? 1 : 0;
      if (++answered == 40) all.set_value();
    });
  }
  EXPECT_EQ(Ask(DnsType::kMx, "one-too-many.example").error().code, Code::kRetry);
  go.set_value();
  all.get_future().wait();
  EXPECT_EQ(right, 40u);
  EXPECT_TRUE(Ask(DnsType::kMx, "later.example"));
}

TEST_F(DnsResolverTest, NamesThatAreNoneAreNotAsked) {
  Serve([](const Asked& asked) -> std::vector<std::string> {
    ADD_FAILURE() << asked.name;
    return {};
  });
  for (const char* name : {"", ".", "a..b", "b\xC3\xBC.example", "a b.example"}) {
    EXPECT_EQ(Ask(DnsType::kMx, name).error().code, Code::kInvalid) << name;
  }
  EXPECT_EQ(Ask(DnsType::kMx, "hidden.onion")->kind, Kind::kNoName);  // RFC 7686 §2
}

TEST_F(DnsResolverTest, DestroyedItDropsWhatIsUnderWay) {
  Serve([this](const Asked&) -> std::vector<std::string> {
    if (udp_++ == 0) first_.set_value();
    return {};
  });
  const auto alive = std::make_shared<int>(1);
  resolver_->Mx("example.com", worker_, [alive](const Result<DnsAnswer>&) { ADD_FAILURE(); });
  first_.get_future().wait();
  resolver_.reset();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(DnsResolverTest, SandboxAsksLoopbackServersOnlyAndHeldNone) {
  Serve([](const Asked& asked) -> std::vector<std::string> { return {Reply(asked, {Mx(asked.name, 60, 1, "a.example")})}; });
  const Endpoint outside{"192.0.2.1", 53};
  const Endpoint inside{"127.0.0.1", server_->port()};
  resolver_ = DnsResolver::Make({.servers = {outside}}, LiveRuntime::Make(Mode::kSandbox)).value();
  const auto refused = Ask(DnsType::kMx, "example.com");
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_NE(refused.error().message.find("sandbox"), std::string::npos);
  resolver_ = DnsResolver::Make({.servers = {outside, inside}}, LiveRuntime::Make(Mode::kSandbox)).value();
  EXPECT_TRUE(Ask(DnsType::kMx, "example.com"));
  resolver_ = DnsResolver::Make({.servers = {inside}}, LiveRuntime::Make(Mode::kHeld)).value();
  EXPECT_EQ(Ask(DnsType::kMx, "example.com").error().code, Code::kInvalid);
  resolver_ = DnsResolver::Make({.servers = {inside}}, LiveRuntime::Make(Mode::kLive)).value();
  EXPECT_TRUE(Ask(DnsType::kMx, "example.com"));
}

TEST(DnsOptions, ThatAreWrongAreRefused) {
  const auto code = [](DnsOptions options) {
    return DnsResolver::Make(std::move(options), LiveRuntime::Make(Mode::kSandbox)).error().code;
  };
  EXPECT_EQ(code({.servers = {{"dns.example", 53}}}), Code::kInvalid);
  EXPECT_EQ(code({.servers = {{"127.0.0.1", 0}}}), Code::kInvalid);
  EXPECT_EQ(code({.tries = 0}), Code::kInvalid);
  EXPECT_EQ(code({.questions_under_way_max = 0}), Code::kInvalid);
}

}  // namespace
}  // namespace maily::dns
