// Asio's timers ask the system, past whoever stands before it: this folder's CMakeLists.txt leads their calls here.
//
// A timer that is due already is set to the first nanosecond of the monotonic clock. libfaketime, with which tests and users move a
// program's time, takes such an instant for one of the wall clock and refuses it as soon as that is moved (EINVAL); Asio does not look, and
// the timer of that executor never fires. Waits are durations, which no moved clock changes.
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

// The linker's name for what is called instead of timerfd_settime.
extern "C" int __wrap_timerfd_settime(int timer, int flags, const itimerspec* value,
                                      itimerspec* before) {  // NOLINT(bugprone-reserved-identifier)
  return static_cast<int>(::syscall(SYS_timerfd_settime, timer, flags, value, before));
}
