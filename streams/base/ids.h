// The identifiers and positions that every stage names: distinct types, so that one is never passed for another.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace maily {

// An integer of type T that is no other integer. Arithmetic is spelled out by the few that need it.
template <class Tag, class T>
class Id {
 public:
  using Value = T;
  constexpr Id() = default;
  constexpr explicit Id(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  constexpr Id Next() const { return Id(static_cast<T>(value_ + 1)); }
  auto operator<=>(const Id&) const = default;

 private:
  T value_ = 0;
};

// A tenant; dense, 1 = `default`, 0 = the platform itself.
using TenantId = Id<struct TenantTag, uint32_t>;
// A partition, 0 … partition_count-1; the same number in commands, journal, state and tokens.
using PartitionId = Id<struct PartitionTag, uint16_t>;
// Term of leadership of a partition; grows by one with every claim.
using Epoch = Id<struct EpochTag, uint64_t>;
// Dense number of a decision in its partition's journal, from 1.
using Lsn = Id<struct LsnTag, uint64_t>;
// Number of a record in a topic's partition, from 0.
using Offset = Id<struct OffsetTag, uint64_t>;

// 16 random or time-ordered bytes that name a command, a trace or a log.
template <class Tag>
struct Bytes16 {
  std::array<uint8_t, 16> bytes{};

  bool IsZero() const { return bytes == std::array<uint8_t, 16>{}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // `raw` must have 16 bytes; anything else gives the zero id.
  static Bytes16 From(std::string_view raw) {
    Bytes16 id;
    if (raw.size() == id.bytes.size()) std::memcpy(id.bytes.data(), raw.data(), raw.size());
    return id;
  }
  // 32 lower-case hexadecimal digits.
  std::string ToHex() const {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string hex;
    hex.reserve(32);
    for (const uint8_t byte : bytes) {
      hex.push_back(kDigits[byte >> 4]);
      hex.push_back(kDigits[byte & 15]);
    }
    return hex;
  }
  // Parses ToHex's form; anything else gives the zero id.
  static Bytes16 FromHex(std::string_view hex) {
    Bytes16 id;
    if (hex.size() != 32) return id;
    for (size_t i = 0; i < 32; ++i) {
      const char c = hex[i];
      int digit = -1;
      if (c >= '0' && c <= '9') digit = c - '0';
      if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
      if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
      if (digit < 0) return {};
      id.bytes[i / 2] = static_cast<uint8_t>((id.bytes[i / 2] << 4) | digit);
    }
    return id;
  }
  auto operator<=>(const Bytes16&) const = default;
};
using CommandId = Bytes16<struct CommandIdTag>;  // UUIDv7: time-ordered, unique
using TraceId = Bytes16<struct TraceIdTag>;      // the 32 hex digits of a W3C traceparent
using LogId = Bytes16<struct LogIdTag>;          // made when a log is created, in every internal record

// Where a command stands: `index` counts the commands inside the record at `offset`.
// `generation` grows when a topic is made anew, so that old positions never fit.
struct CommandAt {
  PartitionId partition;
  uint32_t generation = 0;
  Offset offset;
  uint32_t index = 0;
  auto operator<=>(const CommandAt&) const = default;
};

}  // namespace maily

template <class Tag, class T>
struct std::hash<maily::Id<Tag, T>> {
  size_t operator()(const maily::Id<Tag, T>& id) const noexcept { return std::hash<T>{}(id.value()); }
};
template <class Tag>
struct std::hash<maily::Bytes16<Tag>> {
  size_t operator()(const maily::Bytes16<Tag>& id) const noexcept {
    uint64_t words[2];
    std::memcpy(words, id.bytes.data(), 16);
    return words[0] ^ (words[1] * 0x9E3779B97F4A7C15ULL);
  }
};
