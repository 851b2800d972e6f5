// What jemalloc asks of the system, past whoever stands before it. scripts/maily.cmake lets the archive's own calls lead here.
//
// A library that is loaded first and puts itself before the C library's clock (libfaketime, with which tests and users move a program's
// time) allocates memory when it is first asked. jemalloc asks for the time while it begins, so each would wait for the other for ever.
// Memory is returned by real time then, whatever time the program is shown.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

extern "C" {

int maily_allocator_clock_gettime(clockid_t clock, timespec* now) { return static_cast<int>(::syscall(SYS_clock_gettime, clock, now)); }

int maily_allocator_cond_init(pthread_cond_t* condition, const pthread_condattr_t* /*defaults*/) {
  *condition = PTHREAD_COND_INITIALIZER;
  return 0;
}

}  // extern "C"
