// Tests whom a request is taken to come from, where proxies stand between, and where somebody only says so.
#include "api/http/forwarded.h"

#include <gtest/gtest.h>

namespace maily::http {
namespace {

Proxies Trusting(std::vector<std::string> networks, std::string header = "x-forwarded-for") {
  return ParseProxies(networks, std::move(header)).value();
}
constexpr const char* kProxy = "10.0.0.7";

TEST(Cidrs, HoldTheirAddressesAndNoOthers) {
  struct Row {
    const char* network;
    const char* inside;
    const char* outside;
  };
  for (const Row& row :
       {Row{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"}, Row{"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        Row{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, Row{"0.0.0.0/0", "255.1.2.3", "2001:db8::1"},
        Row{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"}, Row{"::1", "::1", "::2"},
        Row{"192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:192.0.3.9"}, Row{"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"}}) {
    const auto cidr = Cidr::Parse(row.network);
    ASSERT_TRUE(cidr) << cidr.error().message;
    EXPECT_TRUE(cidr->Contains(row.inside)) << row.network << " " << row.inside;
    EXPECT_FALSE(cidr->Contains(row.outside)) << row.network << " " << row.outside;
    EXPECT_FALSE(cidr->Contains("")) << row.network;
    EXPECT_FALSE(cidr->Contains("unknown")) << row.network;
  }
}

TEST(Cidrs, WhatIsNoneIsRefusedWithAReason) {
  for (const char* text :
       {"", "proxy", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.1/8", "2001:db8::1/64", "::/129", "10.0.0/8"}) {
    EXPECT_EQ(Cidr::Parse(text).error().code, Code::kInvalid) << text;
  }
  EXPECT_NE(Cidr::Parse("10.0.0.1/8").error().message.find("first address"), std::string::npos);
}

TEST(ProxiesTest, NobodyIsBelievedWhoIsNotTrusted) {
  const Headers spoofed{{"x-forwarded-for", "198.51.100.1"}, {"forwarded", "for=198.51.100.1"}};
  EXPECT_EQ(Proxies{}.ClientOf("203.0.113.5", spoofed), "203.0.113.5");
  EXPECT_EQ(Proxies{}.ClientOf(kProxy, spoofed), kProxy);
  EXPECT_EQ(Trusting({"10.0.0.0/8"}).ClientOf("203.0.113.5", spoofed), "203.0.113.5");
  EXPECT_EQ(Trusting({"10.0.0.0/8"}, "forwarded").ClientOf("203.0.113.5", spoofed), "203.0.113.5");
}

TEST(ProxiesTest, TheRightmostThatIsNoProxyIsTheClientWhateverStandsBefore) {
  const Proxies proxies = Trusting({"10.0.0.0/8", "2001:db8:1::/48"});
  struct Row {
    const char* said;
    const char* client;
  };
  for (const Row& row :
       {Row{"203.0.113.5", "203.0.113.5"}, Row{"198.51.100.1, 203.0.113.5", "203.0.113.5"},
        Row{"198.51.100.1, 203.0.113.5, 10.1.1.1, 2001:db8:1::9", "203.0.113.5"}, Row{"10.9.9.9, 203.0.113.5", "203.0.113.5"},
        Row{"203.0.113.5:4711", "203.0.113.5"}, Row{"[2001:db8:2::1]:443", "2001:db8:2::1"}, Row{"2001:db8:2::1", "2001:db8:2::1"},
        Row{" 203.0.113.5 ,, ", "203.0.113.5"}, Row{"10.2.2.2, 10.1.1.1", "10.2.2.2"}, Row{"", kProxy},
        // Whoever cannot be named is nobody: not the one who stands to the left.
        Row{"198.51.100.1, unknown", ""}, Row{"198.51.100.1, 203.0.113.5x", ""}, Row{"198.51.100.1, unknown, 10.1.1.1", ""},
        Row{"198.51.100.1, [2001:db8:2::1", ""}, Row{"198.51.100.1, 203.0.113.5:", ""}}) {
    EXPECT_EQ(proxies.ClientOf(kProxy, Headers{{"x-forwarded-for", row.said}}), row.client) << row.said;
  }
  EXPECT_EQ(proxies.ClientOf(kProxy, {}), kProxy);
}

TEST(ProxiesTest, LinesOfOneHeaderAreOneList) {
  const Proxies proxies = Trusting({"10.0.0.0/8"});
  EXPECT_EQ(
      proxies.ClientOf(kProxy, Headers{{"x-forwarded-for", "198.51.100.1"}, {"host", "x"}, {"x-forwarded-for", "203.0.113.5, 10.1.1.1"}}),
      "203.0.113.5");
  EXPECT_EQ(proxies.ClientOf(kProxy, Headers{{"x-forwarded-for", "198.51.100.1"}, {"x-forwarded-for", "10.1.1.1"}}), "198.51.100.1");
}

TEST(ProxiesTest, OnlyTheHeaderThatProxiesWriteIsBelieved) {
  const Headers both{{"forwarded", "for=198.51.100.1"}, {"x-forwarded-for", "203.0.113.5"}};
  EXPECT_EQ(Trusting({"10.0.0.0/8"}).ClientOf(kProxy, both), "203.0.113.5");
  EXPECT_EQ(Trusting({"10.0.0.0/8"}, "forwarded").ClientOf(kProxy, both), "198.51.100.1");
}

TEST(ProxiesTest, ForwardedIsReadAsRfc7239HasIt) {
  const Proxies proxies = Trusting({"10.0.0.0/8"}, "forwarded");
  struct Row {
    const char* said;
    const char* client;
  };
  for (const Row& row :
       {Row{"for=203.0.113.5;proto=https;by=10.1.1.1", "203.0.113.5"}, Row{R"(For="[2001:db8:cafe::17]:4711")", "2001:db8:cafe::17"},
        Row{"for=198.51.100.1, for=203.0.113.5, for=10.1.1.1", "203.0.113.5"}, Row{R"(proto=http ; for="203.0.113.5:80")", "203.0.113.5"},
        Row{R"(for=203.0.113.5;host="a,b;for=198.51.100.1")", "203.0.113.5"}, Row{"for=198.51.100.1, for=_hidden", ""},
        Row{"for=198.51.100.1, for=unknown", ""}, Row{"for=198.51.100.1, proto=https", ""},
        Row{"for=198.51.100.1, for=203.0.113.5;for=198.51.100.2", ""}, Row{R"(for=198.51.100.1, for="203.0.113.5)", ""}}) {
    EXPECT_EQ(proxies.ClientOf(kProxy, Headers{{"forwarded", row.said}}), row.client) << row.said;
  }
}

}  // namespace
}  // namespace maily::http
