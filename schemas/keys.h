// What contacts are found by, and which partition a thing belongs to. [format]
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "streams/base/ids.h"
#include "streams/keyring/keyring.h"

namespace maily::schema {

inline constexpr size_t kContactKeyBytes = 16;
inline constexpr uint64_t kOrdinalMax = (uint64_t{1} << 48) - 1;

// First 16 bytes of HMAC-SHA256(identity key, normalised address): the key of the contact's partition, and how it is found again.
std::string ContactKey(const keyring::TenantKeys& keys, std::string_view normalised_address);
// First 16 bytes of HMAC-SHA256(identity key, "domain:" ‖ domain as A-labels): tells that two contacts share a domain, not which.
std::string DomainKey(const keyring::TenantKeys& keys, std::string_view domain);

// 16 bytes over the personal fields (field id, plaintext) of one contact, in any order: equal = unchanged.
std::string PersonalDigest(const keyring::TenantKeys& keys, std::string_view contact_key,
                           std::span<const std::pair<std::string_view, std::string_view>> fields);
// 16 bytes over a request's canonical plaintext: equal = the same request.
std::string RequestHash(const keyring::TenantKeys& keys, std::string_view canonical);

// contact_id = partition of birth (16 bit) ‖ ordinal in tenant and partition (48 bit, from 1).
struct ContactId {
  PartitionId partition;
  uint64_t ordinal = 0;
  bool operator==(const ContactId&) const = default;
};
uint64_t PackContactId(const ContactId& id);  // CHECK: the ordinal fits
ContactId UnpackContactId(uint64_t packed);

// Where contacts, tenants and the list of tenants live.
PartitionId PartitionOfContact(std::string_view contact_key, uint16_t partition_count);
std::string HomeKey(TenantId tenant);  // "tenant/<id>": the partition key of what lives in the tenant's home
PartitionId HomeOf(TenantId tenant, uint16_t partition_count);
// "site/<name>": the partition key of what is known of a site, whatever the tenant.
std::string SiteKey(std::string_view site);
// "relay/<tenant>": by what name a tenant's mails want credits (streams/task/credits.h) where a relay takes all.
std::string RelayCredits(TenantId tenant);
// By what name messages (schemas/message_id.h) want credits where mails of campaigns want those of `key`: ahead of these. And back.
std::string MessageCredits(std::string_view key);
bool AreMessageCredits(std::string_view key);
std::string_view CreditsBehind(std::string_view key);       // of either: the name without that mark
inline constexpr std::string_view kTenantsKey = "tenants";  // partition key of the list of tenants

}  // namespace maily::schema
