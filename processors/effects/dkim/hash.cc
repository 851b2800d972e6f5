// See hash.h.
#include "processors/effects/dkim/hash.h"

#include <openssl/evp.h>

#include "streams/base/result.h"

namespace maily::dkim {
namespace {

// Fetched once: a look-up by name at each mail would take a lock.
const EVP_MD* Sha256Md() {
  static EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  MAILY_CHECK(md != nullptr, "OpenSSL has no SHA256");
  return md;
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  MAILY_CHECK(context_ != nullptr && EVP_DigestInit_ex2(context_.get(), Sha256Md(), nullptr) == 1, "OpenSSL: digest init failed");
}

void Sha256::Add(std::string_view bytes) {
  MAILY_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "OpenSSL: digest update failed");
}

Digest Sha256::Finish() {
  Digest digest;
  MAILY_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1, "OpenSSL: digest final failed");
  return digest;
}

}  // namespace maily::dkim
