// Pages are fetched over TLS that is checked, within their limits, and from where the mode allows.
#include "streams/adapters/curl/curl_fetch.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <future>

#include "streams/adapters/asio/asio_env.h"
#include "streams/tls/test_certificate.h"
#include "tests/https_server.h"

namespace maily::app {
class LiveRuntime {
 public:
  static LiveCapability Make(Mode mode) { return LiveCapability(mode); }
};
}  // namespace maily::app

namespace maily::curl {
namespace {

using app::LiveRuntime;
using test::HttpsServer;
using test::Page;

class CurlFetchTest : public testing::Test {
 protected:
  CurlFetchTest() {
    char name[] = "/tmp/maily-roots-XXXXXX";
    close(mkstemp(name));
    roots_ = name;
  }
  ~CurlFetchTest() override {
    fetch_.reset();  // lets go of the server's clients
    unlink(roots_.c_str());
  }
  // A server whose certificate is for `name`.
  void Serve(HttpsServer::Handler answer, const std::string& name = "mta-sts.example.com", bool expired = false) {
    const tls::TestCertificate certificate = tls::MakeTestCertificate(name, expired);
    std::ofstream(roots_) << certificate.roots;
    server_.emplace(tls::Context::Server(certificate.chain, certificate.key).value(), std::move(answer));
  }
  void ServePlain(HttpsServer::Handler answer) { server_.emplace(nullptr, std::move(answer)); }
  void Open(FetchOptions options, Mode mode = Mode::kSandbox) {
    options.routes.try_emplace("mta-sts.example.com", Endpoint{"127.0.0.1", 0});
    fetch_ = CurlFetch::Make(std::move(options), LiveRuntime::Make(mode)).value();
  }
  std::string Url(const std::string& host = "mta-sts.example.com", const std::string& scheme = "https") const {
    return fmt::format("{}://{}:{}/.well-known/mta-sts.txt", scheme, host, server_->port());
  }
  Fetched Get(const std::string& url) {
    std::promise<Fetched> done;
    fetch_->Get(url, worker_, [&](Fetched fetched) {
      EXPECT_TRUE(worker_.OnThisThread());
      done.set_value(std::move(fetched));
    });
    return done.get_future().get();
  }
  FetchOptions Trusting() const { return {.extra_roots = roots_}; }

  std::string roots_;
  asio_net::Worker worker_{"fetch-test"};
  std::optional<HttpsServer> server_;
  std::unique_ptr<CurlFetch> fetch_;
};

TEST_F(CurlFetchTest, GivesStatusTypeAndBody) {
  std::string head;
  Serve([&head](const std::string& got) {
    head = got;
    return Page("version: STSv1\r\n", "text/plain; charset=utf-8");
  });
  Open(Trusting());
  const Fetched page = Get(Url());
  ASSERT_TRUE(page.answered()) << page.reason;
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(page.body, "version: STSv1\r\n");
  EXPECT_TRUE(head.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.com")) << head;
}

TEST_F(CurlFetchTest, OtherStatusesAndRedirectsAreAnswersThatAreNotFollowed) {
  Serve([](const std::string& head) {
    if (head.starts_with("GET /away")) {
      return std::string("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    return Page("gone", "text/html", "404 Not Found");
  });
  Open(Trusting());
  EXPECT_EQ(Get(Url()).status, 404);
  EXPECT_EQ(Get(fmt::format("https://mta-sts.example.com:{}/away", server_->port())).status, 302);
  EXPECT_EQ(server_->requests(), 2);
}

TEST_F(CurlFetchTest, ACertificateThatIsNotTrustedIsATlsFailure) {
  Serve([](const std::string&) { return Page("x"); });
  Open({});
  const Fetched page = Get(Url());
  EXPECT_EQ(page.end, FetchEnd::kTls) << page.reason;
  EXPECT_NE(page.reason.find("certificate"), std::string::npos) << page.reason;
  EXPECT_EQ(server_->requests(), 0);
}

TEST_F(CurlFetchTest, ACertificateOfAnotherNameIsATlsFailure) {
  Serve([](const std::string&) { return Page("x"); }, "www.example.com");
  Open(Trusting());
  EXPECT_EQ(Get(Url()).end, FetchEnd::kTls);
}

TEST_F(CurlFetchTest, AnExpiredCertificateIsATlsFailure) {
  Serve([](const std::string&) { return Page("x"); }, "mta-sts.example.com", true);
  Open(Trusting());
  EXPECT_EQ(Get(Url()).end, FetchEnd::kTls);
}

TEST_F(CurlFetchTest, AServerWithoutTlsIsATlsFailure) {
  ServePlain([](const std::string&) { return Page("x"); });
  Open({});
  EXPECT_EQ(Get(Url()).end, FetchEnd::kTls);
}

TEST_F(CurlFetchTest, BodiesUpToTheLimitAreTakenAndNotAByteMore) {
  Serve([](const std::string& head) {
    if (head.starts_with("GET /endless")) {  // without a length
      return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(2000, 'x');
    }
    return Page(std::string(head.starts_with("GET /more") ? 1001 : 1000, 'x'));
  });
  FetchOptions options = Trusting();
  options.body_bytes_max = 1000;
  Open(std::move(options));
  EXPECT_EQ(Get(Url()).body.size(), 1000u);
  for (const char* path : {"more", "endless"}) {
    const Fetched large = Get(fmt::format("https://mta-sts.example.com:{}/{}", server_->port(), path));
    EXPECT_EQ(large.end, FetchEnd::kTooLarge) << large.reason;
    EXPECT_TRUE(large.body.empty());
  }
}

TEST_F(CurlFetchTest, HeadersAreBoundedToo) {
  Serve([](const std::string&) { return "HTTP/1.1 200 OK\r\nX-Long: " + std::string(5000, 'x') + "\r\nContent-Length: 0\r\n\r\n"; });
  FetchOptions options = Trusting();
  options.header_bytes_max = 4000;
  Open(std::move(options));
  EXPECT_EQ(Get(Url()).end, FetchEnd::kTooLarge);
}

TEST_F(CurlFetchTest, AServerThatSaysNothingIsATimeOut) {
  Serve([](const std::string&) { return std::string(); });
  FetchOptions options = Trusting();
  options.total_timeout = Milliseconds(300);
  Open(std::move(options));
  EXPECT_EQ(Get(Url()).end, FetchEnd::kTimeOut);
}

TEST_F(CurlFetchTest, WhatIsNotHttpOrEndsEarlyIsBroken) {
  Serve([](const std::string& head) {
    if (head.starts_with("GET /short")) return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    return std::string("SSH-2.0-not http\r\n");
  });
  Open(Trusting());
  EXPECT_EQ(Get(Url()).end, FetchEnd::kBroken);
  EXPECT_EQ(Get(fmt::format("https://mta-sts.example.com:{}/short", server_->port())).end, FetchEnd::kBroken);
}

TEST_F(CurlFetchTest, APortWithoutAServerIsUnreachable) {
  Serve([](const std::string&) { return Page("x"); });
  const std::string url = Url();
  server_.reset();
  Open({});
  EXPECT_EQ(Get(url).end, FetchEnd::kUnreachable);
}

TEST_F(CurlFetchTest, OnlyHttpsUnlessHttpIsAllowed) {
  ServePlain([](const std::string&) { return Page("plain"); });
  Open({});
  EXPECT_EQ(Get(Url("127.0.0.1", "http")).end, FetchEnd::kUrl);
  EXPECT_EQ(Get("file:///etc/passwd").end, FetchEnd::kUrl);
  EXPECT_EQ(Get("").end, FetchEnd::kUrl);
  EXPECT_EQ(Get("https://").end, FetchEnd::kUrl);
  EXPECT_EQ(Get("https://user@localhost/").end, FetchEnd::kUrl);
  EXPECT_EQ(Get("https://localhost/" + std::string(2048, 'x')).end, FetchEnd::kUrl);
  EXPECT_EQ(Get(std::string("https://localhost/\0x", 20)).end, FetchEnd::kUrl);
  Open({.allow_http = true});
  EXPECT_EQ(Get(Url("127.0.0.1", "http")).body, "plain");
  EXPECT_EQ(Get(Url("localhost", "http")).body, "plain");
}

TEST_F(CurlFetchTest, SandboxReachesLoopbackOnlyAndHeldNothing) {
  ServePlain([](const std::string&) { return Page("plain"); });
  FetchOptions options{.allow_http = true, .routes = {{"far.example", {"192.0.2.1", 0}}, {"near.example", {"127.0.0.1", server_->port()}}}};
  Open(options);
  for (const char* url : {"http://192.0.2.1/", "http://unknown.example/", "http://far.example/", "http://[2001:db8::1]/"}) {
    const Fetched page = Get(url);
    EXPECT_EQ(page.end, FetchEnd::kForbidden) << url;
    EXPECT_NE(page.reason.find("sandbox"), std::string::npos);
  }
  EXPECT_EQ(Get("http://NEAR.example/").body, "plain");
  Open(options, Mode::kHeld);
  EXPECT_EQ(Get(Url("127.0.0.1", "http")).end, FetchEnd::kForbidden);
  EXPECT_EQ(server_->requests(), 1);
}

TEST_F(CurlFetchTest, ManyWaitForTheirTurnAndOneTooManyIsRefused) {
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  ServePlain([gone](const std::string&) {
    gone.wait();
    return Page("plain");
  });
  Open({.fetches_under_way_max = 2, .fetches_waiting_max = 8, .allow_http = true});
  std::promise<void> all;
  size_t answered = 0;
  for (int i = 0; i < 10; ++i) {
    fetch_->Get(Url("127.0.0.1", "http"), worker_, [&](const Fetched& page) {
      EXPECT_TRUE(page.answered()) << page.reason;
      if (++answered == 10) all.set_value();
    });
  }
  EXPECT_EQ(Get(Url("127.0.0.1", "http")).end, FetchEnd::kBusy);
  go.set_value();
  all.get_future().wait();
}

TEST_F(CurlFetchTest, DestroyedItDropsWhatIsUnderWay) {
  std::promise<void> asked;
  ServePlain([&asked](const std::string&) {
    asked.set_value();
    return std::string();
  });
  Open({.allow_http = true});
  const auto alive = std::make_shared<int>(1);
  fetch_->Get(Url("127.0.0.1", "http"), worker_, [alive](const Fetched&) { ADD_FAILURE(); });
  asked.get_future().wait();
  fetch_.reset();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(FetchOptions, ThatAreWrongAreRefused) {
  const auto code = [](FetchOptions options) {
    return CurlFetch::Make(std::move(options), LiveRuntime::Make(Mode::kSandbox)).error().code;
  };
  EXPECT_EQ(code({.fetches_under_way_max = 0}), Code::kInvalid);
  EXPECT_EQ(code({.extra_roots = "/nowhere/roots.pem"}), Code::kInvalid);
  EXPECT_EQ(code({.routes = {{"a.example", {"b.example", 0}}}}), Code::kInvalid);
}

}  // namespace
}  // namespace maily::curl
