// Filters of arrays. The input is made one first: arrays in it are flattened, a hash or any other value is its only item, nil is none.
#include <algorithm>
#include <unordered_set>
#include <vector>

#include "processors/personalization/liquid/filters.h"
#include "processors/personalization/liquid/text.h"

namespace maily::liquid {
namespace {

constexpr int kNestedMax = 100;

bool Flatten(Work& work, std::span<const Value> items, std::vector<Value>& out, int depth) {
  if (depth > kNestedMax) {
    work.Fail("arrays are nested too deep");
    return false;
  }
  for (const Value& item : items) {
    if (!work.Charge(1)) return false;
    if (item.is_array()) {
      if (!Flatten(work, item.array(), out, depth + 1)) return false;
    } else {
      out.push_back(item);
    }
  }
  return true;
}

std::vector<Value> Items(const FilterCall& call) {
  std::vector<Value> items;
  const Value& input = call.input;
  if (input.is_array()) {
    Flatten(call.work, input.array(), items, 0);
  } else if (input.is_range()) {
    const Int size = input.range().size();
    const auto most = static_cast<Int>(call.work.limits().memory_bytes / sizeof(Value));
    if (size > most || !call.work.ChargeBytes(static_cast<size_t>(size) * sizeof(Value))) {
      call.work.Fail("a range is too long");
      return items;
    }
    for (Int i = 0; i < size; ++i) items.push_back(Value::Integer(input.range().first + i));
  } else if (!input.is_nil()) {
    items.push_back(input);
  }
  return items;
}

Value Kept(const FilterCall& call, const std::vector<Value>& items) {
  if (call.work.failed() || !call.work.ChargeBytes(items.size() * sizeof(Value))) return {};
  const std::span<Value> kept = call.work.arena().MakeArray<Value>(items.size());
  std::ranges::copy(items, kept.begin());
  return Value::Array(kept);
}

enum class Got : uint8_t { kValue, kNothing, kWrong };  // kNothing: such a thing has no properties; kWrong: none of that name's kind

// item[property], as hashes, strings and integers have it.
Got Property(const Value& item, const Value& property, Value& out) {
  out = Value();
  switch (item.kind()) {
    case Value::Kind::kHash:
      if (property.is_string()) {
        if (const Value* const found = Find(item.hash(), property.string())) out = *found;
      }
      return Got::kValue;
    case Value::Kind::kString: {
      const std::string_view text = item.string();
      if (property.is_string()) {
        if (text.find(property.string()) != std::string_view::npos) out = property;
        return Got::kValue;
      }
      if (!property.is_int()) return Got::kWrong;
      const auto size = static_cast<Int>(CountCharacters(text));
      const Int at = property.integer() < 0 ? property.integer() + size : property.integer();
      if (at < 0 || at >= size) return Got::kValue;
      const size_t from = OffsetOf(text, static_cast<size_t>(at));
      out = Value::String(text.substr(from, FirstCharacter(text.substr(from))));
      return Got::kValue;
    }
    case Value::Kind::kInt:
      if (!property.is_int()) return Got::kWrong;
      out =
          Value::Integer(property.integer() < 0 || property.integer() > 126 ? (property.integer() > 126 && item.integer() < 0 ? 1 : 0)
                                                                            : (item.integer() >> static_cast<int>(property.integer())) & 1);
      return Got::kValue;
    default:
      return Got::kNothing;
  }
}

Value WrongProperty(const FilterCall& call) {
  call.work.Fail("an item has no property of that kind");
  return {};
}

bool HasProperties(const Value& item) { return item.is_hash() || item.is_string() || item.is_int(); }

// -1, 0, 1; nil is the last; `wrong`: they cannot be compared.
int Order(const Value& a, const Value& b, bool& wrong) {
  if (a.is_number() && b.is_number()) return Compare(ToNumber(a), ToNumber(b));
  if (a.is_string() && b.is_string()) return a.string().compare(b.string());
  if (Equal(a, b)) return 0;
  if (a.is_nil()) return 1;
  if (b.is_nil()) return -1;
  wrong = true;
  return 0;
}

// Without regard to the case of ASCII letters.
int OrderNaturally(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return static_cast<uint8_t>(c >= 'A' && c <= 'Z' ? c + 32 : c); };
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (lower(a[i]) != lower(b[i])) return lower(a[i]) < lower(b[i]) ? -1 : 1;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

struct Keyed {
  Value key;
  std::string_view text;  // of the key, to sort naturally
  Value item;
};

template <bool kNatural>
Value Sort(const FilterCall& call) {
  const std::vector<Value> items = Items(call);
  if (items.empty()) return Value::Array({});
  const bool by_property = !call.argument(0).is_nil();
  if (by_property && !std::ranges::all_of(items, HasProperties)) return {};
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    Keyed entry{item, {}, item};
    if (by_property && Property(item, call.argument(0), entry.key) == Got::kWrong) return WrongProperty(call);
    if (kNatural && !entry.key.is_nil()) entry.text = call.work.Text(entry.key);
    keyed.push_back(entry);
  }
  size_t levels = 1;
  while ((keyed.size() >> levels) > 0) ++levels;
  if (!call.work.Charge(2 * keyed.size() * levels)) return {};
  bool wrong = false;
  std::ranges::stable_sort(keyed, [&](const Keyed& a, const Keyed& b) {
    if constexpr (kNatural) {
      if (a.key.is_nil() || b.key.is_nil()) return !a.key.is_nil();
      return OrderNaturally(a.text, b.text) < 0;
    } else {
      return Order(a.key, b.key, wrong) < 0;
    }
  });
  if (wrong) {
    call.work.Fail("values of different kinds cannot be sorted");
    return {};
  }
  std::vector<Value> sorted;
  for (const Keyed& entry : keyed) sorted.push_back(entry.item);
  return Kept(call, sorted);
}

enum class Choice : uint8_t { kWhere, kReject, kFind, kFindIndex, kHas };

template <Choice kChoice>
Value Choose(const FilterCall& call) {
  constexpr bool kMany = kChoice == Choice::kWhere || kChoice == Choice::kReject;
  const std::vector<Value> items = Items(call);
  std::vector<Value> chosen;
  const bool by_value = !call.argument(1).is_nil();
  for (size_t i = 0; i < items.size(); ++i) {
    Value property;
    if (!call.work.Charge(1)) return {};
    switch (Property(items[i], call.argument(0), property)) {
      case Got::kNothing:
        return {};
      case Got::kWrong:
        return WrongProperty(call);
      case Got::kValue:
        break;
    }
    const bool holds = by_value ? Equal(property, call.argument(1)) : property.truthy();
    if (kMany && holds == (kChoice == Choice::kWhere)) chosen.push_back(items[i]);
    if (kMany || !holds) continue;
    return kChoice == Choice::kFind ? items[i] : kChoice == Choice::kFindIndex ? Value::Integer(static_cast<Int>(i)) : Value::Bool(true);
  }
  if (kMany) return Kept(call, chosen);
  return kChoice == Choice::kHas ? Value::Bool(false) : Value();
}

Value Compact(const FilterCall& call) {
  std::vector<Value> kept;
  const bool by_property = !call.argument(0).is_nil();
  for (const Value& item : Items(call)) {
    Value key = item;
    if (by_property) {
      const Got got = Property(item, call.argument(0), key);
      if (got == Got::kNothing) return {};
      if (got == Got::kWrong) return WrongProperty(call);
    }
    if (!key.is_nil()) kept.push_back(item);
  }
  return Kept(call, kept);
}

Value Unique(const FilterCall& call) {
  std::vector<Value> kept;
  std::unordered_set<std::string> seen;
  const bool by_property = !call.argument(0).is_nil();
  for (const Value& item : Items(call)) {
    Value key = item;
    if (by_property) {
      const Got got = Property(item, call.argument(0), key);
      if (got == Got::kNothing) return {};
      if (got == Got::kWrong) return WrongProperty(call);
    }
    std::string spelled(1, static_cast<char>('a' + static_cast<int>(key.kind())));
    AppendInspected(key, spelled);
    if (!call.work.ChargeBytes(spelled.size())) return {};
    if (seen.insert(std::move(spelled)).second) kept.push_back(item);
  }
  return Kept(call, kept);
}

Value Map(const FilterCall& call) {
  std::vector<Value> mapped;
  for (const Value& item : Items(call)) {
    Value property;
    if (Property(item, call.argument(0), property) == Got::kWrong) return WrongProperty(call);
    mapped.push_back(property);
  }
  return Kept(call, mapped);
}

Value Sum(const FilterCall& call) {
  Number total = Number::Of(0);
  const auto add = [&](const Value& value) {
    const auto next = Add(total, ToNumber(value));
    if (next) {
      total = *next;
    } else {
      call.work.Fail("the number is too large");
    }
  };
  for (const Value& item : Items(call)) {
    Value value = item;
    if (!call.argument(0).is_nil() && Property(item, call.argument(0), value) == Got::kWrong) return WrongProperty(call);
    if (value.is_array()) {
      std::vector<Value> inside;
      if (!Flatten(call.work, value.array(), inside, 0)) return {};
      for (const Value& each : inside) add(each);
    } else {
      add(value);
    }
  }
  return FromNumber(total);
}

Value Join(const FilterCall& call) {
  const std::string_view glue = call.arguments.empty() ? " " : call.text(0);
  std::string out;
  bool first = true;
  for (const Value& item : Items(call)) {
    if (!std::exchange(first, false)) out += glue;
    AppendText(item, out);
    if (!call.work.Charge(1 + glue.size() / 64)) return {};
    if (out.size() > call.work.limits().memory_bytes) break;  // Keep refuses it
  }
  return call.work.Keep(out);
}

Value Reverse(const FilterCall& call) {
  std::vector<Value> items = Items(call);
  std::ranges::reverse(items);
  return Kept(call, items);
}

Value Concat(const FilterCall& call) {
  if (!call.argument(0).is_array()) {
    call.work.Fail("concat takes an array");
    return {};
  }
  std::vector<Value> items = Items(call);
  items.insert(items.end(), call.argument(0).array().begin(), call.argument(0).array().end());
  return Kept(call, items);
}

constexpr FilterSpec kArrays[] = {{"join", 0, 1, Join},
                                  {"sort", 0, 1, Sort<false>},
                                  {"sort_natural", 0, 1, Sort<true>},
                                  {"where", 1, 2, Choose<Choice::kWhere>},
                                  {"reject", 1, 2, Choose<Choice::kReject>},
                                  {"find", 1, 2, Choose<Choice::kFind>},
                                  {"find_index", 1, 2, Choose<Choice::kFindIndex>},
                                  {"has", 1, 2, Choose<Choice::kHas>},
                                  {"compact", 0, 1, Compact},
                                  {"uniq", 0, 1, Unique},
                                  {"map", 1, 1, Map},
                                  {"sum", 0, 1, Sum},
                                  {"reverse", 0, 0, Reverse},
                                  {"concat", 1, 1, Concat}};

}  // namespace

std::span<const FilterSpec> ArrayFilters() { return kArrays; }

}  // namespace maily::liquid
