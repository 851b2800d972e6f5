// See entrants.h.
#include "processors/campaigns/entrants.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/audience/bits.h"
#include "processors/audience/reach.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/evolve.h"
#include "processors/campaigns/slices.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using audience::BitAt;
using audience::SetBit;
using Ids = google::protobuf::RepeatedField<uint64_t>;

bool Has(const Ids& ascending, uint64_t id) { return std::binary_search(ascending.begin(), ascending.end(), id); }

void Sorted(const Ids& from, Ids& into) {
  into = from;
  std::sort(into.begin(), into.end());
}

// Null: no evergreen campaign runs.
const v1::EvergreenIndex* Index(const task::Fold& fold) { return fold.view<v1::EvergreenIndex>().Find(state::Key(fold.tenant())); }

bool HasVerdict(const state::View<sends::v1::SendChunk>& chunks, TenantId tenant, uint64_t campaign_id, uint64_t ordinal) {
  const auto* chunk = chunks.Find(state::Key(tenant, campaign_id, audience::ChunkOf(ordinal)));
  const uint64_t place = audience::PlaceOf(ordinal);
  return chunk != nullptr && place < chunk->verdicts().size() && chunk->verdicts()[place] != 0;
}

// Takes note of the contact, for those campaigns that `concerns`.
template <class Concerns>
void Note(task::Fold& fold, uint64_t ordinal, Concerns concerns) {
  const v1::EvergreenIndex* index = Index(fold);
  if (index == nullptr) return;
  for (const v1::Evergreen& campaign : index->campaigns()) {
    const uint64_t id = campaign.campaign_id();
    if (!concerns(campaign) || HasVerdict(fold.view<sends::v1::SendChunk>(), fold.tenant(), id, ordinal)) continue;
    const std::string key = state::Key(fold.tenant(), id, audience::ChunkOf(ordinal));
    SetBit(*fold.table<v1::CampaignEntrants>().Edit(key).mutable_bits(), audience::PlaceOf(ordinal), true);
    fold.AddWork(kTakeIn, PlanSubject(id));
  }
}

// All contacts are in its audience, but for what it excludes.
bool IsForAll(const v1::Evergreen& campaign) { return campaign.list_ids().empty() && campaign.segment_ids().empty(); }

bool IsNoted(const task::Fold& fold, uint64_t campaign_id) {
  bool noted = false;
  fold.view<v1::CampaignEntrants>().Scan(state::Key(fold.tenant(), campaign_id), {}, [&](std::string_view, const auto&) {
    noted = true;
    return false;
  });
  return noted;
}

void Unindex(task::Fold& fold, uint64_t campaign_id) {
  const v1::EvergreenIndex* index = Index(fold);
  if (index == nullptr) return;
  v1::EvergreenIndex left;
  for (const v1::Evergreen& campaign : index->campaigns()) {
    if (campaign.campaign_id() != campaign_id) *left.add_campaigns() = campaign;
  }
  const std::string key = state::Key(fold.tenant());
  if (left.campaigns().empty()) return fold.table<v1::EvergreenIndex>().Erase(key);
  fold.table<v1::EvergreenIndex>().Replace(key) = left;
}

// The first who are noted, of one chunk and at most kPlanOrdinals.
struct Noted {
  uint64_t first = 0;  // 0: nobody
  uint64_t last = 0;
  std::string bits;  // of first … last
};

Noted FirstNoted(const task::Context& context, uint64_t campaign_id) {
  Noted noted;
  const std::string prefix = state::Key(context.tenant(), campaign_id);
  context.view<v1::CampaignEntrants>().Scan(prefix, {}, [&](std::string_view key, const v1::CampaignEntrants& chunk) {
    const uint64_t before = Cursor(key.substr(prefix.size())).Ordered<uint64_t>() * audience::kBitsOrdinals;
    uint64_t place = 0;
    while (!BitAt(chunk.bits(), place)) ++place;  // there is one: no chunk is empty
    noted.first = before + place + 1;
    const uint64_t end = std::min<uint64_t>(place + kPlanOrdinals, 8 * chunk.bits().size());
    for (uint64_t at = place; at < end; ++at) {
      if (!BitAt(chunk.bits(), at)) continue;
      SetBit(noted.bits, at - place, true);
      noted.last = before + at + 1;
    }
    return false;
  });
  return noted;
}

// Takes out those whose segments are yet to be decided, so that nobody comes in by what he was before. False: there are too many to look
// at.
bool WithoutPending(const task::Context& context, Noted& noted) {
  const std::string tenant = state::Key(context.tenant());
  const auto now_s = static_cast<uint64_t>(context.now().us / 1'000'000);
  size_t looked_at = 0;
  context.view<segments::v1::SegmentCheck>().Scan(tenant, {}, [&](std::string_view key, const auto&) {
    Cursor cursor(key.substr(tenant.size()));
    if (cursor.Ordered<uint64_t>() > now_s || ++looked_at > kChecksMax) return false;
    const auto ordinal = cursor.Ordered<uint64_t>();
    if (ordinal >= noted.first && ordinal <= noted.last) SetBit(noted.bits, ordinal - noted.first, false);
    return true;
  });
  return looked_at <= kChecksMax;
}

}  // namespace

// ---- In the home ----

void Decide(task::Context& context, const v1::FinishCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::LAUNCHED, v1::STATUS_PAUSED}, "campaign_not_running");
  if (campaign == nullptr) return;
  if (!campaign->spec().evergreen()) {
    return context.Refuse(
        journal::Outcome::kConflict, "campaign_not_evergreen",
        fmt::format("campaign {} is not evergreen: it is completed by itself; to stop it, pause or cancel it", command.campaign_id()));
  }
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("entry", "finishing");
  if (campaign->finishing()) return context.Unchanged();
  v1::CampaignFinishing finishing;
  finishing.set_campaign_id(command.campaign_id());
  context.Emit(finishing);
}

void Evolve(task::Fold& fold, const v1::CampaignFinishing& event) {
  fold.table<v1::Campaign>().Edit(state::Key(fold.tenant(), event.campaign_id())).set_finishing(true);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::CampaignFinishing& finishing) {
  const v1::CampaignRun* run = RunOf(context, finishing.campaign_id());
  if (run == nullptr || run->finishing() || run->state() == v1::CANCELLING) return context.Unchanged();
  v1::RunStateChanged changed;
  changed.set_campaign_id(finishing.campaign_id());
  changed.set_state(run->state());
  changed.set_finishing(true);
  context.Emit(changed);
}

void BeginEntry(task::Fold& fold, uint64_t campaign_id, const v1::CampaignSpec& spec) {
  if (!spec.evergreen()) return;
  v1::Evergreen& campaign = *fold.table<v1::EvergreenIndex>().Edit(state::Key(fold.tenant())).add_campaigns();
  campaign.set_campaign_id(campaign_id);
  for (const uint64_t list_id : audience::ListsOf(spec)) campaign.add_list_ids(list_id);
  Sorted(spec.segment_ids(), *campaign.mutable_segment_ids());
  Sorted(spec.exclude_list_ids(), *campaign.mutable_exclude_list_ids());
  Sorted(spec.exclude_segment_ids(), *campaign.mutable_exclude_segment_ids());
}

void ChangeEntry(task::Fold& fold, const v1::RunStateChanged& event) {
  const uint64_t campaign_id = event.campaign_id();
  const bool cancelled = event.state() == v1::CANCELLING;
  if (cancelled || event.finishing()) Unindex(fold, campaign_id);
  if (!cancelled) return WakeEntry(fold, campaign_id);
  std::vector<std::string> keys;
  fold.view<v1::CampaignEntrants>().Scan(state::Key(fold.tenant(), campaign_id), {}, [&](std::string_view key, const auto&) {
    keys.emplace_back(key);
    return true;
  });
  for (const std::string& key : keys) fold.table<v1::CampaignEntrants>().Erase(key);
  if (!keys.empty()) fold.RemoveWork(kTakeIn, PlanSubject(campaign_id));
}

void WakeEntry(task::Fold& fold, uint64_t campaign_id) {
  if (IsNoted(fold, campaign_id)) fold.AddWork(kTakeIn, PlanSubject(campaign_id));
}

void Enter(task::Fold& fold, const v1::AudiencePlanned& event) {
  auto entrants = fold.table<v1::CampaignEntrants>();
  const std::string key = state::Key(fold.tenant(), event.campaign_id(), audience::ChunkOf(event.first_ordinal()));
  std::string& bits = *entrants.Edit(key).mutable_bits();
  for (uint64_t i = 0; i < 8 * event.entrants().size(); ++i) {
    if (BitAt(event.entrants(), i)) SetBit(bits, audience::PlaceOf(event.first_ordinal()) + i, false);
  }
  if (bits.empty()) entrants.Erase(key);
  if (!IsNoted(fold, event.campaign_id())) fold.RemoveWork(kTakeIn, PlanSubject(event.campaign_id()));
}

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event) { Note(fold, event.ordinal(), IsForAll); }

// Whoever has confirmed a list is no stranger any more to what leads in otherwise.
void Evolve(task::Fold& fold, const lists::v1::MemberJoined& event) {
  Note(fold, event.ordinal(), [&](const v1::Evergreen& campaign) {
    return Has(campaign.list_ids(), event.list_id()) || IsForAll(campaign) || !campaign.segment_ids().empty();
  });
}

void Evolve(task::Fold& fold, const lists::v1::MemberLeft& event) {
  Note(fold, event.ordinal(), [&](const v1::Evergreen& campaign) { return Has(campaign.exclude_list_ids(), event.list_id()); });
}

void Evolve(task::Fold& fold, const segments::v1::MembershipsDecided& event) {
  if (Index(fold) == nullptr) return;
  for (const segments::v1::MembershipChange& change : event.changes()) {
    Note(fold, change.ordinal(), [&](const v1::Evergreen& campaign) {
      return std::ranges::any_of(change.entered(), [&](uint64_t id) { return Has(campaign.segment_ids(), id); }) ||
             std::ranges::any_of(change.left(), [&](uint64_t id) { return Has(campaign.exclude_segment_ids(), id); });
    });
  }
}

void Evolve(task::Fold& fold, const segments::v1::SegmentPlanned& event) {
  if (Index(fold) == nullptr) return;
  for (uint64_t i = 0; i < event.count(); ++i) {
    if (!BitAt(event.changed(), i)) continue;
    const bool member = BitAt(event.members(), i);
    Note(fold, event.first_ordinal() + i, [&](const v1::Evergreen& campaign) {
      return Has(member ? campaign.segment_ids() : campaign.exclude_segment_ids(), event.segment_id());
    });
  }
}

task::SliceEnd TakeIn(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const v1::CampaignRun* run = RunOf(context, campaign_id);
  MAILY_CHECK(run != nullptr, "campaign {} of tenant {} takes somebody in and is not there", campaign_id, context.tenant().value());
  const auto* sends = context.view<sends::v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  const bool test_open = run->spec().has_test() && run->winner() == 0;
  if (run->state() != v1::RUNNING || sends == nullptr || !sends->planned() || test_open) return task::SliceEnd::kWaiting;
  if (!audience::IsReady(run->spec(), context.tenant(), context.view<segments::v1::SegmentRun>())) return task::SliceEnd::kMore;
  Noted noted = FirstNoted(context, campaign_id);
  MAILY_CHECK(noted.first != 0, "campaign {}: there is work for entrants, and nobody is noted", campaign_id);
  const bool by_segments = !run->spec().segment_ids().empty() || !run->spec().exclude_segment_ids().empty();
  if (by_segments && (!WithoutPending(context, noted) || noted.bits.empty())) {
    // Deciding them is work of this same tenant, which ends by itself; or a timer begins it.
    const auto* clock = context.view<segments::v1::SegmentClock>().Find(state::Key(context.tenant()));
    return clock != nullptr && clock->working() ? task::SliceEnd::kMore : task::SliceEnd::kWaiting;
  }
  PlanEntrants(context, campaign_id, *run, noted.first, noted.last, noted.bits);
  return task::SliceEnd::kMore;
}

}  // namespace maily::campaigns
