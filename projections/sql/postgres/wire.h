// Values as PostgreSQL sends and takes them in its binary format (big-endian).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/sql/sql.h"

namespace maily::sql::postgres {

using Oid = unsigned int;  // as libpq has it

constexpr Oid kBool = 16;
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kText = 25;
constexpr Oid kNumeric = 1700;

// A value for a parameter of type `oid`, not null: `integer` or `bytes`, as `type` says; `room` may hold it. None: it does not fit.
std::optional<std::string_view> Encode(Type type, int64_t integer, std::string_view bytes, Oid oid, std::string& room);

// What a field of type `oid` is to the port. Numeric without a fraction, as sum() gives, is an integer.
Type TypeOf(Oid oid);
// Of a field for which TypeOf says integer. A numeric beyond int64 gives its nearest bound.
int64_t DecodeInteger(Oid oid, std::string_view bytes);

}  // namespace maily::sql::postgres
