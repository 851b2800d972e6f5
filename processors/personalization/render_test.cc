// What a filled-in mail looks like, and that values stay values.
#include "processors/personalization/render.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "processors/personalization/links.h"

namespace maily::personalization {
namespace {

// Links become "T0", "T1", …
Rendered RenderOne(const Source& source, const std::vector<std::string_view>& attributes, std::string_view pixel = "P") {
  const auto table = LinkTable(source.html, source.text);
  auto compiled = Compiled::Compile(source, table);
  EXPECT_TRUE(compiled.has_value());
  std::vector<std::string> links;
  for (size_t i = 0; i < table.size(); ++i) links.push_back(fmt::format("T{}?a&b", i));
  Rendered out;
  const auto done =
      compiled->Render({.attributes = Texts(attributes), .email = "a@b.example", .postal_address = "1 <Street>", .company = "A&B"},
                       {.links = links, .open_pixel = pixel, .unsubscribe = "U?a&b"}, out);
  EXPECT_TRUE(done.has_value());
  return out;
}

TEST(Render, FillsAllPartsAndEscapesInHtmlOnly) {
  const Rendered out = RenderOne({.subject = "For {{ contact.name }}",
                                  .html = "<body><a href=\"https://x.example/?a=1&amp;b=2\">{{ contact.name }}</a> {{ company }} "
                                          "<a href='{{ unsubscribe_url }}'>{{ postal_address }}</a></BODY></html>",
                                  .text = "{{contact.name}} https://x.example/?a=1&b=2. {{ unsubscribe_url }} {{ contact.email }}"},
                                 {"<O'B & \"co\">"});
  EXPECT_EQ(out.subject, "For <O'B & \"co\">");
  EXPECT_EQ(out.html,
            "<body><a href=\"T0?a&amp;b\">&lt;O&#39;B &amp; &quot;co&quot;&gt;</a> A&amp;B <a href='U?a&amp;b'>1 &lt;Street&gt;</a>"
            "<img src=\"P\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\"></BODY></html>");
  EXPECT_EQ(out.text, "<O'B & \"co\"> T0?a&b. U?a&b a@b.example");
}

TEST(Render, PixelStandsAtTheEndWithoutABody) {
  EXPECT_TRUE(RenderOne({.subject = "s", .html = "<p>{{ company }}", .text = ""}, {}).html.ends_with("border:0\">"));
  EXPECT_EQ(RenderOne({.subject = "s", .html = "<p></body>", .text = ""}, {}, "").html, "<p></body>");
  EXPECT_EQ(RenderOne({.subject = "s", .html = "", .text = "t"}, {}).html, "");
}

TEST(Render, AValueNeverBeginsALineOfTheSubject) {
  EXPECT_EQ(RenderOne({.subject = "a {{ contact.x }}b{{ contact.y }}", .html = "", .text = "t"},
                      {"1\r\nBcc: x@y.example\r\n", std::string_view("\0\n", 2)})
                .subject,
            "a 1 Bcc: x@y.example b ");
  EXPECT_EQ(RenderOne({.subject = "s", .html = "{{ contact.x }}", .text = "{{ contact.x }}"}, {std::string_view("a\0b\nc", 5)}, "").html,
            "ab\nc");
}

TEST(Render, AnEmptyValueLeavesNothing) {
  EXPECT_EQ(RenderOne({.subject = "a{{ contact.x }}b", .html = "", .text = "t"}, {""}).subject, "ab");
}

TEST(Render, LinksOutsideTheStoredTableStayAsTheyAre) {
  const std::vector<std::string> table{"https://b.example"};
  auto compiled = Compiled::Compile({.subject = "s", .html = "", .text = "https://a.example https://b.example"}, table);
  Rendered out;
  const std::vector<std::string> links{"T"};
  ASSERT_TRUE(compiled->Render({}, {.links = links, .open_pixel = "", .unsubscribe = ""}, out));
  EXPECT_EQ(out.text, "https://a.example T");
}

TEST(Render, AnUntrackedMailGoesOutAsItIs) {
  const std::string html = "<body data-track=\"false\"><a href=\"https://x.example/?a=1&amp;b=2\">x</a></body>";
  const Rendered out = RenderOne({.subject = "s", .html = html, .text = "https://x.example/"}, {});
  EXPECT_EQ(out.html, html);
  EXPECT_EQ(out.text, "https://x.example/");
  const std::string tracked = "<body><a data-track='false' href='https://x.example/'>x</a><a href='https://x.example/'>y</a></body>";
  EXPECT_EQ(RenderOne({.subject = "s", .html = tracked, .text = ""}, {}).html.find("href='https://x.example/'"),
            tracked.find("href='https://x.example/'"));
  EXPECT_NE(RenderOne({.subject = "s", .html = tracked, .text = ""}, {}).html.find("href='T0"), std::string::npos);
}

TEST(Render, WhoWantsNoTrackingGetsTheLinksAsTheyAreSpelled) {
  const std::vector<std::string> table{"https://x.example/?a=1&b=2"};
  const Source source{
      .subject = "s",
      .html = "<body><a href='https://x.example/?a=1&amp;b=2'>x</a> {{ contact.email }}<a href='{{ unsubscribe_url }}'>o</a></body>",
      .text = "https://x.example/?a=1&b=2."};
  const auto compiled = Compiled::Compile(source, table);
  Rendered out;
  ASSERT_TRUE(compiled->Render({.email = "a@b.example"}, {.links = {}, .open_pixel = "", .unsubscribe = "U", .untracked = true}, out));
  EXPECT_EQ(out.html, "<body><a href='https://x.example/?a=1&amp;b=2'>x</a> a@b.example<a href='U'>o</a></body>");
  EXPECT_EQ(out.text, "https://x.example/?a=1&b=2.");
}

TEST(Render, RefusesATemplateWithViolationsAndTooMuchOutput) {
  EXPECT_EQ(Compiled::Compile({.subject = "{{", .html = "", .text = ""}, {}).error().code, Code::kInvalid);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{{ contact.x }}";
  auto compiled = Compiled::Compile({.subject = "s", .html = "", .text = text}, {});
  const std::string value(1001, 'x');
  const std::vector<Value> values{Value::String(value)};
  Rendered out;
  EXPECT_EQ(compiled->Render({.attributes = values}, {}, out).error().code, Code::kInvalid);
}

// With links and pixel replaced by their own source the output is the input: no byte is lost or doubled.
TEST(Render, EveryByteOfTheTemplateIsKept) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {
      "<a href='", "'>", "https://a.example", "http://b.example/x", " ", "{{ company }}", "</body>", "<", "\n", "&amp;", ".", ")",
      "<!--",      "-->"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (auto n = random() % 16; n > 0; --n) text += tokens[random() % std::size(tokens)];
    const auto table = LinkTable(text, text);
    std::string expected = text;
    for (size_t at; (at = expected.find("{{ company }}")) != std::string::npos;) expected.replace(at, 13, "C");
    auto compiled = Compiled::Compile({.subject = "s", .html = text, .text = text}, table);
    Rendered out;
    ASSERT_TRUE(compiled->Render({.company = "C"}, {.links = table, .open_pixel = "", .unsubscribe = ""}, out));
    EXPECT_EQ(out.text, expected);
    if (text.find("&amp;") != std::string::npos) continue;
    for (const auto& [escaped, plain] : {std::pair("&lt;", "<"), std::pair("&gt;", ">")}) {
      for (size_t at; (at = out.html.find(escaped)) != std::string::npos;) out.html.replace(at, 4, plain);
    }
    EXPECT_EQ(out.html, expected);
  }
}

TEST(Render, WhatATemplateDecides) {
  const Source source{
      .subject = "{% if contact.n > 3 %}Many{% else %}Few{% endif %} {{ contact.x | default: 'friend' }}",
      .html =
          "{% assign hi = contact.x | upcase %}<p>{{ hi }}</p>{% if contact.b %}<a href=\"https://a.example/\">a</a>{% endif %}"
          "<a href=\"{{ contact.x }}\">b</a>{{ contact.x | raw }}</body>",
      .text =
          "{{ contact.r }} {{ contact.r | times: 2 }} {{ 'now' | date: '%F %H:%M', zone: 'Europe/Berlin' }}\n{%- if contact.none %}!{% "
          "endif %}"};
  const auto table = LinkTable(source.html, source.text);
  ASSERT_EQ(table.size(), 1u);
  auto compiled = Compiled::Compile(source, table);
  ASSERT_TRUE(compiled) << compiled.error().ToString();
  EXPECT_EQ(compiled->attributes(), (std::vector<std::string>{"n", "x", "b", "r", "none"}));
  const std::vector<Value> values{Value::Integer(4), Value::String("<i>"), Value::Bool(true), Value::ShortDouble(10), Value()};
  const std::vector<std::string> links{"T0"};
  Rendered out;
  ASSERT_TRUE(compiled->Render({.attributes = values, .now = Instant{1'458'000'000'000'000}},
                               {.links = links, .open_pixel = "P", .unsubscribe = ""}, out));
  EXPECT_EQ(out.subject, "Many <i>");
  EXPECT_EQ(out.html,
            "<p>&lt;I&gt;</p><a href=\"T0\">a</a><a href=\"&lt;i&gt;\">b</a><i>"
            "<img src=\"P\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\"></body>");
  EXPECT_EQ(out.text, "10 20.0 2016-03-15 01:00");
}

TEST(Render, AFailureIsOfOneContactAndHasItsPlace) {
  auto compiled = Compiled::Compile({.subject = "s", .html = "", .text = "a\n{{ 10 | divided_by: contact.n }}"}, {});
  ASSERT_TRUE(compiled);
  Rendered out;
  const std::vector<Value> zero{Value::Integer(0)};
  const auto failed = compiled->Render({.attributes = zero}, {}, out);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kInvalid);
  EXPECT_EQ(failed.error().message, "text:2:9: a number is divided by zero");
  const std::vector<Value> two{Value::Integer(2)};
  ASSERT_TRUE(compiled->Render({.attributes = two}, {}, out));
  EXPECT_EQ(out.text, "a\n5");
}

TEST(Render, ThePixelIsWrittenOnceWhereverTheBodyEnds) {
  const std::string pixel = "<img src=\"P\"";
  for (const std::string_view html : {"<p>{% if contact.x %}</body>{% endif %}", "{% comment %}</body>{% endcomment %}{{ contact.x }}",
                                      "<p></body>{% if contact.x %}y{% endif %}"}) {
    const Rendered out = RenderOne({.subject = "s", .html = html, .text = ""}, {""});
    const size_t at = out.html.find(pixel);
    EXPECT_NE(at, std::string::npos) << html;
    EXPECT_EQ(out.html.find(pixel, at + 1), std::string::npos) << html;
  }
}

TEST(Render, IsFast) {
  std::string html = "<html><body><p>Dear {{ contact.first_name }},</p>";
  for (int i = 0; i < 5; ++i)
    html += fmt::format("<a href=\"https://shop.example/{}\">{}</a> {{{{ contact.first_name }}}}", i, std::string(1200, 'x'));
  html += "<a href=\"{{ unsubscribe_url }}\">out</a>{{ postal_address }}</body></html>";
  const std::string text = fmt::format("Hi {{{{ contact.first_name }}}} {} {{{{ unsubscribe_url }}}}", std::string(3500, 'y'));
  const Source source{.subject = "For {{ contact.first_name }}", .html = html, .text = text};
  auto compiled = Compiled::Compile(source, LinkTable(html, text));
  const std::vector<std::string> links(compiled->link_count(), "https://t.example/c/0123456789012345678901234567890123456789");
  const std::vector<Value> values{Value::String("Ada")};
  Rendered out;
  constexpr int kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  size_t bytes = 0;
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(compiled->Render({.attributes = values, .postal_address = "1 Street"},
                                 {.links = links, .open_pixel = "https://t.example/o/x.gif", .unsubscribe = "https://t.example/u/x"}, out));
    bytes += out.html.size() + out.text.size();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{:.0f} renders/s of {} bytes\n", kRounds / seconds, bytes / kRounds);
  EXPECT_GT(kRounds / seconds, 2000);  // far below any machine: catches only a quadratic mistake
}

}  // namespace
}  // namespace maily::personalization
