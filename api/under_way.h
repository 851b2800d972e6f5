// Which requests with an Idempotency-Key are being answered in this process: a second one is told so, rather than kept waiting.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "streams/base/ids.h"

namespace maily::api {

// Thread: any. Bounded by the requests that are under way.
class UnderWay {
 public:
  // Holds the key until what it gives is gone; null: it is held.
  std::shared_ptr<const void> Begin(TenantId tenant, const std::string& key) {
    std::pair<TenantId, std::string> entry(tenant, key);
    const std::lock_guard lock(keys_->mutex);
    if (!keys_->held.insert(entry).second) return nullptr;
    return {this, [keys = keys_, entry = std::move(entry)](const void*) {
              const std::lock_guard release(keys->mutex);
              keys->held.erase(entry);
            }};
  }

 private:
  struct Keys {
    std::mutex mutex;
    std::set<std::pair<TenantId, std::string>> held;
  };
  const std::shared_ptr<Keys> keys_ = std::make_shared<Keys>();
};

}  // namespace maily::api
