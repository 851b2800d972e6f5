// One pass over the colons: a reference is a scheme in front of one.
#include "processors/personalization/asset_refs.h"

#include <algorithm>
#include <charconv>

namespace maily::personalization {
namespace {

constexpr size_t kIdDigits = 64;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool EndsWithNoCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.end() - static_cast<std::ptrdiff_t>(lower.size()),
                                                   [](char a, char b) { return a == Lower(b); });
}

bool Begins(char c) { return c == '"' || c == '\'' || c == '=' || c == '('; }
bool Ends(char c) { return c == '"' || c == '\'' || c == ')' || c == '>' || c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

}  // namespace

std::vector<AssetRef> FindAssetRefs(std::string_view html) {
  std::vector<AssetRef> refs;
  for (size_t colon = 0; (colon = html.find(':', colon)) != std::string_view::npos; ++colon) {
    const std::string_view before = html.substr(0, colon);
    AssetRef ref;
    if (EndsWithNoCase(before, "cid")) {
      ref.offset = colon - 3;
    } else if (EndsWithNoCase(before, "asset")) {
      ref.kind = AssetRef::Kind::kHosted;
      ref.offset = colon - 5;
    } else {
      continue;
    }
    if (ref.offset == 0 || !Begins(html[ref.offset - 1])) continue;
    const char closing = html[ref.offset - 1] == '(' ? ')' : html[ref.offset - 1];
    const bool quoted = closing == '"' || closing == '\'';
    size_t end = colon + 1;
    while (end < html.size() && (quoted ? html[end] != closing && html[end] != '>' && html[end] != '<' : !Ends(html[end]))) ++end;
    ref.name = html.substr(colon + 1, end - colon - 1);
    ref.size = end - ref.offset;
    refs.push_back(ref);
    colon = end - 1;
  }
  return refs;
}

std::string ReplaceAssetRefs(std::string_view html, const std::function<std::string(const AssetRef&)>& with) {
  std::string out;
  size_t done = 0;
  for (const AssetRef& ref : FindAssetRefs(html)) {
    const std::string replacement = with(ref);
    if (replacement.empty()) continue;
    out.append(html, done, ref.offset - done).append(replacement);
    done = ref.offset + ref.size;
  }
  return out.append(html, done);
}

std::vector<std::string> FindHostedIds(std::string_view text, uint32_t tenant) {
  char front[16] = "/a/";
  const auto number = std::to_chars(front + 3, front + sizeof(front) - 1, tenant);
  *number.ptr = '/';
  const std::string_view wanted(front, static_cast<size_t>(number.ptr - front) + 1);
  std::vector<std::string> ids;
  for (size_t at = 0; (at = text.find(wanted, at)) != std::string_view::npos;) {
    at += wanted.size();
    std::string id(text.substr(at, kIdDigits));
    const bool fits =
        id.size() == kIdDigits && std::ranges::all_of(id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (fits && std::ranges::find(ids, id) == ids.end()) ids.push_back(std::move(id));
  }
  return ids;
}

}  // namespace maily::personalization
