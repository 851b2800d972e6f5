// What a template's names stand for: a value of 24 bytes that owns nothing. What it points to belongs to the caller's data, to the compiled
// template, or to the arena of the rendering. Pure; thread: a value is immutable, any; an arena: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/liquid/number.h"

namespace maily::liquid {

struct Member;
struct Range;
struct Loop;

class Value {
 public:
  // kBlank and kEmpty are the words `blank` and `empty`, which conditions compare with. kLoop and kTableLoop: forloop and tablerowloop.
  enum class Kind : uint8_t { kNil, kBool, kInt, kDouble, kString, kArray, kHash, kRange, kLoop, kTableLoop, kBlank, kEmpty };

  Value() = default;
  static Value Bool(bool value) { return Value(Kind::kBool, value ? 1 : 0, nullptr); }
  static Value Integer(Int value) {
    Value made(Kind::kInt, 0, nullptr);
    std::memcpy(made.payload_, &value, sizeof value);
    return made;
  }
  static Value Double(double value) {
    Value made(Kind::kDouble, 0, nullptr);
    std::memcpy(made.payload_, &value, sizeof value);
    return made;
  }
  // Written in the short form: 10 and 1e-05 instead of 10.0 and 1.0e-05.
  static Value ShortDouble(double value) { return Double(value).AsSafe(); }
  static Value String(std::string_view text) { return Value(Kind::kString, static_cast<uint32_t>(text.size()), text.data()); }
  static Value Array(std::span<const Value> items) { return Value(Kind::kArray, static_cast<uint32_t>(items.size()), items.data()); }
  static Value Hash(std::span<const Member> members);
  static Value OfRange(const Range* range) { return Value(Kind::kRange, 0, range); }
  static Value OfLoop(const Loop* loop, bool table) { return Value(table ? Kind::kTableLoop : Kind::kLoop, 0, loop); }
  static Value Blank() { return Value(Kind::kBlank, 0, nullptr); }
  static Value Empty() { return Value(Kind::kEmpty, 0, nullptr); }

  Kind kind() const { return kind_; }
  bool is_nil() const { return kind_ == Kind::kNil; }
  bool is_int() const { return kind_ == Kind::kInt; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_hash() const { return kind_ == Kind::kHash; }
  bool is_range() const { return kind_ == Kind::kRange; }
  bool is_number() const { return kind_ == Kind::kInt || kind_ == Kind::kDouble; }
  // All but nil and false.
  bool truthy() const { return kind_ != Kind::kNil && (kind_ != Kind::kBool || size_ != 0); }

  bool is_short() const { return kind_ == Kind::kDouble && safe_; }

  bool boolean() const { return size_ != 0; }
  Int integer() const { return Get<Int>(); }
  double real() const { return Get<double>(); }
  std::string_view string() const { return {Get<const char*>(), size_}; }
  std::span<const Value> array() const { return {Get<const Value*>(), size_}; }
  std::span<const Member> hash() const;
  const Range& range() const { return *Get<const Range*>(); }
  const Loop& loop() const { return *Get<const Loop*>(); }

  // A string that is HTML already, so that escaping leaves it alone.
  bool safe() const { return safe_; }
  Value AsSafe(bool safe = true) const {
    Value made = *this;
    made.safe_ = safe;
    return made;
  }

 private:
  Value(Kind kind, uint32_t size, const void* pointer) : kind_(kind), size_(size) { std::memcpy(payload_, &pointer, sizeof pointer); }
  template <class T>
  T Get() const {
    T value;
    std::memcpy(&value, payload_, sizeof value);
    return value;
  }

  Kind kind_ = Kind::kNil;
  bool safe_ = false;
  uint32_t size_ = 0;  // bytes of a string, items, members; the truth of a bool
  alignas(8) char payload_[16] = {};
};

struct Member {
  std::string_view key;
  Value value;
};

// first..last, both included; empty if first > last.
struct Range {
  Int first = 0;
  Int last = 0;
  Int size() const { return first > last ? 0 : last - first + 1; }
};

// Where a for or tablerow stands.
struct Loop {
  std::string_view name;
  Int length = 0;
  Int index0 = 0;
  const Loop* parent = nullptr;
  Int cols = 0;  // tablerow: columns, and the present place
  Int col = 1;
  Int row = 1;
};

inline Value Value::Hash(std::span<const Member> members) {
  return Value(Kind::kHash, static_cast<uint32_t>(members.size()), members.data());
}
inline std::span<const Member> Value::hash() const { return {Get<const Member*>(), size_}; }

// nullptr: there is no such key.
inline const Value* Find(std::span<const Member> members, std::string_view key) {
  for (const Member& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

// Memory of one rendering after another: bytes are handed out and all taken back at once. Never refuses; `used` is for whoever limits it.
class Arena {
 public:
  void* Allocate(size_t bytes);  // aligned to 16
  template <class T>
  T* Make(const T& value) {
    return new (Allocate(sizeof(T))) T(value);
  }
  template <class T>
  std::span<T> MakeArray(size_t n) {
    T* const items = static_cast<T*>(Allocate(sizeof(T) * n));
    for (size_t i = 0; i < n; ++i) new (items + i) T();
    return {items, n};
  }
  std::string_view Copy(std::string_view text);
  void Reset();
  size_t used() const { return used_; }

 private:
  static constexpr size_t kBlockBytes = 64 << 10;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  size_t left_ = 0;
  size_t used_ = 0;
  size_t first_bytes_ = 0;  // of the block that a reset keeps
};

// As it is written out: nil is nothing, an array its items one after another, a hash {"a"=>1}.
void AppendText(const Value& value, std::string& out);
// As inside a hash that is written out: strings quoted, nil spelled.
void AppendInspected(const Value& value, std::string& out);
// Of equal kind and content; integers and doubles compare as numbers. `blank` and `empty` by what they mean.
bool Equal(const Value& a, const Value& b);
bool IsBlank(const Value& value);  // nil, false, white space alone, nothing inside
bool IsEmpty(const Value& value);  // "", [], {}
Number ToNumber(const Value& value);
Value FromNumber(const Number& number);

}  // namespace maily::liquid
