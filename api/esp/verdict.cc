// See verdict.h.
#include "api/esp/verdict.h"

#include <algorithm>

namespace maily::esp {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// Rules that know no more than that it was refused.
bool IsBare(std::string_view rule) { return rule == "none" || rule == "basic.refused" || rule == "basic.storage"; }

}  // namespace

bool SameName(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, Lower, Lower); }

bounces::Verdict Find(std::span<const ProviderClass> table, std::string_view cls, std::string_view subclass, const bounces::Verdict& none) {
  for (const ProviderClass& row : table) {
    if (SameName(row.cls, cls) && (row.subclass.empty() || SameName(row.subclass, subclass))) return row.verdict;
  }
  return none;
}

void Judge(Notice& notice, const bounces::Verdict& by_provider) {
  std::string_view text = notice.diagnostic;
  if (text.starts_with("smtp;")) text.remove_prefix(5);  // as Diagnostic-Code has it (RFC 3464 §2.3.6)
  if (notice.status.empty() || notice.status.ends_with(".0.0")) {
    if (std::string said = bounces::FindEnhancedCode(text); !said.empty()) notice.status = std::move(said);
  }
  if (notice.code < 200 || notice.code > 599) notice.code = bounces::FindBasicCode(text);
  const bounces::Verdict by_words =
      bounces::Classify({.code = notice.code, .enhanced = notice.status, .text = text, .remote_mta = notice.remote_mta});
  // "2xx" of a bounce is what was said to another command.
  const bool decided = !IsBare(by_words.rule) && by_words.cls != bounces::Class::kDelivered;
  notice.verdict = decided ? by_words : by_provider;
  if (notice.kind == Kind::kDeferred && notice.verdict.cls == bounces::Class::kHard) notice.verdict.cls = bounces::Class::kSoft;
}

}  // namespace maily::esp
