// SIGTERM and SIGINT: a server waits for them on the main thread, a command ends.
#pragma once

namespace maily::app {

// From now on SIGINT ends the process with exit code 130 and a sentence, as JSON on stdout besides if `as_json`. Where the stop signals are
// blocked (below) it changes nothing.
void ExitWhenInterrupted(bool as_json);
// Blocks both signals in the calling thread and all that it starts later. Call it first.
void BlockStopSignals();
// As if SIGTERM had come.
void AskToStop();
// Waits for one of them, at most `timeout_ms` (negative = for ever); gives its number, 0 on time-out.
int WaitForStopSignal(int timeout_ms);

}  // namespace maily::app
