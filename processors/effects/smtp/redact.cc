// See redact.h.
#include "processors/effects/smtp/redact.h"

#include <algorithm>

#include "processors/effects/smtp/session.h"

namespace maily::smtp {
namespace {

constexpr size_t kReplyBytesMax = 500;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsWord(char c) {
  return (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z') || c == '_' || static_cast<uint8_t>(c) >= 0x80;
}

enum class Where : uint8_t { kAnywhere, kAsWord };
// Also takes the angle brackets around it.
void ReplaceAll(std::string& text, std::string_view what, std::string_view by, Where where) {
  const auto same = [](char a, char b) { return Lower(a) == Lower(b); };
  for (size_t from = 0; from < text.size();) {
    const auto found = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), what.begin(), what.end(), same);
    if (found == text.end()) return;
    const auto at = static_cast<size_t>(found - text.begin());
    const size_t end = at + what.size();
    if (where == Where::kAsWord && ((at > 0 && IsWord(text[at - 1])) || (end < text.size() && IsWord(text[end])))) {
      from = at + 1;
      continue;
    }
    const bool in_brackets = at > 0 && end < text.size() && text[at - 1] == '<' && text[end] == '>';
    const size_t begin = in_brackets ? at - 1 : at;
    text.replace(begin, what.size() + (in_brackets ? 2 : 0), by);
    from = begin + by.size();
  }
}

}  // namespace

std::string RedactReply(std::string_view text, std::string_view address) {
  std::string out(text);
  if (out.size() >= Session::kReplyTextBytesMax) out.resize(out.rfind(' ') == std::string::npos ? 0 : out.rfind(' '));  // no half address
  static constexpr std::string_view kRecipient = "<recipient>";
  // As it is, and as a Session shows it: every byte that is not ASCII as '?'.
  std::string shown(address);
  std::replace_if(shown.begin(), shown.end(), [](char c) { return static_cast<uint8_t>(c) >= 0x7F; }, '?');
  for (const std::string_view spelled : {address, std::string_view(shown)}) {
    if (!spelled.empty()) ReplaceAll(out, spelled, kRecipient, Where::kAnywhere);
    const std::string_view local = spelled.substr(0, spelled.rfind('@'));
    if (local.size() >= 3 && local.size() < spelled.size()) ReplaceAll(out, local, kRecipient, Where::kAsWord);
  }
  if (out.size() > kReplyBytesMax) out.resize(kReplyBytesMax);
  return out;
}

}  // namespace maily::smtp
