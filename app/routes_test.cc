// What a file of routes says, and what is wrong with it.
#include "app/routes.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace maily::app {
namespace {

Result<std::vector<smtp::RouteRule>> Read(const std::string& text) {
  char name[] = "/tmp/maily-routes-XXXXXX";
  const int file = mkstemp(name);
  close(file);
  std::ofstream(name) << text;
  SourceFile sources;
  auto pool = std::make_shared<smtp::SourcePool>();
  pool->name = "bulk";
  sources.pools["bulk"] = pool;
  auto rules = ReadRoutes(name, sources);
  std::filesystem::remove(name);
  return rules;
}

TEST(Routes, SayWhoGoesWhere) {
  setenv("MAILY_ROUTES_TEST", "secret", 1);
  const auto rules = Read(R"(
- domain: Bücher.example
  via: mx
- tenant: 3
  domain: "*.example.com"
  via: smtp.provider.example:587
  user: apikey
  password: env:MAILY_ROUTES_TEST
- via: 127.0.0.1:2525
  tls: off
- tenant: 9
  via: mx
  from: bulk
)");
  ASSERT_TRUE(rules) << rules.error().message;
  ASSERT_EQ(rules->size(), 4u);
  EXPECT_EQ((*rules)[0].domain, "xn--bcher-kva.example");
  EXPECT_EQ((*rules)[0].via, nullptr);
  EXPECT_EQ((*rules)[1].tenant, TenantId(3));
  EXPECT_TRUE((*rules)[1].below);
  EXPECT_EQ((*rules)[1].domain, "example.com");
  EXPECT_EQ((*rules)[1].via->host.ToString(), "smtp.provider.example:587");
  EXPECT_EQ((*rules)[1].via->use_tls, smtp::TlsUse::kRequired);
  EXPECT_EQ((*rules)[1].via->verify, tls::Verify::kRequire);
  ASSERT_TRUE((*rules)[1].via->login);
  EXPECT_EQ((*rules)[1].via->login->password, "secret");
  EXPECT_EQ((*rules)[2].domain, "");
  EXPECT_EQ((*rules)[2].via->use_tls, smtp::TlsUse::kNever);
  EXPECT_EQ((*rules)[0].from, nullptr);
  ASSERT_TRUE((*rules)[3].from);
  EXPECT_EQ((*rules)[3].from->name, "bulk");
  EXPECT_TRUE(ReadRoutes("", {})->empty());
  EXPECT_TRUE(Read("")->empty());
}

TEST(Routes, WhatIsWrongIsSaidWithItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: b\n", "it is no list of routes"},
      {"- domain: x.example\n", ":1: a route says via"},
      {"- via: mx\n- vai: mx\n", ":2: unknown member 'vai'"},
      {"- via: nowhere\n", ":1: 'nowhere' is not host:port"},
      {"- via: a:25\n  tenant: shop\n", ":2: tenant is a number"},
      {"- via: a:25\n  domain: \"no domain\"\n", ":2: 'no domain' is no domain"},
      {"- via: a:25\n  domain: [a]\n", ":2: domain is one value"},
      {"- via: a:25\n  tls: maybe\n", ":1: tls: 'maybe' is none of"},
      {"- via: a:25\n  user: me\n", ":1: user and password go together: password is missing"},
      {"- via: a:25\n  tls: opportunistic\n  user: me\n  password: env:HOME\n", "only sent over TLS"},
      {"- via: a:25\n  user: me\n  password: hunter2\n", "which hold it"},
      {"- via: a:25\n  user: me\n  password: env:MAILY_NOT_THERE\n", "MAILY_NOT_THERE"},
      {"- via: a:25\n  roots: /not/there\n", ":1: "},
      {"- via: mx\n  tls: off\n", "this goes by mx"},
      {"- via: mx\n  from: nobody\n", ":2: from: the file of the setting sources has no pool or source 'nobody'"},
      {"- via: a:25\n  from: bulk\n", ":2: from is of mails that go by mx"},
      {"- [\n", ":"},
  };
  for (const auto& [text, why] : cases) {
    const auto rules = Read(text);
    ASSERT_FALSE(rules) << text;
    EXPECT_NE(rules.error().message.find(why), std::string::npos) << text << " -> " << rules.error().message;
    EXPECT_EQ(rules.error().message.find("hunter2"), std::string::npos);
  }
}

}  // namespace
}  // namespace maily::app
