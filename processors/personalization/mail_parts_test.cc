// Preheader, name in From, partials and languages of a mail.
#include <gtest/gtest.h>

#include <map>

#include "processors/personalization/links.h"
#include "processors/personalization/locales.h"
#include "processors/personalization/partials.h"
#include "processors/personalization/preheader.h"
#include "processors/personalization/render.h"
#include "processors/personalization/script_links.h"

namespace maily::personalization {
namespace {

constexpr std::string_view kHidden =
    "<div style=\"display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all\">";

Result<Rendered> Fill(const Source& source, std::string_view value, const liquid::BlankSeen* seen = nullptr,
                      const std::vector<std::string>& table = {}) {
  const auto compiled = Compiled::Compile(source, table);
  EXPECT_TRUE(compiled.has_value()) << compiled.error().message;
  std::vector<std::string> links;
  for (size_t i = 0; i < table.size(); ++i) links.push_back(fmt::format("T{}", i));
  std::vector<Value> values(compiled->attributes().size(), value.empty() ? Value() : Value::String(value));
  Rendered out;
  const auto done =
      compiled->Render({.attributes = values, .email = "a@b.example", .postal_address = "1 St", .company = "A&B", .now = {}, .blank = seen},
                       {.links = links, .open_pixel = "", .unsubscribe = "U"}, out);
  if (!done) return done.error();
  return out;
}

std::string HtmlWith(std::string_view html, std::string_view preheader, std::string_view value = "x") {
  const auto out = Fill({.subject = "s", .html = html, .text = "", .preheader = preheader}, value);
  EXPECT_TRUE(out.has_value());
  return out->html;
}

TEST(Preheader, StandsHiddenBehindTheBodyTagEscapedAndPadded) {
  const std::string html =
      HtmlWith("<!doctype html><html><head><title>t</title></head><body class=\"a\"><p>Hi</p>", "Fish & {{ contact.x }}\n <5", "\"chips\"");
  const std::string want = "<body class=\"a\">" + std::string(kHidden) + "Fish &amp; &quot;chips&quot; &lt;5&zwnj;&nbsp;";
  EXPECT_NE(html.find(want), std::string::npos) << html;
  EXPECT_NE(html.find("&zwnj;&nbsp;</div><p>Hi</p>"), std::string::npos);
}

TEST(Preheader, StandsBeforeAllThatShowsWhereThereIsNoBody) {
  EXPECT_TRUE(HtmlWith("<p>Hi</p>", "pre").starts_with(std::string(kHidden) + "pre"));
  EXPECT_TRUE(HtmlWith("<!DOCTYPE html>\n<html lang=\"de\"><p>Hi</p>", "pre")
                  .starts_with("<!DOCTYPE html>\n<html lang=\"de\">" + std::string(kHidden)));
  EXPECT_TRUE(HtmlWith("{% if true %}<body>{% endif %}Hi", "pre").starts_with(std::string(kHidden) + "pre"));
  EXPECT_EQ(HtmlWith("<p>Hi</p>", "  {{ contact.x | remove: 'x' }} \n"), "<p>Hi</p>");
  EXPECT_EQ(PreheaderPlace("<BODY"), 5U);
}

TEST(FromName, IsFilledInAndWithoutControlCharactersAndFallsBackWhereItFails) {
  const auto name = [](std::string_view from_name, std::string_view value) {
    const auto out = Fill({.subject = "s", .html = "", .text = "t", .preheader = {}, .from_name = from_name}, value);
    EXPECT_TRUE(out.has_value());
    return out->from_name;
  };
  EXPECT_EQ(name("{{ contact.agent }} of {{ company }}", "Zoë\r\nBcc: x@y.example"), "Zoë Bcc: x@y.example of A&B");
  EXPECT_EQ(name("{{ contact.agent }}", ""), "");
  EXPECT_EQ(name("{{ 1 | divided_by: 0 }}", "x"), "");
}

TEST(Partials, AreTakenInWithTheirLinksTrackedAndTheirOptOut) {
  const PartialSource partials[] = {
      {"footer", "<a href=\"https://x.example/f\">f</a> {% render 'out' %}", "f https://x.example/f {% render 'out' %}"},
      {"out", "<a href='{{ unsubscribe_url }}'>{{ postal_address }}</a>", "{{ unsubscribe_url }} {{ postal_address }}"}};
  const Source source{"s", "<a href='https://x.example/a'>a</a>{% render 'footer' %}", "{% include 'footer' %}", {}, {}, partials};
  EXPECT_TRUE(Lint(source, [](std::string_view) { return true; }).empty());
  const std::string_view htmls[] = {partials[0].html, partials[1].html};
  const auto table = LinkTable(source.html, source.text, htmls);
  EXPECT_EQ(table, (std::vector<std::string>{"https://x.example/a", "https://x.example/f"}));
  const auto out = Fill(source, "", nullptr, table);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->html, "<a href='T0'>a</a><a href=\"T1\">f</a> <a href='U'>1 St</a>");
  EXPECT_EQ(out->text, "f T1 U 1 St");
}

TEST(Partials, AnOptOutInALoopOrConditionIsNone) {
  const PartialSource partials[] = {{"out", "{{ unsubscribe_url }} {{ postal_address }}", ""}};
  for (const char* html : {"{% if contact.x %}{% render 'out' %}{% endif %}", "{% render 'out' for (1..contact.x) %}",
                           "{% include 'out' with contact.x %}", "{% assign out = '' | split: ',' %}{% include 'out' %}"}) {
    const auto violations = Lint({"s", html, "", {}, {}, partials}, [](std::string_view) { return true; });
    EXPECT_EQ(violations.size(), 2U) << html;
  }
}

TEST(Partials, AFailureNamesThePartial) {
  const PartialSource partials[] = {{"bad", "a\n {{ 1 | divided_by: contact.x }}", ""}};
  const auto out = Fill({"s", "{% render 'bad' %}", "", {}, {}, partials}, "0");
  ASSERT_FALSE(out.has_value());
  EXPECT_TRUE(out.error().message.starts_with("html/bad:2:")) << out.error().message;
  EXPECT_EQ(out.error().message.find("Liquid error"), std::string::npos);
}

TEST(Partials, AreFoundThroughEachOther) {
  const std::map<std::string, PartialTexts, std::less<>> known{
      {"a", {"{% render 'b' %}", ""}}, {"b", {"{% render 'c' %}", ""}}, {"c", {"{% include 'a' %}", ""}}, {"d", {"", "x"}}};
  const FindPartial find = [&](std::string_view name) {
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional(found->second);
  };
  std::vector<Violation> wrong;
  EXPECT_EQ(PartialsOf({"{% render 'd' %}", "x\n{% render 'a' %}{% render 'zzz' %}", ""}, find, wrong),
            (std::vector<std::string>{"d", "a", "b", "c"}));
  ASSERT_EQ(wrong.size(), 1U);
  EXPECT_EQ(wrong[0].ToString(), "html/c:1:1: A circle: a takes in b takes in c takes in a.");
  EXPECT_TRUE(IsPartialName("footer-2.en_us"));
  for (const char* name : {"", "Footer", "-a", "a/b", "ü"}) EXPECT_FALSE(IsPartialName(name)) << name;
}

TEST(Blanks, WhatIsWrittenAndBlankIsToldAndWhatIsNotWrittenIsNot) {
  std::vector<std::pair<std::string, bool>> seen;
  const liquid::BlankSeen watch = [&](std::string_view name, bool fallback) { seen.emplace_back(name, fallback); };
  const std::string_view text =
      "{{ contact.a }}{{ contact.b | default: 'B' }}{% if contact.c %}{{ contact.c }}{% endif %}{% assign d = contact.d | default: 'D' "
      "%}{{ d }}{{ company }}";
  ASSERT_TRUE(Fill({.subject = "s", .html = "", .text = text}, "", &watch).has_value());
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, bool>>{{"contact.a", false}, {"contact.b", true}, {"contact.d", true}}));
  seen.clear();
  ASSERT_TRUE(Fill({.subject = "s", .html = "", .text = text}, "full", &watch).has_value());
  EXPECT_TRUE(seen.empty());
}

TEST(ScriptLinks, AreRefusedHoweverTheyAreSpelled) {
  const auto lint = [](std::string_view html) {
    std::vector<std::string> places;
    for (const Violation& violation : ScriptLinks(html)) places.push_back(violation.Place());
    return places;
  };
  EXPECT_EQ(lint("<p>ü <a href=\"javascript:alert(1)\">x</a>\n<img src=' Java\tScript:x'><form action=vbscript:x>"),
            (std::vector<std::string>{"html:1:6", "html:2:1", "html:2:27"}));
  EXPECT_EQ(lint("<a href='&#106;avascript&#58;x'><a href='data:text/html,x'><script src=x></script>"),
            (std::vector<std::string>{"html:1:1", "html:1:33", "html:1:60"}));
  EXPECT_TRUE(lint("<a href='https://x.example/javascript:'>javascript:x</a><!-- <script> --><script "
                   "type='application/ld+json'>{}</script><img src='data:image/png;base64,x'>")
                  .empty());
  const auto violations =
      Lint({"s", "<a href=javascript:x>{{ unsubscribe_url }}{{ postal_address }}", ""}, [](std::string_view) { return true; });
  ASSERT_EQ(violations.size(), 1U);
  EXPECT_EQ(violations[0].code, "script_link");
}

TEST(Locales, AreWrittenInOneWayAndFallBackPartByPart) {
  EXPECT_EQ(CanonicalLocale("DE_at"), "de-AT");
  EXPECT_EQ(CanonicalLocale("zh-hant-TW"), "zh-Hant-TW");
  for (const char* none : {"", "d", "de-", "de--AT", "1a", "de-abcdefghi", "de\n"}) EXPECT_EQ(CanonicalLocale(none), "") << none;
  const std::string_view known[] = {"de", "de-CH", "pt-BR"};
  EXPECT_EQ(ChooseLocale(known, "de-AT"), 0U);
  EXPECT_EQ(ChooseLocale(known, "de_ch_1996"), 1U);
  EXPECT_EQ(ChooseLocale(known, "pt"), std::nullopt);
  EXPECT_EQ(ChooseLocale(known, "nonsense of a contact"), std::nullopt);
}

TEST(Locales, LanguageAndDirectionAreSetWhereTheyAreMissing) {
  EXPECT_EQ(WithLanguage("<html><body>", "ar"), "<html lang=\"ar\" dir=\"rtl\"><body>");
  EXPECT_EQ(WithLanguage("<html lang=\"x\"><body>", "he"), "<html dir=\"rtl\" lang=\"x\"><body>");
  EXPECT_EQ(WithLanguage("<BODY class=a>", "de"), "<BODY lang=\"de\" class=a>");
  EXPECT_EQ(WithLanguage("<p>", "ar"), "<p>");
  EXPECT_TRUE(IsRightToLeft("pa-Arab"));
  EXPECT_FALSE(IsRightToLeft("ar-Latn"));
}

}  // namespace
}  // namespace maily::personalization
