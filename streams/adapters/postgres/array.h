// A parameter that is an array, in the binary format of the server (big-endian).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maily::libpq {

// A column of an array under way: elements are added, then Finish puts the header before them. Thread: one at a time.
class ArrayColumn {
 public:
  // `element`: the Oid of their type.
  explicit ArrayColumn(unsigned int element) : element_(element) { Clear(); }
  void Add(std::string_view bytes);
  void AddNull();
  void Clear();
  size_t size() const { return bytes_.size(); }
  // The whole array, valid until the next call.
  std::string_view Finish();

 private:
  unsigned int element_;
  uint32_t count_ = 0;
  bool has_null_ = false;
  std::string bytes_;  // begins with room for the header
};

}  // namespace maily::libpq
