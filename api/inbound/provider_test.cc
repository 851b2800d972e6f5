// What notices of providers mean: given a notice, expect the send and the command.
#include "api/inbound/provider.h"

#include <gtest/gtest.h>

#include "maily/engagements/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "processors/effects/smtp/redact.h"
#include "schemas/types.h"

namespace maily::inbound {
namespace {

using bounces::Class;
using bounces::Reason;
using esp::Kind;
using esp::Notice;
using esp::Provider;
using sends::v1::RecordNotice;

Result<Send> ReadToken(std::string_view token) {
  if (token.substr(1).starts_with("broken")) return Fail(Code::kRetry, "no keys now");
  if (!token.substr(1).starts_with("good")) return Fail(Code::kInvalid, "not ours");
  return Send{TenantId(1), PartitionId(token[5] == 'z' ? 9 : 3), 7, token[0] == 'm' ? 1u : 2u};
}
Readers TestReaders() {
  return {.return_path = ReadToken,
          .message_id = ReadToken,
          .opt_out = ReadToken,
          .redact = [](std::string_view text, std::string_view address) { return smtp::RedactReply(text, address); },
          .partition_count = 4};
}

constexpr const char* kOurs = "mgoodaaaaaaaaaaaaaaaaaaaa@shop.example";
Notice Of(Kind kind, bounces::Verdict verdict = {}) {
  return {.provider = Provider::kMailgun, .kind = kind, .recipient = "ann@a.example", .message_id = kOurs, .verdict = verdict};
}
constexpr bounces::Verdict kHard{Class::kHard, Reason::kInvalidAddress, "mailgun.hard_bounce"};

template <class M>
M Only(const Meaning& meaning) {
  M message;
  EXPECT_EQ(meaning.commands.size(), 1u);
  if (meaning.commands.empty()) return message;
  const gateway::Order& order = meaning.commands[0].order;
  EXPECT_EQ(meaning.commands[0].tenant, TenantId(1));
  EXPECT_EQ(order.type, TypeNumberOf<M>());
  EXPECT_EQ(order.partition, PartitionId(3));
  EXPECT_TRUE(message.ParseFromString(order.payload.empty() ? order.plain : order.payload));
  return message;
}

TEST(ProviderNotice, ABounceBecomesTheNoticeThatAMailWouldBecome) {
  Notice notice = Of(Kind::kBounced, kHard);
  notice.status = "5.1.1";
  notice.diagnostic = "550 5.1.1 <ann@a.example>: no such user, ask bob@a.example";
  notice.remote_mta = "mx.a.example";
  const auto meaning = InterpretNotice(notice, TestReaders());
  ASSERT_TRUE(meaning);
  const auto command = Only<RecordNotice>(*meaning);
  EXPECT_EQ(meaning->what, What::kBounce);
  EXPECT_EQ(command.kind(), sends::v1::NOTICE_BOUNCE);
  EXPECT_TRUE(command.hard());
  EXPECT_EQ(command.reason(), "invalid_address");
  EXPECT_EQ(command.rule(), "mailgun.hard_bounce");
  EXPECT_EQ(command.status(), "5.1.1");
  EXPECT_EQ(command.source(), "mailgun");
  EXPECT_EQ(command.reporting_mta(), "mx.a.example");
  EXPECT_EQ(command.campaign_id(), 7u);
  EXPECT_EQ(command.diagnostic().find("ann@"), std::string::npos) << command.diagnostic();
  EXPECT_EQ(command.diagnostic().find("bob@"), std::string::npos) << command.diagnostic();
  // The same key as that of a mail that brings this news.
  EXPECT_EQ(meaning->commands[0].order.natural_key, "notice/7/1/1/invalid_address/5.1.1");
}

TEST(ProviderNotice, WhatIsSuppressedByTheProviderIsHardOnlyIfTheAddressIsNotToBeMailed) {
  EXPECT_TRUE(Only<RecordNotice>(*InterpretNotice(Of(Kind::kSuppressed, kHard), TestReaders())).hard());
  const auto complained = *InterpretNotice(Of(Kind::kSuppressed, {Class::kComplaint, Reason::kComplaint, "x"}), TestReaders());
  EXPECT_EQ(Only<RecordNotice>(complained).kind(), sends::v1::NOTICE_BOUNCE);
  EXPECT_TRUE(Only<RecordNotice>(complained).hard());
  const auto left = *InterpretNotice(Of(Kind::kSuppressed, {Class::kNone, Reason::kOptOut, "x"}), TestReaders());
  EXPECT_EQ(Only<engagements::v1::RecordUnsubscribe>(left).method(), "provider");
  EXPECT_TRUE(InterpretNotice(Of(Kind::kSuppressed, {Class::kNone, Reason::kNone, "x"}), TestReaders())->commands.empty());
}

TEST(ProviderNotice, AMailThatTheProviderRejectsIsNoFaultOfTheAddress) {
  const auto command = Only<RecordNotice>(*InterpretNotice(Of(Kind::kRejected, kHard), TestReaders()));
  EXPECT_FALSE(command.hard());
  EXPECT_EQ(command.reason(), "policy");
  EXPECT_EQ(command.rule(), "mailgun.rejected");
}

TEST(ProviderNotice, ComplaintsOptOutsAndAnswersOfMachinesAreWhatTheyAre) {
  const auto complaint =
      *InterpretNotice(Of(Kind::kComplained, {Class::kComplaint, Reason::kComplaint, "mailgun.complained"}), TestReaders());
  EXPECT_EQ(Only<RecordNotice>(complaint).kind(), sends::v1::NOTICE_COMPLAINT);
  EXPECT_EQ(Only<RecordNotice>(complaint).reason(), "abuse");
  Notice fraud = Of(Kind::kComplained);
  fraud.cls = "Fraud";
  EXPECT_EQ(Only<RecordNotice>(*InterpretNotice(fraud, TestReaders())).reason(), "fraud");
  EXPECT_EQ(Only<engagements::v1::RecordUnsubscribe>(*InterpretNotice(Of(Kind::kUnsubscribed), TestReaders())).ordinal(), 1u);
  EXPECT_EQ(Only<RecordNotice>(*InterpretNotice(Of(Kind::kAutoReply), TestReaders())).kind(), sends::v1::NOTICE_AUTO_REPLY);
}

TEST(ProviderNotice, WhatSaysNothingOfThePersonChangesNothing) {
  for (const Kind kind : {Kind::kAccepted, Kind::kDelivered, Kind::kDeferred, Kind::kOpened, Kind::kClicked, Kind::kReported,
                          Kind::kResubscribed, Kind::kUnknown}) {
    const auto meaning = InterpretNotice(Of(kind), TestReaders());
    ASSERT_TRUE(meaning) << esp::KindName(kind);
    EXPECT_TRUE(meaning->commands.empty()) << esp::KindName(kind);
    EXPECT_NE(meaning->what, What::kNobody) << esp::KindName(kind);
  }
}

TEST(ProviderNotice, OnlyASignedTokenNamesASend) {
  const auto what = [](const std::string& message_id, const std::string& return_path) {
    Notice notice = Of(Kind::kBounced, kHard);
    notice.message_id = message_id;
    notice.return_path = return_path;
    return InterpretNotice(notice, TestReaders());
  };
  EXPECT_EQ(what("", "")->what, What::kNobody);
  EXPECT_EQ(what("20260301.1@mailgun.example", "Shop <news@shop.example>")->what, What::kNobody);
  EXPECT_EQ(what("mevilaaaaaaaaaaaaaaaaaaaa@shop.example", "")->what, What::kForged);
  EXPECT_EQ(what("mgoodzaaaaaaaaaaaaaaaaaaa@shop.example", "")->what, What::kForged);  // of a partition that is not there
  EXPECT_EQ(Only<RecordNotice>(*what("", "bgoodaaaaaaaaaaaaaaaaaaaa@b.example")).ordinal(), 2u);
  EXPECT_EQ(Only<RecordNotice>(*what("mevilaaaaaaaaaaaaaaaaaaaa@x", "bgoodaaaaaaaaaaaaaaaaaaaa@b.example")).ordinal(), 2u);
  const auto later = what("mbrokenaaaaaaaaaaaaaaaaaa@shop.example", "");
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Code::kRetry);
}

}  // namespace
}  // namespace maily::inbound
