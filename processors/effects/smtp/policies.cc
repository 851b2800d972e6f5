// See policies.h.
#include "processors/effects/smtp/policies.h"

#include <fmt/format.h>

#include <algorithm>

#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::smtp {
namespace {

using mta_sts::Entry;
using mta_sts::Mode;

constexpr size_t kShownMax = 5;  // patterns in a text

Verdict Later(std::string text) { return {.kind = Verdict::Kind::kDeferred, .stage = Stage::kConnect, .text = std::move(text)}; }

struct Meters {
  observe::Counter fetch_failures = observe::Metrics::Process().AddCounter(
      "maily_mta_sts_fetch_failures_total", "Policies of MTA-STS that the DNS announces and that could not be fetched.");
  observe::Counter mails[2][2];  // by mode (enforce, testing) and result (ok, failed)

  Meters() {
    for (size_t mode = 0; mode < 2; ++mode) {
      for (size_t result = 0; result < 2; ++result) {
        mails[mode][result] = observe::Metrics::Process().AddCounter(
            "maily_mta_sts_mails_total", "Attempts under a policy of MTA-STS, by whether it was kept to.",
            {{"mode", mode == 0 ? "enforce" : "testing"}, {"result", result == 0 ? "ok" : "failed"}});
      }
    }
  }
};
const Meters& Metered() {
  static const Meters* const meters = new Meters();
  return *meters;
}

mta_sts::CacheOptions CacheOptionsOf(const StsOptions& options, size_t workers) {
  mta_sts::CacheOptions cache;
  cache.domains_max /= std::max<size_t>(1, workers);
  cache.bytes_max /= std::max<size_t>(1, workers);
  cache.changed = options.keep;
  cache.failed = [](const std::string& domain, const std::string& reason, const Entry* kept) {
    Metered().fetch_failures.Add();
    const bool missed = kept != nullptr && kept->policy.mode != Mode::kNone;
    observe::Log(missed ? observe::Level::kWarn : observe::Level::kDebug, "a policy of MTA-STS cannot be fetched",
                 {{"domain", domain}, {"why", reason}, {"kept", missed ? kept->id : ""}});
  };
  return cache;
}

// The host of "host:port", without brackets.
std::string_view HostOf(std::string_view peer) {
  peer = peer.substr(0, peer.rfind(':'));
  if (peer.starts_with('[') && peer.ends_with(']')) peer = peer.substr(1, peer.size() - 2);
  return peer;
}

// Why the connection that was used does not fit the policy; empty: it does.
std::string FaultOf(const Entry& entry, const Verdict& verdict) {
  const std::string_view host = HostOf(verdict.peer);
  if (!mta_sts::Fits(entry.policy, host)) return fmt::format("the policy does not name {}", host);
  if (!verdict.tls) return fmt::format("{} was spoken with without TLS", host);
  if (!verdict.tls->verified) return fmt::format("the certificate of {}: {}", host, verdict.tls->why_not);
  return {};
}

}  // namespace

Policies::Policies(const StsOptions& options, Resolver& resolver, Executor& executor, Clock& clock, size_t workers)
    : cache_(resolver, *options.fetch, executor, clock, CacheOptionsOf(options, workers)) {
  for (const Entry& entry : options.known) cache_.Restore(entry);
}

void Policies::NameMetrics() { Metered(); }

void Policies::Apply(const std::string& domain, Route route, std::move_only_function<void(Found)> done) {
  cache_.Lookup(domain, [domain, route = std::move(route), done = std::move(done)](Result<std::optional<Entry>> entry) mutable {
    if (!entry) return done({.verdict = Later(entry.error().message)});
    if (!*entry || (*entry)->policy.mode == Mode::kNone) return done({.route = std::move(route)});
    Found found{.route = std::move(route), .policy = std::make_shared<const Entry>(**std::move(entry))};
    if (!Enforced(found.policy)) return done(std::move(found));
    const mta_sts::Policy& policy = found.policy->policy;
    std::erase_if(found.route.hosts, [&](const std::string& host) { return !mta_sts::Fits(policy, host); });
    if (found.route.hosts.empty()) {
      const std::span<const std::string> shown(policy.mx.data(), std::min(policy.mx.size(), kShownMax));
      found.verdict =
          Later(fmt::format("MTA-STS of {}: its policy names none of its mail servers, but {}", domain, fmt::join(shown, ", ")));
    }
    done(std::move(found));
  });
}

sends::v1::MtaSts Policies::Tell(const Entry& entry, Verdict& verdict) {
  sends::v1::MtaSts told;
  const bool enforced = entry.policy.mode == Mode::kEnforce;
  told.set_mode(std::string(mta_sts::ModeName(entry.policy.mode)));
  bool failed = false;
  if (!enforced) {
    if (!verdict.peer.empty()) told.set_failure(FaultOf(entry, verdict));
    failed = !told.failure().empty();
  } else if (verdict.kind == Verdict::Kind::kDeferred && (verdict.stage == Stage::kStartTls || verdict.text.starts_with("MTA-STS "))) {
    if (verdict.stage == Stage::kStartTls) verdict.text = fmt::format("MTA-STS of {}: {}", entry.domain, verdict.text);
    told.set_failure(verdict.text);
    failed = true;
  }
  Metered().mails[enforced ? 0 : 1][failed ? 1 : 0].Add();
  return told;
}

}  // namespace maily::smtp
