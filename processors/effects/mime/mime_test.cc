// Fields, base64 and the tree, without a mail around them. What Python reads of whole mails: smtp/message_test.cc.
#include <gtest/gtest.h>

#include <random>

#include "processors/effects/dkim/canonical.h"
#include "processors/effects/mime/plan.h"
#include "streams/base/base64.h"

namespace maily::mime {
namespace {

std::string FieldOf(std::string_view name) {
  std::string out = "Content-Disposition: attachment";
  AppendFileName(*FileName::Parse(name), out);
  return out;
}

Item MakeItem(char digit, std::string_view type, std::string_view name) {
  return {std::string(64, digit), *MediaType::Parse(type), *FileName::Parse(name)};
}

TEST(MimeFileName, OfAsciiStandsAsItIs) {
  EXPECT_EQ(FieldOf("logo.png"), "Content-Disposition: attachment;\r\n filename=\"logo.png\"");
  EXPECT_EQ(FieldOf("a\"b.png"), "Content-Disposition: attachment;\r\n filename=\"a\\\"b.png\"");
}

TEST(MimeFileName, OfMoreIsEncodedByRfc2231) {
  EXPECT_EQ(FieldOf("für 5 €.pdf"), "Content-Disposition: attachment;\r\n filename*0*=utf-8''f%C3%BCr%205%20%E2%82%AC.pdf");
  EXPECT_EQ(FieldOf("a  b"), "Content-Disposition: attachment;\r\n filename*0*=utf-8''a%20%20b");
  const std::string longest = FieldOf(std::string(50, '%') + "x" + std::string(99, '\''));
  size_t lines = 0;
  for (size_t at = 0; at < longest.size(); ++lines) {
    const size_t end = std::min(longest.find("\r\n", at), longest.size());
    EXPECT_LE(end - at, 77u);
    at = end + 2;
  }
  EXPECT_GT(lines, 5u);
}

TEST(MimeBase64, LinesHave76Characters) {
  for (const size_t size : {0u, 1u, 56u, 57u, 58u, 114u, 1000u}) {
    std::string out;
    AppendBase64Lines(std::string(size, 'x'), out);
    EXPECT_EQ(out.size(), Base64LinesSize(size));
    std::string joined;
    for (size_t at = 0; at < out.size();) {
      const size_t end = out.find("\r\n", at);
      EXPECT_LE(end - at, 76u);
      EXPECT_GT(end, at);
      joined += out.substr(at, end - at);
      at = end + 2;
    }
    EXPECT_EQ(*FromBase64(joined), std::string(size, 'x'));
  }
}

TEST(MimePlan, KeysTellPlansApart) {
  const Plan plan{.text = true, .html = true, .domain = "a.example", .images = {MakeItem('1', "image/png", "a.png")}, .attachments = {}};
  const auto differs = [&](auto change) {
    Plan other = plan;
    change(other);
    return other.Key() != plan.Key();
  };
  EXPECT_EQ(Plan(plan).Key(), plan.Key());
  EXPECT_TRUE(differs([](Plan& p) { p.text = false; }));
  EXPECT_TRUE(differs([](Plan& p) { p.domain = "b.example"; }));
  EXPECT_TRUE(differs([](Plan& p) { std::swap(p.images, p.attachments); }));
  EXPECT_TRUE(differs([](Plan& p) { p.images[0].id[0] = '2'; }));
  EXPECT_TRUE(differs([](Plan& p) { p.images[0].name = *FileName::Parse("b.png"); }));
  EXPECT_TRUE(differs([](Plan& p) { p.images[0].type = *MediaType::Parse("image/gif"); }));
}

// Whatever is enclosed, no boundary stands in it, and a relaxed signature and SMTP take the tail as it stands.
TEST(MimePlan, TheTailIsCanonicalAndNoBoundaryMeetsIt) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view names[] = {"a.png",     "--=_mixed_11111111111111111111111111111111", "a  b.pdf", "für.pdf", "x\"y", "%%%",
                                    "=_related_"};
  for (int round = 0; round < 300; ++round) {
    Plan plan{.text = random() % 2 == 0, .html = true, .domain = "a.example", .images = {}, .attachments = {}};
    std::vector<std::string> bytes;
    const auto add = [&](std::vector<Item>& items) {
      items.push_back(MakeItem(static_cast<char>('0' + random() % 10), "image/png", names[random() % std::size(names)]));
      std::string content(random() % 400, '\0');
      for (char& c : content) c = static_cast<char>(random());
      if (random() % 4 == 0) content = "\r\n--=_mixed_" + std::string(32, '1') + "--\r\n.\r\n";
      bytes.push_back(std::move(content));
    };
    for (auto n = random() % 3; n > 0; --n) add(plan.images);
    for (auto n = random() % 3; n > 0; --n) add(plan.attachments);
    if (plan.plain()) continue;
    const Frame frame(plan);
    const std::string tail = EncodeTail(plan, bytes);
    EXPECT_EQ(tail, EncodeTail(plan, bytes));
    std::vector<size_t> sizes;
    for (const auto& one : bytes) sizes.push_back(one.size());
    EXPECT_LE(tail.size(), TailSizeMax(sizes));
    std::string relaxed;
    dkim::RelaxBody(tail, [&](std::string_view piece) { relaxed += piece; });
    EXPECT_EQ(relaxed, tail);
    EXPECT_TRUE(frame.after.ends_with("\r\n") && !frame.after.ends_with("\r\n\r\n"));
    // As many delimiter lines as the tree has, no more.
    size_t delimiters = 0;
    const std::string whole = "\r\n" + frame.after + tail;
    for (size_t at = 0; (at = whole.find("\r\n--", at)) != std::string::npos; ++at) ++delimiters;
    const bool both = plan.text && plan.html;
    EXPECT_EQ(delimiters, plan.images.size() + (plan.images.empty() ? 0 : 1) + plan.attachments.size() +
                              (plan.attachments.empty() ? 0 : 1) + (both ? 1 : 0));
    EXPECT_EQ(std::ranges::count_if(whole, [](char c) { return static_cast<uint8_t>(c) >= 0x80; }), 0);
  }
}

}  // namespace
}  // namespace maily::mime
