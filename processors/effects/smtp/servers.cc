// See servers.h.
#include "processors/effects/smtp/servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace maily::smtp {
namespace {

constexpr size_t kPoolsMax = 2000;  // sets of mail servers with connections or mails at once; beyond it mails are put off

}  // namespace

PoolOptions PoolFor(const SharedOptions& options, const Site& site) {
  return {.relay = options.relay,
          .connections = site.policy().connections,
          .mails_per_connection = site.policy().mails_per_connection,
          .session = options.session,
          .tls = options.tls,
          .verify = options.verify};
}

Servers::One* Servers::Find(const std::string& key) {
  const auto found = servers_.find(key);
  return found == servers_.end() ? nullptr : &found->second;
}

bool Servers::Room() {
  if (servers_.size() >= kPoolsMax) std::erase_if(servers_, [](const auto& entry) { return entry.second.pool->unused(); });
  return servers_.size() < kPoolsMax;
}

Servers::One* Servers::Of(const std::shared_ptr<const Smarthost>& relay) {
  const std::string key = fmt::format("relay {} {}", relay->host.ToString(), relay->login ? relay->login->user : "");
  if (One* const found = Find(key)) return found;
  if (!Room()) return nullptr;
  std::shared_ptr<Site> site = options_.mx->sites->At(relay->host.host);
  PoolOptions how = PoolFor(options_, *site);
  how.relay = relay->host;
  how.session.tls = relay->use_tls;
  how.session.login = relay->login;
  how.tls = relay->tls;
  how.verify = relay->verify;
  auto connector = std::make_unique<Connector>(
      Connector::Options{
          .hosts = {relay->host}, .dial_timeout = how.dial_timeout, .look_up = !ReverseName(relay->host.host), .private_allowed = true},
      dialer_, options_.mx->resolver, executor_);
  auto pool = std::make_unique<Pool>(how, std::move(connector), site, executor_, clock_);
  return &servers_.emplace(key, One{std::move(site), std::move(pool)}).first->second;
}

Servers::One* Servers::Of(const Route& route, const Sts& policy, const Source* source) {
  std::vector<std::string> names = route.hosts;
  std::ranges::sort(names);
  std::string key;
  for (const std::string& name : names) key += name + ' ';
  if (Enforced(policy)) key += "MTA-STS";
  if (source != nullptr) key += " from " + source->name;
  if (One* const found = Find(key)) return found;
  if (!Room()) return nullptr;
  std::shared_ptr<Site> site = options_.mx->sites->At(SiteFrom(route.site, source));
  std::vector<Endpoint> hosts;
  for (const std::string& host : route.hosts) hosts.push_back({host, options_.mx->port});
  PoolOptions how = PoolFor(options_, *site);
  how.relay = hosts.front();
  if (source != nullptr && !source->helo.empty()) how.session.helo = source->helo;
  if (Enforced(policy)) {
    how.session.tls = TlsUse::kRequired;
    how.verify = tls::Verify::kRequire;
    how.tls = options_.mx->sts.tls;
  }
  auto connector =
      std::make_unique<Connector>(Connector::Options{.hosts = std::move(hosts),
                                                     .dial_timeout = how.dial_timeout,
                                                     .look_up = true,
                                                     .from = source != nullptr ? source->addresses : std::vector<std::string>(),
                                                     .private_allowed = options_.mx->private_allowed},
                                  dialer_, options_.mx->resolver, executor_);
  auto pool = std::make_unique<Pool>(how, std::move(connector), site, executor_, clock_);
  return &servers_.emplace(std::move(key), One{std::move(site), std::move(pool)}).first->second;
}

}  // namespace maily::smtp
