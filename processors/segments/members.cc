// See members.h.
#include "processors/segments/members.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "processors/audience/segment_language.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::segments {

std::string ChunkKey(TenantId tenant, uint64_t segment_id, uint64_t ordinal) {
  return state::Key(tenant, segment_id, (ordinal - 1) / kChunkOrdinals);
}

bool IsMember(const state::View<v1::SegmentMembers>& members, TenantId tenant, uint64_t segment_id, uint64_t ordinal) {
  const v1::SegmentMembers* chunk = members.Find(ChunkKey(tenant, segment_id, ordinal));
  return chunk != nullptr && BitAt(chunk->bits(), PlaceOf(ordinal));
}

namespace {

bool NextHolds(const v1::SegmentRun& run, uint64_t ordinal) {
  return run.next_version() != 0 && (ordinal <= run.planned_to() || ordinal > run.last_ordinal());
}

}  // namespace

const v1::Expression* ExpressionFor(const v1::SegmentRun& run, uint64_t ordinal) {
  if (NextHolds(run, ordinal)) return &run.next();
  return run.version() == 0 ? nullptr : &run.expression();
}

uint32_t VersionFor(const v1::SegmentRun& run, uint64_t ordinal) { return NextHolds(run, ordinal) ? run.next_version() : run.version(); }

v1::SegmentIndex IndexOf(const state::View<v1::SegmentRun>& runs, TenantId tenant) {
  std::map<std::tuple<int, uint64_t, std::string>, std::set<uint64_t>> wakes;
  std::set<uint64_t> timed;
  v1::SegmentIndex index;
  const std::string prefix = state::Key(tenant);
  runs.Scan(prefix, {}, [&](std::string_view key, const v1::SegmentRun& run) {
    const auto segment_id = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
    index.add_all(segment_id);
    for (const v1::Expression* expression : {&run.expression(), &run.next()}) {
      const auto dependencies = audience::DependenciesOf(*expression);
      for (const auto& one : dependencies.wakes) wakes[{one.kind, one.id, one.name}].insert(segment_id);
      if (dependencies.timed) timed.insert(segment_id);
    }
    return true;
  });
  for (const auto& [what, segments] : wakes) {
    v1::Wake& wake = *index.add_wakes();
    wake.set_kind(static_cast<v1::WakeKind>(std::get<0>(what)));
    wake.set_id(std::get<1>(what));
    wake.set_name(std::get<2>(what));
    for (const uint64_t segment_id : segments) wake.add_segments(segment_id);
  }
  for (const uint64_t segment_id : timed) index.add_timed(segment_id);
  return index;
}

const v1::Wake* FindWake(const v1::SegmentIndex& index, v1::WakeKind kind, uint64_t id, std::string_view name) {
  const auto key = [](const v1::Wake& wake) { return std::tuple<int, uint64_t, std::string_view>(wake.kind(), wake.id(), wake.name()); };
  const std::tuple<int, uint64_t, std::string_view> wanted(kind, id, name);
  const auto found = std::ranges::lower_bound(index.wakes(), wanted, {}, key);
  return found != index.wakes().end() && key(*found) == wanted ? &*found : nullptr;
}

std::string SignalKey(TenantId tenant, uint64_t ordinal, v1::SignalKind kind, uint64_t campaign_id, std::string_view event) {
  return state::Key(tenant, ordinal, uint64_t{static_cast<uint32_t>(kind)}, campaign_id, event);
}

}  // namespace maily::segments
