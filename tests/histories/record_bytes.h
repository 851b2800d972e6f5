// The bytes of a value: itself, and a filling that follows from it, so that any other byte shows.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace maily::histories {

inline uint64_t FillingOf(uint64_t value) { return (value + 1) * 0x9e3779b97f4a7c15; }

// `size` is at least 16: value, size, filling.
inline std::string BytesOf(uint64_t value, uint64_t size) {
  std::string bytes(size, '\0');
  std::memcpy(bytes.data(), &value, 8);
  std::memcpy(bytes.data() + 8, &size, 8);
  uint64_t filling = FillingOf(value);
  size_t at = 16;
  for (; at + 8 <= size; at += 8, filling += 0x9e3779b97f4a7c15) std::memcpy(bytes.data() + at, &filling, 8);
  std::memcpy(bytes.data() + at, &filling, size - at);
  return bytes;
}

// The value of a record; `sound` says whether all its bytes are that value's.
inline uint64_t ValueIn(const std::string& bytes, bool& sound) {
  sound = false;
  uint64_t value = 0;
  if (bytes.size() < 16) return value;
  std::memcpy(&value, bytes.data(), 8);
  uint64_t size = 0;
  std::memcpy(&size, bytes.data() + 8, 8);
  if (size != bytes.size()) return value;
  uint64_t filling = FillingOf(value);
  size_t at = 16;
  for (; at + 8 <= size; at += 8, filling += 0x9e3779b97f4a7c15) {
    if (std::memcmp(bytes.data() + at, &filling, 8) != 0) return value;
  }
  sound = std::memcmp(bytes.data() + at, &filling, size - at) == 0;
  return value;
}

}  // namespace maily::histories
