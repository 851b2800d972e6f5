#include "api/http/networks.h"

#include <gtest/gtest.h>

#include <random>

namespace maily::http {
namespace {

TEST(Networks, AnAddressIsInOneOrInNone) {
  const auto networks =
      Networks::ParseLines("# scanners\n203.0.113.0/24\n\n  198.51.100.7  # one host\r\n2001:db8::/32\n203.0.113.128/25\n").value();
  EXPECT_FALSE(networks.empty());
  for (const char* in : {"203.0.113.0", "203.0.113.255", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8:ffff::1"})
    EXPECT_TRUE(networks.Contains(in)) << in;
  for (const char* out : {"203.0.112.255", "203.0.114.0", "198.51.100.6", "198.51.100.8", "2001:db9::", "::", "", "nobody"})
    EXPECT_FALSE(networks.Contains(out)) << out;
}

TEST(Networks, NothingIsInNone) {
  EXPECT_TRUE(Networks::ParseLines("# nothing\n").value().empty());
  EXPECT_FALSE(Networks().Contains("192.0.2.1"));
}

TEST(Networks, TheLineThatIsWrongIsNamed) {
  const auto wrong = Networks::ParseLines("192.0.2.0/24\n\n192.0.2.1/24\n");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kInvalid);
  EXPECT_TRUE(wrong.error().message.starts_with("line 3: ")) << wrong.error().message;
}

TEST(Networks, AgreesWithEachNetworkByItself) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto address = [&](uint32_t bits) { return fmt::format("10.{}.{}.{}", bits >> 16 & 3, bits >> 8 & 255, bits & 255); };
  std::vector<Cidr> all;
  while (all.size() < 60) {
    const auto bits = static_cast<uint32_t>(16 + random() % 17);
    const auto mask = static_cast<uint32_t>(~uint64_t{0} << (32 - bits));
    all.push_back(Cidr::Parse(fmt::format("{}/{}", address(static_cast<uint32_t>(random()) & mask & 0x3FFFF), bits)).value());
  }
  const Networks networks(all);
  for (int i = 0; i < 20'000; ++i) {
    const std::string one = address(static_cast<uint32_t>(random()));
    EXPECT_EQ(networks.Contains(one), std::ranges::any_of(all, [&](const Cidr& cidr) { return cidr.Contains(one); })) << one;
  }
}

}  // namespace
}  // namespace maily::http
