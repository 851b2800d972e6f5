// A subcommand of `maily`: adds itself to the command line, and what it does when it was chosen.
#pragma once

#include <functional>
#include <string>

#include "streams/base/result.h"

namespace CLI {
class App;
}

namespace maily::app {

// Exit codes, the same everywhere; `maily help exit-codes` prints them.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitRefused = 3,      // state, stale plan, unconfirmed, locked
  kExitDifference = 4,   // a finding of verify, doctor, domain check, suppression check, segment check or bounces review
  kExitUnreachable = 5,  // no connection, or a time-out
};

// Of every subcommand.
struct Common {
  bool json = false;  // --output json
  bool yes = false;   // --yes
  std::string program;
};

// Set while parsing by the subcommand that was chosen; main runs it.
using Chosen = std::function<int(const Common&)>;

// A row of the table in main.cc.
struct Subcommand {
  const char* name;
  const char* help;
  void (*add)(CLI::App& app, Chosen& chosen);
};

void AddServe(CLI::App& app, Chosen& chosen);
void AddSink(CLI::App& app, Chosen& chosen);
void AddConfig(CLI::App& app, Chosen& chosen);
void AddArm(CLI::App& app, Chosen& chosen);
void AddTopology(CLI::App& app, Chosen& chosen);
void AddSchema(CLI::App& app, Chosen& chosen);
void AddStore(CLI::App& app, Chosen& chosen);
void AddLog(CLI::App& app, Chosen& chosen);
void AddSnapshots(CLI::App& app, Chosen& chosen);
void AddTopics(CLI::App& app, Chosen& chosen);
void AddDoctor(CLI::App& app, Chosen& chosen);
void AddImport(CLI::App& app, Chosen& chosen);
void AddBounces(CLI::App& app, Chosen& chosen);
void AddSends(CLI::App& app, Chosen& chosen);
void AddEvents(CLI::App& app, Chosen& chosen);
void AddQuery(CLI::App& app, Chosen& chosen);
// Of the group `asset`: add.
void AddAssetAdd(CLI::App& group, Chosen& chosen);
// Of the group `suppression`: import and export.
void AddSuppressionFiles(CLI::App& group, Chosen& chosen);
// Of the group `segment`: preview and check.
void AddSegmentPreviews(CLI::App& group, Chosen& chosen);

// Prints the error as a sentence on stderr, or as JSON on stdout; gives the exit code that fits.
int PrintError(const Common& common, const Error& error);

}  // namespace maily::app
