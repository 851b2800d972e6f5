// See expression.h.
#include "processors/personalization/liquid/expression.h"

#include <fmt/format.h>

#include <charconv>

#include "processors/personalization/liquid/filters.h"
#include "processors/personalization/liquid/scan.h"

namespace maily::liquid {
namespace {

constexpr int kBracketsMax = 100;  // in brackets

bool IsCommand(std::string_view name) { return name == "size" || name == "first" || name == "last"; }

size_t NumberAt(std::string_view text) {
  size_t end = text.starts_with('-') ? 1 : 0;
  const size_t digits = end;
  while (end < text.size() && IsDigit(text[end])) ++end;
  if (end == digits) return 0;
  if (end + 1 < text.size() && text[end] == '.' && IsDigit(text[end + 1])) {
    ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
  }
  return end;
}

Value NumberOf(std::string_view text) {
  if (text.find('.') == std::string_view::npos) return Value::Integer(LeadingInt(text));
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return Value::Double(value);
}

// "-12", "1.5", also "1." and "1.2.3", which is 1.2.
bool LooseNumber(std::string_view text, Value& value) {
  if (text.empty() || (text[0] != '-' && text[0] != '.' && !IsDigit(text[0])) || text == "-") return false;
  for (const char c : text.substr(1)) {
    if (c != '.' && !IsDigit(c)) return false;
  }
  const size_t point = text.find('.', 1);
  if (point == std::string_view::npos) {
    value = Value::Integer(LeadingInt(text));
    return true;
  }
  value = NumberOf(text.substr(0, text.find('.', point + 1)));
  return true;
}

std::string Shown(std::string_view text) { return std::string(text.substr(0, 60)); }

}  // namespace

ExpressionParser::ExpressionParser(Program& program, bool strict_filters, Report report)
    : program_(program), strict_filters_(strict_filters), report_(std::move(report)) {}

Index ExpressionParser::Symbol(std::string_view name) {
  if (const auto found = program_.symbol_of.find(name); found != program_.symbol_of.end()) return found->second;
  const std::string_view kept = Keep(std::string(name));
  const auto symbol = static_cast<Index>(program_.symbols.size());
  program_.symbols.push_back(kept);
  program_.bound.push_back(0);
  program_.symbol_of.emplace(kept, symbol);
  return symbol;
}

std::string_view ExpressionParser::Keep(std::string text) { return program_.names.emplace_back(std::move(text)); }

Index ExpressionParser::Wrong(const char* at, std::string message) {
  if (!reported_) report_(at, std::move(message));
  reported_ = true;
  return kNone;
}

bool ExpressionParser::Tokenize(std::string_view markup) {
  tokens_.clear();
  next_ = 0;
  reported_ = false;
  size_t at = 0;
  while (true) {
    while (at < markup.size() && IsSpace(markup[at])) ++at;
    if (at == markup.size()) break;
    const std::string_view rest = markup.substr(at);
    Token token{Token::Kind::kSpecial, rest[0], rest.substr(0, 1)};
    const char second = rest.size() > 1 ? rest[1] : '\0';
    if (const size_t number = NumberAt(rest); number > 0) {
      token = {Token::Kind::kNumber, 0, rest.substr(0, number)};
    } else if (IsLetter(rest[0]) || rest[0] == '_') {
      size_t end = 1;
      while (end < rest.size() && IsNamePart(rest[end])) ++end;
      if (end < rest.size() && rest[end] == '?') ++end;
      const bool contains = rest.substr(0, end) == "contains" && (tokens_.empty() || tokens_.back().special != '.');
      token = {contains ? Token::Kind::kComparison : Token::Kind::kName, 0, rest.substr(0, end)};
    } else if (rest[0] == '"' || rest[0] == '\'') {
      const size_t end = rest.find(rest[0], 1);
      if (end == std::string_view::npos) return Wrong(rest.data(), "This quote is never closed."), false;
      token = {Token::Kind::kString, 0, rest.substr(0, end + 1)};
    } else if (rest[0] == '<' || rest[0] == '>') {
      token = {Token::Kind::kComparison, 0, rest.substr(0, second == '=' || (rest[0] == '<' && second == '>') ? 2 : 1)};
    } else if ((rest[0] == '=' || rest[0] == '!') && second == '=') {
      token = {Token::Kind::kComparison, 0, rest.substr(0, 2)};
    } else if (rest[0] == '.' && second == '.') {
      token = {Token::Kind::kDotDot, 0, rest.substr(0, 2)};
    } else if (std::string_view("|.:,[]()?-").find(rest[0]) == std::string_view::npos) {
      return Wrong(rest.data(), fmt::format("\"{}\" means nothing here.", rest[0] >= ' ' ? std::string(1, rest[0]) : "This character")),
             false;
    }
    tokens_.push_back(token);
    at += token.text.size();
  }
  tokens_.push_back({Token::Kind::kEnd, 0, markup.substr(markup.size())});
  return true;
}

const Token& ExpressionParser::Peek(size_t ahead) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }

bool ExpressionParser::Take(char special) {
  if (Peek().kind != Token::Kind::kSpecial || Peek().special != special) return false;
  ++next_;
  return true;
}

bool ExpressionParser::TakeName(std::string_view name) {
  if (Peek().kind != Token::Kind::kName || Peek().text != name) return false;
  ++next_;
  return true;
}

bool ExpressionParser::Expect(char special) {
  if (Take(special)) return true;
  Wrong(Peek().text.data(), fmt::format("A \"{}\" is missing here.", special));
  return false;
}

Index ExpressionParser::Add(Expression expression) {
  program_.expressions.push_back(expression);
  return static_cast<Index>(program_.expressions.size() - 1);
}

Index ExpressionParser::Literal(Value value, const char* at) {
  return Add({.kind = Expression::Kind::kLiteral, .literal = value, .root = kNone, .end = kNone, .segments = {}, .at = at});
}

bool ExpressionParser::Word(std::string_view text, bool in_condition, Value& value) {
  if (text == "nil" || text == "null") {
    value = Value();
  } else if (text == "true" || text == "false") {
    value = Value::Bool(text == "true");
  } else if (text == "blank") {
    value = in_condition ? Value::Blank() : Value::String("");
  } else if (text == "empty") {
    value = in_condition ? Value::Empty() : Value::String("");
  } else {
    return false;
  }
  return true;
}

Index ExpressionParser::Parse(bool in_condition, int depth) {
  if (depth > kBracketsMax) return Wrong(Peek().text.data(), "Brackets are nested too deep.");
  const Token token = Peek();
  switch (token.kind) {
    case Token::Kind::kString:
      ++next_;
      return Literal(Value::String(token.text.substr(1, token.text.size() - 2)), token.text.data());
    case Token::Kind::kNumber:
      ++next_;
      return Literal(NumberOf(token.text), token.text.data());
    case Token::Kind::kName: {
      ++next_;
      Value word;
      const bool has_more = Peek().kind == Token::Kind::kSpecial && (Peek().special == '.' || Peek().special == '[');
      if (!has_more && Word(token.text, in_condition, word)) return Literal(word, token.text.data());
      Expression lookup{.kind = Expression::Kind::kLookup,
                        .literal = {},
                        .root = Symbol(token.text),
                        .end = kNone,
                        .segments = {},
                        .at = token.text.data()};
      return ParseLookups(lookup, depth);
    }
    case Token::Kind::kSpecial:
      if (Take('[')) {
        const Index root = Parse(false, depth + 1);
        if (root == kNone || !Expect(']')) return kNone;
        Expression lookup{.kind = Expression::Kind::kLookupByExpression,
                          .literal = {},
                          .root = root,
                          .end = kNone,
                          .segments = {},
                          .at = token.text.data()};
        // A name in quotes is as good as a name.
        if (const Expression& name = program_.expressions[root]; name.kind == Expression::Kind::kLiteral && name.literal.is_string()) {
          lookup.kind = Expression::Kind::kLookup;
          lookup.root = Symbol(name.literal.string());
        }
        return ParseLookups(lookup, depth);
      }
      if (Take('(')) {
        const Index first = Parse(false, depth + 1);
        if (first == kNone) return kNone;
        if (Peek().kind != Token::Kind::kDotDot) return Wrong(Peek().text.data(), "A range is written (first..last).");
        ++next_;
        const Index last = Parse(false, depth + 1);
        if (last == kNone || !Expect(')')) return kNone;
        return Add({.kind = Expression::Kind::kRange, .literal = {}, .root = first, .end = last, .segments = {}, .at = token.text.data()});
      }
      break;
    default:
      break;
  }
  return Wrong(token.text.data(), token.kind == Token::Kind::kEnd
                                      ? "Something is missing here: a name, a text in quotes or a number."
                                      : fmt::format("\"{}\" is neither a name, nor a text in quotes, nor a number.", Shown(token.text)));
}

Index ExpressionParser::ParseLookups(Expression lookup, int depth) {
  std::vector<Segment> segments;
  while (true) {
    if (Take('[')) {
      const Index inner = Parse(false, depth + 1);
      if (inner == kNone || !Expect(']')) return kNone;
      segments.push_back({.name = {}, .expression = inner});
    } else if (Take('.')) {
      if (Peek().kind != Token::Kind::kName) return Wrong(Peek().text.data(), "A name is missing after the dot.");
      segments.push_back({.name = Peek().text, .expression = kNone, .is_command = IsCommand(Peek().text)});
      ++next_;
    } else {
      break;
    }
  }
  lookup.segments = {static_cast<Index>(program_.segments.size()), static_cast<Index>(segments.size())};
  program_.segments.insert(program_.segments.end(), segments.begin(), segments.end());
  return Add(lookup);
}

bool ExpressionParser::ParseArguments(std::vector<Index>& positional, std::vector<Keyword>& keywords) {
  do {
    if (Peek().kind == Token::Kind::kName && Peek(1).kind == Token::Kind::kSpecial && Peek(1).special == ':') {
      const std::string_view key = Peek().text;
      next_ += 2;
      const Index value = Parse(false, 0);
      if (value == kNone) return false;
      keywords.push_back({key, value});
    } else {
      const Index value = Parse(false, 0);
      if (value == kNone) return false;
      positional.push_back(value);
    }
  } while (Take(','));
  return true;
}

bool ExpressionParser::ParseFilters(Span& filters) {
  std::vector<Filter> chain;
  while (Take('|')) {
    const Token name = Peek();
    if (name.kind != Token::Kind::kName) return Wrong(name.text.data(), "The name of a filter is missing after the bar."), false;
    ++next_;
    std::vector<Index> positional;
    std::vector<Keyword> keywords;
    if (Take(':') && !ParseArguments(positional, keywords)) return false;
    const FilterSpec* const spec = FindFilter(name.text);
    if (spec == nullptr) {
      if (strict_filters_) return Wrong(name.text.data(), fmt::format("There is no filter \"{}\".", Shown(name.text))), false;
      continue;  // it changes nothing
    }
    std::string wrong = CheckArguments(*spec, positional.size(), keywords);
    if (!wrong.empty()) return Wrong(name.text.data(), std::move(wrong)), false;
    Filter filter{.spec = spec,
                  .arguments = {static_cast<Index>(program_.arguments.size()), static_cast<Index>(positional.size())},
                  .keywords = {static_cast<Index>(program_.keywords.size()), static_cast<Index>(keywords.size())},
                  .at = name.text.data()};
    program_.arguments.insert(program_.arguments.end(), positional.begin(), positional.end());
    program_.keywords.insert(program_.keywords.end(), keywords.begin(), keywords.end());
    chain.push_back(filter);
  }
  filters = {static_cast<Index>(program_.filters.size()), static_cast<Index>(chain.size())};
  program_.filters.insert(program_.filters.end(), chain.begin(), chain.end());
  return true;
}

Index ExpressionParser::OutputOf(std::string_view markup) {
  if (!Tokenize(markup)) return kNone;
  Output output;
  if (Peek().kind != Token::Kind::kEnd) {
    output.expression = Parse(false, 0);
    if (output.expression == kNone || !ParseFilters(output.filters)) return kNone;
    if (Peek().kind != Token::Kind::kEnd) return Wrong(Peek().text.data(), fmt::format("\"{}\" does not belong here.", Shown(Peek().text)));
  }
  program_.outputs.push_back(output);
  return static_cast<Index>(program_.outputs.size() - 1);
}

Index ExpressionParser::ParseComparison(bool& good) {
  Condition condition;
  condition.left = Parse(true, 0);
  good = condition.left != kNone;
  if (good && Peek().kind == Token::Kind::kComparison) {
    using Operator = Condition::Operator;
    const std::string_view op = Peek().text;
    ++next_;
    condition.op = op == "=="                 ? Operator::kEqual
                   : op == "!=" || op == "<>" ? Operator::kUnequal
                   : op == "<"                ? Operator::kLess
                   : op == ">"                ? Operator::kGreater
                   : op == "<="               ? Operator::kLessOrEqual
                   : op == ">="               ? Operator::kGreaterOrEqual
                                              : Operator::kContains;
    condition.right = Parse(true, 0);
    good = condition.right != kNone;
  }
  program_.conditions.push_back(condition);
  return static_cast<Index>(program_.conditions.size() - 1);
}

Index ExpressionParser::ConditionOf(std::string_view markup) {
  if (!Tokenize(markup)) return kNone;
  bool good = true;
  const Index first = ParseComparison(good);
  while (good) {
    const bool is_and = TakeName("and");
    if (!is_and && !TakeName("or")) break;
    program_.conditions.back().relation = is_and ? Condition::Relation::kAnd : Condition::Relation::kOr;
    ParseComparison(good);
  }
  if (!good) return kNone;
  if (Peek().kind != Token::Kind::kEnd) return Wrong(Peek().text.data(), fmt::format("\"{}\" does not belong here.", Shown(Peek().text)));
  return first;
}

ExpressionParser::For ExpressionParser::ForOf(std::string_view markup) {
  For loop;
  if (!Tokenize(markup)) return loop;
  if (Peek().kind != Token::Kind::kName) return Wrong(Peek().text.data(), "A loop is written {% for item in collection %}."), loop;
  loop.variable = Peek().text;
  ++next_;
  if (!TakeName("in")) return Wrong(Peek().text.data(), "A loop is written {% for item in collection %}; the \"in\" is missing."), loop;
  const size_t begin = next_;
  loop.collection = Parse(false, 0);
  if (loop.collection == kNone) return loop;
  loop.name = fmt::format("{}-", loop.variable);
  for (size_t i = begin; i < next_; ++i) loop.name += tokens_[i].text;
  loop.reversed = TakeName("reversed");
  while (Peek().kind == Token::Kind::kName || (Peek().kind == Token::Kind::kSpecial && Peek().special == ',')) {
    Take(',');
    const Token key = Peek();
    if (!TakeName("limit") && !TakeName("offset")) {
      return Wrong(key.text.data(), fmt::format("A loop takes reversed, limit: and offset:, not \"{}\".", Shown(key.text))), loop;
    }
    if (!Expect(':')) return loop;
    if (key.text == "offset" && TakeName("continue")) {
      loop.from_continue = true;
      continue;
    }
    const Index value = Parse(false, 0);
    if (value == kNone) return loop;
    (key.text == "limit" ? loop.limit : loop.offset) = value;
  }
  if (Peek().kind != Token::Kind::kEnd)
    return Wrong(Peek().text.data(), fmt::format("\"{}\" does not belong here.", Shown(Peek().text))), loop;
  loop.good = true;
  return loop;
}

Index ExpressionParser::Loose(std::string_view fragment, int depth) {
  const std::string_view text = Trim(fragment);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) {
    return Literal(Value::String(text.substr(1, text.size() - 2)), text.data());
  }
  Value value;
  if (text.empty() || Word(text, false, value) || LooseNumber(text, value)) return Literal(value, text.data());
  if (text.starts_with('(') && text.ends_with(')') && depth < kBracketsMax) {
    const std::string_view inside = text.substr(1, text.size() - 2);
    if (const size_t dots = inside.rfind(".."); dots != std::string_view::npos) {
      const std::string_view first = Trim(inside.substr(0, dots));
      const std::string_view last = Trim(inside.substr(dots + 2));
      if (!first.empty() && !last.empty()) {
        const Index begin = Loose(first, depth + 1);
        const Index end = Loose(last, depth + 1);
        return Add({.kind = Expression::Kind::kRange, .literal = {}, .root = begin, .end = end, .segments = {}, .at = text.data()});
      }
    }
  }
  return LooseLookup(text, depth);
}

Index ExpressionParser::LooseInCondition(std::string_view fragment) {
  Value value;
  const std::string_view text = Trim(fragment);
  return Word(text, true, value) ? Literal(value, text.data()) : Loose(text);
}

// Names and brackets one after another; what is neither is passed over.
Index ExpressionParser::LooseLookup(std::string_view text, int depth) {
  std::vector<Segment> parts;
  for (size_t at = 0; at < text.size() && depth < kBracketsMax;) {
    if (text[at] == '[') {
      int open = 0;
      size_t end = at;
      while (end < text.size() && (open += text[end] == '[' ? 1 : text[end] == ']' ? -1 : 0) > 0) ++end;
      if (end < text.size()) {
        parts.push_back({.name = {}, .expression = Loose(text.substr(at + 1, end - at - 1), depth + 1)});
        at = end + 1;
        continue;
      }
    }
    size_t end = at;
    while (end < text.size() && IsNamePart(text[end])) ++end;
    if (end == at) {
      ++at;
      continue;
    }
    if (end < text.size() && text[end] == '?') ++end;
    const std::string_view name = text.substr(at, end - at);
    parts.push_back({.name = name, .expression = kNone, .is_command = IsCommand(name)});
    at = end;
  }
  if (parts.empty()) return Literal(Value(), text.data());
  Expression lookup{.kind = Expression::Kind::kLookup, .literal = {}, .root = kNone, .end = kNone, .segments = {}, .at = text.data()};
  if (parts[0].expression == kNone) {
    lookup.root = Symbol(parts[0].name);
  } else {
    lookup.kind = Expression::Kind::kLookupByExpression;
    lookup.root = parts[0].expression;
  }
  lookup.segments = {static_cast<Index>(program_.segments.size()), static_cast<Index>(parts.size() - 1)};
  program_.segments.insert(program_.segments.end(), parts.begin() + 1, parts.end());
  return Add(lookup);
}

}  // namespace maily::liquid
