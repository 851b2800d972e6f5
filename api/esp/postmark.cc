// See postmark.h.
#include "api/esp/postmark.h"

#include "api/esp/json.h"
#include "api/esp/verdict.h"

namespace maily::esp::postmark {
namespace {

using bounces::Class;
using bounces::Reason;
using nlohmann::json;

// A record: where its recipient and its time stand.
struct Record {
  std::string_view type;
  Kind kind;
  const char* recipient;
  const char* time;
};
constexpr Record kRecords[] = {
    {"Bounce", Kind::kBounced, "Email", "BouncedAt"},           {"SpamComplaint", Kind::kComplained, "Email", "BouncedAt"},
    {"Delivery", Kind::kDelivered, "Recipient", "DeliveredAt"}, {"Open", Kind::kOpened, "Recipient", "ReceivedAt"},
    {"Click", Kind::kClicked, "Recipient", "ReceivedAt"},       {"SubscriptionChange", Kind::kUnsubscribed, "Recipient", "ChangedAt"}};

struct BounceType {
  std::string_view type;
  Kind kind;
  bounces::Verdict verdict;
};
constexpr BounceType kBounceTypes[] = {
    {"HardBounce", Kind::kBounced, {Class::kHard, Reason::kInvalidAddress, "postmark.hard_bounce"}},
    {"BadEmailAddress", Kind::kBounced, {Class::kHard, Reason::kInvalidAddress, "postmark.bad_email_address"}},
    {"SoftBounce", Kind::kBounced, {Class::kSoft, Reason::kUndetermined, "postmark.soft_bounce"}},
    {"Unknown", Kind::kBounced, {Class::kSoft, Reason::kUndetermined, "postmark.unknown"}},
    {"SpamNotification", Kind::kBounced, {Class::kSoft, Reason::kContent, "postmark.spam_notification"}},
    {"VirusNotification", Kind::kBounced, {Class::kSoft, Reason::kContent, "postmark.virus_notification"}},
    {"DnsError", Kind::kBounced, {Class::kSoft, Reason::kRouting, "postmark.dns_error"}},
    {"Blocked", Kind::kBounced, {Class::kSoft, Reason::kReputation, "postmark.blocked"}},
    {"DMARCPolicy", Kind::kBounced, {Class::kSoft, Reason::kAuthFailure, "postmark.dmarc_policy"}},
    {"Transient", Kind::kDeferred, {Class::kSoft, Reason::kUndetermined, "postmark.transient"}},
    {"AutoResponder", Kind::kAutoReply, {Class::kAutoReply, Reason::kAutoReply, "postmark.auto_responder"}},
    {"AddressChange", Kind::kAutoReply, {Class::kAutoReply, Reason::kAutoReply, "postmark.address_change"}},
    {"ChallengeVerification", Kind::kAutoReply, {Class::kAutoReply, Reason::kAutoReply, "postmark.challenge"}},
    {"ManuallyDeactivated", Kind::kSuppressed, {Class::kNone, Reason::kNone, "postmark.manually_deactivated"}},
    {"SpamComplaint", Kind::kComplained, {Class::kComplaint, Reason::kComplaint, "postmark.spam_complaint"}},
    {"Unsubscribe", Kind::kUnsubscribed, {}},
    {"Subscribe", Kind::kResubscribed, {}},
    {"SMTPApiError", Kind::kRejected, {}},
    {"TemplateRenderingFailed", Kind::kRejected, {}},
};
constexpr ProviderClass kSuppressions[] = {
    {"HardBounce", {}, {Class::kHard, Reason::kInvalidAddress, "postmark.suppressed_hard_bounce"}},
    {"SpamComplaint", {}, {Class::kComplaint, Reason::kComplaint, "postmark.suppressed_spam_complaint"}},
};

void ReadBounce(const json& record, Notice& notice) {
  notice.cls = Text(Member(record, "Type"), kNameBytesMax);
  notice.subclass = Text(Member(record, "Name"), kNameBytesMax);
  notice.diagnostic = Text(Member(record, "Details"), kDiagnosticBytesMax);  // Description is Postmark's own, the same for each type
  notice.kind = Kind::kUnknown;
  for (const BounceType& row : kBounceTypes) {
    if (!SameName(row.type, notice.cls)) continue;
    notice.kind = row.kind;
    notice.verdict = row.verdict;
    if (row.kind == Kind::kBounced || row.kind == Kind::kDeferred) Judge(notice, row.verdict);
    return;
  }
  notice.raw = Raw(record);
}

Result<void> ReadSubscription(const json& record, Notice& notice) {
  const json& suppress = Member(record, "SuppressSending");
  if (!suppress.is_boolean()) return Fail(Code::kInvalid, "SuppressSending is missing, or neither true nor false");
  notice.cls = Text(Member(record, "Origin"), kNameBytesMax);
  notice.subclass = Text(Member(record, "SuppressionReason"), kNameBytesMax);
  if (!suppress.get<bool>()) {
    notice.kind = Kind::kResubscribed;
  } else if (!SameName(notice.cls, "Recipient") || !SameName(notice.subclass, "ManualSuppression")) {
    notice.kind = Kind::kSuppressed;
    notice.verdict = Find(kSuppressions, notice.subclass, {}, {Class::kNone, Reason::kNone, "postmark.suppressed"});
  }
  return Ok();
}

Result<Notice> ReadRecord(const json& record) {
  if (!record.is_object()) return Fail(Code::kInvalid, "the body of Postmark is an object, and this is none");
  Notice notice{.provider = Provider::kPostmark, .type = Text(Member(record, "RecordType"), kNameBytesMax)};
  if (notice.type.empty()) return Fail(Code::kInvalid, "RecordType is missing, or no string");
  notice.provider_message_id = Id(Member(record, "MessageID"));
  notice.message_id = MessageId(Member(record, "Metadata", kMessageIdArgument));
  const Record* known = nullptr;
  for (const Record& one : kRecords) {
    if (one.type == notice.type) known = &one;
  }
  if (known == nullptr) {
    notice.dedup_id = DedupId({"postmark", record.dump(-1, ' ', false, json::error_handler_t::replace)});
    notice.raw = Raw(record);
    return notice;
  }
  notice.kind = known->kind;
  const json& time = Member(record, known->time);
  MAILY_TRY(notice.at, TimeOf(time, known->time));
  MAILY_TRY(notice.recipient, Recipient(Member(record, known->recipient), known->recipient));
  notice.url = Text(Member(record, "OriginalLink"), kUrlBytesMax);
  notice.user_agent = Text(Member(record, "UserAgent"), kUserAgentBytesMax);
  notice.ip = Text(Member(record, "Geo", "IP"), kNameBytesMax);
  const std::string id = Id(Member(record, "ID"));
  const bool bounce = notice.type == "Bounce" || notice.type == "SpamComplaint";
  notice.dedup_id = bounce && !id.empty() ? DedupId(fmt::format("bounce/{}", id))
                                          : DedupId({"postmark", notice.type, notice.provider_message_id, notice.recipient,
                                                     time.get_ref<const std::string&>(), notice.url});
  if (notice.type == "Bounce") {
    ReadBounce(record, notice);
  } else if (notice.type == "SpamComplaint") {
    notice.cls = Text(Member(record, "Type"), kNameBytesMax);
    notice.verdict = {Class::kComplaint, Reason::kComplaint, "postmark.spam_complaint"};
  } else if (notice.type == "Delivery") {
    notice.diagnostic = Text(Member(record, "Details"), kDiagnosticBytesMax);
  } else if (notice.type == "SubscriptionChange") {
    MAILY_TRY_VOID(ReadSubscription(record, notice));
  }
  return notice;
}

}  // namespace

Result<Elements> Read(std::string_view body) {
  MAILY_TRY(const json record, ParseBounded(body));
  Elements elements;
  elements.push_back({0, ReadRecord(record)});
  return elements;
}

}  // namespace maily::esp::postmark
