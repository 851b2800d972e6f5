// The real executor and the real wire keep their ports' contracts.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/asio/asio_net.h"

namespace maily::app {
class LiveRuntime {
 public:
  static LiveCapability Make(Mode mode) { return LiveCapability(mode); }
};
}  // namespace maily::app

namespace maily::asio_net {
namespace {

using app::LiveRuntime;

TEST(Worker, RunsJobsInTheOrderOfPostingOnOneThread) {
  Worker worker("test");
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) {
    worker.Post([&, i] {
      EXPECT_TRUE(worker.OnThisThread());
      order.push_back(i);
      if (i == 999) worker.Post([&] { done.set_value(); });
    });
  }
  done.get_future().wait();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Worker, TimersFireInOrderOfTheirTimeAndACancelledOneNever) {
  Worker worker("test");
  std::vector<int> order;
  std::promise<void> done;
  worker.After(Milliseconds(30), [&] {
    order.push_back(30);
    done.set_value();
  });
  const TimerId cancelled = worker.After(Milliseconds(20), [&] { order.push_back(20); });
  worker.After(Milliseconds(10), [&] { order.push_back(10); });
  worker.Post([&] { worker.Cancel(cancelled); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{10, 30}));
}

TEST(Worker, StopDropsWhatHasNotRunAndJoins) {
  auto alive = std::make_shared<int>(1);
  Worker worker("test");
  std::promise<void> entered;
  std::promise<void> leave;
  worker.Post([&] {
    entered.set_value();
    leave.get_future().wait();
  });
  entered.get_future().wait();
  std::atomic<bool> ran{false};
  worker.Post([alive, &ran] { ran = true; });
  worker.After(Hours(1), [alive] {});
  std::thread stopper([&] { worker.Stop(); });
  leave.set_value();
  stopper.join();
  worker.Post([alive] {});
  EXPECT_EQ(worker.After(Seconds(0), [alive] {}), 0u);
  // Whether the second job ran is a race; that nothing is left of it is not.
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Worker, PostsOfManyThreadsAllRun) {
  Workers workers("test", 2);
  std::atomic<int> count{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) workers.at(t).Post([&] { ++count; });
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < workers.size(); ++i) {
    std::promise<void> last;
    workers.at(i).Post([&] { last.set_value(); });
    last.get_future().wait();
  }
  EXPECT_EQ(count, 20'000);
}

TEST(System, ClockAndEntropyWork) {
  SystemClock clock;
  EXPECT_GT(clock.Now().us, 1'700'000'000'000'000);
  const Duration before = clock.Steady();
  EXPECT_GE(clock.Steady(), before);
  SystemEntropy entropy;
  EXPECT_NE(entropy.Next(), entropy.Next());
}

// Echoes until the peer closes.
struct Echo : std::enable_shared_from_this<Echo> {
  explicit Echo(std::unique_ptr<Connection> c) : connection(std::move(c)) {}
  void Next() {
    connection->Read(1 << 16, [self = shared_from_this()](Result<std::string> bytes) {
      if (!bytes || bytes->empty()) {
        self->connection->Close();
        return;
      }
      self->connection->Write(std::move(*bytes), [self](Result<void> written) {
        if (written) self->Next();
      });
    });
  }
  std::unique_ptr<Connection> connection;
};

class NetTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Connection>> Dial(Mode mode, const Endpoint& to, Duration timeout = Seconds(5)) {
    AsioDialer dialer(worker_, LiveRuntime::Make(mode));
    std::promise<Result<std::unique_ptr<Connection>>> done;
    dialer.Dial(to, timeout, [&](Result<std::unique_ptr<Connection>> made) { done.set_value(std::move(made)); });
    return done.get_future().get();
  }
  void OnWorker(Job job) {
    std::promise<void> done;
    worker_.Post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }
  Worker worker_{"net-test"};
  AsioNet net_{worker_};
};

TEST_F(NetTest, BytesComeBackWhole) {
  auto listener = net_.Listen({"127.0.0.1", 0}, [](std::unique_ptr<Connection> c) { std::make_shared<Echo>(std::move(c))->Next(); });
  ASSERT_TRUE(listener);
  auto connection = Dial(Mode::kSandbox, (*listener)->local());
  ASSERT_TRUE(connection) << connection.error().ToString();
  const std::string sent(3 << 20, 'x');
  std::promise<size_t> got;
  size_t total = 0;
  std::function<void()> read = [&] {
    (*connection)->Read(100'000, [&](Result<std::string> bytes) {
      total += bytes ? bytes->size() : 0;
      if (!bytes || bytes->empty() || total == sent.size()) return got.set_value(total);
      read();
    });
  };
  worker_.Post([&] {
    (*connection)->Write(sent, [](Result<void> written) { EXPECT_TRUE(written); });
    read();
  });
  EXPECT_EQ(got.get_future().get(), sent.size());
  OnWorker([&] { connection->reset(); });
}

TEST_F(NetTest, SandboxReachesLoopbackOnlyAndHeldNothing) {
  for (const char* outside :
       {"192.0.2.1", "8.8.8.8", "example.com", "0.0.0.0", "::ffff:127.0.0.1", "2001:db8::1", "localhost.example.com"}) {
    const auto refused = Dial(Mode::kSandbox, {outside, 25});
    ASSERT_FALSE(refused) << outside;
    EXPECT_EQ(refused.error().code, Code::kInvalid) << outside;
    EXPECT_NE(refused.error().message.find("sandbox"), std::string::npos);
    EXPECT_NE(refused.error().message.find("maily arm"), std::string::npos);
  }
  auto listener = net_.Listen({"localhost", 0}, [](std::unique_ptr<Connection>) {});
  ASSERT_TRUE(listener);
  for (const char* inside : {"127.0.0.1", "localhost"}) {
    auto connection = Dial(Mode::kSandbox, {inside, (*listener)->local().port});
    EXPECT_TRUE(connection) << inside;
    OnWorker([&] { connection = std::unique_ptr<Connection>(); });
  }
  const auto held = Dial(Mode::kHeld, (*listener)->local());
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Code::kInvalid);
  EXPECT_NE(held.error().message.find("held"), std::string::npos);
}

TEST_F(NetTest, ARefusedConnectionIsWorthARetry) {
  uint16_t port = 0;
  {
    auto listener = net_.Listen({"127.0.0.1", 0}, [](std::unique_ptr<Connection>) {});
    port = (*listener)->local().port;
  }
  const auto refused = Dial(Mode::kLive, {"127.0.0.1", port});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRetry);
}

TEST_F(NetTest, ATakenPortIsAConflict) {
  auto listener = net_.Listen({"127.0.0.1", 0}, [](std::unique_ptr<Connection>) {});
  ASSERT_TRUE(listener);
  const auto second = net_.Listen((*listener)->local(), [](std::unique_ptr<Connection>) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  const auto name = net_.Listen({"no such host", 0}, [](std::unique_ptr<Connection>) {});
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, Code::kInvalid);
}

TEST_F(NetTest, ADestroyedConnectionDropsItsCallbacksAndItsPeerSeesTheEnd) {
  std::promise<std::string> end;
  std::unique_ptr<Connection> server;
  auto listener = net_.Listen({"127.0.0.1", 0}, [&](std::unique_ptr<Connection> c) {
    server = std::move(c);
    server->Read(10, [&](Result<std::string> bytes) { end.set_value(bytes ? *bytes : bytes.error().message); });
  });
  auto connection = Dial(Mode::kSandbox, (*listener)->local());
  ASSERT_TRUE(connection);
  OnWorker([&] {
    (*connection)->Read(10, [](Result<std::string>) { ADD_FAILURE() << "called after its connection was destroyed"; });
    connection->reset();
  });
  EXPECT_EQ(end.get_future().get(), "");
  OnWorker([&] { server.reset(); });
}

}  // namespace
}  // namespace maily::asio_net
