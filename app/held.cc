// See held.h.
#include "app/held.h"

#include <cstdlib>
#include <fstream>

namespace maily::app {
namespace {

constexpr std::string_view kEnvironment = "env:";
constexpr std::string_view kFile = "file:";

}  // namespace

bool IsHeldElsewhere(std::string_view setting) { return setting.starts_with(kEnvironment) || setting.starts_with(kFile); }

Result<std::string> Held(std::string_view name, const std::string& setting) {
  std::string value;
  if (setting.starts_with(kEnvironment)) {
    const char* found = std::getenv(setting.substr(kEnvironment.size()).c_str());
    if (found != nullptr) value = found;
  } else if (setting.starts_with(kFile)) {
    std::ifstream file(setting.substr(kFile.size()));
    std::getline(file, value);
  } else {
    return setting;
  }
  if (value.empty()) return Fail(Code::kInvalid, "{}: {} holds nothing", name, setting);
  return value;
}

}  // namespace maily::app
