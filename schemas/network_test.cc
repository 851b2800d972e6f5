// What is kept of readers' addresses.
#include "schemas/network.h"

#include <gtest/gtest.h>

namespace maily::schema {
namespace {

TEST(Network, IsAllThatIsKeptOfAnAddress) {
  EXPECT_EQ(NetworkOf("203.0.113.77"), std::string("\xCB\x00\x71", 3));
  EXPECT_EQ(NetworkOf("203.0.113.78"), NetworkOf("203.0.113.1"));
  EXPECT_NE(NetworkOf("203.0.112.77"), NetworkOf("203.0.113.77"));
  EXPECT_EQ(NetworkOf("2001:db8:1:2::3"), std::string("\x20\x01\x0d\xb8\x00\x01", 6));
  EXPECT_EQ(NetworkOf("2001:db8:1:ffff::9"), NetworkOf("2001:db8:1::1"));
  EXPECT_EQ(NetworkOf("::ffff:203.0.113.77"), NetworkOf("203.0.113.1"));
}

TEST(Network, OfThisHostOrAPrivateOneIsNotKept) {
  for (const char* text : {"127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.1.1", "100.64.0.1",
                           "::1", "::", "fe80::1", "fc00::1", "fdff::1", "::ffff:10.0.0.1"}) {
    EXPECT_EQ(NetworkOf(text), "") << text;
  }
  for (const char* text : {"172.32.0.1", "100.128.0.1", "11.0.0.1", "fe00::1", "64:ff9b::1"}) EXPECT_NE(NetworkOf(text), "") << text;
}

TEST(Network, OfWhatIsNoAddressIsEmpty) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "example.com", "2001:db8::1%eth0", "1.2.3.4, 5.6.7.8"})
    EXPECT_EQ(NetworkOf(text), "") << text;
  EXPECT_EQ(NetworkOf(std::string(1000, '1')), "");
}

}  // namespace
}  // namespace maily::schema
