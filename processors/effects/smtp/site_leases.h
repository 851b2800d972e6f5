// Leases of a process: asked for when a site with a limit of an hour or a day wants to begin mails, and given back when they are over.
//
//   1 Site::Take finds too little left, and wants more   2 LeaseSite is asked of the site's home, one at a time a site
//   3 the answer is lent to the site, and granters share it out   4 what is over and not begun is returned (ReturnSiteLease)
// A process that is killed returns nothing: what it had leased counts as sent.
#pragma once

#include <memory>

#include "processors/effects/smtp/site_home.h"

namespace maily::smtp {

// Lives on the executor of `home`; made before the first site is, on any thread.
class SiteLeases : public std::enable_shared_from_this<SiteLeases> {
 public:
  static std::shared_ptr<SiteLeases> Make(std::shared_ptr<SiteHome> home, std::shared_ptr<Sites> sites);
  // Use Make.
  SiteLeases(std::shared_ptr<SiteHome> home, std::shared_ptr<Sites> sites) : home_(std::move(home)), sites_(std::move(sites)) {}

  // Asks for no more and returns what is left, once no mail begins any more; `done` on the executor when that is durable. Thread: any.
  void Stop(Job done);

 private:
  void Want(const std::shared_ptr<Site>& site);
  void Answered(const std::shared_ptr<Site>& site, const std::string& answer);
  void Return(Site& site, bool all, const std::shared_ptr<Job>& last);
  void ArmSweep();

  const std::shared_ptr<SiteHome> home_;
  const std::shared_ptr<Sites> sites_;
  bool sweeping_ = false;
  bool stopping_ = false;
};

}  // namespace maily::smtp
