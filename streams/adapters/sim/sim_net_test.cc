// The simulated network and slots: streams keep their bytes and order until they break, and then both sides know.
#include "streams/adapters/sim/sim_net.h"

#include <gtest/gtest.h>

#include "streams/adapters/sim/sim_slots.h"

namespace maily::sim {
namespace {

// Collects what a connection receives until it ends.
struct Receiver {
  std::unique_ptr<Connection> connection;
  std::string received;
  std::string ended;  // "closed", or the code of the error
  void Receive() {
    connection->Read(7, [this](Result<std::string> bytes) {
      if (!bytes) {
        ended = CodeName(bytes.error().code);
      } else if (bytes->empty()) {
        ended = "closed";
      } else {
        received += *bytes;
        Receive();
      }
    });
  }
};

class SimNetTest : public testing::Test {
 protected:
  void Connect() {
    listener =
        server->Listen({"127.0.0.1", 25}, [this](std::unique_ptr<Connection> connection) { accepted.connection = std::move(connection); })
            .value();
    client->Dial({"127.0.0.1", 25}, Seconds(1),
                 [this](Result<std::unique_ptr<Connection>> result) { dialed.connection = std::move(result).value(); });
    ASSERT_TRUE(scheduler.RunUntil([this] { return accepted.connection != nullptr && dialed.connection != nullptr; }, Seconds(1)));
  }
  Scheduler scheduler{1};
  SimNet net{scheduler, {}};
  std::unique_ptr<Executor> server_executor = scheduler.MakeExecutor();
  std::unique_ptr<Executor> client_executor = scheduler.MakeExecutor();
  std::unique_ptr<SimHost> server = net.MakeHost(*server_executor);
  std::unique_ptr<SimHost> client = net.MakeHost(*client_executor);
  Receiver accepted;
  Receiver dialed;
  std::unique_ptr<Listener> listener;
};

TEST_F(SimNetTest, BytesArriveInOrderAndThenTheEnd) {
  Connect();
  EXPECT_EQ(net.open_connections(), 1u);
  accepted.Receive();
  std::string sent;
  for (int i = 0; i < 50; ++i) {
    const std::string bytes(scheduler.Random(30), static_cast<char>('a' + i % 26));
    sent += bytes;
    dialed.connection->Write(bytes, [](const Result<void>& written) { EXPECT_TRUE(written); });
    scheduler.RunUntilIdle();
  }
  dialed.connection.reset();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(accepted.received, sent);
  EXPECT_EQ(accepted.ended, "closed");
  Result<void> late;
  accepted.connection->Write("late", [&](Result<void> written) { late = std::move(written); });
  scheduler.RunUntilIdle();
  EXPECT_EQ(late.error().code, Code::kRetry);
}

TEST_F(SimNetTest, BothSidesSeeABrokenConnection) {
  Connect();
  accepted.Receive();
  dialed.Receive();
  net.options().drop = 1;
  Result<void> written;
  dialed.connection->Write("lost", [&](Result<void> result) { written = std::move(result); });
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(written.error().code, Code::kRetry);
  EXPECT_EQ(accepted.ended, "retry");
  EXPECT_EQ(dialed.ended, "retry");
  EXPECT_LE(accepted.received.size(), 4u);
}

TEST_F(SimNetTest, CrashAllBreaksEveryConnection) {
  Connect();
  accepted.Receive();
  dialed.Receive();
  net.CrashAll();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(accepted.ended, "retry");
  EXPECT_EQ(dialed.ended, "retry");
  EXPECT_EQ(net.open_connections(), 0u);
}

TEST_F(SimNetTest, DialsAreRefusedOrTimeOut) {
  std::vector<std::string> messages;
  const auto dial = [&] {
    client->Dial({"127.0.0.1", 26}, Seconds(5),
                 [&](Result<std::unique_ptr<Connection>> result) { messages.push_back(result.error().message); });
    scheduler.RunFor(Seconds(6));
  };
  dial();
  net.options().blackhole = 1;
  dial();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_NE(messages[0].find("refused"), std::string::npos);
  EXPECT_NE(messages[1].find("timed out"), std::string::npos);
  listener = server->Listen({"127.0.0.1", 26}, [](std::unique_ptr<Connection>) {}).value();
  EXPECT_EQ(server->Listen({"127.0.0.1", 26}, [](std::unique_ptr<Connection>) {}).error().code, Code::kConflict);
  listener.reset();
  EXPECT_TRUE(server->Listen({"127.0.0.1", 26}, [](std::unique_ptr<Connection>) {}));
}

TEST_F(SimNetTest, AProcessThatDiesIsSeenAsAClosedPeerAndHearsNothing) {
  Connect();
  accepted.Receive();
  bool heard = false;
  dialed.connection->Read(10, [&](const Result<std::string>&) { heard = true; });
  client->Dial({"127.0.0.1", 25}, Seconds(1), [&](const Result<std::unique_ptr<Connection>>&) { heard = true; });
  accepted.connection->Write("to the dead", [](const Result<void>&) {});
  dialed.connection.reset();
  client.reset();
  client_executor.reset();
  scheduler.RunFor(Seconds(1));
  EXPECT_EQ(accepted.ended, "closed");
  EXPECT_FALSE(heard);
}

TEST(SimSlots, OutliveTheProcessAndNotTheBoot) {
  Scheduler scheduler(1);
  SimSlots slots(scheduler, 3);
  EXPECT_EQ(slots.Read(2), "");
  slots.Write(2, "begun");
  EXPECT_EQ(slots.Read(2), "begun");
  const std::string boot = slots.boot_id();
  slots.Reboot();
  EXPECT_NE(slots.boot_id(), boot);
  EXPECT_EQ(slots.count(), 3u);
}

}  // namespace
}  // namespace maily::sim
