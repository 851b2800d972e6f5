// Shares of people who did something, compared: how far apart two groups are, with the interval that says how sure that is.
//
// For reports and decisions, never for folds: it takes square roots. Thread: any.
#pragma once

#include <cstdint>

namespace maily::schema {

struct Share {
  int64_t did = 0;  // 0 … of
  int64_t of = 0;
};

struct Difference {
  double difference = 0;  // of the shares: the first less the second
  double low = -1;        // the true difference is between these in 95 of 100 cases
  double high = 1;
  bool evidence = false;  // the interval does not hold 0
};

// By Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10), which holds for small groups and rare events too. An
// empty group says nothing: -1 … 1.
Difference Compare(const Share& first, const Share& second);

}  // namespace maily::schema
