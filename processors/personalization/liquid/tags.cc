// The tags, one function each: markup to an entry of the program's tables.
#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/liquid/parser.h"

namespace maily::liquid {
namespace {

bool IsVariable(char c) { return IsNamePart(c) || c == '.' || c == '[' || c == ']' || c == '(' || c == ')'; }

// A word at the beginning of `rest`, with white space on both sides; what follows is left in `rest`.
bool TakeWord(std::string_view& rest, std::string_view word) {
  std::string_view text = rest;
  if (text.empty() || !IsSpace(text.front())) return false;
  text = text.substr(std::min(text.size(), static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsSpace) - text.begin())));
  if (!text.starts_with(word) || text.size() == word.size() || !IsSpace(text[word.size()])) return false;
  text.remove_prefix(word.size());
  rest = text.substr(static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsSpace) - text.begin()));
  return true;
}

// Fragments without anything between them.
std::string_view TakeFragments(std::string_view& rest) {
  size_t size = 0;
  for (size_t more = 1; more > 0; size += more) more = FragmentAt(rest, size);
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return taken;
}

}  // namespace

Parser::Handler Parser::HandlerOf(std::string_view name) {
  static const std::unordered_map<std::string_view, Handler> handlers = {
      {"assign", &Parser::ParseAssign},     {"capture", &Parser::ParseCapture},
      {"echo", &Parser::ParseEcho},         {"if", &Parser::ParseIf},
      {"unless", &Parser::ParseIf},         {"case", &Parser::ParseCase},
      {"for", &Parser::ParseFor},           {"tablerow", &Parser::ParseTableRow},
      {"cycle", &Parser::ParseCycle},       {"increment", &Parser::ParseCounter},
      {"decrement", &Parser::ParseCounter}, {"include", &Parser::ParseCall},
      {"render", &Parser::ParseCall},       {"ifchanged", &Parser::ParseIfChanged},
      {"break", &Parser::ParseInterrupt},   {"continue", &Parser::ParseInterrupt},
      {"raw", &Parser::ParseRaw},           {"doc", &Parser::ParseDoc},
      {"comment", &Parser::ParseComment},   {"#", &Parser::ParseNote}};
  const auto found = handlers.find(name);
  return found == handlers.end() ? nullptr : found->second;
}

bool Parser::ParseAssign(const Tag& tag, const char* at, Splitter&, Body& body) {
  // The name is what stands right before the first "=" that something stands before.
  const std::string_view markup = tag.markup;
  for (size_t equals = markup.find('='); equals != std::string_view::npos; equals = markup.find('=', equals + 1)) {
    size_t end = equals;
    while (end > 0 && IsSpace(markup[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && IsVariable(markup[begin - 1])) --begin;
    if (begin == end) continue;
    const std::string_view name = markup.substr(begin, end - begin);
    const Index output = expressions_.OutputOf(markup.substr(equals + 1));
    if (output == kNone) return false;
    Bind(name);
    Add(body, Node::Kind::kAssign, at, output, true, expressions_.Symbol(name));
    return true;
  }
  Wrong(at, "An assignment is written {% assign name = value %}.");
  return false;
}

bool Parser::ParseCapture(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  std::string_view name = tag.markup;
  while (!name.empty() && !IsVariable(name.front())) name.remove_prefix(1);
  name = name.substr(0, static_cast<size_t>(std::find_if_not(name.begin(), name.end(), IsVariable) - name.begin()));
  if (name.empty()) Wrong(at, "The name is missing: {% capture name %}.");
  Body inside;
  bool blank = true;
  End end;
  while (BlockBody("capture", at, splitter, inside, blank, end))
    Wrong(end.at, fmt::format("A capture has no {}.", end.tag.name.substr(0, 60)));
  const Index kept = Keep(std::move(inside));
  if (name.empty()) return false;
  Bind(name);
  Add(body, Node::Kind::kCapture, at, kept, true, expressions_.Symbol(name));
  return true;
}

bool Parser::ParseEcho(const Tag& tag, const char* at, Splitter&, Body& body) {
  const Index output = expressions_.OutputOf(tag.markup);
  if (output != kNone) Add(body, Node::Kind::kOutput, at, output, false);
  return true;
}

bool Parser::ParseIf(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  const bool unless = tag.name == "unless";
  std::vector<Branch> branches;
  Branch branch{unless ? Branch::Kind::kUnless : Branch::Kind::kIf, expressions_.ConditionOf(tag.markup), kNone};
  bool blank = true;
  bool more = true;
  while (more) {
    Body inside;
    End end;
    while ((more = BlockBody(tag.name, at, splitter, inside, blank, end)) && end.tag.name != "else" && end.tag.name != "elsif") {
      Wrong(end.at, end.tag.name.starts_with("end")
                        ? fmt::format("This {} closes another tag than the {} that is open.", end.tag.name.substr(0, 60), tag.name)
                        : fmt::format("There is no tag \"{}\".", end.tag.name.substr(0, 60)));
    }
    branch.body = Keep(std::move(inside));
    branches.push_back(branch);
    if (!more) break;
    branch = {end.tag.name == "else" ? Branch::Kind::kElse : Branch::Kind::kIf, kNone, kNone};
    if (branch.kind == Branch::Kind::kIf) branch.condition = expressions_.ConditionOf(end.tag.markup);
  }
  if (blank) {
    for (const Branch& each : branches) RemoveBlank(each.body);
  }
  program_.ifs.push_back({static_cast<Index>(program_.branches.size()), static_cast<Index>(branches.size())});
  program_.branches.insert(program_.branches.end(), branches.begin(), branches.end());
  Add(body, Node::Kind::kIf, at, static_cast<Index>(program_.ifs.size() - 1), blank);
  return true;
}

bool Parser::ParseCase(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  const std::string_view subject = FindFragment(tag.markup);
  if (subject.empty()) Wrong(at, "Something to compare with is missing: {% case name %}.");
  Program::Case made;
  made.subject = subject.empty() ? kNone : expressions_.Loose(subject);
  std::vector<Branch> branches;
  std::vector<Branch> heads;  // those that share the body that is being read
  bool blank = true;
  bool more = true;
  while (more) {
    Body inside;
    End end;
    while ((more = BlockBody("case", at, splitter, inside, blank, end)) && end.tag.name != "when" && end.tag.name != "else") {
      Wrong(end.at, fmt::format("A case has when and else, no {}.", end.tag.name.substr(0, 60)));
    }
    const Index kept = Keep(std::move(inside));
    for (Branch& head : heads) {
      head.body = kept;
      branches.push_back(head);
    }
    heads.clear();
    if (!more) break;
    if (end.tag.name == "else") {
      if (!IsAllSpace(end.tag.markup)) Wrong(end.at, "An else of a case takes nothing.");
      heads.push_back({Branch::Kind::kElse, kNone, kNone});
      continue;
    }
    // Values between commas and the word "or"; what follows anything else is passed over.
    std::string_view rest = end.tag.markup;
    do {
      const std::string_view value = FindFragment(rest);
      if (value.empty()) {
        Wrong(end.at, "Something to compare with is missing: {% when value %}.");
        break;
      }
      heads.push_back({Branch::Kind::kIf, expressions_.LooseInCondition(value), kNone});
      rest.remove_prefix(static_cast<size_t>(value.data() + value.size() - rest.data()));
      if (TakeWord(rest, "or")) continue;
      while (!rest.empty() && IsSpace(rest.front())) rest.remove_prefix(1);
      if (!rest.starts_with(',')) break;
      rest.remove_prefix(1);
    } while (!FindFragment(rest).empty());
  }
  if (blank) {
    for (const Branch& each : branches) RemoveBlank(each.body);
  }
  made.whens = {static_cast<Index>(program_.branches.size()), static_cast<Index>(branches.size())};
  program_.branches.insert(program_.branches.end(), branches.begin(), branches.end());
  program_.cases.push_back(made);
  Add(body, Node::Kind::kCase, at, static_cast<Index>(program_.cases.size() - 1), blank);
  return true;
}

bool Parser::ParseFor(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  const ExpressionParser::For read = expressions_.ForOf(tag.markup);
  ForLoop loop;
  bool blank = true;
  bool more = true;
  Index* target = &loop.body;
  if (read.good) Bind(read.variable);
  ++loops_;
  while (more) {
    Body inside;
    End end;
    while ((more = BlockBody("for", at, splitter, inside, blank, end)) && end.tag.name != "else") {
      Wrong(end.at, fmt::format("A for has an else, no {}.", end.tag.name.substr(0, 60)));
    }
    *target = Keep(std::move(inside));
    target = &loop.otherwise;
  }
  --loops_;
  if (!read.good) return false;
  loop.variable = expressions_.Symbol(read.variable);
  loop.collection = read.collection;
  loop.limit = read.limit;
  loop.offset = read.offset;
  loop.from_continue = read.from_continue;
  loop.reversed = read.reversed;
  const auto known = std::ranges::find(program_.loop_names, std::string_view(read.name));
  loop.name = static_cast<Index>(known - program_.loop_names.begin());
  if (known == program_.loop_names.end()) program_.loop_names.push_back(expressions_.Keep(read.name));
  if (blank) {
    RemoveBlank(loop.body);
    if (loop.otherwise != kNone) RemoveBlank(loop.otherwise);
  }
  program_.loops.push_back(loop);
  Add(body, Node::Kind::kFor, at, static_cast<Index>(program_.loops.size() - 1), blank);
  return true;
}

bool Parser::ParseTableRow(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  // name in collection, then limit:, offset: and cols:
  ForLoop loop;
  std::string_view rest = tag.markup;
  const std::string_view name = rest.substr(0, static_cast<size_t>(std::find_if_not(rest.begin(), rest.end(), IsWord) - rest.begin()));
  rest.remove_prefix(name.size());
  bool good = !name.empty() && TakeWord(rest, "in");
  const std::string_view collection = good ? TakeFragments(rest) : std::string_view();
  good = good && !collection.empty();
  if (!good) Wrong(at, "A table is written {% tablerow item in collection %}.");
  if (good) {
    loop.collection = expressions_.Loose(collection);
    for (const auto& [key, value] : FindAttributes(rest)) {
      const Index expression = expressions_.Loose(value);
      if (key == "limit") loop.limit = expression;
      if (key == "offset") loop.offset = expression;
      if (key == "cols") loop.cols = expression;
    }
    Bind(name);
    loop.variable = expressions_.Symbol(name);
  }
  Body inside;
  bool blank = true;
  End end;
  ++loops_;
  while (BlockBody("tablerow", at, splitter, inside, blank, end))
    Wrong(end.at, fmt::format("A tablerow has no {}.", end.tag.name.substr(0, 60)));
  --loops_;
  loop.body = Keep(std::move(inside));
  if (!good) return false;
  program_.loops.push_back(loop);
  Add(body, Node::Kind::kTableRow, at, static_cast<Index>(program_.loops.size() - 1), blank);
  return true;
}

bool Parser::ParseCycle(const Tag& tag, const char* at, Splitter&, Body& body) {
  Cycle cycle;
  std::string_view values = tag.markup;
  // "name: a, b": the name is a fragment, up to its first colon outside of quotes.
  const size_t size = FragmentAt(tag.markup, 0);
  if (size == 0) {
    Wrong(at, "Values are missing: {% cycle 'a', 'b' %}.");
    return false;
  }
  const bool quoted = tag.markup[0] == '"' || tag.markup[0] == '\'';
  const std::string_view fragment = tag.markup.substr(0, size);
  const size_t inside = quoted ? std::string_view::npos : fragment.rfind(':');
  size_t colon = inside;
  if (inside == std::string_view::npos || inside == 0) {
    colon = size;
    while (colon < tag.markup.size() && IsSpace(tag.markup[colon])) ++colon;
    if (colon >= tag.markup.size() || tag.markup[colon] != ':') colon = std::string_view::npos;
  }
  if (colon != std::string_view::npos) {
    cycle.name = expressions_.Loose(tag.markup.substr(0, std::min(colon, size)));
    values = tag.markup.substr(colon + 1);
  }
  std::vector<Index> items;
  std::string group;
  while (!values.empty()) {
    const size_t comma = std::min(values.find(','), values.size());
    const std::string_view value = FindFragment(values.substr(0, comma));
    if (!value.empty()) {
      items.push_back(expressions_.Loose(value));
      group += fmt::format("{}{}", group.empty() ? "" : ",", value);
    }
    values.remove_prefix(std::min(comma + 1, values.size()));
  }
  if (cycle.name == kNone) cycle.group = expressions_.Keep(std::move(group));
  cycle.values = {static_cast<Index>(program_.arguments.size()), static_cast<Index>(items.size())};
  program_.arguments.insert(program_.arguments.end(), items.begin(), items.end());
  program_.cycles.push_back(cycle);
  Add(body, Node::Kind::kCycle, at, static_cast<Index>(program_.cycles.size() - 1), false);
  return true;
}

bool Parser::ParseCounter(const Tag& tag, const char* at, Splitter&, Body& body) {
  const std::string_view name = Trim(tag.markup);
  Bind(name);
  Add(body, tag.name == "increment" ? Node::Kind::kIncrement : Node::Kind::kDecrement, at, expressions_.Symbol(name), false);
  return true;
}

void Parser::ParseCallOptions(std::string_view rest, Call& call) {
  const bool is_for = TakeWord(rest, "for");
  if (is_for || TakeWord(rest, "with")) {
    call.for_each = is_for;
    const std::string_view variable = TakeFragments(rest);
    if (!variable.empty()) call.variable = expressions_.Loose(variable);
  }
  if (TakeWord(rest, "as")) {
    call.alias = rest.substr(0, static_cast<size_t>(std::find_if_not(rest.begin(), rest.end(), IsNamePart) - rest.begin()));
    if (!call.alias.empty()) {
      Bind(call.alias);
      call.alias_symbol = expressions_.Symbol(call.alias);
    }
  }
}

bool Parser::ParseCall(const Tag& tag, const char* at, Splitter&, Body& body) {
  Call call;
  call.isolated = tag.name == "render";
  const std::string_view name = FindFragment(tag.markup);
  const bool quoted = name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front();
  if (name.empty() || (call.isolated && !quoted)) {
    Wrong(at, call.isolated ? "The name of a partial is a text in quotes: {% render 'name' %}."
                            : "The name of a partial is missing: {% include 'name' %}.");
    return false;
  }
  call.name = expressions_.Loose(name);
  const std::string_view rest = tag.markup.substr(static_cast<size_t>(name.data() + name.size() - tag.markup.data()));
  ParseCallOptions(rest, call);
  std::vector<Keyword> keywords;
  std::vector<Index> symbols;
  for (const auto& [key, value] : FindAttributes(tag.markup)) {
    Bind(key);
    symbols.push_back(expressions_.Symbol(key));
    keywords.push_back({key, expressions_.Loose(value)});
  }
  call.keywords = {static_cast<Index>(program_.keywords.size()), static_cast<Index>(keywords.size())};
  call.keyword_symbols = {static_cast<Index>(program_.call_symbols.size()), static_cast<Index>(symbols.size())};
  program_.keywords.insert(program_.keywords.end(), keywords.begin(), keywords.end());
  program_.call_symbols.insert(program_.call_symbols.end(), symbols.begin(), symbols.end());
  program_.calls.push_back(call);
  Add(body, Node::Kind::kCall, at, static_cast<Index>(program_.calls.size() - 1), false);
  if (options_.calls != nullptr) {
    PartialCall& listed = options_.calls->emplace_back();
    if (quoted) listed.name = name.substr(1, name.size() - 2);
    PlaceCounter(program_.units[unit_].source).To(at, listed.line, listed.column);
    return true;
  }
  // A name that is known is looked for now; a computed one may be any that is given.
  if (quoted) {
    const std::string_view plain = name.substr(1, name.size() - 2);
    Bind(plain.substr(plain.rfind('/') + 1));  // npos + 1 is 0
    if (PartialOf(plain) == kNone) Wrong(at, fmt::format("There is no partial \"{}\".", plain.substr(0, 60)));
  } else {
    for (const Partial& partial : options_.partials) {
      Bind(partial.name.substr(partial.name.rfind('/') + 1));
      PartialOf(partial.name);
    }
  }
  return true;
}

bool Parser::ParseIfChanged(const Tag&, const char* at, Splitter& splitter, Body& body) {
  Body inside;
  bool blank = true;
  End end;
  while (BlockBody("ifchanged", at, splitter, inside, blank, end))
    Wrong(end.at, fmt::format("An ifchanged has no {}.", end.tag.name.substr(0, 60)));
  Add(body, Node::Kind::kIfChanged, at, Keep(std::move(inside)), blank);
  return true;
}

bool Parser::ParseInterrupt(const Tag& tag, const char* at, Splitter&, Body& body) {
  // Elsewhere it would end the whole template.
  if (options_.strict && unit_ == 0 && loops_ == 0) Wrong(at, fmt::format("A {} belongs into a loop.", tag.name));
  Add(body, tag.name == "break" ? Node::Kind::kBreak : Node::Kind::kContinue, at, kNone, false);
  return true;
}

bool Parser::ParseRaw(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  if (!IsAllSpace(tag.markup)) Wrong(at, "A raw takes nothing.");
  trim_ = false;
  while (const auto piece = splitter.Next()) {
    std::string_view text = *piece;
    const auto closing = ReadClosingTag(text);
    const bool closes = closing && closing->name == "endraw";
    if (closes) {
      trim_ = text[text.size() - 3] == '-';
      text = text.substr(0, closing->begin);
    }
    if (!text.empty()) {
      body.nodes.push_back(
          {.kind = Node::Kind::kText, .size = static_cast<uint32_t>(text.size()), .index = kNone, .symbol = kNone, .at = text.data()});
      body.blank = false;
    }
    if (!closes) continue;
    Add(body, Node::Kind::kNothing, at, kNone, true);
    return true;
  }
  Wrong(at, "This raw is never closed; {% endraw %} is missing.");
  return false;
}

bool Parser::ParseDoc(const Tag& tag, const char* at, Splitter& splitter, Body& body) {
  if (!IsAllSpace(tag.markup)) Wrong(at, "A doc takes nothing.");
  while (const auto piece = splitter.Next()) {
    const auto closing = ReadClosingTag(*piece);
    if (closing && closing->name == "doc") Wrong(piece->data(), "A doc has no other doc inside.");
    if (!closing || closing->name != "enddoc") continue;
    trim_ = (*piece)[piece->size() - 3] == '-';
    Add(body, Node::Kind::kNothing, at, kNone, true);
    return true;
  }
  Wrong(at, "This doc is never closed; {% enddoc %} is missing.");
  return false;
}

bool Parser::SkipRaw(const char* at, Splitter& splitter) {
  while (const auto piece = splitter.Next()) {
    const auto closing = ReadClosingTag(*piece);
    if (closing && closing->name == "endraw") return true;
  }
  Wrong(at, "This raw is never closed; {% endraw %} is missing.");
  return false;
}

bool Parser::ParseComment(const Tag&, const char* at, Splitter& splitter, Body& body) {
  int open = 1;
  while (const auto piece = splitter.Next()) {
    const auto tag = splitter.lines() ? ReadLineTag(*piece) : ReadTag(*piece);
    if (!tag) continue;
    if (tag->name == "raw" && !SkipRaw(piece->data(), splitter)) return false;
    open += tag->name == "comment" ? 1 : tag->name == "endcomment" ? -1 : 0;
    if (open > 0) continue;
    if (!splitter.lines()) trim_ = (*piece)[piece->size() - 3] == '-';
    Add(body, Node::Kind::kNothing, at, kNone, true);
    return true;
  }
  Wrong(at, "This comment is never closed; {% endcomment %} is missing.");
  return false;
}

bool Parser::ParseNote(const Tag& tag, const char* at, Splitter&, Body& body) {
  for (size_t line = tag.markup.find('\n'); line != std::string_view::npos; line = tag.markup.find('\n', line + 1)) {
    const std::string_view next = tag.markup.substr(line + 1);
    const auto first = std::find_if_not(next.begin(), next.end(), IsSpace);
    if (first != next.end() && *first != '#') {
      Wrong(&*first, "Each line of this comment begins with #.");
      return false;
    }
  }
  Add(body, Node::Kind::kNothing, at, kNone, true);
  return true;
}

}  // namespace maily::liquid
