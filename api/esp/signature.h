// Signatures of webhooks: RSA and ECDSA by OpenSSL, HMAC-SHA256 with keys of any length, secrets. The only file of api/ with OpenSSL.
//
// Nothing is said of why a signature does not fit: it is false. Thread: any.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"
#include "streams/base/time.h"

struct evp_pkey_st;

namespace maily::esp {

// How far a signed time may be from now, either way.
struct Window {
  Instant now = {};
  Duration tolerance = {};
};
// kInvalid: it is further away; names the seconds.
Result<void> CheckWindow(Instant signed_at, const Window& window);

enum class Hash : uint8_t { kSha1, kSha256 };

// A public key that signatures are verified with. Parsed once, then only read.
class PublicKey {
 public:
  // The key of an X.509 certificate in PEM, which must be valid at `now` and hold RSA of 2048 to 8192 bits. The chain is not looked at: who
  // gives the certificate has got it from a place that is proof of it. kInvalid: what is wrong with it.
  static Result<PublicKey> OfCertificate(std::string_view pem, Instant now);
  // SubjectPublicKeyInfo of a key of the curve P-256, as base64 of its DER, with or without the lines of PEM. kInvalid: what is wrong.
  static Result<PublicKey> OfP256(std::string_view base64);

  // RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2), or ECDSA with a signature in DER (RFC 3279 §2.2.3), over the parts one after another.
  bool Verifies(Hash hash, std::initializer_list<std::string_view> parts, std::string_view signature) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit PublicKey(evp_pkey_st* key) : key_(key) {}

  std::unique_ptr<evp_pkey_st, Free> key_;
};

// Lower-case hexadecimal. streams/keyring has an HMAC, but for keys of 32 bytes alone: those of providers have any length (RFC 2104 §2).
std::string HmacSha256Hex(std::string_view key, std::initializer_list<std::string_view> parts);
std::string Sha256Hex(std::string_view bytes);

// Equal, in a time that tells nothing of where they differ, nor of the secret's size.
bool SameSecret(std::string_view given, std::string_view secret);

}  // namespace maily::esp
