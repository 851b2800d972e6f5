// The addresses of an SMTP envelope: what stands between < and > after MAIL FROM: and RCPT TO: (RFC 5321 §4.1.2, RFC 6531 §3.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace maily::mail {

// A local part and a domain. Both empty: the null sender, <>.
struct Mailbox {
  std::string local;   // as meant: without the quotes and backslashes that "a b"@c.example was sent with
  std::string domain;  // as sent, or an address literal with its brackets; empty only for <postmaster> and for senders without one

  bool null() const { return local.empty() && domain.empty(); }
  bool operator==(const Mailbox&) const = default;
  // local@domain, quoted where it must be; "" for the null sender.
  std::string ToString() const;
};

inline constexpr size_t kPathBytesMax = 512;  // RFC 5321 §4.5.3.1.3 asks for 256

enum class PathUse { kSender, kRecipient };

// Takes a path off the front of `text`, which begins with '<'. None: it is not one; `text` is then anywhere.
//
// Kinder than the grammar where real mail is: a source route is read and forgotten (RFC 5321 §4.1.1.3), dots may stand anywhere in a
// local part, which may be longer than 64 bytes, a domain may have an underscore, and a sender may lack its domain. A recipient without a
// domain is <postmaster> alone (§4.5.1), and never the null one. Bytes beyond ASCII must be UTF-8; whether they are allowed is the
// caller's to say: IsAscii.
std::optional<Mailbox> TakePath(std::string_view& text, PathUse use);

bool IsAscii(const Mailbox& mailbox);

}  // namespace maily::mail
