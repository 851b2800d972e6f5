// Implements the binary format.
#include "projections/sql/postgres/wire.h"

#include <charconv>
#include <limits>

namespace maily::sql::postgres {
namespace {

void PutBig(std::string& out, uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}
uint64_t Big(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// Header: digits, weight of the first, sign, scale, 16 bits each; then the digits, to base 10,000.
int64_t IntegerOfNumeric(std::string_view bytes) {
  if (bytes.size() < 8) return 0;
  const auto digits = static_cast<int>(Big(bytes.substr(0, 2)));
  const int weight = static_cast<int16_t>(Big(bytes.substr(2, 2)));
  const bool negative = Big(bytes.substr(4, 2)) == 0x4000;
  __int128 value = 0;
  constexpr __int128 kMax = std::numeric_limits<int64_t>::max();
  for (int i = 0; i <= weight; ++i) {
    const size_t at = 8 + 2 * static_cast<size_t>(i);
    value = value * 10'000 + (i < digits && at + 2 <= bytes.size() ? static_cast<int>(Big(bytes.substr(at, 2))) : 0);
    if (value > kMax) value = kMax + (negative ? 1 : 0);
  }
  return static_cast<int64_t>(negative ? -value : value);
}

int SizeOf(Oid oid) { return oid == kInt2 ? 2 : oid == kInt4 ? 4 : 8; }

}  // namespace

std::optional<std::string_view> Encode(Type type, int64_t integer, std::string_view bytes, Oid oid, std::string& room) {
  const bool wants_bytes = oid == kText || oid == kBytea;
  if (type != Type::kInteger) return wants_bytes ? std::optional(bytes) : std::nullopt;
  if (oid == kText) {
    room = std::to_string(integer);
    return room;
  }
  if (oid != kInt2 && oid != kInt4 && oid != kInt8) return std::nullopt;
  const int size = SizeOf(oid);
  const int64_t kept = size == 8 ? integer : size == 4 ? static_cast<int32_t>(integer) : static_cast<int16_t>(integer);
  if (kept != integer) return std::nullopt;
  room.clear();
  PutBig(room, static_cast<uint64_t>(integer), size);
  return room;
}

Type TypeOf(Oid oid) {
  switch (oid) {
    case kBool:
    case kInt2:
    case kInt4:
    case kInt8:
    case kNumeric:
      return Type::kInteger;
    case kBytea:
      return Type::kBlob;
    default:
      return Type::kText;
  }
}

int64_t DecodeInteger(Oid oid, std::string_view bytes) {
  switch (oid) {
    case kInt2:
      return static_cast<int16_t>(Big(bytes));
    case kInt4:
      return static_cast<int32_t>(Big(bytes));
    case kNumeric:
      return IntegerOfNumeric(bytes);
    default:
      return static_cast<int64_t>(Big(bytes));
  }
}

}  // namespace maily::sql::postgres
