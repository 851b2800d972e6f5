// Which mails leave by which relay.
#include "processors/effects/smtp/smarthost.h"

#include <gtest/gtest.h>

namespace maily::smtp {
namespace {

TEST(Smarthost, TheFirstRuleThatFitsDecides) {
  const auto relay = [](const std::string& name) {
    auto host = std::make_shared<Smarthost>();
    host->host = {name, 25};
    return std::shared_ptr<const Smarthost>(std::move(host));
  };
  const std::vector<RouteRule> rules = {
      {.tenant = TenantId(3), .domain = "example.com", .via = relay("three")},
      {.domain = "example.com"},  // by the DNS
      {.domain = "example.com", .below = true, .via = relay("below")},
      {.tenant = TenantId(4), .via = relay("four")},
  };
  const auto via = [&](uint32_t tenant, std::string_view domain) {
    const RouteRule* const rule = RuleOf(rules, TenantId(tenant), domain);
    const auto host = rule == nullptr ? nullptr : rule->via;
    return host == nullptr ? std::string() : host->host.host;
  };
  EXPECT_EQ(via(3, "example.com"), "three");
  EXPECT_EQ(via(3, "EXAMPLE.com"), "three");
  EXPECT_EQ(via(1, "example.com"), "");
  EXPECT_EQ(via(4, "example.com"), "") << "an earlier rule says by the DNS";
  EXPECT_EQ(via(1, "mail.example.com"), "below");
  EXPECT_EQ(via(1, "a.b.Example.com"), "below");
  EXPECT_EQ(via(1, "notexample.com"), "");
  EXPECT_EQ(via(4, "notexample.com"), "four");
  EXPECT_EQ(via(1, ".example.com"), "") << "no name below";
  EXPECT_EQ(via(1, ""), "");
  EXPECT_EQ(RuleOf({}, TenantId(1), "x"), nullptr);
}

}  // namespace
}  // namespace maily::smtp
