// Given/when/then as data: reads *.flow files and plays them in a World.
//
// A file has flows; a flow has statements, one a line; indented lines continue one, # begins a comment. Messages are in Protobuf's text
// format: Name { field: value }. In them ${now}, ${now+90s}, ${now+1us} are microseconds, and %d, %08d count the repetitions of x<n>.
//   before                                what follows, up to the first flow, begins every flow of the file
//   flow <title>
//   partitions <n>                        default 1
//   tenant <id>                           default 1
//   given [x<n>] [@<p>] [occurred=<us>] Command { … }   decided without a refusal; its events are not looked at
//   when  [x<n>] [@<p>] [occurred=<us>] Command { … }   where to: @<p>, or by its key
//   then <outcome>                        done, unchanged, duplicate, conflict, not_found, invalid, reused, rejected, …
//   answer <member> <JSON value>          or: answer <member> ~ <part of its text>
//   run                                   links and slices, until nothing more happens
//   credits <n> [domain]                  for the relay, or from now on for a recipient domain ("" = those without a lane), in every partition;
//                                         as many for campaigns as for messages
//   advance <n>s|m|h                      timers fire
//   restart                               from the journal alone
//   event [@<p>] Event [~] { … }          the next one of the last step is this; with ~ the fields given are
//   events <n> Event                      the next n are of this type
//   nothing                               the last step had no events
//   state [@<p>] Type <key part>… [~] { … }   the entry; parts are numbers or "text"
//   absent [@<p>] Type <key part>…
// After a step with event, events or nothing, no other event of that step may be left.
#pragma once

#include <string>
#include <vector>

#include "streams/task/pipeline.h"
#include "tests/flow/world.h"

namespace maily::flow {

struct Statement {
  int line = 0;
  std::string word;
  std::string rest;
};

struct Script {
  std::string file;  // "processors/sends/attempt.flow"
  std::string title;
  std::vector<Statement> statements;
};

// Every *.flow below processors/ and tests/flow of the source tree at `root`, by name.
std::vector<std::string> ScriptFiles(const std::string& root);
// Every flow of the file at `path`; `name` is how messages call it.
std::vector<Script> ReadScripts(const std::string& path, const std::string& name);

// Plays it; gives every failure as "file:line: what", and the state's digest and the journals at the end.
struct Played {
  std::vector<std::string> failures;
  std::string digest;
  std::vector<std::vector<Frame>> journals;  // by partition
};
Played Play(const Script& script, const task::Pipeline& pipeline, bool flushes);

}  // namespace maily::flow
