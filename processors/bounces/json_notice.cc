// See json_notice.h. Fields are looked for by name; the JSON need not be whole, since mail programs break its lines.
#include "processors/bounces/json_notice.h"

#include <algorithm>

#include "processors/bounces/notice.h"
#include "processors/bounces/text.h"

namespace maily::bounces {
namespace {

constexpr size_t kStringBytesMax = 4096;

// The message inside the envelope: backslashes before quotes off, line breaks out.
std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || text[i] == '\n') continue;
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out.push_back(text[i] == 'n' || text[i] == 't' ? ' ' : text[i]);
      continue;
    }
    out.push_back(text[i]);
  }
  return out;
}

// The string after "name": from `from` on, before `until`; empty if there is none.
std::string_view StringOf(std::string_view json, std::string_view name, size_t from = 0, size_t until = std::string_view::npos) {
  const std::string key = "\"" + std::string(name) + "\"";
  const size_t at = json.find(key, from);
  if (at == json.npos || at >= until) return {};
  size_t begin = json.find_first_not_of(" :", at + key.size());
  if (begin == json.npos || json[begin] != '"') return {};
  const size_t end = json.find('"', ++begin);
  return end == json.npos ? std::string_view() : json.substr(begin, std::min(end - begin, kStringBytesMax));
}

}  // namespace

bool ReadJsonNotice(std::string_view text, Report& report) {
  const std::string_view body = Trim(text);
  if (!body.starts_with('{') || !Contains(body.substr(0, 4096), "notificationtype")) return false;
  const std::string json = Unescaped(body);
  const std::string_view type = StringOf(json, "notificationType");
  report.original_message_id = StringOf(json, "messageId", std::min(json.find("\"mail\""), json.size()));
  report.original_return_path = StringOf(json, "source");
  if (SameText(type, "Bounce")) {
    report.kind = Kind::kBounce;
  } else if (SameText(type, "Complaint")) {
    report.kind = Kind::kFeedback;
    report.feedback = SameText(StringOf(json, "complaintFeedbackType"), "not-spam") ? Feedback::kNotSpam : Feedback::kAbuse;
  } else if (SameText(type, "Delivery")) {
    report.kind = Kind::kDelivered;
  } else {
    return true;
  }
  const size_t list = json.find(report.kind == Kind::kBounce ? "\"bouncedRecipients\"" : "\"complainedRecipients\"");
  const size_t end = std::min(json.find(']', std::min(list, json.size())), json.size());
  for (size_t at = json.find("\"emailAddress\"", std::min(list, json.size())); at < end && report.recipients.size() < kRecipientsMax;) {
    const size_t next = std::min(json.find("\"emailAddress\"", at + 1), end);
    // Fields of one recipient stand in any order around the address, inside its braces.
    const size_t begin = json.rfind('{', at) == std::string::npos ? at : json.rfind('{', at);
    const size_t close = std::min(json.find('}', at), end);
    Recipient one{.address = std::string(StringOf(json, "emailAddress", begin, close)),
                  .action = std::string(StringOf(json, "action", begin, close)),
                  .status = std::string(StringOf(json, "status", begin, close)),
                  .diagnostic = std::string(StringOf(json, "diagnosticCode", begin, close))};
    if (report.kind == Kind::kBounce) {
      one.verdict = Classify({.status = one.status, .text = one.diagnostic});
    } else {
      one.verdict = report.feedback == Feedback::kAbuse ? Verdict{Class::kComplaint, Reason::kComplaint, "feedback.abuse"}
                                                        : Verdict{Class::kNone, Reason::kNone, "feedback.not-spam"};
    }
    report.recipients.push_back(std::move(one));
    at = next;
  }
  if (report.recipients.empty() && report.kind == Kind::kFeedback)
    report.recipients.push_back({.verdict = {Class::kComplaint, Reason::kComplaint, "feedback.abuse"}});
  return true;
}

}  // namespace maily::bounces
