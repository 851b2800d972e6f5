// Contact keys, contact ids and partitions.
#include "schemas/keys.h"

#include <algorithm>
#include <vector>

#include "streams/base/bytes.h"
#include "streams/port/topic.h"

namespace maily::schema {

std::string ContactKey(const keyring::TenantKeys& keys, std::string_view normalised_address) {
  return keyring::HmacSha256(keys.identity, {normalised_address}, kContactKeyBytes);
}

std::string DomainKey(const keyring::TenantKeys& keys, std::string_view domain) {
  return keyring::HmacSha256(keys.identity, {"domain:", domain}, kContactKeyBytes);
}

std::string PersonalDigest(const keyring::TenantKeys& keys, std::string_view contact_key,
                           std::span<const std::pair<std::string_view, std::string_view>> fields) {
  std::vector<std::pair<std::string_view, std::string_view>> sorted(fields.begin(), fields.end());
  std::ranges::sort(sorted);
  std::string text;
  PutBytes(text, contact_key);
  for (const auto& [field_id, plaintext] : sorted) {
    PutBytes(text, field_id);
    PutBytes(text, plaintext);
  }
  std::string digest = keyring::HmacSha256(keys.digest, {text}, 16);
  explicit_bzero(text.data(), text.size());
  return digest;
}

std::string RequestHash(const keyring::TenantKeys& keys, std::string_view canonical) {
  return keyring::HmacSha256(keys.request, {canonical}, 16);
}

uint64_t PackContactId(const ContactId& id) {
  MAILY_CHECK(id.ordinal <= kOrdinalMax, "ordinal {} has more than 48 bits", id.ordinal);
  return (uint64_t{id.partition.value()} << 48) | id.ordinal;
}

ContactId UnpackContactId(uint64_t packed) { return {PartitionId(static_cast<uint16_t>(packed >> 48)), packed & kOrdinalMax}; }

PartitionId PartitionOfContact(std::string_view contact_key, uint16_t partition_count) { return PartitionOf(contact_key, partition_count); }

std::string HomeKey(TenantId tenant) { return fmt::format("tenant/{}", tenant.value()); }

std::string RelayCredits(TenantId tenant) { return fmt::format("relay/{}", tenant.value()); }

namespace {
// No relay's name begins so; that the key of a domain does (16 bytes of a MAC) happens once in 2^64.
constexpr std::string_view kMessageMark = "message/";
}  // namespace

std::string MessageCredits(std::string_view key) { return std::string(kMessageMark).append(key); }
bool AreMessageCredits(std::string_view key) { return key.starts_with(kMessageMark); }
std::string_view CreditsBehind(std::string_view key) { return AreMessageCredits(key) ? key.substr(kMessageMark.size()) : key; }

std::string SiteKey(std::string_view site) { return "site/" + std::string(site); }

PartitionId HomeOf(TenantId tenant, uint16_t partition_count) { return PartitionOf(HomeKey(tenant), partition_count); }

}  // namespace maily::schema
