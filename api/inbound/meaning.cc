// See meaning.h.
#include "api/inbound/meaning.h"

#include <algorithm>
#include <optional>
#include <set>

#include "api/inbound/commands.h"
#include "maily/sends/v1/commands.pb.h"
#include "processors/bounces/report.h"

namespace maily::inbound {
namespace {

using bounces::Feedback;
using bounces::Kind;
using bounces::Report;
using sends::v1::RecordNotice;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsOfWord(char c) { return IsLetter(c) || IsDigit(c) || std::string_view("-_").find(c) != std::string_view::npos; }
// RFC 5322 atext and the dot.
bool IsOfLocal(char c) { return IsOfWord(c) || std::string_view("!#$%&'*+/=?^`{|}~.").find(c) != std::string_view::npos; }
bool IsOfDomain(char c) { return IsLetter(c) || IsDigit(c) || std::string_view("-.[]:").find(c) != std::string_view::npos; }

// Gathers the sends that tokens name.
class Finder {
 public:
  Finder(const Readers& readers, TenantId only) : readers_(readers), only_(only) {}

  Result<void> ReturnPath(std::string_view address) {
    return LooksLikeToken(LocalOf(address), 'b') ? Take(readers_.return_path(address), sends_) : Ok();
  }
  Result<void> MessageId(std::string_view id) {
    while (!id.empty() && (id.front() == '<' || id.front() == ' ')) id.remove_prefix(1);
    return LooksLikeToken(LocalOf(id), 'm') ? Take(readers_.message_id(id), sends_) : Ok();
  }
  Result<void> OptOut(std::string_view address) {
    const std::string_view local = LocalOf(address);
    return LooksLikeToken(local, 'u') ? Take(readers_.opt_out(local.substr(1)), opt_outs_) : Ok();
  }

  const std::set<Send>& sends() const { return sends_; }
  const std::set<Send>& opt_outs() const { return opt_outs_; }
  bool forged() const { return forged_; }

 private:
  Result<void> Take(const Result<Send>& read, std::set<Send>& to) {
    if (!read && read.error().code != Code::kInvalid) return read.error();
    if (!read || read->partition.value() >= readers_.partition_count || (only_ != TenantId() && read->tenant != only_)) {
      forged_ = true;
    } else if (to.size() < kSendsMax) {
      to.insert(*read);
    }
    return Ok();
  }

  const Readers& readers_;
  const TenantId only_;
  std::set<Send> sends_;
  std::set<Send> opt_outs_;
  bool forged_ = false;
};

Result<void> FindSends(const std::vector<std::string>& recipients, const Report& report, Finder& finder) {
  for (const std::string& recipient : recipients) {
    MAILY_TRY_VOID(finder.ReturnPath(recipient));
    MAILY_TRY_VOID(finder.OptOut(recipient));
  }
  if (!finder.sends().empty() || !finder.opt_outs().empty()) return Ok();
  for (const std::string& address : report.addressed_to) {
    MAILY_TRY_VOID(finder.ReturnPath(address));
    MAILY_TRY_VOID(finder.OptOut(address));
  }
  if (!finder.sends().empty() || !finder.opt_outs().empty()) return Ok();
  MAILY_TRY_VOID(finder.ReturnPath(report.original_return_path));
  if (finder.sends().empty()) MAILY_TRY_VOID(finder.MessageId(report.original_message_id));
  return Ok();
}

// Of whom the mail speaks. It went to one recipient: where several are told of, his address was one of many addresses' (a mailing list, an
// alias), and is bad only if all of them are.
const bounces::Recipient& Mildest(const Report& report) {
  static const bounces::Recipient kNone;
  const auto mild =
      std::ranges::find_if(report.recipients, [](const bounces::Recipient& one) { return one.verdict.cls != bounces::Class::kHard; });
  if (mild != report.recipients.end()) return *mild;
  return report.recipients.empty() ? kNone : report.recipients.front();
}

std::string Diagnostic(const Report& report, const Readers& readers) {
  const bounces::Recipient& one = Mildest(report);
  std::string text = readers.redact(one.diagnostic, one.address);
  if (!report.original_to.empty()) text = readers.redact(text, report.original_to);
  return Anonymous(text, kDiagnosticBytesMax);
}

RecordNotice NoticeOf(const Report& report, What what, std::string_view source, const Readers& readers) {
  const bounces::Recipient& one = Mildest(report);
  RecordNotice notice;
  notice.set_source(std::string(source));
  if (what == What::kAutoReply) {
    notice.set_kind(sends::v1::NOTICE_AUTO_REPLY);
    notice.set_reason(report.kind == Kind::kChallenge ? "challenge" : "auto_reply");
    return notice;
  }
  notice.set_rule(std::string(one.verdict.rule));
  std::string_view mta = report.reporting_mta;  // "dns; mx.example"
  mta.remove_prefix(std::min(mta.size(), mta.find(';') + 1));
  mta.remove_prefix(std::min(mta.size(), mta.find_first_not_of(' ')));
  notice.set_reporting_mta(Anonymous(mta, kHostBytesMax));
  if (what == What::kComplaint) {
    notice.set_kind(sends::v1::NOTICE_COMPLAINT);
    notice.set_reason(bounces::FeedbackName(report.feedback));
    return notice;
  }
  notice.set_kind(sends::v1::NOTICE_BOUNCE);
  notice.set_hard(one.verdict.cls == bounces::Class::kHard);
  notice.set_reason(bounces::ReasonName(one.verdict.reason));
  notice.set_status(Anonymous(one.status, kWordBytesMax));
  notice.set_diagnostic(Diagnostic(report, readers));
  return notice;
}

What WhatOf(const Report& report) {
  switch (report.kind) {
    case Kind::kBounce:
      return What::kBounce;
    case Kind::kDelayed:
      return What::kDelayed;
    case Kind::kDelivered:
      return What::kDelivered;
    case Kind::kAutoReply:
    case Kind::kChallenge:
      return What::kAutoReply;
    case Kind::kFeedback:
      if (report.feedback == Feedback::kOptOut) return What::kOptOut;
      return report.feedback == Feedback::kAbuse || report.feedback == Feedback::kFraud ? What::kComplaint : What::kFeedback;
    case Kind::kOther:
      return What::kOther;
  }
  return What::kOther;
}

}  // namespace

const char* WhatName(What what) {
  switch (what) {
    case What::kBounce:
      return "bounce";
    case What::kComplaint:
      return "complaint";
    case What::kAutoReply:
      return "auto_reply";
    case What::kOptOut:
      return "opt_out";
    case What::kDelayed:
      return "delayed";
    case What::kDelivered:
      return "delivered";
    case What::kFeedback:
      return "feedback";
    case What::kOther:
      return "other";
    case What::kForged:
      return "forged";
    case What::kNobody:
      return "nobody";
  }
  return "";
}

Result<Meaning> Interpret(const std::vector<std::string>& recipients, std::string_view mail, std::string_view source,
                          const Readers& readers, TenantId only) {
  const Report report = bounces::Read(mail);
  Finder finder(readers, only);
  MAILY_TRY_VOID(FindSends(recipients, report, finder));
  if (finder.sends().empty() && finder.opt_outs().empty()) return Meaning{.what = finder.forged() ? What::kForged : What::kNobody};
  Meaning meaning{.what = WhatOf(report)};
  // A mail to an address to unsubscribe by asks for that, whatever it says; but for what servers send by themselves.
  const bool bounced = meaning.what == What::kBounce || meaning.what == What::kDelayed || meaning.what == What::kDelivered;
  if (!finder.opt_outs().empty() && !bounced) {
    meaning.what = What::kOptOut;
    for (const Send& send : finder.opt_outs()) meaning.commands.push_back(OptOutOf(send, "mailto"));
    return meaning;
  }
  if (meaning.what == What::kOptOut) {
    for (const Send& send : finder.sends()) meaning.commands.push_back(OptOutOf(send, "feedback"));
  } else if (meaning.what == What::kBounce || meaning.what == What::kComplaint || meaning.what == What::kAutoReply) {
    const RecordNotice notice = NoticeOf(report, meaning.what, source, readers);
    for (const Send& send : finder.sends()) meaning.commands.push_back(CommandOf(send, notice));
  }
  return meaning;
}

bool MayBeOurs(std::string_view local) {
  if (LooksLikeToken(local, 'b') || LooksLikeToken(local, 'u')) return true;
  std::string name(local);
  std::ranges::transform(name, name.begin(), Lower);
  return name == "postmaster" || name == "abuse" || name == "fbl";
}

std::string Anonymous(std::string_view text, size_t bytes_max) {
  static constexpr std::string_view kRecipient = "<recipient>";
  std::string out;
  for (size_t at = 0; at < text.size() && out.size() < bytes_max;) {
    const char c = text[at++];
    if (c != '@') {
      out.push_back(c >= 0x20 && c < 0x7F ? c : static_cast<uint8_t>(c) >= 0x80 ? '?' : ' ');
      continue;
    }
    if (const size_t quote = out.empty() || out.back() != '"' ? out.npos : out.rfind('"', out.size() - 2); quote != out.npos)
      out.resize(quote);
    while (!out.empty() && (IsOfLocal(out.back()) || out.back() == '"')) out.pop_back();
    if (!out.empty() && out.back() == '<') out.pop_back();
    while (at < text.size() && (IsOfDomain(text[at]) || static_cast<uint8_t>(text[at]) >= 0x80)) ++at;
    if (at < text.size() && text[at] == '>') ++at;
    out += kRecipient;
  }
  if (out.size() > bytes_max) out.resize(bytes_max);
  return out;
}

}  // namespace maily::inbound
