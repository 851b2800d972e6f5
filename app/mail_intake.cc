// See mail_intake.h.
#include "app/mail_intake.h"

#include <condition_variable>
#include <mutex>

#include "app/endpoint.h"
#include "app/read_file.h"
#include "processors/effects/smtp/redact.h"
#include "processors/effects/smtp/send_id.h"
#include "schemas/tracking_id.h"

namespace maily::app {
namespace {

constexpr Duration kForever = Days(1);  // the worker never blocks

Result<std::string> ReadPem(const Config& config, std::string_view name) {
  auto text = ReadFile(config.Text(name));
  if (!text) return Fail(Code::kInvalid, "{}: {}: {}", config.Source(name), name, text.error().message);
  return text;
}

Result<mail::MailListenerOptions> OptionsOf(const Config& config) {
  mail::MailListenerOptions options;
  MAILY_TRY(options.listen, ParseEndpoint(config.Text("mail_listen")));
  if (!config.Text("mail_host").empty()) options.server.host = config.Text("mail_host");
  const bool certificate = !config.Text("mail_certificate").empty();
  if (certificate == config.Text("mail_key").empty())
    return Fail(Code::kInvalid, "mail_certificate and mail_key go together: one is missing");
  if (!certificate) return options;
  MAILY_TRY(const std::string chain, ReadPem(config, "mail_certificate"));
  MAILY_TRY(const std::string key, ReadPem(config, "mail_key"));
  MAILY_TRY(options.tls, tls::Context::Server(chain, key));
  return options;
}

inbound::Send SendOf(const smtp::SendId& id) { return {id.tenant, id.partition, id.campaign_id, id.ordinal}; }

}  // namespace

inbound::Readers InboundReaders(keyring::Keyring& keyring, uint16_t partition_count) {
  inbound::Readers readers;
  readers.partition_count = partition_count;
  readers.return_path = [&keyring](std::string_view address) -> Result<inbound::Send> {
    MAILY_TRY(const smtp::SendId id, smtp::DecodeReturnPath(address, keyring));
    return SendOf(id);
  };
  readers.message_id = [&keyring](std::string_view message_id) -> Result<inbound::Send> {
    MAILY_TRY(const smtp::SendId id, smtp::DecodeMessageId(message_id, keyring));
    return SendOf(id);
  };
  readers.opt_out = [&keyring](std::string_view token) -> Result<inbound::Send> {
    MAILY_TRY(const schema::TrackingId id, schema::DecodeTrackingId(token, keyring));
    if (id.kind != schema::TrackingKind::kUnsubscribe) return Fail(Code::kInvalid, "a token of another kind");
    return inbound::Send{id.tenant, id.partition, id.campaign_id, id.ordinal};
  };
  readers.redact = smtp::RedactReply;
  return readers;
}

MailIntake::MailIntake(const api::Dependencies& dependencies, asio_net::Worker& worker)
    : worker_(worker), net_(worker), owner_(dependencies), clock_(dependencies.clock) {}

MailIntake::~MailIntake() {
  if (listener_ != nullptr) Stop(Duration{});
}

void MailIntake::OnWorker(std::move_only_function<void(Job done)> job, Duration timeout) {
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
  };
  auto wait = std::make_shared<Wait>();
  worker_.Post([wait, job = std::move(job)]() mutable {
    job([wait] {
      const std::lock_guard lock(wait->mutex);
      wait->done = true;
      wait->changed.notify_all();
    });
  });
  std::unique_lock lock(wait->mutex);
  wait->changed.wait_for(lock, std::chrono::microseconds(timeout.us), [&] { return wait->done; });
}

Result<std::unique_ptr<MailIntake>> MailIntake::Start(const Config& config, const api::Dependencies& dependencies,
                                                      asio_net::Worker& worker) {
  if (config.Text("mail_listen").empty()) return std::unique_ptr<MailIntake>();
  MAILY_TRY(auto options, OptionsOf(config));
  std::unique_ptr<MailIntake> intake(new MailIntake(dependencies, worker));
  auto started = std::make_shared<Result<void>>(Fail(Code::kRetry, "the SMTP listener did not start"));
  intake->OnWorker(
      [self = intake.get(), options, started](Job done) mutable {
        auto listener = mail::MailListener::Start(self->net_, self->worker_, self->clock_, self->owner_, std::move(options));
        if (listener) {
          self->listener_ = *std::move(listener);
          self->local_ = self->listener_->local();
          *started = Ok();
        } else {
          *started = Fail(listener.error().code, "mail_listen: {}", listener.error().message);
        }
        done();
      },
      kForever);
  if (!*started) return started->error();
  return intake;
}

void MailIntake::Stop(Duration timeout) {
  OnWorker([this](Job done) { listener_->Stop(std::move(done)); }, timeout);
  OnWorker(
      [this](Job done) {
        listener_.reset();
        done();
      },
      kForever);
}

}  // namespace maily::app
