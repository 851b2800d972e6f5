// What the API hands out to be given back: consistency tokens and page cursors, opaque and signed by the tenant.
//
// A token says which commands a request made, so that a read can wait for them; a cursor says where a page ended. Both are
// base64url(version u8 | body | 10 bytes of HMAC-SHA256(the tenant's token key, label ‖ version ‖ body)), so one of another tenant, of
// another list, or changed by one bit is refused.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "projections/sql/sql.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"

namespace maily::gateway {

// Of all commands the last of each partition counts, as partitions are decided in order. About 12 characters a partition.
std::string EncodeToken(std::span<const CommandAt> at, const keyring::TenantKeys& keys);
// kInvalid: forged, damaged, or of another tenant.
Result<std::vector<CommandAt>> DecodeToken(std::string_view token, const keyring::TenantKeys& keys);

// `list` names what is paged through, its filters included. The values are those of the last row's key.
std::string EncodeCursor(std::string_view list, std::span<const sql::Value> last, const keyring::TenantKeys& keys);
// kInvalid: as above, or of another list.
Result<std::vector<sql::Value>> DecodeCursor(std::string_view cursor, std::string_view list, const keyring::TenantKeys& keys);

}  // namespace maily::gateway
