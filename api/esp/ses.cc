// See ses.h.
#include "api/esp/ses.h"

#include <algorithm>

#include "api/esp/json.h"
#include "api/esp/verdict.h"

namespace maily::esp::ses {
namespace {

using bounces::Class;
using bounces::Reason;
using nlohmann::json;

// A type: the object that tells of it, and the list of recipients inside; without one mail.destination counts.
struct TypeRow {
  std::string_view type;
  Kind kind;
  const char* object;
  const char* recipients = nullptr;
};
constexpr TypeRow kTypes[] = {{"Send", Kind::kAccepted, "send"},
                              {"Reject", Kind::kRejected, "reject"},
                              {"Rendering Failure", Kind::kRejected, "failure"},
                              {"Bounce", Kind::kBounced, "bounce", "bouncedRecipients"},
                              {"Complaint", Kind::kComplained, "complaint", "complainedRecipients"},
                              {"Delivery", Kind::kDelivered, "delivery", "recipients"},
                              {"DeliveryDelay", Kind::kDeferred, "deliveryDelay", "delayedRecipients"},
                              {"Open", Kind::kOpened, "open"},
                              {"Click", Kind::kClicked, "click"},
                              {"Subscription", Kind::kUnsubscribed, "subscription"}};

constexpr bounces::Verdict kUndetermined{Class::kSoft, Reason::kUndetermined, "ses.undetermined"};
constexpr ProviderClass kBounces[] = {
    {"Permanent", {}, {Class::kHard, Reason::kInvalidAddress, "ses.permanent"}},
    {"Transient", "MailboxFull", {Class::kSoft, Reason::kMailboxFull, "ses.mailbox_full"}},
    {"Transient", "MessageTooLarge", {Class::kSoft, Reason::kSize, "ses.message_too_large"}},
    {"Transient", "ContentRejected", {Class::kSoft, Reason::kContent, "ses.content_rejected"}},
    {"Transient", "AttachmentRejected", {Class::kSoft, Reason::kContent, "ses.attachment_rejected"}},
    {"Transient", "CustomTimeoutExceeded", {Class::kSoft, Reason::kExpired, "ses.timeout"}},
    {"Transient", {}, {Class::kSoft, Reason::kUndetermined, "ses.transient"}},
};
// By bounceSubType, whatever the type.
constexpr ProviderClass kSuppressed[] = {
    {"Suppressed", {}, {Class::kHard, Reason::kInvalidAddress, "ses.suppressed"}},
    {"OnAccountSuppressionList", {}, {Class::kHard, Reason::kInvalidAddress, "ses.account_suppression_list"}},
    {"UnsubscribedRecipient", {}, {Class::kNone, Reason::kOptOut, "ses.unsubscribed_recipient"}},
};
constexpr ProviderClass kDelays[] = {
    {"MailboxFull", {}, {Class::kSoft, Reason::kMailboxFull, "ses.delay_mailbox_full"}},
    {"SpamDetected", {}, {Class::kSoft, Reason::kContent, "ses.delay_spam"}},
    {"RecipientServerError", {}, {Class::kSoft, Reason::kSystem, "ses.delay_server"}},
    {"IPFailure", {}, {Class::kSoft, Reason::kReputation, "ses.delay_ip"}},
    {"TransientCommunicationFailure", {}, {Class::kSoft, Reason::kRouting, "ses.delay_communication"}},
    {"InternalFailure", {}, {Class::kSoft, Reason::kSystem, "ses.delay_internal"}},
    {"BYOIPHostNameLookupUnavailable", {}, {Class::kSoft, Reason::kRouting, "ses.delay_host_name"}},
    {"SendingDeferral", {}, {Class::kSoft, Reason::kRate, "ses.delay_sending_deferral"}},
};

// Our Message-ID, from the headers of the mail as it was given to SES.
std::string OurMessageId(const json& mail) {
  const json& headers = Member(mail, "headers");
  for (size_t i = 0; headers.is_array() && i < headers.size(); ++i) {
    const json& name = Member(headers[i], "name");
    if (name.is_string() && SameName(name.get_ref<const std::string&>(), "Message-ID")) return MessageId(Member(headers[i], "value"));
  }
  return MessageId(Member(mail, "commonHeaders", "messageId"));
}

// "dsn; mta.example.com" (RFC 3464 §2.2.2) as "mta.example.com".
std::string Mta(const json& value) {
  std::string mta = Text(value, kAddressBytesMax);
  if (const size_t at = mta.find(';'); at != std::string::npos) mta = mta.substr(std::min(mta.find_first_not_of(' ', at + 1), mta.size()));
  return mta;
}

bool OptsOut(const json& subscription) {
  const json& now = Member(subscription, "newTopicPreferences");
  const json& before = Member(subscription, "oldTopicPreferences");
  if (const json& all = Member(now, "unsubscribeAll"); all.is_boolean() && all.get<bool>()) return true;
  const auto out = [](const json& preferences, const std::string& topic) {
    const json& topics = Member(preferences, "topicSubscriptionStatus");
    for (size_t i = 0; topics.is_array() && i < topics.size(); ++i) {
      if (Text(Member(topics[i], "topicName"), kNameBytesMax) == topic)
        return SameName(Text(Member(topics[i], "subscriptionStatus"), kNameBytesMax), "OptOut");
    }
    return false;
  };
  const json& topics = Member(now, "topicSubscriptionStatus");
  for (size_t i = 0; topics.is_array() && i < topics.size() && i < 100; ++i) {  // SES has 20 topics at most
    const std::string topic = Text(Member(topics[i], "topicName"), kNameBytesMax);
    if (!topic.empty() && out(now, topic) && !out(before, topic)) return true;
  }
  return false;
}

// What is the same for all recipients: the class of the event, and its circumstances.
void ReadObject(const json& object, Notice& notice) {
  switch (notice.kind) {
    case Kind::kBounced:
      notice.cls = Text(Member(object, "bounceType"), kNameBytesMax);
      notice.subclass = Text(Member(object, "bounceSubType"), kNameBytesMax);
      notice.remote_mta = Mta(Member(object, "reportingMTA"));
      notice.verdict = Find(kSuppressed, notice.subclass, {}, {});
      if (notice.verdict.rule != "none") notice.kind = Kind::kSuppressed;
      break;
    case Kind::kComplained:
      notice.cls = Text(Member(object, "complaintFeedbackType"), kNameBytesMax);
      notice.subclass = Text(Member(object, "complaintSubType"), kNameBytesMax);
      notice.user_agent = Text(Member(object, "userAgent"), kUserAgentBytesMax);
      notice.verdict = {Class::kComplaint, Reason::kComplaint, "ses.complaint"};
      if (SameName(notice.subclass, "OnAccountSuppressionList")) {
        notice.kind = Kind::kSuppressed;
      } else if (SameName(notice.cls, "not-spam") || SameName(notice.cls, "auth-failure") || SameName(notice.cls, "virus")) {
        notice.kind = Kind::kReported;
        notice.verdict = {Class::kNone, Reason::kNone, "ses.report"};
      }
      break;
    case Kind::kDelivered:
      notice.diagnostic = Text(Member(object, "smtpResponse"), kDiagnosticBytesMax);
      notice.code = bounces::FindBasicCode(notice.diagnostic);
      notice.remote_mta = Mta(Member(object, "reportingMTA"));
      break;
    case Kind::kDeferred:
      notice.cls = Text(Member(object, "delayType"), kNameBytesMax);
      notice.remote_mta = Mta(Member(object, "reportingMTA"));
      break;
    case Kind::kRejected:
      notice.diagnostic = Text(Member(object, "reason"), kDiagnosticBytesMax);
      if (notice.diagnostic.empty()) notice.diagnostic = Text(Member(object, "errorMessage"), kDiagnosticBytesMax);
      break;
    case Kind::kOpened:
    case Kind::kClicked:
      notice.user_agent = Text(Member(object, "userAgent"), kUserAgentBytesMax);
      notice.ip = Text(Member(object, "ipAddress"), kNameBytesMax);
      notice.url = Text(Member(object, "link"), kUrlBytesMax);
      break;
    case Kind::kUnsubscribed:
      notice.cls = Text(Member(object, "source"), kNameBytesMax);
      notice.subclass = Text(Member(object, "contactList"), kNameBytesMax);
      if (!OptsOut(object)) notice.kind = Kind::kResubscribed;
      break;
    default:
      break;
  }
}

// What identifies the event among those of its recipient.
struct Identity {
  std::string feedback_id;
  std::string time;
};

void SetDedupId(const Identity& identity, Notice& notice) {
  if (!identity.feedback_id.empty()) {
    notice.dedup_id = DedupId({"ses", identity.feedback_id, notice.recipient});
  } else {
    notice.dedup_id = DedupId(
        {"ses", notice.type, notice.provider_message_id, identity.time, notice.recipient, notice.url, notice.ip, notice.user_agent});
  }
}

// One of a list: an address, or an object that has one.
Result<Notice> ReadRecipient(const json& one, const Identity& identity, Notice notice) {
  const json& address = one.is_object() ? Member(one, "emailAddress") : one;
  MAILY_TRY(notice.recipient, Recipient(address, one.is_object() ? "emailAddress" : "the recipient"));
  if (one.is_object()) {
    notice.status = bounces::FindEnhancedCode(Text(Member(one, "status"), kNameBytesMax));
    notice.diagnostic = Text(Member(one, "diagnosticCode"), kDiagnosticBytesMax);
  }
  if (notice.kind == Kind::kBounced) Judge(notice, Find(kBounces, notice.cls, notice.subclass, kUndetermined));
  if (notice.kind == Kind::kDeferred) Judge(notice, Find(kDelays, notice.cls, {}, kUndetermined));
  SetDedupId(identity, notice);
  return notice;
}

Elements One(Result<Notice> notice) {
  Elements elements;
  elements.push_back({0, std::move(notice)});
  return elements;
}

// The time of the event, or of the mail: Send, Reject and Rendering Failure have no other.
Result<Instant> EventTime(const json& object, const json& mail, std::string& text) {
  const json& own = Member(object, "timestamp");
  const json& time = own.is_null() ? Member(mail, "timestamp") : own;
  MAILY_TRY(const Instant at, TimeOf(time, "timestamp"));
  text = time.get<std::string>();
  return at;
}

Elements ReadEvent(const json& event, const TypeRow& row, Notice notice) {
  const json& object = Member(event, row.object);
  const json& mail = Member(event, "mail");
  notice.kind = row.kind;
  Identity identity{.feedback_id = Id(Member(object, "feedbackId")), .time = {}};
  const auto at = EventTime(object, mail, identity.time);
  if (!at) return One(at.error());
  notice.at = *at;
  ReadObject(object, notice);

  const json* list = &Member(mail, "destination");
  if (row.recipients != nullptr && !Member(object, row.recipients).is_null()) list = &Member(object, row.recipients);
  if (!list->is_null() && !list->is_array()) return One(Fail(Code::kInvalid, "the list of recipients is no array"));
  const bool whose = notice.kind != Kind::kOpened && notice.kind != Kind::kClicked;
  if (list->empty() || (!whose && list->size() > 1)) {
    // A complaint may be redacted; the mail's ids tell who it was.
    if (notice.provider_message_id.empty() && notice.message_id.empty())
      return One(Fail(Code::kInvalid, "it names no recipient and no mail"));
    if (notice.kind == Kind::kBounced) Judge(notice, Find(kBounces, notice.cls, notice.subclass, kUndetermined));
    if (notice.kind == Kind::kDeferred) Judge(notice, Find(kDelays, notice.cls, {}, kUndetermined));
    SetDedupId(identity, notice);
    return One(std::move(notice));
  }
  Elements elements;
  elements.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) elements.push_back({i, ReadRecipient((*list)[i], identity, notice)});
  return elements;
}

}  // namespace

Result<Elements> Read(std::string_view message) {
  constexpr std::string_view kSetUp = "Successfully validated SNS topic";
  if (message.starts_with(kSetUp) && message.size() <= kBodyBytesMax) {
    return One(Notice{.provider = Provider::kSes, .type = "TopicValidated", .dedup_id = DedupId({"ses", message}), .raw = Raw(message)});
  }
  MAILY_TRY(const json event, ParseBounded(message));
  if (!event.is_object()) return Fail(Code::kInvalid, "a message of SES is an object, and this is none");
  Notice notice{.provider = Provider::kSes, .type = Text(Member(event, "eventType"), kNameBytesMax)};
  if (notice.type.empty()) notice.type = Text(Member(event, "notificationType"), kNameBytesMax);
  if (notice.type.empty()) return Fail(Code::kInvalid, "it has neither eventType nor notificationType: is it a message of SES?");
  const json& mail = Member(event, "mail");
  notice.provider_message_id = Id(Member(mail, "messageId"));
  notice.message_id = OurMessageId(mail);
  notice.return_path = Id(Member(mail, "source"), kAddressBytesMax);
  for (const TypeRow& row : kTypes) {
    if (row.type != notice.type) continue;
    const size_t own = row.recipients == nullptr ? 0 : Member(event, row.object, row.recipients).size();
    if (std::max(own, Member(mail, "destination").size()) > kElementsMax)
      return Fail(Code::kInvalid, "it has too many recipients: at most {} are taken", kElementsMax);
    return ReadEvent(event, row, std::move(notice));
  }
  notice.dedup_id = DedupId({"ses", message});
  notice.raw = Raw(event);
  return One(std::move(notice));
}

}  // namespace maily::esp::ses
