// What the settings mail_… stand for: the SMTP listener for mail that comes back, which fills api/inbound_mail.h.
#pragma once

#include <memory>

#include "api/api.h"
#include "api/inbound_mail.h"
#include "api/mail/listener.h"
#include "app/config.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/asio/asio_net.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"

namespace maily::app {

// How this process reads the tokens of mails that come back. `keyring` outlives it.
inbound::Readers InboundReaders(keyring::Keyring& keyring, uint16_t partition_count);

class MailIntake {
 public:
  // Null: mail_listen is empty. Connections live on `worker`, which outlives this, as `dependencies` do. kConflict: the port is taken;
  // kInvalid: settings that do not go together, or files that cannot be read. Blocks; thread: any but the worker's.
  static Result<std::unique_ptr<MailIntake>> Start(const Config& config, const api::Dependencies& dependencies, asio_net::Worker& worker);
  ~MailIntake();

  Endpoint local() const { return local_; }
  // Takes no more mails, and waits for those that are half there, for so long at most. Then nothing is answered any more. Call once.
  void Stop(Duration timeout);

 private:
  MailIntake(const api::Dependencies& dependencies, asio_net::Worker& worker);
  // Runs on the worker, and is waited for.
  void OnWorker(std::move_only_function<void(Job done)> job, Duration timeout);

  asio_net::Worker& worker_;
  asio_net::AsioNet net_;
  api::InboundMail owner_;
  Clock& clock_;
  Endpoint local_;
  std::unique_ptr<mail::MailListener> listener_;  // on the worker
};

}  // namespace maily::app
