// See jobs.h.
#include "api/import/jobs.h"

#include <algorithm>

namespace maily::import {

bool Jobs::Begin(TenantId tenant, const std::string& id, std::weak_ptr<Running> import) {
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

void Jobs::End(TenantId tenant, const std::string& id, nlohmann::ordered_json job, std::shared_ptr<const Rejects> rejects) {
  const Key key{tenant, id};
  known_[key] = {.import = {}, .ended = std::move(job), .rejects = std::move(rejects)};
  ended_.push_back(key);
  if (ended_.size() > kEndedKept) {
    known_.erase(ended_.front());
    ended_.pop_front();
  }
  size_t bytes = 0;
  for (size_t i = ended_.size(); i-- > 0;) {
    Known& known = known_[ended_[i]];
    if (known.rejects == nullptr) continue;
    bytes += known.rejects->bytes();
    if (bytes > kRejectBytesKept) known.rejects = nullptr;
  }
}

void Jobs::AskRejects(TenantId tenant, std::string id, std::move_only_function<void(std::shared_ptr<const Rejects>)> done) {
  executor_.Post([this, key = Key{tenant, std::move(id)}, done = std::move(done)]() mutable {
    const auto found = known_.find(key);
    if (found == known_.end()) return done(nullptr);
    const auto import = found->second.import.lock();
    done(import ? import->RejectsNow() : found->second.rejects);
  });
}

void Jobs::Cancel(TenantId tenant, std::string id, std::move_only_function<void(bool)> done) {
  executor_.Post([this, key = Key{tenant, std::move(id)}, done = std::move(done)]() mutable {
    const auto found = known_.find(key);
    const auto import = found == known_.end() ? nullptr : found->second.import.lock();
    const bool goes_on = import != nullptr && !import->IsOver();
    if (goes_on) import->Cancel();
    done(goes_on);
  });
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
