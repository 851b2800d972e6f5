// See site_leases.h; the numbers in the body are those of its steps.
#include "processors/effects/smtp/site_leases.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "maily/sites/v1/commands.pb.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/observe/logging.h"

namespace maily::smtp {
namespace {

constexpr Duration kSweep = Seconds(10);         // how soon leases that are over are returned
constexpr Duration kAskAgainMax = Seconds(300);  // after "none are left": others may have returned some
constexpr Duration kAskAgainMin = Seconds(1);

template <class Command>
void AddTally(Site& site, Command& command) {
  const SiteTally tally = site.TakeTally();
  if (tally.delivered + tally.slowed + tally.bounced == 0) return;
  command.mutable_tally()->set_delivered(tally.delivered);
  command.mutable_tally()->set_slowed(tally.slowed);
  command.mutable_tally()->set_bounced(tally.bounced);
}

}  // namespace

std::shared_ptr<SiteLeases> SiteLeases::Make(std::shared_ptr<SiteHome> home, std::shared_ptr<Sites> sites) {
  auto leases = std::make_shared<SiteLeases>(std::move(home), sites);
  // 1.
  sites->OnWant([weak = std::weak_ptr(leases)](const std::shared_ptr<Site>& site) {
    const auto self = weak.lock();
    if (!self) return;
    self->home_->executor().Post([weak, site] {
      if (const auto on_executor = weak.lock()) on_executor->Want(site);
    });
  });
  return leases;
}

// 2.
void SiteLeases::Want(const std::shared_ptr<Site>& site) {
  if (stopping_) return;
  sites::v1::LeaseSite lease;
  lease.set_site(site->name());
  sites::v1::SiteLimits& limits = *lease.mutable_limits();
  limits.set_mails_per_hour(site->policy().mails_per_hour);
  limits.set_mails_per_day(site->policy().mails_per_day);
  limits.mutable_warm_up()->Assign(site->policy().warm_up.begin(), site->policy().warm_up.end());
  limits.set_hold_percent(site->policy().hold_percent);
  AddTally(*site, lease);
  home_->Ask(site->name(), TypeNumberOf<sites::v1::LeaseSite>(), schema::Encode(lease),
             [weak = weak_from_this(), site](const std::string& answer) {
               if (const auto self = weak.lock()) self->Answered(site, answer);
             });
}

// 3.
void SiteLeases::Answered(const std::shared_ptr<Site>& site, const std::string& answer) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  SiteLease lease;
  if (json.is_object() && json.contains("mails") && json.contains("hour") && json.contains("until_us")) {
    lease = {.mails = json["mails"].get<uint64_t>(), .hour = json["hour"].get<int64_t>(), .until = {json["until_us"].get<int64_t>()}};
    lease.used_up = lease.mails == 0;
  } else {
    observe::Log(observe::Level::kWarn, "no mails are leased to a site", {{"site", site->name()}, {"answer", answer}});
  }
  const Duration now = home_->clock().Steady();
  Duration again = now;
  if (lease.mails == 0) again = now + std::clamp(lease.until - home_->clock().Now(), kAskAgainMin, kAskAgainMax);
  sites_->Lend(*site, lease, again);
  if (stopping_) return Return(*site, true, nullptr);
  if (lease.mails > 0) ArmSweep();
}

// 4.
void SiteLeases::Return(Site& site, bool all, const std::shared_ptr<Job>& last) {
  for (const SiteLease& over : site.TakeUnspent(home_->clock().Now(), all)) {
    sites::v1::ReturnSiteLease back;
    back.set_site(site.name());
    back.set_hour(over.hour);
    back.set_mails(over.mails);
    AddTally(site, back);
    home_->Tell(site.name(), TypeNumberOf<sites::v1::ReturnSiteLease>(), schema::Encode(back), [last] {});
  }
}

void SiteLeases::ArmSweep() {
  if (std::exchange(sweeping_, true)) return;
  home_->executor().After(kSweep, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->sweeping_ = false;
    bool any = false;
    for (const auto& site : self->sites_->All()) {
      if (!site->policy().leased()) continue;
      self->Return(*site, false, nullptr);
      any = any || site->holds_leases();
    }
    if (any) self->ArmSweep();
  });
}

void SiteLeases::Stop(Job done) {
  home_->executor().Post([self = shared_from_this(), done = std::move(done)]() mutable {
    self->stopping_ = true;
    // Called when the last one who holds it has let it go.
    const std::shared_ptr<Job> last(new Job(std::move(done)), [](Job* job) {
      if (*job) (*job)();
      delete job;
    });
    for (const auto& site : self->sites_->All()) self->Return(*site, true, last);
  });
}

}  // namespace maily::smtp
