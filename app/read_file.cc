// See read_file.h.
#include "app/read_file.h"

#include <fstream>
#include <sstream>

namespace maily::app {

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) return Fail(Code::kInvalid, "{}: cannot be read, or is empty", path);
  return text.str();
}

}  // namespace maily::app
