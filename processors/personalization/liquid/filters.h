// The filters: a table of names, what they take, and what they do. Internal to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/liquid/program.h"
#include "processors/personalization/liquid/work.h"

namespace maily::liquid {

struct FilterCall {
  Work& work;
  const Value& input;
  std::span<const Value> arguments;
  std::span<const Member> keywords;

  Value argument(size_t i) const { return i < arguments.size() ? arguments[i] : Value(); }
  std::string_view text() const { return work.Text(input); }
  std::string_view text(size_t i) const { return work.Text(argument(i)); }
};

struct FilterSpec {
  std::string_view name;
  uint8_t least = 0;  // arguments besides the input
  uint8_t most = 0;
  Value (*apply)(const FilterCall& call) = nullptr;  // a failure is told to work, and the value then does not count
  std::string_view keyword = {};                     // the one that it takes; empty = none
};

const FilterSpec* FindFilter(std::string_view name);
// What is wrong with how a template calls it; empty: nothing.
std::string CheckArguments(const FilterSpec& spec, size_t positional, std::span<const Keyword> keywords);

std::span<const FilterSpec> TextFilters();
std::span<const FilterSpec> NumberFilters();
std::span<const FilterSpec> ArrayFilters();
std::span<const FilterSpec> OtherFilters();

// An integer argument: nullopt, and a failure is told, if it spells none.
std::optional<Int> IntegerOf(Work& work, const Value& value);

}  // namespace maily::liquid
