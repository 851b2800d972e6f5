// The keys that raw signals of readers (user agent, network) are sealed with: one a tenant and month, so that a click needs no look-up.
//
// The month is that of UTC in which the signal came. When a tenant's first signal of a month is sealed, its keys of the months before the
// last kSignalMonthsKept are destroyed: what they sealed is gone then wherever copies of it are. Who a signal is of stands in the open by
// a contact's number alone, so that erasing the contact leaves a signal of nobody.
#pragma once

#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "api/gateway/subject_keys.h"
#include "streams/base/time.h"
#include "streams/keyring/keyring.h"

namespace maily::api {

// Two years and a month: what CNIL's guidance on audience measurement allows at most for data so gathered, and last year can be compared.
inline constexpr int kSignalMonthsKept = 25;

// "signals:2026-11", `months` before the month of `at`.
std::string SignalSubject(Instant at, int months = 0);

// Thread: any. What it is made with outlives it and what it has posted.
class SignalKeys {
 public:
  SignalKeys(gateway::SubjectKeys& keys, keyring::Keyring& keyring) : keys_(keys), keyring_(keyring) {}

  // The key of the month of `now`, if it is in memory.
  std::optional<keyring::SubjectKey> Find(TenantId tenant, Instant now) const;
  // The same, durable; none: there is none to be had at present. `done` comes on a blocking executor.
  void Get(TenantId tenant, Instant now, std::move_only_function<void(std::optional<keyring::SubjectKey>)> done);

 private:
  struct OfMonth {
    std::string subject;
    keyring::SubjectKey key;
  };
  void Forget(TenantId tenant, Instant now);

  gateway::SubjectKeys& keys_;
  keyring::Keyring& keyring_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint32_t, OfMonth> months_;  // by tenant; at most kTenantsKept
};

}  // namespace maily::api
