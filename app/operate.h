// What operators ask a running server: its mode, its partitions and projections, digests, rebuilds, and what is journaled.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/gateway/auth.h"
#include "api/http/router.h"
#include "app/settings_watch.h"
#include "processors/effects/smtp/site.h"
#include "projections/projector/keeper.h"
#include "streams/journal/tail.h"
#include "streams/task/host.h"

namespace maily::app {

struct OperatorNeeds {
  gateway::Auth* auth = nullptr;
  std::string mode;
  std::string held_reason;
  std::string build;
  std::function<std::string()> trouble;  // why no mail goes out at present, or empty
  task::Host* host = nullptr;            // null: this process leads no partitions
  journal::Tails* tails = nullptr;
  const SettingsWatch* settings = nullptr;  // of the log's topics
  Executor* executor = nullptr;             // may wait for the disk
  std::vector<projections::Keeper*> projections;
  smtp::Sites* sites = nullptr;  // null: mail goes to a relay
  Clock* clock = nullptr;
};

// GET /v1/instance, GET /v1/projections, GET /v1/projections/digests, POST /v1/projections/{group}:rebuild, POST …:rollback,
// GET /v1/journal?partition=&from=, GET /v1/sites (as this process knows them). All need an admin key of the tenant `default`, for they
// show all tenants; `needs` must outlive the router.
void AddOperatorRoutes(http::Router& router, const OperatorNeeds& needs);

}  // namespace maily::app
