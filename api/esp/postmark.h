// Webhooks of Postmark: one record a body, without a signature.
//
// Sources: postmarkapp.com/developer/webhooks/*, postmarkapp.com/developer/api/bounce-api (types of bounces).
//
//   RecordType Bounce, Type                              kind          verdict (asked if the words of Details do not decide)
//   HardBounce, BadEmailAddress                          bounced       hard, invalid_address
//   SoftBounce, Unknown, SpamNotification, Virus-        bounced       soft: undetermined, undetermined, content, content,
//   Notification, DnsError, Blocked, DMARCPolicy                       routing, reputation, auth_failure
//   Transient                                            deferred      soft, undetermined
//   AutoResponder, AddressChange, ChallengeVerification  auto_reply    auto_reply
//   ManuallyDeactivated                                  suppressed    none
//   SpamComplaint                                        complained    complaint
//   Unsubscribe, Subscribe                               unsubscribed, resubscribed
//   SMTPApiError, TemplateRenderingFailed                rejected
//   OpenRelayTest, Unconfirmed, InboundError, others     unknown
//   RecordType SubscriptionChange, SuppressSending false              resubscribed
//   true, by Origin Recipient with SuppressionReason ManualSuppression unsubscribed
//   true, any other, since bounces and complaints have webhooks too    suppressed: HardBounce hard, SpamComplaint complaint, else none
#pragma once

#include <string_view>

#include "api/esp/notice.h"
#include "api/esp/secret.h"

namespace maily::esp::postmark {

inline Result<void> Verify(const Credentials& given, const Secret& secret) { return VerifySecret(given, secret); }

// One element, or an error.
Result<Elements> Read(std::string_view body);

}  // namespace maily::esp::postmark
