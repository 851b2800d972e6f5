// Settings of `maily serve`: file, then MAILY_* variables, then flags; each value knows where it came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily::app {

// A row of the one table of settings (config.cc). The flag is --name with dashes, the variable MAILY_NAME, the YAML key the name.
struct Setting {
  std::string_view name;
  std::string_view fallback;
  enum class Kind {
    kText,
    kNumber,
    kSwitch,
    kEndpoint,
    kLevel,
    kDatabase,
    kBlobs,
    kSecret,
    kChoice
  } kind;             // host:port; of the log; see database.h, open_blobs.h, held.h
  int64_t least = 0;  // of numbers
  int64_t most = 0;
  std::string_view help;
  std::vector<std::string_view> choices = {};  // of kChoice
};
const std::vector<Setting>& Settings();
// "MAILY_LISTEN" of "listen".
std::string VariableOf(std::string_view name);

class Config {
 public:
  // Every setting at its default.
  Config();
  // kInvalid: an unknown key (naming file:line and the nearest name) or a value of the wrong kind.
  Result<void> LoadFile(const std::string& path);
  // All MAILY_<NAME> of the environment. kInvalid as above.
  Result<void> LoadEnvironment();
  Result<void> Set(std::string_view name, const std::string& value, const std::string& source);

  const std::string& Text(std::string_view name) const;
  int64_t Number(std::string_view name) const;
  bool Switch(std::string_view name) const;
  const std::string& Source(std::string_view name) const;  // "default", "maily.yaml:3", "MAILY_LISTEN", "--listen"

 private:
  struct Value {
    std::string text;
    std::string source = "default";
  };
  size_t Index(std::string_view name) const;
  std::vector<Value> values_;
};

// The elements of a setting "a, b", without space around them. kInvalid: more than `most`.
Result<std::vector<std::string>> ListOf(const Config& config, std::string_view setting, size_t most);

// The name in `names` nearest to `name` by edits, for "did you mean"; empty if none is near.
std::string NearestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace maily::app
