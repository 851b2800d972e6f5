// See signals.h.
#include "app/signals.h"

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

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

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
