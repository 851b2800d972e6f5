// The bytes of a mail: golden, parsed back by Python's e-mail package, and hostile values.
#include "processors/effects/smtp/message.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include "processors/effects/smtp/fixture.h"
#include "processors/personalization/links.h"
#include "schemas/asset_store.h"
#include "schemas/tracking_id.h"

namespace maily::smtp {
namespace {

constexpr Instant kDate{1'763'700'000'000'000};  // 2025-11-21T04:40:00Z

Mailing MakeMailing(const personalization::Source& source, std::string_view from = "Shop <news@shop.example>") {
  auto mailing = Mailing::Make({.tenant = TenantId(1),
                                .campaign_id = 7,
                                .list_id = 3,
                                .from = from,
                                .reply_to = "",
                                .source = source,
                                .links = personalization::LinkTable(source.html, source.text),
                                .postal_address = "1 High St, Town",
                                .company = "Shop Ltd",
                                .tracking_base_url = "https://t.example"});
  EXPECT_TRUE(mailing.has_value()) << mailing.error().ToString();
  return *mailing;
}

std::string HeaderWith(const Returns& returns) {
  Keys keys;
  auto mailing = Mailing::Make({.tenant = TenantId(1),
                                .campaign_id = 7,
                                .list_id = 3,
                                .from = "news@shop.example",
                                .reply_to = "",
                                .source = {.subject = "s", .html = "", .text = "{{ unsubscribe_url }} {{ postal_address }}"},
                                .links = {},
                                .postal_address = "1 High St",
                                .company = "",
                                .tracking_base_url = "https://t.example",
                                .returns = returns});
  EXPECT_TRUE(mailing.has_value()) << mailing.error().ToString();
  std::string out;
  EXPECT_TRUE(mailing->Compose({.partition = PartitionId(5), .ordinal = 1234, .address = "ada@b.example", .attributes = {}, .date = kDate},
                               keys.Of(1), out));
  return out.substr(0, out.find("\r\n\r\n") + 2);
}

std::string Compose(const Mailing& mailing, Keys& keys, std::vector<std::string_view> values = {},
                    std::string_view address = "ada@b.example") {
  std::string out;
  const auto done = mailing.Compose(
      {.partition = PartitionId(5), .ordinal = 1234, .address = address, .attributes = personalization::Texts(values), .date = kDate},
      keys.Of(1), out);
  EXPECT_TRUE(done.has_value()) << done.error().ToString();
  return out;
}

std::string FromOf(std::string_view from_name, std::string_view value) {
  Keys keys;
  auto mailing =
      Mailing::Make({.tenant = TenantId(1),
                     .campaign_id = 7,
                     .list_id = 3,
                     .from = "Shop <news@shop.example>",
                     .source = {.subject = "s {{ contact.x }}", .html = "", .text = "t", .preheader = {}, .from_name = from_name},
                     .links = {},
                     .tracking_base_url = "https://t.example"});
  EXPECT_TRUE(mailing.has_value()) << mailing.error().ToString();
  const std::string mail = Compose(*mailing, keys, {value});
  const size_t at = mail.find("\r\nFrom: ") + 2;
  EXPECT_EQ(mail.find("\r\nFrom: ", at), std::string::npos);
  return mail.substr(at, mail.find("\r\nList-ID", at) - at);
}

TEST(Message, TheNameInFromIsOfEachMailAndCannotBeginAHeader) {
  EXPECT_EQ(FromOf("{{ contact.x }} of Shop", "Ann"), "From: Ann of Shop <news@shop.example>");
  EXPECT_EQ(FromOf("{{ contact.x }}", "A, B"), "From: \"A, B\" <news@shop.example>");
  EXPECT_EQ(FromOf("{{ contact.x }}", "Ann\r\nBcc: x@y.example"), "From: \"Ann Bcc: x@y.example\" <news@shop.example>");
  EXPECT_EQ(FromOf("{{ contact.x }}", std::string_view("A\0\x7F\xC2\x85\xFF\"\\ <x@y>", 14)),
            "From: \"A \\\"\\\\ <x@y>\" <news@shop.example>");
  EXPECT_EQ(FromOf("{{ contact.x }}", ""), "From: Shop <news@shop.example>");
  EXPECT_EQ(FromOf("{{ 'a' | divided_by: contact.x }}", "0"), "From: Shop <news@shop.example>");
  EXPECT_EQ(FromOf("", "x"), "From: Shop <news@shop.example>");
}

TEST(Message, NoValueBringsALineEndOrNulIntoAHeaderAndNoErrorIntoAMail) {
  std::mt19937 random(4711);
  Keys keys;
  const Mailing mailing = MakeMailing({.subject = "{{ contact.x }} {{ contact.x | upcase }}",
                                       .html = "<a href=\"{{ contact.x }}\">{{ contact.x }}</a>",
                                       .text = "{{ contact.x }}",
                                       .preheader = "{{ contact.x }}",
                                       .from_name = "{{ contact.x }}"});
  for (int round = 0; round < 500; ++round) {
    static constexpr std::string_view kPieces[] = {"\r",
                                                   "\n",
                                                   "\r\n",
                                                   std::string_view("\0", 1),
                                                   "Bcc: a@b.example",
                                                   " ",
                                                   "ü",
                                                   "\xE2\x80\xA8",
                                                   "javascript:x",
                                                   "\"",
                                                   "<",
                                                   "=?utf-8?Q?=0D=0A?=",
                                                   "\x7F",
                                                   "\xFF",
                                                   "{{ nope }}"};
    std::string value;
    for (int i = 0; i < 6; ++i) value += kPieces[random() % std::size(kPieces)];
    const std::string mail = Compose(mailing, keys, {value});
    const std::string header = mail.substr(0, mail.find("\r\n\r\n") + 2);
    EXPECT_EQ(mail.find("Liquid error"), std::string::npos);
    EXPECT_EQ(header.find('\0'), std::string::npos);
    for (size_t at = 0; at < header.size();) {
      const size_t end = header.find("\r\n", at);
      const std::string line = header.substr(at, end - at);
      EXPECT_EQ(line.find_first_of("\r\n"), std::string::npos) << round;
      EXPECT_FALSE(line.starts_with("Bcc")) << "seed 4711, round " << round << ": " << value;
      at = end + 2;
    }
    EXPECT_EQ(mail.find("href=3D\"javascript"), std::string::npos) << value;
  }
}

TEST(Message, WhereMailIsTakenInAnOptOutByMailIsOfferedBesideTheLink) {
  EXPECT_EQ(HeaderWith({}).find("mailto:"), std::string::npos);
  EXPECT_NE(HeaderWith({.opt_out_host = "mx.maily.example"})
                .find("\r\nList-Unsubscribe: <https://t.example/u/AQEDAQUH0gkAedZ296jLKBplYQ>,\r\n "
                      "<mailto:uAQEDAQUH0gkAedZ296jLKBplYQ@mx.maily.example?subject=unsubscribe>\r\n"),
            std::string::npos);
}

TEST(Message, AProviderThatHasToBeToldItsIdIsToldIt) {
  const std::string token = "maeaqkb6sbhhqu4qip7wxmua4vy";
  EXPECT_NE(
      HeaderWith({.provider = Returns::Provider::kSendGrid}).find("\r\nX-SMTPAPI: {\"unique_args\":{\"maily\":\"" + token + "\"}}\r\n"),
      std::string::npos);
  EXPECT_NE(HeaderWith({.provider = Returns::Provider::kPostmark}).find("\r\nX-PM-Metadata-maily: " + token + "\r\n"), std::string::npos);
  const std::string none = HeaderWith({});
  EXPECT_EQ(none.find("X-SMTPAPI"), std::string::npos);
  EXPECT_EQ(none.find("X-PM-"), std::string::npos);
}

Mailing::Options OptionsOf(const personalization::Source& source, const std::vector<std::string>& links) {
  return {.tenant = TenantId(1),
          .campaign_id = 7,
          .list_id = 3,
          .from = "news@shop.example",
          .reply_to = "",
          .source = source,
          .links = links,
          .postal_address = "1 High St",
          .company = "",
          .tracking_base_url = "https://t.example"};
}

// Without the line breaks that quoted-printable puts in.
std::string Unbroken(std::string mail) {
  for (size_t soft = mail.find("=\r\n"); soft != std::string::npos; soft = mail.find("=\r\n", soft)) mail.erase(soft, 3);
  return mail;
}

TEST(Message, TrackingIsOffForACampaignAndForAContact) {
  Keys keys;
  const personalization::Source source{
      .subject = "Hi",
      .html = "<body><a href=\"https://shop.example/\">go</a> {{ unsubscribe_url }} {{ postal_address }}</body>",
      .text = "https://shop.example/ {{ unsubscribe_url }} {{ postal_address }}"};
  const std::vector<std::string> links = personalization::LinkTable(source.html, source.text);
  Mailing::Options options = OptionsOf(source, links);
  Mailing::Recipient to{.partition = PartitionId(5), .ordinal = 1234, .address = "ada@b.example", .attributes = {}, .date = kDate};
  std::string tracked;
  ASSERT_TRUE(Mailing::Make(options)->Compose(to, keys.Of(1), tracked));
  EXPECT_NE(Unbroken(tracked).find("https://t.example/c/"), std::string::npos);
  EXPECT_NE(Unbroken(tracked).find("https://t.example/o/"), std::string::npos);
  to.untracked = true;
  std::string of_contact;
  ASSERT_TRUE(Mailing::Make(options)->Compose(to, keys.Of(1), of_contact));
  to.untracked = false;
  options.untracked = true;
  std::string of_campaign;
  const auto mailing = Mailing::Make(options);
  ASSERT_TRUE(mailing->Compose(to, keys.Of(1), of_campaign));
  EXPECT_EQ(of_contact, of_campaign);
  of_contact = Unbroken(of_contact);
  EXPECT_EQ(of_contact.find("https://t.example/c/"), std::string::npos);
  EXPECT_EQ(of_contact.find("https://t.example/o/"), std::string::npos);
  EXPECT_NE(of_contact.find("https://t.example/u/"), std::string::npos) << "the opt-out stays";
  EXPECT_NE(of_contact.find("https://shop.example/"), std::string::npos);
  EXPECT_EQ(mailing->MakePreview(to, keys.Of(1))->parts.html.find("/o/"), std::string::npos);
  // What is not tracked has no honeypot either.
  options.returns.honeypot = true;
  std::string of_untracked;
  ASSERT_TRUE(Mailing::Make(options)->Compose(to, keys.Of(1), of_untracked));
  EXPECT_EQ(of_untracked, of_campaign);
}

TEST(Message, AHoneypotIsALinkThatNoPersonSeesWithATokenOfItsOwn) {
  Keys keys;
  const personalization::Source source{
      .subject = "Hi",
      .html = "<body><a href='https://shop.example/'>go</a> {{ unsubscribe_url }} {{ postal_address }}</body>",
      .text = "{{ unsubscribe_url }} {{ postal_address }}"};
  const std::vector<std::string> links = personalization::LinkTable(source.html, source.text);
  Mailing::Options options = OptionsOf(source, links);
  options.returns.honeypot = true;
  const auto mailing = Mailing::Make(options);
  const Mailing::Recipient to{.partition = PartitionId(5), .ordinal = 1234, .address = "ada@b.example", .attributes = {}, .date = kDate};
  const auto preview = mailing->MakePreview(to, keys.Of(1));
  ASSERT_TRUE(preview);
  const std::string& html = preview->parts.html;
  const size_t hidden = html.find("\" style=\"display:none\" tabindex=\"-1\" aria-hidden=\"true\" rel=\"nofollow\"></a>");
  ASSERT_NE(hidden, std::string::npos) << html;
  const std::string begin = "<a href=\"https://t.example/c/";
  const size_t at = html.rfind(begin, hidden);
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(html.substr(at + begin.size(), hidden - at - begin.size()).find_first_not_of('x'), std::string::npos)
      << "a preview's token is dead";
  EXPECT_EQ(preview->parts.text.find("/c/"), std::string::npos) << "a text part hides nothing";
  std::string mail;
  ASSERT_TRUE(mailing->Compose(to, keys.Of(1), mail));
  const std::string token =
      schema::EncodeTrackingId({schema::TrackingKind::kHoneypot, TenantId(1), PartitionId(5), 7, 1234, 0}, keys.Of(1));
  EXPECT_NE(Unbroken(mail).find("https://t.example/c/" + token), std::string::npos);
  EXPECT_EQ(schema::DecodeTrackingId(token, *keys.ring)->kind, schema::TrackingKind::kHoneypot);
}

TEST(Message, TheSameBytesEveryTime) {
  Keys keys;
  const Mailing mailing =
      MakeMailing({.subject = "Hello {{ contact.first_name }}",
                   .html = "<html><body><p>Hi {{ contact.first_name }} <a href=\"https://shop.example/?a=1&amp;b=2\">go</a>\n"
                           "<a href='{{ unsubscribe_url }}'>out</a> {{ postal_address }}</body></html>",
                   .text = "Hi {{ contact.first_name }}\nhttps://shop.example/?a=1&b=2\n{{ unsubscribe_url }} {{ postal_address }}\n"});
  const std::string mail = Compose(mailing, keys, {"Ada"});
  EXPECT_EQ(mail, Compose(mailing, keys, {"Ada"}));
  // Tenant keys come from the fixture's counting entropy, so tokens and Message-ID are golden too. [format]
  std::string expected = R"(Date: Fri, 21 Nov 2025 04:40:00 +0000
To: <ada@b.example>
Subject: Hello Ada
Message-ID: <maeaqkb6sbhhqu4qip7wxmua4vy@shop.example>
From: Shop <news@shop.example>
List-ID: <list-3.t1.shop.example>
Feedback-ID: c7:t1:campaign:maily
List-Unsubscribe-Post: List-Unsubscribe=One-Click
MIME-Version: 1.0
List-Unsubscribe: <https://t.example/u/AQEDAQUH0gkAedZ296jLKBplYQ>
Content-Type: multipart/alternative;
 boundary="=_maeaqkb6sbhhqu4qip7wxmua4vy"

--=_maeaqkb6sbhhqu4qip7wxmua4vy
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Hi Ada
https://t.example/c/AQECAQUH0gkAXwdMi5cCwELbig
https://t.example/u/AQEDAQUH0gkAedZ296jLKBplYQ 1 High St, Town
--=_maeaqkb6sbhhqu4qip7wxmua4vy
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body><p>Hi Ada <a href=3D"https://t.example/c/AQECAQUH0gkAXwdMi5cCwE=
Lbig">go</a>
<a href=3D'https://t.example/u/AQEDAQUH0gkAedZ296jLKBplYQ'>out</a> 1 High S=
t, Town<img src=3D"https://t.example/o/AQEBAQUH0gkAvArvNjEL50U8FA.gif" widt=
h=3D"1" height=3D"1" alt=3D"" style=3D"display:block;border:0"></body></htm=
l>
--=_maeaqkb6sbhhqu4qip7wxmua4vy--
)";
  for (size_t at = 0; (at = expected.find('\n', at)) != std::string::npos; at += 2) expected.insert(at, 1, '\r');
  EXPECT_EQ(mail, expected);
}

TEST(Message, APreviewDiffersInItsTokensAlone) {
  Keys keys;
  const Mailing mailing = MakeMailing(
      {.subject = "Grüße {{ contact.first_name }}",
       .html = "<p>Hi {{ contact.first_name }} <a href=\"https://shop.example/\">go</a> <a href='{{ unsubscribe_url }}'>out</a></p>",
       .text = "Hi {{ contact.first_name }} https://shop.example/ {{ unsubscribe_url }}\n"});
  const std::vector<std::string_view> texts{"Zoë & Co"};
  const std::string sent = Compose(mailing, keys, texts);
  const auto values = personalization::Texts(texts);
  const auto preview = mailing.MakePreview(
      {.partition = PartitionId(5), .ordinal = 1234, .address = "ada@b.example", .attributes = values, .date = kDate}, keys.Of(1));
  ASSERT_TRUE(preview) << preview.error().ToString();
  ASSERT_EQ(preview->message.size(), sent.size());
  size_t blank = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    if (preview->message[i] == sent[i]) continue;
    ASSERT_EQ(preview->message[i], 'x') << "at " << i << " of\n" << preview->message;
    ++blank;
  }
  EXPECT_GT(blank, 100u);
  EXPECT_EQ(preview->parts.subject, "Grüße Zoë & Co");
  EXPECT_NE(preview->parts.html.find("Zoë &amp; Co"), std::string::npos);
  for (const char* path : {"/c/", "/u/", "/o/"}) {
    const std::string& html = preview->parts.html;
    const size_t at = html.find(std::string("https://t.example") + path);
    ASSERT_NE(at, std::string::npos) << html;
    const std::string token = html.substr(at + 20, html.find_first_of(".\"'", at + 20) - at - 20);
    EXPECT_FALSE(schema::DecodeTrackingId(token, *keys.ring)) << token;
  }
  const size_t id = preview->message.find("Message-ID: ") + 12;
  EXPECT_FALSE(DecodeMessageId(preview->message.substr(id, preview->message.find('\r', id) - id), *keys.ring));
}

TEST(Message, EveryUrlOfTheMailIsATokenOfThisSend) {
  Keys keys;
  const Mailing mailing =
      MakeMailing({.subject = "s", .html = "<a href='https://x.example/1'>1</a>", .text = "https://x.example/2 https://x.example/1"});
  std::string mail = Compose(mailing, keys);
  for (size_t at; (at = mail.find("=\r\n")) != std::string::npos;) mail.erase(at, 3);
  std::vector<std::string> found;
  for (size_t at = 0; (at = mail.find("https://t.example/", at)) != std::string::npos; at += 18) {
    const char path = mail[at + 18];
    const size_t end = mail.find_first_of(" '\">\r", at);
    std::string token = mail.substr(at + 20, end - at - 20);
    if (path == 'o') {
      // The dot of ".gif" may be encoded if a line was broken before it.
      const size_t dot = token.find_first_of(".=");
      token.resize(dot);
    }
    const auto id = schema::DecodeTrackingId(token, *keys.ring);
    ASSERT_TRUE(id.has_value()) << token;
    EXPECT_EQ(id->campaign_id, 7u);
    EXPECT_EQ(id->ordinal, 1234u);
    EXPECT_EQ(id->partition, PartitionId(5));
    found.push_back(fmt::format("{}{}", path, id->link));
  }
  EXPECT_EQ(found, (std::vector<std::string>{"u0", "c1", "c0", "c0", "o0"}));
}

TEST(Message, AConfirmationCarriesTheLinkOfItsAskAndOtherMailsCarryNone) {
  Keys keys;
  const auto mailing =
      Mailing::Make({.tenant = TenantId(1),
                     .campaign_id = 2,
                     .from = "news@shop.example",
                     .source = {.subject = "s", .html = "<a href=\"{{ confirm_url }}\">yes</a>", .text = "<{{ confirm_url }}>"},
                     .tracking_base_url = "https://t.example",
                     .untracked = true,
                     .messages = true,
                     .confirmation = true});
  ASSERT_TRUE(mailing.has_value()) << mailing.error().ToString();
  Mailing::Recipient to{.partition = PartitionId(5),
                        .ordinal = 1234,
                        .address = "ada@b.example",
                        .attributes = {},
                        .date = kDate,
                        .message_id = uint64_t{1} << 62,
                        .confirm_number = 9};
  std::string mail;
  ASSERT_TRUE(mailing->Compose(to, keys.Of(1), mail));
  EXPECT_NE(mail.find("Auto-Submitted: auto-generated\r\n"), std::string::npos);
  EXPECT_EQ(mail.find("List-"), std::string::npos);
  const std::string token = schema::EncodeTrackingId(
      {.kind = schema::TrackingKind::kConfirm, .tenant = TenantId(1), .partition = PartitionId(5), .campaign_id = 9, .ordinal = 1234},
      keys.Of(1));
  std::string plain = mail;
  for (size_t at = 0; (at = plain.find("=\r\n", at)) != std::string::npos;) plain.erase(at, 3);
  EXPECT_NE(plain.find("<https://t.example/y/" + token + ">"), std::string::npos) << plain;
  EXPECT_NE(plain.find("\"https://t.example/y/" + token + "\""), std::string::npos) << plain;
  to.confirm_number = 0;
  ASSERT_TRUE(mailing->Compose(to, keys.Of(1), mail));
  EXPECT_EQ(mail.find("/y/"), std::string::npos);
}

TEST(Message, MessageIdsNameTheSendAndCannotBeForged) {
  Keys keys;
  const SendId id{TenantId(3), PartitionId(15), 1'000'000, (uint64_t{1} << 47) + 5};
  const std::string text = EncodeMessageId(id, "shop.example", keys.Of(3));
  EXPECT_EQ(*DecodeMessageId(text, *keys.ring), id);
  EXPECT_EQ(*DecodeMessageId(text.substr(1, text.size() - 2), *keys.ring), id);
  std::string upper = text;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(*DecodeMessageId(upper, *keys.ring), id);
  for (size_t i = 2; i < text.find('@') - 1; ++i) {
    std::string damaged = text;
    damaged[i] = damaged[i] == 'a' ? 'b' : 'a';
    EXPECT_FALSE(DecodeMessageId(damaged, *keys.ring).has_value()) << i;
  }
  for (const char* foreign : {"", "<>", "<m@x>", "<x@y.example>", "<maaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@x>", "<m1890-._@x>"}) {
    EXPECT_EQ(DecodeMessageId(foreign, *keys.ring).error().code, Code::kInvalid) << foreign;
  }
}

TEST(Message, MailboxesAreParsedOrRefused) {
  EXPECT_EQ(ParseMailbox(" news@a.example ")->address, "news@a.example");
  EXPECT_EQ(ParseMailbox("\"Shop, \\\"Inc\\\"\" <n@a.example>")->name, "Shop, \"Inc\"");
  EXPECT_EQ(ParseMailbox("Läden <n@a.example>")->domain(), "a.example");
  for (const char* bad : {"", "x", "a@", "@a", "a@b>", "<a@b", "a b@c.example", "a@b.example, c@d.example", "A <a@b\r\n>",
                          "A\n<a@b.example>", "a..b@c.example", "a@-.", "a,b@c.example"}) {
    EXPECT_FALSE(ParseMailbox(bad).has_value()) << bad;
  }
}

TEST(Message, RefusesRecipientsThatCannotStandInAHeader) {
  Keys keys;
  const Mailing mailing = MakeMailing({.subject = "s", .html = "", .text = "t"});
  std::string out;
  for (const char* bad : {"", "a", "a@b\r\nBcc: x@y", "a,b@c.example", "<a@b.example>", "\"a b\"@c.example", "a@b c"}) {
    EXPECT_EQ(
        mailing.Compose({.partition = {}, .ordinal = 1, .address = bad, .attributes = {}, .date = kDate}, keys.Of(1), out).error().code,
        Code::kInvalid);
  }
}

TEST(Message, Dates) {
  EXPECT_EQ(FormatDate({0}), "Thu, 01 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(FormatDate({951'782'400'000'000}), "Tue, 29 Feb 2000 00:00:00 +0000");
  EXPECT_EQ(FormatDate({4'102'444'799'999'999}), "Thu, 31 Dec 2099 23:59:59 +0000");
}

// Decodes quoted-printable the plain way.
std::string Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out.push_back(text[i]);
    } else if (text.substr(i, 3) == "=\r\n") {
      i += 2;
    } else {
      out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
      i += 2;
    }
  }
  return out;
}

void ExpectWireSafe(std::string_view mail) {
  size_t line = 0;
  for (size_t i = 0; i < mail.size(); ++i) {
    ASSERT_LT(static_cast<uint8_t>(mail[i]), 0x80);
    ASSERT_NE(mail[i], '\0');
    if (mail[i] == '\n') {
      ASSERT_TRUE(i > 0 && mail[i - 1] == '\r');
      ASSERT_LE(i - 1 - line, 998u);
      line = i + 1;
    }
    if (mail[i] == '\r') {
      ASSERT_TRUE(i + 1 < mail.size() && mail[i + 1] == '\n');
    }
  }
  ASSERT_TRUE(mail.ends_with("\r\n"));
}

TEST(Message, QuotedPrintableKeepsEveryByte) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {
      "a", " ", "\t", ".", "=", "\r\n", "ü", "\x80", "From ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "\x7f"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 30; n > 0; --n) text += tokens[random() % std::size(tokens)];
    std::string out;
    AppendQuotedPrintable(text, out);
    if (!text.empty()) ExpectWireSafe(out);
    for (size_t begin = 0; begin < out.size();) {
      const size_t end = out.find("\r\n", begin);
      EXPECT_LE(end - begin, 76u);
      if (end > begin) {
        EXPECT_TRUE(out[end - 1] != ' ' && out[end - 1] != '\t' && out[begin] != '.');
      }
      begin = end + 2;
    }
    if (!text.empty() && !text.ends_with("\r\n")) text += "\r\n";
    EXPECT_EQ(Decode(out), text);
  }
  std::string out;
  AppendQuotedPrintable("a\nb\rc\r\nd", out);
  EXPECT_EQ(out, "a\r\nb\r\nc\r\nd\r\n");
}

// What a script of Python's says of the mail, whose path is its argument.
std::string PythonSays(const std::string& mail, const std::string& script) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("maily_message_test_{}.eml", ::getpid());
  std::ofstream(path, std::ios::binary) << mail;
  std::string out;
  FILE* pipe = ::popen(fmt::format("python3 -c \"{}\" {} 2>&1", script, path.string()).c_str(), "r");
  if (pipe == nullptr) return "no python3";
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof(buffer), pipe)) out.append(buffer, n);
  ::pclose(pipe);
  std::filesystem::remove(path);
  return out;
}

// What Python's parser reads, as lines "name: value".
std::string ParseWithPython(const std::string& mail) {
  const std::string script =
      "import email, email.policy, sys\n"
      "m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.SMTP)\n"
      "assert not m.defects, m.defects\n"
      "print(sorted(k.lower() for k in m.keys()))\n"
      "for name in ('subject', 'from', 'to', 'date'):\n"
      "  print(m[name]); assert not m[name].defects, m[name].defects\n"
      "for part in m.walk():\n"
      "  assert not part.defects, part.defects\n"
      "  print(part.get_content_type())\n"
      "  if not part.is_multipart(): print(part.get_content().rstrip('\\n'))\n";
  return PythonSays(mail, script);
}

TEST(Message, PythonReadsWhatWasMeant) {
  Keys keys;
  const std::string long_name = "Ädä " + std::string(120, 'x') + "  and ß€𝄞 more";
  const Mailing mailing =
      MakeMailing({.subject = "Für {{ contact.n }}", .html = "<p>{{ contact.n }} = 1</p>", .text = ".dot {{ contact.n }} = 1 \nFrom x"},
                  "\"Läden, groß\" <news@shop.example>");
  const std::string mail = Compose(mailing, keys, {long_name});
  ExpectWireSafe(mail);
  const std::string expected =
      "['content-type', 'date', 'feedback-id', 'from', 'list-id', 'list-unsubscribe', 'list-unsubscribe-post', 'message-id', "
      "'mime-version', 'subject', "
      "'to']\n"
      "Für " +
      long_name +
      "\n\"Läden, groß\" <news@shop.example>\nada@b.example\nFri, 21 Nov 2025 04:40:00 +0000\nmultipart/alternative\ntext/plain\n.dot " +
      long_name + " = 1 \nFrom x\ntext/html\n<p>" + long_name + " = 1</p>";
  std::string read = ParseWithPython(mail);
  const size_t pixel = read.find("<img");
  ASSERT_NE(pixel, std::string::npos) << read;
  read.resize(pixel);
  const size_t to = read.find("<ada@b.example>");  // some versions print the brackets
  if (to != std::string::npos) read.replace(to, 15, "ada@b.example");
  EXPECT_EQ(read, expected);
}

TEST(Message, NoValueMakesAHeader) {
  Keys keys;
  const Mailing mailing = MakeMailing({.subject = "Hi {{ contact.n }}", .html = "<p>{{ contact.n }}</p>", .text = "t{{ contact.n }}"});
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string_view tokens[] = {
      "\r\n", "\n", "\r",   "Bcc: a@b.example",       "\r\n\r\n", ".\r\n", "=?utf-8?B?", "?=", " ", "\t", "\0x",
      "\x0b", "ü",  "--=_", "Content-Type: text/evil"};
  for (int round = 0; round < 500; ++round) {
    std::string value;
    for (auto n = random() % 10; n > 0; --n) value += tokens[random() % std::size(tokens)];
    const std::string mail = Compose(mailing, keys, {value});
    ExpectWireSafe(mail);
    const std::string_view head = std::string_view(mail).substr(0, mail.find("\r\n\r\n"));
    size_t headers = 0;
    for (size_t at = 0; at != std::string_view::npos && at < head.size();) {
      if (head[at] != ' ') {
        ++headers;
        EXPECT_EQ(head.substr(at, 4) == "Bcc:", false);
      }
      at = head.find("\r\n", at);
      if (at != std::string_view::npos) at += 2;
    }
    EXPECT_EQ(headers, 11u) << head;
  }
}

TEST(Message, OnePartStandsAlone) {
  Keys keys;
  const std::string text = Compose(MakeMailing({.subject = "s", .html = "", .text = "only"}), keys);
  EXPECT_TRUE(text.ends_with("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nonly\r\n"));
  EXPECT_NE(Compose(MakeMailing({.subject = "s", .html = "<p>", .text = ""}), keys).find("Content-Type: text/html;"), std::string::npos);
}

TEST(Message, AWrongCampaignIsRefusedOnce) {
  const auto make = [](std::string_view from, std::string_view base, std::string_view text) {
    return Mailing::Make({.tenant = TenantId(1),
                          .campaign_id = 1,
                          .list_id = 0,
                          .from = from,
                          .reply_to = "",
                          .source = {.subject = "s", .html = "", .text = text},
                          .links = {},
                          .postal_address = "",
                          .company = "",
                          .tracking_base_url = base})
        .has_value();
  };
  EXPECT_TRUE(make("a@b.example", "http://127.0.0.1:8080", "t"));
  EXPECT_FALSE(make("nobody", "http://127.0.0.1:8080", "t"));
  EXPECT_FALSE(make("a@b.example", "ftp://x", "t"));
  EXPECT_FALSE(make("a@b.example", "http://x/", "t"));
  EXPECT_FALSE(make("a@b.example", "http://x", "{{"));
}

TEST(Message, ComposingIsFast) {
  Keys keys;
  std::string html = "<html><body>";
  for (int i = 0; i < 3; ++i)
    html += fmt::format("<a href=\"https://shop.example/{}\">{}</a>{{{{ contact.n }}}}\n", i, std::string(2000, 'x'));
  const Mailing mailing = MakeMailing({.subject = "s", .html = html, .text = std::string(3500, 'y')});
  const std::vector<personalization::Value> values{personalization::Value::String("Ada")};
  std::string out;
  constexpr int kRounds = 3000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(mailing.Compose({.partition = PartitionId(5), .ordinal = 1, .address = "a@b.example", .attributes = values, .date = kDate},
                                keys.Of(1), out));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{:.0f} mails/s of {} bytes\n", kRounds / seconds, out.size());
  EXPECT_GT(kRounds / seconds, 300);
}

// A mail with an image and attachments, as Python reads it: one line a part, of its place in the tree, type, disposition, Content-ID, file
// name and the SHA-256 of its bytes.
std::string TreeByPython(const std::string& mail) {
  const std::string script =
      "import email, email.policy, hashlib, sys\n"
      "m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.SMTP)\n"
      "def walk(part, depth):\n"
      "  assert not part.defects, part.defects\n"
      "  for name in part.keys(): assert not part[name].defects, (name, part[name].defects)\n"
      "  line = '-' * depth + part.get_content_type()\n"
      "  if not part.is_multipart():\n"
      "    raw = part.get_payload(decode=True)\n"
      "    line += ' ' + str(part.get_content_disposition()) + ' ' + str(part['content-id']) + ' ' + str(part.get_filename())\n"
      "    line += ' ' + hashlib.sha256(raw).hexdigest()[:8] if part.get_content_maintype() != 'text' else ''\n"
      "  print(line)\n"
      "  if part.is_multipart():\n"
      "    assert not (part.preamble or '').strip() and not (part.epilogue or '').strip()\n"
      "    for p in part.iter_parts(): walk(p, depth + 1)\n"
      "walk(m, 0)\n"
      "print('attachments', [a.get_filename() for a in m.iter_attachments()])\n"
      "body = m.get_body(preferencelist=('html',))\n"
      "print('html', body is not None and 'cid:' in body.get_content())\n";
  return PythonSays(mail, script);
}

struct File {
  std::string_view type, name, bytes;
};
struct Whole {
  std::string head, tail;
};

Whole ComposeWith(std::string_view html, std::string_view text, const std::vector<File>& images, const std::vector<File>& attachments) {
  Keys keys;
  const auto item = [](const File& file) {
    return mime::Item{schema::AssetId(file.bytes), *mime::MediaType::Parse(file.type), *mime::FileName::Parse(file.name)};
  };
  Mailing::Options options{.tenant = TenantId(1),
                           .campaign_id = 7,
                           .list_id = 3,
                           .from = "Shop <news@Shop.example>",
                           .source = {.subject = "s", .html = html, .text = text},
                           .postal_address = "1 High St",
                           .tracking_base_url = "https://t.example"};
  std::vector<std::string> bytes;
  for (const auto* files : {&images, &attachments}) {
    for (const File& file : *files) {
      (files == &images ? options.images : options.attachments).push_back(item(file));
      bytes.emplace_back(file.bytes);
    }
  }
  const auto mailing = Mailing::Make(options);
  EXPECT_TRUE(mailing) << mailing.error().ToString();
  return {Compose(*mailing, keys), mime::EncodeTail(mailing->plan(), bytes)};
}

std::string DigestOf(std::string_view bytes) { return schema::AssetId(bytes).substr(0, 8); }

TEST(Message, PythonReadsTheTreeOfImagesAndAttachments) {
  std::string picture;
  for (int i = 0; i < 1000; ++i) picture.push_back(static_cast<char>(i * 7));
  const std::string html = "<p>Look <img src=\"cid:" + mime::ContentId(schema::AssetId(picture), "shop.example") + "\"></p>";
  const Whole mail =
      ComposeWith(html, "Look", {{"image/png", "logo.png", picture}},
                  {{"application/pdf", "Preisliste für März.pdf", "%PDF-1"}, {"text/calendar", "a\"b.ics", "BEGIN:VCALENDAR"}});
  ExpectWireSafe(mail.head + mail.tail);
  const std::string id = "<" + schema::AssetId(picture).substr(0, 32) + "@shop.example>";
  EXPECT_EQ(TreeByPython(mail.head + mail.tail),
            "multipart/mixed\n-multipart/alternative\n--text/plain None None None\n--multipart/related\n---text/html None None None\n"
            "---image/png inline " +
                id + " logo.png " + DigestOf(picture) + "\n-application/pdf attachment None Preisliste für März.pdf " + DigestOf("%PDF-1") +
                "\n-text/calendar attachment None a\"b.ics\n"
                "attachments ['Preisliste für März.pdf', 'a\"b.ics']\nhtml True\n");
  // Nothing of it changes from one attempt to the next.
  const Whole again =
      ComposeWith(html, "Look", {{"image/png", "logo.png", picture}},
                  {{"application/pdf", "Preisliste für März.pdf", "%PDF-1"}, {"text/calendar", "a\"b.ics", "BEGIN:VCALENDAR"}});
  EXPECT_EQ(again.head, mail.head);
  EXPECT_EQ(again.tail, mail.tail);
}

TEST(Message, EachShapeOfTreeIsWellFormed) {
  const File image{"image/gif", "a.gif", "GIF89a"};
  const File file{"application/pdf", "a.pdf", ""};
  for (const std::string_view html : {"", "<p>cid:"}) {
    for (const std::string_view text : {"", "text"}) {
      for (const size_t images : {0u, 1u, 3u}) {
        for (const size_t files : {0u, 1u, 2u}) {
          if ((images == 0 && files == 0) || (html.empty() && (images > 0 || text.empty()))) continue;
          const Whole mail = ComposeWith(html, text, std::vector<File>(images, image), std::vector<File>(files, file));
          ExpectWireSafe(mail.head + mail.tail);
          const std::string tree = TreeByPython(mail.head + mail.tail);
          EXPECT_EQ(tree.find("Error"), std::string::npos) << tree;
          const auto count = [&](std::string_view what) {
            size_t n = 0;
            for (size_t at = tree.find(what); at != std::string::npos; at = tree.find(what, at + 1)) ++n;
            return n;
          };
          EXPECT_EQ(count("image/gif"), images) << tree;
          EXPECT_EQ(count("application/pdf"), files) << tree;
          EXPECT_EQ(count("multipart/related"), images > 0 ? 1u : 0u) << tree;
          EXPECT_EQ(count("multipart/mixed"), files > 0 ? 1u : 0u) << tree;
          EXPECT_EQ(count("multipart/alternative"), !html.empty() && !text.empty() ? 1u : 0u) << tree;
        }
      }
    }
  }
}

TEST(Message, ImagesNeedAPartThatShowsThem) {
  const auto make = [](std::string_view html, std::string_view text, bool image) {
    Mailing::Options options{.tenant = TenantId(1),
                             .from = "a@b.example",
                             .source = {.subject = "s", .html = html, .text = text},
                             .tracking_base_url = "http://x"};
    (image ? options.images : options.attachments)
        .push_back({std::string(64, '1'), *mime::MediaType::Parse("image/png"), *mime::FileName::Parse("a")});
    return Mailing::Make(options).has_value();
  };
  EXPECT_FALSE(make("", "text", true));
  EXPECT_TRUE(make("", "text", false));
  EXPECT_TRUE(make("<p>", "", true));
  EXPECT_FALSE(make("", "", false));
}

}  // namespace
}  // namespace maily::smtp
