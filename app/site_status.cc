// See site_status.h.
#include "app/site_status.h"

namespace maily::app {
namespace {

const char* StateOf(const smtp::Site::Status& site) {
  switch (site.gate) {
    case smtp::SiteGate::kSuspended:
      return "suspended";
    case smtp::SiteGate::kDraining:
      return "draining";
    case smtp::SiteGate::kOpen:
      break;
  }
  return site.paused_for.us > 0 ? "paused" : site.slowed ? "slowed" : "open";
}

}  // namespace

nlohmann::json SiteStatusJson(const smtp::Site::Status& site) {
  return {{"site", site.site},
          {"state", StateOf(site)},
          {"connections", site.connections},
          {"connections_max", site.policy.connections},
          {"limit", site.limit},
          {"paused_seconds", (site.paused_for.us + 999'999) / 1'000'000},
          {"suspended", site.gate == smtp::SiteGate::kSuspended},
          {"this_hour", site.this_hour},
          {"today", site.today},
          {"leased", site.leased},
          {"delivered", site.delivered},
          {"deferred", site.deferred},
          {"bounced", site.bounced},
          {"refused", site.refused},
          {"refused_of_last", site.refusals.refused},
          {"last_replies", site.refusals.replies}};
}

}  // namespace maily::app
