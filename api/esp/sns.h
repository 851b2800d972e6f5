// The envelope of Amazon SNS that notifications of SES come in, and its signature.
//
// Source: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. The text that is signed is, for each name of a list in
// the order of the alphabet, name LF value LF:
//   Notification                                        Message, MessageId, Subject if there is one, Timestamp, TopicArn, Type
//   SubscriptionConfirmation, UnsubscribeConfirmation   Message, MessageId, SubscribeURL, Timestamp, Token, TopicArn, Type
// SignatureVersion 1 is RSA with SHA-1, 2 with SHA-256. Any AWS account has its messages signed by SNS: only the topic tells ours.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "api/esp/notice.h"
#include "api/esp/signature.h"

namespace maily::esp::sns {

// SNS tries an HTTP endpoint for an hour at most, with the first try's Timestamp and signature.
inline constexpr Duration kTolerance = Seconds(3900);

enum class Type : uint8_t { kNotification, kSubscriptionConfirmation, kUnsubscribeConfirmation };

struct Envelope {
  Type type = Type::kNotification;
  std::string message_id = {};  // the same at each try
  std::string topic_arn = {};
  Instant at = {};
  std::string message = {};  // of a notification: what ses::Read reads
  // Of the confirmations: a GET of this URL subscribes (again). It is one of SNS, https.
  std::string subscribe_url = {};
};

// The certificate in PEM that stands at a URL. The URL was checked: https, a host of SNS. To be fetched with the host's certificate
// verified and without redirects, bounded, and kept: it changes once a year. An error of it is Verify's.
using CertificateAt = std::function<Result<std::string>(const std::string& url)>;

struct Trust {
  std::span<const std::string> topics;  // ARNs; nothing is taken from others
  CertificateAt certificate_at;
  Window window;
};

// kInvalid: no envelope, of another topic, forged, or out of the window.
Result<Envelope> Verify(std::string_view body, const Trust& trust);

// https, the host sns.REGION.amazonaws.com or sns.REGION.amazonaws.com.cn, no port, user or fragment; printable ASCII.
bool IsUrlOfSns(std::string_view url);
// The same with a path that ends in ".pem", and no query.
bool IsCertificateUrl(std::string_view url);

}  // namespace maily::esp::sns
