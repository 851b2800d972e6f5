// See key.h.
#include "processors/effects/dkim/key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "streams/base/base64.h"
#include "streams/base/destroy.h"

namespace maily::dkim {
namespace {

using Bio = std::unique_ptr<BIO, Destroy<BIO_free_all>>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Destroy<EVP_MD_CTX_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Destroy<EVP_PKEY_CTX_free>>;

constexpr size_t kEd25519Bytes = 32;
constexpr size_t kTxtStringBytes = 255;
constexpr size_t kPemBytesMax = 65'536;  // RSA of 4096 bits takes 3,300

const uint8_t* Raw(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
void Require(bool done, const char* what) { MAILY_CHECK(done, "OpenSSL: {} failed", what); }

// Never asks a terminal for a passphrase.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writes*/, void* /*context*/) { return -1; }

// Why a PEM text is no private key, if its own words say so; empty if they do not.
std::string_view WhatItIs(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return "it is larger than any key: give the file of the key";
  const auto has = [&](std::string_view words) { return pem.find(words) != std::string_view::npos; };
  if (!has("-----BEGIN "))
    return "it has no line \"-----BEGIN PRIVATE KEY-----\": give the whole text of the key's file, with its first and last line";
  if (has("ENCRYPTED"))
    return "it is encrypted with a passphrase: decrypt it (openssl pkey -in KEY -out PLAIN) and keep that file readable for Maily alone";
  if (has("BEGIN OPENSSH PRIVATE KEY"))
    return "it is a key of SSH: make one for DKIM (openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048)";
  if (has("PRIVATE KEY-----")) return {};
  if (has("PUBLIC KEY-----")) return "it is the public key: that one stands in DNS; give the private key it was made from";
  return "it has no \"PRIVATE KEY\" in it: give the private key, not a certificate or request";
}

// A context for RSASSA-PKCS1-v1_5 with SHA-256 over a digest made before. Null: the key is not fit for it.
KeyContext RsaContext(EVP_PKEY* key, int (*init)(EVP_PKEY_CTX*)) {
  KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const bool done = context != nullptr && init(context.get()) == 1 && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1;
  return done ? std::move(context) : nullptr;
}

}  // namespace

std::string_view AlgorithmName(Algorithm algorithm) { return algorithm == Algorithm::kRsaSha256 ? "rsa-sha256" : "ed25519-sha256"; }

void PrivateKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<PrivateKey> PrivateKey::Parse(std::string_view pem) {
  if (const std::string_view what = WhatItIs(pem); !what.empty()) return Fail(Code::kInvalid, "the DKIM key is no private key: {}", what);
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Require(bio != nullptr, "BIO");
  Handle handle(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (handle == nullptr) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    const Error error = Fail(Code::kInvalid, "the DKIM key's PEM text is damaged ({}): copy the whole file again, unchanged",
                             reason == nullptr ? "unreadable" : reason);
    ERR_clear_error();
    return error;
  }
  const int type = EVP_PKEY_get_base_id(handle.get());
  const int bits = EVP_PKEY_get_bits(handle.get());
  if (type == EVP_PKEY_ED25519) return PrivateKey(std::move(handle), Algorithm::kEd25519Sha256, 256);
  if (type != EVP_PKEY_RSA) {
    const char* name = EVP_PKEY_get0_type_name(handle.get());
    return Fail(Code::kInvalid, "the DKIM key is of the kind {}, but DKIM knows RSA and Ed25519 only: make one of these",
                name == nullptr ? "unknown" : name);
  }
  if (bits < kRsaBitsMin) {
    return Fail(Code::kInvalid, "the DKIM key has {} bits; receivers take no RSA key below {} (RFC 8301): make one of {}", bits,
                kRsaBitsMin, kRsaBitsAdvised);
  }
  if (bits > kRsaBitsMax) {
    return Fail(Code::kInvalid, "the DKIM key has {} bits; receivers need not check more than {} (RFC 8301): make one of {}", bits,
                kRsaBitsMax, kRsaBitsAdvised);
  }
  PrivateKey key(std::move(handle), Algorithm::kRsaSha256, bits);
  // The parts of an RSA key are not checked by reading them. One that is damaged must not be found out by receivers.
  const Digest digest{};
  std::string signature;
  if (!key.TrySign(digest, signature) || !key.Verifies(digest, signature)) {
    ERR_clear_error();
    return Fail(Code::kInvalid,
                "the DKIM key is damaged, its parts do not belong together: restore it, or make another one and publish it");
  }
  return key;
}

PrivateKey PrivateKey::Generate(Algorithm algorithm) {
  if (algorithm == Algorithm::kEd25519Sha256) {
    Handle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    Require(key != nullptr, "making an Ed25519 key");
    return PrivateKey(std::move(key), algorithm, 256);
  }
  Handle key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(kRsaBitsAdvised)));
  Require(key != nullptr, "making an RSA key");
  return PrivateKey(std::move(key), algorithm, kRsaBitsAdvised);
}

std::string PrivateKey::ToPem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  Require(bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "writing PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string PrivateKey::DnsValue() const {
  if (algorithm_ == Algorithm::kEd25519Sha256) {
    std::string raw(kEd25519Bytes, '\0');
    size_t size = raw.size();
    Require(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<uint8_t*>(raw.data()), &size) == 1 && size == raw.size(),
            "public key");
    return "v=DKIM1; k=ed25519; p=" + ToBase64(raw);
  }
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  Require(size > 0, "public key");
  const std::unique_ptr<uint8_t, decltype([](uint8_t* bytes) { OPENSSL_free(bytes); })> owner(der);
  return "v=DKIM1; k=rsa; p=" + ToBase64({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
}

std::string PrivateKey::SignDigest(const Digest& digest) const {
  std::string signature;
  Require(TrySign(digest, signature), "DKIM signature");
  return signature;
}

bool PrivateKey::TrySign(const Digest& digest, std::string& signature) const {
  signature.resize(static_cast<size_t>(EVP_PKEY_get_size(key_.get())));
  size_t size = signature.size();
  auto* out = reinterpret_cast<uint8_t*>(signature.data());
  if (algorithm_ == Algorithm::kRsaSha256) {
    const KeyContext context = RsaContext(key_.get(), EVP_PKEY_sign_init);
    if (context == nullptr || EVP_PKEY_sign(context.get(), out, &size, digest.data(), digest.size()) != 1) return false;
  } else {
    const MdContext context(EVP_MD_CTX_new());
    if (context == nullptr || EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, key_.get(), nullptr) != 1 ||
        EVP_DigestSign(context.get(), out, &size, digest.data(), digest.size()) != 1) {
      return false;
    }
  }
  signature.resize(size);
  return true;
}

bool PrivateKey::Verifies(const Digest& digest, std::string_view signature) const {
  const KeyContext context = RsaContext(key_.get(), EVP_PKEY_verify_init);
  return context != nullptr && EVP_PKEY_verify(context.get(), Raw(signature), signature.size(), digest.data(), digest.size()) == 1;
}

std::string QuoteTxt(std::string_view value) {
  std::string out;
  do {
    const std::string_view part = value.substr(0, kTxtStringBytes);
    out += out.empty() ? "\"" : " \"";
    out += part;
    out += '"';
    value.remove_prefix(part.size());
  } while (!value.empty());
  return out;
}

}  // namespace maily::dkim
