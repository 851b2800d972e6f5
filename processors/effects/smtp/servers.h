// The connections of a worker where mail goes by the DNS: a pool for each set of mail servers under one policy, and for each relay of a
// route.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "processors/effects/smtp/delivery.h"
#include "processors/effects/smtp/policies.h"
#include "processors/effects/smtp/pool.h"
#include "processors/effects/smtp/route.h"
#include "processors/effects/smtp/site.h"

namespace maily::smtp {

// Of one site, to the relay of the options unless the caller says another.
PoolOptions PoolFor(const SharedOptions& options, const Site& site);

// Lives on `executor`. All references outlive it; options.mx is there.
class Servers {
 public:
  struct One {
    std::shared_ptr<Site> site;
    std::unique_ptr<Pool> pool;
  };
  Servers(const SharedOptions& options, Dialer& dialer, Executor& executor, Clock& clock)
      : options_(options), dialer_(dialer), executor_(executor), clock_(clock) {}

  // Those of the route under that policy, reached from there (null: the system chooses), or of this relay. Null: there are too many in use
  // at once.
  One* Of(const Route& route, const Sts& policy, const Source* source);
  One* Of(const std::shared_ptr<const Smarthost>& relay);
  void Each(const std::function<void(Pool&)>& visit) {
    for (auto& [names, one] : servers_) visit(*one.pool);
  }

 private:
  One* Find(const std::string& key);
  bool Room();

  const SharedOptions& options_;
  Dialer& dialer_;
  Executor& executor_;
  Clock& clock_;
  std::map<std::string, One> servers_;  // by their names
};

}  // namespace maily::smtp
