// Who waits for which command: registered before the append, answered only after the decision was accepted by the journal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/port/env.h"

namespace maily::command {

// How a command was decided.
struct Reply {
  uint16_t outcome = 0;  // journal::Outcome
  std::string answer;    // JSON object text, may be empty
  CommandAt at;
  uint16_t first = 0;  // of a duplicate: the outcome of the first copy, whose answer this is
};

// Thread: any. Bounded by `waiting_max`. An executor given to Await outlives this object.
class Replies {
 public:
  explicit Replies(size_t waiting_max);
  // Answers everyone who still waits with kRetry.
  ~Replies();
  Replies(const Replies&) = delete;
  Replies& operator=(const Replies&) = delete;

  // Calls `done` once on `executor`: with the reply, or with kRetry after `timeout` ("not yet": the command may still be decided),
  // or at once with kRetry if too many wait.
  void Await(CommandId id, Executor& executor, Duration timeout, std::move_only_function<void(Result<Reply>)> done);
  // Answers whoever waits for `id`, if anyone.
  void Answer(const CommandId& id, Reply reply);
  // True if nobody waits at all: lets a task skip the work of answering.
  bool Empty() const;
  // Answers whoever waits for `id` with kRetry: its task stopped leading, so that nobody knows here how it is decided.
  void Abandon(const CommandId& id);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::command
