// The commands that news of a send becomes, whichever way the news came: by mail (meaning.h) or from a provider (provider.h). Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/inbound/meaning.h"
#include "maily/sends/v1/commands.pb.h"

namespace maily::inbound {

// Limits of RecordNotice: what is longer is refused by its decider.
inline constexpr size_t kDiagnosticBytesMax = 500;
inline constexpr size_t kHostBytesMax = 255;
inline constexpr size_t kWordBytesMax = 64;

// Whether it has the size and the letters of a token that begins with `letter`: "b…" a return path, "m…" a Message-ID, "u…" an opt-out.
bool LooksLikeToken(std::string_view local, char letter);
// What stands before the last '@'; all of it, if there is none.
std::string_view LocalOf(std::string_view address);

// The opt-out of the send's contact. `method`: "mailto", "feedback", "provider".
Command OptOutOf(const Send& send, std::string_view method);
// The notice of that send. The same news has the same natural key, whoever brings it and in whatever words.
Command CommandOf(const Send& send, sends::v1::RecordNotice notice);

}  // namespace maily::inbound
