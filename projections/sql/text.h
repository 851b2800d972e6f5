// Makes text what every engine can hold.
#pragma once

#include <string>
#include <string_view>

namespace maily::sql {

// `text` itself if it is UTF-8 without the byte 0; else each byte that is not is replaced by U+FFFD, in `room`, which the result refers to.
std::string_view CleanText(std::string_view text, std::string& room);

}  // namespace maily::sql
