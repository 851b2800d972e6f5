// port/mailbox.h over libcurl: POP3 (RFC 1939, 2595) and IMAP (RFC 3501).
//
// POP3: the server lets one session at a time at a mailbox, and numbers its mails anew in each. libcurl opens a connection again by itself
// when one breaks; a DELE that went out on such a new one is taken back (RSET), since its number may mean another mail.
// IMAP: mails have UIDs that stay (UID STORE \Deleted, then EXPUNGE, which takes out whatever bears that flag). Nobody is kept from the
// mailbox meanwhile.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/live.h"
#include "streams/port/mailbox.h"

namespace maily::curl {

struct MailboxOptions {
  // "pop3s://mail.example.com", "imaps://mail.example.com/INBOX"; pop3:// and imap:// go on with STARTTLS or not at all.
  std::string url;
  std::string user;
  std::string password;
  std::string extra_roots = {};  // a file of PEM certificates that are trusted besides those of the system
  size_t mail_bytes_max = 2 << 20;
  Duration connect_timeout = Seconds(20);
  Duration command_timeout = Seconds(60);
};

// Thread: one, but for Interrupt.
class CurlMailbox : public RemoteMailbox {
 public:
  // kInvalid: no such URL, or `extra_roots` cannot be read. kFatal: no memory.
  static Result<std::unique_ptr<CurlMailbox>> Make(MailboxOptions options, LiveCapability capability);
  ~CurlMailbox() override;

  Result<List> Begin(size_t most) override;
  Result<std::string> Read(const std::string& id) override;
  Result<void> Remove(const std::string& id) override;
  Result<void> End() override;

  // Calls end with kRetry within a second from now on. Thread: any.
  void Interrupt();

 private:
  struct Impl;
  explicit CurlMailbox(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace maily::curl
