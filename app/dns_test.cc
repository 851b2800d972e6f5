// Tests what the settings of the DNS are read as.
#include "app/dns.h"

#include <gtest/gtest.h>

namespace maily::app {
namespace {

Config With(const char* setting, const char* value) {
  Config config;
  EXPECT_TRUE(config.Set(setting, value, "maily.yaml:3"));
  return config;
}

TEST(DnsSettings, ServersAreAddressesWithPorts) {
  EXPECT_TRUE(DnsOptionsOf(Config())->servers.empty());
  const auto options = DnsOptionsOf(With("dns_servers", "127.0.0.1:53, [::1]:5353"));
  ASSERT_TRUE(options) << options.error().message;
  ASSERT_EQ(options->servers.size(), 2u);
  EXPECT_EQ(options->servers[1].host, "::1");
  EXPECT_EQ(options->servers[1].port, 5353);
  for (const char* bad : {"127.0.0.1", "localhost:53", "127.0.0.1:53,,127.0.0.2:53", "127.0.0.1:99999", " "}) {
    const auto refused = DnsOptionsOf(With("dns_servers", bad));
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_TRUE(refused.error().message.starts_with("maily.yaml:3: dns_servers")) << refused.error().message;
  }
}

TEST(DnsSettings, SourceAddressesAreAtMostSixteenIpAddresses) {
  EXPECT_TRUE(SourceAddresses(Config())->empty());
  EXPECT_EQ(*SourceAddresses(With("source_addresses", "192.0.2.1,2001:db8::1")), (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  std::string many = "192.0.2.1";
  for (int i = 0; i < 16; ++i) many += ",192.0.2.1";
  for (const std::string& bad : {std::string("out.example.com"), std::string("192.0.2.1/24"), many}) {
    EXPECT_FALSE(SourceAddresses(With("source_addresses", bad.c_str()))) << bad;
  }
}

}  // namespace
}  // namespace maily::app
