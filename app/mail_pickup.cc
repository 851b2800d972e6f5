// See mail_pickup.h.
#include "app/mail_pickup.h"

#include <condition_variable>
#include <mutex>

#include "app/held.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::app {
namespace {

struct Meters {
  observe::Counter taken = Mails("taken");
  observe::Counter kept = Mails("kept");
  observe::Counter too_large = Mails("too_large");
  observe::Counter rounds = Rounds("ok");
  observe::Counter failed = Rounds("failed");

  static observe::Counter Mails(const char* result) {
    return observe::Metrics::Process().AddCounter(
        "maily_pickup_mails_total",
        "Mails found in the mailbox of mail_pickup; kept = not durable here, so that they stay there; too_large: at each look.",
        {{"result", result}});
  }
  static observe::Counter Rounds(const char* result) {
    return observe::Metrics::Process().AddCounter("maily_pickup_rounds_total", "Looks into the mailbox of mail_pickup.",
                                                  {{"result", result}});
  }
};
const Meters& Metered() {
  static const Meters* const meters = new Meters();
  return *meters;
}

}  // namespace

Result<curl::MailboxOptions> PickupOptionsOf(const Config& config) {
  curl::MailboxOptions options;
  options.url = config.Text("mail_pickup");
  options.user = config.Text("mail_pickup_user");
  options.extra_roots = config.Text("fetch_roots");
  options.mail_bytes_max = api::kInboundBytesMax;
  const std::string& password = config.Text("mail_pickup_password");
  if (options.url.empty() && options.user.empty() && password.empty()) return options;
  if (options.url.empty() || options.user.empty() || password.empty())
    return Fail(Code::kInvalid, "mail_pickup, mail_pickup_user and mail_pickup_password go together: one is missing");
  MAILY_TRY(options.password, Held("mail_pickup_password", password));
  return options;
}

MailPickup::MailPickup(std::unique_ptr<curl::CurlMailbox> mailbox, Options options, const api::Dependencies& dependencies)
    : mailbox_(std::move(mailbox)),
      options_(std::move(options)),
      owner_(dependencies),
      worker_(std::make_unique<asio_net::Worker>("pickup")) {
  worker_->Post([this] { Round(); });
}
MailPickup::~MailPickup() { Stop(); }
void MailPickup::NameMetrics() { Metered(); }

void MailPickup::Stop() {
  stopping_ = true;
  mailbox_->Interrupt();
  worker_->Stop();
}

void MailPickup::Round() {
  bool more = false;
  if (options_.mine()) {
    const auto looked = Look();
    more = looked && *looked == kMailsMax;
    (looked ? Metered().rounds : Metered().failed).Add();
    if (!looked && !stopping_ && !std::exchange(failed_, true))
      observe::Log(observe::Level::kWarn, "the mailbox cannot be looked into; it is tried again", {{"error", looked.error()}});
    if (looked && std::exchange(failed_, false)) observe::Log(observe::Level::kInfo, "the mailbox is looked into again");
  }
  if (!stopping_) worker_->After(more ? Duration{} : options_.every, [this] { Round(); });
}

Result<size_t> MailPickup::Look() {
  MAILY_TRY(const RemoteMailbox::List list, mailbox_->Begin(kMailsMax));
  if (list.too_large > 0) Metered().too_large.Add(list.too_large);
  size_t taken = 0;
  for (const std::string& id : list.ids) {
    auto mail = mailbox_->Read(id);
    if (!mail && mail.error().code == Code::kNotFound) continue;
    if (!mail) return mail.error();
    if (!TakeIn(*std::move(mail))) {
      Metered().kept.Add();
      break;  // this side is busy: the rest waits there
    }
    MAILY_TRY_VOID(mailbox_->Remove(id));
    Metered().taken.Add();
    ++taken;
  }
  MAILY_TRY_VOID(mailbox_->End());
  return taken;
}

bool MailPickup::TakeIn(std::string mail) {
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    int code = 0;
  };
  auto wait = std::make_shared<Wait>();
  owner_.TakeFrom("mailbox", {.envelope = {}, .data = std::move(mail)}, [wait](const mail::Reply& reply) {
    const std::lock_guard lock(wait->mutex);
    wait->code = reply.code;
    wait->changed.notify_all();
  });
  std::unique_lock lock(wait->mutex);
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(kAnswerTimeout.us);
  while (wait->code == 0 && !stopping_ && std::chrono::steady_clock::now() < until)
    wait->changed.wait_for(lock, std::chrono::milliseconds(100));
  return wait->code == 250;
}

}  // namespace maily::app
