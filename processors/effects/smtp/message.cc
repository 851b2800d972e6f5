// See message.h.
#include "processors/effects/smtp/message.h"

#include <algorithm>
#include <limits>

#include "schemas/address.h"
#include "schemas/tracking_id.h"
#include "streams/base/bytes.h"
#include "streams/base/utf8.h"
#include "streams/keyring/cipher.h"

namespace maily::smtp {
namespace {

constexpr size_t kEncodedWordBytes =
    45;  // of UTF-8 in one encoded word: 60 characters of base64 and 12 around them, at most 75 (RFC 2047 §2)
constexpr size_t kLineMax = 76;

bool IsControl(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; }
bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAtext(char c) {
  return IsAlnum(c) || static_cast<uint8_t>(c) >= 0x80 || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}
std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

void AppendBase64(std::string_view bytes, std::string& out) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = (group << 8) | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out.push_back(k <= n ? kDigits[(group >> (18 - 6 * k)) & 63] : '=');
  }
}

// Encoded words, one a line after the first; no UTF-8 character is cut in two (RFC 2047 §5).
void AppendEncodedWords(std::string_view text, std::string& out) {
  bool first = true;
  while (!text.empty()) {
    size_t size = std::min(text.size(), kEncodedWordBytes);
    while (size < text.size() && size > 1 && (static_cast<uint8_t>(text[size]) & 0xC0) == 0x80) --size;
    if (!std::exchange(first, false)) out += "\r\n ";
    out += "=?utf-8?B?";
    AppendBase64(text.substr(0, size), out);
    out += "?=";
    text.remove_prefix(size);
  }
}

// Bytes that quoted-printable may leave as they are; a space at the end of a line and a '.' at its beginning are not.
constexpr bool IsPlain(char c) { return c >= ' ' && c != 0x7F && c != '='; }  // char is signed: no high bytes

// How many bytes from `text` on are plain, at most `most`.
size_t PlainRun(const char* text, size_t most) {
  constexpr size_t kBlock = 16;  // for the compiler to look at all of them at once
  size_t run = 0;
  for (; run + kBlock <= most; run += kBlock) {
    bool all = true;
    for (size_t k = 0; k < kBlock; ++k) all &= IsPlain(text[run + k]);
    if (!all) break;
  }
  while (run < most && IsPlain(text[run])) ++run;
  return run;
}
bool IsBlank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

// "Name <address>" with the name quoted or encoded as it needs.
void AppendMailbox(std::string_view header, const Mailbox& mailbox, std::string& out) {
  out += header;
  out += ": ";
  if (!mailbox.name.empty()) {
    if (!IsAscii(mailbox.name) || mailbox.name.find("=?") != std::string::npos || mailbox.name.size() > 60) {
      AppendEncodedWords(mailbox.name, out);
    } else if (std::all_of(mailbox.name.begin(), mailbox.name.end(), [](char c) { return IsAtext(c) || c == ' '; })) {
      out += mailbox.name;
    } else {
      out.push_back('"');
      for (const char c : mailbox.name) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
      }
      out.push_back('"');
    }
    out += mailbox.name.size() + mailbox.address.size() > 60 ? "\r\n " : " ";
  }
  out += "<" + mailbox.address + ">\r\n";
}

std::string OnTheWire(std::string spelled) {
  const size_t at = spelled.rfind('@');
  if (at == std::string::npos || IsAscii(std::string_view(spelled).substr(at))) return spelled;
  const auto parsed = schema::ParseAddress(spelled);
  return parsed ? spelled.substr(0, at + 1) + parsed->domain : spelled;
}

bool IsPlainAddress(std::string_view address) {
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > 64 || address.size() > 254) return false;
  const std::string_view local = address.substr(0, at);
  const std::string_view domain = address.substr(at + 1);
  const auto dots_are_fine = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && part.back() != '.' && part.find("..") == std::string_view::npos;
  };
  return dots_are_fine(local) && dots_are_fine(domain) &&
         std::all_of(local.begin(), local.end(), [](char c) { return IsAtext(c) || c == '.'; }) &&
         std::all_of(domain.begin(), domain.end(),
                     [](char c) { return IsAlnum(c) || c == '-' || c == '.' || static_cast<uint8_t>(c) >= 0x80; });
}

Result<Mailbox> ParseMailbox(std::string_view text) {
  const Error wrong = Fail(Code::kInvalid, "\"{}\" is no mailbox like Shop <news@example.com>", text.substr(0, 200));
  if (std::any_of(text.begin(), text.end(), IsControl)) return Fail(Code::kInvalid, "a mailbox has control characters");
  text = Trim(text);
  Mailbox mailbox;
  if (text.ends_with('>')) {
    const size_t open = text.rfind('<');
    if (open == std::string_view::npos) return wrong;
    mailbox.address = text.substr(open + 1, text.size() - open - 2);
    std::string_view name = Trim(text.substr(0, open));
    const bool quoted = name.size() >= 2 && name.starts_with('"') && name.ends_with('"');
    if (quoted) name = name.substr(1, name.size() - 2);
    for (size_t i = 0; i < name.size(); ++i) {
      if (quoted && name[i] == '\\' && i + 1 < name.size()) ++i;
      mailbox.name.push_back(name[i]);
    }
  } else {
    mailbox.address = text;
  }
  if (!IsPlainAddress(mailbox.address) || mailbox.name.size() > 200) return wrong;
  return mailbox;
}

DisplayName DisplayName::Of(std::string_view text) {
  DisplayName name;
  std::string& made = name.text_;
  while (!text.empty()) {
    const auto lead = static_cast<uint8_t>(text.front());
    const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const std::string_view letter = text.substr(0, size);
    if (!IsUtf8(letter)) {
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(letter.size());
    const bool later_control = lead == 0xC2 && static_cast<uint8_t>(letter[1]) < 0xA0;  // U+0080 to U+009F
    if (letter == " " || (lead < 0x80 && IsControl(letter[0])) || later_control) {
      if (!made.empty() && made.back() != ' ') made.push_back(' ');
      continue;
    }
    if (made.size() + letter.size() > kBytesMax) break;
    made += letter;
  }
  while (made.ends_with(' ')) made.pop_back();
  return name;
}

std::string FromDomain(const Mailbox& mailbox) {
  const auto parsed = schema::ParseAddress("x@" + std::string(mailbox.domain()));
  return parsed ? parsed->domain : std::string(mailbox.domain());
}

std::string FormatDate(Instant at) {
  static constexpr const char* kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t seconds = at.us / 1'000'000;
  if (at.us % 1'000'000 < 0) --seconds;
  int64_t days = seconds / 86400;
  if (seconds % 86400 < 0) --days;
  const int64_t of_day = seconds - days * 86400;
  // Days to civil date: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
  const int64_t shifted = days + 719468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const int64_t doe = shifted - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  const int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", kDays[((days % 7) + 7) % 7], day, kMonths[month - 1], year,
                     of_day / 3600, of_day / 60 % 60, of_day % 60);
}

void AppendHeader(std::string_view name, std::string_view value, std::string& out) {
  out += name;
  out += ": ";
  value = Trim(value);
  // Plain ASCII that fits a line stays readable; everything else is encoded, which also keeps runs of spaces.
  if (IsAscii(value) && !std::any_of(value.begin(), value.end(), IsControl) && value.find("=?") == std::string_view::npos &&
      name.size() + 2 + value.size() <= kLineMax) {
    out += value;
  } else {
    AppendEncodedWords(value, out);
  }
  out += "\r\n";
}

void AppendQuotedPrintable(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  size_t line = out.size();  // where the present line begins
  const auto room = [&](size_t bytes) {
    if (out.size() - line + bytes <= kLineMax - 1) return;
    out += "=\r\n";
    line = out.size();
  };
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    // A row of bytes that stand as they are, up to the end of this line or of the one in `text`.
    const bool begins_line = out.size() == line;
    const size_t left = (kLineMax - 1) - std::min<size_t>(kLineMax - 1, out.size() - line);
    size_t run = c == '.' && begins_line ? 0 : PlainRun(text.data() + i, std::min(text.size() - i, left));
    const size_t after = i + run;
    if (after == text.size() || text[after] == '\r' || text[after] == '\n') {
      while (run > 0 && IsBlank(text[i + run - 1])) --run;
    }
    if (run > 0) {
      out.append(text, i, run);
      i += run;
      continue;
    }
    if (c == '\r' || c == '\n') {
      i += c == '\r' && i + 1 < text.size() && text[i + 1] == '\n' ? 2 : 1;
      out += "\r\n";
      line = out.size();
      continue;
    }
    ++i;
    const bool ends_line = i == text.size() || text[i] == '\r' || text[i] == '\n';
    // A dot is left alone but at the front of a line: some servers handle stuffed dots wrongly.
    if (IsBlank(c) ? !ends_line : IsPlain(c) && (c != '.' || !begins_line)) {
      room(1);
      if (c != '.' || out.size() > line) {
        out.push_back(c);
        continue;
      }
    }
    room(3);
    out.push_back('=');
    out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kHex[static_cast<uint8_t>(c) & 15]);
  }
  if (out.size() > line) out += "\r\n";
}

Result<Mailing> Mailing::Make(const Options& options) {
  MAILY_TRY(Mailbox from, ParseMailbox(options.from));
  MAILY_TRY(personalization::Compiled compiled, personalization::Compiled::Compile(options.source, options.links));
  const std::string_view base = options.tracking_base_url;
  if ((!base.starts_with("https://") && !base.starts_with("http://")) || base.ends_with('/') || base.size() > 400 ||
      std::any_of(base.begin(), base.end(),
                  [](char c) { return c == ' ' || c == '<' || c == '>' || IsControl(c) || static_cast<uint8_t>(c) >= 0x80; })) {
    return Fail(Code::kInvalid, "tracking_base_url \"{}\" is no http(s) address without a slash at its end", base.substr(0, 200));
  }
  Mailing mailing(std::move(compiled), std::move(from));
  mailing.tenant_ = options.tenant;
  mailing.from_domain_ = FromDomain(mailing.from_);
  mailing.plan_ = {.text = !options.source.text.empty(),
                   .html = !options.source.html.empty(),
                   .domain = mailing.from_domain_,
                   .images = options.images,
                   .attachments = options.attachments};
  if (!mailing.plan_.plain()) {
    if (!mailing.plan_.html && !mailing.plan_.images.empty()) return Fail(Code::kInvalid, "images without an HTML part to show them");
    if (!mailing.plan_.html && !mailing.plan_.text) return Fail(Code::kInvalid, "attachments without a text or HTML part");
    mailing.frame_.emplace(mailing.plan_);
  }
  mailing.campaign_id_ = options.campaign_id;
  mailing.first_link_ = options.first_link;
  mailing.postal_address_ = options.postal_address;
  mailing.company_ = options.company;
  mailing.base_url_ = base;
  mailing.returns_ = options.returns;
  mailing.untracked_ = options.untracked;
  std::string& fixed = mailing.fixed_headers_;
  AppendMailbox("From", mailing.from_, mailing.from_header_);
  if (!options.reply_to.empty()) {
    MAILY_TRY(const Mailbox reply_to, ParseMailbox(options.reply_to));
    AppendMailbox("Reply-To", reply_to, fixed);
  }
  mailing.messages_ = options.messages;
  mailing.opt_out_ = !options.messages || options.opt_out;
  if (options.messages) {
    if (options.opt_out) fixed += fmt::format("List-ID: <messages.t{}.{}>\r\n", options.tenant.value(), mailing.from_.domain());
    fixed += fmt::format("Feedback-ID: f{}:t{}:message:maily\r\n", options.campaign_id, options.tenant.value());
  } else {
    fixed += fmt::format("List-ID: <list-{}.t{}.{}>\r\n", options.list_id, options.tenant.value(), mailing.from_.domain());
    fixed += fmt::format("Feedback-ID: c{}:t{}:campaign:maily\r\n", options.campaign_id, options.tenant.value());
  }
  if (options.confirmation) fixed += "Auto-Submitted: auto-generated\r\n";  // RFC 3834 5
  if (!options.trace.empty()) fixed += fmt::format("X-Maily-Trace: {}\r\n", options.trace);
  if (mailing.opt_out_) fixed += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
  fixed += "MIME-Version: 1.0\r\n";
  return mailing;
}

Result<void> Mailing::Compose(const Recipient& to, const keyring::TenantKeys& keys, std::string& out) const {
  personalization::Rendered rendered;
  return Compose(to, TokensOf(to, keys), rendered, out);
}

Result<Mailing::Preview> Mailing::MakePreview(const Recipient& to, const keyring::TenantKeys& keys) const {
  Recipient shown = to;
  if (shown.confirm_number == 0) shown.confirm_number = 1;  // whoever looks wants to see where the link stands
  Tokens tokens = TokensOf(shown, keys);
  const auto blank = [](std::string& token) { std::ranges::fill(token, 'x'); };
  std::ranges::for_each(tokens.links, blank);
  blank(tokens.pixel);
  blank(tokens.honeypot);
  blank(tokens.unsubscribe);
  blank(tokens.preferences);
  blank(tokens.confirm);
  blank(tokens.message_id);
  Preview preview;
  MAILY_TRY_VOID(Compose(to, tokens, preview.parts, preview.message));
  return preview;
}

Mailing::Tokens Mailing::TokensOf(const Recipient& to, const keyring::TenantKeys& keys) const {
  const uint64_t campaign_id = messages_ ? to.message_id : campaign_id_;
  const auto token = [&](schema::TrackingKind kind, uint32_t link) {
    return schema::EncodeTrackingId({kind, tenant_, to.partition, campaign_id, to.ordinal, link}, keys);
  };
  Tokens tokens;
  if (!untracked_ && !to.untracked) {
    tokens.links.resize(compiled_.link_count());
    for (uint32_t i = 0; i < tokens.links.size(); ++i) tokens.links[i] = token(schema::TrackingKind::kClick, first_link_ + i);
    tokens.pixel = token(schema::TrackingKind::kOpen, 0);
    if (returns_.honeypot) tokens.honeypot = token(schema::TrackingKind::kHoneypot, 0);
  }
  tokens.unsubscribe = token(schema::TrackingKind::kUnsubscribe, 0);
  if (compiled_.names_preferences()) tokens.preferences = token(schema::TrackingKind::kPreferences, 0);
  if (compiled_.names_confirm() && to.confirm_number != 0) {
    tokens.confirm = schema::EncodeTrackingId({.kind = schema::TrackingKind::kConfirm,
                                               .tenant = tenant_,
                                               .partition = to.partition,
                                               .campaign_id = to.confirm_number,
                                               .ordinal = to.ordinal},
                                              keys);
  }
  const std::string message_id = EncodeMessageId({tenant_, to.partition, campaign_id, to.ordinal}, from_.domain(), keys);
  tokens.message_id = message_id.substr(1, message_id.find('@') - 1);
  return tokens;
}

Result<void> Mailing::Compose(const Recipient& to, const Tokens& tokens, personalization::Rendered& rendered, std::string& out) const {
  if (!IsPlainAddress(to.address)) return Fail(Code::kInvalid, "the recipient's address cannot stand in a mail");
  std::vector<std::string> links;
  for (const std::string& token : tokens.links) links.push_back(fmt::format("{}/c/{}", base_url_, token));
  const bool untracked = tokens.pixel.empty();
  const std::string pixel = untracked ? std::string() : fmt::format("{}/o/{}.gif", base_url_, tokens.pixel);
  const std::string honeypot = tokens.honeypot.empty() ? std::string() : fmt::format("{}/c/{}", base_url_, tokens.honeypot);
  const std::string unsubscribe = fmt::format("{}/u/{}", base_url_, tokens.unsubscribe);
  const std::string preferences = tokens.preferences.empty() ? std::string() : fmt::format("{}/p/{}", base_url_, tokens.preferences);
  const std::string confirm = tokens.confirm.empty() ? std::string() : fmt::format("{}/y/{}", base_url_, tokens.confirm);
  MAILY_TRY_VOID(compiled_.Render({.attributes = to.attributes,
                                   .email = to.address,
                                   .postal_address = postal_address_,
                                   .company = company_,
                                   .variables = to.variables,
                                   .now = to.date,
                                   .blank = to.blank},
                                  {.links = links,
                                   .open_pixel = pixel,
                                   .unsubscribe = unsubscribe,
                                   .honeypot = honeypot,
                                   .preferences = preferences,
                                   .confirm = confirm,
                                   .untracked = untracked},
                                  rendered));
  if (rendered.html.empty() && rendered.text.empty()) return Fail(Code::kInvalid, "the mail is empty for this recipient");

  out.clear();
  out.reserve(1500 + (rendered.html.size() + rendered.text.size()) * 11 / 10);
  out += "Date: " + FormatDate(to.date) + "\r\n";
  AppendMailbox("To", {.name = {}, .address = std::string(to.address)}, out);
  AppendHeader("Subject", to.subject_prefix.empty() ? rendered.subject : std::string(to.subject_prefix) + rendered.subject, out);
  out += fmt::format("Message-ID: <{}@{}>\r\n", tokens.message_id, from_.domain());
  if (const DisplayName name = DisplayName::Of(rendered.from_name); !name.text().empty()) {
    AppendMailbox("From", {.name = name.text(), .address = from_.address}, out);
  } else {
    out += from_header_;
  }
  out += fixed_headers_;
  out += to.headers;
  if (opt_out_) {
    out += "List-Unsubscribe: <" + unsubscribe + ">";
    if (!returns_.opt_out_host.empty())
      out += fmt::format(",\r\n <mailto:u{}@{}?subject=unsubscribe>", tokens.unsubscribe, returns_.opt_out_host);
    out += "\r\n";
  }
  // Read back as esp::Notice::message_id. Postmark takes values of 80 characters at most, so the domain is left out.
  if (returns_.provider == Returns::Provider::kSendGrid)
    out += fmt::format("X-SMTPAPI: {{\"unique_args\":{{\"maily\":\"{}\"}}}}\r\n", tokens.message_id);
  if (returns_.provider == Returns::Provider::kPostmark) out += fmt::format("X-PM-Metadata-maily: {}\r\n", tokens.message_id);

  const auto part = [&](std::string_view type, std::string_view body) {
    out += fmt::format("Content-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", type);
    AppendQuotedPrintable(body, out);
  };
  const mime::Frame* frame = to.frame != nullptr ? to.frame : frame_ ? &*frame_ : nullptr;
  if (frame != nullptr) {
    out += frame->before_text;
    if (plan_.text) part("plain", rendered.text);
    out += frame->before_html;
    if (plan_.html) part("html", rendered.html);
    out += frame->after;
  } else if (rendered.html.empty()) {
    part("plain", rendered.text);
  } else if (rendered.text.empty()) {
    part("html", rendered.html);
  } else {
    // "=_" cannot stand in quoted-printable text (RFC 2045 §6.7), so the boundary never meets a body.
    const std::string boundary = "=_" + tokens.message_id;
    out += fmt::format("Content-Type: multipart/alternative;\r\n boundary=\"{}\"\r\n\r\n--{}\r\n", boundary, boundary);
    part("plain", rendered.text);
    out += fmt::format("--{}\r\n", boundary);
    part("html", rendered.html);
    out += fmt::format("--{}--\r\n", boundary);
  }
  return Ok();
}

}  // namespace maily::smtp
