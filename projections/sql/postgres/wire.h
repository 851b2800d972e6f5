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

void PutBig32(std::string& out, uint32_t value);
uint32_t Big32(std::string_view bytes);

// A value for a parameter of type `oid`, not null: `integer` or `bytes`, as `type` says; `room` may hold it. None: it does not fit.
std::optional<std::string_view> Encode(Type type, int64_t integer, std::string_view bytes, Oid oid, std::string& room);

// What a field of type `oid` is to the port. Numeric without a fraction, as sum() gives, is an integer.
Type TypeOf(Oid oid);
// Of a field for which TypeOf says integer. A numeric beyond int64 gives its nearest bound.
int64_t DecodeInteger(Oid oid, std::string_view bytes);

// A column of an array under way: elements are added, then Finish puts the header before them.
class ArrayColumn {
 public:
  explicit ArrayColumn(Oid element) : element_(element) { Clear(); }
  void Add(std::string_view bytes);
  void AddNull();
  void Clear();
  size_t size() const { return bytes_.size(); }
  // The whole array, valid until the next call.
  std::string_view Finish();

 private:
  Oid element_;
  uint32_t count_ = 0;
  bool has_null_ = false;
  std::string bytes_;  // begins with room for the header
};

}  // namespace maily::sql::postgres
