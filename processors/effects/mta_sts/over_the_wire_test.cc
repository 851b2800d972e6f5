// The cache over real DNS and real HTTPS, both on loopback: a record leads to a policy, and a policy outlives both servers.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <fstream>
#include <future>

#include "processors/effects/mta_sts/policy_cache.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/curl/curl_fetch.h"
#include "streams/adapters/dns/caching_resolver.h"
#include "streams/adapters/dns/dns_resolver.h"
#include "streams/adapters/dns/test_server.h"
#include "streams/tls/test_certificate.h"
#include "tests/https_server.h"

namespace maily::app {
class LiveRuntime {
 public:
  static LiveCapability Make(Mode mode) { return LiveCapability(mode); }
};
}  // namespace maily::app

namespace maily::mta_sts {
namespace {

using app::LiveRuntime;
constexpr std::string_view kHost = "mta-sts.example.com";

class OverTheWireTest : public testing::Test {
 protected:
  OverTheWireTest() {
    char name[] = "/tmp/maily-roots-XXXXXX";
    close(mkstemp(name));
    roots_ = name;
    const tls::TestCertificate certificate = tls::MakeTestCertificate(std::string(kHost));
    std::ofstream(roots_) << certificate.roots;
    web_.emplace(tls::Context::Server(certificate.chain, certificate.key).value(), [](const std::string&) {
      return test::Page("version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmax_age: 86400\r\n");
    });
    names_.emplace([this](const dns::test::Asked& asked) -> std::vector<std::string> {
      if (broken_) return {dns::test::Reply(asked, {}, dns::test::kServFail)};
      if (asked.name != "_mta-sts.example.com") return {dns::test::Reply(asked, {}, dns::test::kNxDomain)};
      return {dns::test::Reply(asked, {dns::test::Record(asked.name, dns::WireType::kTxt, 60, "\x08v=STSv1;\x05id=1;")})};
    });
    resolver_ = dns::DnsResolver::Make({.servers = {{"127.0.0.1", names_->port()}}, .try_timeout = Seconds(30)},
                                       LiveRuntime::Make(maily::Mode::kSandbox))
                    .value();
    fetch_ = curl::CurlFetch::Make({.extra_roots = roots_, .routes = {{std::string(kHost), {"127.0.0.1", web_->port()}}}},
                                   LiveRuntime::Make(maily::Mode::kSandbox))
                 .value();
  }
  ~OverTheWireTest() override {
    worker_.Stop();
    unlink(roots_.c_str());
  }
  std::optional<Entry> Lookup(PolicyCache& cache, const std::string& domain) {
    std::promise<Result<std::optional<Entry>>> done;
    worker_.Post([&] { cache.Lookup(domain, [&](Result<std::optional<Entry>> found) { done.set_value(std::move(found)); }); });
    return done.get_future().get().value();
  }

  std::atomic<bool> broken_{false};
  std::string roots_;
  asio_net::SystemClock clock_;
  asio_net::Worker worker_{"mta-sts-test"};
  std::optional<test::HttpsServer> web_;
  std::optional<dns::test::Server> names_;
  std::unique_ptr<dns::DnsResolver> resolver_;
  std::unique_ptr<curl::CurlFetch> fetch_;
};

TEST_F(OverTheWireTest, ARecordLeadsToAPolicyWhichOutlivesBothServers) {
  dns::CachingResolver caching(*resolver_, worker_, clock_);
  PolicyCache cache(caching, *fetch_, worker_, clock_);
  const auto found = Lookup(cache, "example.com");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "1");
  EXPECT_EQ(found->policy, (Policy{.mode = Mode::kEnforce, .mx = {"*.example.com"}, .max_age = Days(1)}));
  EXPECT_TRUE(Fits(found->policy, "mx1.example.com"));
  EXPECT_FALSE(Lookup(cache, "example.net"));
  EXPECT_EQ(web_->requests(), 1);

  // After a restart, with nothing to ask.
  broken_ = true;
  PolicyCache restarted(*resolver_, *fetch_, worker_, clock_);
  std::promise<void> restored;
  worker_.Post([&] {
    restarted.Restore(DecodeEntry(EncodeEntry(*found)).value());
    restored.set_value();
  });
  restored.get_future().wait();
  EXPECT_EQ(Lookup(restarted, "example.com"), found);
  EXPECT_EQ(web_->requests(), 1);
  worker_.Stop();  // the caches die after their executor
}

}  // namespace
}  // namespace maily::mta_sts
