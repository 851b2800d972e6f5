// See domain_records.h.
#include "api/domain_records.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "streams/port/resolver.h"

namespace maily::api {
namespace {

constexpr size_t kShownBytesMax = 80;
constexpr std::string_view kSpace = " \t\r\n";

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

// As much of it as an error bears.
std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kShownBytesMax));
  std::ranges::replace_if(shown, [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return shown;
}

bool IsNumber(std::string_view text, int most) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most;
}

// "/24", "/24//64", "//64" at the end of an `a` or `mx`: taken off. False: they are no lengths.
bool TakePrefixes(std::string_view& value) {
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return true;
  std::string_view lengths = value.substr(slash);
  value = value.substr(0, slash);
  if (!lengths.starts_with("//")) {
    const size_t second = lengths.find("//");
    if (!IsNumber(lengths.substr(1, second == std::string_view::npos ? second : second - 1), 32)) return false;
    if (second == std::string_view::npos) return true;
    lengths = lengths.substr(second);
  }
  return IsNumber(lengths.substr(2), 128);
}

bool IsNetwork(std::string_view value, int family) {
  const size_t slash = value.find('/');
  const std::string address(value.substr(0, slash));
  unsigned char raw[sizeof(in6_addr)];
  if (inet_pton(family, address.c_str(), raw) != 1) return false;
  return slash == std::string_view::npos || IsNumber(value.substr(slash + 1), family == AF_INET ? 32 : 128);
}

// A host name, or something with macros (RFC 7208 §7.1).
bool IsDomainSpec(std::string_view value) {
  if (value.find('%') == std::string_view::npos) return HostName(value).has_value();
  return std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7F; });
}

// Empty: a receiver takes it. `value` loses the lengths of networks, and the name is in `term` already.
std::string WhyNot(const SpfTerm& term, bool has_value, std::string_view& value) {
  const std::string& name = term.name;
  if (name == "all") return has_value || !value.empty() ? "it takes no value" : "";
  if (name == "ip4" || name == "ip6") {
    const bool fits = IsNetwork(value, name == "ip4" ? AF_INET : AF_INET6);
    return fits ? "" : fmt::format("it needs an {} address or network", name == "ip4" ? "IPv4" : "IPv6");
  }
  if (name == "include" || name == "exists" || name == "redirect" || name == "exp") {
    return IsDomainSpec(value) ? "" : "it needs a domain";
  }
  if (name == "a" || name == "mx" || name == "ptr") {
    if (name != "ptr" && !TakePrefixes(value)) return "the length behind / is none";
    if (!has_value) return value.empty() ? "" : "it takes no length";
    return IsDomainSpec(value) ? "" : "what stands behind : is no domain";
  }
  return "there is no such mechanism";
}

}  // namespace

std::string WithoutSpace(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (kSpace.find(c) == std::string_view::npos) out += c;
  }
  return out;
}

Result<std::vector<Tag>> ParseTags(std::string_view record) {
  std::vector<Tag> tags;
  std::set<std::string, std::less<>> seen;
  while (!record.empty()) {
    const size_t end = std::min(record.find(';'), record.size());
    const std::string_view part = Trimmed(record.substr(0, end));
    record.remove_prefix(std::min(end + 1, record.size()));
    if (part.empty()) {
      if (Trimmed(record).empty()) break;  // one ";" at the end is fine
      return Fail(Code::kInvalid, "there is nothing between two \";\"");
    }
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) return Fail(Code::kInvalid, "\"{}\" has no \"=\"", Shown(part));
    Tag tag{std::string(Trimmed(part.substr(0, equals))), std::string(Trimmed(part.substr(equals + 1)))};
    if (tag.name.empty()) return Fail(Code::kInvalid, "\"{}\" has no name", Shown(part));
    if (!seen.insert(tag.name).second) return Fail(Code::kInvalid, "\"{}\" stands twice", Shown(tag.name));
    tags.push_back(std::move(tag));
  }
  return tags;
}

std::string TagValue(const std::vector<Tag>& tags, std::string_view name, std::string_view fallback) {
  const auto found = std::ranges::find(tags, name, &Tag::name);
  return found == tags.end() ? std::string(fallback) : found->value;
}

bool BeginsWithTag(std::string_view record, std::string_view name, std::string_view value) {
  return WithoutSpace(record.substr(0, record.find(';'))) == fmt::format("{}={}", name, value);
}

bool SpfTerm::asks() const {
  for (const std::string_view one : {"include", "a", "mx", "ptr", "exists", "redirect"}) {
    if (name == one) return true;
  }
  return false;
}

bool IsSpf(std::string_view record) { return Lower(record.substr(0, record.find(' '))) == "v=spf1"; }

Result<std::vector<SpfTerm>> ParseSpf(std::string_view record) {
  if (!IsSpf(record)) return Fail(Code::kInvalid, "it does not begin with v=spf1");
  std::vector<SpfTerm> terms;
  std::set<std::string> modifiers;
  record.remove_prefix(std::min(record.find(' '), record.size()));
  while (!record.empty()) {
    const size_t end = std::min(record.find(' '), record.size());
    const std::string_view whole = record.substr(0, end);
    record.remove_prefix(std::min(end + 1, record.size()));
    if (whole.empty()) continue;
    SpfTerm term;
    std::string_view rest = whole;
    const size_t mark = rest.find_first_of(":=/");
    term.modifier = mark != std::string_view::npos && rest[mark] == '=';
    if (!term.modifier && std::string_view("+-~?").find(rest.front()) != std::string_view::npos) {
      term.qualifier = rest.front();
      rest.remove_prefix(1);
    }
    const size_t split = std::min(rest.find_first_of(":=/"), rest.size());
    term.name = Lower(rest.substr(0, split));
    if (term.modifier && term.name != "redirect" && term.name != "exp") continue;
    if (term.modifier && !modifiers.insert(term.name).second) return Fail(Code::kInvalid, "{}= stands twice", term.name);
    if (!term.modifier && (term.name == "redirect" || term.name == "exp")) {
      return Fail(Code::kInvalid, "\"{}\": {} is written with \"=\"", Shown(whole), term.name);
    }
    // The "/" of a network stays, so that lengths are looked at.
    const bool has_value = split < rest.size() && rest[split] != '/';
    std::string_view value = rest.substr(std::min(split + (has_value ? 1 : 0), rest.size()));
    if (const std::string why = WhyNot(term, has_value, value); !why.empty()) {
      return Fail(Code::kInvalid, "\"{}\": {}", Shown(whole), why);
    }
    term.value = std::string(value);
    terms.push_back(std::move(term));
  }
  return terms;
}

}  // namespace maily::api
