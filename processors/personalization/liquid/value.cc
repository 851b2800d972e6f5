// See value.h.
#include "processors/personalization/liquid/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace maily::liquid {
namespace {

constexpr int kNestedMax = 100;  // of arrays in arrays that are written out; deeper is left out

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void AppendQuoted(std::string_view text, std::string& out) {
  out.push_back('"');
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    switch (c) {
      case '"':
      case '\\':
        out.push_back('\\');
        out.push_back(c);
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\a':
        out += "\\a";
        continue;
      case '\b':
        out += "\\b";
        continue;
      case '\v':
        out += "\\v";
        continue;
      case '\f':
        out += "\\f";
        continue;
      case '\x1b':
        out += "\\e";
        continue;
      default:
        break;
    }
    if (c == '#' && i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '$' || text[i + 1] == '@')) {
      out += "\\#";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02X}", static_cast<uint8_t>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void Inspect(const Value& value, std::string& out, int depth);

void InspectHash(std::span<const Member> members, std::string& out, int depth) {
  if (depth > kNestedMax) return;
  out.push_back('{');
  bool first = true;
  for (const Member& member : members) {
    if (!std::exchange(first, false)) out += ", ";
    AppendQuoted(member.key, out);
    out += "=>";
    Inspect(member.value, out, depth + 1);
  }
  out.push_back('}');
}

void Inspect(const Value& value, std::string& out, int depth) {
  if (depth > kNestedMax) return;
  if (value.is_nil()) {
    out += "nil";
  } else if (value.is_string()) {
    AppendQuoted(value.string(), out);
  } else if (value.is_array()) {
    out.push_back('[');
    bool first = true;
    for (const Value& item : value.array()) {
      if (!std::exchange(first, false)) out += ", ";
      Inspect(item, out, depth + 1);
    }
    out.push_back(']');
  } else if (value.is_hash()) {
    InspectHash(value.hash(), out, depth);
  } else {
    AppendText(value, out);
  }
}

void Write(const Value& value, std::string& out, int depth) {
  switch (value.kind()) {
    case Value::Kind::kNil:
    case Value::Kind::kBlank:
    case Value::Kind::kEmpty:
      return;
    case Value::Kind::kBool:
      out += value.boolean() ? "true" : "false";
      return;
    case Value::Kind::kInt:
      AppendInt(value.integer(), out);
      return;
    case Value::Kind::kDouble:
      if (value.is_short()) {
        out += fmt::format("{}", value.real());
      } else {
        AppendDouble(value.real(), out);
      }
      return;
    case Value::Kind::kString:
      out += value.string();
      return;
    case Value::Kind::kArray:
      if (depth > kNestedMax) return;
      for (const Value& item : value.array()) Write(item, out, depth + 1);
      return;
    case Value::Kind::kHash:
      InspectHash(value.hash(), out, depth);
      return;
    case Value::Kind::kRange:
      AppendInt(value.range().first, out);
      out += "..";
      AppendInt(value.range().last, out);
      return;
    case Value::Kind::kLoop:
      out += "Liquid::ForloopDrop";
      return;
    case Value::Kind::kTableLoop:
      out += "Liquid::TablerowloopDrop";
      return;
  }
}

bool SameItems(std::span<const Value> a, std::span<const Value> b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equal(a[i], b[i])) return false;
  }
  return true;
}

bool SameMembers(std::span<const Member> a, std::span<const Member> b) {
  if (a.size() != b.size()) return false;
  for (const Member& member : a) {
    const Value* const other = Find(b, member.key);
    if (other == nullptr || !Equal(member.value, *other)) return false;
  }
  return true;
}

}  // namespace

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 15) & ~size_t{15};
  used_ += bytes;
  if (bytes > left_) {
    const size_t size = std::max(bytes, kBlockBytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    if (blocks_.size() == 1) first_bytes_ = size;
    at_ = blocks_.back().get();
    left_ = size;
  }
  char* const given = at_;
  at_ += bytes;
  left_ -= bytes;
  return given;
}

std::string_view Arena::Copy(std::string_view text) {
  if (text.empty()) return {};
  char* const bytes = static_cast<char*>(Allocate(text.size()));
  std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

void Arena::Reset() {
  used_ = 0;
  const bool keep = !blocks_.empty() && first_bytes_ == kBlockBytes;
  blocks_.resize(keep ? 1 : 0);
  at_ = keep ? blocks_.front().get() : nullptr;
  left_ = keep ? kBlockBytes : 0;
}

void AppendText(const Value& value, std::string& out) { Write(value, out, 0); }
void AppendInspected(const Value& value, std::string& out) { Inspect(value, out, 0); }

bool IsBlank(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNil:
      return true;
    case Value::Kind::kBool:
      return !value.boolean();
    case Value::Kind::kString:
      for (const char c : value.string()) {
        if (!IsSpace(c)) return false;
      }
      return true;
    default:
      return IsEmpty(value);
  }
}

bool IsEmpty(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kString:
      return value.string().empty();
    case Value::Kind::kArray:
      return value.array().empty();
    case Value::Kind::kHash:
      return value.hash().empty();
    default:
      return false;
  }
}

bool Equal(const Value& a, const Value& b) {
  if (a.kind() == Value::Kind::kBlank) return IsBlank(b);
  if (a.kind() == Value::Kind::kEmpty) return IsEmpty(b);
  if (b.kind() == Value::Kind::kBlank) return IsBlank(a);
  if (b.kind() == Value::Kind::kEmpty) return IsEmpty(a);
  if (a.is_number() && b.is_number()) {
    if (a.is_int() && b.is_int()) return a.integer() == b.integer();
    return Compare(ToNumber(a), ToNumber(b)) == 0;
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::kNil:
      return true;
    case Value::Kind::kBool:
      return a.boolean() == b.boolean();
    case Value::Kind::kString:
      return a.string() == b.string();
    case Value::Kind::kArray:
      return SameItems(a.array(), b.array());
    case Value::Kind::kHash:
      return SameMembers(a.hash(), b.hash());
    case Value::Kind::kRange:
      return a.range().first == b.range().first && a.range().last == b.range().last;
    default:
      return &a.loop() == &b.loop();
  }
}

Number ToNumber(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kInt:
      return Number::Of(value.integer());
    case Value::Kind::kDouble:
      return Number::OfDouble(value.real());
    case Value::Kind::kString:
      return Number::OfText(value.string());
    default:
      return Number::Of(0);
  }
}

Value FromNumber(const Number& number) { return number.is_int() ? Value::Integer(number.mantissa) : Value::Double(number.ToDouble()); }

}  // namespace maily::liquid
