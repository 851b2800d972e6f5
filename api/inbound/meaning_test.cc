// What mails that come back mean: given the mail and whom it came to, expect the sends and the commands.
#include "api/inbound/meaning.h"

#include <gtest/gtest.h>

#include <random>

#include "maily/engagements/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "processors/effects/smtp/redact.h"

namespace maily::inbound {
namespace {

using engagements::v1::RecordUnsubscribe;
using sends::v1::RecordNotice;

// A token of these tests: "b", "m" or "u", then "good", campaign and ordinal as two digits each, then letters.
constexpr const char* kReturnPath = "bgood0102aaaaaaaaaaaaaaaa@bounces.shop.example";
constexpr const char* kMessageId = "<mgood0102aaaaaaaaaaaaaaaa@shop.example>";
constexpr const char* kOptOut = "ugood0102aaaaaaaaaaaaaaaa@bounces.shop.example";
constexpr const char* kForged = "bevil0102aaaaaaaaaaaaaaaa@bounces.shop.example";

Result<Send> ReadToken(std::string_view token) {
  if (token.starts_with('<')) token.remove_prefix(1);
  if (token.starts_with('b') || token.starts_with('m')) token.remove_prefix(1);
  if (token.starts_with("broken")) return Fail(Code::kRetry, "no keys now");
  if (!token.starts_with("good")) return Fail(Code::kInvalid, "not ours");
  const auto number = [&](size_t at) { return static_cast<uint64_t>((token[at] - '0') * 10 + token[at + 1] - '0'); };
  return Send{TenantId(1), PartitionId(token[8] == 'z' ? 9 : 3), number(4), number(6)};
}

Readers TestReaders() {
  return {.return_path = ReadToken,
          .message_id = ReadToken,
          .opt_out = ReadToken,
          .redact = [](std::string_view text, std::string_view address) { return smtp::RedactReply(text, address); },
          .partition_count = 4};
}

Meaning Of(const std::string& mail, const std::vector<std::string>& recipients = {kReturnPath}, TenantId only = {}) {
  auto meaning = Interpret(recipients, mail, "smtp", TestReaders(), only);
  EXPECT_TRUE(meaning) << meaning.error().ToString();
  return meaning ? *std::move(meaning) : Meaning();
}
RecordNotice Notice(const Meaning& meaning) {
  RecordNotice notice;
  EXPECT_EQ(meaning.commands.size(), 1u);
  if (meaning.commands.empty()) return notice;
  const gateway::Order& order = meaning.commands[0].order;
  EXPECT_EQ(order.partition, PartitionId(3));
  EXPECT_TRUE(notice.ParseFromString(order.payload.empty() ? order.plain : order.payload));
  return notice;
}
RecordUnsubscribe OptOut(const Meaning& meaning) {
  RecordUnsubscribe command;
  EXPECT_EQ(meaning.commands.size(), 1u);
  if (meaning.commands.empty()) return command;
  const gateway::Order& order = meaning.commands[0].order;
  EXPECT_EQ(order.natural_key, "");  // whoever joined again can leave again
  EXPECT_TRUE(command.ParseFromString(order.payload.empty() ? order.plain : order.payload));
  return command;
}

std::string Person(std::string_view words) {
  return "From: ann@a.example\r\nTo: x@shop.example\r\nSubject: hi\r\n\r\n" + std::string(words);
}

std::string Block(std::string_view address, std::string_view action, std::string_view status, std::string_view diagnostic) {
  return "Final-Recipient: rfc822; " + std::string(address) + "\r\nAction: " + std::string(action) + "\r\nStatus: " + std::string(status) +
         "\r\nDiagnostic-Code: smtp; " + std::string(diagnostic) + "\r\n\r\n";
}
std::string Dsn(std::string_view blocks, std::string_view to = "x@shop.example", std::string_view returned = "") {
  return "From: MAILER-DAEMON@mx.example\r\nTo: " + std::string(to) +
         "\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; "
         "boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nsorry\r\n\r\n--x\r\nContent-Type: "
         "message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n" +
         std::string(blocks) + "--x\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: news\r\n" + std::string(returned) +
         "\r\n--x--\r\n";
}
std::string Arf(std::string_view type, std::string_view returned) {
  return "From: fbl@isp.example\r\nTo: fbl@shop.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
         "report-type=feedback-report; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nreport\r\n\r\n--x\r\nContent-Type: "
         "message/feedback-report\r\n\r\nFeedback-Type: " +
         std::string(type) + "\r\nVersion: 1\r\nUser-Agent: t/1\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: news\r\n" +
         std::string(returned) + "\r\n\r\nbody\r\n--x--\r\n";
}

const std::string kGone = Block("ann@a.example", "failed", "5.1.1", "550 5.1.1 <ann@a.example>: no user ann here, ask boss@a.example");

TEST(Meaning, AHardBounceIsOfTheSendThatItsEnvelopeNames) {
  const Meaning meaning = Of(Dsn(kGone));
  EXPECT_EQ(meaning.what, What::kBounce);
  const RecordNotice notice = Notice(meaning);
  EXPECT_EQ(notice.campaign_id(), 1u);
  EXPECT_EQ(notice.ordinal(), 2u);
  EXPECT_EQ(notice.kind(), sends::v1::NOTICE_BOUNCE);
  EXPECT_TRUE(notice.hard());
  EXPECT_EQ(notice.reason(), "invalid_address");
  EXPECT_EQ(notice.status(), "5.1.1");
  EXPECT_EQ(notice.reporting_mta(), "mx.example");
  EXPECT_EQ(notice.source(), "smtp");
  EXPECT_EQ(notice.diagnostic(), "550 5.1.1 <recipient>: no user <recipient> here, ask <recipient>");
  EXPECT_EQ(meaning.commands[0].order.natural_key, "notice/1/2/1/invalid_address/5.1.1");
}

TEST(Meaning, WithoutAnEnvelopeTheMailItselfNamesTheSend) {
  EXPECT_EQ(Notice(Of(Dsn(kGone, kReturnPath), {})).ordinal(), 2u);
  EXPECT_EQ(
      Notice(Of(Dsn(kGone, "x@y.example", "Return-Path: <" + std::string(kReturnPath) + ">\r\n"), {"postmaster@y.example"})).ordinal(), 2u);
  EXPECT_EQ(Notice(Of(Dsn(kGone, "x@y.example", "Message-ID: " + std::string(kMessageId) + "\r\n"), {})).ordinal(), 2u);
  // The envelope counts before them.
  const Meaning both = Of(Dsn(kGone, "bgood0109aaaaaaaaaaaaaaaa@shop.example"));
  EXPECT_EQ(Notice(both).ordinal(), 2u);
}

TEST(Meaning, WhereOneOfSeveralIsNotGoneTheAddressIsNotBad) {
  const Meaning meaning = Of(Dsn(kGone + Block("bob@a.example", "failed", "5.2.2", "552 5.2.2 mailbox full")));
  EXPECT_FALSE(Notice(meaning).hard());
  EXPECT_EQ(Notice(meaning).reason(), "mailbox_full");
}

TEST(Meaning, LateAndDeliveredAndPersonsMailBecomeNothing) {
  EXPECT_EQ(Of(Dsn(Block("ann@a.example", "delayed", "4.4.1", "421 later"))).what, What::kDelayed);
  EXPECT_EQ(Of(Dsn(Block("ann@a.example", "delivered", "2.0.0", "250 ok"))).what, What::kDelivered);
  EXPECT_EQ(Of(Person("I like it")).what, What::kOther);
  for (const std::string& mail : {Dsn(Block("ann@a.example", "delayed", "4.4.1", "421 later")), Person("I like it")})
    EXPECT_TRUE(Of(mail).commands.empty());
}

TEST(Meaning, AMachinesAnswerIsOne) {
  const Meaning meaning = Of("Auto-Submitted: auto-replied\r\nFrom: ann@a.example\r\nSubject: away\r\n\r\nBack on Monday. 550 5.1.1\r\n");
  EXPECT_EQ(meaning.what, What::kAutoReply);
  EXPECT_EQ(Notice(meaning).kind(), sends::v1::NOTICE_AUTO_REPLY);
  EXPECT_EQ(Notice(meaning).reason(), "auto_reply");
  EXPECT_EQ(Notice(meaning).diagnostic(), "");
}

TEST(Meaning, AComplaintThoughRedactedNamesTheSend) {
  const std::string returned = "Message-ID: " + std::string(kMessageId) + "\r\nTo: [redacted]";
  for (const char* type : {"abuse", "fraud"}) {
    const Meaning meaning = Of(Arf(type, returned), {"fbl@shop.example"});
    EXPECT_EQ(meaning.what, What::kComplaint);
    EXPECT_EQ(Notice(meaning).kind(), sends::v1::NOTICE_COMPLAINT);
    EXPECT_EQ(Notice(meaning).reason(), type);
  }
  for (const char* type : {"not-spam", "auth-failure", "virus", "other"}) {
    const Meaning meaning = Of(Arf(type, returned), {"fbl@shop.example"});
    EXPECT_EQ(meaning.what, What::kFeedback) << type;
    EXPECT_TRUE(meaning.commands.empty()) << type;
  }
  const Meaning left = Of(Arf("opt-out", returned), {"fbl@shop.example"});
  EXPECT_EQ(left.what, What::kOptOut);
  EXPECT_EQ(OptOut(left).ordinal(), 2u);
  EXPECT_EQ(OptOut(left).method(), "feedback");
}

TEST(Meaning, AMailToAnAddressToUnsubscribeAsksForThat) {
  const Meaning meaning = Of(Person(""), {kOptOut});
  EXPECT_EQ(meaning.what, What::kOptOut);
  EXPECT_EQ(OptOut(meaning).campaign_id(), 1u);
  EXPECT_EQ(OptOut(meaning).method(), "mailto");
  EXPECT_TRUE(Of(Dsn(kGone), {kOptOut}).commands.empty());
}

TEST(Meaning, ForgedOnesChangeNothing) {
  EXPECT_EQ(Of(Dsn(kGone), {kForged}).what, What::kForged);
  EXPECT_EQ(Of(Dsn(kGone), {"postmaster@shop.example"}).what, What::kNobody);
  EXPECT_EQ(Of(Dsn(kGone), {"bgood0102zaaaaaaaaaaaaaaa@shop.example"}).what, What::kForged);  // a partition that is not there
  EXPECT_EQ(Of(Dsn(kGone), {kReturnPath}, TenantId(2)).what, What::kForged);                  // another tenant's
  EXPECT_EQ(Of(Dsn(kGone), {kReturnPath}, TenantId(1)).what, What::kBounce);
}

TEST(Meaning, WhenTokensCannotBeReadNothingIsKnown) {
  EXPECT_FALSE(Interpret({"bbroken0102aaaaaaaaaaaaaaa@shop.example"}, Dsn(kGone), "smtp", TestReaders()));
}

TEST(Meaning, OneMailTellsOfFewSends) {
  std::vector<std::string> recipients;
  for (int i = 10; i < 99; ++i) recipients.push_back("bgood01" + std::to_string(i) + "aaaaaaaaaaaaaaaa@shop.example");
  EXPECT_EQ(Of(Dsn(kGone), recipients).commands.size(), kSendsMax);
}

TEST(Meaning, DamagedMailsAreOfTheSameSendOrOfNone) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string returned = "Message-ID: " + std::string(kMessageId);
  const std::string mails[] = {Dsn(kGone, "x@y.example", returned + "\r\n"), Arf("abuse", returned), Person("550 5.1.1")};
  for (int round = 0; round < 300; ++round) {
    std::string mail = mails[random() % std::size(mails)];
    for (size_t i = random() % 20; i > 0; --i) {
      const size_t at = random() % mail.size();
      if (random() % 3 == 0) {
        mail.erase(at, random() % 40);
        mail += '.';
      } else {
        mail[at] = static_cast<char>(random());
      }
    }
    const Meaning meaning = Of(mail);
    ASSERT_LE(meaning.commands.size(), 1u);
    if (meaning.commands.empty() || meaning.what == What::kOptOut) continue;
    const RecordNotice notice = Notice(meaning);
    ASSERT_EQ(notice.ordinal(), 2u);
    ASSERT_EQ(notice.diagnostic().find('@'), std::string::npos);
    ASSERT_LE(notice.diagnostic().size(), 500u);
  }
}

TEST(Anonymous, LeavesNoAddressAndNoByteThatIsNotAscii) {
  EXPECT_EQ(Anonymous("550 <Ann.Lee+x@a.example> and \"a b\"@c.example\r\n", 500), "550 <recipient> and <recipient>  ");
  EXPECT_EQ(Anonymous("Gr\xC3\xBC\xC3\x9F", 500), "Gr????");
  EXPECT_EQ(Anonymous(std::string(600, 'x'), 500).size(), 500u);
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t i = random() % 80; i > 0; --i) text.push_back("a@.<>\" \xC3\n-"[random() % 10]);
    const size_t most = random() % 60;
    const std::string out = Anonymous(text, most);
    ASSERT_LE(out.size(), most);
    ASSERT_EQ(out.find('@'), out.npos) << text;
    for (const char c : out) ASSERT_TRUE(c >= 0x20 && c < 0x7F) << text;
  }
}

TEST(MayBeOurs, IsATokenOrANameOfEveryMailHost) {
  for (const char* local :
       {"postmaster", "Abuse", "fbl", "bgood0102aaaaaaaaaaaaaaaa", "BGOOD0102AAAAAAAAAAAAAAAA", "ugood0102aaaaaaaaa-_aaaaa"})
    EXPECT_TRUE(MayBeOurs(local)) << local;
  for (const char* local : {"", "ann", "b", "bob", "info", "xgood0102aaaaaaaaaaaaaaaa", "bgood0102 aaaaaaaaaaaaaaaa"})
    EXPECT_FALSE(MayBeOurs(local)) << local;
}

}  // namespace
}  // namespace maily::inbound
