// The server and the client on loopback, with well-formed, malformed and malicious bytes.
#include "api/http/server.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "api/http/client.h"
#include "api/http/problem.h"
#include "streams/observe/logging.h"
#include "tests/raw_socket.h"

namespace maily::http {
namespace {

using Raw = test::RawSocket;

int StatusOf(const std::string& answer) { return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0; }
size_t CountOf(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++count;
  return count;
}

// Sums the bytes; says "more" from another thread when asked to.
struct Summing : BodySink {
  explicit Summing(std::atomic<int>& counter) : aborted(counter) {}
  void OnData(std::string chunk, Job resume) override {
    bytes += chunk.size();
    for (const char c : chunk) sum += static_cast<uint8_t>(c);
    if (++pieces % 2 == 0) return resume();
    std::thread([resume = std::move(resume)]() mutable { resume(); }).detach();
  }
  void OnEnd(Respond respond) override { respond(Response::Text(200, fmt::format("{} {}", bytes, sum))); }
  void OnAbort() override { ++aborted; }
  uint64_t bytes = 0, sum = 0, pieces = 0;
  std::atomic<int>& aborted;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    observe::SetSinkForTesting([](std::string_view) {});
  }
  ~ServerTest() override {
    server_.reset();
    {
      const std::lock_guard lock(mutex_);
      parked_.clear();
    }
    observe::SetSinkForTesting(nullptr);
  }

  void Start(ServerOptions options = {}) {
    Router router;
    router.Add({Method::kGet, "/hello", [](Request, Respond respond) { respond(Response::Text(200, "hi")); }});
    router.Add({Method::kPost, "/echo",
                [](Request request, Respond respond) {
                  Response response = Response::Text(200, std::move(request.body));
                  response.headers.Add("x-query", request.Query("q").value_or("none"));
                  response.headers.Add("x-trace", request.trace_id.ToHex());
                  response.headers.Add("x-peer", request.peer);
                  respond(std::move(response));
                },
                nullptr, 8 << 20});
    router.Add(
        {Method::kPost, "/small", [](Request request, Respond respond) { respond(Response::Text(200, request.body)); }, nullptr, 10});
    router.Add({Method::kGet, "/later", [](Request request, Respond respond) {
                  std::thread([n = request.Query("n").value_or(""), respond = std::move(respond)]() mutable {
                    respond(Response::Text(200, "later" + n));
                  }).detach();
                }});
    router.Add({Method::kGet, "/park", [this](Request, Respond respond) {
                  const std::lock_guard lock(mutex_);
                  parked_.push_back(std::move(respond));
                  changed_.notify_all();
                }});
    router.Add({Method::kGet, "/throw", [](Request, Respond) { throw std::runtime_error("secret reason"); }});
    router.Add({Method::kGet, "/drop", [](Request, Respond) {}});
    router.Add({Method::kGet, "/items/{id}",
                [](Request request, Respond respond) { respond(Response::Text(200, std::string(request.Param("id")))); }});
    router.Add({Method::kDelete, "/items/{id}", [](Request, Respond respond) { respond({.status = 204}); }});
    router.Add(
        {Method::kGet, "/inject", [](Request request, Respond respond) { respond(Response::Redirect(request.Query("to").value_or(""))); }});
    router.Add({Method::kGet, "/big", [](Request, Respond respond) { respond(Response::Text(200, std::string(5 << 20, 'b'))); }});
    router.Add({Method::kPost, "/upload", nullptr,
                [this](const Request& head) -> std::variant<std::unique_ptr<BodySink>, Response> {
                  if (head.headers["x-refuse"] == "yes") return ToResponse({403, "forbidden", "no"}, head.trace_id, head.path());
                  return std::make_unique<Summing>(aborted_);
                },
                64 << 20});
    auto started = Server::Start(options, std::move(router));
    ASSERT_TRUE(started) << started.error().ToString();
    server_ = std::move(*started);
  }
  Client MakeClient(ClientOptions options = {}) { return Client(server_->local(), options); }
  // What the server says to `bytes` until it closes.
  std::string Say(std::string_view bytes) {
    Raw raw(server_->local().port);
    raw.Send(bytes);
    return raw.ReadAll();
  }
  Respond TakeParked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !parked_.empty(); });
    Respond respond = std::move(parked_.back());
    parked_.pop_back();
    return respond;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Respond> parked_;
  std::atomic<int> aborted_{0};
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ARequestIsAnsweredAndTheConnectionKept) {
  Start();
  Client client = MakeClient();
  for (int i = 0; i < 3; ++i) {
    const auto response = client.Get("/hello");
    ASSERT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "hi");
    EXPECT_EQ(response->headers["content-length"], "2");
    EXPECT_EQ(response->headers["connection"], "");
    EXPECT_EQ(response->headers["date"].size(), 29u);
  }
  const auto echoed = client.Send({.method = Method::kPost,
                                   .target = "/echo?q=a%20b",
                                   .headers = {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
                                   .body = "body"});
  ASSERT_TRUE(echoed);
  EXPECT_EQ(echoed->body, "body");
  EXPECT_EQ(echoed->headers["x-query"], "a b");
  EXPECT_EQ(echoed->headers["x-trace"], "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(echoed->headers["x-peer"], "127.0.0.1");
  EXPECT_EQ(ParseTraceparent(echoed->headers["traceparent"]).ToHex(), "0af7651916cd43dd8448eb211c80319c");
}

TEST_F(ServerTest, WhoAsksIsWhomATrustedProxyNames) {
  const auto peer = [this](std::string_view said) {
    const auto echoed = MakeClient().Send({.method = Method::kPost, .target = "/echo", .headers = {{"x-forwarded-for", said}}, .body = ""});
    return echoed ? std::string(echoed->headers["x-peer"]) : "no answer";
  };
  Start();
  EXPECT_EQ(peer("203.0.113.5"), "127.0.0.1");
  const std::vector<std::string> others{"10.0.0.0/8"};
  Start({.proxies = ParseProxies(others, "x-forwarded-for").value()});
  EXPECT_EQ(peer("203.0.113.5"), "127.0.0.1");
  const std::vector<std::string> loopback{"127.0.0.0/8"};
  Start({.proxies = ParseProxies(loopback, "x-forwarded-for").value()});
  EXPECT_EQ(peer("198.51.100.1, 203.0.113.5"), "203.0.113.5");
  EXPECT_EQ(peer("unknown"), "");
}

TEST_F(ServerTest, AnswersMayComeFromAnyThread) {
  Start({.threads = 2});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Client client = MakeClient();
      for (int i = 0; i < 50; ++i) {
        const auto response = client.Get("/later?n=" + std::to_string(i));
        ASSERT_TRUE(response) << response.error().ToString();
        EXPECT_EQ(response->body, "later" + std::to_string(i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += fmt::format("GET /{}?n={} HTTP/1.1\r\nHost: x\r\n\r\n", i % 2 == 0 ? "later" : "hello", i);
  requests += "GET /items/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string answers = Say(requests);
  EXPECT_EQ(CountOf(answers, "HTTP/1.1 200 OK"), 51u);
  size_t at = 0;
  for (int i = 0; i < 50; i += 2) {
    at = answers.find("later" + std::to_string(i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_TRUE(answers.ends_with("last"));
}

TEST_F(ServerTest, BytesMayArriveOneByOne) {
  Start();
  Raw raw(server_->local().port);
  for (const char c : std::string("\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                  "3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: x\r\n\r\n")) {
    raw.Send({&c, 1});
  }
  const std::string answer = raw.ReadAll();
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_TRUE(answer.ends_with("abcd")) << answer;
}

TEST_F(ServerTest, AnEmptyChunkedBodyInPiecesIsEmpty) {
  Start();
  for (size_t cut = 1; cut < 5; ++cut) {
    Raw raw(server_->local().port);
    raw.Send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(raw.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    const std::string_view end = "0\r\n\r\n";
    raw.Send(end.substr(0, cut));
    raw.Send(end.substr(cut));
    EXPECT_EQ(StatusOf(raw.ReadAll()), 200);
  }
}

TEST_F(ServerTest, WhatCouldMeanTwoThingsIsRefusedAndTheConnectionClosed) {
  Start();
  const std::pair<const char*, const char*> cases[] = {
      {"CL and TE", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE and CL", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
      {"two CL", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
      {"CL list", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"},
      {"negative CL", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc"},
      {"plus CL", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"},
      {"huge CL", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc"},
      {"other TE", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"TE list", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"two TE", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE in 1.0", "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"bare LF everywhere", "GET /hello HTTP/1.1\nHost: x\n\n"},
      {"bare LF in the header", "GET /hello HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"},
      {"bare LF first", "\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"bare CR", "GET /hello HTTP/1.1\r\nHost: x\rX: y\r\n\r\n"},
      {"no host", "GET /hello HTTP/1.1\r\n\r\n"},
      {"two hosts", "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"},
      {"NUL in a field", "GET /hello HTTP/1.1\r\nHost: x\r\nX: a\x01z\r\n\r\n"},
      {"space before colon", "GET /hello HTTP/1.1\r\nHost : x\r\n\r\n"},
      {"no version", "GET /hello\r\nHost: x\r\n\r\n"},
      {"version 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"garbage", "\x16\x03\x01\x02\r\n\r\n"},
      {"relative target", "GET hello HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"bad escape", "GET /items/%zz HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"NUL escape", "GET /items/a%00b HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"bad chunk size", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"},
      {"LF in chunk", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"},
      {"chunk too long", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n"},
      {"endless extension", nullptr},
  };
  for (const auto& [name, bytes] : cases) {
    const std::string endless = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;" + std::string(30'000, 'x');
    // A second request must never be seen behind a refused one.
    const std::string answer = Say((bytes == nullptr ? endless : std::string(bytes)) + "GET /items/smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(StatusOf(answer), 400) << name << "\n" << answer;
    EXPECT_EQ(CountOf(answer, "HTTP/1.1 "), 1u) << name << "\n" << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << name;
    const size_t body = answer.find("\r\n\r\n");
    ASSERT_NE(body, std::string::npos) << name;
    const auto json = nlohmann::json::parse(answer.substr(body + 4));
    EXPECT_EQ(json["code"], "bad_request") << name;
    EXPECT_EQ(json["traceId"].get<std::string>().size(), 32u) << name;
  }
}

TEST_F(ServerTest, MutatedRequestsNeverHurtOthers) {
  Start({.header_bytes_max = 1024});
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string whole[] = {
      "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n",
      "POST /echo?q=%41 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
      "GET /items/a%20b HTTP/1.1\r\nHost: x\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
  };
  using namespace std::string_view_literals;
  static constexpr std::string_view kBytes = "\r\n :;,0159afX%/\0\xff\t\""sv;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole[random() % 3] + whole[random() % 3];
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      const char byte = kBytes[random() % kBytes.size()];
      switch (random() % 4) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.insert(at, 1, byte);
          break;
        case 2:
          bytes.erase(at, 1 + random() % 3);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 30));
          break;
      }
    }
    Raw raw(server_->local().port);
    const size_t cut = random() % bytes.size();
    raw.Send(std::string_view(bytes).substr(0, cut));
    raw.Send(std::string_view(bytes).substr(cut));
    raw.EndSending();
    const std::string answer = raw.ReadAll();
    EXPECT_EQ(CountOf(answer, "HTTP/1.1 5"), 0u) << bytes;
  }
  EXPECT_EQ(MakeClient().Get("/hello")->status, 200);
}

TEST_F(ServerTest, LimitsActBeforeTheBodyIsRead) {
  Start({.header_bytes_max = 2048});
  // The body is never sent, and the answer comes all the same.
  EXPECT_EQ(StatusOf(Say("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")), 413);
  EXPECT_EQ(StatusOf(Say("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")), 413);
  EXPECT_EQ(StatusOf(Say("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nab")), 413);
  EXPECT_EQ(StatusOf(Say("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")), 413);
  EXPECT_EQ(StatusOf(Say("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: the unexpected\r\n\r\n")), 417);
  EXPECT_EQ(StatusOf(Say("GET /hello HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'x'))), 431);
  EXPECT_EQ(StatusOf(Say("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n")), 431);
  EXPECT_EQ(MakeClient().Send({.method = Method::kPost, .target = "/small", .body = "0123456789"})->status, 200);
}

TEST_F(ServerTest, UnknownPathsAndMethodsAreToldApart) {
  Start();
  Client client = MakeClient();
  EXPECT_EQ(client.Get("/nowhere")->status, 404);
  const auto response = client.Send({.method = Method::kPut, .target = "/items/1", .body = ""});
  EXPECT_EQ(response->status, 405);
  EXPECT_EQ(response->headers["allow"], "GET, HEAD, DELETE");
  EXPECT_EQ(StatusOf(Say("BREW /items/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 405);
  const auto deleted = client.Send({.method = Method::kDelete, .target = "/items/1"});
  EXPECT_EQ(deleted->status, 204);
  EXPECT_EQ(deleted->headers.Find("content-length"), std::nullopt);
  EXPECT_EQ(client.Get("/items/x%2Fy")->body, "x/y");
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  Client client = MakeClient();
  const auto head = client.Send({.method = Method::kHead, .target = "/big"});
  ASSERT_TRUE(head) << head.error().ToString();
  EXPECT_EQ(head->headers["content-length"], std::to_string(5 << 20));
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(client.Get("/big")->body.size(), 5u << 20);
}

TEST_F(ServerTest, OldClientsGetWhatTheyAskFor) {
  Start();
  EXPECT_NE(Say("GET /hello HTTP/1.0\r\n\r\n").find("Connection: close"), std::string::npos);
  const std::string kept = Say("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(CountOf(kept, "200 OK"), 2u);
  EXPECT_NE(kept.find("Connection: keep-alive"), std::string::npos);
  EXPECT_EQ(StatusOf(Say("GET http://x/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
}

TEST_F(ServerTest, AHalfClosedClientStillGetsItsAnswer) {
  Start();
  Raw raw(server_->local().port);
  raw.Send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  raw.EndSending();
  EXPECT_EQ(StatusOf(raw.ReadAll()), 200);
}

TEST_F(ServerTest, NoHandlerCanBreakTheServer) {
  Start();
  Client client = MakeClient();
  for (const char* path : {"/throw", "/drop"}) {
    const auto response = client.Get(path);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 500) << path;
    EXPECT_EQ(response->body.find("secret"), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(response->body)["traceId"], ParseTraceparent(response->headers["traceparent"]).ToHex());
  }
  const auto injected = client.Get("/inject?to=https://x/%0d%0aSet-Cookie:%20a");
  EXPECT_EQ(injected->status, 302);
  EXPECT_EQ(injected->headers.Find("set-cookie"), std::nullopt);
  EXPECT_EQ(injected->headers["location"], "https://x/Set-Cookie: a");
}

TEST_F(ServerTest, LargeBodiesGoBothWays) {
  Start();
  Client client = MakeClient();
  std::string body(7 << 20, ' ');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31);
  const auto response = client.Send({.method = Method::kPost, .target = "/echo", .body = body});
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_TRUE(response->body == body);
}

TEST_F(ServerTest, StreamedBodiesArriveWholeInPieces) {
  Start();
  Client client = MakeClient();
  for (const bool chunked : {true, false}) {
    const size_t pieces = 700;
    const std::string piece(10'007, '\x02');
    size_t sent = 0;
    Call call{.method = Method::kPost, .target = "/upload"};
    call.upload = [&]() -> Result<std::string> { return sent++ < pieces ? piece : std::string(); };
    if (!chunked) call.upload_bytes = pieces * piece.size();
    const auto response = client.Send(call);
    ASSERT_TRUE(response) << response.error().ToString();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, fmt::format("{} {}", pieces * piece.size(), pieces * piece.size() * 2));
  }
  EXPECT_EQ(client.Send({.method = Method::kPost, .target = "/upload"})->body, "0 0");
  EXPECT_EQ(aborted_, 0);
}

TEST_F(ServerTest, AnUploadThatIsRefusedEndsEarly) {
  Start();
  Client client = MakeClient();
  size_t asked = 0;
  Call call{.method = Method::kPost, .target = "/upload", .headers = {{"x-refuse", "yes"}}};
  call.upload = [&]() -> Result<std::string> { return ++asked < 10'000 ? std::string(100'000, 'x') : std::string(); };
  const auto response = client.Send(call);
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(response->status, 403);
  EXPECT_LT(asked, 10'000u);
  EXPECT_EQ(client.Get("/hello")->status, 200);
}

TEST_F(ServerTest, ABrokenUploadAbortsItsSink) {
  Start();
  {
    Raw raw(server_->local().port);
    raw.Send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this");
  }
  Client client = MakeClient();
  while (aborted_ == 0) ASSERT_TRUE(client.Get("/hello"));
  Call call{.method = Method::kPost, .target = "/upload"};
  call.upload = []() -> Result<std::string> { return Fail(Code::kInvalid, "the file went away"); };
  EXPECT_EQ(client.Send(call).error().message, "the file went away");
  while (aborted_ == 1) ASSERT_TRUE(client.Get("/hello"));
  EXPECT_EQ(StatusOf(Say("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")), 400);
  EXPECT_EQ(aborted_, 3);
}

TEST_F(ServerTest, SlowClientsAreGivenUp) {
  Start({.idle_timeout = Milliseconds(100),
         .header_timeout = Milliseconds(100),
         .body_timeout = Milliseconds(100),
         .handler_timeout = Milliseconds(150)});
  EXPECT_EQ(Say(""), "");
  EXPECT_EQ(StatusOf(Say("GET /hel")), 408);
  EXPECT_EQ(StatusOf(Say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")), 408);
  EXPECT_EQ(StatusOf(Say("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")), 408);
  EXPECT_EQ(aborted_, 1);
  EXPECT_EQ(StatusOf(Say("GET /park HTTP/1.1\r\nHost: x\r\n\r\n")), 503);
  TakeParked()(Response::Text(200, "too late"));
  const std::string kept = Say("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(CountOf(kept, "HTTP/1.1"), 1u);
}

TEST_F(ServerTest, OneConnectionTooManyIsToldToComeBack) {
  Start({.connections_max = 2});
  Client a = MakeClient();
  Client b = MakeClient();
  ASSERT_EQ(a.Get("/hello")->status, 200);
  ASSERT_EQ(b.Get("/hello")->status, 200);
  const auto refused = MakeClient().Get("/hello");
  ASSERT_TRUE(refused) << refused.error().ToString();
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->headers["retry-after"], "1");
  EXPECT_EQ(a.Get("/hello")->status, 200);
}

TEST_F(ServerTest, StopLetsRequestsInFlightFinish) {
  Start();
  Client client = MakeClient();
  auto answer = std::async(std::launch::async, [&] { return client.Get("/park"); });
  Respond respond = TakeParked();
  auto stopped = std::async(std::launch::async, [&] { server_->Stop(Seconds(20)); });
  // The acceptor closes first.
  while (Client(server_->local()).Get("/hello")) {
  }
  respond(Response::Text(200, "finished"));
  const auto response = answer.get();
  ASSERT_TRUE(response) << response.error().ToString();
  EXPECT_EQ(response->body, "finished");
  EXPECT_EQ(response->headers["connection"], "close");
  stopped.get();
}

TEST_F(ServerTest, AnAnswerAfterTheStopIsDropped) {
  Start();
  Client client = MakeClient();
  auto answer = std::async(std::launch::async, [&] { return client.Get("/park"); });
  Respond respond = TakeParked();
  server_->Stop({});
  respond(Response::Text(200, "nobody hears this"));
  const auto response = answer.get();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kRetry);
}

TEST_F(ServerTest, ATakenPortIsAConflict) {
  Start();
  const auto second = Server::Start({.listen = server_->local()}, Router());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST_F(ServerTest, AnUnreachableServerIsWorthARetryAndSaysWhere) {
  Start();
  Client client = MakeClient();
  ASSERT_TRUE(client.Get("/hello"));
  const Endpoint at = server_->local();
  server_.reset();
  const auto response = client.Get("/hello");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kRetry);
  EXPECT_NE(response.error().message.find(at.ToString()), std::string::npos);
}

TEST(Client, UrlsAreReadOrRefused) {
  EXPECT_TRUE(Client::FromUrl("http://127.0.0.1:8080/"));
  EXPECT_TRUE(Client::FromUrl("localhost:80"));
  for (const char* bad : {"", "http://", "https://x:1", "http://a b:1", "http://x:99999", "ftp://x", "http://x:80/path"}) {
    EXPECT_FALSE(Client::FromUrl(bad)) << bad;
  }
}

}  // namespace
}  // namespace maily::http
