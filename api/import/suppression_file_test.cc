// Tests what files of suppressions mean: each program's columns, and that a bad row costs itself alone.
#include "api/import/suppression_file.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "api/import/cells.h"

namespace maily::import {
namespace {

struct Outcome {
  std::vector<SuppressionRow> rows;
  std::vector<SuppressionReject> rejects;
  size_t passed = 0;
  std::string trouble;
  SuppressionFormat format = SuppressionFormat::kAuto;
};

// `piece` bytes at once.
Outcome ReadAll(std::string_view text, SuppressionReader::Options options = {}, size_t piece = 7) {
  Outcome out;
  SuppressionReader reader(std::move(options), {.row = [&](SuppressionRow row) { out.rows.push_back(std::move(row)); },
                                                .reject = [&](SuppressionReject reject) { out.rejects.push_back(std::move(reject)); },
                                                .passed = [&] { ++out.passed; }});
  for (size_t at = 0; at < text.size(); at += piece) reader.Feed(text.substr(at, piece));
  reader.Finish();
  out.trouble = reader.trouble();
  out.format = reader.format();
  return out;
}

std::string Say(const SuppressionRow& row) {
  return (row.email.empty() ? "@" + row.domain : row.email) + " " + row.reason + " " + row.stream + " " + row.note;
}

TEST(SuppressionFile, OurOwnColumnsAreReadAndBadRowsCostThemselves) {
  const Outcome out = ReadAll(
      "email,domain,stream,reason,note\r\n"
      "Ann@Example.com,,marketing,complaint,\"called, twice\"\r\n"
      ",Bad.Example,,,\r\n"
      "@worse.example,,,blocked,'=1+1\r\n"
      "nonsense,,,,\r\n"
      "bob@example.com,,,because,\r\n"
      "bob@example.com,,weekly,,\r\n"
      ",,,,\r\n"
      "bob@example.com,too,many,columns,in,it\r\n"
      "bob@example.com,,,,\r\n");
  ASSERT_EQ(out.trouble, "");
  EXPECT_EQ(out.format, SuppressionFormat::kMaily);
  ASSERT_EQ(out.rows.size(), 4u);
  EXPECT_EQ(Say(out.rows[0]), "Ann@Example.com complaint marketing called, twice");
  EXPECT_EQ(Say(out.rows[1]), "@bad.example manual all ");
  EXPECT_EQ(Say(out.rows[2]), "@worse.example blocked all =1+1");
  EXPECT_EQ(Say(out.rows[3]), "bob@example.com manual all ");
  std::vector<std::string> codes;
  for (const SuppressionReject& reject : out.rejects) codes.push_back(std::to_string(reject.line) + " " + reject.code);
  EXPECT_EQ(codes, (std::vector<std::string>{"5 invalid_address", "6 unknown_reason", "7 unknown_stream", "8 missing", "9 columns"}));
  EXPECT_EQ(out.rejects[0].raw, "nonsense,,,,");
  EXPECT_EQ(out.rejects[1].raw, "bob@example.com,,,because,");
}

TEST(SuppressionFile, MailchimpsUnsubscribedAndCleanedAreToldApartAndSubscribedOnesRefused) {
  const Outcome left =
      ReadAll("Email Address,First Name,MEMBER_RATING,UNSUB_TIME,UNSUB_REASON\na@x.io,Ann,2,2026-01-01 00:00:00,No longer interested\n");
  EXPECT_EQ(left.format, SuppressionFormat::kMailchimp);
  ASSERT_EQ(left.rows.size(), 1u);
  EXPECT_EQ(Say(left.rows[0]), "a@x.io unsubscribed all No longer interested");
  const Outcome cleaned = ReadAll("Email Address,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE\na@x.io,2026-01-01 00:00:00,Spring\n");
  ASSERT_EQ(cleaned.rows.size(), 1u);
  EXPECT_EQ(Say(cleaned.rows[0]), "a@x.io hard_bounce all ");
  const std::string_view subscribed = "Email Address,MEMBER_RATING,OPTIN_TIME\na@x.io,2,2026-01-01 00:00:00\n";
  EXPECT_NE(ReadAll(subscribed).trouble.find("may be subscribed"), std::string::npos);
  EXPECT_TRUE(ReadAll(subscribed).rows.empty());
  EXPECT_EQ(ReadAll(subscribed, {.reason = "manual"}).rows.size(), 1u);
}

TEST(SuppressionFile, SendgridsKindsAreToldApartByTheirColumns) {
  const Outcome bounces = ReadAll(
      "email,reason,status,created\na@x.io,550 no such user,5.1.1,1700000000\nb@x.io,blocked by "
      "policy,5.7.1,1700000000\nc@x.io,later,4.2.2,1700000000\n");
  EXPECT_EQ(bounces.format, SuppressionFormat::kSendgrid);
  ASSERT_EQ(bounces.rows.size(), 3u);
  EXPECT_EQ(Say(bounces.rows[0]), "a@x.io hard_bounce all 550 no such user");
  EXPECT_EQ(bounces.rows[1].reason, "blocked");
  EXPECT_EQ(bounces.rows[2].reason, "blocked");
  EXPECT_EQ(ReadAll("email,ip,created\na@x.io,192.0.2.1,1700000000\n").rows.at(0).reason, "complaint");
  EXPECT_EQ(ReadAll("email,created\na@x.io,1700000000\n").rows.at(0).reason, "unsubscribed");
  EXPECT_EQ(ReadAll("email,reason,created\na@x.io,bad mailbox,1700000000\n").rows.at(0).reason, "invalid");
  // As its API gives them.
  EXPECT_EQ(ReadAll("{\"created\":1700000000,\"email\":\"a@x.io\",\"reason\":\"550 5.1.1\",\"status\":\"5.1.1\"}\n").rows.at(0).reason,
            "hard_bounce");
}

TEST(SuppressionFile, OfListmonkOnlyWhoGetsNoMailIsTaken) {
  const Outcome out = ReadAll(
      "uuid,email,name,attributes,status,created_at,updated_at\n"
      "u1,a@x.io,Ann,\"{\"\"city\"\": "
      "\"\"Bonn\"\"}\",enabled,2026,2026\nu2,b@x.io,Bob,{},blocklisted,2026,2026\nu3,c@x.io,Cid,{},disabled,2026,2026\n");
  EXPECT_EQ(out.format, SuppressionFormat::kListmonk);
  EXPECT_EQ(out.passed, 1u);
  ASSERT_EQ(out.rows.size(), 2u);
  EXPECT_EQ(Say(out.rows[0]), "b@x.io blocked all ");
  EXPECT_EQ(Say(out.rows[1]), "c@x.io manual all ");
}

TEST(SuppressionFile, LinesOfJsonAreReadAndBadOnesCostThemselves) {
  const std::string huge(300 * 1024, 'x');
  const Outcome out = ReadAll(
      "{\"email\":\"a@x.io\",\"reason\":\"complaint\"}\nnot "
      "json\n\n{\"domain\":\"bad.example\",\"stream\":\"marketing\",\"note\":null}\n{\"" +
          huge + "\":1}\n{\"email\":5}\n{\"email\":\"b@x.io\"}",
      {}, 1000);
  ASSERT_EQ(out.rows.size(), 3u);
  EXPECT_EQ(Say(out.rows[0]), "a@x.io complaint all ");
  EXPECT_EQ(Say(out.rows[1]), "@bad.example manual marketing ");
  EXPECT_EQ(out.rows[2].line, 7u);
  ASSERT_EQ(out.rejects.size(), 3u);
  EXPECT_EQ(out.rejects[0].code, "malformed_json");
  EXPECT_EQ(out.rejects[0].raw, "not json");
  EXPECT_EQ(out.rejects[1].code, "too_large");
  EXPECT_EQ(out.rejects[1].line, 5u);
  EXPECT_EQ(out.rejects[2].code, "invalid_address");
}

TEST(SuppressionFile, WhatCannotBeReadAtAllSaysWhatToDo) {
  EXPECT_EQ(ReadAll("").trouble, "the file is empty");
  EXPECT_NE(ReadAll("name,city\nAnn,Bonn\n").trouble.find("no column email or domain; it has name, city"), std::string::npos);
  EXPECT_NE(ReadAll("[{\"email\":\"a@x.io\"}]").trouble.find("jq"), std::string::npos);
}

TEST(SuppressionFile, AGuardedCellIsReadAsItWas) {
  for (const std::string text : {"", "a", "=1+1", "+x", "-x", "@x", "'", "'=x", "''", "\tx", "x=1"}) {
    const std::string guarded = GuardCell(text);
    EXPECT_EQ(UnguardCell(guarded), text) << text;
    EXPECT_EQ(guarded.find_first_of("=+-@\t\r") == 0, false) << text;
  }
}

TEST(SuppressionFile, AnyPiecesGiveTheSame) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::string_view pieces[] = {"email,reason\n", "a@x.io,complaint\n", "\"", "\n", "b@x.io,\n", ",", "{",
                                     "\xff",           "c@x.io,\"x\ny\"\n"};
  for (int round = 0; round < 200; ++round) {
    std::string text = "email,reason\n";
    for (int i = 0; i < 20; ++i) text += pieces[random() % std::size(pieces)];
    const Outcome whole = ReadAll(text, {}, text.size());
    const Outcome torn = ReadAll(text, {}, 1 + random() % 5);
    ASSERT_EQ(whole.rows.size(), torn.rows.size()) << text;
    ASSERT_EQ(whole.rejects.size(), torn.rejects.size()) << text;
  }
}

}  // namespace
}  // namespace maily::import
