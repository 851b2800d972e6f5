// The simulated DNS answers by its script, late and badly if told so.
#include "streams/adapters/sim/sim_resolver.h"

#include <gtest/gtest.h>

#include <optional>

namespace maily::sim {
namespace {

using Kind = DnsAnswer::Kind;

class SimResolverTest : public testing::Test {
 protected:
  Result<DnsAnswer> Ask(DnsType type, const std::string& name) {
    std::optional<Result<DnsAnswer>> got;
    resolver.Ask({type, name}, *executor, [&](Result<DnsAnswer> answer) { got = std::move(answer); });
    EXPECT_FALSE(got);
    EXPECT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, Seconds(10)));
    return *got;
  }
  Scheduler scheduler{1};
  std::unique_ptr<Executor> executor = scheduler.MakeExecutor();
  SimResolver resolver{scheduler, {}};
};

TEST_F(SimResolverTest, TellsRecordsNoDataAndNoNameApart) {
  resolver.SetMx("example.com", {{10, "mx.example.com"}});
  resolver.SetAddresses("mx.example.com", {"10.0.0.1", "2001:db8::1"});
  resolver.SetPtr("10.0.0.1", {"mx.example.com"});
  EXPECT_EQ(Ask(DnsType::kMx, "EXAMPLE.com.")->records, (std::vector<DnsRecord>{{"mx.example.com", 10}}));
  EXPECT_EQ(Ask(DnsType::kMx, "example.com")->ttl, Hours(1));
  EXPECT_EQ(Ask(DnsType::kAddress, "mx.example.com")->records.size(), 2u);
  EXPECT_EQ(Ask(DnsType::kPtr, "1.0.0.10.in-addr.arpa")->records, (std::vector<DnsRecord>{{"mx.example.com"}}));
  EXPECT_EQ(Ask(DnsType::kTxt, "example.com")->kind, Kind::kNoData);
  EXPECT_EQ(Ask(DnsType::kMx, "gone.example")->kind, Kind::kNoName);
  EXPECT_EQ(Ask(DnsType::kMx, "a..b").error().code, Code::kInvalid);
  resolver.Set(DnsType::kMx, "example.com", {});
  EXPECT_EQ(Ask(DnsType::kMx, "example.com")->kind, Kind::kNoData);
  resolver.Remove("example.com");
  EXPECT_EQ(Ask(DnsType::kMx, "example.com")->kind, Kind::kNoName);
  EXPECT_EQ(resolver.asked(DnsType::kMx, "example.com"), 4u);
}

TEST_F(SimResolverTest, FailsAndIsLateWhereItIsTold) {
  resolver.SetTxt("example.com", {"hello"});
  resolver.Break("example.com", "SERVFAIL");
  const auto failed = Ask(DnsType::kTxt, "example.com");
  EXPECT_EQ(failed.error().code, Code::kRetry);
  EXPECT_NE(failed.error().message.find("SERVFAIL"), std::string::npos);
  resolver.Break("example.com", "");
  resolver.SetLatency("example.com", Seconds(5));
  const Duration before = scheduler.clock().Steady();
  EXPECT_EQ(Ask(DnsType::kTxt, "example.com")->records, (std::vector<DnsRecord>{{"hello"}}));
  EXPECT_EQ(scheduler.clock().Steady() - before, Seconds(5));
  resolver.options().fail = 1;
  EXPECT_EQ(Ask(DnsType::kTxt, "example.com").error().code, Code::kRetry);
}

TEST(SimResolver, DestroyedItDropsWhatIsUnderWay) {
  Scheduler scheduler(1);
  const auto executor = scheduler.MakeExecutor();
  {
    SimResolver resolver(scheduler, {});
    resolver.Mx("example.com", *executor, [](const Result<DnsAnswer>&) { ADD_FAILURE(); });
  }
  scheduler.RunFor(Seconds(1));
}

}  // namespace
}  // namespace maily::sim
