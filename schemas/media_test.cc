// What may be said of a file, and what may not.
#include "schemas/media.h"

#include <gtest/gtest.h>

namespace maily::schema {
namespace {

TEST(MediaType, IsATypeAndASubtypeInLowerCase) {
  EXPECT_EQ(MediaType::Parse("Image/PNG")->text(), "image/png");
  EXPECT_EQ(MediaType::Parse("application/vnd.openxmlformats-officedocument.wordprocessingml.document")->text(),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
  for (const std::string_view wrong : {"", "image", "image/", "/png", "image/png; charset=x", "image/png\r\nBcc: x@y.example", "image/p ng",
                                       "image/\"png\"", "a/b/c", "multipart/mixed", "message/rfc822", "imäge/png"}) {
    EXPECT_FALSE(MediaType::Parse(wrong)) << wrong;
  }
}

TEST(FileName, ShowsWhatItIs) {
  EXPECT_EQ(FileName::Parse("Preisliste für März.pdf")->text(), "Preisliste für März.pdf");
  EXPECT_TRUE(FileName::Parse("a\"b;c=d.pdf"));
  EXPECT_TRUE(FileName::Parse(std::string(150, 'x')));
  for (const std::string_view wrong :
       {"", ".", ".hidden", "a.", " a", "a ", "a/b", "a\\b", "a\rb", "a\nb", "a\tb", "a\x7F", "a\xC2\x85z", "a\xFFz",
        "invoice\xE2\x80\xAE"
        "fdp.exe",
        "x\xE2\x81\xA7y"}) {
    EXPECT_FALSE(FileName::Parse(wrong)) << wrong;
  }
  EXPECT_FALSE(FileName::Parse(std::string(151, 'x')));
  EXPECT_FALSE(FileName::Parse(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace maily::schema
