// JSON <-> messages: a checking SAX parser, and a walk by reflection either way.
#include "schemas/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "maily/options.pb.h"
#include "schemas/base64url.h"

namespace maily::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr int64_t kExact = int64_t{1} << 53;  // integers up to here are exact as doubles

Error Problem(JsonProblem* problem, JsonFault fault, std::string_view path, std::string message) {
  Error error = Fail(Code::kInvalid, "{}: {}", path, message);
  if (problem != nullptr) *problem = {fault, std::string(path), std::move(message)};
  return error;
}

bool IsPersonal(const FieldDescriptor& field) { return !field.options().GetExtension(maily::personal).empty(); }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

// Builds the value, refusing what nlohmann's own parser lets pass.
class Builder : public nlohmann::json_sax<json> {
 public:
  json root;
  std::optional<JsonProblem> problem;

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Push(json::object()); }
  bool start_array(std::size_t) override { return Push(json::array()); }
  bool end_object() override { return Pop(); }
  bool end_array() override { return Pop(); }
  bool key(string_t& name) override {
    Level& level = levels_.back();
    level.key = std::move(name);
    if (!level.value->contains(level.key)) return true;
    problem = {JsonFault::kValue, Path(), "the key stands twice in one object"};
    return false;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& why) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what is wrong"
    // What stands there is not repeated ("; last read: …"): it may be an address.
    std::string_view what = why.what();
    what = what.substr(0, what.find("; last read:"));
    const size_t at = what.find("parse error");
    problem = {JsonFault::kSyntax, Path(),
               at == std::string_view::npos ? fmt::format("not JSON: a number that is too large at byte {}", position)
                                            : fmt::format("not JSON: {}", what.substr(at))};
    return false;
  }

 private:
  struct Level {
    json* value;
    std::string key;  // of the member that is being read
  };
  std::string Path() const {
    std::string path = "$";
    for (const Level& level : levels_) {
      path += level.value->is_array() ? fmt::format("[{}]", level.value->size() - (&level != &levels_.back() ? 1 : 0)) : "." + level.key;
    }
    if (path.ends_with('.')) path.pop_back();
    return path;
  }
  json* Insert(json value) {
    if (levels_.empty()) {
      root = std::move(value);
      return &root;
    }
    Level& level = levels_.back();
    if (level.value->is_array()) {
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    return &((*level.value)[level.key] = std::move(value));
  }
  bool Put(json value) {
    Insert(std::move(value));
    return true;
  }
  bool Push(json value) {
    if (levels_.size() >= static_cast<size_t>(kJsonDepthMax)) {
      problem = {JsonFault::kDepth, Path(), fmt::format("nested more than {} deep", kJsonDepthMax)};
      return false;
    }
    levels_.push_back({Insert(std::move(value)), ""});
    return true;
  }
  bool Pop() {
    levels_.pop_back();
    return true;
  }

  // Pointers stay valid: a container that is being filled never moves, only its children are added.
  std::vector<Level> levels_;
};

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

// " (did you mean x?)", or what there is.
std::string Suggest(std::string_view name, const std::vector<std::string>& known) {
  if (known.empty()) return "; nothing may stand here";
  const std::string lower = Lower(name.substr(0, 64));
  const auto nearest = std::ranges::min_element(known, {}, [&](const std::string& other) { return Distance(lower, other); });
  if (Distance(lower, *nearest) <= std::max<size_t>(2, nearest->size() / 3)) return fmt::format("; did you mean \"{}\"?", *nearest);
  std::string all;
  for (const std::string& other : known) all += (all.empty() ? "" : ", ") + other;
  return fmt::format("; known are {}", all);
}

std::string KindOf(const json& value) {
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "a boolean";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return "null";
}

class Reader {
 public:
  Reader(JsonProblem* problem, PersonalAs personal) : problem_(problem), personal_(personal) {}

  Result<void> ReadMessage(const json& value, Message& message, const std::string& path, int depth) {
    if (!value.is_object()) return Wrong(path, "an object", value);
    if (depth > kJsonDepthMax) return Problem(problem_, JsonFault::kDepth, path, fmt::format("nested more than {} deep", kJsonDepthMax));
    const Descriptor& type = *message.GetDescriptor();
    const Reflection& reflection = *message.GetReflection();
    for (const auto& [name, member] : value.items()) {
      const std::string at = path + "." + name;
      const FieldDescriptor* field = type.FindFieldByName(name);
      if (field == nullptr) {
        std::vector<std::string> known;
        for (int i = 0; i < type.field_count(); ++i) known.push_back(type.field(i)->name());
        return Problem(problem_, JsonFault::kValue, at, "there is no such field" + Suggest(name, known));
      }
      if (member.is_null()) continue;
      if (!field->is_repeated()) {
        const auto* oneof = field->real_containing_oneof();
        if (oneof != nullptr && reflection.HasOneof(message, oneof)) {
          const FieldDescriptor* other = reflection.GetOneofFieldDescriptor(message, oneof);
          return Problem(problem_, JsonFault::kValue, at, fmt::format("only one of {} and {} may be given", other->name(), name));
        }
        MAILY_TRY_VOID(ReadField(member, message, *field, at, depth));
        continue;
      }
      if (!member.is_array()) return Wrong(at, "an array", member);
      for (size_t i = 0; i < member.size(); ++i) {
        MAILY_TRY_VOID(ReadField(member[i], message, *field, fmt::format("{}[{}]", at, i), depth));
      }
    }
    return Ok();
  }

 private:
  Error Wrong(std::string_view path, std::string_view expected, const json& value) {
    return Problem(problem_, JsonFault::kValue, path, fmt::format("expected {}, got {}", expected, KindOf(value)));
  }

  template <class T>
  Result<T> ReadInteger(const json& value, const std::string& path) {
    const auto out_of_range = [&] {
      return Problem(problem_, JsonFault::kValue, path,
                     fmt::format("out of range: {} to {}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    };
    if (value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0)) {
      const auto number = value.get<uint64_t>();
      if (number > static_cast<uint64_t>(std::numeric_limits<T>::max())) return out_of_range();
      return static_cast<T>(number);
    }
    if (value.is_number_integer()) {  // negative
      const auto number = value.get<int64_t>();
      if (!std::numeric_limits<T>::is_signed || number < static_cast<int64_t>(std::numeric_limits<T>::min())) return out_of_range();
      return static_cast<T>(number);
    }
    if (value.is_number_float()) {  // 1.0 and 1e3 are whole too
      const auto number = value.get<double>();
      if (std::abs(number) > static_cast<double>(kExact)) return out_of_range();
      if (number != std::floor(number)) return Problem(problem_, JsonFault::kValue, path, "expected a whole number");
      return ReadInteger<T>(json(static_cast<int64_t>(number)), path);
    }
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      T number{};
      const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (why == std::errc::result_out_of_range) return out_of_range();
      if (why == std::errc() && end == text.data() + text.size()) return number;
    }
    return Wrong(path, "a whole number", value);
  }

  Result<std::string> ReadBytes(const std::string& text, const FieldDescriptor& field, const std::string& path) {
    if (IsPersonal(field)) {
      if (personal_ == PersonalAs::kPlaintext) return text;
      Result<std::string> box = FromBase64Url(text);
      if (!box) return Problem(problem_, JsonFault::kValue, path, "expected base64url without padding");
      return box;
    }
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::string bytes;
    for (size_t i = 0; i < text.size(); i += 2) {
      const int high = digit(text[i]);
      const int low = i + 1 < text.size() ? digit(text[i + 1]) : -1;
      if (high < 0 || low < 0) return Problem(problem_, JsonFault::kValue, path, "expected an even number of hexadecimal digits");
      bytes.push_back(static_cast<char>(high * 16 + low));
    }
    return bytes;
  }

  template <class T, class Set, class Add>
  Result<void> SetOrAdd(Message& message, const FieldDescriptor& field, Result<T> value, Set set, Add add) {
    if (!value) return value.error();
    const Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, *std::move(value));
    } else {
      (reflection.*set)(&message, &field, *std::move(value));
    }
    return Ok();
  }

  Result<void> ReadField(const json& value, Message& message, const FieldDescriptor& field, const std::string& path, int depth) {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return SetOrAdd(message, field, ReadInteger<int32_t>(value, path), &Reflection::SetInt32, &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return SetOrAdd(message, field, ReadInteger<int64_t>(value, path), &Reflection::SetInt64, &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return SetOrAdd(message, field, ReadInteger<uint32_t>(value, path), &Reflection::SetUInt32, &Reflection::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return SetOrAdd(message, field, ReadInteger<uint64_t>(value, path), &Reflection::SetUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        if (!value.is_number()) return Wrong(path, "a number", value);
        return SetOrAdd(message, field, Result<double>(value.get<double>()), &Reflection::SetDouble, &Reflection::AddDouble);
      case FieldDescriptor::CPPTYPE_FLOAT:
        if (!value.is_number()) return Wrong(path, "a number", value);
        return SetOrAdd(message, field, Result<float>(value.get<float>()), &Reflection::SetFloat, &Reflection::AddFloat);
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!value.is_boolean()) return Wrong(path, "a boolean", value);
        return SetOrAdd(message, field, Result<bool>(value.get<bool>()), &Reflection::SetBool, &Reflection::AddBool);
      case FieldDescriptor::CPPTYPE_ENUM: {
        if (!value.is_string()) return Wrong(path, "a string", value);
        const std::string wanted = Lower(value.get_ref<const std::string&>());
        std::vector<std::string> known;
        for (int i = 0; i < field.enum_type()->value_count(); ++i) {
          const EnumValueDescriptor* one = field.enum_type()->value(i);
          known.push_back(Lower(one->name()));
          if (known.back() != wanted) continue;
          field.is_repeated() ? reflection.AddEnum(&message, &field, one) : reflection.SetEnum(&message, &field, one);
          return Ok();
        }
        return Problem(problem_, JsonFault::kValue, path, "there is no such value" + Suggest(wanted, known));
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        if (!value.is_string()) return Wrong(path, "a string", value);
        const auto& text = value.get_ref<const std::string&>();
        Result<std::string> bytes = field.type() == FieldDescriptor::TYPE_BYTES ? ReadBytes(text, field, path) : Result<std::string>(text);
        return SetOrAdd(message, field, std::move(bytes), &Reflection::SetString, &Reflection::AddString);
      }
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* within = field.is_repeated() ? reflection.AddMessage(&message, &field) : reflection.MutableMessage(&message, &field);
        return ReadMessage(value, *within, path, depth + 1);
      }
    }
    return Wrong(path, "a known type", value);
  }

  JsonProblem* problem_;
  PersonalAs personal_;
};

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return hex;
}

template <class T>
ordered_json Integer(T value) {
  const bool exact = value <= static_cast<T>(kExact) && (!std::numeric_limits<T>::is_signed || value >= static_cast<T>(-kExact));
  return exact ? ordered_json(value) : ordered_json(std::to_string(value));
}

ordered_json Write(const Message& message, PersonalAs personal);

// `index` is -1 for a field that is not repeated.
ordered_json WriteField(const Message& message, const FieldDescriptor& field, int index, PersonalAs personal) {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto one, auto repeated) {
    return index < 0 ? (reflection.*one)(message, &field) : (reflection.*repeated)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return Integer<int64_t>(get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT64:
      return Integer<uint64_t>(get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return Lower(get(&Reflection::GetEnum, &Reflection::GetRepeatedEnum)->name());
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = get(&Reflection::GetString, &Reflection::GetRepeatedString);
      if (field.type() != FieldDescriptor::TYPE_BYTES) return text;
      if (!IsPersonal(field)) return Hex(text);
      return personal == PersonalAs::kPlaintext ? text : ToBase64Url(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Write(index < 0 ? reflection.GetMessage(message, &field) : reflection.GetRepeatedMessage(message, &field, index), personal);
  }
  return nullptr;
}

ordered_json Write(const Message& message, PersonalAs personal) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);  // ascending by number
  ordered_json object = ordered_json::object();
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      object[field->name()] = WriteField(message, *field, -1, personal);
      continue;
    }
    ordered_json array = ordered_json::array();
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) array.push_back(WriteField(message, *field, i, personal));
    object[field->name()] = std::move(array);
  }
  return object;
}

}  // namespace

Result<json> ParseJson(std::string_view text, JsonProblem* problem) {
  Builder builder;
  if (!json::sax_parse(text, &builder)) {
    JsonProblem found = builder.problem.value_or(JsonProblem{JsonFault::kSyntax, "$", "not JSON"});
    return Problem(problem, found.fault, found.path, std::move(found.message));
  }
  return std::move(builder.root);
}

Result<void> FromJson(std::string_view text, Message& message, JsonProblem* problem, PersonalAs personal) {
  MAILY_TRY(const json value, ParseJson(text, problem));
  return FromJsonValue(value, message, "$", problem, personal);
}

Result<void> FromJsonValue(const json& value, Message& message, std::string_view path, JsonProblem* problem, PersonalAs personal) {
  return Reader(problem, personal).ReadMessage(value, message, std::string(path), 1);
}

std::string ToJson(const Message& message, PersonalAs personal) {
  // A plaintext that is no UTF-8 must not throw here.
  return Write(message, personal).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace maily::schema
