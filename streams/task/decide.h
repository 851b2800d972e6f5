// The engine of one partition: one command, slice or timer becomes one decision; its events are folded as they are emitted.
//
// The same engine folds the journal at restore; there it cannot decide: Restore gives nothing to Decide with.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"
#include "streams/command/receiver.h"
#include "streams/journal/decision.h"
#include "streams/journal/tail.h"
#include "streams/journal/writer.h"
#include "streams/link/outbox.h"
#include "streams/state/cache.h"
#include "streams/state/timers.h"
#include "streams/task/credits.h"
#include "streams/task/dedupe.h"
#include "streams/task/pipeline.h"
#include "streams/task/work.h"

namespace maily::task {

// A command of the clock effect: time has moved and something is due. Decided as nothing at all.
inline constexpr TypeNumber kTickCommand = 1;

// Lives on the partition's executor.
class Engine {
 public:
  struct Options {
    PartitionId partition;
    uint16_t partition_count = 1;
    std::string build;
    keyring::Keyring* keyring = nullptr;
    Credits* credits = nullptr;
  };
  Engine(const Pipeline& pipeline, state::Cache& cache, Options options);

  // What a caller gets once the decision's frame is accepted. `answer` is valid until the next decision.
  struct Decided {
    journal::Outcome outcome = journal::Outcome::kDone;
    std::string_view answer;
    journal::Outcome first = journal::Outcome::kDone;  // of kDuplicate: the outcome of the first copy, whose answer this is
  };
  // Takes exactly one decision on the command and adds it to the draft. Never throws; a decider that fails is undone and the command
  // rejected as a dead letter.
  Decided Command(const command::Received& received, Instant now, journal::FrameDraft& draft);
  // Rejects without calling Decide: a record nobody can read, or a command that killed the process three times.
  Decided Reject(const command::Received& received, std::string_view code, std::string_view reason, journal::FrameDraft& draft);
  void Unreadable(const command::Unreadable& record, journal::FrameDraft& draft);

  // Reads together what deciding these commands will look up. Only a hint.
  void Foresee(std::span<const command::Command> commands);

  // One slice of the item whose turn it is. False: nothing to do now.
  bool Slice(Instant now, journal::FrameDraft& draft);
  // Fires up to `max` due timers; gives how many.
  size_t FireTimers(Instant now, size_t max, journal::FrameDraft& draft);

  // Folds an accepted frame; decides nothing. kCorrupt: an event that this build cannot read (a journal event not understood stops the
  // task).
  Result<void> Restore(const journal::AcceptedFrame& frame);
  // As in Decided, of a decision that is folded.
  journal::Outcome First(const journal::Decision& decision) const;

  Work& work() { return work_; }
  state::Timers& timers() { return timers_; }
  link::Outbox& outbox() { return outbox_; }
  // Destinations whose outbox grew since the last call, with their newest number.
  std::vector<std::pair<PartitionId, uint64_t>> TakeOutboxMarks();

 private:
  friend class Fold;
  friend class Context;

  struct Made {
    TypeNumber type;
    size_t start;
    size_t size;
  };
  void Open(TenantId tenant, Instant now);
  void FoldTyped(TenantId tenant, Instant now, TypeNumber type, const void* event);
  void FoldBookkeeping(const journal::Decision& decision, Instant now);
  bool FoldInternal(TypeNumber type, std::string_view payload);
  // Closes the open decision: bookkeeping, commit, encode. False: it was undone because it broke a limit or failed.
  bool Close(journal::Decision& decision, Instant now, journal::FrameDraft& draft);
  void UndoAll();
  Decided RejectOpen(const command::Command& command, const CommandAt& at, Instant now, std::string_view code, std::string_view reason,
                     journal::FrameDraft& draft);
  void MarkOutbox(PartitionId destination);

  const Pipeline& pipeline_;
  state::Cache& cache_;
  const Options options_;
  state::Timers timers_;
  Dedupe dedupe_;
  Work work_;
  link::Outbox outbox_;
  Context context_;
  state::Wanted wanted_;

  // Of the open decision.
  std::string arena_;
  std::vector<Made> made_;
  std::vector<journal::Event> events_;
  std::string answer_;
  std::string failure_;
  size_t events_max_ = journal::kEventsMax;
  std::vector<PartitionId> touched_;
  std::vector<std::pair<PartitionId, uint64_t>> marks_;
};

}  // namespace maily::task
