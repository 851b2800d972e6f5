// See subject_keys.h.
#include "api/gateway/subject_keys.h"

#include <map>
#include <mutex>

namespace maily::gateway {

struct SubjectKeys::Impl : std::enable_shared_from_this<SubjectKeys::Impl> {
  struct Asked {
    TenantId tenant;
    std::vector<std::string> subjects;
    Done done;
  };

  Impl(keyring::Keyring& keyring_in, Executor& blocking_in) : keyring(keyring_in), blocking(blocking_in) {}

  void Serve() {
    std::vector<Asked> all;
    {
      const std::lock_guard lock(mutex);
      all.swap(waiting);
      if (all.empty()) {
        serving = false;
        return;
      }
    }
    std::map<TenantId, std::vector<std::string_view>> subjects;
    for (const Asked& asked : all) {
      auto& of_tenant = subjects[asked.tenant];
      of_tenant.insert(of_tenant.end(), asked.subjects.begin(), asked.subjects.end());
    }
    std::map<TenantId, Result<std::vector<keyring::SubjectKey>>> made;
    for (const auto& [tenant, names] : subjects) made.emplace(tenant, keyring.GetOrCreate(tenant, names));
    // The next write may begin while these go on.
    blocking.Post([impl = shared_from_this()] { impl->Serve(); });
    std::map<TenantId, size_t> next;
    for (Asked& asked : all) {
      const auto& keys = made.at(asked.tenant);
      if (!keys) {
        asked.done(keys.error());
        continue;
      }
      size_t& from = next[asked.tenant];
      const auto begin = keys->begin() + static_cast<ptrdiff_t>(from);
      from += asked.subjects.size();
      asked.done(std::vector<keyring::SubjectKey>(begin, begin + static_cast<ptrdiff_t>(asked.subjects.size())));
    }
  }

  keyring::Keyring& keyring;
  Executor& blocking;
  std::mutex mutex;
  std::vector<Asked> waiting;
  bool serving = false;
};

SubjectKeys::SubjectKeys(keyring::Keyring& keyring, Executor& blocking) : impl_(std::make_shared<Impl>(keyring, blocking)) {}

void SubjectKeys::Get(TenantId tenant, std::vector<std::string> subjects, Done done) {
  const std::lock_guard lock(impl_->mutex);
  impl_->waiting.push_back({tenant, std::move(subjects), std::move(done)});
  if (!std::exchange(impl_->serving, true)) impl_->blocking.Post([impl = impl_] { impl->Serve(); });
}

}  // namespace maily::gateway
