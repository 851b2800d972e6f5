// The partition task: the one thread of decisions of one partition.
//
//   closed ──Lead()──▶ restoring ──claim accepted──▶ leading ──Stop()──▶ draining ──last frame accepted──▶ closed
//    │  ▲                 ▲  │                        │   │                                                  ▲
//    │  └─────Stop()──────┼──┼────────────────────────┘   ├── full disk, diverged, corrupt ──▶ failed ──Stop()┘
//    │            │    Lead()└────────── error ───────────┘
//    └─Follow()─▶ following ◀── fenced (and Lead() again after 1-10 s, if it is still wanted here)
//
// A follower folds what the owner's frames say, so that it can lead at once; it writes its own store, claims nothing, decides nothing.
// A store that begins anew is first filled from a snapshot, if there is one: elsewhere, while the task restores or follows.
//
// The loop, numbered in the body: 1 take external commands and the records of an inlet, for at most kDecideBudget of deciding or until the
// frame is full; 2 one slice of one work item, round-robin over tenants, and due timers; 3 append the frame, one in flight, the next under
// construction; 4 only after acceptance: answer callers, let links send, flush the state when it is time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/journal/tail.h"
#include "streams/port/env.h"
#include "streams/port/log.h"
#include "streams/port/slots.h"
#include "streams/state/store.h"
#include "streams/task/credits.h"
#include "streams/task/intake.h"
#include "streams/task/pipeline.h"
#include "streams/task/turns.h"

namespace maily::task {

class Snapshots;

enum class TaskState { kClosed, kFollowing, kRestoring, kLeading, kDraining, kFailed };
const char* TaskStateName(TaskState state);

// What a task needs from the process; all outlive it.
struct TaskEnvironment {
  Log& log;
  Clock& clock;
  Entropy& entropy;
  KvStores& stores;
  Slots& careful_slots;  // one a partition, and another one each if there is an inlet
  command::Sender& sender;
  command::Replies& replies;
  const Pipeline& pipeline;
  keyring::Keyring* keyring = nullptr;
  std::string owner;  // endpoint of this process
  std::string build;
  // Of each task: entries kept in memory; beyond it clean ones are evicted.
  size_t cache_bytes_max = 16 << 20;
  // A flush is due after this many journal bytes of this task, or this much time.
  size_t flush_journal_bytes = 4 << 20;
  Duration flush_interval = Seconds(60);
  // Plain records to decide, beside the commands.
  PlainInlet plain = {};
  // Commands are kept for so long, and in any case until a flushed state stands behind their decision. Zero: for ever.
  Duration commands_retention = {};
  // Null: none are taken, and a store that begins anew is folded from the journal alone.
  Snapshots* snapshots = nullptr;
};

// What the host hears, on the task's executor.
struct TaskListener {
  // Leads from now on, before anything is decided: `position` is what the cache stands for.
  std::function<void(Epoch epoch, const journal::Position& position, state::Cache& cache, Credits& credits)> led;
  // Does not lead any more.
  std::function<void()> stopped;
  // Follows, and has come to the journal's end; once more for each claim of an owner elsewhere. `cache` is what was folded up to there.
  std::function<void(state::Cache& cache)> followed = {};
  std::function<void(const Error&)> failed = {};
};

// Lives on `executor`: all calls there, but for the inquiries marked so.
class Task {
 public:
  // `turns` are those of `executor`.
  Task(PartitionId partition, const TaskEnvironment& environment, journal::Tail& tail, Executor& executor, std::shared_ptr<Turns> turns,
       TaskListener listener);
  ~Task();

  // Opens the store and follows the journal, and does not lead again by itself after it was fenced. Call it when it is closed or follows:
  // what leads is stopped first.
  void Follow();
  // Opens the store or takes over what the follower has; restores, claims, leads. Nothing happens if it leads or is about to.
  void Lead();
  // Drains, flushes, closes; then calls `done`. At once, if it follows.
  void Stop(Job done);

  // Thread: any.
  struct Status {
    TaskState state = TaskState::kClosed;
    uint64_t epoch = 0;
    uint64_t lsn = 0;
    uint64_t decided = 0;         // commands decided since the start
    uint64_t command_lag = 0;     // records of the commands topic not decided yet
    uint64_t commands_begin = 0;  // first offset of the commands topic that is kept
    uint64_t link_lag = 0;
    Duration clock_skew;       // the log's clock minus the machine's, as far as it is known
    bool timers_held = false;  // because the two are a minute apart
    size_t state_bytes = 0;    // in memory
    std::string error;
  };
  Status status() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::task
