// Canonical forms: the examples of RFC 6376, the edges, and random bodies and fields against a slow and plain version.
#include "processors/effects/dkim/canonical.h"

#include <gtest/gtest.h>

#include <random>

#include "processors/effects/dkim/hash.h"
#include "processors/effects/dkim/signed_fields.h"
#include "streams/base/base64.h"

namespace maily::dkim {
namespace {

std::string Body(std::string_view body) {
  std::string out;
  RelaxBody(body, [&out](std::string_view piece) {
    EXPECT_FALSE(piece.empty());
    out += piece;
  });
  return out;
}

std::string Field(std::string_view field) {
  std::string out;
  RelaxField(field, out);
  return out;
}

TEST(Canonical, TheExampleOfRfc6376) {  // §3.4.6, example 1
  const std::string_view mail = "A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
  std::string_view header = mail.substr(0, BodyOffset(mail));
  EXPECT_EQ(Field(TakeField(header)), "a:X\r\n");
  EXPECT_EQ(Field(TakeField(header)), "b:Y Z\r\n");
  EXPECT_EQ(header, "\r\n");
  EXPECT_EQ(Body(mail.substr(BodyOffset(mail))), " C\r\nD E\r\n");
}

TEST(Canonical, AnEmptyBodyIsNothing) {
  for (const std::string_view body : {"", "\r\n", "\r\n\r\n\r\n", " ", "\t \r\n", " \r\n\t\r\n", "\r\n  "})
    EXPECT_EQ(Body(body), "") << body;
  EXPECT_EQ(ToBase64(View(Sha256().Finish())), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");  // §3.4.4
}

TEST(Canonical, EdgesOfBodies) {
  EXPECT_EQ(Body("a"), "a\r\n");
  EXPECT_EQ(Body("a \t"), "a\r\n");
  EXPECT_EQ(Body("a\r\n"), "a\r\n");
  EXPECT_EQ(Body("a\r\n\r\n \r\n"), "a\r\n");
  EXPECT_EQ(Body("\r\na"), "\r\na\r\n");
  EXPECT_EQ(Body(" \r\n\t\r\na  b\r\n"), "\r\n\r\na b\r\n");
  EXPECT_EQ(Body("  a\tb \r\n.\r\n..\r\n"), " a b\r\n.\r\n..\r\n");
  EXPECT_EQ(Body("a\nb\rc \n\r\n"), "a\nb\rc \n\r\n");  // only CRLF ends a line
  EXPECT_EQ(Body(std::string_view("\0 \0\r\n", 5)), std::string_view("\0 \0\r\n", 5));
}

TEST(Canonical, ACleanBodyIsOnePiece) {
  int pieces = 0;
  RelaxBody("Dear Ada,\r\n the mail\r\nis here.\r\n", [&pieces](std::string_view) { ++pieces; });
  EXPECT_EQ(pieces, 1);
}

TEST(Canonical, EdgesOfFields) {
  EXPECT_EQ(Field("Subject:\r\n"), "subject:\r\n");
  EXPECT_EQ(Field("SUBJECT \t:  \r\n\t \r\n"), "subject:\r\n");
  EXPECT_EQ(Field("Subject: a: b\r\n  c\t\td \r\n"), "subject:a: b c d\r\n");
  EXPECT_EQ(Field("Subject: a"), "subject:a\r\n");
  EXPECT_EQ(Field("Subject:a\r\n \r\n b\r\n"), "subject:a b\r\n");
}

TEST(Canonical, TheBodyBeginsBehindTheFirstEmptyLine) {
  EXPECT_EQ(BodyOffset("A: b\r\n\r\nc\r\n\r\n"), 8u);
  EXPECT_EQ(BodyOffset("\r\nbody"), 2u);
  EXPECT_EQ(BodyOffset("A: b\r\n \r\n c\r\n\r\n"), 15u);  // a folded line of white space is no empty line
  EXPECT_EQ(BodyOffset("A: b\r\n"), 6u);
  EXPECT_EQ(BodyOffset(""), 0u);
}

// RFC 6376 §3.4.4, step by step.
std::string PlainBody(std::string_view body) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < body.size();) {
    const size_t end = std::min(body.size(), body.find("\r\n", begin));
    std::string line;
    for (const char c : body.substr(begin, end - begin)) {
      const bool space = c == ' ' || c == '\t';
      if (!space || !line.ends_with(' ')) line.push_back(space ? ' ' : c);
    }
    if (line.ends_with(' ')) line.pop_back();
    lines.push_back(line);
    begin = end + 2;
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::string out;
  for (const std::string& line : lines) out += line + "\r\n";
  return out;
}

TEST(Canonical, RandomBodiesAreAsThePlainVersionSays) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {"a",        "bc", " ",  "  ", "\t",       " \t ", "\r\n", "\r\n",
                                     "\r\n\r\n", "\r", "\n", ".",  "\xC3\xBC", "\x01", "=20"};
  for (int round = 0; round < 20'000; ++round) {
    std::string body;
    for (auto n = random() % 25; n > 0; --n) body += tokens[random() % std::size(tokens)];
    ASSERT_EQ(Body(body), PlainBody(body)) << testing::PrintToString(body);
    ASSERT_EQ(Body(Body(body)), Body(body)) << "canonical of canonical";
    if (!body.ends_with("\r")) {
      ASSERT_EQ(Body(body), Body(body + "\r\n")) << "the CRLF that SMTP adds";
    }
  }
}

TEST(Canonical, RefoldingAFieldChangesNothing) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view spaces[] = {" ", "\t", "  ", "\r\n ", " \r\n\t", "\r\n \r\n "};
  for (int round = 0; round < 5'000; ++round) {
    std::string plain = "x-name:";
    std::string field = random() % 2 ? "X-Name:" : "x-nAME \t:";
    for (auto n = random() % 8; n > 0; --n) {
      const std::string word(1 + random() % 20, static_cast<char>('!' + random() % 94));
      plain += plain.ends_with("name:") ? word : " " + word;
      (field += spaces[random() % std::size(spaces)]) += word;
    }
    ASSERT_EQ(Field(field + "\r\n"), plain + "\r\n") << testing::PrintToString(field);
    std::string_view section = field;
    ASSERT_EQ(TakeField(section), field);
  }
}

std::string Names(const Selection& selection) {
  std::string out;
  for (const std::string_view name : selection.names) (out += name) += ':';
  return out;
}

TEST(SignedFields, TheOnceOnlyAreListedOnceMoreThanPresent) {
  EXPECT_EQ(Names(SelectFields("")),
            "From:Sender:Reply-To:To:Cc:Subject:Date:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:Content-Transfer-Encoding:"
            "List-ID:List-Unsubscribe:List-Unsubscribe-Post:Feedback-ID:");
  const Selection selection = SelectFields(
      "Received: by x\r\nsubject: s1\r\nFROM: a\r\nList-Help: h\r\nSubject: s2\r\nno field\r\nX-Other: o\r\nList-Unsubscribe: u\r\n\r\n");
  EXPECT_EQ(Names(selection),
            "From:From:Sender:Reply-To:To:Cc:Subject:Subject:Subject:Date:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:"
            "Content-Transfer-Encoding:List-ID:List-Unsubscribe:List-Unsubscribe:List-Unsubscribe-Post:Feedback-ID:List-Help:");
  EXPECT_EQ(selection.canonical, "from:a\r\nsubject:s2\r\nsubject:s1\r\nlist-unsubscribe:u\r\nlist-help:h\r\n");
}

}  // namespace
}  // namespace maily::dkim
