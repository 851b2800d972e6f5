// See token.h.
#include "api/gateway/token.h"

#include <map>

#include "schemas/base64url.h"
#include "streams/base/bytes.h"

namespace maily::gateway {
namespace {

constexpr char kVersion = 1;
constexpr size_t kMacBytes = 10;
constexpr size_t kTextMax = 8 * 1024;
constexpr std::string_view kTokenLabel = "maily consistency";
constexpr std::string_view kCursorLabel = "maily cursor";

std::string Sign(std::string body, std::string_view label, std::string_view of, const keyring::TenantKeys& keys) {
  body += keyring::HmacSha256(keys.token, {label, std::string_view("\0", 1), of, std::string_view("\0", 1), body}, kMacBytes);
  return schema::ToBase64Url(body);
}

// The body behind the version.
Result<std::string> Verify(std::string_view text, std::string_view label, std::string_view of, const keyring::TenantKeys& keys,
                           const char* what) {
  const Error foreign = Fail(Code::kInvalid, "this is no {} that was given out here", what);
  if (text.size() > kTextMax) return foreign;
  auto bytes = schema::FromBase64Url(text);
  if (!bytes || bytes->size() < 1 + kMacBytes || bytes->front() != kVersion) return foreign;
  const std::string mac = bytes->substr(bytes->size() - kMacBytes);
  bytes->resize(bytes->size() - kMacBytes);
  const std::string expected =
      keyring::HmacSha256(keys.token, {label, std::string_view("\0", 1), of, std::string_view("\0", 1), *bytes}, kMacBytes);
  if (!keyring::ConstantTimeEqual(mac, expected)) return foreign;
  return bytes->substr(1);
}

}  // namespace

std::string EncodeToken(std::span<const CommandAt> at, const keyring::TenantKeys& keys) {
  std::map<PartitionId, CommandAt> last;
  for (const CommandAt& one : at) {
    auto& known = last.try_emplace(one.partition, one).first->second;
    known = std::max(known, one);
  }
  std::string body(1, kVersion);
  PutVarint(body, last.size());
  for (const auto& [partition, one] : last) {
    PutVarint(body, partition.value());
    PutVarint(body, one.generation);
    PutVarint(body, one.offset.value());
    PutVarint(body, one.index);
  }
  return Sign(std::move(body), kTokenLabel, {}, keys);
}

Result<std::vector<CommandAt>> DecodeToken(std::string_view token, const keyring::TenantKeys& keys) {
  MAILY_TRY(const std::string body, Verify(token, kTokenLabel, {}, keys, "consistency token"));
  Cursor cursor(body);
  std::vector<CommandAt> at(std::min<uint64_t>(cursor.Varint(), body.size()));
  for (CommandAt& one : at) {
    one.partition = PartitionId(static_cast<uint16_t>(cursor.Varint()));
    one.generation = static_cast<uint32_t>(cursor.Varint());
    one.offset = Offset(cursor.Varint());
    one.index = static_cast<uint32_t>(cursor.Varint());
  }
  if (!cursor.ok() || !cursor.AtEnd()) return Fail(Code::kInvalid, "this is no consistency token that was given out here");
  return at;
}

std::string EncodeCursor(std::string_view list, std::span<const sql::Value> last, const keyring::TenantKeys& keys) {
  std::string body(1, kVersion);
  PutVarint(body, last.size());
  for (const sql::Value& value : last) {
    body.push_back(static_cast<char>(value.type));
    if (value.type == sql::Type::kInteger) {
      PutFixed(body, value.integer);
    } else {
      PutBytes(body, value.bytes);
    }
  }
  return Sign(std::move(body), kCursorLabel, list, keys);
}

Result<std::vector<sql::Value>> DecodeCursor(std::string_view text, std::string_view list, const keyring::TenantKeys& keys) {
  MAILY_TRY(const std::string body, Verify(text, kCursorLabel, list, keys, "page token of this list"));
  Cursor cursor(body);
  std::vector<sql::Value> last(std::min<uint64_t>(cursor.Varint(), body.size()));
  for (sql::Value& value : last) {
    value.type = static_cast<sql::Type>(cursor.Fixed<uint8_t>());
    if (value.type == sql::Type::kInteger) {
      value.integer = cursor.Fixed<int64_t>();
    } else {
      value.bytes = cursor.Bytes();
    }
  }
  if (!cursor.ok() || !cursor.AtEnd()) return Fail(Code::kInvalid, "this is no page token of this list");
  return last;
}

}  // namespace maily::gateway
