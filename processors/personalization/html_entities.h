// Character references of HTML, as far as mails have them. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

namespace maily::personalization {

// Appends what the reference at the front of `text` (which begins with &) stands for, as UTF-8, and gives its size in `text`; 0: there is
// none, or one that is not known (numeric ones, and the names of HTML 4 that are for Western text, are).
size_t AppendEntity(std::string_view text, std::string& out);
// The text with all references resolved.
std::string DecodeEntities(std::string_view text);

}  // namespace maily::personalization
