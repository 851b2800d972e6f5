// The tails of mails (mime/plan.h), read and encoded once and shared by all mails of a campaign, over all workers of the process.
//
// The ones that were used last are kept, up to `bytes_max` together; a mail under way holds its own as long as it needs it. So at most
// `bytes_max` and, for each campaign that was pushed out while its mails were under way, one tail.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "processors/effects/mime/plan.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/port/env.h"

namespace maily::smtp {

using Tail = std::shared_ptr<const std::string>;

// Thread: any.
class EncodedTails {
 public:
  // The bytes of an asset, by the SHA-256 that is its id, verified. May block.
  using Read = std::function<Result<std::string>(TenantId tenant, const std::string& id)>;

  static constexpr size_t kBytesMax = 64 << 20;

  // `read` is called on `blocking`, which outlives this.
  EncodedTails(Read read, Executor& blocking, size_t bytes_max = kBytesMax)
      : read_(std::move(read)), blocking_(blocking), bytes_max_(bytes_max) {}

  // Null: it must be loaded.
  Tail Find(TenantId tenant, const mime::Plan& plan);
  // `done` is called on `back`, never from within. Those who ask while it is being loaded get the same one. kRetry: an asset cannot be read
  // at present, and which one.
  void Load(TenantId tenant, const mime::Plan& plan, Executor& back, std::function<void(Result<Tail>)> done);

  size_t bytes() const;

 private:
  using Key = std::pair<TenantId, std::string>;
  struct Kept {
    Key key;
    Tail tail;
  };
  struct Waiting {
    Executor* back;
    std::function<void(Result<Tail>)> done;
  };
  Result<Tail> Make(TenantId tenant, const mime::Plan& plan) const;
  void Keep(const Key& key, const Tail& tail);  // with the mutex

  const Read read_;
  Executor& blocking_;
  const size_t bytes_max_;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;  // the one used last is the first
  std::map<Key, std::list<Kept>::iterator> places_;
  std::map<Key, std::vector<Waiting>> loading_;
  size_t bytes_ = 0;
};

}  // namespace maily::smtp
