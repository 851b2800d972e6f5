// Compiling: parses, then puts splices into the text. See template.h.
#include "processors/personalization/liquid/template.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/liquid/parser.h"
#include "processors/personalization/liquid/program.h"

namespace maily::liquid {
namespace {

// The bodies that are written exactly once: those of no block.
bool IsTop(const Program& program, Index body) { return program.units.front().body == body; }

void Place(Program& program, std::span<const Splice> splices, std::vector<bool>& placed) {
  const char* const source = program.units.front().source.data();
  const char* const end = source + program.units.front().source.size();
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
        const auto slot = static_cast<size_t>(splice - splices.begin());
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
  std::vector<const Expression*> lookups;
  for (const Expression& expression : program.expressions) {
    if (expression.kind == Expression::Kind::kLookup || expression.kind == Expression::Kind::kLookupByExpression)
      lookups.push_back(&expression);
  }
  std::vector<Reference> references;
  for (const Expression* const lookup : lookups) {
    Reference reference;
    if (lookup->kind == Expression::Kind::kLookup) reference.root = program.symbols[lookup->root];
    reference.dynamic = lookup->kind == Expression::Kind::kLookupByExpression;
    for (Index i = 0; i < lookup->segments.count && !reference.dynamic; ++i) {
      const Segment& segment = program.segments[lookup->segments.first + i];
      if (segment.expression == kNone) {
        reference.path.push_back(segment.name);
      } else if (const Expression& key = program.expressions[segment.expression];
                 key.kind == Expression::Kind::kLiteral && key.literal.is_string()) {
        reference.path.push_back(key.literal.string());
      } else {
        reference.dynamic = true;
      }
    }
    for (const Unit& unit : program.units) {
      if (lookup->at < unit.source.data() || lookup->at > unit.source.data() + unit.source.size()) continue;
      reference.partial = unit.name;
      PlaceOf(unit.source, lookup->at, reference.line, reference.column);
      break;
    }
    references.push_back(std::move(reference));
  }
  std::ranges::stable_sort(references, [](const Reference& a, const Reference& b) {
    return std::tie(a.partial, a.line, a.column) < std::tie(b.partial, b.line, b.column);
  });
  return references;
}

}  // namespace maily::liquid
