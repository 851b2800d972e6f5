// Positions of a projection group as readers wait for them.
#pragma once

#include <vector>

#include "projections/views/freshness.h"
#include "streams/journal/position.h"

namespace maily::projections {

inline std::vector<Reached> ReachedOf(const std::vector<journal::Position>& positions) {
  std::vector<Reached> all;
  for (const journal::Position& position : positions) {
    const journal::SourcePosition* source = position.Source(0);
    Reached reached{.partition = position.partition};
    if (source != nullptr && source->any) {
      reached = {position.partition, true, source->generation, source->offset, source->index};
    }
    all.push_back(reached);
  }
  return all;
}

}  // namespace maily::projections
