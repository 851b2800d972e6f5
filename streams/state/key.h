// Keys of state entries: every key begins with its tenant, numbers sort by value.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/bytes.h"
#include "streams/base/ids.h"

namespace maily::state {

inline void AppendPart(std::string& key, uint64_t part) { PutOrdered<uint64_t>(key, part); }
inline void AppendPart(std::string& key, std::string_view part) { key.append(part); }
inline size_t PartBytes(uint64_t /*part*/) { return sizeof(uint64_t); }
inline size_t PartBytes(std::string_view part) { return part.size(); }

// Key(tenant, campaign_id, chunk): tenant as 4 bytes, numbers as 8, all big-endian; a string only as the last part.
template <class... Parts>
std::string Key(TenantId tenant, const Parts&... parts) {
  std::string key;
  key.reserve(sizeof(uint32_t) + (size_t{0} + ... + PartBytes(parts)));
  PutOrdered<uint32_t>(key, tenant.value());
  (AppendPart(key, parts), ...);
  return key;
}

}  // namespace maily::state
