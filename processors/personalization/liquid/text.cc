// See text.h.
#include "processors/personalization/liquid/text.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "processors/personalization/liquid/scan.h"
#include "streams/base/utf8.h"

namespace maily::liquid {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

bool IsTrimmed(char c) { return IsSpace(c) || c == '\0'; }

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// The bytes of an entity like &amp; or &#38; at `at`; 0: there is none.
size_t EntityAt(std::string_view text, size_t at) {
  size_t end = at + 1;
  if (end < text.size() && text[end] == '#') {
    const size_t digits = ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
    if (end == digits) return 0;
  } else {
    while (end < text.size() && IsLetter(text[end])) ++end;
    if (end == at + 1) return 0;
  }
  return end < text.size() && text[end] == ';' ? end + 1 - at : 0;
}

int HexDigit(char c) { return IsDigit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1; }

icu::UnicodeString FromUtf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

}  // namespace

size_t FirstCharacter(std::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  const size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  size_t size = 1;
  while (size < wanted && size < text.size() && IsContinuation(text[size])) ++size;
  return size;
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  if (IsAscii(text)) return text.size();
  for (size_t at = 0; at < text.size(); at += FirstCharacter(text.substr(at))) ++count;
  return count;
}

size_t OffsetOf(std::string_view text, size_t n) {
  size_t at = 0;
  for (; n > 0 && at < text.size(); --n) at += FirstCharacter(text.substr(at));
  return at;
}

void AppendCased(std::string_view text, Case wanted, std::string& out) {
  if (IsAscii(text)) {
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const bool upper = wanted == Case::kUpper || (wanted == Case::kCapital && i == 0);
      out.push_back(!IsLetter(c) ? c : static_cast<char>(upper ? c & ~0x20 : c | 0x20));
    }
    return;
  }
  const icu::Locale& root = icu::Locale::getRoot();
  if (wanted == Case::kCapital) {
    const size_t first = FirstCharacter(text);
    FromUtf8(text.substr(0, first)).toUpper(root).toUTF8String(out);
    FromUtf8(text.substr(first)).toLower(root).toUTF8String(out);
    return;
  }
  icu::UnicodeString all = FromUtf8(text);
  (wanted == Case::kUpper ? all.toUpper(root) : all.toLower(root)).toUTF8String(out);
}

std::string_view TrimFront(std::string_view text) {
  while (!text.empty() && IsTrimmed(text.front())) text.remove_prefix(1);
  return text;
}
std::string_view TrimBack(std::string_view text) {
  while (!text.empty() && IsTrimmed(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> SplitWords(std::string_view text, size_t most) {
  std::vector<std::string_view> words;
  while (true) {
    text = TrimFront(text);
    if (text.empty()) return words;
    if (words.size() + 1 == most) {
      words.push_back(text);
      return words;
    }
    const auto end = std::find_if(text.begin(), text.end(), IsTrimmed);
    words.push_back(text.substr(0, static_cast<size_t>(end - text.begin())));
    text.remove_prefix(words.back().size());
  }
}

void AppendEscaped(std::string_view text, std::string& out) {
  size_t run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view entity = text[i] == '&'    ? "&amp;"
                                    : text[i] == '<'  ? "&lt;"
                                    : text[i] == '>'  ? "&gt;"
                                    : text[i] == '"'  ? "&quot;"
                                    : text[i] == '\'' ? "&#39;"
                                                      : "";
    if (entity.empty()) continue;
    out.append(text, run, i - run);
    out += entity;
    run = i + 1;
  }
  out.append(text, run);
}

void AppendEscapedOnce(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size();) {
    const size_t entity = text[i] == '&' ? EntityAt(text, i) : 0;
    if (entity > 0) {
      out.append(text, i, entity);
      i += entity;
    } else {
      AppendEscaped(text.substr(i, 1), out);
      ++i;
    }
  }
}

void AppendWithoutTags(std::string_view html, std::string& out) {
  constexpr std::pair<std::string_view, std::string_view> kBlocks[] = {{"<script", "</script>"}, {"<!--", "-->"}, {"<style", "</style>"}};
  // Two passes, as a tag may appear only when a block inside it is gone.
  std::string without;
  for (size_t at = 0; at < html.size();) {
    size_t end = 0;
    if (html[at] == '<') {
      for (const auto& [open, close] : kBlocks) {
        if (end > 0 || !html.substr(at).starts_with(open)) continue;
        const size_t found = html.find(close, at + open.size());
        if (found != std::string_view::npos) end = found + close.size();
      }
    }
    if (end > 0) {
      at = end;
    } else {
      const size_t next = std::min(html.find('<', at + 1), html.size());
      without.append(html, at, next - at);
      at = next;
    }
  }
  for (size_t at = 0; at < without.size();) {
    const size_t close = without[at] == '<' ? without.find('>', at) : std::string::npos;
    if (close != std::string::npos) {
      at = close + 1;
      continue;
    }
    if (without[at] == '<') {  // no further tag has an end
      out.append(without, at);
      return;
    }
    const size_t next = std::min(without.find('<', at), without.size());
    out.append(without, at, next - at);
    at = next;
  }
}

void AppendUrlEncoded(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (IsWord(c) || c == '.' || c == '-' || c == '~') {
      out.push_back(c);
    } else if (c == ' ') {
      out.push_back('+');
    } else {
      out.push_back('%');
      out.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
      out.push_back(kHex[static_cast<uint8_t>(c) & 15]);
    }
  }
}

void AppendUrlDecoded(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
}

void AppendBase64(std::string_view bytes, bool url, std::string& out) {
  const std::string_view digits = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                                      : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = (group << 8) | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out.push_back(k <= n ? digits[(group >> (18 - 6 * k)) & 63] : '=');
  }
}

std::optional<std::string> ReadBase64(std::string_view text, bool url) {
  const auto digit = [&](char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (IsDigit(c)) return c - '0' + 52;
    if (c == '+' || (url && c == '-')) return 62;
    if (c == '/' || (url && c == '_')) return 63;
    return -1;
  };
  std::string padded(text);
  if (url && !padded.ends_with('=')) {
    while (padded.size() % 4 != 0) padded.push_back('=');
  }
  if (padded.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < padded.size() && padded[padded.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  uint32_t group = 0;
  for (size_t i = 0; i < padded.size(); ++i) {
    const int value = i >= padded.size() - padding ? 0 : digit(padded[i]);
    if (value < 0) return std::nullopt;
    group = (group << 6) | static_cast<uint32_t>(value);
    if (i % 4 != 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(group >> shift));
    group = 0;
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

bool IsScriptAddress(std::string_view text) {
  constexpr std::string_view kSchemes[] = {"javascript:", "vbscript:", "data:text/"};
  for (const std::string_view scheme : kSchemes) {
    size_t matched = 0;
    for (const char c : text) {
      if (static_cast<uint8_t>(c) <= 0x20 || c == 0x7F) continue;  // browsers pass over them
      if ((IsLetter(c) ? static_cast<char>(c | 0x20) : c) != scheme[matched]) break;
      if (++matched == scheme.size()) return true;
    }
  }
  return false;
}

}  // namespace maily::liquid
