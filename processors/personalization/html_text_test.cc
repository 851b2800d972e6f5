// Text made of HTML, by examples, and of anything.
#include "processors/personalization/html_text.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "processors/personalization/html_entities.h"
#include "processors/personalization/html_tags.h"

namespace maily::personalization {
namespace {

TEST(HtmlText, ParagraphsAndWhiteSpace) {
  EXPECT_EQ(
      TextFromHtml(
          "<html><head><title>T</title><style>p{}</style></head><body>\n<p>Hello\n  <b>dear</b>   Ann,</p>\n<p>second</p></body></html>"),
      "Hello dear Ann,\n\nsecond\n");
  EXPECT_EQ(TextFromHtml("<div>a</div><div>b</div>c<br>d<br><br>e"), "a\nb\nc\nd\n\ne\n");
  EXPECT_EQ(TextFromHtml("a<br><br><br><br>b"), "a\n\nb\n");
  EXPECT_EQ(TextFromHtml("<p>one<hr>two"), "one\n\n----------\n\ntwo\n");
  EXPECT_EQ(TextFromHtml("<b>bo</b>ld"), "bold\n");
  EXPECT_EQ(TextFromHtml("<pre>a\n  b</pre>c"), "a\n  b\n\nc\n");
}

TEST(HtmlText, LinksSayTheirTargets) {
  EXPECT_EQ(TextFromHtml("<a href=\"https://x.example/?a=1&amp;b=2\">Shop now</a>."), "Shop now <https://x.example/?a=1&b=2>.\n");
  EXPECT_EQ(TextFromHtml("<a href='https://x.example/'>https://x.example/</a>"), "https://x.example/\n");
  EXPECT_EQ(TextFromHtml("<a href=https://x.example/><img src=y alt='The shop'></a>"), "The shop <https://x.example/>\n");
  EXPECT_EQ(TextFromHtml("<a href=https://x.example/><img src=y></a>"), "https://x.example/\n");
  EXPECT_EQ(TextFromHtml("<a href='#top'>up</a> <a href=\"JavaScript:x()\">js</a> <a name=x>n</a>"), "up js n\n");
  EXPECT_EQ(TextFromHtml("<a href='mailto:a@b.example'>a@b.example</a>"), "a@b.example\n");
  EXPECT_EQ(TextFromHtml("<a href='{{ unsubscribe_url }}'>Opt out</a>"), "Opt out <{{ unsubscribe_url }}>\n");
  EXPECT_EQ(TextFromHtml("<a href='https://x.example/'>open"), "open <https://x.example/>\n");
  EXPECT_EQ(TextFromHtml("<a href='https://x.example/'>a<a href='https://y.example/'>b</a>"),
            "a <https://x.example/>b <https://y.example/>\n");
}

TEST(HtmlText, HeadingsListsAndQuotes) {
  EXPECT_EQ(TextFromHtml("<h1>Größe</h1><p>x</p><h2>B</h2>y<h3>c</h3>z"), "Größe\n=====\n\nx\n\nB\n-\n\ny\n\nc\n\nz\n");
  EXPECT_EQ(TextFromHtml("<p>List:</p><ul><li>one</li><li>two <b>x</b><ol><li>in</li><li>ner</li></ol></li></ul>end"),
            "List:\n\n* one\n* two x\n  1. in\n  2. ner\n\nend\n");
  EXPECT_EQ(TextFromHtml("<ul><li><p>one</p><p>more</p></li></ul>"), "* one\n\n  more\n");
  EXPECT_EQ(TextFromHtml("<blockquote><p>a</p><p>b</p></blockquote>c"), "> a\n>\n> b\n\nc\n");
  EXPECT_EQ(TextFromHtml("<li>alone"), "* alone\n");
}

TEST(HtmlText, TablesAreFlattened) {
  EXPECT_EQ(TextFromHtml("<table><tr><th>Item</th><th>Price</th></tr><tr><td>Tea</td><td>3 &euro;</td></tr></table>after"),
            "Item | Price\nTea | 3 €\n\nafter\n");
  EXPECT_EQ(TextFromHtml("<table role=\"presentation\"><tr><td>left</td><td>right</td></tr></table>"), "left\nright\n");
  EXPECT_EQ(TextFromHtml("<table role=presentation><tr><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"), "a | b\n");
  // What a tree builder would move in front of the table.
  EXPECT_EQ(TextFromHtml("<table>{% for p in x %}<tr><td>{{ p }}</td></tr>{% endfor %}</table>"),
            "{% for p in x %}\n{{ p }}\n{% endfor %}\n");
}

TEST(HtmlText, NothingOfCssScriptsAndWhatIsHidden) {
  EXPECT_EQ(TextFromHtml("<style>a<b</style><script>if (a</b) '</p>'</script>a<!-- <p>c</p> -->b<![CDATA[x]]><?php y ?>"), "ab\n");
  EXPECT_EQ(TextFromHtml("<div style=\"DISPLAY : none\">pre<div>header</div></div>x<span hidden>y</span>z"), "xz\n");
  EXPECT_EQ(TextFromHtml("soft&shy;hyphen &#8203;&zwnj;x&nbsp;y"), "softhyphen x y\n");
  EXPECT_EQ(TextFromHtml("<img src=x alt='  '><img src=y>x"), "x\n");
}

TEST(HtmlText, PlaceholdersAndTagsOfTemplatesStay) {
  EXPECT_EQ(TextFromHtml("Hi {{ contact.a &amp; b }} &amp; {% if a < b %}<b>x</b>{% endif %}"),
            "Hi {{ contact.a &amp; b }} & {% if a < b %}x{% endif %}\n");
  EXPECT_EQ(TextFromHtml("<p title=\"{{ '>' }}\">x"), "x\n");
}

TEST(HtmlText, ReferencesAreResolved) {
  EXPECT_EQ(DecodeEntities("&lt;&gt;&amp;&quot;&apos;&#39;&#x41;&#65 &euro;&auml;&nosuch;&amp &;&#;&#x110000;&#0;"),
            "<>&\"''AA €ä&nosuch;&amp &;&#;\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(HtmlText, IsNotEmptyWhereThereIsAnythingToSay) {
  EXPECT_EQ(TextFromHtml("<title>Sale</title><img src=x>"), "Sale\n");
  EXPECT_EQ(TextFromHtml("<img src=x alt=Sale>"), "Sale\n");
  EXPECT_EQ(TextFromHtml("<a href=https://x.example></a>"), "https://x.example\n");
  EXPECT_EQ(TextFromHtml("<p> </p>"), "");
  EXPECT_EQ(TextFromHtml(""), "");
}

// Lines are clean whatever comes in, and the same comes out.
TEST(HtmlText, AnythingGivesCleanLines) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {"<p>",
                                     "</p>",
                                     "<ul>",
                                     "</ul>",
                                     "<ol>",
                                     "<li>",
                                     "<a href='x'>",
                                     "</a>",
                                     "<table>",
                                     "<tr>",
                                     "<td>",
                                     "</td>",
                                     "<h1>",
                                     "</h1>",
                                     "<br>",
                                     "<pre>",
                                     "</pre>",
                                     "\n",
                                     " ",
                                     "\t",
                                     "word",
                                     "ü",
                                     "&nbsp;",
                                     "{{ x }}",
                                     "{% y",
                                     "<!--",
                                     "-->",
                                     "<",
                                     ">",
                                     "\"",
                                     "'",
                                     "=",
                                     "<blockquote>",
                                     "</blockquote>",
                                     "<div hidden>",
                                     "</div>",
                                     "<img alt='i j'>",
                                     "<title>",
                                     "</title>",
                                     "\xFF"};
  for (int round = 0; round < 3000; ++round) {
    std::string html;
    for (auto n = random() % 40; n > 0; --n) html += tokens[random() % std::size(tokens)];
    const std::string text = TextFromHtml(html);
    ASSERT_EQ(text, TextFromHtml(html));
    ASSERT_EQ(text.find("\n\n\n"), std::string::npos) << html;
    ASSERT_EQ(text.find(" \n"), std::string::npos) << html;
    ASSERT_FALSE(text.starts_with('\n')) << html;
    if (!text.empty()) {
      ASSERT_TRUE(text.ends_with('\n') && !text.ends_with("\n\n")) << html;
    }
  }
}

TEST(HtmlText, IsLinear) {
  for (const std::string_view unit : {"{{", "<", "<a", "<a href='", "<!--", "<ul><li>", "<blockquote>", "<div hidden>", "&", "<title>"}) {
    std::string html;
    while (html.size() < 400'000) html += unit;
    const auto start = std::chrono::steady_clock::now();
    const std::string text = TextFromHtml(html);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << unit;
    EXPECT_LT(text.size(), html.size() * 40) << unit;
  }
}

}  // namespace
}  // namespace maily::personalization
