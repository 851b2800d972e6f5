// See variables.h.
#include "processors/personalization/variables.h"

#include <nlohmann/json.hpp>

#include "schemas/json.h"

namespace maily::personalization {
namespace {

using liquid::Value;
using nlohmann::json;

Value Convert(const json& from, liquid::Arena& arena) {
  switch (from.type()) {
    case json::value_t::boolean:
      return Value::Bool(from.get<bool>());
    case json::value_t::number_integer:
      return Value::Integer(from.get<int64_t>());
    case json::value_t::number_unsigned:
      return Value::Integer(from.get<uint64_t>());
    case json::value_t::number_float:
      return Value::ShortDouble(from.get<double>());
    case json::value_t::string:
      return Value::String(arena.Copy(from.get_ref<const std::string&>()));
    case json::value_t::array: {
      const auto items = arena.MakeArray<Value>(from.size());
      for (size_t i = 0; i < items.size(); ++i) items[i] = Convert(from[i], arena);
      return Value::Array(items);
    }
    case json::value_t::object: {
      const auto members = arena.MakeArray<liquid::Member>(from.size());
      size_t at = 0;
      for (const auto& [name, value] : from.items()) members[at++] = {arena.Copy(name), Convert(value, arena)};
      return Value::Hash(members);
    }
    default:
      return {};
  }
}

}  // namespace

Result<Variables> Variables::Parse(std::string_view text) {
  Variables variables;
  if (text.empty()) return variables;
  MAILY_TRY(const json parsed, schema::ParseJson(text));
  if (!parsed.is_object()) return Fail(Code::kInvalid, "variables are a JSON object");
  variables.arena_ = std::make_unique<liquid::Arena>();
  variables.value_ = Convert(parsed, *variables.arena_);
  return variables;
}

}  // namespace maily::personalization
