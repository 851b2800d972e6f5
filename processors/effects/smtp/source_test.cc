// Which sources mails leave from.
#include "processors/effects/smtp/source.h"

#include <gtest/gtest.h>

#include <map>

namespace maily::smtp {
namespace {

std::shared_ptr<const Source> Named(const char* name) {
  return std::make_shared<Source>(Source{.name = name, .addresses = {}, .helo = {}});
}

TEST(Sources, WithoutAPoolTheSystemChooses) {
  const Sources sources = SourcesFor(nullptr, TenantId(1), "example.com");
  ASSERT_EQ(sources.size(), 1u);
  EXPECT_EQ(sources[0], nullptr);
  EXPECT_EQ(SiteFrom("google.com", nullptr), "google.com");
}

TEST(Sources, ADomainOfATenantHasAlwaysTheSameOrder) {
  const auto a = Named("a"), b = Named("b"), c = Named("c"), d = Named("d");
  const auto shared = std::make_shared<SourcePool>(SourcePool{.name = "shared", .sources = {d, a}});
  const SourcePool pool{.name = "bulk", .sources = {a, b, c}, .overflow = shared};
  std::map<std::string, int> first;
  for (int n = 0; n < 3'000; ++n) {
    const std::string domain = "d" + std::to_string(n) + ".example";
    const Sources sources = SourcesFor(&pool, TenantId(7), domain);
    ASSERT_EQ(sources.size(), 4u) << "each once";
    EXPECT_EQ(sources[3], d) << "those of the overflow come last";
    EXPECT_EQ(sources, SourcesFor(&pool, TenantId(7), "D" + domain.substr(1))) << "case does not count";
    ++first[sources[0]->name];
  }
  for (const auto& [name, times] : first) EXPECT_NEAR(times, 1'000, 120) << name;
}

TEST(Sources, ASiteIsNamedAfterItsSource) {
  EXPECT_EQ(SiteFrom("google.com", Named("new").get()), "google.com@new");
  EXPECT_EQ(SourceOf("google.com@new"), "new");
  EXPECT_EQ(SiteWithout("google.com@new"), "google.com");
  EXPECT_EQ(SourceOf("google.com"), "");
  EXPECT_EQ(SiteWithout("google.com"), "google.com");
}

}  // namespace
}  // namespace maily::smtp
