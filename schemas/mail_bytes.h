// How much room a file takes in a mail. Pure; thread: any.
#pragma once

#include <cstdint>

namespace maily::schema {

// At most, of a file of that size: base64 in lines of 76 letters (RFC 2045 §6.8), with fields and delimiters.
constexpr uint64_t EnclosedBytes(uint64_t size) {
  constexpr uint64_t kFieldBytes = 1024;
  const uint64_t letters = (size + 2) / 3 * 4;
  return letters + (letters + 75) / 76 * 2 + kFieldBytes;
}

}  // namespace maily::schema
