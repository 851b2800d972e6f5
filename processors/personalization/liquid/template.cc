// Compiling: parses, then puts splices into the text. See template.h.
#include "processors/personalization/liquid/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "processors/personalization/liquid/parser.h"
#include "processors/personalization/liquid/program.h"

namespace maily::liquid {
namespace {

// The bodies that are written exactly once: those of no block.
bool IsTop(const Program& program, Index body) { return program.units.front().body == body; }

// `splices`: those of this unit; `first`: which of all the first one is.
void PlaceIn(Program& program, const Unit& unit, std::span<const Splice> splices, size_t first, std::vector<bool>& placed) {
  const char* const source = unit.source.data();
  const char* const end = source + unit.source.size();
  for (Index i = 0; i < program.bodies.size(); ++i) {
    std::vector<Node> nodes;
    for (const Node& node : program.bodies[i].nodes) {
      const bool here = node.kind == Node::Kind::kText && node.at >= source && node.at <= end;
      if (!here || splices.empty()) {
        nodes.push_back(node);
        continue;
      }
      auto at = static_cast<uint32_t>(node.at - source);
      const uint32_t last = at + node.size;
      const auto text_to = [&](uint32_t to) {
        if (to > at) nodes.push_back({.kind = Node::Kind::kText, .size = to - at, .index = kNone, .symbol = kNone, .at = source + at});
        at = to;
      };
      auto splice =
          std::lower_bound(splices.begin(), splices.end(), at, [](const Splice& s, uint32_t offset) { return s.offset < offset; });
      for (; splice != splices.end() && splice->offset < last; ++splice) {
        const size_t slot = first + static_cast<size_t>(splice - splices.begin());
        if (splice->offset < at || splice->offset + splice->size > last || placed[slot] || (splice->once && !IsTop(program, i))) continue;
        text_to(splice->offset);
        nodes.push_back({.kind = Node::Kind::kSplice, .size = 0, .index = static_cast<Index>(slot), .symbol = kNone, .at = source + at});
        placed[slot] = true;
        at += splice->size;
      }
      text_to(last);
    }
    program.bodies[i].nodes = std::move(nodes);
  }
}

// Splices of one source stand together.
void Place(Program& program, std::span<const Splice> splices, std::vector<bool>& placed) {
  for (size_t first = 0; first < splices.size();) {
    size_t last = first;
    while (last < splices.size() && splices[last].partial == splices[first].partial) ++last;
    for (const Unit& unit : program.units) {
      if (unit.name == splices[first].partial) PlaceIn(program, unit, splices.subspan(first, last - first), first, placed);
    }
    first = last;
  }
}

// Whether a tag of the template gives that name a value: an include of that name goes over it then, maybe over nothing.
bool IsSet(const Program& program, std::string_view name) {
  const auto symbol = program.symbol_of.find(name);
  if (symbol == program.symbol_of.end()) return false;
  const auto is_it = [&](Index other) { return other == symbol->second; };
  for (const Body& body : program.bodies) {
    for (const Node& node : body.nodes) {
      if ((node.kind == Node::Kind::kAssign || node.kind == Node::Kind::kCapture) && is_it(node.symbol)) return true;
    }
  }
  return std::ranges::any_of(program.loops, is_it, &ForLoop::variable) || std::ranges::any_of(program.calls, is_it, &Call::alias_symbol) ||
         std::ranges::any_of(program.call_symbols, is_it);
}

// The bodies that are written for everybody: of the template, and of the partials that these take in by name and not for each of something.
std::vector<Index> BodiesAlways(const Program& program) {
  std::vector<Index> bodies{program.units.front().body};
  for (size_t at = 0; at < bodies.size(); ++at) {
    for (const Node& node : program.bodies[bodies[at]].nodes) {
      if (node.kind != Node::Kind::kCall) continue;
      const Call& call = program.calls[node.index];
      const Expression& name = program.expressions[call.name];
      const bool once = name.kind == Expression::Kind::kLiteral && name.literal.is_string() && call.variable == kNone;
      if (!once || (!call.isolated && IsSet(program, name.literal.string()))) continue;
      for (const Unit& unit : program.units) {
        const bool there = &unit != &program.units.front() && unit.name == name.literal.string();
        if (there && std::ranges::find(bodies, unit.body) == bodies.end()) bodies.push_back(unit.body);
      }
    }
  }
  return bodies;
}

Reference ReferenceOf(const Program& program, const Expression& lookup) {
  Reference reference;
  if (lookup.kind == Expression::Kind::kLookup) reference.root = program.symbols[lookup.root];
  reference.dynamic = lookup.kind == Expression::Kind::kLookupByExpression;
  for (Index i = 0; i < lookup.segments.count && !reference.dynamic; ++i) {
    const Segment& segment = program.segments[lookup.segments.first + i];
    if (segment.expression == kNone) {
      reference.path.push_back(segment.name);
    } else if (const Expression& key = program.expressions[segment.expression];
               key.kind == Expression::Kind::kLiteral && key.literal.is_string()) {
      reference.path.push_back(key.literal.string());
    } else {
      reference.dynamic = true;
    }
  }
  return reference;
}

}  // namespace

std::string Problem::ToString() const { return fmt::format("{}{}{}:{}: {}", partial, partial.empty() ? "" : " ", line, column, message); }

std::optional<Template> Template::Compile(std::string_view source, const CompileOptions& options, std::vector<Problem>& problems) {
  auto program = std::make_shared<Program>();
  const size_t before = problems.size();
  std::vector<Problem> found;
  Parser parser(*program, options, found);
  parser.Run(source);
  problems.insert(problems.end(), found.begin(), found.end());
  if (problems.size() > before) return std::nullopt;
  Template made;
  made.placed_.resize(options.splices.size());
  Place(*program, options.splices, made.placed_);
  made.tags_ = parser.tags();
  made.program_ = std::move(program);
  return made;
}

std::span<const std::string_view> Template::names() const { return program_->symbols; }
bool Template::sets(size_t name) const { return program_->bound[name] != 0; }

std::vector<Reference> Template::References() const {
  const Program& program = *program_;
  std::unordered_set<Index> always;
  for (const Index body : BodiesAlways(program)) {
    for (const Node& node : program.bodies[body].nodes) {
      if (node.kind != Node::Kind::kOutput || program.outputs[node.index].filters.count != 0) continue;
      always.insert(program.outputs[node.index].expression);
    }
  }
  std::vector<Reference> references;
  for (const Unit& unit : program.units) {
    const char* const begin = unit.source.data();
    std::vector<const Expression*> lookups;
    for (const Expression& expression : program.expressions) {
      const bool is_lookup = expression.kind == Expression::Kind::kLookup || expression.kind == Expression::Kind::kLookupByExpression;
      if (is_lookup && expression.at >= begin && expression.at < begin + unit.source.size()) lookups.push_back(&expression);
    }
    std::ranges::stable_sort(lookups, {}, [](const Expression* expression) { return expression->at; });
    PlaceCounter places(unit.source);
    for (const Expression* const lookup : lookups) {
      Reference reference = ReferenceOf(program, *lookup);
      reference.always = always.contains(static_cast<Index>(lookup - program.expressions.data()));
      reference.partial = unit.name;
      places.To(lookup->at, reference.line, reference.column);
      references.push_back(std::move(reference));
    }
  }
  return references;
}

}  // namespace maily::liquid
