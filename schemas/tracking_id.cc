// Signed tracking tokens.
#include "schemas/tracking_id.h"

#include <limits>

#include "schemas/base64url.h"
#include "schemas/keys.h"
#include "streams/base/bytes.h"

namespace maily::schema {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kKeyId = 1;  // of the tenant's token key; there is one
constexpr size_t kMacBytes = 10;
constexpr size_t kTokenMax = 96;  // characters; the largest token has 67

std::string Mac(const keyring::TenantKeys& keys, std::string_view bytes) {
  return keyring::HmacSha256(keys.token, {"maily tracking", bytes}, kMacBytes);
}

}  // namespace

std::string EncodeTrackingId(const TrackingId& id, const keyring::TenantKeys& keys) {
  std::string bytes;
  PutFixed(bytes, kVersion);
  PutFixed(bytes, kKeyId);
  PutFixed(bytes, static_cast<uint8_t>(id.kind));
  PutVarint(bytes, id.tenant.value());
  PutVarint(bytes, id.partition.value());
  PutVarint(bytes, id.campaign_id);
  PutVarint(bytes, id.ordinal);
  PutVarint(bytes, id.link);
  bytes += Mac(keys, bytes);
  return ToBase64Url(bytes);
}

Result<TrackingId> DecodeTrackingId(std::string_view token, keyring::Keyring& keyring) {
  const Error forged = Fail(Code::kInvalid, "the link is damaged or forged");
  if (token.size() > kTokenMax) return forged;
  const Result<std::string> decoded = FromBase64Url(token);
  if (!decoded || decoded->size() < kMacBytes) return forged;
  const std::string_view body = std::string_view(*decoded).substr(0, decoded->size() - kMacBytes);
  Cursor cursor(body);
  const auto version = cursor.Fixed<uint8_t>();
  const auto key_id = cursor.Fixed<uint8_t>();
  const auto kind = cursor.Fixed<uint8_t>();
  const uint64_t tenant = cursor.Varint();
  const uint64_t partition = cursor.Varint();
  TrackingId id;
  id.campaign_id = cursor.Varint();
  id.ordinal = cursor.Varint();
  const uint64_t link = cursor.Varint();
  if (!cursor.ok() || !cursor.AtEnd() || version != kVersion || key_id != kKeyId || kind < 1 || kind > 7 ||
      tenant > std::numeric_limits<uint32_t>::max() || partition > std::numeric_limits<uint16_t>::max() ||
      link > std::numeric_limits<uint32_t>::max() || id.ordinal > kOrdinalMax) {
    return forged;
  }
  id.kind = static_cast<TrackingKind>(kind);
  id.tenant = TenantId(static_cast<uint32_t>(tenant));
  id.partition = PartitionId(static_cast<uint16_t>(partition));
  id.link = static_cast<uint32_t>(link);
  const Result<const keyring::TenantKeys*> keys = keyring.FindTenant(id.tenant);
  if (!keys) return keys.error().code == Code::kNotFound ? forged : keys.error();
  const std::string_view mac = std::string_view(*decoded).substr(body.size());
  if (!keyring::ConstantTimeEqual(mac, Mac(**keys, body))) return forged;
  return id;
}

}  // namespace maily::schema
