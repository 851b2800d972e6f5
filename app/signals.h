// Waiting for SIGTERM or SIGINT on the main thread.
#pragma once

namespace maily::app {

// Blocks both signals in the calling thread and all that it starts later. Call it first.
void BlockStopSignals();
// Waits for one of them, at most `timeout_ms` (negative = for ever); gives its number, 0 on time-out.
int WaitForStopSignal(int timeout_ms);

}  // namespace maily::app
