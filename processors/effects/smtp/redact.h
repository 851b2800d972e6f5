// What a relay says, without whom it says it of.
#pragma once

#include <string>
#include <string_view>

namespace maily::smtp {

// A relay's reply fit for events and logs: the recipient's address, and its local part where it stands as a word, become <recipient>; at
// most 500 bytes.
std::string RedactReply(std::string_view text, std::string_view address);

}  // namespace maily::smtp
