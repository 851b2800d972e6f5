// See zones.h.
#include "processors/campaigns/zones.h"

#include <fmt/format.h>

#include "maily/sends/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

const v1::SendingRules* RulesOf(const task::Context& context) {
  return context.view<v1::SendingRules>().Find(state::Key(context.tenant()));
}

const schema::Zone& TenantsZone(const task::Context& context, const v1::CampaignSpec& spec) {
  const schema::Zone* zone = spec.has_start() ? schema::ZoneNamed(spec.start().zone()) : nullptr;
  return zone != nullptr ? *zone : compliance::ZoneOf(RulesOf(context));
}

}  // namespace

bool GoesByClock(const task::Context& context, const v1::CampaignSpec& spec) {
  return spec.start().per_contact() || compliance::Quiet(RulesOf(context), spec).any();
}

std::string AgreeIn(const schema::Zone& zone, Instant now, Instant due) {
  std::string agree = fmt::format("{} {}", due.us, zone.OffsetAt(now));
  Instant at = now;
  while (const auto change = zone.NextChange(at, now + kAgreeFor)) {
    at = *change;
    agree += fmt::format(" {} {}", at.us, zone.OffsetAt(at));
  }
  return agree;
}

Clocks::Clocks(const task::Context& context, uint64_t campaign_id, const v1::CampaignRun& run)
    : context_(context), run_(run), quiet_(RulesOf(context), run.spec()), tenants_(TenantsZone(context, run.spec())) {
  planned_.set_campaign_id(campaign_id);
  if (run.spec().start().per_contact()) wall_ = schema::ParseWallTime(run.spec().start().local());
  const std::string prefix = state::Key(context.tenant(), campaign_id);
  context.view<sends::v1::ZoneBucket>().Scan(prefix, {}, [&](std::string_view key, const sends::v1::ZoneBucket& bucket) {
    by_agreement_.emplace(bucket.agree(), static_cast<uint8_t>(Cursor(key.substr(prefix.size())).Ordered<uint64_t>()));
    return true;
  });
}

Clocks::Place Clocks::Of(const contacts::v1::Contact& contact) {
  const schema::Zone* own = compliance::OwnZone(contact);
  if (own == nullptr) planned_.set_without_zone(planned_.without_zone() + 1);
  return Of(own == nullptr ? tenants_ : *own);
}

Clocks::Place Clocks::Of(const schema::Zone& zone) {
  if (const auto known = by_zone_.find(zone.name()); known != by_zone_.end()) return known->second;
  const Place place = Find(zone);
  by_zone_.emplace(zone.name(), place);
  return place;
}

Clocks::Place Clocks::Find(const schema::Zone& zone) {
  const Instant opened{run_.opened_at_us()};
  const Instant now = context_.now();
  const Instant due = wall_ ? zone.InstantOf(*wall_) : Instant();
  // As of the start, so that a slower planning skips no more.
  if (wall_ && opened - due > (run_.spec().start().skip_late() ? kSkippedAfter : kLateMax)) return {0, v1::LATE};
  const Instant opens = quiet_.Open(zone, std::max(now, due));
  if (opens - std::max(opened, due) > compliance::TtlOf(run_.spec())) return {0, v1::QUIET_HOURS};
  const std::string agree = AgreeIn(zone, opened, due);
  if (const auto found = by_agreement_.find(agree); found != by_agreement_.end()) return {found->second};
  if (by_agreement_.size() >= kBucketsMax) return &zone == &tenants_ ? Place{1} : Of(tenants_);
  v1::NewBucket& bucket = *planned_.add_new_buckets();
  bucket.set_zone(zone.name());
  bucket.set_due_us(due.us);
  bucket.set_agree(agree);
  if (opens > now) bucket.set_opens_at_us(opens.us);
  const auto number = static_cast<uint8_t>(by_agreement_.size() + 1);
  by_agreement_.emplace(agree, number);
  return {number};
}

}  // namespace maily::campaigns
