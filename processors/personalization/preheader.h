// The preheader: what lists of mails show behind the subject, hidden in the mail itself. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

namespace maily::personalization {

// So many characters are shown at most: the rest is padded, so that nothing of the mail's first lines follows.
inline constexpr size_t kPreheaderShownMax = 120;

// Where it stands: behind <body>, or before all that would show.
size_t PreheaderPlace(std::string_view html);
// The hidden element. `text`: as filled in; white space in a row is one space. Empty = nothing but white space.
void PutPreheader(std::string_view text, std::string& out);

}  // namespace maily::personalization
