// What the settings mail_pickup_… stand for: mails that came back to a mailbox elsewhere are fetched, taken in as those that come by SMTP
// (api/inbound_mail.h), and taken out of the mailbox once what they say is durable.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "api/inbound_mail.h"
#include "app/config.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/curl/curl_mailbox.h"
#include "streams/port/mailbox.h"

namespace maily::app {

// URL, login and roots; an empty URL if mail_pickup is. kInvalid: settings that do not go together.
Result<curl::MailboxOptions> PickupOptionsOf(const Config& config);

// One mailbox, looked into by one process at a time: the one for which `mine` is true. Should two be at it for a moment, a mail that both
// have is one event, as always.
class MailPickup {
 public:
  static constexpr size_t kMailsMax = 200;                 // of a session: what is over follows in the next one, at once
  static constexpr Duration kAnswerTimeout = Seconds(30);  // longer than the decision is waited for

  struct Options {
    Duration every = Seconds(60);
    std::function<bool()> mine;  // on any thread
  };
  // On a thread of its own. `dependencies` outlive it.
  MailPickup(std::unique_ptr<curl::CurlMailbox> mailbox, Options options, const api::Dependencies& dependencies);
  // As Stop.
  ~MailPickup();

  // Makes its metrics be there from the start, whether there is a mailbox or not.
  static void NameMetrics();

  // Ends the session and waits for that: a second or so. What was not taken out is fetched again. Call before `dependencies` stop
  // answering.
  void Stop();

 private:
  void Round();
  // How many there were, at most kMailsMax.
  Result<size_t> Look();
  // True: it may be taken out.
  bool TakeIn(std::string mail);

  const std::unique_ptr<curl::CurlMailbox> mailbox_;
  const Options options_;
  api::InboundMail owner_;
  std::atomic<bool> stopping_ = false;
  bool failed_ = false;  // the last round, which is said once
  std::unique_ptr<asio_net::Worker> worker_;
};

}  // namespace maily::app
