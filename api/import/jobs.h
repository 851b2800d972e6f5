// Imports of this process, by tenant and id: those that go on, and the last kEndedKept that ended, with all that the journal does not
// keep of them: which rows were rejected, of the newest that have kRejectBytesKept together.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "api/import/rejects.h"
#include "streams/base/ids.h"
#include "streams/port/env.h"

namespace maily::import {

// An import that goes on. On the executor of its Jobs.
class Running {
 public:
  virtual ~Running() = default;
  virtual nlohmann::ordered_json Describe() const = 0;
  // No row is applied any more; only its end is still to be said in the journal.
  virtual bool IsOver() const = 0;
  virtual std::shared_ptr<const Rejects> RejectsNow() const = 0;
  // Applies no more rows; those under way still are.
  virtual void Cancel() = 0;
};

// Thread: that of `executor`, but for Ask. `executor` outlives this.
class Jobs {
 public:
  static constexpr size_t kEndedKept = 32;
  static constexpr size_t kRejectBytesKept = 4 * kRejectBytesMax;

  explicit Jobs(Executor& executor) : executor_(executor) {}

  // False: one of that id goes on. One that is over, and still tries to say so, is Current no longer.
  bool Begin(TenantId tenant, const std::string& id, std::weak_ptr<Running> import);
  bool IsCurrent(TenantId tenant, const std::string& id, const Running* import) const;
  // It has ended, and this is what there is to say of it.
  void End(TenantId tenant, const std::string& id, nlohmann::ordered_json job, std::shared_ptr<const Rejects> rejects);
  // Any thread; `done` on the executor. None: it is not known here.
  void Ask(TenantId tenant, std::string id, std::move_only_function<void(std::optional<nlohmann::ordered_json>)> done);
  // The rejects of one that goes on or has ended; null: they are not known here. Threads as of Ask.
  void AskRejects(TenantId tenant, std::string id, std::move_only_function<void(std::shared_ptr<const Rejects>)> done);
  // False: none of that id goes on. Threads as of Ask.
  void Cancel(TenantId tenant, std::string id, std::move_only_function<void(bool)> done);

 private:
  using Key = std::pair<TenantId, std::string>;
  struct Known {
    std::weak_ptr<Running> import;
    nlohmann::ordered_json ended;
    std::shared_ptr<const Rejects> rejects = nullptr;
  };

  Executor& executor_;
  std::map<Key, Known> known_;
  std::deque<Key> ended_;  // the oldest first
};

}  // namespace maily::import
