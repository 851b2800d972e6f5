// See evolve.h.
#include "processors/sites/evolve.h"

#include <algorithm>

#include "maily/sites/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::sites {
namespace {

constexpr TenantId kPlatform{0};
constexpr int64_t kHoursOfDay = 24;

v1::Site& EditSite(task::Fold& fold, const std::string& name) { return fold.table<v1::Site>().Edit(state::Key(kPlatform, name)); }

}  // namespace

void Evolve(task::Fold&, const v1::SiteSlowed&) {}
void Evolve(task::Fold&, const v1::SiteRecovered&) {}

void Evolve(task::Fold& fold, const v1::SiteSuspended& event) {
  v1::Site& site = EditSite(fold, event.site());
  site.set_suspended(true);
  site.set_draining(false);
  site.set_revision(event.revision());
}

void Evolve(task::Fold& fold, const v1::SiteDrained& event) {
  v1::Site& site = EditSite(fold, event.site());
  site.set_draining(true);
  site.set_revision(event.revision());
}

void Evolve(task::Fold& fold, const v1::SiteFlushed& event) { EditSite(fold, event.site()).set_flushes(event.number()); }
void Evolve(task::Fold& fold, const v1::SitePaced& event) { EditSite(fold, event.site()).set_paces(event.revision()); }

void Evolve(task::Fold& fold, const v1::SiteResumed& event) {
  v1::Site& site = EditSite(fold, event.site());
  site.set_suspended(false);
  site.set_draining(false);
  site.set_revision(event.revision());
}

void Evolve(task::Fold& fold, const v1::SiteLeased& event) {
  v1::Site& site = EditSite(fold, event.site());
  if (event.hour() != site.hour()) site.set_of_hour(0);
  if (event.hour() / kHoursOfDay != site.hour() / kHoursOfDay) site.set_of_day(0);
  site.set_hour(event.hour());
  site.set_of_hour(site.of_hour() + event.mails());
  site.set_of_day(site.of_day() + event.mails());
}

void Evolve(task::Fold& fold, const v1::SiteLeaseReturned& event) {
  v1::Site& site = EditSite(fold, event.site());
  if (event.hour() / kHoursOfDay != site.hour() / kHoursOfDay) return;
  site.set_of_day(site.of_day() - std::min<uint64_t>(event.mails(), site.of_day()));
  if (event.hour() == site.hour()) site.set_of_hour(site.of_hour() - std::min<uint64_t>(event.mails(), site.of_hour()));
}

void Evolve(task::Fold& fold, const v1::SiteLimitReached& event) { EditSite(fold, event.site()).set_limit_until_us(event.until_us()); }

void Evolve(task::Fold& fold, const v1::SiteDayBegan& event) {
  v1::Site& site = EditSite(fold, event.site());
  site.set_warm_up_day(event.day());
  site.set_warm_up_step(event.step());
  site.clear_tally();
}

void Evolve(task::Fold& fold, const v1::SiteTallied& event) {
  v1::SiteTally& tally = *EditSite(fold, event.site()).mutable_tally();
  tally.set_delivered(tally.delivered() + event.tally().delivered());
  tally.set_slowed(tally.slowed() + event.tally().slowed());
  tally.set_bounced(tally.bounced() + event.tally().bounced());
}

void Evolve(task::Fold& fold, const v1::SiteSuspensionSet& event) {
  v1::SiteSuspension& suspension = fold.table<v1::SiteSuspension>().Edit(state::Key(kPlatform, event.site()));
  suspension.set_suspended(event.suspended());
  suspension.set_draining(event.draining());
  suspension.set_reason(event.reason());
  suspension.set_revision(event.revision());
}

void Evolve(task::Fold& fold, const v1::SiteFlushSet& event) {
  v1::SiteFlush& flush = fold.table<v1::SiteFlush>().Edit(state::Key(kPlatform, event.site()));
  flush.set_number(event.number());
  flush.set_order(event.order());
  flush.set_at_us(fold.now().us);
  fold.table<v1::SiteFlushes>().Edit(state::Key(kPlatform)).set_newest(event.order());
}

void Evolve(task::Fold& fold, const v1::SitePaceSet& event) {
  v1::SitePace& pace = fold.table<v1::SitePace>().Edit(state::Key(kPlatform, event.site()));
  pace.set_slowed(event.slowed());
  pace.set_revision(event.revision());
  pace.set_pause_us(event.pause_us());
  pace.set_pause_ends_at_us(event.pause_ends_at_us());
}

}  // namespace maily::sites
