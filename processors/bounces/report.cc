// See report.h. The only file that includes GMime.
#include "processors/bounces/report.h"

#include <gmime/gmime.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "processors/bounces/json_notice.h"
#include "processors/bounces/notice.h"
#include "processors/bounces/text.h"

namespace maily::bounces {
namespace {

constexpr size_t kTextBytesMax = 64 * 1024;
constexpr int kPartsLookedAtMax = 64;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <class T>
using Handle = std::unique_ptr<T, Unref>;
struct Free {
  void operator()(char* text) const { g_free(text); }
};
using Chars = std::unique_ptr<char, Free>;

std::string_view View(const char* text) { return text == nullptr ? std::string_view() : std::string_view(text); }

// What a mail is made of, as far as it matters here.
struct Parts {
  Fields headers;
  std::string text;      // prose before the first machine-readable part
  std::string status;    // message/delivery-status
  std::string feedback;  // message/feedback-report
  std::string returned;  // header of the original mail
  std::string report_type;
  int seen = 0;
};

void Append(std::string& to, std::string_view more) {
  if (!to.empty() && to.back() != '\n') to.push_back('\n');
  to.append(more.substr(0, kTextBytesMax - std::min(kTextBytesMax, to.size())));
}

// The part's bytes, decoded; text also turned into UTF-8. At most kTextBytesMax come out.
std::string ContentOf(GMimePart* part) {
  GMimeDataWrapper* content = g_mime_part_get_content(part);
  if (content == nullptr) return {};
  const Handle<GMimeStream> sink(g_mime_stream_mem_new());
  if (GMIME_IS_TEXT_PART(part)) {
    const Chars text(g_mime_text_part_get_text(GMIME_TEXT_PART(part)));
    if (text != nullptr) return std::string(View(text.get()).substr(0, kTextBytesMax));
  }
  g_mime_data_wrapper_write_to_stream(content, sink.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(sink.get()));
  if (bytes == nullptr || bytes->data == nullptr) return {};
  return std::string(std::string_view(reinterpret_cast<const char*>(bytes->data), bytes->len).substr(0, kTextBytesMax));
}

// Tags off, the commonest entities back; line breaks where HTML breaks lines.
std::string TextOfHtml(std::string_view html) {
  std::string text;
  bool hidden = false;
  for (size_t i = 0; i < html.size();) {
    if (html[i] == '<') {
      const size_t end = html.find('>', i);
      if (end == html.npos) break;
      const std::string_view tag = html.substr(i + 1, end - i - 1);
      if (StartsWith(tag, "style") || StartsWith(tag, "script")) hidden = true;
      if (StartsWith(tag, "/style") || StartsWith(tag, "/script")) hidden = false;
      const bool breaks = StartsWith(tag, "br") || StartsWith(tag, "p") || StartsWith(tag, "/p") || StartsWith(tag, "div") ||
                          StartsWith(tag, "tr") || StartsWith(tag, "li") || StartsWith(tag, "/td");
      text.push_back(breaks ? '\n' : ' ');
      i = end + 1;
      continue;
    }
    if (hidden) {
      ++i;
      continue;
    }
    static constexpr std::pair<std::string_view, char> kEntities[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&nbsp;", ' '}};
    const auto* entity = std::ranges::find_if(kEntities, [&](const auto& one) { return StartsWith(html.substr(i), one.first); });
    text.push_back(entity != std::end(kEntities) ? entity->second : html[i]);
    i += entity != std::end(kEntities) ? entity->first.size() : 1;
  }
  return text;
}

void TakeHeaders(GMimeObject* object, Fields& fields) {
  GMimeHeaderList* list = g_mime_object_get_header_list(object);
  const int count = std::min(g_mime_header_list_get_count(list), static_cast<int>(kFieldsMax));
  for (int i = 0; i < count; ++i) {
    GMimeHeader* header = g_mime_header_list_get_header_at(list, i);
    fields.emplace_back(ToLower(View(g_mime_header_get_name(header))), Trim(View(g_mime_header_get_value(header)).substr(0, 2048)));
  }
}

// Depth is bounded by `Limits::depth_max`, which was held on the bytes before they were parsed.
void Walk(GMimeObject* object, Parts& parts) {
  if (object == nullptr || ++parts.seen > kPartsLookedAtMax) return;
  if (GMIME_IS_MULTIPART(object)) {
    GMimeMultipart* multipart = GMIME_MULTIPART(object);
    GMimeContentType* type = g_mime_object_get_content_type(object);
    if (parts.report_type.empty() && type != nullptr)
      parts.report_type = ToLower(View(g_mime_content_type_get_parameter(type, "report-type")));
    const int count = g_mime_multipart_get_count(multipart);
    const bool alternative = type != nullptr && g_mime_content_type_is_type(type, "multipart", "alternative");
    for (int i = 0; i < count; ++i) {
      const size_t before = parts.text.size();
      Walk(g_mime_multipart_get_part(multipart, i), parts);
      if (alternative && parts.text.size() > before) break;  // the same again in another form
    }
    // A boundary that never comes: everything is the prologue.
    if (count == 0) Append(parts.text, View(g_mime_multipart_get_prologue(multipart)));
    return;
  }
  if (GMIME_IS_MESSAGE_PART(object)) {
    GMimeMessage* message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
    if (message == nullptr || !parts.returned.empty()) return;
    Fields fields;
    TakeHeaders(GMIME_OBJECT(message), fields);
    for (const auto& [name, value] : fields) Append(parts.returned, name + ": " + value);
    return;
  }
  if (!GMIME_IS_PART(object)) return;
  GMimePart* part = GMIME_PART(object);
  GMimeContentType* type = g_mime_object_get_content_type(object);
  const auto is = [&](const char* media, const char* subtype) {
    return type != nullptr && g_mime_content_type_is_type(type, media, subtype);
  };
  if (is("message", "delivery-status") || is("message", "global-delivery-status")) {
    Append(parts.status, ContentOf(part));
  } else if (is("message", "feedback-report")) {
    Append(parts.feedback, ContentOf(part));
  } else if (is("text", "rfc822-headers") || is("message", "global-headers") || is("message", "rfc822") || is("message", "global")) {
    if (parts.returned.empty()) parts.returned = ContentOf(part);
  } else if (parts.status.empty() && parts.returned.empty() && (type == nullptr || is("text", "*"))) {
    const std::string content = ContentOf(part);
    Append(parts.text, is("text", "html") ? TextOfHtml(content) : content);
  }
}

// The longest beginning of the mail that keeps the limits. Depth and parts are held here, on the bytes, so that no parser meets more.
std::string_view WithinLimits(std::string_view mail, const Limits& limits) {
  std::string_view kept = mail.substr(0, limits.bytes_max);
  size_t opened = 0;
  size_t dividers = 0;
  for (std::string_view rest = kept; !rest.empty();) {
    const auto at = static_cast<size_t>(rest.data() - kept.data());
    const std::string_view line = TakeLine(rest);
    if (line.starts_with("--") && ++dividers > limits.parts_max) return kept.substr(0, at);
    if (line.size() < 9) continue;
    const bool opens =
        Contains(line, "boundary") || Contains(line, "message/rfc") || Contains(line, "message/global") || Contains(line, "message/news");
    if (opens && ++opened > limits.depth_max) return kept.substr(0, at);
  }
  return kept;
}

// GMime reads groups of addresses ("a:b:c:…") by recursion: beyond a depth that no mail needs, their colons become blanks. `mail` is
// changed in fields whose name ends like one of addresses, with their folded lines, wherever in the mail they stand.
void LimitAddressGroups(std::string& mail) {
  static constexpr int kColonsMax = 64;
  static constexpr std::string_view kNames[] = {"to", "from", "cc", "bcc", "sender"};
  int colons = 0;
  bool in_addresses = false;
  for (size_t at = 0; at < mail.size();) {
    const size_t end = std::min(mail.find('\n', at), mail.size());
    if (mail[at] != ' ' && mail[at] != '\t') {
      const std::string_view line = std::string_view(mail).substr(at, end - at);
      const std::string_view name = Trim(line.substr(0, std::min(line.find(':'), size_t{64})));
      in_addresses = std::ranges::any_of(
          kNames, [&](std::string_view one) { return name.size() >= one.size() && SameText(name.substr(name.size() - one.size()), one); });
      colons = 0;
    }
    for (; in_addresses && at < end; ++at) {
      if (mail[at] == ':' && ++colons > kColonsMax) mail[at] = ' ';
    }
    at = end + 1;
  }
}

Parts TakeApart(std::string_view untouched) {
  std::string mail(untouched);
  LimitAddressGroups(mail);
  static const bool initialised = [] {
    g_mime_init();
    return true;
  }();
  (void)initialised;
  Parts parts;
  GByteArray* bytes = g_byte_array_sized_new(static_cast<guint>(mail.size()));
  g_byte_array_append(bytes, reinterpret_cast<const guint8*>(mail.data()), static_cast<guint>(mail.size()));
  const Handle<GMimeStream> stream(g_mime_stream_mem_new_with_byte_array(bytes));  // owns the bytes from here on
  const Handle<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  const Handle<GMimeMessage> message(g_mime_parser_construct_message(parser.get(), nullptr));
  if (message == nullptr) {
    std::string_view rest = untouched;
    parts.headers = TakeFields(rest);
    parts.text = rest.substr(0, kTextBytesMax);
    return parts;
  }
  TakeHeaders(GMIME_OBJECT(message.get()), parts.headers);
  Walk(g_mime_message_get_mime_part(message.get()), parts);
  if (parts.text.empty() && parts.status.empty() && parts.feedback.empty()) {  // broken MIME, read as it stands
    std::string_view rest = untouched;
    TakeFields(rest);
    parts.text = rest.substr(0, kTextBytesMax);
  }
  return parts;
}

std::string DecodedSubject(const Fields& headers) {
  const std::string raw(FieldOf(headers, "subject"));
  const Chars decoded(g_mime_utils_header_decode_text(nullptr, raw.c_str()));
  return ToLower(View(decoded.get()));
}

bool HasAny(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return Contains(text, word); });
}

bool FromDaemon(const Fields& headers) {
  static constexpr std::string_view kNames[] = {"mailer-daemon",       "postmaster", "post_master", "mail delivery", "mail deliver system",
                                                "mailerdaemon",        "mdaemon",    "mail-daemon", "mailsystem",    "poostmaster",
                                                "system administrator"};
  return HasAny(FieldOf(headers, "from"), kNames) || Trim(FieldOf(headers, "from")) == "<>";
}

constexpr std::string_view kBounceSubjects[] = {"undeliver",
                                                "delivery failure",
                                                "delivery failed",
                                                "delivery status",
                                                "failure notice",
                                                "returned mail",
                                                "returning message",
                                                "mail delivery",
                                                "delivery notification",
                                                "failed delivery",
                                                "non-delivery",
                                                "nondeliverable",
                                                "mail failure",
                                                "delivery report",
                                                "mail system error",
                                                "could not send",
                                                "delivery problem",
                                                "delayed mail",
                                                "not delivered",
                                                "message delivery",
                                                "loop alert",
                                                "mail error",
                                                "can't be delivered",
                                                "cannot be delivered",
                                                "delivery has failed",
                                                "are not member",
                                                "rejected mail",
                                                "undeliv",
                                                "unzustellbar",
                                                "non remis",
                                                "non recapitabile"};
constexpr std::string_view kBounceWords[] = {"could not be delivered",
                                             "couldn't be delivered",
                                             "cannot be delivered",
                                             "can't be delivered",
                                             "was not delivered",
                                             "not be delivered to",
                                             "did not reach the following",
                                             "delivery to the following",
                                             "unable to deliver",
                                             "wasn't able to deliver",
                                             "undeliverable",
                                             "delivery failed",
                                             "delivery error",
                                             "delivery failure",
                                             "had permanent fatal errors",
                                             "had delivery problems",
                                             "had delivery errors",
                                             "could not be sent",
                                             "failed to deliver",
                                             "permanent error",
                                             "transcript of session",
                                             "error delivering your mail",
                                             "invalid final delivery",
                                             "could not deliver",
                                             "trouble delivering",
                                             "problem with the e-mail address",
                                             "was rejected by a remote",
                                             "duplicated message-id",
                                             "following recipients was rejected",
                                             "returned to sender",
                                             "message was not delivered",
                                             "error message below",
                                             "requested action not taken",
                                             "not a member of",
                                             "are not member"};
constexpr std::string_view kAutoSubjects[] = {"automatic reply",
                                              "out of office",
                                              "out of the office",
                                              "auto reply",
                                              "autoreply",
                                              "auto-reply",
                                              "auto response",
                                              "autoresponse",
                                              "auto:",
                                              "vacation",
                                              "abwesenheit",
                                              "absence",
                                              "automatische antwort",
                                              "r\xc3\xa9ponse automatique",
                                              "respuesta autom",
                                              "risposta automatica",
                                              "away from",
                                              "on holiday"};
constexpr std::string_view kChallengeWords[] = {"spamarrest",
                                                "challenge/response",
                                                "challenge-response",
                                                "to confirm that you are human",
                                                "verify that you are",
                                                "sender verification",
                                                "confirm your message",
                                                "please confirm that you sent",
                                                "boxbe",
                                                "bluebottle",
                                                "prove you are a human",
                                                "verify your email by clicking",
                                                "approve your address",
                                                "my spam filter requires",
                                                "requires verification"};
constexpr std::string_view kDelayWords[] = {
    "warning message only", "this is a warning only", "has been delayed",           "is delayed for more than", "still being retried",
    "will keep trying",     "do not need to resend",  "notification about a delay", "temporary failure report", "attempts will continue"};

bool IsAutoReply(const Fields& headers, std::string_view subject) {
  const std::string_view submitted = FieldOf(headers, "auto-submitted");
  if (StartsWith(submitted, "auto-replied") || StartsWith(submitted, "auto-generated") || StartsWith(submitted, "auto-notified"))
    return true;
  for (const std::string_view name :
       {"x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-auto-reply-from", "x-mail-autoreply", "x-apple-action"}) {
    if (!FieldOf(headers, name).empty()) return true;
  }
  if (SameText(FieldOf(headers, "precedence"), "auto_reply") || SameText(FieldOf(headers, "x-precedence"), "auto_reply")) return true;
  if (!FieldOf(headers, "x-auto-response-suppress").empty() && !FieldOf(headers, "x-ms-exchange-inbox-rules-loop").empty()) return true;
  return HasAny(subject, kAutoSubjects) && !StartsWith(subject, "re: ");
}

// RFC 2369: a mail program wrote to the mailto of our List-Unsubscribe.
bool IsUnsubscribe(const Fields& headers, std::string_view subject) {
  if (!FieldOf(headers, "x-apple-unsubscribe").empty()) return true;
  return Trim(subject) == "unsubscribe" && !FromDaemon(headers);
}

void TakeOriginal(Report& report, std::string_view header) {
  std::string_view rest = header;
  const Fields fields = TakeFields(rest);
  const auto set = [&](std::string& to, std::string_view name) {
    if (to.empty()) to = FieldOf(fields, name).substr(0, 998);
  };
  set(report.original_message_id, "message-id");
  set(report.original_feedback_id, "feedback-id");
  if (report.original_to.empty()) report.original_to = FindAddress(FieldOf(fields, "to"));
  if (report.original_return_path.empty()) report.original_return_path = FindAddress(FieldOf(fields, "return-path"));
}

// Everything indented by the same blanks, as Exim and fml quote a header.
std::string Unindented(std::string_view text) {
  const size_t blanks = text.find_first_not_of(' ');
  if (blanks == 0 || blanks == text.npos) return std::string(text);
  std::string out;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (Trim(line.substr(0, blanks)).empty()) line.remove_prefix(std::min(blanks, line.size()));
    out.append(line).push_back('\n');
  }
  return out;
}

Feedback FeedbackOf(std::string_view type) {
  static constexpr std::pair<std::string_view, Feedback> kTypes[] = {
      {"abuse", Feedback::kAbuse},    {"complaint", Feedback::kAbuse},     {"fraud", Feedback::kFraud},
      {"virus", Feedback::kVirus},    {"not-spam", Feedback::kNotSpam},    {"auth-failure", Feedback::kAuthFailure},
      {"opt-out", Feedback::kOptOut}, {"opt-out-list", Feedback::kOptOut}, {"miscategorized", Feedback::kOther}};
  for (const auto& [name, feedback] : kTypes) {
    if (SameText(Trim(type), name)) return feedback;
  }
  return Feedback::kOther;
}

Verdict VerdictOf(Feedback feedback) {
  switch (feedback) {
    case Feedback::kAbuse:
      return {Class::kComplaint, Reason::kComplaint, "feedback.abuse"};
    case Feedback::kFraud:
      return {Class::kComplaint, Reason::kComplaint, "feedback.fraud"};
    case Feedback::kOptOut:
      return {Class::kNone, Reason::kOptOut, "feedback.opt-out"};
    case Feedback::kNotSpam:
      return {Class::kNone, Reason::kNone, "feedback.not-spam"};
    case Feedback::kAuthFailure:
      return {Class::kNone, Reason::kAuthFailure, "feedback.auth-failure"};
    default:
      return {Class::kNone, Reason::kUndetermined, "feedback.other"};
  }
}

void ReadFeedback(Report& report, std::string_view text) {
  const Fields fields = TakeFields(text);
  report.kind = Kind::kFeedback;
  report.standard = true;
  report.feedback = FeedbackOf(FieldOf(fields, "feedback-type"));
  report.reporting_mta = FieldOf(fields, "reporting-mta").substr(0, 255);
  report.original_envelope_id = FieldOf(fields, "original-envelope-id").substr(0, 998);
  report.original_return_path = FindAddress(FieldOf(fields, "original-mail-from"));
  const auto take = [&](std::string_view name) {
    for (const auto& [field, value] : fields) {
      if (field != name || report.recipients.size() >= kRecipientsMax) continue;
      const std::string_view address = FindAddress(value);
      report.recipients.push_back({.address = std::string(address.empty() ? std::string_view(value).substr(0, 320) : address)});
    }
  };
  take("original-rcpt-to");
  if (report.recipients.empty()) take("removal-recipient");
  if (report.recipients.empty()) report.recipients.emplace_back();
  for (Recipient& recipient : report.recipients) recipient.verdict = VerdictOf(report.feedback);
}

// A verdict that rests on a basic code, a vague code, or on nothing: the prose may know more.
bool IsVague(const Verdict& verdict) {
  static constexpr std::string_view kPrecise[] = {"code.address", "code.domain",  "code.nomail",   "code.full",
                                                  "code.sender",  "code.auth",    "code.ptr",      "code.rate",
                                                  "code.size",    "code.content", "code.disabled", "code.loop"};
  return verdict.rule == "none" || verdict.rule.starts_with("basic.") ||
         (verdict.rule.starts_with("code.") && std::ranges::find(kPrecise, verdict.rule) == std::end(kPrecise));
}

Recipient Judge(const Said& said, std::string_view prose, std::string_view reporting_mta) {
  Recipient out{.address = said.address,
                .action = said.action,
                .status = said.status,
                .diagnostic = said.diagnostic,
                .remote_mta = said.remote_mta,
                .command = said.command};
  if (said.action == "delivered" || said.action == "relayed" || said.action == "expanded") {
    out.verdict = {Class::kDelivered, Reason::kNone, "delivered"};
    return out;
  }
  // The code in the words of the server that refused is nearer than the Status field, which its client made of it.
  std::string enhanced = FindEnhancedCode(said.diagnostic);
  if (enhanced.starts_with('2')) enhanced.clear();  // of an earlier step, or the version of something
  if (out.status.empty()) out.status = enhanced;
  // Prose is judged by what it quotes, if it quotes a reply.
  const size_t refusal = said.status.empty() && said.action.empty() ? FindRefusal(said.diagnostic) : 0;
  const std::string_view quoted = std::string_view(said.diagnostic).substr(refusal == std::string_view::npos ? 0 : refusal);
  Reply reply{.enhanced = enhanced,
              .status = said.status,
              .text = quoted,
              .remote_mta = said.remote_mta.empty() ? reporting_mta : std::string_view(said.remote_mta),
              .diagnostic_type = said.diagnostic_type,
              .command = said.command};
  out.verdict = Classify(reply);
  if (out.verdict.cls == Class::kHard && SaysMailboxFull(prose)) out.verdict = {Class::kSoft, Reason::kMailboxFull, "full.prose"};
  if (IsVague(out.verdict) && !prose.empty()) {
    const std::string more = said.diagnostic.substr(0, 2048) + "\n" + std::string(prose.substr(0, 2048));
    reply.text = more;
    const Verdict second = Classify(reply);
    if (!IsVague(second)) out.verdict = second;
    if (out.diagnostic.empty()) out.diagnostic = prose.substr(0, 1024);
  }
  return out;
}

// The paragraph of one recipient, or the only one; empty if there are several and none is his.
const Said* ProseOf(const std::vector<Said>& prose, std::string_view address) {
  for (const Said& one : prose) {
    if (SameText(one.address, address)) return &one;
  }
  return prose.size() == 1 ? prose.data() : nullptr;
}

void ReadBounce(Report& report, const Parts& parts, const Notice& notice, const std::vector<Said>& status,
                const std::vector<std::string>& ours) {
  std::vector<std::string> known;
  std::string_view failed = FieldOf(parts.headers, "x-failed-recipients");
  while (known.size() < kRecipientsMax) {
    const std::string_view address = FindAddress(failed);
    if (address.empty()) break;
    known.emplace_back(address);
    failed.remove_prefix(static_cast<size_t>(address.data() - failed.data()) + address.size());
  }
  if (status.empty()) {
    const std::vector<Said> prose = ReadProse(notice.prose, known, ours);
    // What stands above the first of several recipients is said of all.
    const std::string text = WithoutHeader(notice.prose);
    const size_t first = prose.size() > 1 ? std::min(Find(text, ToLower(prose.front().address)), text.size()) : text.size();
    const std::string_view of_all = std::string_view(text).substr(0, first);
    for (const Said& said : prose) report.recipients.push_back(Judge(said, of_all, report.reporting_mta));
    return;
  }
  for (const Said& said : status) known.push_back(said.address);
  const std::vector<Said> prose = ReadProse(notice.prose, known, {});
  for (const Said& said : status) {
    Said one = said;
    const Said* words = ProseOf(prose, said.address);
    if (one.command == Command::kUnknown) one.command = CommandInTranscript(notice.prose, one.diagnostic);
    if (one.command == Command::kUnknown) one.command = CommandIn(one.diagnostic);
    if (one.command == Command::kUnknown && words != nullptr) one.command = CommandIn(words->diagnostic);
    report.recipients.push_back(
        Judge(one, words != nullptr ? std::string_view(words->diagnostic) : std::string_view(), report.reporting_mta));
  }
}

}  // namespace

Report Read(std::string_view mail, const Limits& limits) {
  Report report;
  const std::string_view kept = WithinLimits(mail, limits);
  report.truncated = kept.size() < mail.size();
  Parts parts = TakeApart(kept);
  if (Contains(parts.text, "\n> final-recipient:") || Contains(parts.text, "\n>    ----- transcript")) parts.text = Unquoted(parts.text);
  for (const std::string_view name : {"delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to"}) {
    const std::string_view address = FindAddress(FieldOf(parts.headers, name));
    if (!address.empty()) report.addressed_to.emplace_back(address);
  }
  std::vector<std::string> ours = report.addressed_to;
  const std::string_view from = FindAddress(FieldOf(parts.headers, "from"));
  if (!from.empty()) ours.emplace_back(from);

  const Notice notice = SplitNotice(parts.text);
  std::string returned = parts.returned;
  if (returned.empty() && !notice.copy.empty()) returned = Unindented(notice.copy);
  TakeOriginal(report, returned);

  if (!parts.feedback.empty()) {
    ReadFeedback(report, parts.feedback);
    return report;
  }
  // The fields of a complaint in the midst of text.
  const size_t type = Find(notice.prose, "\nfeedback-type:");
  if (type != std::string_view::npos && Contains(notice.prose, "\nuser-agent:")) {
    const size_t begin = notice.prose.substr(0, type + 1).rfind("\n\n");
    ReadFeedback(report, notice.prose.substr(begin == std::string_view::npos ? type + 1 : begin + 2));
    return report;
  }
  if (ReadJsonNotice(parts.text, report)) return report;
  // Microsoft's feedback loop before it spoke ARF: the mail itself, with the recipient in a field of its own.
  std::string_view original = returned;
  const Fields original_fields = TakeFields(original);
  if (const std::string_view to = FieldOf(original_fields, "x-hmxmroriginalrecipient"); !to.empty()) {
    report.kind = Kind::kFeedback;
    report.feedback = Feedback::kAbuse;
    report.recipients.push_back({.address = std::string(FindAddress(to)), .verdict = VerdictOf(report.feedback)});
    return report;
  }

  const std::string subject = DecodedSubject(parts.headers);
  if (IsUnsubscribe(parts.headers, subject)) {
    report.kind = Kind::kFeedback;
    report.feedback = Feedback::kOptOut;
    report.recipients.push_back({.address = std::string(from), .verdict = VerdictOf(report.feedback)});
    return report;
  }
  std::vector<Said> status = ReadStatus(parts.status);
  report.standard = !status.empty();
  if (!parts.status.empty()) {
    std::string_view rest = parts.status;
    const Fields fields = TakeFields(rest);
    report.reporting_mta = FieldOf(fields, "reporting-mta").substr(0, 255);
    report.original_envelope_id = FieldOf(fields, "original-envelope-id").substr(0, 998);
    if (report.original_return_path.empty()) report.original_return_path = FindAddress(FieldOf(fields, "x-postfix-sender"));
  }
  if (status.empty() && Contains(parts.text, "action:")) status = ReadStatus(parts.text);

  const bool daemon = FromDaemon(parts.headers);
  const bool failed = !FieldOf(parts.headers, "x-failed-recipients").empty();
  const bool machine = daemon || failed || !status.empty() || SameText(parts.report_type, "delivery-status");
  if (!machine && HasAny(notice.prose.substr(0, 8192), kChallengeWords) && !HasAny(subject, kBounceSubjects)) {
    report.kind = Kind::kChallenge;
  } else if (!machine && IsAutoReply(parts.headers, subject) && !HasAny(subject, kBounceSubjects)) {
    report.kind = Kind::kAutoReply;
  } else if (machine || HasAny(subject, kBounceSubjects) || HasAny(notice.prose.substr(0, 4096), kBounceWords)) {
    report.kind = Kind::kBounce;
  }
  if (report.kind == Kind::kChallenge || report.kind == Kind::kAutoReply) {
    report.recipients.push_back(
        {.address = std::string(from),
         .verdict = {Class::kAutoReply, Reason::kAutoReply, report.kind == Kind::kChallenge ? "challenge" : "auto_reply"}});
    return report;
  }
  if (report.kind == Kind::kOther) return report;

  if (!report.original_return_path.empty()) ours.push_back(report.original_return_path);
  ReadBounce(report, parts, notice, status, ours);
  const auto all = [&](auto test) { return !report.recipients.empty() && std::ranges::all_of(report.recipients, test); };
  const bool words_of_delay = status.empty() && HasAny(notice.prose.substr(0, 4096), kDelayWords);
  if (all([](const Recipient& one) { return one.verdict.cls == Class::kDelivered; })) {
    report.kind = Kind::kDelivered;
  } else if (words_of_delay || all([](const Recipient& one) { return one.action == "delayed"; })) {
    report.kind = Kind::kDelayed;
  }
  if (report.kind == Kind::kDelayed) {  // still tried: whatever was said, nothing is final
    for (Recipient& one : report.recipients) {
      if (one.verdict.cls == Class::kHard) one.verdict = {Class::kSoft, Reason::kExpired, "delayed"};
    }
  }
  return report;
}

const char* KindName(Kind kind) {
  static constexpr const char* kNames[] = {"bounce", "delayed", "delivered", "feedback", "auto_reply", "challenge", "other"};
  return kNames[static_cast<size_t>(kind)];
}

const char* FeedbackName(Feedback feedback) {
  static constexpr const char* kNames[] = {"", "abuse", "fraud", "virus", "not-spam", "auth-failure", "opt-out", "other"};
  return kNames[static_cast<size_t>(feedback)];
}

}  // namespace maily::bounces
