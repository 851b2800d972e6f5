// Compiles MJML by its reference compiler, the module mjml of Node, in a process of its own for each source.
//
// That process is bounded: 25 s of time, 10 s of CPU, 256 MiB of heap, 1 MiB of answer, no file is written, and its environment is empty.
// Where the kernel lets it, it has no network. The compiler reads no files: mj-include is refused before it is asked.
#pragma once

#include <string>
#include <string_view>

#include "api/api.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::app {

struct MjmlOptions {
  std::string node = "node";  // program, looked for in PATH if it has no slash
  std::string modules;        // a folder node_modules with mjml in it
  Duration time_max = Seconds(25);
};

// Blocks for half a second and up to `time_max`; the caller lets one run at a time. Problems of the source are in the answer. kRetry: the
// compiler could not be started, took too long or answered nothing that can be read. Thread: any.
Result<api::MjmlAnswer> CompileMjml(const MjmlOptions& options, std::string_view mjml);

}  // namespace maily::app
