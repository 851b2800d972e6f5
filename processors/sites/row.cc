// See row.h.
#include "processors/sites/row.h"

#include "maily/sites/v1/state.pb.h"
#include "processors/sites/decide.h"
#include "processors/sites/evolve.h"
#include "schemas/types.h"

namespace maily::sites {

task::Noun Row() {
  return task::Noun("sites", kEvolveVersion)
      .Owns<v1::Site, v1::SiteSuspension, v1::SiteFlush, v1::SiteFlushes, v1::SitePace>()
      .Decides<v1::SlowSite>(Decide)
      .Decides<v1::RecoverSite>(Decide)
      .Decides<v1::SuspendSite>(Decide)
      .Decides<v1::DrainSite>(Decide)
      .Decides<v1::ResumeSite>(Decide)
      .Decides<v1::FlushSite>(Decide)
      .Decides<v1::LeaseSite>(Decide)
      .Decides<v1::ReturnSiteLease>(Decide)
      .Decides<v1::SiteSuspended>(Decide)
      .Decides<v1::SiteDrained>(Decide)
      .Decides<v1::SiteResumed>(Decide)
      .Decides<v1::SiteFlushed>(Decide)
      .Decides<v1::SitePaced>(Decide)
      .Evolves<v1::SiteSlowed>(Evolve)
      .Evolves<v1::SiteRecovered>(Evolve)
      .Evolves<v1::SiteSuspended>(Evolve)
      .Evolves<v1::SiteResumed>(Evolve)
      .Evolves<v1::SiteLeased>(Evolve)
      .Evolves<v1::SiteLeaseReturned>(Evolve)
      .Evolves<v1::SiteLimitReached>(Evolve)
      .Evolves<v1::SiteDayBegan>(Evolve)
      .Evolves<v1::SiteTallied>(Evolve)
      .Evolves<v1::SiteDrained>(Evolve)
      .Evolves<v1::SiteFlushed>(Evolve)
      .Evolves<v1::SitePaced>(Evolve)
      .Evolves<v1::SiteSuspensionSet>(Evolve)
      .Evolves<v1::SiteFlushSet>(Evolve)
      .Evolves<v1::SitePaceSet>(Evolve);
}

}  // namespace maily::sites
