// See provider.h.
#include "api/inbound/provider.h"

#include <algorithm>

#include "api/inbound/commands.h"

namespace maily::inbound {
namespace {

using bounces::Class;
using bounces::Reason;
using esp::Kind;
using esp::Notice;
using sends::v1::RecordNotice;

struct Found {
  std::optional<Send> send;
  bool forged = false;
};

Result<void> Take(const Result<Send>& read, const Readers& readers, Found& found) {
  if (!read && read.error().code != Code::kInvalid) return read.error();
  if (!read || read->partition.value() >= readers.partition_count) {
    found.forged = true;
  } else {
    found.send = *read;
  }
  return Ok();
}

Result<Found> FindSend(const Notice& notice, const Readers& readers) {
  Found found;
  if (LooksLikeToken(LocalOf(notice.message_id), 'm')) MAILY_TRY_VOID(Take(readers.message_id(notice.message_id), readers, found));
  if (!found.send && LooksLikeToken(LocalOf(notice.return_path), 'b'))
    MAILY_TRY_VOID(Take(readers.return_path(notice.return_path), readers, found));
  return found;
}

What WhatOf(const Notice& notice) {
  switch (notice.kind) {
    case Kind::kBounced:
    case Kind::kRejected:
      return What::kBounce;
    case Kind::kSuppressed:
      if (notice.verdict.cls == Class::kHard || notice.verdict.cls == Class::kComplaint) return What::kBounce;
      return notice.verdict.reason == Reason::kOptOut ? What::kOptOut : What::kOther;
    case Kind::kComplained:
      return What::kComplaint;
    case Kind::kAutoReply:
      return What::kAutoReply;
    case Kind::kUnsubscribed:
      return What::kOptOut;
    case Kind::kDeferred:
      return What::kDelayed;
    case Kind::kAccepted:
    case Kind::kDelivered:
      return What::kDelivered;
    case Kind::kReported:
      return What::kFeedback;
    default:
      return What::kOther;
  }
}

bool IsFraud(const Notice& notice) {
  constexpr std::string_view kFraud = "fraud";
  return std::ranges::equal(notice.cls, kFraud, {}, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

RecordNotice NoticeOf(const Notice& notice, What what, const Readers& readers) {
  RecordNotice command;
  command.set_source(esp::ProviderName(notice.provider));
  if (what == What::kAutoReply) {
    command.set_kind(sends::v1::NOTICE_AUTO_REPLY);
    command.set_reason("auto_reply");
    return command;
  }
  command.set_reporting_mta(Anonymous(notice.remote_mta, kHostBytesMax));
  if (what == What::kComplaint) {
    command.set_kind(sends::v1::NOTICE_COMPLAINT);
    command.set_rule(std::string(notice.verdict.rule));
    command.set_reason(IsFraud(notice) ? "fraud" : "abuse");
    return command;
  }
  const bool rejected = notice.kind == Kind::kRejected;
  command.set_kind(sends::v1::NOTICE_BOUNCE);
  command.set_hard(!rejected && (notice.verdict.cls == Class::kHard || notice.verdict.cls == Class::kComplaint));
  command.set_reason(bounces::ReasonName(rejected ? Reason::kPolicy : notice.verdict.reason));
  command.set_rule(rejected ? fmt::format("{}.rejected", esp::ProviderName(notice.provider)) : std::string(notice.verdict.rule));
  command.set_status(Anonymous(notice.status, kWordBytesMax));
  command.set_diagnostic(Anonymous(readers.redact(notice.diagnostic, notice.recipient), kDiagnosticBytesMax));
  return command;
}

}  // namespace

Result<Meaning> InterpretNotice(const Notice& notice, const Readers& readers) {
  MAILY_TRY(const Found found, FindSend(notice, readers));
  if (!found.send) return Meaning{.what = found.forged ? What::kForged : What::kNobody};
  Meaning meaning{.what = WhatOf(notice)};
  if (meaning.what == What::kOptOut) {
    meaning.commands.push_back(OptOutOf(*found.send, "provider"));
  } else if (meaning.what == What::kBounce || meaning.what == What::kComplaint || meaning.what == What::kAutoReply) {
    meaning.commands.push_back(CommandOf(*found.send, NoticeOf(notice, meaning.what, readers)));
  }
  return meaning;
}

}  // namespace maily::inbound
