// Which spellings are one address, and which are none.
#include "schemas/address.h"

#include <gtest/gtest.h>

namespace maily::schema {
namespace {

std::string Normalised(std::string_view text) {
  const Result<Address> address = ParseAddress(text);
  return address ? address->normalised : "refused: " + address.error().message;
}

TEST(Address, SameMailbox) {
  EXPECT_EQ(Normalised("Ann@Example.com"), "ann@example.com");
  EXPECT_EQ(Normalised("ann@EXAMPLE.com"), "ann@example.com");
  EXPECT_EQ(Normalised(" \t\xC2\xA0"
                       "ann@example.com\r\n"),
            "ann@example.com");
  EXPECT_EQ(Normalised("\xEF\xBB\xBF"
                       "ann@example.com"),
            "ann@example.com");
  EXPECT_EQ(Normalised("ann@B\xC3\xBC"
                       "cher.example"),
            "ann@xn--bcher-kva.example");
  EXPECT_EQ(Normalised("ann@XN--Bcher-KVA.example"), "ann@xn--bcher-kva.example");
  EXPECT_EQ(Normalised("ann@bu\xCC\x88"
                       "cher.example"),
            "ann@xn--bcher-kva.example")
      << "decomposed";
  EXPECT_EQ(Normalised("ann@example\xE3\x80\x82"
                       "com"),
            "ann@example.com")
      << "ideographic full stop";
  EXPECT_EQ(Normalised("J\xC3\x96RG@example.com"), Normalised("jo\xCC\x88rg@example.com"));
  EXPECT_EQ(Normalised("I@example.com"), "i@example.com") << "no Turkish dotless i";
  EXPECT_EQ(ParseAddress(" Ann@Example.com ")->spelled, "Ann@Example.com");
  EXPECT_EQ(ParseAddress("Ann@Example.com")->domain, "example.com");
}

TEST(Address, AnotherMailbox) {
  EXPECT_NE(Normalised("ann+x@example.com"), Normalised("ann@example.com"));
  EXPECT_NE(Normalised("a.nn@example.com"), Normalised("ann@example.com"));
  EXPECT_EQ(Normalised("ann@stra\xC3\x9F"
                       "e.example"),
            "ann@xn--strae-oqa.example");
  EXPECT_EQ(Normalised("ann@strasse.example"), "ann@strasse.example");
}

TEST(Address, Accepted) {
  for (const char* text : {"\xE7\x94\xA8\xE6\x88\xB7@\xE4\xBE\x8B\xE5\xAD\x90.\xE5\xB9\xBF\xE5\x91\x8A", "o'brien@example.com",
                           "a@b.museum", "a@b.xn--p1ai", "a@b.zzzzzz", "x_y-z=1/2@a-b.example", "a@1.example", "a@xn--nxasmq6b.example",
                           "\xD0\xB8\xD0\xB2\xD0\xB0\xD0\xBD@\xD0\xBF\xD0\xBE\xD1\x87\xD1\x82\xD0\xB0.\xD1\x80\xD1\x84"}) {
    EXPECT_TRUE(ParseAddress(text)) << Normalised(text);
  }
  EXPECT_TRUE(ParseAddress(std::string(64, 'a') + "@example.com"));
}

TEST(Address, RefusedWithAHint) {
  const std::string label(63, 'd');
  for (const std::string& text : {std::string(),
                                  std::string("  "),
                                  std::string("ann"),
                                  std::string("ann@"),
                                  std::string("@example.com"),
                                  std::string("ann@b@example.com"),
                                  std::string("ann@example..com"),
                                  std::string("ann@.example.com"),
                                  std::string("ann@example.com."),
                                  std::string(".ann@example.com"),
                                  std::string("ann.@example.com"),
                                  std::string("a..nn@example.com"),
                                  std::string(65, 'a') + "@example.com",
                                  "ann@" + label + "." + label + "." + label + "." + label + ".com",
                                  "ann@" + label + "d.com",
                                  std::string("a\x01nn@example.com"),
                                  std::string("ann@exa\nmple.com"),
                                  std::string("ann@example.com\0", 16),
                                  std::string("ann\x7F@example.com"),
                                  std::string("ann@[192.0.2.1]"),
                                  std::string("ann@[IPv6:::1]"),
                                  std::string("ann@192.0.2.1"),
                                  std::string("Ann <ann@example.com>"),
                                  std::string("<ann@example.com>"),
                                  std::string("ann b@example.com"),
                                  std::string("\"ann\"@example.com"),
                                  std::string("ann@exa mple.com"),
                                  std::string("ann@-example.com"),
                                  std::string("ann@example-.com"),
                                  std::string("ann@exa_mple.com"),
                                  std::string("ann,bob@example.com"),
                                  std::string("ann@example.com,bob@example.com"),
                                  std::string("ann@xn--a.example"),
                                  std::string("\xFF\xFE@example.com"),
                                  std::string("ann\xE2\x80\x8B@example.com"),
                                  std::string("ann\xE2\x80\xAE@example.com"),
                                  std::string(100'000, 'a') + "@example.com"}) {
    const Result<Address> address = ParseAddress(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Code::kInvalid);
    EXPECT_FALSE(address.error().message.empty());
  }
  EXPECT_EQ(Normalised("Ann <ann@example.com>"), "refused: give the address alone, without a name or angle brackets");
}

TEST(Address, NormalisingTwiceChangesNothing) {
  for (const char* text : {"J\xC3\x96RG@B\xC3\xBC"
                           "cher.example",
                           "\xC4\xB0smail@example.com",
                           "\xE1\xBA\x9E@stra\xC3\x9F"
                           "e.example",
                           "\xCE\xA3\xCE\xA3@example.com"}) {
    const std::string once = Normalised(text);
    EXPECT_EQ(Normalised(once), once);
  }
}

}  // namespace
}  // namespace maily::schema
