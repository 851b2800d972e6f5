// Addresses as RFC 5321 has them, as mailers send them, and as nobody should.
#include "api/mail/path.h"

#include <gtest/gtest.h>

namespace maily::mail {
namespace {

struct Case {
  std::string_view text;
  std::string_view local;
  std::string_view domain;
  std::string_view written;  // by ToString
};

TEST(Path, ReadsWhatMailersSend) {
  const Case cases[] = {
      {"<a@b.example>", "a", "b.example", "a@b.example"},
      {"<bounce+1=x=y.example@mx.test>", "bounce+1=x=y.example", "mx.test", "bounce+1=x=y.example@mx.test"},
      {R"(<"a b"@c.example>)", "a b", "c.example", R"("a b"@c.example)"},               // §4.1.2 Quoted-string
      {R"(<"a\"\\b>"@c.example>)", R"(a"\b>)", "c.example", R"("a\"\\b>"@c.example)"},  // quoted-pairs, and > in quotes
      {R"(<"plain"@c.example>)", "plain", "c.example", "plain@c.example"},              // quotes that need not be
      {"<@one.example,@two.example:a@b.example>", "a", "b.example", "a@b.example"},     // §4.1.1.3 source route
      {"<@[1.2.3.4]:a@b.example>", "a", "b.example", "a@b.example"},                    //
      {"<a@[127.0.0.1]>", "a", "[127.0.0.1]", "a@[127.0.0.1]"},                         // §4.1.3 address literals
      {"<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},    //
      {"<a..b.@docomo.example>", "a..b.", "docomo.example", "a..b.@docomo.example"},    // not in the grammar, and in use
      {"<a@with_underscore.example>", "a", "with_underscore.example", "a@with_underscore.example"},
      {"<\xC3\xA4@b\xC3\xBC.example>", "\xC3\xA4", "b\xC3\xBC.example", "\xC3\xA4@b\xC3\xBC.example"},  // RFC 6531
  };
  for (const Case& each : cases) {
    for (const PathUse use : {PathUse::kSender, PathUse::kRecipient}) {
      std::string_view rest = each.text;
      const auto mailbox = TakePath(rest, use);
      ASSERT_TRUE(mailbox) << each.text;
      EXPECT_EQ(mailbox->local, each.local);
      EXPECT_EQ(mailbox->domain, each.domain);
      EXPECT_EQ(mailbox->ToString(), each.written);
      EXPECT_EQ(rest, "");
    }
  }
}

TEST(Path, TheNullSenderAndPostmaster) {
  std::string_view text = "<> SIZE=1";
  ASSERT_TRUE(TakePath(text, PathUse::kSender)->null());
  EXPECT_EQ(text, " SIZE=1");
  text = "<>";
  EXPECT_FALSE(TakePath(text, PathUse::kRecipient));
  text = "<PostMaster>";
  EXPECT_EQ(TakePath(text, PathUse::kRecipient)->ToString(), "PostMaster");
  text = "<root>";
  EXPECT_FALSE(TakePath(text, PathUse::kRecipient));
  text = "<MAILER-DAEMON>";
  EXPECT_EQ(TakePath(text, PathUse::kSender)->ToString(), "MAILER-DAEMON");
}

TEST(Path, RefusesWhatIsNone) {
  const std::string long_local = "<" + std::string(kPathBytesMax, 'a') + "@b.example>";
  const std::string long_domain = "<a@" + std::string(256, 'b') + ">";
  const std::string_view cases[] = {"",
                                    "a@b.example",
                                    "<a@b.example",
                                    "<a b@c.example>",
                                    "<a@>",
                                    "<@b.example>",
                                    "<a@b@c>",
                                    "<\"a@b.example>",
                                    "<\"a\n\"@b>",
                                    "<\"\"@b.example>",
                                    "<a@.b>",
                                    "<a@b.>",
                                    "<a@b..c>",
                                    "<a@[]>",
                                    "<a@[1.2.3.4>",
                                    "<a@[a[b]>",
                                    "<a@b.example\"",
                                    "<\xFF@b.example>",
                                    "<a@\xC3>",
                                    "< a@b.example>",
                                    "<a@b.example >",
                                    "<@b.example,:a@c>",
                                    "<@b:>",
                                    "<\"\\",
                                    "<a<b@c.example>",
                                    long_local,
                                    long_domain};
  for (const std::string_view each : cases) {
    for (const PathUse use : {PathUse::kSender, PathUse::kRecipient}) {
      std::string_view rest = each;
      EXPECT_FALSE(TakePath(rest, use)) << each;
    }
  }
}

}  // namespace
}  // namespace maily::mail
