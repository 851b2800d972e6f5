// Folds what happened to sites.
#pragma once

#include "maily/sites/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::sites {

inline constexpr uint32_t kEvolveVersion = 1;

// The causes are for the read model: what a process that begins has to know of them is SitePaced.
void Evolve(task::Fold& fold, const v1::SiteSlowed& event);
void Evolve(task::Fold& fold, const v1::SiteRecovered& event);
void Evolve(task::Fold& fold, const v1::SiteSuspended& event);
void Evolve(task::Fold& fold, const v1::SiteResumed& event);
void Evolve(task::Fold& fold, const v1::SiteLeased& event);
void Evolve(task::Fold& fold, const v1::SiteLeaseReturned& event);
void Evolve(task::Fold& fold, const v1::SiteLimitReached& event);
void Evolve(task::Fold& fold, const v1::SiteDayBegan& event);
void Evolve(task::Fold& fold, const v1::SiteTallied& event);
void Evolve(task::Fold& fold, const v1::SiteDrained& event);
void Evolve(task::Fold& fold, const v1::SiteFlushed& event);
void Evolve(task::Fold& fold, const v1::SitePaced& event);
void Evolve(task::Fold& fold, const v1::SiteSuspensionSet& event);
void Evolve(task::Fold& fold, const v1::SiteFlushSet& event);
void Evolve(task::Fold& fold, const v1::SitePaceSet& event);

}  // namespace maily::sites
