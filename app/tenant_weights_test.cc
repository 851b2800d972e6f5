// Tests the setting of the parts that tenants get.
#include "app/tenant_weights.h"

#include <gtest/gtest.h>

namespace maily::app {
namespace {

TEST(TenantWeights, AreOneUnlessNamed) {
  const auto weight = TenantWeights("2:3, 5:1000").value();
  EXPECT_EQ(weight(TenantId(2)), 3u);
  EXPECT_EQ(weight(TenantId(5)), 1000u);
  EXPECT_EQ(weight(TenantId(1)), 1u);
  EXPECT_EQ(TenantWeights("").value()(TenantId(2)), 1u);
}

TEST(TenantWeights, WhatIsWrongIsNamed) {
  for (const char* text : {"2", "2:", ":3", "2:0", "2:1001", "0:3", "2:3;4:5", "acme:3", "2:3,,", "2:-1", "4294967296:2"}) {
    const auto read = TenantWeights(text);
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().message.find("a weight from 1 to 1000"), std::string::npos) << read.error().message;
  }
  EXPECT_NE(TenantWeights("2:3,2:4").error().message.find("tenant 2 stands there twice"), std::string::npos);
}

}  // namespace
}  // namespace maily::app
