// The cryptography of the platform: SHA-256, HMAC-SHA256, AES-256-GCM. The only file with OpenSSL. Thread: any.
#pragma once

#include <strings.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::keyring {

inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kNonceBytes = 12;
inline constexpr size_t kTagBytes = 16;

// A secret of 32 bytes; wiped when it goes.
struct Key {
  std::array<uint8_t, kKeyBytes> bytes{};

  Key() = default;
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key() { Wipe(); }
  void Wipe() { explicit_bzero(bytes.data(), bytes.size()); }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // CHECK: 32 bytes.
  static Key From(std::string_view raw);
  bool operator==(const Key&) const = default;  // not in constant time: for tests
};

using Digest = std::array<uint8_t, 32>;
inline std::string_view View(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

Digest Sha256(std::string_view bytes);
// Of the two, one after the other.
Digest Sha256(std::string_view first, std::string_view second);

// HMAC-SHA256 over the parts, one after another with nothing between them.
Digest HmacSha256(const Key& key, std::initializer_list<std::string_view> parts);
// Its first `size` bytes (RFC 2104 §5). `size` ≤ 32.
std::string HmacSha256(const Key& key, std::initializer_list<std::string_view> parts, size_t size);

// Appends ciphertext ‖ tag (plaintext.size() + 16 bytes) to `out`. A nonce is used once with a key: 12 random bytes, and few messages a key
// (NIST SP 800-38D §8.3: fewer than 2^32).
void SealTo(std::string& out, const Key& key, std::string_view nonce, std::string_view plaintext, std::string_view associated);
// The plaintext. kInvalid: forged, damaged, or sealed under another key, nonce or associated data.
Result<std::string> Unseal(const Key& key, std::string_view nonce, std::string_view sealed, std::string_view associated);

// Equal, in a time that depends on the sizes alone.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

}  // namespace maily::keyring
