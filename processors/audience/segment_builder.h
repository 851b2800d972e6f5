// Puts nodes together in prefix order while a form is read, and keeps the limits of an expression.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "processors/audience/segment_language.h"

namespace maily::audience {

// A node with all below it: nodes in prefix order and where each stands.
struct SegmentTree {
  std::vector<segments::v1::Node> nodes;
  std::vector<std::string> where;
};

inline SegmentTree SegmentLeaf(segments::v1::Node node, std::string where) {
  node.set_size(1);
  SegmentTree tree;
  tree.nodes.push_back(std::move(node));
  tree.where.push_back(std::move(where));
  return tree;
}

// One operand stays itself, except below NOT; an operand of AND or OR that is the same junction gives its operands instead of itself.
inline SegmentTree SegmentJoin(segments::v1::Junction junction, std::vector<SegmentTree> operands, std::string where) {
  if (junction != segments::v1::NOT && operands.size() == 1) return std::move(operands[0]);
  segments::v1::Node top;
  top.set_junction(junction);
  SegmentTree tree = SegmentLeaf(std::move(top), std::move(where));
  for (SegmentTree& operand : operands) {
    const auto& first = operand.nodes.front();
    const bool same = junction != segments::v1::NOT && first.has_junction() && first.junction() == junction;
    for (size_t i = same ? 1 : 0; i < operand.nodes.size(); ++i) {
      tree.nodes.push_back(std::move(operand.nodes[i]));
      tree.where.push_back(std::move(operand.where[i]));
    }
  }
  tree.nodes.front().set_size(static_cast<uint32_t>(tree.nodes.size()));
  return tree;
}

// The expression, unless it has too many nodes.
inline ParsedSegment SegmentParsed(SegmentTree tree) {
  ParsedSegment parsed;
  if (tree.nodes.size() > kSegmentNodesMax) {
    parsed.problems.push_back({tree.where[kSegmentNodesMax], "an expression has at most " + std::to_string(kSegmentNodesMax) +
                                                                 " tests and joints; divide it with in_segment(…)"});
    return parsed;
  }
  for (auto& node : tree.nodes) *parsed.expression.add_nodes() = std::move(node);
  parsed.where = std::move(tree.where);
  return parsed;
}

}  // namespace maily::audience
