// Signs mails: RFC 6376 with rsa-sha256, RFC 8463 with ed25519-sha256; c=relaxed/relaxed, no l= (a body that may grow is not ours any
// more).
//
//   const Prepared prepared = Prepare(mail);  // once for both signatures
//   mail.insert(0, rsa.Sign(prepared, at) + ed25519.Sign(prepared, at));  // RSA on top: some receivers look at the first one only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "processors/effects/dkim/key.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::dkim {

// What all signatures of a mail share. Its names live for ever, so it outlives the mail.
struct Prepared {
  std::vector<std::string_view> names;  // of h=
  std::string fields;                   // what they name, relaxed
  std::string body_hash;                // bh=, base64
};
// `message`: the whole mail as it is sent, lines ended by CRLF, not dot-stuffed. If its last line has no CRLF it is signed as if it had
// one, as it is once SMTP has carried it. The body is hashed where it lies. Thread: any.
Prepared Prepare(std::string_view message);
// The same of a mail whose body goes on in `tail`, which is canonical as it stands (RelaxBody changes nothing of it). CHECK: where there is
// a tail, the message ends with CRLF; its last line must not be empty.
Prepared Prepare(std::string_view message, std::string_view tail);

// One key of a domain. Thread: any, at the same time. A mail of 10 KB takes one core about 0.3 ms with RSA of 2,048 bits and 0.06 ms with
// Ed25519 (Signer.DISABLED_SignaturesASecond), of which Prepare is 0.02 ms.
class Signer {
 public:
  // `domain`: d=, of at least two labels, in A-labels; `selector`: s=, one label or several. Both are put in lower case.
  // kInvalid: which of the three is wrong, why, and what to do.
  static Result<Signer> Make(std::string_view domain, std::string_view selector, std::string_view private_pem);

  // "DKIM-Signature: …\r\n", folded at 78 characters (longer only for a longer domain or selector, which cannot be folded), to be put in
  // front of the mail. `at`: t=, in whole seconds; an Instant that is not set leaves t= out. The same bytes for the same arguments, always.
  std::string Sign(std::string_view message, Instant at) const { return Sign(Prepare(message), at); }
  std::string Sign(const Prepared& prepared, Instant at) const;

  const std::string& domain() const { return domain_; }
  const std::string& selector() const { return selector_; }
  const PrivateKey& key() const { return key_; }
  // Where the key's DnsValue() has to stand: "SELECTOR._domainkey.DOMAIN".
  std::string DnsName() const { return selector_ + "._domainkey." + domain_; }

 private:
  Signer(std::string domain, std::string selector, PrivateKey key)
      : domain_(std::move(domain)), selector_(std::move(selector)), key_(std::move(key)) {}

  std::string domain_;
  std::string selector_;
  PrivateKey key_;
};

}  // namespace maily::dkim
