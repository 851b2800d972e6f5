// Memberships as bits, and which expression of a segment a contact is judged by.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maily/segments/v1/state.pb.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::segments {

inline constexpr uint64_t kChunkOrdinals = 4096;  // [format]

inline bool BitAt(std::string_view bits, uint64_t at) {
  return at / 8 < bits.size() && (static_cast<uint8_t>(bits[at / 8]) >> (at % 8) & 1) != 0;
}
// Grows as it must; takes trailing zero bytes off.
void SetBit(std::string& bits, uint64_t at, bool member);

// Key of the chunk of an ordinal (from 1), and the ordinal's place in it.
std::string ChunkKey(TenantId tenant, uint64_t segment_id, uint64_t ordinal);
inline uint64_t PlaceOf(uint64_t ordinal) { return (ordinal - 1) % kChunkOrdinals; }

bool IsMember(const state::View<v1::SegmentMembers>& members, TenantId tenant, uint64_t segment_id, uint64_t ordinal);

// Null: none yet, the first version has not come to this contact.
const v1::Expression* ExpressionFor(const v1::SegmentRun& run, uint64_t ordinal);
uint32_t VersionFor(const v1::SegmentRun& run, uint64_t ordinal);

// What the runs of a tenant depend on.
v1::SegmentIndex IndexOf(const state::View<v1::SegmentRun>& runs, TenantId tenant);
// The segments that a change can concern; null: none.
const v1::Wake* FindWake(const v1::SegmentIndex& index, v1::WakeKind kind, uint64_t id, std::string_view name);

std::string SignalKey(TenantId tenant, uint64_t ordinal, v1::SignalKind kind, uint64_t campaign_id, std::string_view event);

}  // namespace maily::segments
