// See mailgun.h.
#include "api/esp/mailgun.h"

#include "api/esp/json.h"
#include "api/esp/verdict.h"

namespace maily::esp::mailgun {
namespace {

using bounces::Class;
using bounces::Reason;
using nlohmann::json;

constexpr size_t kTokenBytesMax = 128;  // tokens have 50
constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;

struct Name {
  std::string_view type;
  Kind kind;
};
constexpr Name kNames[] = {{"accepted", Kind::kAccepted},     {"rejected", Kind::kRejected},
                           {"delivered", Kind::kDelivered},   {"failed", Kind::kBounced},  // or deferred, or suppressed
                           {"opened", Kind::kOpened},         {"clicked", Kind::kClicked},
                           {"complained", Kind::kComplained}, {"unsubscribed", Kind::kUnsubscribed}};

constexpr ProviderClass kSuppressed[] = {
    {"suppress-bounce", {}, {Class::kHard, Reason::kInvalidAddress, "mailgun.suppress_bounce"}},
    {"suppress-unsubscribe", {}, {Class::kNone, Reason::kOptOut, "mailgun.suppress_unsubscribe"}},
    {"suppress-complaint", {}, {Class::kComplaint, Reason::kComplaint, "mailgun.suppress_complaint"}},
};
constexpr ProviderClass kReasons[] = {
    {"bounce", "hard", {Class::kHard, Reason::kInvalidAddress, "mailgun.hard_bounce"}},
    {"hardfail", "hard", {Class::kHard, Reason::kInvalidAddress, "mailgun.hard_bounce"}},
    {"old", {}, {Class::kSoft, Reason::kExpired, "mailgun.old"}},
    {"espblock", {}, {Class::kSoft, Reason::kReputation, "mailgun.espblock"}},
    {"greylisted", {}, {Class::kSoft, Reason::kRate, "mailgun.greylisted"}},
};
constexpr bounces::Verdict kUndetermined{Class::kSoft, Reason::kUndetermined, "mailgun.undetermined"};

void ReadFailure(const json& event, Notice& notice) {
  const json& status = Member(event, "delivery-status");
  notice.cls = Text(Member(event, "severity"), kNameBytesMax);
  notice.subclass = Text(Member(event, "reason"), kNameBytesMax);
  notice.status = bounces::FindEnhancedCode(Text(Member(status, "enhanced-code"), kNameBytesMax));
  notice.verdict = Find(kSuppressed, notice.subclass, {}, {});
  if (notice.verdict.rule != "none" && !SameName(notice.cls, "temporary")) {
    notice.kind = Kind::kSuppressed;  // its codes 605, 606 and 607 are no SMTP
    notice.code = 0;
    return;
  }
  if (SameName(notice.cls, "temporary")) notice.kind = Kind::kDeferred;
  Judge(notice, Find(kReasons, notice.subclass, Text(Member(status, "bounce-type"), kNameBytesMax), kUndetermined));
}

Result<Notice> ReadEvent(const json& event) {
  if (!event.is_object()) return Fail(Code::kInvalid, "event-data is missing, or no object");
  Notice notice{.provider = Provider::kMailgun, .type = Text(Member(event, "event"), kNameBytesMax)};
  if (notice.type.empty()) return Fail(Code::kInvalid, "event-data.event is missing, or no string");
  for (const Name& name : kNames) {
    if (name.type == notice.type) notice.kind = name.kind;
  }
  const auto at = SecondsOf(Member(event, "timestamp"), "event-data.timestamp");
  const auto recipient = Recipient(Member(event, "recipient"), "event-data.recipient");
  const std::string id = Id(Member(event, "id"));
  notice.dedup_id = id.empty() || !at ? DedupId({"mailgun", event.dump(-1, ' ', false, json::error_handler_t::replace)})
                                      : DedupId(fmt::format("{}/{}", id, at->us / kDayUs));
  notice.message_id = MessageId(Member(event, "user-variables", kMessageIdArgument));
  if (notice.message_id.empty()) notice.message_id = MessageId(Member(Member(event, "message", "headers"), "message-id"));
  if (at) notice.at = *at;
  if (recipient) notice.recipient = *recipient;
  if (notice.kind == Kind::kUnknown) {
    notice.raw = Raw(event);
    return notice;
  }
  if (!at) return at.error();
  if (!recipient) return recipient.error();

  const json& status = Member(event, "delivery-status");
  notice.diagnostic = Text(Member(status, "message"), kDiagnosticBytesMax);
  if (notice.diagnostic.empty()) notice.diagnostic = Text(Member(status, "description"), kDiagnosticBytesMax);
  if (const json& code = Member(status, "code"); code.is_number_unsigned() && code.get<uint64_t>() >= 200 && code.get<uint64_t>() <= 599)
    notice.code = static_cast<int>(code.get<uint64_t>());
  notice.remote_mta = Text(Member(status, "mx-host"), kAddressBytesMax);
  const json& client = Member(event, "client-info");
  notice.machine_open = !Text(Member(client, "bot"), kNameBytesMax).empty();
  notice.user_agent = Text(Member(client, "user-agent"), kUserAgentBytesMax);
  notice.ip = Text(Member(event, "ip"), kNameBytesMax);
  notice.url = Text(Member(event, "url"), kUrlBytesMax);
  if (notice.kind == Kind::kBounced) {
    ReadFailure(event, notice);
  } else if (notice.kind == Kind::kRejected) {
    notice.subclass = Text(Member(event, "reject", "reason"), kNameBytesMax);
    notice.diagnostic = Text(Member(event, "reject", "description"), kDiagnosticBytesMax);
  } else if (notice.kind == Kind::kComplained) {
    notice.verdict = {Class::kComplaint, Reason::kComplaint, "mailgun.complained"};
  }
  return notice;
}

}  // namespace

Result<std::string> Verify(std::string_view body, std::string_view signing_key, const Window& window) {
  MAILY_TRY(const json whole, ParseBounded(body));
  const json& signature = Member(whole, "signature");
  const std::string timestamp = Id(Member(signature, "timestamp"));
  std::string token = Id(Member(signature, "token"), kTokenBytesMax);
  const Error forged = Fail(Code::kInvalid, "it has no signature of Mailgun: compare the HTTP webhook signing key");
  if (signing_key.empty() || token.empty()) return forged;
  MAILY_TRY(const Instant at, SecondsOf(std::string_view(timestamp), "signature.timestamp"));
  const std::string expected = HmacSha256Hex(signing_key, {timestamp, token});
  const bool own = SameSecret(Id(Member(signature, "signature")), expected);
  const bool parent = SameSecret(Id(Member(signature, "parent-signature")), expected);
  if (!own && !parent) return forged;
  MAILY_TRY_VOID(CheckWindow(at, window));
  return token;
}

Result<Elements> Read(std::string_view body) {
  MAILY_TRY(const json whole, ParseBounded(body));
  if (!whole.is_object()) return Fail(Code::kInvalid, "the body of Mailgun is an object, and this is none");
  auto notice = ReadEvent(Member(whole, "event-data"));
  if (notice) notice->replay_token = Id(Member(whole, "signature", "token"), kTokenBytesMax);
  Elements elements;
  elements.push_back({0, std::move(notice)});
  return elements;
}

}  // namespace maily::esp::mailgun
