// Implements arrays as parameters.
#include "streams/adapters/postgres/array.h"

#include "streams/base/bytes.h"

namespace maily::libpq {
namespace {

constexpr size_t kHeader = 20;  // dimensions, has-null flag, element type, size, lower bound

}  // namespace

void ArrayColumn::Add(std::string_view bytes) {
  PutOrdered(bytes_, static_cast<uint32_t>(bytes.size()));
  bytes_ += bytes;
  ++count_;
}
void ArrayColumn::AddNull() {
  PutOrdered(bytes_, UINT32_MAX);
  has_null_ = true;
  ++count_;
}
void ArrayColumn::Clear() {
  bytes_.assign(kHeader, '\0');
  count_ = 0;
  has_null_ = false;
}
std::string_view ArrayColumn::Finish() {
  std::string header;
  for (const uint32_t number : {1U, has_null_ ? 1U : 0U, static_cast<uint32_t>(element_), count_, 1U}) PutOrdered(header, number);
  bytes_.replace(0, kHeader, header);
  return bytes_;
}

}  // namespace maily::libpq
