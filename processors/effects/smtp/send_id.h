// Which send a mail is of: said by its Message-ID and by its envelope sender, for years. [format]
//
//   BYTES = version u8 = 1 | varints: tenant, partition, campaign, ordinal | MAC
//   MAC   = first 80 bits of HMAC-SHA256(the tenant's token key, LABEL ‖ all bytes before it)
//   Message-ID   <m BASE32(BYTES) @ domain of From>, LABEL = "maily message"
//   return path   b BASE32(BYTES) @ the domain's return path, LABEL = "maily return path"; at most 64 characters before the @
// BASE32 in lower case, without padding: it survives software that changes the case. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"

namespace maily::smtp {

struct SendId {
  TenantId tenant;
  PartitionId partition;
  uint64_t campaign_id = 0;
  uint64_t ordinal = 0;
  auto operator<=>(const SendId&) const = default;
};

// With the angle brackets.
std::string EncodeMessageId(const SendId& id, std::string_view domain, const keyring::TenantKeys& keys);
// Takes it with or without angle brackets, whatever the domain. kInvalid: not one of ours, forged, or damaged.
Result<SendId> DecodeMessageId(std::string_view message_id, keyring::Keyring& keyring);

// The address that bounces of the mail come back to.
std::string EncodeReturnPath(const SendId& id, std::string_view host, const keyring::TenantKeys& keys);
// Takes an address, whatever its domain, or the part before the @. kInvalid: not one of ours, forged, or damaged.
Result<SendId> DecodeReturnPath(std::string_view address, keyring::Keyring& keyring);

}  // namespace maily::smtp
