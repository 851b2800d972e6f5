// See notice.h.
#include "api/esp/notice.h"

namespace maily::esp {

const char* ProviderName(Provider provider) {
  static constexpr const char* kNames[] = {"ses", "sendgrid", "postmark", "mailgun"};
  return kNames[static_cast<size_t>(provider)];
}

const char* KindName(Kind kind) {
  static constexpr const char* kNames[] = {"unknown",    "accepted", "rejected", "suppressed", "delivered", "deferred",     "bounced",
                                           "auto_reply", "opened",   "clicked",  "complained", "reported",  "unsubscribed", "resubscribed"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace maily::esp
