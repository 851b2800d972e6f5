// A template as the renderer walks it: trees of small nodes in flat tables, which name each other by index. Internal to this folder; made
// by the parser, immutable afterwards.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "processors/personalization/liquid/value.h"

namespace maily::liquid {

using Index = uint32_t;
inline constexpr Index kNone = std::numeric_limits<Index>::max();

// Consecutive entries of a table.
struct Span {
  Index first = 0;
  Index count = 0;
};

struct FilterSpec;

// One step of a lookup: .name or [expression].
struct Segment {
  std::string_view name;  // of .name
  Index expression = kNone;
  bool is_command = false;  // .size, .first and .last ask arrays, hashes and strings, if there is no such key
};

struct Expression {
  enum class Kind : uint8_t { kLiteral, kLookup, kLookupByExpression, kRange };
  Kind kind = Kind::kLiteral;
  Value literal;
  Index root = kNone;  // kLookup: a symbol; kLookupByExpression: an expression; kRange: its begin
  Index end = kNone;   // kRange
  Span segments;
  const char* at = nullptr;
};

struct Filter {
  const FilterSpec* spec = nullptr;
  Span arguments;  // of Program::arguments
  Span keywords;   // of Program::keywords
  const char* at = nullptr;
};

struct Keyword {
  std::string_view key;
  Index expression = kNone;
};

// What stands in {{ }}: an expression and its filters.
struct Output {
  Index expression = kNone;  // kNone: empty braces
  Span filters;
};

// A chain of comparisons, read from the left and decided as soon as an `and` fails or an `or` holds.
struct Condition {
  enum class Operator : uint8_t { kTruth, kEqual, kUnequal, kLess, kGreater, kLessOrEqual, kGreaterOrEqual, kContains };
  enum class Relation : uint8_t { kEnd, kAnd, kOr };
  Index left = kNone;
  Index right = kNone;
  Operator op = Operator::kTruth;
  Relation relation = Relation::kEnd;  // to the next entry of Program::conditions
};

struct Branch {
  enum class Kind : uint8_t { kIf, kUnless, kElse };
  Kind kind = Kind::kIf;
  Index condition = kNone;
  Index body = kNone;
};

struct ForLoop {
  Index variable = kNone;  // a symbol
  Index collection = kNone;
  Index limit = kNone;
  Index offset = kNone;
  Index cols = kNone;  // tablerow
  Index name = kNone;  // of Program::loop_names: what `offset: continue` continues
  bool from_continue = false;
  bool reversed = false;
  Index body = kNone;
  Index otherwise = kNone;
};

struct Cycle {
  Index name = kNone;           // an expression, or
  std::string_view group = {};  // the text of its values
  Span values;                  // of Program::arguments
};

// include and render.
struct Call {
  bool isolated = false;        // render
  bool for_each = false;        // "for", where it matters
  Index name = kNone;           // an expression
  Index variable = kNone;       // an expression: with, for
  std::string_view alias = {};  // as
  Index alias_symbol = kNone;
  Span keywords;         // of Program::keywords; keys are symbols too
  Span keyword_symbols;  // of Program::call_symbols
};

struct Node {
  enum class Kind : uint8_t {
    kText,
    kSplice,
    kOutput,
    kAssign,
    kCapture,
    kIf,
    kCase,
    kFor,
    kTableRow,
    kCycle,
    kIncrement,
    kDecrement,
    kCall,
    kIfChanged,
    kBreak,
    kContinue,
    kNothing,  // a comment or doc: nothing is written, but white space around it is not one run
  };
  Kind kind = Kind::kText;
  uint32_t size = 0;         // kText: bytes
  Index index = kNone;       // the entry of the kind's table; the body of a capture or ifchanged; the symbol of a counter; a splice
  Index symbol = kNone;      // kAssign, kCapture: what is set
  const char* at = nullptr;  // in the source: the text itself, or where the tag begins
};

struct Body {
  std::vector<Node> nodes;
  bool blank = true;  // writes nothing but white space
};

// A source: the template (the first), then the partials that it may take in.
struct Unit {
  std::string name;
  std::string source;
  Index body = kNone;
};

struct Program {
  std::deque<Unit> units;
  std::deque<std::string> names;  // what symbols and literals view that stands in no source
  std::vector<std::string_view> symbols;
  std::unordered_map<std::string_view, Index> symbol_of;
  std::vector<uint8_t> bound;  // by symbol: the template itself sets it somewhere
  std::vector<Body> bodies;
  std::vector<Expression> expressions;
  std::vector<Segment> segments;
  std::vector<Filter> filters;
  std::vector<Index> arguments;
  std::vector<Keyword> keywords;
  std::vector<Index> call_symbols;
  std::vector<Output> outputs;
  std::vector<Condition> conditions;
  std::vector<Branch> branches;
  std::vector<Span> ifs;
  struct Case {
    Span whens;  // of branches: a condition is the expression that `when` names
    Index subject = kNone;
  };
  std::vector<Case> cases;
  std::vector<ForLoop> loops;
  std::vector<std::string_view> loop_names;
  std::vector<Cycle> cycles;
  std::vector<Call> calls;
  Index forloop = kNone;  // symbols
  Index tablerowloop = kNone;
};

}  // namespace maily::liquid
