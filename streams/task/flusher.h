// When the state of a partition is written to its store, and what may be forgotten then.
//
// A flush is due after so many journal bytes, at three quarters of the memory, or when it is asked for. A full disk is waited out: what is
// dirty stays so, the task asks again after a while, and decides nothing more once full() is true.
#pragma once

#include "streams/journal/position.h"
#include "streams/state/store.h"
#include "streams/task/task.h"

namespace maily::task {

// Lives on the task's executor, as long as one leadership.
class Flusher {
 public:
  Flusher(const TaskEnvironment& environment, PartitionId partition, state::Store& store);

  // A frame was folded during a restore: writes what there is if it grows beyond half the memory.
  Result<void> Restored(const journal::Position& at);

  // So many bytes were appended to the journal.
  void Appended(size_t bytes) { journal_bytes_ += bytes; }
  // With the next frame that is accepted.
  void Ask() { asked_ = true; }
  bool Due() const;

  // Writes everything dirty as of `at`, then trims. A full disk is no error: see stalled().
  Result<void> Flush(const journal::Position& at);
  bool stalled() const { return stalled_; }
  bool full() const;

  // Forgets commands that are old and whose decisions the flushed state stands for, now and then. The record of the last of them stays: a
  // receiver that resumes there reads it once more. Failing is no harm: the next try trims as much.
  void Trim();

 private:
  // kRetry: a full disk; the entries are dirty again.
  Result<void> Write(const journal::Position& at);

  const TaskEnvironment& environment_;
  const PartitionId partition_;
  state::Store& store_;
  size_t journal_bytes_ = 0;  // since the last flush
  // Of the sizes at which a flush is due, until the first: the partitions of a process that were begun together are flushed at different
  // times, so that a kill finds one that was flushed lately, which is restored first.
  size_t quarters_;
  size_t restore_dirty_max_;  // at which Restored writes
  bool asked_ = false;
  bool stalled_ = false;
  Duration last_trim_;
};

}  // namespace maily::task
