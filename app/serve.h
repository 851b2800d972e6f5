// `maily serve`: the composition root. Everything of a process is made here, in order, and ends in the reverse.
#pragma once

#include <map>
#include <string>

#include "app/config.h"
#include "app/subcommand.h"

namespace maily::app {

// --config and a flag for every setting.
struct ConfigFlags {
  std::string file;
  std::map<std::string, std::string> flags;
  void AddTo(CLI::App& app);
  // File, then MAILY_*, then flags.
  Result<Config> Resolve() const;
};

// Runs until SIGTERM or SIGINT; gives the exit code.
int Serve(const Common& common, const Config& config);

}  // namespace maily::app
