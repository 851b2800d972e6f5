// See jobs.h.
#include "api/import/jobs.h"

#include <algorithm>

namespace maily::import {

bool Jobs::Begin(TenantId tenant, const std::string& id, std::weak_ptr<const Running> import) {
  const Key key{tenant, id};
  Known& known = known_[key];
  if (const auto before = known.import.lock(); before && !before->IsOver()) return false;
  std::erase(ended_, key);
  known = {.import = std::move(import), .ended = {}};
  return true;
}

bool Jobs::IsCurrent(TenantId tenant, const std::string& id, const Running* import) const {
  const auto found = known_.find({tenant, id});
  return found != known_.end() && found->second.import.lock().get() == import;
}

void Jobs::End(TenantId tenant, const std::string& id, nlohmann::ordered_json job) {
  const Key key{tenant, id};
  known_[key] = {.import = {}, .ended = std::move(job)};
  ended_.push_back(key);
  if (ended_.size() <= kEndedKept) return;
  known_.erase(ended_.front());
  ended_.pop_front();
}

void Jobs::Ask(TenantId tenant, std::string id, std::move_only_function<void(std::optional<nlohmann::ordered_json>)> done) {
  executor_.Post([this, key = Key{tenant, std::move(id)}, done = std::move(done)]() mutable {
    const auto found = known_.find(key);
    if (found == known_.end()) return done(std::nullopt);
    if (const auto import = found->second.import.lock()) return done(import->Describe());
    if (found->second.ended.is_null()) return done(std::nullopt);  // it was given up before it began in the journal
    done(found->second.ended);
  });
}

}  // namespace maily::import
