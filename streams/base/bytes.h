// Little-endian numbers and varints in byte strings, and a cursor that cannot read past the end.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace maily {

// Appends `value` as sizeof(T) little-endian bytes.
template <class T>
  requires std::is_integral_v<T>
void PutFixed(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));  // every supported machine is little-endian
  out.append(bytes, sizeof(T));
}

// Appends LEB128: seven bits a byte, at most ten bytes.
inline void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Appends the length as a varint, then the bytes.
inline void PutBytes(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}

// Appends `value` in big-endian order, so that keys sort by number.
template <class T>
  requires std::is_unsigned_v<T>
void PutOrdered(std::string& out, T value) {
  for (size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

// The same into memory that the caller has made large enough: each returns one past what it wrote.
template <class T>
  requires std::is_integral_v<T>
inline char* StoreFixed(char* out, T value) {
  std::memcpy(out, &value, sizeof(T));
  return out + sizeof(T);
}
template <class T>
char* StoreOrdered(char* out, T value) {
  for (size_t i = sizeof(T); i-- > 0;) *out++ = static_cast<char>(value >> (8 * i));
  return out;
}
inline char* StoreVarint(char* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}
inline char* StoreRaw(char* out, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}
inline char* StoreBytes(char* out, std::string_view bytes) { return StoreRaw(StoreVarint(out, bytes.size()), bytes); }

// Reads from the front of a view. After a read past the end ok() is false and every value is zero or empty.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  template <class T>
    requires std::is_integral_v<T>
  T Fixed() {
    T value = 0;
    const std::string_view raw = Take(sizeof(T));
    if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  template <class T>
    requires std::is_unsigned_v<T>
  T Ordered() {
    T value = 0;
    for (const char c : Take(sizeof(T))) value = static_cast<T>((value << 8) | static_cast<uint8_t>(c));
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view Bytes() {
    const uint64_t size = Varint();
    return Take(size);
  }
  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace maily
