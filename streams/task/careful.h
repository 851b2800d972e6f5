// Poison: a command that kills the process must not kill it for ever.
//
// After an unclean stop the task is careful until it is past where it was: one command a frame, its place noted in a slot (which survives
// kill -9) before Decide; the third crash at one command rejects it without calling Decide. A command whose frame waits for the log is not
// to blame for a crash: a disk that stalls may have the process killed time and again.
#pragma once

#include "streams/base/ids.h"
#include "streams/port/slots.h"

namespace maily::task {

// Of one partition: uses one slot. Lives on the partition's executor.
class Careful {
 public:
  Careful(Slots& slots, size_t slot);

  // True while commands are to be decided one a frame.
  bool active(const CommandAt& next) const;
  // Notes that `at` is about to be decided alone. True: it has crashed this process twice before, reject it.
  bool Enter(const CommandAt& at);
  // What was entered is decided, and waits for the log.
  void Waits();
  // Notes how far the task has come: the last command of an accepted frame. Cheap (a memory write).
  void Passed(const CommandAt& last);
  // A clean stop: the next start is not careful.
  void Clean();

 private:
  void Save();
  Slots& slots_;
  const size_t slot_;
  bool unclean_ = false;
  CommandAt was_at_;      // careful up to here
  CommandAt entered_;     // the command that was being decided when the process died
  uint32_t crashes_ = 0;  // how often it died at entered_
};

}  // namespace maily::task
