// Mail that comes back: taken over SMTP, where this is the listener's owner, or by POST /v1/inbound; each becomes what it means
// (inbound/meaning.h), and is not kept itself.
//
// A mail is accepted once all its commands are durable, and decided or waited for in vain; what is of no send of ours is accepted too,
// counted by why and dropped: an answer by mail would go to whom a forger names (RFC 3834 §2). Repeats within 24 h change nothing.
#pragma once

#include <memory>

#include "api/api.h"
#include "api/mail/listener.h"

namespace maily::api {

struct Shared;

inline constexpr size_t kInboundBytesMax = 2 << 20;

// Thread: any.
class InboundMail final : public mail::MailOwner {
 public:
  explicit InboundMail(const Dependencies& dependencies);
  ~InboundMail() override;

  // 250, or 550 5.1.1 for a local part that is none of ours. Whatever its domain: return paths are at hosts of every tenant's choice, and
  // nothing is passed on.
  void Recipient(const Endpoint& peer, const mail::Envelope& envelope, const mail::Mailbox& recipient, mail::Answer answer) override;
  // 250, or 451 if it is not known to be durable. Reads the mail on a blocking executor.
  void Take(const Endpoint& peer, mail::Mail mail, mail::Answer answer) override;
  // The same of a mail that came in another way: "mailbox". The text of `source` stays.
  void TakeFrom(std::string_view source, mail::Mail mail, mail::Answer answer);

 private:
  std::shared_ptr<Shared> api_;
};

// Makes its metrics be there from the start, whether mail comes or not.
void NameInboundMetrics();

}  // namespace maily::api
