// Tests of what is left of a relay's reply.
#include "processors/effects/smtp/redact.h"

#include <gtest/gtest.h>

#include "processors/effects/smtp/session.h"

namespace maily::smtp {
namespace {

TEST(RedactReply, TakesTheAddressOutHoweverItIsSpelled) {
  EXPECT_EQ(RedactReply("550 ADA@B.example, <ada@b.EXAMPLE> and rcpt=ada@b.examples", "ada@b.example"),
            "550 <recipient>, <recipient> and rcpt=<recipient>s");
  EXPECT_EQ(RedactReply("xada@b.exampleada@b.example", "ada@b.example"), "x<recipient><recipient>");
  EXPECT_EQ(RedactReply("<k??the@b.example>: k??the", "k\xC3\xA4the@b.example"), "<recipient>: <recipient>");
  EXPECT_EQ(RedactReply("user ada adamant", "ada@b.example"), "user <recipient> adamant");
  EXPECT_EQ(RedactReply("al is unknown", "al@b.example"), "al is unknown");
  const std::string address = std::string(60, 'a') + "@b.example";
  std::string text;
  while (text.size() < Session::kReplyTextBytesMax) text += address + " ";
  text.resize(Session::kReplyTextBytesMax);
  const std::string redacted = RedactReply(text, address);
  EXPECT_LE(redacted.size(), 500u);
  EXPECT_EQ(redacted.find('a'), std::string::npos);
}

}  // namespace
}  // namespace maily::smtp
