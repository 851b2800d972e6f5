// Memberships as bits, and which expression of a segment a contact is judged by.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maily/segments/v1/state.pb.h"
#include "processors/audience/bits.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::segments {

inline constexpr uint64_t kChunkOrdinals = audience::kBitsOrdinals;

using audience::BitAt;
using audience::PlaceOf;
using audience::SetBit;

// Key of the chunk of an ordinal (from 1).
std::string ChunkKey(TenantId tenant, uint64_t segment_id, uint64_t ordinal);

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
