// Folds what the owner of a partition, elsewhere, has decided: what a task does while it follows.
#pragma once

#include <functional>
#include <memory>

#include "streams/journal/tail.h"
#include "streams/port/env.h"

namespace maily::task {

// Lives on the task's executor.
class Follower {
 public:
  struct Callbacks {
    std::function<Result<void>(const journal::AcceptedFrame&)> fold;
    std::function<void(const journal::Position&)> reached;  // the end of what there is; also past claims
    std::function<void(const Error&)> failed;               // last call: a reader rule, or `fold`, said stop
  };
  // Goes on from `from` until it is destroyed.
  static Result<std::unique_ptr<Follower>> Start(journal::Tail& tail, Executor& executor, const journal::Position& from,
                                                 Callbacks callbacks);
  ~Follower();

  // Where it stands: a leader goes on from here.
  const journal::Position& position() const;

 private:
  struct Impl;
  explicit Follower(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
