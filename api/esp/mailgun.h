// Webhooks of Mailgun: one event a body, with a signature inside.
//
// The signature covers a time and a random token, not the event: it shows that Mailgun made the token, and HTTPS has to keep the rest. So a
// token is good for one event; see Notice::replay_token.
// Sources: documentation.mailgun.com/docs/mailgun/user-manual/webhooks/{webhooks, securing-webhooks}, …/events.
//
//   event     severity, reason                       kind        verdict
//   failed    temporary                              deferred    the words of delivery-status.message, else soft
//   failed    permanent, suppress-bounce             suppressed  hard, invalid_address
//   failed    permanent, suppress-unsubscribe        suppressed  none, opt_out
//   failed    permanent, suppress-complaint          suppressed  complaint
//   failed    permanent, anything else               bounced     the words, else hard if bounce-type is "hard" and reason "bounce",
//                                                                else soft: "old" expired, "espblock" reputation
//   rejected                                         rejected
#pragma once

#include <string>
#include <string_view>

#include "api/esp/notice.h"
#include "api/esp/signature.h"

namespace maily::esp::mailgun {

// Mailgun says no number. It posts a failed webhook again for 8 hours: if repeats come with their first time, this must be wider.
inline constexpr Duration kTolerance = Seconds(300);

// HMAC-SHA256 of timestamp ‖ token under the HTTP webhook signing key, in lower-case hexadecimal; `parent-signature` (events of a
// subaccount, under the key of its parent) is taken as well. Gives the token.
Result<std::string> Verify(std::string_view body, std::string_view signing_key, const Window& window);

// One element, or an error.
Result<Elements> Read(std::string_view body);

}  // namespace maily::esp::mailgun
