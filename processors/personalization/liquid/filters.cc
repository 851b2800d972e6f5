// The table, and the filters of no other family: default, date, size, first, last, slice, raw.
#include "processors/personalization/liquid/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "processors/personalization/liquid/text.h"

namespace maily::liquid {
namespace {

Value Default(const FilterCall& call) {
  const Value& input = call.input;
  Value allow_false;
  for (const Member& keyword : call.keywords) {
    if (keyword.key == "allow_false") allow_false = keyword.value;
  }
  const bool missing = allow_false.truthy() ? input.is_nil() : !input.truthy();
  if (!missing && !IsEmpty(input)) return input;
  return call.arguments.empty() ? Value::String("") : call.arguments[0];
}

Value Date(const FilterCall& call) {
  const std::string_view format = call.text(0);
  if (format.empty() || !call.work.Charge(6)) return call.input;
  std::optional<Moment> moment;
  if (call.input.is_int()) {
    constexpr Int kSecondsMax = 300'000'000'000'000;  // some ten million years
    if (call.input.integer() < kSecondsMax && call.input.integer() > -kSecondsMax) {
      moment = Moment{};
      moment->seconds = static_cast<int64_t>(call.input.integer());
    }
  } else if (call.input.is_string()) {
    moment = ReadMoment(call.input.string(), call.work.now_us());
  }
  if (!moment) return call.input;
  for (const Member& keyword : call.keywords) {
    if (keyword.value.is_nil()) continue;
    const std::string_view zone = call.work.Text(keyword.value);
    moment = call.work.zones().In(zone, *moment);
    if (!moment) {
      call.work.Fail("there is no time zone of that name");
      return {};
    }
  }
  std::string& out = call.work.Scratch();
  if (!AppendFormatted(format, *moment, call.work.limits().output_bytes, out)) call.work.Fail("the date is too long");
  return call.work.Keep(out);
}

Value Size(const FilterCall& call) {
  const Value& input = call.input;
  switch (input.kind()) {
    case Value::Kind::kString:
      return Value::Integer(static_cast<Int>(CountCharacters(input.string())));
    case Value::Kind::kArray:
      return Value::Integer(static_cast<Int>(input.array().size()));
    case Value::Kind::kHash:
      return Value::Integer(static_cast<Int>(input.hash().size()));
    case Value::Kind::kRange:
      return Value::Integer(input.range().size());
    case Value::Kind::kInt:
      return Value::Integer(8);  // the bytes of an integer, as the reference has it
    default:
      return Value::Integer(0);
  }
}

Value Pair(Work& work, const Member& member) {
  const std::span<Value> pair = work.arena().MakeArray<Value>(2);
  pair[0] = Value::String(member.key);
  pair[1] = member.value;
  return Value::Array(pair);
}

Value First(const FilterCall& call) {
  const Value& input = call.input;
  if (input.is_array() && !input.array().empty()) return input.array().front();
  if (input.is_hash() && !input.hash().empty()) return Pair(call.work, input.hash().front());
  if (input.is_range() && input.range().size() > 0) return Value::Integer(input.range().first);
  if (input.is_string()) return Value::String(input.string().substr(0, FirstCharacter(input.string())));
  return {};
}

Value Last(const FilterCall& call) {
  const Value& input = call.input;
  if (input.is_array() && !input.array().empty()) return input.array().back();
  if (input.is_range() && input.range().size() > 0) return Value::Integer(input.range().last);
  if (!input.is_string()) return {};
  const std::string_view text = input.string();
  return Value::String(text.substr(text.empty() ? 0 : OffsetOf(text, CountCharacters(text) - 1)));
}

Value Slice(const FilterCall& call) {
  const auto offset = IntegerOf(call.work, call.argument(0));
  if (!offset) return {};
  Int length = 1;
  if (!call.argument(1).is_nil()) {
    const auto given = IntegerOf(call.work, call.argument(1));
    if (!given) return {};
    length = *given;
  }
  const bool is_array = call.input.is_array();
  const std::string_view text = is_array ? std::string_view() : call.text();
  const auto size = static_cast<Int>(is_array ? call.input.array().size() : CountCharacters(text));
  const Int begin = *offset < 0 ? *offset + size : *offset;
  if (begin < 0 || begin > size || length < 0) return is_array ? Value::Array({}) : Value::String("");
  const auto first = static_cast<size_t>(begin);
  const auto count = static_cast<size_t>(std::min<Int>(length, size - begin));
  if (is_array) return Value::Array(call.input.array().subspan(first, count));
  const size_t from = OffsetOf(text, first);
  return Value::String(text.substr(from, OffsetOf(text.substr(from), count)));
}

Value Raw(const FilterCall& call) { return call.input.is_string() ? call.input.AsSafe() : call.work.Keep(call.text()).AsSafe(); }

constexpr FilterSpec kOthers[] = {{"default", 0, 2, Default, "allow_false"},
                                  {"date", 1, 1, Date, "zone"},
                                  {"size", 0, 0, Size},
                                  {"first", 0, 0, First},
                                  {"last", 0, 0, Last},
                                  {"slice", 1, 2, Slice},
                                  {"raw", 0, 0, Raw}};

const std::unordered_map<std::string_view, const FilterSpec*>& Table() {
  static const auto table = [] {
    std::unordered_map<std::string_view, const FilterSpec*> all;
    for (const auto family : {TextFilters(), NumberFilters(), ArrayFilters(), OtherFilters()}) {
      for (const FilterSpec& spec : family) all.emplace(spec.name, &spec);
    }
    return all;
  }();
  return table;
}

}  // namespace

std::span<const FilterSpec> OtherFilters() { return kOthers; }

const FilterSpec* FindFilter(std::string_view name) {
  const auto found = Table().find(name);
  return found == Table().end() ? nullptr : found->second;
}

std::string CheckArguments(const FilterSpec& spec, size_t positional, std::span<const Keyword> keywords) {
  if (positional < spec.least)
    return fmt::format("The filter {} takes at least {} argument{}.", spec.name, spec.least, spec.least == 1 ? "" : "s");
  if (positional > spec.most) {
    return spec.most == 0 ? fmt::format("The filter {} takes no argument.", spec.name)
                          : fmt::format("The filter {} takes at most {} argument{}.", spec.name, spec.most, spec.most == 1 ? "" : "s");
  }
  for (const Keyword& keyword : keywords) {
    if (keyword.key != spec.keyword) return fmt::format("The filter {} takes no argument \"{}:\".", spec.name, keyword.key.substr(0, 60));
  }
  return {};
}

std::optional<Int> IntegerOf(Work& work, const Value& value) {
  if (value.is_int()) return value.integer();
  const auto whole = WholeInt(work.Text(value));
  if (!whole) work.Fail("an integer is wanted where there is none");
  return whole;
}

std::string_view Work::Text(const Value& value) {
  if (value.is_string()) return value.string();
  if (value.is_nil()) return {};
  std::string text;
  if (value.is_array()) {
    AppendInspected(value, text);
  } else {
    AppendText(value, text);
  }
  return ChargeBytes(text.size()) ? arena_.Copy(text) : std::string_view();
}

Value Work::Keep(std::string_view text) { return ChargeBytes(text.size()) ? Value::String(arena_.Copy(text)) : Value::String(""); }

}  // namespace maily::liquid
