// Names of blobs.
#include "streams/port/blobs.h"

#include <algorithm>

namespace maily {
namespace {

constexpr size_t kNameBytesMax = 400;
constexpr size_t kSegmentBytesMax = 100;

bool Fits(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; }

bool IsSegment(std::string_view segment) {
  return !segment.empty() && segment.size() <= kSegmentBytesMax && segment.front() != '.' && std::ranges::all_of(segment, Fits);
}

bool IsName(std::string_view name) {
  if (name.size() > kNameBytesMax) return false;
  for (size_t from = 0;;) {
    const size_t end = name.find('/', from);
    if (!IsSegment(name.substr(from, end == std::string_view::npos ? end : end - from))) return false;
    if (end == std::string_view::npos) return true;
    from = end + 1;
  }
}

}  // namespace

Result<void> CheckBlobName(std::string_view name) {
  if (IsName(name)) return Ok();
  return Fail(Code::kInvalid, "\"{}\" is not the name of a blob", name.substr(0, kNameBytesMax));
}

Result<void> CheckBlobPrefix(std::string_view prefix) {
  if (prefix.empty() || IsName(prefix.ends_with('/') ? prefix.substr(0, prefix.size() - 1) : prefix)) return Ok();
  return Fail(Code::kInvalid, "no name of a blob begins with \"{}\"", prefix.substr(0, kNameBytesMax));
}

}  // namespace maily
