// Reads what stands inside {{ }} and tags: a lexer with places, and the parser of expressions, filters and conditions. Two ways of
// reading: strictly, where every character must belong, and loosely, a fragment of a tag at a time. Internal to this folder.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "processors/personalization/liquid/program.h"

namespace maily::liquid {

struct Token {
  enum class Kind : uint8_t { kEnd, kName, kString, kNumber, kComparison, kDotDot, kSpecial };
  Kind kind = Kind::kEnd;
  char special = 0;  // kSpecial: | . : , [ ] ( ) ? -
  std::string_view text;
};

// Puts expressions into a program's tables and keeps its symbols.
class ExpressionParser {
 public:
  // What is wrong and where; called at most once a markup.
  using Report = std::function<void(const char* at, std::string message)>;
  ExpressionParser(Program& program, bool strict_filters, Report report);

  Index Symbol(std::string_view name);
  std::string_view Keep(std::string text);  // a view that lives as long as the program

  // Strict. kNone: something was reported.
  Index OutputOf(std::string_view markup);     // of {{ }}, echo and assign; empty markup gives an output without an expression
  Index ConditionOf(std::string_view markup);  // the first of a chain
  struct For {
    bool good = false;
    std::string_view variable;
    Index collection = kNone;
    std::string name;
    bool reversed = false;
    Index limit = kNone;
    Index offset = kNone;
    bool from_continue = false;
  };
  For ForOf(std::string_view markup);

  // Loose: any fragment is an expression of some kind.
  Index Loose(std::string_view fragment, int depth = 0);
  // As a condition reads it: `blank` and `empty` stand for themselves.
  Index LooseInCondition(std::string_view fragment);

 private:
  bool Tokenize(std::string_view markup);
  const Token& Peek(size_t ahead = 0) const;
  bool Take(char special);
  bool TakeName(std::string_view name);
  bool Expect(char special);
  Index Wrong(const char* at, std::string message);
  Index Parse(bool in_condition, int depth);
  Index ParseLookups(Expression lookup, int depth);
  Index ParseComparison(bool& good);
  bool ParseFilters(Span& filters);
  bool ParseArguments(std::vector<Index>& positional, std::vector<Keyword>& keywords);
  Index Add(Expression expression);
  Index Literal(Value value, const char* at);
  Index LooseLookup(std::string_view text, int depth);
  static bool Word(std::string_view text, bool in_condition, Value& value);

  Program& program_;
  const bool strict_filters_;
  Report report_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  bool reported_ = false;
};

}  // namespace maily::liquid
