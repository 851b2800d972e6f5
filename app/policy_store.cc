// See policy_store.h.
#include "app/policy_store.h"

#include <algorithm>

#include "streams/observe/logging.h"

namespace maily::app {

Result<std::unique_ptr<PolicyStore>> PolicyStore::Open(KvStores& stores, Executor& disk, Instant now) {
  MAILY_TRY(auto kv, stores.Open("mta_sts", KvDurability::kOnWrite));
  std::unique_ptr<PolicyStore> store(new PolicyStore(std::move(kv), disk));
  KvBatch old;
  MAILY_TRY_VOID(store->kv_->Scan({}, {}, [&](std::string_view domain, std::string_view bytes) {
    auto entry = mta_sts::DecodeEntry(bytes);
    if (!entry || entry->ExpiredAt(now)) {
      old.Delete(domain);
    } else {
      store->known_.push_back(*std::move(entry));
    }
    return true;
  }));
  std::ranges::sort(store->known_, std::greater<>(),
                    [](const mta_sts::Entry& entry) { return entry.fetched_at.us + entry.policy.max_age.us; });
  for (; store->known_.size() > kKeptMax; store->known_.pop_back()) old.Delete(store->known_.back().domain);
  if (!old.changes.empty()) MAILY_TRY_VOID(store->kv_->Write(old));
  return store;
}

void PolicyStore::Keep(const mta_sts::Entry& entry) {
  disk_.Post([kv = kv_, domain = entry.domain, bytes = mta_sts::EncodeEntry(entry)] {
    KvBatch batch;
    batch.Put(domain, bytes);
    if (const auto kept = kv->Write(batch); !kept)
      observe::Log(observe::Level::kWarn, "a policy of MTA-STS is not kept over a restart", {{"domain", domain}, {"error", kept.error()}});
  });
}

}  // namespace maily::app
