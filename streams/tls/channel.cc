// See channel.h. OpenSSL reads from one memory BIO and writes to another.
#include "streams/tls/channel.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "streams/base/destroy.h"

namespace maily::tls {
namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, Destroy<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Destroy<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Destroy<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Destroy<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Destroy<EVP_PKEY_free>>;

constexpr size_t kReadBytes = 16 * 1024;  // one TLS record

// The first thing that went wrong, in OpenSSL's words; empties its queue.
std::string Why() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason was given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("OpenSSL error {:#x}", code);
}

ContextPtr MakeContext(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  MAILY_CHECK(context != nullptr, "SSL_CTX_new: {}", Why());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // Memory of idle connections is given back.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

BioPtr ReadFrom(std::string_view pem) { return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

// A passphrase is never asked for at a terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

bool IsAddress(const std::string& name) {
  const std::unique_ptr<ASN1_OCTET_STRING, Destroy<ASN1_OCTET_STRING_free>> address(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  return address != nullptr;
}

}  // namespace

struct Context::Impl {
  ContextPtr context;
};

Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::~Context() = default;

Result<std::shared_ptr<const Context>> Context::Client(const std::string& roots) {
  ContextPtr context = MakeContext(TLS_client_method());
  const int loaded =
      roots.empty() ? SSL_CTX_set_default_verify_paths(context.get()) : SSL_CTX_load_verify_file(context.get(), roots.c_str());
  if (loaded != 1) {
    return Fail(Code::kInvalid, "trusted certificates: {}: {}; give a file of PEM certificates", roots.empty() ? "the system's" : roots,
                Why());
  }
  return std::shared_ptr<const Context>(new Context(std::make_unique<Impl>(std::move(context))));
}

Result<std::shared_ptr<const Context>> Context::Server(std::string_view chain, std::string_view key) {
  ContextPtr context = MakeContext(TLS_server_method());
  const BioPtr certificates = ReadFrom(chain);
  const CertificatePtr own(PEM_read_bio_X509(certificates.get(), nullptr, NoPassphrase, nullptr));
  if (own == nullptr || SSL_CTX_use_certificate(context.get(), own.get()) != 1) {
    return Fail(Code::kInvalid, "the TLS certificate does not parse: {}; PEM is wanted, the own one first", Why());
  }
  while (CertificatePtr next{PEM_read_bio_X509(certificates.get(), nullptr, NoPassphrase, nullptr)}) {
    SSL_CTX_add0_chain_cert(context.get(), next.release());
  }
  ERR_clear_error();  // the end of the file
  const BioPtr keys = ReadFrom(key);
  const KeyPtr secret(PEM_read_bio_PrivateKey(keys.get(), nullptr, NoPassphrase, nullptr));
  if (secret == nullptr) return Fail(Code::kInvalid, "the TLS key does not parse: {}; PEM without a passphrase is wanted", Why());
  if (SSL_CTX_use_PrivateKey(context.get(), secret.get()) != 1) {
    return Fail(Code::kInvalid, "the TLS key does not belong to the certificate: {}", Why());
  }
  return std::shared_ptr<const Context>(new Context(std::make_unique<Impl>(std::move(context))));
}

struct Channel::Impl {
  Impl(std::shared_ptr<const Context> context_in, SSL_CTX* made_by) : context(std::move(context_in)), ssl(SSL_new(made_by)) {
    MAILY_CHECK(ssl != nullptr, "SSL_new: {}", Why());
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    MAILY_CHECK(in != nullptr && out != nullptr, "BIO_new: {}", Why());
    SSL_set_bio(ssl.get(), in, out);  // owns them
  }

  // The handshake as far as it goes, then all plain bytes that are there.
  Result<void> Go() {
    ERR_clear_error();
    if (!SSL_is_init_finished(ssl.get())) {
      if (const int done = SSL_do_handshake(ssl.get()); done != 1) return Broken(done, "the TLS handshake failed");
    }
    std::array<char, kReadBytes> room;
    for (;;) {
      const int read = SSL_read(ssl.get(), room.data(), static_cast<int>(room.size()));
      if (read <= 0) return Broken(read, "the TLS connection broke");
      plain.append(room.data(), static_cast<size_t>(read));
    }
  }
  Result<void> Broken(int result, std::string_view what) {
    switch (SSL_get_error(ssl.get(), result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return Ok();
      case SSL_ERROR_ZERO_RETURN:
        closed = true;
        return Ok();
      default:
        break;
    }
    const long verified = SSL_get_verify_result(ssl.get());
    std::string why = Why();
    if (verified != X509_V_OK && (SSL_get_verify_mode(ssl.get()) & SSL_VERIFY_PEER) != 0) {
      why = fmt::format("the certificate is not accepted: {}", X509_verify_cert_error_string(verified));
    }
    return Fail(Code::kRetry, "{}: {}", what, why);
  }

  const std::shared_ptr<const Context> context;
  const SslPtr ssl;
  std::string plain;
  bool closed = false;
};

Channel::Channel(std::shared_ptr<const Context> context, const std::string& name, Verify verify)
    : impl_(std::make_unique<Impl>(context, context->impl_->context.get())) {
  SSL* const ssl = impl_->ssl.get();
  if (IsAddress(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, name.c_str());
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, name.c_str());
  }
  // The chain is looked at either way; with SSL_VERIFY_NONE what was found wrong is only noted.
  SSL_set_verify(ssl, verify == Verify::kRequire ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_set_connect_state(ssl);
  impl_->Go().IgnoreError("nothing has come in yet");
}

Channel::Channel(std::shared_ptr<const Context> context) : impl_(std::make_unique<Impl>(context, context->impl_->context.get())) {
  SSL_set_accept_state(impl_->ssl.get());
}

Channel::~Channel() { ERR_clear_error(); }

Result<void> Channel::Receive(std::string_view encrypted) {
  if (!encrypted.empty()) BIO_write(SSL_get_rbio(impl_->ssl.get()), encrypted.data(), static_cast<int>(encrypted.size()));
  return impl_->Go();
}

Result<void> Channel::Send(std::string_view plain) {
  MAILY_CHECK(established(), "TLS: sent before the handshake");
  ERR_clear_error();
  while (!plain.empty()) {
    const int written = SSL_write(impl_->ssl.get(), plain.data(), static_cast<int>(std::min<size_t>(plain.size(), INT32_MAX)));
    if (written <= 0) return Fail(Code::kRetry, "the TLS connection broke: {}", Why());
    plain.remove_prefix(static_cast<size_t>(written));
  }
  return Ok();
}

void Channel::Close() {
  ERR_clear_error();
  if (established()) SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

std::string Channel::TakeEncrypted() {
  BIO* const out = SSL_get_wbio(impl_->ssl.get());
  std::string bytes(BIO_ctrl_pending(out), '\0');
  if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

std::string Channel::TakePlain() { return std::exchange(impl_->plain, {}); }

bool Channel::established() const { return SSL_is_init_finished(impl_->ssl.get()) != 0; }
bool Channel::closed() const { return impl_->closed; }

Facts Channel::facts() const {
  MAILY_CHECK(established(), "TLS: facts before the handshake");
  const SSL* const ssl = impl_->ssl.get();
  Facts facts{.version = SSL_get_version(ssl), .cipher = SSL_get_cipher_name(ssl)};
  const long verified = SSL_get_verify_result(ssl);
  facts.verified = verified == X509_V_OK;
  if (!facts.verified) facts.why_not = X509_verify_cert_error_string(verified);
  return facts;
}

}  // namespace maily::tls
