// The private keys of DKIM, and the DNS records that publish their other half.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "processors/effects/dkim/hash.h"
#include "streams/base/result.h"

struct evp_pkey_st;

namespace maily::dkim {

enum class Algorithm {
  kRsaSha256,      // RFC 6376 §3.3.2: what every receiver checks
  kEd25519Sha256,  // RFC 8463: short and fast, but not checked everywhere, so only beside an RSA signature
};
// "rsa-sha256", "ed25519-sha256": as a= says it.
std::string_view AlgorithmName(Algorithm algorithm);

// RFC 8301 §3.2: signers use at least 1024 bits and should use 2048; nobody need check more than 4096.
inline constexpr int kRsaBitsMin = 1024;
inline constexpr int kRsaBitsAdvised = 2048;  // below it signing works; who takes a key in should say that a longer one is better
inline constexpr int kRsaBitsMax = 4096;

// Parsed once, then only read. Thread: any.
class PrivateKey {
 public:
  // PEM as `openssl genpkey` writes it (PKCS #8) or the older "RSA PRIVATE KEY", unencrypted. kInvalid: what it is instead, and what to do.
  static Result<PrivateKey> Parse(std::string_view pem);
  // RSA of kRsaBitsAdvised bits (takes some 100 ms) or Ed25519.
  static PrivateKey Generate(Algorithm algorithm);

  Algorithm algorithm() const { return algorithm_; }
  int bits() const { return bits_; }  // of the modulus; 256 for Ed25519

  // PKCS #8, unencrypted: a secret.
  std::string ToPem() const;
  // The value of the TXT record at SELECTOR._domainkey.DOMAIN: "v=DKIM1; k=rsa; p=…" (RFC 6376 §3.6.1, RFC 8463 §4).
  std::string DnsValue() const;

  // The signature's bytes over a hash: RSASSA-PKCS1-v1_5, or PureEdDSA of the 32 bytes (RFC 8463 §3). The same at each call.
  std::string SignDigest(const Digest& digest) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  using Handle = std::unique_ptr<evp_pkey_st, Free>;
  PrivateKey(Handle key, Algorithm algorithm, int bits) : key_(std::move(key)), algorithm_(algorithm), bits_(bits) {}
  bool TrySign(const Digest& digest, std::string& signature) const;
  bool Verifies(const Digest& digest, std::string_view signature) const;

  Handle key_;
  Algorithm algorithm_;
  int bits_;
};

// A TXT value as zone files want it: quoted strings of at most 255 bytes (RFC 1035 §3.3), one after another: "v=DKIM1; k=rsa; p=MII…" "…".
// `value` has neither quotes nor backslashes.
std::string QuoteTxt(std::string_view value);

}  // namespace maily::dkim
