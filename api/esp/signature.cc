// See signature.h.
#include "api/esp/signature.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>

#include "streams/base/base64.h"
#include "streams/base/destroy.h"

namespace maily::esp {
namespace {

using Bio = std::unique_ptr<BIO, Destroy<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Destroy<X509_free>>;
using Digest = std::array<uint8_t, 32>;
using Key = std::unique_ptr<EVP_PKEY, Destroy<EVP_PKEY_free>>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Destroy<EVP_MD_CTX_free>>;

constexpr size_t kPemBytesMax = 65'536;  // certificates of SNS have 2 KiB
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;      // beyond, a verification takes milliseconds
constexpr size_t kP256TextMax = 1024;  // base64 of 91 bytes, with lines around it

const uint8_t* Raw(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
void Require(bool done, const char* what) { MAILY_CHECK(done, "OpenSSL: {} failed", what); }

// The queue of errors is a thread's: what one call left there is not to be another's reason.
struct NoErrorsLeft {
  ~NoErrorsLeft() { ERR_clear_error(); }
};

Digest HmacSha256(std::string_view key, std::string_view bytes) {
  Digest digest{};
  unsigned size = 0;
  Require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Raw(bytes), bytes.size(), digest.data(), &size) != nullptr &&
              size == digest.size(),
          "HMAC");
  return digest;
}

std::string Hex(const Digest& digest) {
  std::string hex;
  for (const uint8_t byte : digest) {
    hex.push_back("0123456789abcdef"[byte >> 4]);
    hex.push_back("0123456789abcdef"[byte & 15]);
  }
  return hex;
}

std::string Joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

}  // namespace

Result<void> CheckWindow(Instant signed_at, const Window& window) {
  const Duration away = window.now - signed_at;
  if (away <= window.tolerance && signed_at - window.now <= window.tolerance) return Ok();
  return Fail(Code::kInvalid, "it was signed {} s {}, at most {} s are taken", (away.us < 0 ? -away.us : away.us) / 1'000'000,
              away.us < 0 ? "in the future" : "ago", window.tolerance.us / 1'000'000);
}

void PublicKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<PublicKey> PublicKey::OfCertificate(std::string_view pem, Instant now) {
  const NoErrorsLeft errors;
  if (pem.size() > kPemBytesMax)
    return Fail(Code::kInvalid, "the certificate has {} bytes, at most {} are taken", pem.size(), kPemBytesMax);
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Require(bio != nullptr, "BIO");
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Fail(Code::kInvalid, "the certificate is no certificate in PEM");
  time_t seconds = now.us / 1'000'000;
  // Not before, and not after; 0 is an error of the field.
  const int from = X509_cmp_time(X509_get0_notBefore(certificate.get()), &seconds);
  const int until = X509_cmp_time(X509_get0_notAfter(certificate.get()), &seconds);
  if (from >= 0 || until <= 0) return Fail(Code::kInvalid, "the certificate is not valid now");
  PublicKey key(X509_get_pubkey(certificate.get()));
  if (key.key_ == nullptr || EVP_PKEY_get_base_id(key.key_.get()) != EVP_PKEY_RSA)
    return Fail(Code::kInvalid, "the certificate has no RSA key");
  const int bits = EVP_PKEY_get_bits(key.key_.get());
  if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
    return Fail(Code::kInvalid, "the certificate's RSA key has {} bits: {} to {} are taken", bits, kRsaBitsMin, kRsaBitsMax);
  }
  return key;
}

Result<PublicKey> PublicKey::OfP256(std::string_view base64) {
  const NoErrorsLeft errors;
  const Error wrong = Fail(Code::kInvalid, "this is no public key of P-256: give the provider's verification key, which begins with MFkw");
  if (base64.size() > kP256TextMax) return wrong;
  std::string digits;
  for (size_t at = 0; at < base64.size();) {
    const size_t end = std::min(base64.find('\n', at), base64.size());
    std::string_view line = base64.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with("-----")) digits += line;
    at = end + 1;
  }
  const auto der = FromBase64(digits);
  if (!der || der->empty()) return wrong;
  const uint8_t* at = Raw(*der);
  PublicKey key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der->size())));
  std::array<char, 64> group{};
  size_t size = 0;
  if (key.key_ == nullptr || at != Raw(*der) + der->size() || EVP_PKEY_get_base_id(key.key_.get()) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key.key_.get(), group.data(), group.size(), &size) != 1 ||
      std::string_view(group.data(), size) != "prime256v1") {
    return wrong;
  }
  return key;
}

bool PublicKey::Verifies(Hash hash, std::initializer_list<std::string_view> parts, std::string_view signature) const {
  const NoErrorsLeft errors;
  const MdContext context(EVP_MD_CTX_new());
  Require(context != nullptr, "EVP_MD_CTX");
  const EVP_MD* const md = hash == Hash::kSha1 ? EVP_sha1() : EVP_sha256();
  if (EVP_DigestVerifyInit(context.get(), nullptr, md, nullptr, key_.get()) != 1) return false;
  for (const std::string_view part : parts) {
    if (EVP_DigestVerifyUpdate(context.get(), part.data(), part.size()) != 1) return false;
  }
  return EVP_DigestVerifyFinal(context.get(), Raw(signature), signature.size()) == 1;
}

std::string HmacSha256Hex(std::string_view key, std::initializer_list<std::string_view> parts) {
  return Hex(HmacSha256(key, Joined(parts)));
}

std::string Sha256Hex(std::string_view bytes) {
  Digest digest{};
  size_t size = 0;
  Require(EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), digest.data(), &size) == 1, "SHA-256");
  return Hex(digest);
}

bool SameSecret(std::string_view given, std::string_view secret) {
  // Digests have one size, and where they differ says nothing of where the texts do.
  const Digest a = HmacSha256("maily webhook secret", given);
  const Digest b = HmacSha256("maily webhook secret", secret);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace maily::esp
