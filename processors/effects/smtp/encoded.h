// The tails of mails (mime/plan.h), read and encoded once and shared by all mails of a campaign, over all workers of the process.
//
// The ones that were used last are kept, up to `bytes_max` together; a mail under way holds its own as long as it needs it. So at most
// `bytes_max` and, for each campaign that was pushed out while its mails were under way, one tail.
//
// The tail of an own plan is its mail's alone, and not kept. Of those that are under way at once there are `own_bytes_max` at most, or one
// that is larger; the others wait, in the order in which they were asked for, until mails have ended.
#pragma once

#include <deque>
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
  // The bytes of an item, verified. May block.
  using Read = std::function<Result<std::string>(TenantId tenant, const mime::Item& item)>;

  static constexpr size_t kBytesMax = 64 << 20;

  // `read` is called on `blocking`, which outlives this.
  EncodedTails(Read read, Executor& blocking, size_t bytes_max = kBytesMax, size_t own_bytes_max = kBytesMax)
      : read_(std::move(read)), blocking_(blocking), bytes_max_(bytes_max), own_(std::make_shared<Own>(own_bytes_max)) {}
  ~EncodedTails();

  // Null: it must be loaded.
  Tail Find(TenantId tenant, const mime::Plan& plan);
  // `done` is called on `back`, never from within. Those who ask while it is being loaded get the same one. kRetry: a file cannot be read
  // at present, and which one. kNotFound: the key of a file that a message brought along is gone.
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
  // Room for the tails of own plans: shared with them, since they give it back.
  struct Own {
    explicit Own(size_t bytes_max_in) : bytes_max(bytes_max_in) {}
    // `begin` once there is room, perhaps at once.
    void Take(size_t bytes, Job begin);
    void Give(size_t bytes);

    const size_t bytes_max;
    std::mutex mutex;
    size_t bytes = 0;
    std::deque<std::pair<size_t, Job>> waiting;  // as many as there are attempts without a mail
  };
  void LoadOwn(TenantId tenant, const mime::Plan& plan, Executor& back, std::function<void(Result<Tail>)> done);
  Result<std::string> Encode(TenantId tenant, const mime::Plan& plan) const;
  void Keep(const Key& key, const Tail& tail);  // with the mutex

  const Read read_;
  Executor& blocking_;
  const size_t bytes_max_;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;  // the one used last is the first
  std::map<Key, std::list<Kept>::iterator> places_;
  std::map<Key, std::vector<Waiting>> loading_;
  size_t bytes_ = 0;
  const std::shared_ptr<Own> own_;
};

}  // namespace maily::smtp
