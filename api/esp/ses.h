// Events of Amazon SES: what stands in the Message of an SNS notification (sns.h), or alone, if the subscription delivers raw messages.
//
// Both shapes are read: notifications of an identity (`notificationType`) and event publishing of a configuration set (`eventType`). They
// are the same event, if both are set up, and get the same dedup_id. Raw messages are not signed: VerifySecret (secret.h) with a secret in
// the URL of the endpoint.
// Sources: docs.aws.amazon.com/ses/latest/dg/{notification-contents, event-publishing-retrieving-sns-contents}.html.
//
//   Bounce: bounceType, bounceSubType                        kind        verdict (asked if status and diagnosticCode do not decide)
//   any, Suppressed or OnAccountSuppressionList              suppressed  hard, invalid_address (always)
//   any, UnsubscribedRecipient                               suppressed  none, opt_out (always)
//   Permanent                                                bounced     hard, invalid_address
//   Transient: MailboxFull, MessageTooLarge, Content-        bounced     soft: mailbox_full, size, content, content,
//     Rejected, AttachmentRejected, CustomTimeoutExceeded                  expired
//   Transient General, Undetermined                          bounced     soft, undetermined
//   Complaint: complaintSubType OnAccountSuppressionList     suppressed  complaint
//   complaintFeedbackType not-spam, auth-failure, virus      reported    none
//   any other, or none                                       complained  complaint
//   DeliveryDelay: delayType                                 deferred    soft: MailboxFull, SpamDetected, RecipientServerError,
//                                                                        IPFailure, TransientCommunicationFailure, …
//   Subscription: unsubscribeAll, or a topic that was In before and is Out  unsubscribed; else resubscribed
#pragma once

#include <string_view>

#include "api/esp/notice.h"

namespace maily::esp::ses {

// An element for each recipient: of the type's own list (bounce, complaint, delivery, delay), else of mail.destination. Opens and clicks of
// a mail with several recipients have one element without a recipient, since SES does not tell whose it was. Text that SNS sends when a
// topic is set up ("Successfully validated SNS topic …") is kind unknown.
Result<Elements> Read(std::string_view message);

}  // namespace maily::esp::ses
