// See sendgrid.h.
#include "api/esp/sendgrid.h"

#include "api/esp/json.h"
#include "api/esp/verdict.h"
#include "streams/base/base64.h"

namespace maily::esp::sendgrid {
namespace {

using bounces::Class;
using bounces::Reason;
using nlohmann::json;

constexpr size_t kSignatureTextMax = 256;  // base64 of 72 bytes at most

struct Name {
  std::string_view type;
  Kind kind;
};
constexpr Name kNames[] = {{"processed", Kind::kAccepted},
                           {"dropped", Kind::kRejected},  // or suppressed: kDropped
                           {"delivered", Kind::kDelivered},
                           {"deferred", Kind::kDeferred},
                           {"bounce", Kind::kBounced},
                           {"open", Kind::kOpened},
                           {"click", Kind::kClicked},
                           {"spamreport", Kind::kComplained},
                           {"unsubscribe", Kind::kUnsubscribed},
                           {"group_unsubscribe", Kind::kUnsubscribed},
                           {"group_resubscribe", Kind::kResubscribed}};

constexpr ProviderClass kClassifications[] = {
    {"Invalid Address", {}, {Class::kHard, Reason::kInvalidAddress, "sendgrid.invalid_address"}},
    {"Mailbox Unavailable", {}, {Class::kSoft, Reason::kInactive, "sendgrid.mailbox_unavailable"}},
    {"Content", {}, {Class::kSoft, Reason::kContent, "sendgrid.content"}},
    {"Reputation", {}, {Class::kSoft, Reason::kReputation, "sendgrid.reputation"}},
    {"Frequency or Volume Too High", {}, {Class::kSoft, Reason::kRate, "sendgrid.rate"}},
    {"Technical", {}, {Class::kSoft, Reason::kSystem, "sendgrid.technical"}},
};
constexpr ProviderClass kDropped[] = {
    {"Bounced Address", {}, {Class::kHard, Reason::kInvalidAddress, "sendgrid.bounced_address"}},
    {"Unsubscribed Address", {}, {Class::kNone, Reason::kOptOut, "sendgrid.unsubscribed_address"}},
    {"Spam Reporting Address", {}, {Class::kComplaint, Reason::kComplaint, "sendgrid.spam_reporting_address"}},
};
constexpr bounces::Verdict kUndetermined{Class::kSoft, Reason::kUndetermined, "sendgrid.unclassified"};

bool IsTrue(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  return value.is_string() && SameName(value.get_ref<const std::string&>(), "true");
}

Result<Notice> ReadEvent(const json& event) {
  if (!event.is_object()) return Fail(Code::kInvalid, "the event is no object");
  Notice notice{.provider = Provider::kSendGrid, .type = Text(Member(event, "event"), kNameBytesMax)};
  if (notice.type.empty()) return Fail(Code::kInvalid, "event is missing, or no string");
  for (const Name& name : kNames) {
    if (name.type == notice.type) notice.kind = name.kind;
  }
  const std::string id = Id(Member(event, "sg_event_id"));
  notice.dedup_id = id.empty() ? DedupId({"sendgrid", event.dump(-1, ' ', false, json::error_handler_t::replace)}) : DedupId(id);
  notice.provider_message_id = Id(Member(event, "sg_message_id"));
  notice.message_id = MessageId(Member(event, kMessageIdArgument));
  if (notice.message_id.empty()) notice.message_id = MessageId(Member(event, "smtp-id"));

  const auto at = SecondsOf(Member(event, "timestamp"), "timestamp");
  const auto email = Recipient(Member(event, "email"), "email");
  if (notice.kind == Kind::kUnknown) {
    if (at) notice.at = *at;
    if (email) notice.recipient = *email;
    notice.raw = Raw(event);
    return notice;
  }
  if (!at) return at.error();
  if (!email) return email.error();
  notice.at = *at;
  notice.recipient = *email;

  notice.cls = Text(Member(event, "type"), kNameBytesMax);
  notice.subclass = Text(Member(event, "bounce_classification"), kNameBytesMax);
  notice.status = bounces::FindEnhancedCode(Text(Member(event, "status"), kNameBytesMax));
  notice.diagnostic = Text(Member(event, "reason"), kDiagnosticBytesMax);
  if (notice.diagnostic.empty()) notice.diagnostic = Text(Member(event, "response"), kDiagnosticBytesMax);
  notice.machine_open = IsTrue(Member(event, "sg_machine_open"));
  notice.user_agent = Text(Member(event, "useragent"), kUserAgentBytesMax);
  notice.ip = Text(Member(event, "ip"), kNameBytesMax);
  notice.url = Text(Member(event, "url"), kUrlBytesMax);

  switch (notice.kind) {
    case Kind::kBounced:
    case Kind::kDeferred:
      Judge(notice, Find(kClassifications, notice.subclass, {}, kUndetermined));
      break;
    case Kind::kRejected:
      notice.verdict = Find(kDropped, notice.diagnostic, {}, {});
      if (notice.verdict.rule != "none") notice.kind = Kind::kSuppressed;
      break;
    case Kind::kComplained:
      notice.verdict = {Class::kComplaint, Reason::kComplaint, "sendgrid.spamreport"};
      break;
    default:
      if (notice.kind == Kind::kDelivered) notice.code = bounces::FindBasicCode(notice.diagnostic);
      break;
  }
  return notice;
}

}  // namespace

Result<void> Verify(std::string_view body, const Headers& headers, const PublicKey& key, const Window& window) {
  const auto at = SecondsOf(headers.timestamp, "X-Twilio-Email-Event-Webhook-Timestamp");
  if (!at) return at.error();
  MAILY_TRY_VOID(CheckWindow(*at, window));
  const Error forged =
      Fail(Code::kInvalid, "X-Twilio-Email-Event-Webhook-Signature is no signature of this body: compare the verification key");
  if (headers.signature.size() > kSignatureTextMax || body.size() > kBodyBytesMax) return forged;
  const auto signature = FromBase64(headers.signature);
  if (!signature || !key.Verifies(Hash::kSha256, {headers.timestamp, body}, *signature)) return forged;
  return Ok();
}

Result<Elements> Read(std::string_view body) {
  MAILY_TRY(const json events, ParseBounded(body));
  if (!events.is_array()) return Fail(Code::kInvalid, "the body of SendGrid is an array of events, and this is none");
  if (events.size() > kElementsMax) return Fail(Code::kInvalid, "it has {} events, at most {} are taken", events.size(), kElementsMax);
  Elements elements;
  elements.reserve(events.size());
  for (size_t i = 0; i < events.size(); ++i) elements.push_back({i, ReadEvent(events[i])});
  return elements;
}

}  // namespace maily::esp::sendgrid
