// Tests of the rules before a launch: each refuses what breaks it alone, and docs/compliance.md lists them all.
#include "processors/compliance/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <set>

namespace maily::compliance {
namespace {

struct Good {
  Good() {
    spec.set_template_id(1);
    spec.set_from("Shop <news@example.com>");
    tenant.add_senders("News@example.com");
    tenant.set_postal_address("1 Main St");
    version.set_html("<a href='{{ unsubscribe_url }}'>out</a>");
    version.set_text("{{ unsubscribe_url }}");
    domain.set_checked_at_us(1);
    domain.set_passed(true);
  }
  campaigns::v1::CampaignSpec spec;
  tenants::v1::Tenant tenant;
  templates::v1::TemplateVersion version;
  domains::v1::Domain domain;
  Launch launch{.spec = spec, .tenant = tenant, .templates = {{.id = 1, .version = &version}}, .domain = &domain, .live = true};
};

TEST(Rules, ALaunchThatKeepsThemStarts) { EXPECT_TRUE(Objections(Good().launch).empty()); }

TEST(Rules, EachRefusesALaunchThatBreaksIt) {
  const std::vector<std::pair<std::string_view, std::function<void(Good&)>>> table = {
      {"template_not_found", [](Good& good) { good.launch.templates[0].version = nullptr; }},
      {"template_archived", [](Good& good) { good.launch.templates[0].archived = true; }},
      {"from_not_verified", [](Good& good) { good.tenant.set_senders(0, "other@example.com"); }},
      {"domain_missing", [](Good& good) { good.launch.domain = nullptr; }},
      {"domain_unchecked", [](Good& good) { good.domain.set_passed(false); }},
      {"domain_unchecked", [](Good& good) { good.domain.Clear(); }},
      {"postal_address_missing", [](Good& good) { good.tenant.clear_postal_address(); }},
      {"unsubscribe_link_missing", [](Good& good) { good.version.set_text("{{ company }}"); }},
      {"unsubscribe_link_missing", [](Good& good) { good.version.set_html("<p>hello</p>"); }},
      {"list_not_found", [](Good& good) { good.launch.list_missing = true; }},
      {"audience_missing", [](Good& good) { good.launch.missing = "segment 3 is archived"; }},
      {"empty_audience", [](Good& good) { good.launch.empty_audience = true; }},
  };
  std::set<std::string_view> seen;
  for (const auto& [id, breaks] : table) {
    Good good;
    breaks(good);
    const auto objections = Objections(good.launch);
    ASSERT_EQ(objections.size(), 1u) << id;
    EXPECT_EQ(objections[0].code, id);
    EXPECT_TRUE(objections[0].path.starts_with("/")) << id;
    EXPECT_FALSE(objections[0].sentence.empty()) << id;
    seen.insert(id);
  }
  for (const Rule& rule : Rules()) EXPECT_EQ(rule.broken != nullptr, seen.contains(rule.id)) << rule.id << " needs a line here";
}

TEST(Rules, EachTemplateOfAnArmHasToKeepThem) {
  Good good;
  templates::v1::TemplateVersion bare;
  bare.set_text("hello");
  good.launch.templates.push_back({.path = "/arms/1/template_id", .id = 2, .version = &good.version});
  EXPECT_TRUE(Objections(good.launch).empty());
  good.launch.templates.push_back({.path = "/arms/2/template_id", .id = 3, .version = &bare});
  good.launch.templates.push_back({.path = "/arms/3/template_id", .id = 4});
  const auto objections = Objections(good.launch);
  ASSERT_EQ(objections.size(), 2u);
  EXPECT_EQ(objections[0].path, "/arms/3/template_id");
  EXPECT_EQ(objections[0].sentence, "there is no template 4");
  EXPECT_EQ(objections[1].path, "/arms/2/template_id");
  EXPECT_EQ(objections[1].sentence, "every part of template 3 needs {{ unsubscribe_url }}");
}

TEST(Rules, ASandboxNeedsNoDomain) {
  Good good;
  good.launch.live = false;
  good.launch.domain = nullptr;
  EXPECT_TRUE(Objections(good.launch).empty());
  good.domain.set_passed(false);
  good.launch.domain = &good.domain;
  EXPECT_TRUE(Objections(good.launch).empty());
}

TEST(Rules, TheAddressIsThatInTheBrackets) {
  EXPECT_EQ(AddressIn("Shop <News@Example.com>"), "news@example.com");
  EXPECT_EQ(AddressIn("news@example.com"), "news@example.com");
}

TEST(Rules, AreThoseOfTheDocument) {
  std::ifstream file(MAILY_DOCS "/compliance.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const Rule& rule : Rules()) {
    const std::string row = fmt::format("| {} | {} | {} | {} |\n", rule.id, rule.what, rule.source, rule.where);
    EXPECT_NE(page.find(row), std::string::npos) << "docs/compliance.md needs\n" << row;
  }
}

}  // namespace
}  // namespace maily::compliance
