// See file_type.h.
#include "app/file_type.h"

#include <cctype>
#include <string_view>
#include <utility>

namespace maily::app {

std::string TypeOfEnding(std::string ending) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".png", "image/png"},   {".jpg", "image/jpeg"},      {".jpeg", "image/jpeg"},   {".gif", "image/gif"},
      {".webp", "image/webp"}, {".pdf", "application/pdf"}, {".ics", "text/calendar"}, {".csv", "text/csv"}};
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto& [end, type] : kTypes) {
    if (ending == end) return std::string(type);
  }
  return {};
}

}  // namespace maily::app
