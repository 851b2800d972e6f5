// See media.h.
#include "schemas/media.h"

#include <algorithm>

#include "streams/base/utf8.h"

namespace maily::schema {
namespace {

constexpr size_t kRestrictedNameMax = 127;

bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 6838 §4.2, restricted-name.
bool IsRestrictedName(std::string_view name) {
  return !name.empty() && name.size() <= kRestrictedNameMax && IsAlnum(name.front()) &&
         std::ranges::all_of(name, [](char c) { return IsAlnum(c) || std::string_view("!#$&-^_.+").find(c) != std::string_view::npos; });
}

// U+202A-202E and U+2066-2069.
bool TurnsDirection(std::string_view text) {
  for (size_t at = 0; (at = text.find("\xE2\x80", at)) != std::string_view::npos; at += 2) {
    const auto last = at + 2 < text.size() ? static_cast<uint8_t>(text[at + 2]) : uint8_t{0};
    if (last >= 0xAA && last <= 0xAE) return true;
  }
  for (size_t at = 0; (at = text.find("\xE2\x81", at)) != std::string_view::npos; at += 2) {
    const auto last = at + 2 < text.size() ? static_cast<uint8_t>(text[at + 2]) : uint8_t{0};
    if (last >= 0xA6 && last <= 0xA9) return true;
  }
  return false;
}

// U+0080 to U+009F are control characters too.
bool HasControl(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

}  // namespace

Result<MediaType> MediaType::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  std::string lower(text.substr(0, 300));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  if (slash == std::string_view::npos || !IsRestrictedName(text.substr(0, slash)) || !IsRestrictedName(text.substr(slash + 1))) {
    return Fail(Code::kInvalid, "this is no media type like image/png, without parameters");
  }
  if (lower.starts_with("multipart/") || lower.starts_with("message/")) {
    return Fail(Code::kInvalid, "{} holds other parts and cannot be enclosed", lower);
  }
  return MediaType(std::move(lower));
}

Result<FileName> FileName::Parse(std::string_view text) {
  if (text.empty() || text.size() > kBytesMax) return Fail(Code::kInvalid, "a file name has 1 to {} bytes", kBytesMax);
  if (!IsUtf8(text)) return Fail(Code::kInvalid, "a file name is UTF-8");
  if (HasControl(text) || text.find_first_of("/\\") != std::string_view::npos) {
    return Fail(Code::kInvalid, "a file name has no control characters, no / and no \\");
  }
  if (TurnsDirection(text)) return Fail(Code::kInvalid, "a file name has no characters that turn the direction of writing");
  const auto at_end = [](char c) { return c == '.' || c == ' '; };
  if (at_end(text.front()) || at_end(text.back())) return Fail(Code::kInvalid, "a file name neither begins nor ends with a dot or space");
  return FileName(std::string(text));
}

}  // namespace maily::schema
