// The Event Webhook of Twilio SendGrid: an array of events, signed with ECDSA.
//
// Sources: twilio.com/docs/sendgrid/for-developers/tracking-events/{event, getting-started-event-webhook-security-features}.
//
//   dropped, reason                                          kind        verdict
//   Bounced Address                                          suppressed  hard, invalid_address
//   Unsubscribed Address                                     suppressed  none, opt_out
//   Spam Reporting Address                                   suppressed  complaint
//   Invalid, Recipient List over Package Quota, Spam Content rejected    –
//   bounce, bounce_classification (asked if the words of `reason` do not decide)
//   Invalid Address                                                      hard, invalid_address
//   Mailbox Unavailable                                                  soft, inactive
//   Content, Reputation, Frequency or Volume Too High, Technical         soft: content, reputation, rate, system
//   Unclassified, or none; type blocked                                  soft, undetermined
#pragma once

#include <string_view>

#include "api/esp/notice.h"
#include "api/esp/signature.h"

namespace maily::esp::sendgrid {

// SendGrid tries for 24 h, and does not say whether a repeat is signed anew. Repeats within the window are dropped by their dedup_id.
inline constexpr Duration kTolerance = Hours(25);

struct Headers {
  std::string_view signature;  // X-Twilio-Email-Event-Webhook-Signature: base64 of DER
  std::string_view timestamp;  // X-Twilio-Email-Event-Webhook-Timestamp: seconds since 1970
};

// SHA-256 with ECDSA over timestamp ‖ body, the body's bytes as they came. `key`: the verification key of the settings, PublicKey::OfP256.
Result<void> Verify(std::string_view body, const Headers& headers, const PublicKey& key, const Window& window);

Result<Elements> Read(std::string_view body);

}  // namespace maily::esp::sendgrid
