// What authors are told.
#include "processors/personalization/warnings.h"

#include <gtest/gtest.h>

namespace maily::personalization {
namespace {

std::vector<std::string> Codes(std::string_view html) {
  std::vector<std::string> codes;
  for (const Warning& warning : WarningsOf(html)) codes.push_back(warning.code + " " + warning.place);
  return codes;
}
using Codes_ = std::vector<std::string>;
constexpr std::string_view kWords = "<p>Enough words to say what this mail is about, without any image.</p>";

TEST(Warnings, AnImageWithoutAltIsNamedWithItsPlace) {
  EXPECT_EQ(Codes(std::string(kWords) + "\n<b>ü</b> <img src=x>\n<img src=y alt=''>\n\n  <IMG src='z'>"),
            (Codes_{"missing_alt html:2:10", "missing_alt html:5:3"}));
  EXPECT_EQ(Codes(std::string(kWords) + "<img width=\"1\" height=\"1\" src=pixel><!-- <img> -->"), Codes_{});
}

TEST(Warnings, ALinkThatIsNotEncryptedIsNamedWithItsPlace) {
  EXPECT_EQ(Codes(std::string(kWords) + "\n<a href='HTTP://x.example'>x</a><a href=https://x.example>y</a>"),
            (Codes_{"http_link html:2:1"}));
  EXPECT_FALSE(WarningsOf(std::string(kWords) + "<img src=x>").front().fix.empty());
}

TEST(Warnings, MoreThanGmailShowsIsClipped) {
  EXPECT_EQ(Codes(std::string(kWords) + std::string(kHtmlShownMax - kWords.size(), 'x')), Codes_{});
  EXPECT_EQ(Codes(std::string(kWords) + std::string(kHtmlShownMax - kWords.size() + 1, 'x')), (Codes_{"clipped html"}));
}

TEST(Warnings, AMailOfImagesAloneSaysNothingWithoutThem) {
  EXPECT_EQ(Codes("<style>p{color:red;background:blue;border:0;margin:0;padding:0}</style><a href='https://x.example'><img alt='Sale' "
                  "src=x></a> out"),
            (Codes_{"image_only html"}));
  EXPECT_EQ(Codes("<p>short</p>"), Codes_{});
  EXPECT_EQ(Codes(""), Codes_{});
}

TEST(Warnings, AreBounded) {
  std::string html;
  for (int i = 0; i < 10'000; ++i) html += "<img>\n";
  EXPECT_EQ(WarningsOf(html).size(), 50u);
}

}  // namespace
}  // namespace maily::personalization
