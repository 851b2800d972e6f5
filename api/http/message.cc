// Headers, escapes and trace ids.
#include "api/http/message.h"

#include <sys/random.h>

namespace maily::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// splitmix64 from a seed of the kernel, one a thread.
uint64_t NextRandom() {
  thread_local uint64_t state = [] {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = reinterpret_cast<uintptr_t>(&seed);
    return seed;
  }();
  uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Calls visit(name, value), both still encoded, for each query parameter until it returns false.
template <class Visit>
void ForEachQuery(std::string_view target, Visit visit) {
  const size_t question = target.find('?');
  if (question == std::string_view::npos) return;
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    const size_t equals = pair.find('=');
    if (!pair.empty() && !visit(pair.substr(0, equals), equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1)))
      return;
    if (end == std::string_view::npos) return;
    rest.remove_prefix(end + 1);
  }
}

Response Typed(int status, std::string_view type, std::string body) { return {status, {{"content-type", type}}, std::move(body)}; }

}  // namespace

std::string_view MethodName(Method method) {
  static constexpr std::string_view kNames[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"};
  return kNames[static_cast<size_t>(method)];
}

void Headers::Add(std::string_view name, std::string_view value) {
  if (fields_.empty()) {
    fields_.reserve(8);
    bytes_.reserve(256);
  }
  fields_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
  for (const char c : name) bytes_.push_back(Lower(c));
  bytes_.append(value);
}

std::pair<std::string_view, std::string_view> Headers::at(size_t index) const {
  const Field& field = fields_[index];
  const std::string_view all = bytes_;
  return {all.substr(field.name_at, field.name_size), all.substr(field.name_at + field.name_size, field.value_size)};
}

std::optional<std::string_view> Headers::Find(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (const auto [field, value] = at(i); field == name) return value;
  }
  return std::nullopt;
}

size_t Headers::Count(std::string_view name) const {
  size_t count = 0;
  for (size_t i = 0; i < fields_.size(); ++i) count += at(i).first == name ? 1 : 0;
  return count;
}

void Headers::Clear() {
  bytes_.clear();
  fields_.clear();
}

std::string_view Request::Param(std::string_view name) const {
  for (const auto& [param, value] : params) {
    if (param == name) return value;
  }
  return {};
}

std::optional<std::string> Request::Query(std::string_view name) const {
  std::optional<std::string> found;
  ForEachQuery(target, [&](std::string_view key, std::string_view value) {
    if (PercentDecode(key, true) != name) return true;
    found = PercentDecode(value, true);
    return false;
  });
  return found;
}

std::vector<std::pair<std::string, std::string>> Request::QueryParams() const {
  std::vector<std::pair<std::string, std::string>> all;
  ForEachQuery(target, [&](std::string_view key, std::string_view value) {
    all.emplace_back(PercentDecode(key, true).value_or(""), PercentDecode(value, true).value_or(""));
    return true;
  });
  return all;
}

Response Response::Json(int status, std::string body) { return Typed(status, "application/json", std::move(body)); }
Response Response::Text(int status, std::string body) { return Typed(status, "text/plain; charset=utf-8", std::move(body)); }
Response Response::Html(int status, std::string body) { return Typed(status, "text/html; charset=utf-8", std::move(body)); }
Response Response::Redirect(std::string_view location, int status) { return {status, {{"location", location}}, {}}; }

std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool unreserved =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

TraceId ParseTraceparent(std::string_view header) {
  // version 2 - trace 32 - parent 16 - flags 2; version ff is invalid, later versions may be longer.
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') return {};
  if (header.substr(0, 2) == "ff" || (header.substr(0, 2) == "00" && header.size() != 55)) return {};
  return TraceId::FromHex(header.substr(3, 32));
}

std::string MakeTraceparent(const TraceId& trace) {
  std::string out = "00-" + trace.ToHex() + "-";
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t span = NextRandom() | 1;
  for (int i = 0; i < 16; ++i, span >>= 4) out.push_back(kDigits[span & 15]);
  out.append("-01");
  return out;
}

TraceId NewTraceId() {
  const uint64_t words[2] = {NextRandom(), NextRandom() | 1};
  TraceId id;
  std::memcpy(id.bytes.data(), words, sizeof(words));
  return id;
}

}  // namespace maily::http
