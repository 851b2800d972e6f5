// The cryptography of the platform, by OpenSSL 3: algorithms fetched once, contexts kept a thread.
#include "streams/keyring/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>
#include <memory>

#include "streams/base/destroy.h"

namespace maily::keyring {
namespace {

using MdContext = std::unique_ptr<EVP_MD_CTX, Destroy<EVP_MD_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Destroy<EVP_CIPHER_CTX_free>>;

const EVP_MD* Sha256Md() {
  static EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  MAILY_CHECK(md != nullptr, "OpenSSL has no SHA256");
  return md;
}

const EVP_CIPHER* Aes256Gcm() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  MAILY_CHECK(cipher != nullptr, "OpenSSL has no AES-256-GCM");
  return cipher;
}

EVP_MD_CTX* ThreadMd() {
  thread_local const MdContext context(EVP_MD_CTX_new());
  MAILY_CHECK(context != nullptr, "out of memory");
  return context.get();
}

// A context that keeps the key of its last use expanded: fields of one subject come together.
class ThreadCipher {
 public:
  ThreadCipher() : context_(EVP_CIPHER_CTX_new()) { MAILY_CHECK(context_ != nullptr, "out of memory"); }
  ThreadCipher(const ThreadCipher&) = delete;
  ThreadCipher& operator=(const ThreadCipher&) = delete;

  // `init`: EVP_EncryptInit_ex2 or EVP_DecryptInit_ex2, the same one at each call.
  template <class Init>
  EVP_CIPHER_CTX* Begin(Init init, const Key& key, const uint8_t* nonce) {
    const bool same = keyed_ && CRYPTO_memcmp(key_.bytes.data(), key.bytes.data(), kKeyBytes) == 0;
    keyed_ = false;  // if it fails
    const int done =
        same ? init(context_.get(), nullptr, nullptr, nonce, nullptr) : init(context_.get(), Aes256Gcm(), key.bytes.data(), nonce, nullptr);
    MAILY_CHECK(done == 1, "OpenSSL: cipher init failed");
    key_ = key;
    keyed_ = true;
    return context_.get();
  }

 private:
  const CipherContext context_;
  Key key_;
  bool keyed_ = false;
};

const uint8_t* Raw(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

// The contexts of one thread are used by one call at a time: nothing below calls back.
void Require(int done, const char* what) { MAILY_CHECK(done == 1, "OpenSSL: {} failed", what); }

// One SHA-256 over a first block and the parts.
Digest HashParts(std::string_view first, const std::string_view* begin, const std::string_view* end) {
  Digest digest;
  EVP_MD_CTX* context = ThreadMd();
  Require(EVP_DigestInit_ex2(context, Sha256Md(), nullptr), "digest init");
  Require(EVP_DigestUpdate(context, first.data(), first.size()), "digest update");
  for (; begin != end; ++begin) Require(EVP_DigestUpdate(context, begin->data(), begin->size()), "digest update");
  Require(EVP_DigestFinal_ex(context, digest.data(), nullptr), "digest final");
  return digest;
}

}  // namespace

Key Key::From(std::string_view raw) {
  MAILY_CHECK(raw.size() == kKeyBytes, "a key has {} bytes, not {}", kKeyBytes, raw.size());
  Key key;
  std::memcpy(key.bytes.data(), raw.data(), kKeyBytes);
  return key;
}

Digest Sha256(std::string_view bytes) { return HashParts(bytes, nullptr, nullptr); }

Digest Sha256(std::string_view first, std::string_view second) { return HashParts(first, &second, &second + 1); }

// RFC 2104 §2, for a key shorter than the 64-byte block. Faster than EVP_MAC, which sets up a context anew for each key.
Digest HmacSha256(const Key& key, std::initializer_list<std::string_view> parts) {
  char inner[64];
  char outer[64];
  for (size_t i = 0; i < 64; ++i) {
    const uint8_t byte = i < kKeyBytes ? key.bytes[i] : uint8_t{0};
    inner[i] = static_cast<char>(byte ^ 0x36);
    outer[i] = static_cast<char>(byte ^ 0x5c);
  }
  const Digest first = HashParts({inner, sizeof(inner)}, parts.begin(), parts.end());
  const std::string_view rest = View(first);
  const Digest digest = HashParts({outer, sizeof(outer)}, &rest, &rest + 1);
  explicit_bzero(inner, sizeof(inner));
  explicit_bzero(outer, sizeof(outer));
  return digest;
}

std::string HmacSha256(const Key& key, std::initializer_list<std::string_view> parts, size_t size) {
  MAILY_CHECK(size <= 32, "a MAC of {} bytes", size);
  const Digest digest = HmacSha256(key, parts);
  return std::string(View(digest).substr(0, size));
}

void SealTo(std::string& out, const Key& key, std::string_view nonce, std::string_view plaintext, std::string_view associated) {
  MAILY_CHECK(nonce.size() == kNonceBytes, "a nonce has {} bytes, not {}", kNonceBytes, nonce.size());
  MAILY_CHECK(plaintext.size() < (1U << 30), "sealing {} bytes at once", plaintext.size());
  thread_local ThreadCipher cipher;
  EVP_CIPHER_CTX* context = cipher.Begin(EVP_EncryptInit_ex2, key, Raw(nonce));
  int written = 0;
  if (!associated.empty()) {
    Require(EVP_EncryptUpdate(context, nullptr, &written, Raw(associated), static_cast<int>(associated.size())), "encrypt associated");
  }
  const size_t at = out.size();
  out.resize(at + plaintext.size() + kTagBytes);
  auto* target = reinterpret_cast<uint8_t*>(out.data() + at);
  if (!plaintext.empty()) {
    Require(EVP_EncryptUpdate(context, target, &written, Raw(plaintext), static_cast<int>(plaintext.size())), "encrypt");
  }
  Require(EVP_EncryptFinal_ex(context, target + plaintext.size(), &written), "encrypt final");
  Require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, target + plaintext.size()), "tag");
}

Result<std::string> Unseal(const Key& key, std::string_view nonce, std::string_view sealed, std::string_view associated) {
  if (nonce.size() != kNonceBytes || sealed.size() < kTagBytes || sealed.size() >= (1U << 30)) {
    return Fail(Code::kInvalid, "{} bytes are no sealed text", sealed.size());
  }
  const size_t size = sealed.size() - kTagBytes;
  std::string tag(sealed.substr(size));
  thread_local ThreadCipher cipher;
  EVP_CIPHER_CTX* context = cipher.Begin(EVP_DecryptInit_ex2, key, Raw(nonce));
  int written = 0;
  if (!associated.empty()) {
    Require(EVP_DecryptUpdate(context, nullptr, &written, Raw(associated), static_cast<int>(associated.size())), "decrypt associated");
  }
  std::string plaintext(size, '\0');
  auto* target = reinterpret_cast<uint8_t*>(plaintext.data());
  if (size > 0) Require(EVP_DecryptUpdate(context, target, &written, Raw(sealed), static_cast<int>(size)), "decrypt");
  Require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()), "tag");
  if (EVP_DecryptFinal_ex(context, target + size, &written) != 1) {
    explicit_bzero(plaintext.data(), plaintext.size());
    return Fail(Code::kInvalid, "the sealed text is forged, damaged, or of another key or field");
  }
  return plaintext;
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace maily::keyring
