// See test_certificate.h.
#include "streams/tls/test_certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "streams/base/destroy.h"
#include "streams/base/result.h"

namespace maily::tls {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, Destroy<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Destroy<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Destroy<BIO_free>>;

template <class Write>
std::string Pem(Write write) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  MAILY_CHECK(write(out.get()) == 1, "PEM");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  return {bytes, static_cast<size_t>(size)};
}

CertificatePtr Make(EVP_PKEY* key, const std::string& name, long from, long to, X509* issuer, EVP_PKEY* issuer_key,
                    const std::string& names) {
  CertificatePtr made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), to);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(made.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
  const auto extend = [&](int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, Destroy<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    MAILY_CHECK(extension != nullptr && X509_add_ext(made.get(), extension.get(), -1) == 1, "extension {}", value);
  };
  extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (!names.empty()) extend(NID_subject_alt_name, names);
  MAILY_CHECK(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0, "X509_sign");
  return made;
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& name, bool expired) {
  constexpr long kDay = 86'400;
  const KeyPtr root_key(EVP_EC_gen("P-256"));
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr root = Make(root_key.get(), "authority of " + name, -kDay, kDay, nullptr, root_key.get(), "");
  const bool address = name.find_first_not_of("0123456789.:abcdef") == std::string::npos;
  const CertificatePtr own =
      Make(key.get(), name, -kDay, expired ? -3'600 : kDay, root.get(), root_key.get(), (address ? "IP:" : "DNS:") + name);
  return {.roots = Pem([&](BIO* out) { return PEM_write_bio_X509(out, root.get()); }),
          .chain = Pem([&](BIO* out) { return PEM_write_bio_X509(out, own.get()); }),
          .key = Pem([&](BIO* out) { return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
}

}  // namespace maily::tls
