// Tests the way to mail servers: RFC 5321 §5.1, RFC 7505, and what is one site.
#include "processors/effects/smtp/route.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "processors/effects/smtp/fixture.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_resolver.h"

namespace maily::smtp {
namespace {

class RouteTest : public testing::Test {
 protected:
  Router::Found Find(const std::string& domain) {
    std::optional<Router::Found> found;
    router_.Find(domain, [&](Router::Found one) { found = std::move(one); });
    scheduler_.RunFor(Seconds(60));
    EXPECT_TRUE(found.has_value());
    return found.value_or(Router::Found());
  }
  sim::Scheduler scheduler_{1};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  sim::SimResolver resolver_{scheduler_, {}};
  Router router_{resolver_, *executor_, scheduler_.entropy()};
};

TEST_F(RouteTest, ThePreferredServersComeFirstAndEqualsByChance) {
  resolver_.SetMx("example.com", {{20, "c.example.net"}, {10, "b.example.net"}, {10, "a.example.net"}});
  std::set<std::string> first;
  for (int i = 0; i < 40; ++i) {
    const Router::Found found = Find("example.com");
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found.route.hosts.size(), 3u);
    EXPECT_EQ(found.route.hosts[2], "c.example.net");
    EXPECT_EQ(found.route.site, "a.example.net") << "whatever the order";
    first.insert(found.route.hosts[0]);
  }
  EXPECT_EQ(first, (std::set<std::string>{"a.example.net", "b.example.net"}));
}

TEST_F(RouteTest, WithoutAnMxTheDomainIsTheHost) {
  resolver_.SetAddresses("example.com", {"192.0.2.1"});
  EXPECT_EQ(Find("example.com").route.hosts, std::vector<std::string>{"example.com"});
}

TEST_F(RouteTest, ANullMxAndAnUnknownNameAreBounces) {
  resolver_.SetMx("null.example", {{0, "."}});
  const Router::Found null = Find("null.example");
  EXPECT_FALSE(null.ok());
  EXPECT_EQ(null.verdict.kind, Verdict::Kind::kBounced);
  EXPECT_EQ(null.verdict.enhanced, "5.1.10") << "RFC 7505 §4.2 by way of RFC 3463";
  const Router::Found none = Find("nowhere.example");
  EXPECT_EQ(none.verdict.kind, Verdict::Kind::kBounced);
  EXPECT_EQ(none.verdict.enhanced, "5.1.2");
  EXPECT_EQ(Find("no name").verdict.kind, Verdict::Kind::kBounced);
}

TEST_F(RouteTest, WhatMayPassIsPutOff) {
  resolver_.Break("example.com", "SERVFAIL");
  EXPECT_EQ(Find("example.com").verdict.kind, Verdict::Kind::kDeferred);
  struct Forbidden : Resolver {
    void Ask(DnsQuestion, Executor& on, DnsDone done) override {
      on.Post([done = std::move(done)]() mutable { done(Fail(Code::kInvalid, "a sandbox asks servers on loopback only")); });
    }
  } forbidden;
  Router router(forbidden, *executor_, scheduler_.entropy());
  std::optional<Router::Found> found;
  router.Find("example.org", [&](Router::Found one) { found = std::move(one); });
  scheduler_.RunFor(Seconds(1));
  EXPECT_EQ(found.value().verdict.kind, Verdict::Kind::kDeferred) << "no fault of the domain";
}

TEST(SiteOf, CustomersOfAProviderAreOneSite) {
  EXPECT_EQ(SiteOf({"aspmx.l.google.com", "alt1.aspmx.l.google.com"}), "google.com");
  EXPECT_EQ(SiteOf({"gmail-smtp-in.l.google.com"}), "google.com");
  EXPECT_EQ(SiteOf({"contoso-com.mail.protection.outlook.com"}), SiteOf({"fabrikam-de.mail.protection.outlook.com"}));
  EXPECT_EQ(SiteOf({"mx.example.com"}), "mx.example.com");
  EXPECT_EQ(SiteOf({"notgoogle.com"}), "notgoogle.com");
}

class ConnectorTest : public testing::Test {
 protected:
  // "host" of the connection, or why there is none.
  std::string Connect(Connector& connector) {
    std::string out = "nothing";
    connector.Connect([&](Result<Connector::Connected> connected) {
      out = connected ? connected->host + " at " + connected->connection->peer().host : connected.error().message;
    });
    scheduler_.RunFor(Seconds(120));
    return out;
  }
  // Reaches what a test lets it reach.
  class SomeHosts : public Dialer {
   public:
    void DialFrom(const std::string& local, const Endpoint& to, Duration,
                  std::move_only_function<void(Result<std::unique_ptr<Connection>>)> done) override {
      dialed.push_back(local.empty() ? to.host : local + ">" + to.host);
      if (!up.contains(to.host)) return done(Fail(Code::kRetry, "{} refused", to.host));
      done(std::unique_ptr<Connection>(std::make_unique<Line>(to)));
    }
    std::set<std::string> up;
    std::vector<std::string> dialed;

   private:
    struct Line : Connection {
      explicit Line(Endpoint to_in) : to(std::move(to_in)) {}
      void Read(size_t, std::move_only_function<void(Result<std::string>)>) override {}
      void Write(std::string, std::move_only_function<void(Result<void>)>) override {}
      void Close() override {}
      Endpoint peer() const override { return to; }
      Endpoint to;
    };
  };
  sim::Scheduler scheduler_{1};
  std::unique_ptr<Executor> executor_ = scheduler_.MakeExecutor();
  sim::SimResolver resolver_{scheduler_, {}};
  SomeHosts dialer_;
};

TEST_F(ConnectorTest, TheNextHostIsTriedAndEachAddress) {
  resolver_.SetAddresses("a.example", {"198.51.100.1", "198.51.100.2"});
  resolver_.SetAddresses("b.example", {"198.51.100.3"});
  Connector connector({.hosts = {{"a.example", 25}, {"b.example", 25}}, .look_up = true}, dialer_, &resolver_, *executor_);
  dialer_.up = {"198.51.100.3"};
  EXPECT_EQ(Connect(connector), "b.example at 198.51.100.3");
  EXPECT_EQ(dialer_.dialed, (std::vector<std::string>{"198.51.100.1", "198.51.100.2", "198.51.100.3"}));
  dialer_.up = {"198.51.100.2", "198.51.100.3"};
  EXPECT_EQ(Connect(connector), "a.example at 198.51.100.2");
  connector.Useless();
  EXPECT_EQ(Connect(connector), "b.example at 198.51.100.3") << "a greeted with 4xx";
  dialer_.up.clear();
  EXPECT_EQ(Connect(connector), "198.51.100.2 refused");
}

TEST_F(ConnectorTest, ASourceReachesAddressesOfItsFamilies) {
  resolver_.SetAddresses("a.example", {"2001:db8::9", "198.51.100.1"});
  Connector connector({.hosts = {{"a.example", 25}}, .look_up = true, .from = {"192.0.2.7"}}, dialer_, &resolver_, *executor_);
  EXPECT_EQ(Connect(connector), "198.51.100.1 refused");
  EXPECT_EQ(dialer_.dialed, (std::vector<std::string>{"192.0.2.7>198.51.100.1"}));
  resolver_.SetAddresses("b.example", {"2001:db8::9"});
  Connector other({.hosts = {{"b.example", 25}}, .look_up = true, .from = {"192.0.2.7"}}, dialer_, &resolver_, *executor_);
  EXPECT_EQ(Connect(other), "no address of its family to reach 2001:db8::9 from");
}

TEST_F(ConnectorTest, PrivateAddressesAreNoMailServersUnlessAllowed) {
  for (const char* address :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1", "fe80::1", "fd00::1"}) {
    resolver_.SetAddresses("a.example", {address});
    dialer_.up = {address};
    Connector strict({.hosts = {{"a.example", 25}}, .look_up = true}, dialer_, &resolver_, *executor_);
    EXPECT_TRUE(Connect(strict).ends_with("an address of a private network")) << address;
    Connector open({.hosts = {{"a.example", 25}}, .look_up = true, .private_allowed = true}, dialer_, &resolver_, *executor_);
    EXPECT_EQ(Connect(open), std::string("a.example at ") + address);
  }
  for (const char* address : {"172.32.0.1", "100.128.0.1", "2001:db8::1"}) {
    resolver_.SetAddresses("a.example", {address});
    dialer_.up = {address};
    Connector strict({.hosts = {{"a.example", 25}}, .look_up = true}, dialer_, &resolver_, *executor_);
    EXPECT_EQ(Connect(strict), std::string("a.example at ") + address);
  }
}

TEST_F(ConnectorTest, AHostWithoutAnAddressIsPassedBy) {
  resolver_.SetAddresses("b.example", {"198.51.100.3"});
  dialer_.up = {"198.51.100.3"};
  Connector connector({.hosts = {{"a.example", 25}, {"b.example", 25}}, .look_up = true}, dialer_, &resolver_, *executor_);
  EXPECT_EQ(Connect(connector), "b.example at 198.51.100.3");
}

}  // namespace
}  // namespace maily::smtp
