// Tests the readers of DKIM, DMARC and SPF records, and that any bytes are read or refused.
#include "api/domain_records.h"

#include <gtest/gtest.h>

#include <random>

namespace maily::api {
namespace {

TEST(Tags, AreReadWithoutTheSpaceAroundThem) {
  const auto tags = ParseTags(" v=DKIM1 ;\tp = a b= ; x=;");
  ASSERT_TRUE(tags);
  EXPECT_EQ(TagValue(*tags, "v"), "DKIM1");
  EXPECT_EQ(TagValue(*tags, "p"), "a b=");
  EXPECT_EQ(TagValue(*tags, "x", "y"), "");
  EXPECT_EQ(TagValue(*tags, "z", "y"), "y");
  EXPECT_TRUE(ParseTags("")->empty());
  for (const char* bad : {"p", "=x", "p=1;p=2", ";p=1", "p=1;;q=2"}) EXPECT_FALSE(ParseTags(bad)) << bad;
}

TEST(Tags, AVersionIsFirstAndSpelledSo) {
  EXPECT_TRUE(BeginsWithTag("v = DMARC1 ; p=none", "v", "DMARC1"));
  EXPECT_TRUE(BeginsWithTag("v=DMARC1", "v", "DMARC1"));
  for (const char* bad : {"", "v=DMARC12; p=none", "V=DMARC1", "p=none; v=DMARC1"}) EXPECT_FALSE(BeginsWithTag(bad, "v", "DMARC1")) << bad;
}

TEST(Spf, IsReadTermByTerm) {
  const auto terms = ParseSpf("v=spf1 ip4:192.0.2.0/24 a/24//64 -MX:x.Example exists:%{i}.y.example redirect=z.example k=v ~all");
  ASSERT_TRUE(terms) << terms.error().message;
  ASSERT_EQ(terms->size(), 6u);
  EXPECT_EQ((*terms)[0].value, "192.0.2.0/24");
  EXPECT_FALSE((*terms)[0].asks());
  EXPECT_EQ((*terms)[1].value, "");
  EXPECT_EQ((*terms)[2].qualifier, '-');
  EXPECT_EQ((*terms)[2].name, "mx");
  EXPECT_TRUE((*terms)[3].has_macro());
  EXPECT_TRUE((*terms)[4].modifier);
  EXPECT_TRUE((*terms)[4].asks());
  EXPECT_EQ((*terms)[5].qualifier, '~');
}

TEST(Spf, WhatNoReceiverTakesIsRefused) {
  for (const char* bad : {"v=spf1 ip4:1.2.3", "v=spf1 ip4:1.2.3.4/33", "v=spf1 ip6:1.2.3.4", "v=spf1 a/33", "v=spf1 a:", "v=spf1 a//129",
                          "v=spf1 include", "v=spf1 include:a..b", "v=spf1 all:x", "v=spf1 all/8", "v=spf1 +", "v=spf1 foo",
                          "v=spf1 redirect:x.example", "v=spf1 ptr/24", "v=spf1 redirect=a.example redirect=b.example", "v=spf2", ""}) {
    EXPECT_FALSE(ParseSpf(bad)) << bad;
  }
}

TEST(Spf, AnyBytesAreReadOrRefused) {
  const auto seed = static_cast<unsigned>(std::random_device()());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::vector<std::string> parts = {
      "v=spf1", " ", "include:", "a",    "mx",        "all", "redirect=", "x.example",          ":", "=", "/", "//", "24", "%{i}", "+",
      "-",      "~", "?",        "ip4:", "192.0.2.1", ";",   "\xff",      std::string(1, '\0'), "p="};
  for (int i = 0; i < 20'000; ++i) {
    std::string record = random() % 4 == 0 ? "" : "v=spf1 ";
    for (size_t n = random() % 12; n > 0; --n) record += parts[random() % parts.size()];
    if (const auto terms = ParseSpf(record)) {
      for (const SpfTerm& term : *terms) EXPECT_FALSE(term.name.empty()) << record;
    } else {
      EXPECT_EQ(terms.error().code, Code::kInvalid);
      EXPECT_LT(terms.error().message.size(), 300u);
    }
    if (const auto tags = ParseTags(record)) {
      for (const Tag& tag : *tags) EXPECT_EQ(TagValue(*tags, tag.name), tag.value) << record;
    }
  }
}

}  // namespace
}  // namespace maily::api
