// See send_id.h.
#include "processors/effects/smtp/send_id.h"

#include <fmt/format.h>

#include <limits>

#include "streams/base/bytes.h"
#include "streams/keyring/cipher.h"

namespace maily::smtp {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMacBytes = 10;
constexpr size_t kLocalBytesMax = 100;
constexpr std::string_view kMessageLabel = "maily message";
constexpr std::string_view kReturnPathLabel = "maily return path";

std::string Mac(const keyring::TenantKeys& keys, std::string_view label, std::string_view bytes) {
  return keyring::HmacSha256(keys.token, {label, bytes}, kMacBytes);
}

// RFC 4648 base32 in lower case.
std::string ToBase32(std::string_view bytes) {
  static constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<uint8_t>(c);
    for (count += 8; count >= 5; count -= 5) out.push_back(kDigits[(bits >> (count - 5)) & 31]);
  }
  if (count > 0) out.push_back(kDigits[(bits << (5 - count)) & 31]);
  return out;
}

// Empty if it is no base32.
std::string FromBase32(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t digit = 0;
    if (c >= 'a' && c <= 'z') {
      digit = static_cast<uint32_t>(c - 'a');
    } else if (c >= 'A' && c <= 'Z') {
      digit = static_cast<uint32_t>(c - 'A');
    } else if (c >= '2' && c <= '7') {
      digit = static_cast<uint32_t>(c - '2' + 26);
    } else {
      return {};
    }
    bits = (bits << 5) | digit;
    count += 5;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
    }
  }
  return out;
}

// "<letter>…", without a domain.
std::string Encode(const SendId& id, char letter, std::string_view label, const keyring::TenantKeys& keys) {
  std::string bytes;
  PutFixed(bytes, kVersion);
  PutVarint(bytes, id.tenant.value());
  PutVarint(bytes, id.partition.value());
  PutVarint(bytes, id.campaign_id);
  PutVarint(bytes, id.ordinal);
  bytes += Mac(keys, label, bytes);
  return letter + ToBase32(bytes);
}

Result<SendId> Decode(std::string_view local, char letter, std::string_view label, keyring::Keyring& keyring) {
  const Error foreign = Fail(Code::kInvalid, "no {} of this platform", letter == 'm' ? "Message-ID" : "return path");
  if (local.size() < 2 || local.size() > kLocalBytesMax || (local[0] != letter && local[0] != letter - 32)) return foreign;
  const std::string bytes = FromBase32(local.substr(1));
  if (bytes.size() <= kMacBytes) return foreign;
  const std::string_view body = std::string_view(bytes).substr(0, bytes.size() - kMacBytes);
  Cursor cursor(body);
  const auto version = cursor.Fixed<uint8_t>();
  const uint64_t tenant = cursor.Varint();
  const uint64_t partition = cursor.Varint();
  SendId id;
  id.campaign_id = cursor.Varint();
  id.ordinal = cursor.Varint();
  if (!cursor.ok() || !cursor.AtEnd() || version != kVersion || tenant > std::numeric_limits<uint32_t>::max() ||
      partition > std::numeric_limits<uint16_t>::max()) {
    return foreign;
  }
  id.tenant = TenantId(static_cast<uint32_t>(tenant));
  id.partition = PartitionId(static_cast<uint16_t>(partition));
  const auto keys = keyring.FindTenant(id.tenant);
  if (!keys) return keys.error().code == Code::kNotFound ? foreign : keys.error();
  if (!keyring::ConstantTimeEqual(std::string_view(bytes).substr(body.size()), Mac(**keys, label, body))) return foreign;
  return id;
}

}  // namespace

std::string EncodeMessageId(const SendId& id, std::string_view domain, const keyring::TenantKeys& keys) {
  return fmt::format("<{}@{}>", Encode(id, 'm', kMessageLabel, keys), domain);
}

Result<SendId> DecodeMessageId(std::string_view message_id, keyring::Keyring& keyring) {
  while (message_id.starts_with(' ')) message_id.remove_prefix(1);
  if (message_id.starts_with('<')) message_id.remove_prefix(1);
  return Decode(message_id.substr(0, message_id.find('@')), 'm', kMessageLabel, keyring);
}

std::string EncodeReturnPath(const SendId& id, std::string_view host, const keyring::TenantKeys& keys) {
  return fmt::format("{}@{}", Encode(id, 'b', kReturnPathLabel, keys), host);
}

Result<SendId> DecodeReturnPath(std::string_view address, keyring::Keyring& keyring) {
  return Decode(address.substr(0, address.find('@')), 'b', kReturnPathLabel, keyring);
}

}  // namespace maily::smtp
