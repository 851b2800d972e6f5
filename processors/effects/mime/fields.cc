// See fields.h.
#include "processors/effects/mime/fields.h"

#include <algorithm>

#include "streams/base/base64.h"
#include "streams/base/utf8.h"

namespace maily::mime {
namespace {

constexpr size_t kLineMax = 76;
constexpr size_t kLineBytes = 57;  // 76 letters of base64

bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 2231 §7, attribute-char.
bool IsAttributeChar(char c) { return IsAlnum(c) || std::string_view("!#$&+-.^_`{}~").find(c) != std::string_view::npos; }

}  // namespace

void AppendFileName(const FileName& name, std::string& out) {
  const std::string& text = name.text();
  // No run of spaces in quotes: a relay may change it, and a relaxed signature would have to be told (plan.h).
  if (IsAscii(text) && text.size() <= 50 && text.find("  ") == std::string::npos) {
    out += ";\r\n filename=\"";
    for (const char c : text) {
      if (c == '"') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
    return;
  }
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string line = " filename*0*=utf-8''";
  int piece = 0;
  const auto end_line = [&] {
    out += ";\r\n";
    out += line;
  };
  for (const char c : text) {
    std::string word(1, c);
    if (!IsAttributeChar(c)) word = {'%', kHex[static_cast<uint8_t>(c) >> 4], kHex[static_cast<uint8_t>(c) & 15]};
    if (line.size() + word.size() + 1 > kLineMax) {  // and the semicolon
      end_line();
      line = fmt::format(" filename*{}*=", ++piece);
    }
    line += word;
  }
  end_line();
}

void AppendBase64Lines(std::string_view bytes, std::string& out) {
  out.reserve(out.size() + Base64LinesSize(bytes.size()));
  for (size_t at = 0; at < bytes.size(); at += kLineBytes) {
    out += ToBase64(bytes.substr(at, kLineBytes));
    out += "\r\n";
  }
}

}  // namespace maily::mime
