// See signals.h.
#include "app/signals.h"

#include <unistd.h>

#include <csignal>
#include <ctime>

namespace maily::app {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

constexpr int kExitInterrupted = 130;
volatile std::sig_atomic_t interrupted_as_json = 0;

// Only what is safe in a signal handler.
void SayInterrupted(int) {
  static constexpr char kSentence[] = "maily: interrupted; what the server has taken already may still take effect\n";
  static constexpr char kJson[] =  // on a line of its own, whatever was being written
      "\n{\"code\":\"interrupted\",\"message\":\"interrupted; what the server has taken already may still take effect\",\"details\":[]}\n";
  ssize_t written = ::write(STDERR_FILENO, kSentence, sizeof(kSentence) - 1);
  if (interrupted_as_json != 0) written = ::write(STDOUT_FILENO, kJson, sizeof(kJson) - 1);
  (void)written;  // nobody is left to be told
  ::_exit(kExitInterrupted);
}

}  // namespace

void ExitWhenInterrupted(bool as_json) {
  interrupted_as_json = as_json ? 1 : 0;
  struct sigaction action{};
  action.sa_handler = SayInterrupted;
  ::sigaction(SIGINT, &action, nullptr);
}

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void AskToStop() { ::kill(::getpid(), SIGTERM); }

int WaitForStopSignal(int timeout_ms) {
  const sigset_t set = StopSignals();
  if (timeout_ms < 0) {
    int signal = 0;
    return sigwait(&set, &signal) == 0 ? signal : 0;
  }
  const timespec timeout{timeout_ms / 1000, static_cast<long>(timeout_ms % 1000) * 1'000'000};
  const int signal = sigtimedwait(&set, nullptr, &timeout);
  return signal < 0 ? 0 : signal;
}

}  // namespace maily::app
