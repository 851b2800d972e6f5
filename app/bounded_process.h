// A program of somebody else, run for one input in a process of its own that is bounded in all it does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::app {

struct ProcessLimits {
  Duration time_max = Seconds(25);
  size_t output_bytes_max = 1 << 20;
  uint64_t cpu_seconds_max = 10;
  uint64_t data_bytes_max = uint64_t{1} << 30;
  bool network = false;  // false: without one where the kernel lets it
};

struct Finished {
  int status = 0;      // of its exit; -1: a signal ended it
  std::string output;  // what it wrote to its standard output
};

// The file of a program: the name itself if it has a slash, else looked for in PATH. Empty: there is none that may be run.
std::string FindProgram(const std::string& name);

// Writes `input` to its standard input and reads its output to the end. `words`: the program (FindProgram) and its
// arguments. Its environment is empty, its folder is /, it writes no files larger than its output may be, and it and all that it started is
// killed at the end. kNotFound: there is no such program. kRetry: it could not be started, took too long, or wrote too much. Blocks up to
// `time_max`. The caller ignores SIGPIPE. Thread: any.
Result<Finished> RunBounded(const std::vector<std::string>& words, std::string_view input, const ProcessLimits& limits);

}  // namespace maily::app
