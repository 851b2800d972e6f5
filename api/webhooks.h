// POST /v1/webhooks/{provider}: what email service providers tell of mails (api/esp), each notice as the command that it is
// (inbound/provider.h). No API key: a provider shows who it is by what api/esp verifies, with the secrets of the settings.
//
//   401  the signature, the secret or the topic does not fit, or the time is out of its window: nothing is stored
//   400  the body is not what the provider documents; 413 over esp::kBodyBytesMax
//   404  no such provider, or nothing is set for it
//   503  not durable, or a certificate cannot be had now: the provider comes again, which is harmless
//   200  all is durable. Notices of types that are not known here are kept, sealed, as dead letters (code "unknown_notice"); elements that
//        cannot be read are counted, and named in the log
// Mailgun's signature does not cover the event: its token is good for one, as the journal says, after a restart and in every process
// (kept 24 h, far longer than a signature is taken). Until that is decided nothing is taken: 503.
// A notice that comes again, or by another way, is one event within 24 h: its command's natural key is of the send and the news.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/esp/secret.h"
#include "api/esp/signature.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/env.h"
#include "streams/port/fetch.h"

namespace maily::api {

// Certificates of SNS by their URL: fetched once, kept for a day. A failure is kept for ten seconds, so that a flood of forged messages is
// no flood of fetches. Thread: any.
class SnsCertificates {
 public:
  static constexpr size_t kKeptMax = 16;  // URLs; the one that was fetched first goes
  static constexpr size_t kFetchesMax = 4;
  static constexpr Duration kKeep = Hours(24);
  static constexpr Duration kKeepFailure = Seconds(10);

  // `fetch` and `clock` outlive it.
  SnsCertificates(Fetch& fetch, Clock& clock) : fetch_(fetch), clock_(clock) {}

  // kNotFound: it was not fetched yet, or too long ago; kRetry: it cannot be had now. The PEM is not looked at.
  Result<std::string> Find(const std::string& url);
  // Fetches it; then Find says how that ended. `done` once, on `on`; at once if too many are under way: then Find still says kNotFound.
  // This outlives the answer.
  void Get(const std::string& url, Executor& on, Job done);

 private:
  struct Kept {
    Duration at;
    std::string pem;      // empty: it failed
    std::string trouble;  // why
  };

  Fetch& fetch_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Kept> kept_;  // guarded by mutex_, as the rest
  size_t under_way_ = 0;
};

struct WebhookSettings {
  std::vector<std::string> ses_topics = {};  // ARNs; none: SES is not taken
  esp::Secret ses_raw = {};                  // of subscriptions with raw delivery; empty: those are not taken
  std::shared_ptr<const esp::PublicKey> sendgrid_key = nullptr;
  esp::Secret postmark = {};
  std::string mailgun_key = {};
};

// What lasts from one request to the next. Thread: any.
struct Webhooks {
  // `fetch` and `clock` outlive it.
  Webhooks(WebhookSettings settings_in, Fetch& fetch_in, Clock& clock)
      : settings(std::move(settings_in)), fetch(fetch_in), certificates(fetch_in, clock) {}

  const WebhookSettings settings;
  Fetch& fetch;
  SnsCertificates certificates;
};

// Makes its metrics be there from the start.
void NameWebhookMetrics();

}  // namespace maily::api
