// The signed token in links, pixels and unsubscribe addresses of mails; lives for years. [format]
//
//   base64url, no padding, of: version u8 = 1 | key id u8 | kind u8 | varints: tenant, partition, campaign, ordinal, link | MAC 10
//   MAC = first 80 bits of HMAC-SHA256(the tenant's token key, "maily tracking" ‖ all bytes before it)
// A guess succeeds once in 2^80. It says who and what, and never a target: that comes from the campaign's immutable link table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"

namespace maily::schema {

// Of a contact whose value of this attribute is false nothing is tracked: its mails have neither tracked links nor a pixel.
inline constexpr std::string_view kTrackingAttribute = "tracking";

// Numbers are stored in mails: never renumber.
enum class TrackingKind : uint8_t { kOpen = 1, kClick = 2, kUnsubscribe = 3, kHoneypot = 4, kPreferences = 5, kConfirm = 6, kForm = 7 };

struct TrackingId {
  TrackingKind kind = TrackingKind::kOpen;
  TenantId tenant;
  PartitionId partition;     // where the contact lives
  uint64_t campaign_id = 0;  // kConfirm: the number of the ask; kForm: the form
  uint64_t ordinal = 0;      // of the contact; kForm: none
  uint32_t link = 0;         // index in the template version's links; clicks only
  bool operator==(const TrackingId&) const = default;
};

// About 30 characters. `keys` are those of id.tenant.
std::string EncodeTrackingId(const TrackingId& id, const keyring::TenantKeys& keys);
// kInvalid: forged, damaged, or of no tenant. Other codes: the keyring could not be read.
Result<TrackingId> DecodeTrackingId(std::string_view token, keyring::Keyring& keyring);

}  // namespace maily::schema
