// Keys of what is kept of instances, and of what is due.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/state/key.h"

namespace maily::journeys {

// One contact in one journey, once for each key of a journey that is keyed.
struct InstanceRef {
  uint64_t journey_id = 0;
  uint64_t ordinal = 0;
  std::string key = {};
  auto operator<=>(const InstanceRef&) const = default;
};

inline std::string InstanceKey(TenantId tenant, const InstanceRef& ref) {
  return state::Key(tenant, ref.ordinal, ref.journey_id, std::string_view(ref.key));
}
inline std::string PresenceKey(TenantId tenant, const InstanceRef& ref) {
  return state::Key(tenant, ref.journey_id, ref.ordinal, std::string_view(ref.key));
}
inline std::string DueKey(TenantId tenant, int64_t due_s, const InstanceRef& ref) {
  return state::Key(tenant, static_cast<uint64_t>(due_s), ref.ordinal, ref.journey_id, std::string_view(ref.key));
}
inline std::string IdSubject(uint64_t id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, id);
  return subject;
}

}  // namespace maily::journeys
