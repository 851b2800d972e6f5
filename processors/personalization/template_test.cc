// What the template language takes and what it refuses, with places.
#include "processors/personalization/template.h"

#include <gtest/gtest.h>

#include <random>

namespace maily::personalization {
namespace {

std::vector<std::string> Lines(const std::vector<Violation>& violations) {
  std::vector<std::string> lines;
  for (const Violation& v : violations) lines.push_back(fmt::format("{} {}:{}:{}", v.code, PartName(v.part), v.line, v.column));
  return lines;
}
std::vector<std::string> TextErrors(std::string_view text) { return Lines(Parse({.subject = "s", .html = "", .text = text}).violations); }
using Expected = std::vector<std::string>;

TEST(Template, NamesAttributesOnceInOrderOfAppearance) {
  const Parsed parsed =
      Parse({.subject = "Hi {{contact.b}}", .html = "{{ contact.a }} {{\n contact.b\t}}", .text = "{{ contact.c }}{{ contact.email }}"});
  EXPECT_TRUE(parsed.violations.empty());
  EXPECT_EQ(parsed.attributes, (std::vector<std::string>{"b", "a", "c"}));
}

TEST(Template, RefusesWhatIsWrongWithItsPlace) {
  EXPECT_EQ(TextErrors("ab\n  {{ contact.x | defalt: \"y\" }}"), (Expected{"syntax text:2:18"}));
  EXPECT_EQ(TextErrors("{% if x %}{% endif %}"), (Expected{"unknown_name text:1:7"}));
  EXPECT_EQ(TextErrors("{% if contact.x = 1 %}{% endfor %}"), (Expected{"syntax text:1:17", "syntax text:1:23", "syntax text:1:1"}));
  EXPECT_EQ(TextErrors("é{{ contact.x"), (Expected{"syntax text:1:2"}));
  EXPECT_EQ(TextErrors("{{}}"), (Expected{"syntax text:1:1"}));
  EXPECT_EQ(TextErrors("{{ contact.x y }}"), (Expected{"syntax text:1:14"}));
  EXPECT_EQ(TextErrors("{{ contact. }}"), (Expected{"syntax text:1:13"}));
  EXPECT_EQ(TextErrors("{% break %}"), (Expected{"syntax text:1:1"}));
  EXPECT_EQ(TextErrors("{% include 'footer' %}"), (Expected{"syntax text:1:1"}));
  EXPECT_EQ(TextErrors("{{ customer.x }} {{ contact.a.b }}"), (Expected{"unknown_name text:1:4", "unknown_name text:1:21"}));
  EXPECT_EQ(TextErrors("{{ contact." + std::string(64, 'a') + " }}"), (Expected{"unknown_name text:1:4"}));
  EXPECT_EQ(TextErrors("{{ contact.a-b }}{{ company.x }}"), (Expected{"unknown_name text:1:4", "unknown_name text:1:21"}));
}

// The event that opens an attempt carries the attributes that are named, and no others.
TEST(Template, RefusesNamesThatAreComputed) {
  EXPECT_EQ(TextErrors("{{ contact }}"), (Expected{"unknown_name text:1:4"}));
  EXPECT_EQ(TextErrors("{% assign x = 'a' %}{{ contact[x] }}"), (Expected{"unknown_name text:1:24"}));
  EXPECT_EQ(TextErrors("{% assign x = 'a' %}{{ [x] }}"), (Expected{"unknown_name text:1:24"}));
  EXPECT_EQ(TextErrors("{% for x in contact %}{% endfor %}"), (Expected{"unknown_name text:1:13"}));
  EXPECT_EQ(TextErrors("{% assign contact = 'a' %}"), (Expected{"syntax text:0:0"}));
  EXPECT_EQ(TextErrors("{% capture company %}{% endcapture %}"), (Expected{"syntax text:0:0"}));
  EXPECT_TRUE(TextErrors("{{ contact['x'] }}{{ contact.x.size }}{{ ['company'] }}").empty());
}

TEST(Template, NamesOfEveryKindOfPlace) {
  const Parsed parsed =
      Parse({.subject = "{{ 'x' | default: contact.a }}",
             .html = "{% if contact.b == contact['c'] %}{% for i in (1..contact.d) limit: contact.e %}{% endfor %}{% endif %}",
             .text = "{% case contact.f %}{% when contact.g %}{% endcase %}{% assign x = contact.h | upcase %}{{ x }}{% comment %}{{ "
                     "contact.z }}{% endcomment %}"});
  EXPECT_TRUE(parsed.violations.empty());
  EXPECT_EQ(parsed.attributes, (std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h"}));
}

TEST(Template, WhatMustBeInAMailIsWrittenForEverybody) {
  const auto registered = [](std::string_view) { return true; };
  const auto lint = [&](std::string_view text) { return Lines(Lint({.subject = "s", .html = "", .text = text}, registered)); };
  EXPECT_TRUE(lint("{% if contact.x %}a{% endif %}{{ unsubscribe_url }}{{ postal_address }}").empty());
  EXPECT_EQ(lint("{% if contact.x %}{{ unsubscribe_url }}{% endif %}{{ postal_address }}"), (Expected{"missing_unsubscribe_url text:0:0"}));
  EXPECT_EQ(lint("{{ unsubscribe_url | truncate: 3 }}{{ postal_address }}"), (Expected{"missing_unsubscribe_url text:0:0"}));
  EXPECT_EQ(lint("{{ 'x' | append: unsubscribe_url }}{% raw %}{{ postal_address }}{% endraw %}"),
            (Expected{"missing_unsubscribe_url text:0:0", "missing_postal_address text:0:0"}));
}

TEST(Template, LimitsPlaceholders) {
  std::string text;
  for (size_t i = 0; i < kPlaceholdersMax; ++i) text += "{{ company }}";
  EXPECT_TRUE(TextErrors(text).empty());
  text += "{{ company }}";
  EXPECT_EQ(TextErrors(text).size(), 1u);
}

TEST(Template, LintListsEveryViolation) {
  const auto registered = [](std::string_view name) { return name == "known"; };
  EXPECT_TRUE(
      Lint({.subject = "x", .html = "<p>{{ contact.known }}{{ unsubscribe_url }}{{ postal_address }}", .text = ""}, registered).empty());
  EXPECT_EQ(Lines(Lint({.subject = " ", .html = "<p>", .text = "\n{{ contact.odd }}{{ contact.odd }} {{ x | y }} {{ unsubscribe_url }}"},
                       registered)),
            (Expected{"syntax text:2:43", "empty subject:0:0", "missing_unsubscribe_url html:0:0", "missing_postal_address html:0:0",
                      "missing_unsubscribe_url text:0:0", "missing_postal_address text:0:0"}));
  EXPECT_EQ(
      Lines(Lint({.subject = "x", .html = "", .text = "\n{{ contact.odd }}{{ contact.odd }}{{ unsubscribe_url }}{{ postal_address }}"},
                 registered)),
      (Expected{"unknown_attribute text:2:4"}));
  EXPECT_EQ(Lines(Lint({.subject = "x", .html = "", .text = " \n"}, registered)), (Expected{"empty html:0:0"}));
  EXPECT_EQ(Lint({.subject = "{{ unsubscribe_url }}", .html = "", .text = ""}, registered).front().ToString(),
            "subject:1:4: unsubscribe_url belongs into the HTML and text, not into the subject.");
}

TEST(Template, AnyBytesParseWithoutHarm) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {"{", "}",  "{{",      "}}",        "%",       "-", "|",    ".",
                                     " ", "\n", "contact", "contact.a", "company", "x", "\xC3", "\0"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += tokens[random() % std::size(tokens)];
    const Parsed parsed = Parse({.subject = text, .html = text, .text = text});
    for (const Violation& violation : parsed.violations) EXPECT_FALSE(violation.message.empty());
  }
}

}  // namespace
}  // namespace maily::personalization
