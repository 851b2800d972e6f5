// See network.h.
#include "schemas/network.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace maily::schema {
namespace {

constexpr size_t kV4Bytes = 3;
constexpr size_t kV6Bytes = 6;

bool SaysNothing4(const uint8_t* a) {
  return a[0] == 0 || a[0] == 10 || a[0] == 127 || (a[0] == 100 && (a[1] & 0xC0) == 64) || (a[0] == 169 && a[1] == 254) ||
         (a[0] == 172 && (a[1] & 0xF0) == 16) || (a[0] == 192 && a[1] == 168);
}

std::string Of4(const uint8_t* a) { return SaysNothing4(a) ? std::string() : std::string(reinterpret_cast<const char*>(a), kV4Bytes); }

}  // namespace

std::string NetworkOf(std::string_view address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.empty() || address.size() >= text.size()) return {};
  std::memcpy(text.data(), address.data(), address.size());
  std::array<uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET, text.data(), bytes.data()) == 1) return Of4(bytes.data());
  if (::inet_pton(AF_INET6, text.data(), bytes.data()) != 1) return {};
  constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::memcmp(bytes.data(), kMapped.data(), kMapped.size()) == 0) return Of4(bytes.data() + kMapped.size());
  const bool local = (bytes[0] & 0xFE) == 0xFC || (bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80);
  constexpr std::array<uint8_t, 8> kNone = {};
  if (local || std::memcmp(bytes.data(), kNone.data(), kNone.size()) == 0) return {};
  return std::string(reinterpret_cast<const char*>(bytes.data()), kV6Bytes);
}

}  // namespace maily::schema
