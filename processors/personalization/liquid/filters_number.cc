// Filters that calculate. What is no number counts as 0; a result that is no integer is a double.
#include <algorithm>

#include "processors/personalization/liquid/filters.h"

namespace maily::liquid {
namespace {

Value Result(const FilterCall& call, const std::optional<Number>& number) {
  if (number) return FromNumber(*number);
  call.work.Fail("the number is too large");
  return {};
}

template <std::optional<Number> (*kOperation)(const Number&, const Number&)>
Value Apply(const FilterCall& call) {
  return Result(call, kOperation(ToNumber(call.input), ToNumber(call.argument(0))));
}

template <std::optional<Number> (*kOperation)(const Number&, const Number&)>
Value ApplyDivision(const FilterCall& call) {
  const Number by = ToNumber(call.argument(0));
  if (by.is_zero()) {
    call.work.Fail("a number is divided by zero");
    return {};
  }
  return Result(call, kOperation(ToNumber(call.input), by));
}

Value Abs(const FilterCall& call) {
  const Number number = ToNumber(call.input);
  return Compare(number, Number::Of(0)) < 0 ? Result(call, Subtract(Number::Of(0), number)) : FromNumber(number);
}

Value AtLeast(const FilterCall& call) {
  const Number least = ToNumber(call.argument(0));
  const Number number = ToNumber(call.input);
  return FromNumber(Compare(least, number) > 0 ? least : number);
}

Value AtMost(const FilterCall& call) {
  const Number most = ToNumber(call.argument(0));
  const Number number = ToNumber(call.input);
  return FromNumber(Compare(most, number) < 0 ? most : number);
}

template <std::optional<Int> (*kWhole)(const Number&)>
Value Whole(const FilterCall& call) {
  const auto whole = kWhole(ToNumber(call.input));
  return Result(call, whole ? std::optional(Number::Of(*whole)) : std::nullopt);
}

Value RoundTo(const FilterCall& call) {
  const Number digits = ToNumber(call.argument(0));
  const auto whole = digits.is_int() ? std::optional(digits.mantissa) : digits.mantissa < 0 ? Ceil(digits) : Floor(digits);
  if (!whole) return Result(call, std::nullopt);
  return Result(call, Round(ToNumber(call.input), static_cast<int>(std::clamp<Int>(*whole, -100, 100))));
}

constexpr FilterSpec kNumbers[] = {{"abs", 0, 0, Abs},
                                   {"plus", 1, 1, Apply<Add>},
                                   {"minus", 1, 1, Apply<Subtract>},
                                   {"times", 1, 1, Apply<Multiply>},
                                   {"divided_by", 1, 1, ApplyDivision<Divide>},
                                   {"modulo", 1, 1, ApplyDivision<Modulo>},
                                   {"at_least", 1, 1, AtLeast},
                                   {"at_most", 1, 1, AtMost},
                                   {"ceil", 0, 0, Whole<Ceil>},
                                   {"floor", 0, 0, Whole<Floor>},
                                   {"round", 0, 1, RoundTo}};

}  // namespace

std::span<const FilterSpec> NumberFilters() { return kNumbers; }

}  // namespace maily::liquid
