// Which links are found, with which exact target.
#include "processors/personalization/links.h"

#include <gtest/gtest.h>

namespace maily::personalization {
namespace {

using Expected = std::vector<std::string>;

Expected Targets(const std::vector<LinkPlace>& places) {
  Expected targets;
  for (const LinkPlace& place : places) targets.push_back(place.target);
  return targets;
}
Expected Html(std::string_view html) { return Targets(FindLinksInHtml(html)); }
Expected Text(std::string_view text) { return Targets(FindLinksInText(text)); }

TEST(Links, FindsHrefsOfAnchorsHoweverSpelled) {
  EXPECT_EQ(Html(R"(<a href="https://a.example/?x=1&amp;y=2&amp;amp;z">x</a>)"), (Expected{"https://a.example/?x=1&y=2&amp;z"}));
  EXPECT_EQ(Html("<A class='b>c' HREF = 'HTTP://A.example/p q'><a\nhref=https://b.example/x>"), (Expected{"https://b.example/x"}));
  EXPECT_EQ(Html("<a href='  https://a.example  ' href='https://second.example'>"), (Expected{"https://a.example"}));
  EXPECT_EQ(Html("<a data-href=\"https://no.example\" title=\"> href='https://no.example'\" href=\"https://yes.example\"/>"),
            (Expected{"https://yes.example"}));
}

TEST(Links, KeepsTheBytesOfTheirTargets) {
  // As spelled: percent escapes of either case, plus signs, fragments, other languages' names (as they are, or in Punycode), no "/" added.
  for (const char* target :
       {"https://a.example/p%20q%2Fr%2f?x=%C3%A9&y=a+b&y=a%2Bb", "https://a.example/#a%20b?c=d&e", "https://a.example?q=1#",
        "https://b\xC3\xBC"
        "cher.example/\xC3\xA4",
        "https://xn--bcher-kva.example/", "HTTPS://A.Example:8443/%7Euser/;p=1,2!*'()@:$", "https://user:pw@a.example/",
        "https://[2001:db8::1]/x", "https://a.example/?next=https://b.example/?a&b=%26amp%3B"}) {
    std::string html;
    for (const char c : std::string_view(target)) html += c == '&' ? std::string("&amp;") : std::string(1, c);
    EXPECT_EQ(Html("<a href=\"" + html + "\">"), Expected{target}) << html;
    EXPECT_EQ(Html("<a href=\"" + std::string(target) + "\">"), Expected{target});
    EXPECT_EQ(Text("\n" + std::string(target) + "\n").size(), 1u) << target;
  }
  EXPECT_EQ(Html("<a href='https://a.example/?a&#38;b&#x26;c&#X26;d&amp;#38;e&ampf&copy=1'>"),
            Expected{"https://a.example/?a&b&c&d&#38;e&ampf&copy=1"});
  EXPECT_EQ(Text("https://a.example/?a&amp;b"), Expected{"https://a.example/?a&amp;b"});
}

TEST(Links, LeaveWhatIsNotToBeTracked) {
  EXPECT_EQ(Html("<a href='https://a.example' data-track='false'><a data-track=FALSE href='https://b.example'><a data-track "
                 "href='https://c.example'>"
                 "<a data-track='true' href='https://d.example'><a data-tracked='false' href='https://e.example'>"),
            (Expected{"https://c.example", "https://d.example", "https://e.example"}));
  EXPECT_EQ(Html("<a href='https://a.example'><a href='https://a.example' data-track='false'><a href='https://b.example'>"),
            (Expected{"https://a.example", "https://b.example"}));
  EXPECT_EQ(Html("<a href='sms:+1555'><a href='MAILTO:x@y.example?subject=a%20b&amp;body=https://x.example'><a href='tel:+49-1'><a "
                 "href='#'><a href=''>"),
            Expected{});
}

TEST(Links, OfAnUntrackedMailAreNone) {
  const std::string link = "<a href='https://a.example'>";
  for (const char* root : {"<html data-track='false'>", "<HTML lang=en><BODY class=x data-track=false>", "<body data-track=\"FALSE\">"}) {
    EXPECT_TRUE(IsUntracked(root + link)) << root;
    EXPECT_EQ(Html(root + link), Expected{});
    EXPECT_EQ(Html(link + root), Expected{});
    EXPECT_EQ(LinkTable(root + link, "https://b.example"), Expected{});
  }
  for (const char* root :
       {"<html>", "<body data-track='true'>", "<body data-track>", "<div data-track='false'>", "<!-- <body data-track='false'> -->"}) {
    EXPECT_FALSE(IsUntracked(root + link)) << root;
    EXPECT_EQ(Html(root + link), Expected{"https://a.example"});
  }
}

TEST(Links, LeavesEverythingElse) {
  EXPECT_EQ(Html("<a href='mailto:x@y.example'><a href='#top'><a href='tel:1'><a href='/rel'><a href='javascript:x'><a href='https://'>"),
            Expected{});
  EXPECT_EQ(Html("<area href='https://x.example'><link href='https://x.example'><abbr href='https://x.example'>https://x.example"),
            Expected{});
  EXPECT_EQ(Html("<!-- <a href='https://x.example'> --><style>a{<a href='https://x.example'>}</style><script>'<a "
                 "href=\"https://x.example\">'</script>"),
            Expected{});
  EXPECT_EQ(Html("<a href='{{ unsubscribe_url }}'><a href='https://x.example/{{ contact.id }}'>"), Expected{});
  EXPECT_EQ(Html("<a href='https://x.example"), Expected{});
  EXPECT_EQ(Html("<a href=\"https://x.example/\r\nSet-Cookie: a\">"), Expected{});
}

TEST(Links, FindsBareUrlsInText) {
  EXPECT_EQ(Text("see https://a.example/x_(y)). Or <http://b.example?q=1&r=2>, \"https://c.example\"!\nhttps://d.example."),
            (Expected{"https://a.example/x_(y)", "http://b.example?q=1&r=2", "https://c.example", "https://d.example"}));
  EXPECT_EQ(Text("xhttps://a.example http:/b https:// mailto:a@b.example https://a.example/{{ contact.id }}/x {{ unsubscribe_url }}"),
            Expected{});
}

TEST(Links, TableHasDistinctTargetsInOrder) {
  EXPECT_EQ(LinkTable("<a href='https://b.example/?a&amp;b'><a href='https://a.example'><a href='https://b.example/?a&b'>",
                      "https://c.example https://b.example/?a&b"),
            (Expected{"https://b.example/?a&b", "https://a.example", "https://c.example"}));
}

TEST(Links, TableIsBounded) {
  std::string text;
  for (size_t i = 0; i < kLinksMax + 5; ++i) text += fmt::format("https://a.example/{} ", i);
  EXPECT_EQ(LinkTable("", text).size(), kLinksMax);
}

}  // namespace
}  // namespace maily::personalization
