// Text as HTML shows it: the characters that mean something there are escaped, in content and in quoted attribute values.
#pragma once

#include <string>
#include <string_view>

namespace maily {

// Appends `text`. NUL, which no HTML may hold, is left out.
void PutHtml(std::string_view text, std::string& out);
std::string Html(std::string_view text);

}  // namespace maily
