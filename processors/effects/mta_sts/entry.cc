// See entry.h.
#include "processors/effects/mta_sts/entry.h"

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::mta_sts {
namespace {

constexpr std::string_view kMagic = "MSTS";
constexpr uint8_t kVersion = 1;
constexpr int64_t kSecond = 1'000'000;

Error Corrupt(std::string_view what) { return Fail(Code::kCorrupt, "a kept MTA-STS policy: {}", what); }

}  // namespace

std::string EncodeEntry(const Entry& entry) {
  std::string out(kMagic);
  PutFixed(out, kVersion);
  PutBytes(out, entry.domain);
  PutBytes(out, entry.id);
  PutFixed(out, static_cast<uint8_t>(entry.policy.mode));
  PutVarint(out, static_cast<uint64_t>(entry.policy.max_age.us / kSecond));
  PutFixed(out, entry.fetched_at.us);
  PutVarint(out, entry.policy.mx.size());
  for (const std::string& pattern : entry.policy.mx) PutBytes(out, pattern);
  PutFixed(out, Xxh3_64(out));
  return out;
}

Result<Entry> DecodeEntry(std::string_view bytes) {
  if (bytes.size() < sizeof(uint64_t)) return Corrupt("it is cut");
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint64_t));
  if (Cursor(bytes.substr(body.size())).Fixed<uint64_t>() != Xxh3_64(body)) return Corrupt("its hash is wrong");
  Cursor cursor(body);
  if (cursor.Take(kMagic.size()) != kMagic) return Corrupt("it is something else");
  if (const auto version = cursor.Fixed<uint8_t>(); version != kVersion) return Corrupt(fmt::format("version {} is not known", version));
  Entry entry;
  entry.domain = cursor.Bytes();
  entry.id = cursor.Bytes();
  const auto mode = cursor.Fixed<uint8_t>();
  const uint64_t max_age_seconds = cursor.Varint();
  entry.fetched_at.us = cursor.Fixed<int64_t>();
  const uint64_t count = cursor.Varint();
  if (count > body.size()) return Corrupt("it has more patterns than bytes");
  for (uint64_t i = 0; i < count; ++i) {
    const std::string_view text = cursor.Bytes();
    auto pattern = ParsePattern(text);
    if (!pattern || *pattern != text) return Corrupt("a pattern is none");
    entry.policy.mx.push_back(std::move(*pattern));
  }
  const auto domain = HostName(entry.domain);
  if (!cursor.ok() || !cursor.AtEnd() || !domain || *domain != entry.domain || !IsId(entry.id)) return Corrupt("a field is wrong");
  if (mode > static_cast<uint8_t>(Mode::kNone) || max_age_seconds > static_cast<uint64_t>(kMaxAgeMax.us / kSecond)) {
    return Corrupt("its mode or max_age is out of range");
  }
  entry.policy.mode = static_cast<Mode>(mode);
  entry.policy.max_age = Seconds(static_cast<int64_t>(max_age_seconds));
  if (entry.policy.mx.empty() && entry.policy.mode != Mode::kNone) return Corrupt("it has no patterns");
  return entry;
}

}  // namespace maily::mta_sts
