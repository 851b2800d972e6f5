// See signal_keys.h.
#include "api/signal_keys.h"

#include <fmt/format.h>

#include <chrono>
#include <mutex>

#include "streams/observe/logging.h"

namespace maily::api {
namespace {

constexpr size_t kTenantsKept = 4096;
constexpr int kMonthsForgotten = 36;  // at once: further back there are none, unless nothing came in for three years

}  // namespace

std::string SignalSubject(Instant at, int months) {
  using namespace std::chrono;
  const year_month_day day{floor<days>(sys_time<microseconds>{microseconds{at.us}})};
  const year_month month = day.year() / day.month() - std::chrono::months{months};
  return fmt::format("signals:{:04}-{:02}", static_cast<int>(month.year()), static_cast<unsigned>(month.month()));
}

std::optional<keyring::SubjectKey> SignalKeys::Find(TenantId tenant, Instant now) const {
  const std::string subject = SignalSubject(now);
  const std::shared_lock lock(mutex_);
  const auto found = months_.find(tenant.value());
  if (found == months_.end() || found->second.subject != subject) return std::nullopt;
  return found->second.key;
}

void SignalKeys::Get(TenantId tenant, Instant now, std::move_only_function<void(std::optional<keyring::SubjectKey>)> done) {
  std::string subject = SignalSubject(now);
  keys_.Get(tenant, {subject}, [this, tenant, now, subject, done = std::move(done)](auto keys) mutable {
    if (!keys) return done(std::nullopt);
    const keyring::SubjectKey key = keys->front();
    {
      const std::unique_lock lock(mutex_);
      if (months_.size() >= kTenantsKept) months_.clear();
      months_.insert_or_assign(tenant.value(), OfMonth{std::move(subject), key});
    }
    done(key);
    Forget(tenant, now);
  });
}

void SignalKeys::Forget(TenantId tenant, Instant now) {
  for (int month = kSignalMonthsKept; month < kSignalMonthsKept + kMonthsForgotten; ++month) {
    const std::string subject = SignalSubject(now, month);
    const auto destroyed = keyring_.Destroy(tenant, subject);
    if (!destroyed) return;  // the next process that makes a month's first signal comes here again
    if (*destroyed > 0)
      observe::Log(observe::Level::kInfo, "raw signals of readers are forgotten", {{"tenant", tenant.value()}, {"month", subject}});
  }
}

}  // namespace maily::api
