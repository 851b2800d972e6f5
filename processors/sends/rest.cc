// See rest.h.
#include "processors/sends/rest.h"

#include <algorithm>
#include <map>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/audience/bits.h"
#include "processors/sends/clocks.h"
#include "processors/sends/evolve.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

constexpr char kAwaiting = static_cast<char>(v1::AWAITING);

}  // namespace

bool ReleaseRest(task::Context& context, uint64_t campaign_id) {
  const std::string key = state::Key(context.tenant(), campaign_id);
  const auto* run = context.view<campaigns::v1::CampaignRun>().Find(key);
  const auto* sends = context.view<v1::SendRun>().Find(key);
  if (run == nullptr || sends == nullptr || sends->awaiting() == 0) return false;
  const bool cancelled = run->state() == campaigns::v1::CANCELLING;
  if (run->winner() == 0 && !cancelled) return false;
  v1::RestReleased released;
  released.set_campaign_id(campaign_id);
  released.set_winner(cancelled ? 0 : run->winner());
  context.view<v1::SendChunk>().Scan(key, {}, [&](std::string_view at, const v1::SendChunk& chunk) {
    const size_t first = chunk.statuses().find(kAwaiting);
    if (first == std::string::npos) return true;
    released.set_first_ordinal(Cursor(at.substr(key.size())).Ordered<uint64_t>() * kChunkOrdinals + 1 + first);
    for (size_t i = first; i < chunk.statuses().size(); ++i) {
      if (chunk.statuses()[i] == kAwaiting) audience::SetBit(*released.mutable_rest(), i - first, true);
    }
    return false;
  });
  MAILY_CHECK(!released.rest().empty(), "campaign {}: {} wait for a winner, and no chunk has them", campaign_id, sends->awaiting());
  context.Emit(released);
  return true;
}

void Evolve(task::Fold& fold, const v1::RestReleased& event) {
  const uint64_t campaign_id = event.campaign_id();
  const std::string key = state::Key(fold.tenant(), campaign_id);
  const uint64_t before = event.first_ordinal() - 1;
  v1::SendChunk& chunk = fold.table<v1::SendChunk>().Edit(state::Key(fold.tenant(), campaign_id, before / kChunkOrdinals));
  const auto* zones = fold.view<v1::ZoneChunk>().Find(state::Key(fold.tenant(), campaign_id, before / kChunkOrdinals));
  const auto* of = fold.view<campaigns::v1::CampaignRun>().Find(key);
  const bool by_clock = of != nullptr && of->by_clock();
  const bool skipped = event.winner() == 0;
  std::map<uint64_t, uint64_t> lanes;                            // new in each
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> of_buckets;  // by bucket and lane
  uint64_t released = 0;
  for (uint64_t i = 0; i < 8 * event.rest().size(); ++i) {
    if (!audience::BitAt(event.rest(), i)) continue;
    const size_t at = before % kChunkOrdinals + i;
    ++released;
    (*chunk.mutable_statuses())[at] = static_cast<char>(skipped ? v1::SKIPPED : v1::PENDING);
    if (skipped) continue;
    (*chunk.mutable_verdicts())[at] = static_cast<char>(64 + event.winner() - 1);
    const uint64_t lane = at < chunk.lanes().size() ? static_cast<uint8_t>(chunk.lanes()[at]) : 0;
    ++lanes[lane];
    const uint64_t bucket = !by_clock || zones == nullptr || at >= zones->buckets().size() ? 0 : static_cast<uint8_t>(zones->buckets()[at]);
    if (bucket != 0) ++of_buckets[{bucket, lane}];
  }
  v1::SendRun& run = fold.table<v1::SendRun>().Edit(key);
  run.set_awaiting(run.awaiting() - released);
  if (skipped) run.mutable_counts()->set_skipped(run.counts().skipped() + released);
  if (!skipped) run.set_cursor(std::min(run.cursor(), before));
  for (const auto& [number, count] : lanes) {
    v1::SendLane& lane = fold.table<v1::SendLane>().Edit(state::Key(fold.tenant(), campaign_id, number));
    lane.set_cursor(std::min(lane.cursor(), before));
    lane.set_left(lane.left() + count);
  }
  for (const auto& [where, count] : of_buckets) {
    const auto& [number, lane] = where;
    v1::ZoneBucket& bucket = fold.table<v1::ZoneBucket>().Edit(state::Key(fold.tenant(), campaign_id, number));
    bucket.set_left(bucket.left() + count);
    auto parts = fold.table<v1::ZoneLane>();
    const std::string part_key = state::Key(fold.tenant(), campaign_id, number, lane);
    const v1::ZoneLane* known = parts.Find(part_key);
    const uint64_t cursor = known == nullptr || known->left() == 0 ? before : std::min(known->cursor(), before);
    v1::ZoneLane& part = parts.Edit(part_key);
    part.set_cursor(cursor);
    part.set_left(part.left() + count);
  }
  fold.AddWork(kSend, SendSubject(campaign_id));
}

}  // namespace maily::sends
