// What webhooks of email service providers say, in one form.
//
// Each provider has a header (ses.h with sns.h, sendgrid.h, postmark.h, mailgun.h) with two functions: Verify says whether the provider
// sent these bytes, Read makes notices of them. Both are pure and thread-safe: clocks, certificates and secrets come from the caller.
//   - Verify failed with kInvalid: answer 401, store nothing. Any other code is of the caller's own callback: answer 503.
//   - Read failed: the body as a whole is not what the provider documents, or is over a limit: answer 400 (413), store nothing.
//   - Else answer 200 when every element is durable: notices as events, elements that failed as dead letters with their position.
//
// Kinds, and the providers' names for them:
//   kind          SES                       SendGrid                    Postmark                         Mailgun
//   accepted      Send                      processed                   –                                accepted
//   rejected      Reject, Rendering Failure dropped, other reasons      SMTPApiError,                    rejected
//                                                                       TemplateRenderingFailed
//   suppressed    Bounce or Complaint of    dropped: bounced,           ManuallyDeactivated,             failed: suppress-…
//                 …SuppressionList,         unsubscribed or             SubscriptionChange not by
//                 Suppressed                spam reporting address      the recipient
//   delivered     Delivery                  delivered                   Delivery                         delivered
//   deferred      DeliveryDelay             deferred                    Transient                        failed, temporary
//   bounced       Bounce                    bounce                      HardBounce, SoftBounce, …        failed, permanent
//   auto_reply    –                         –                           AutoResponder, AddressChange,    –
//                                                                       ChallengeVerification
//   opened        Open                      open                        Open                             opened
//   clicked       Click                     click                       Click                            clicked
//   complained    Complaint                 spamreport                  SpamComplaint                    complained
//   reported      Complaint: not-spam,      –                           –                                –
//                 auth-failure, virus
//   unsubscribed  Subscription: out         unsubscribe,                SubscriptionChange by the        unsubscribed
//                                           group_unsubscribe           recipient, Unsubscribe
//   resubscribed  Subscription: in          group_resubscribe           SubscriptionChange, Subscribe    –
//   unknown       every other name, kept with that name and its bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "processors/bounces/classify.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::esp {

// Limits of a body: over one of them it is refused whole.
inline constexpr size_t kBodyBytesMax = 2 * 1024 * 1024;  // SendGrid posts at most 768 KiB, SNS 256 KiB
inline constexpr size_t kElementsMax = 5'000;             // events of SendGrid, recipients of SES
inline constexpr size_t kDepthMax = 32;                   // arrays and objects inside one another
inline constexpr size_t kValuesMax = 250'000;             // values of all kinds: some 30 MB of memory
// Limits of a field: what is longer is cut at a character, but for ids and addresses, which are never cut (see Notice).
inline constexpr size_t kDedupIdBytesMax = 200;
inline constexpr size_t kAddressBytesMax = 320;  // RFC 5321 §4.5.3.1
inline constexpr size_t kMessageIdBytesMax = 998;
inline constexpr size_t kNameBytesMax = 100;
inline constexpr size_t kDiagnosticBytesMax = 4096;
inline constexpr size_t kUserAgentBytesMax = 1024;
inline constexpr size_t kUrlBytesMax = 8192;
inline constexpr size_t kRawBytesMax = 4096;

// A mail may give its provider our Message-ID under this name, to be said again in each notice: by unique_args of X-SMTPAPI (SendGrid),
// X-PM-Metadata-… (Postmark) or X-Mailgun-Variables.
inline constexpr const char* kMessageIdArgument = "maily";

enum class Provider : uint8_t { kSes, kSendGrid, kPostmark, kMailgun };
const char* ProviderName(Provider provider);  // "ses", …

enum class Kind : uint8_t {
  kUnknown,       // a type that is not known here: keep it
  kAccepted,      // the provider took the mail
  kRejected,      // the provider will not send the mail, for a reason that is not the recipient
  kSuppressed,    // not sent, since the recipient stands on a list of the provider
  kDelivered,     // the receiving MTA took the mail
  kDeferred,      // it did not, and the provider tries again
  kBounced,       // it did not, and the provider gave up
  kAutoReply,     // a machine answered for a person
  kOpened,        //
  kClicked,       //
  kComplained,    // a person reported the mail as spam
  kReported,      // a report that is no person's complaint
  kUnsubscribed,  //
  kResubscribed,  //
};
const char* KindName(Kind kind);  // "bounced", …

// Text is UTF-8 without control characters. What a provider does not say is empty; a member of another type than the documented one counts
// as not said, but for the recipient and the time.
struct Notice {
  Provider provider = Provider::kSes;
  Kind kind = Kind::kUnknown;
  std::string type = {};      // as the provider calls it: "Rendering Failure", "group_unsubscribe", "Bounce"
  std::string cls = {};       // its class: bounceType, complaintFeedbackType, delayType; type; Type; severity
  std::string subclass = {};  // bounceSubType; bounce_classification; SuppressionReason; reason

  // The same of one event, however often it is sent, and never of two; printable ASCII, without personal data. Repeats are dropped by it.
  //   SES       SHA-256 of feedbackId and recipient (bounces, complaints), else of type, messageId, time, recipient, link,
  //             IP address and user agent: the same through sns.h or raw, and in both shapes
  //   SendGrid  sg_event_id; without one SHA-256 of the element
  //   Postmark  "bounce/ID" (bounces, complaints); else SHA-256 of RecordType, MessageID, recipient, time, link
  //   Mailgun   event-data.id and the day it is unique in: "ID/20779"
  // An id that is too long or no printable ASCII is replaced by its SHA-256.
  std::string dedup_id = {};
  // Mailgun alone: the token of the signature, which does not cover the event. To be remembered as long as signatures are taken: the same
  // token with another dedup_id is a forgery.
  std::string replay_token = {};

  std::string recipient = {};            // as written, without a name and '<>'; empty: redacted, or not said. At most kAddressBytesMax
  std::string provider_message_id = {};  // mail.messageId; sg_message_id; MessageID; Mailgun has none of its own
  // Ours, without '<>': what the mail gave the provider to say again under the name kMessageIdArgument, or the mail's Message-ID, as far as
  // the provider tells it (Postmark does not; SendGrid not of opens, clicks, complaints and opt-outs).
  std::string message_id = {};
  std::string return_path = {};  // the envelope's sender; SES alone tells it (mail.source)
  Instant at = {};               // when it happened; zero only if kind is kUnknown

  // What the receiving server said.
  int code = 0;             // 200 … 599; 0: not known
  std::string status = {};  // RFC 3463 "5.1.1"
  std::string diagnostic = {};
  std::string remote_mta = {};
  // Of kBounced, kDeferred, kSuppressed, kComplained, kReported and kAutoReply: the rules' verdict on the words above if they decide,
  // else that of the provider's class (rules "ses.…", "sendgrid.…", "postmark.…", "mailgun.…"). Never hard if kDeferred.
  bounces::Verdict verdict = {};

  bool machine_open = false;  // the provider says that a program opened or clicked; false also if it says nothing
  std::string user_agent = {};
  std::string ip = {};
  std::string url = {};  // what was clicked

  std::string raw = {};  // of kUnknown: the element as JSON, or what there was; cut at kRawBytesMax
};

// One element of a body, in the order of the body.
struct Element {
  size_t position = 0;    // in the array of events or recipients, from 0
  Result<Notice> notice;  // kInvalid: what is wrong with this one. Says names of members, never what stands in them
};
using Elements = std::vector<Element>;

}  // namespace maily::esp
