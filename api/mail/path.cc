// See path.h.
#include "api/mail/path.h"

#include <algorithm>

#include "streams/base/utf8.h"

namespace maily::mail {
namespace {

constexpr size_t kDomainBytesMax = 255;  // RFC 5321 §4.5.3.1.2

bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsHigh(char c) { return static_cast<uint8_t>(c) >= 0x80; }
bool IsPrintable(char c) { return (c >= 0x20 && c < 0x7F) || IsHigh(c); }
// What may stand in a local part without quotes (RFC 5322 §3.2.3), and dots.
bool IsLocal(char c) { return IsAlnum(c) || IsHigh(c) || std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos; }
bool IsDomain(char c) { return IsAlnum(c) || IsHigh(c) || c == '-' || c == '.' || c == '_'; }
bool IsLiteral(char c) { return c > 0x20 && c < 0x7F && c != '[' && c != ']' && c != '\\'; }

bool Take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

template <class Fits>
std::string_view TakeWhile(std::string_view& text, Fits fits) {
  const auto end = static_cast<size_t>(std::ranges::find_if_not(text, fits) - text.begin());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end);
  return taken;
}

// Empty: there is none.
std::string_view TakeDomain(std::string_view& text) {
  const std::string_view before = text;
  if (Take(text, '[')) {
    const size_t size = TakeWhile(text, IsLiteral).size() + 2;
    return size > 2 && size <= kDomainBytesMax && Take(text, ']') ? before.substr(0, size) : std::string_view();
  }
  const std::string_view domain = TakeWhile(text, IsDomain);
  const bool hole = domain.starts_with('.') || domain.ends_with('.') || domain.find("..") != std::string_view::npos;
  return hole || domain.size() > kDomainBytesMax ? std::string_view() : domain;
}

// False: quotes that do not end, or what may not stand between them.
bool TakeLocal(std::string_view& text, std::string& local) {
  if (!Take(text, '"')) {
    local = TakeWhile(text, IsLocal);
    return !local.empty();
  }
  while (!text.empty() && text.front() != '"') {
    Take(text, '\\');
    if (text.empty() || !IsPrintable(text.front())) return false;
    local.push_back(text.front());
    text.remove_prefix(1);
  }
  return Take(text, '"') && !local.empty();
}

bool TakeRoute(std::string_view& text) {
  do {
    if (!Take(text, '@') || TakeDomain(text).empty()) return false;
  } while (Take(text, ','));
  return Take(text, ':');
}

bool IsPostmaster(std::string_view local) {
  return std::ranges::equal(local, std::string_view("postmaster"), [](char a, char b) { return (a | 0x20) == b; });
}

}  // namespace

std::string Mailbox::ToString() const {
  std::string text;
  if (std::ranges::all_of(local, IsLocal)) {
    text = local;
  } else {
    text = "\"";
    for (const char c : local) {
      if (c == '"' || c == '\\') text.push_back('\\');
      text.push_back(c);
    }
    text.push_back('"');
  }
  return domain.empty() ? text : text + "@" + domain;
}

std::optional<Mailbox> TakePath(std::string_view& text, PathUse use) {
  const std::string_view whole = text;
  if (!Take(text, '<')) return std::nullopt;
  Mailbox mailbox;
  if (Take(text, '>')) return use == PathUse::kSender ? std::optional(mailbox) : std::nullopt;
  if (text.starts_with('@') && !TakeRoute(text)) return std::nullopt;
  if (!TakeLocal(text, mailbox.local)) return std::nullopt;
  if (Take(text, '@')) {
    mailbox.domain = TakeDomain(text);
    if (mailbox.domain.empty()) return std::nullopt;
  } else if (use == PathUse::kRecipient && !IsPostmaster(mailbox.local)) {
    return std::nullopt;
  }
  if (!Take(text, '>') || whole.size() - text.size() > kPathBytesMax) return std::nullopt;
  return IsUtf8(mailbox.local) && IsUtf8(mailbox.domain) ? std::optional(mailbox) : std::nullopt;
}

bool IsAscii(const Mailbox& mailbox) { return std::ranges::none_of(mailbox.local + mailbox.domain, IsHigh); }

}  // namespace maily::mail
