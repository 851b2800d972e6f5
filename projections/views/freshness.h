// How far each projection group has come, in positions of commands; and waiting until it has reached some.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/time.h"
#include "streams/port/env.h"

namespace maily::projections {

// The last command of a partition's own topic whose decision a group shows.
struct Reached {
  PartitionId partition = {};
  bool any = false;  // false: none yet
  uint32_t generation = 0;
  Offset offset = {};
  uint32_t index = 0;
};

// Thread: any.
class Freshness {
 public:
  static constexpr size_t kWaitersMax = 10'000;

  explicit Freshness(const std::vector<std::string>& groups);

  // A group shows all of this from now on. Partitions that are not named keep what they had.
  void Advance(std::string_view group, std::span<const Reached> reached);

  bool IsFresh(std::string_view group, std::span<const CommandAt> at) const;

  // Posts `done(true)` on `executor` once `group` ("" = every group) shows what was decided for all of `at`; `done(false)` after
  // `timeout`, or at once if it can never be: an older generation of the topic, or more than kWaitersMax waiters.
  void Wait(std::string_view group, std::vector<CommandAt> at, Duration timeout, Executor& executor,
            std::move_only_function<void(bool)> done);

  size_t waiting() const;

  // Calls `began` on the thread of every Wait for this group that is not answered at once, after it is counted. The last one given counts.
  void OnWait(std::string group, std::function<void()> began);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::projections
