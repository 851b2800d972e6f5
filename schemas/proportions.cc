// See proportions.h.
#include "schemas/proportions.h"

#include <algorithm>
#include <cmath>

namespace maily::schema {
namespace {

constexpr double kZ = 1.959963984540054;  // 95 %, two-sided

struct Interval {
  double low;
  double high;
};

// Wilson's score interval.
Interval Wilson(double did, double of) {
  const double center = (did + kZ * kZ / 2) / (of + kZ * kZ);
  const double half = kZ * std::sqrt(did * (of - did) / of + kZ * kZ / 4) / (of + kZ * kZ);
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

}  // namespace

Difference Compare(const Share& first, const Share& second) {
  if (first.of <= 0 || second.of <= 0) return {};
  const auto a = static_cast<double>(first.did) / static_cast<double>(first.of);
  const auto b = static_cast<double>(second.did) / static_cast<double>(second.of);
  const Interval of_a = Wilson(static_cast<double>(first.did), static_cast<double>(first.of));
  const Interval of_b = Wilson(static_cast<double>(second.did), static_cast<double>(second.of));
  const auto distance = [](double x, double y) { return std::sqrt(x * x + y * y); };
  Difference out;
  out.difference = a - b;
  out.low = std::max(-1.0, out.difference - distance(a - of_a.low, of_b.high - b));
  out.high = std::min(1.0, out.difference + distance(of_a.high - a, b - of_b.low));
  out.evidence = out.low > 0 || out.high < 0;
  return out;
}

}  // namespace maily::schema
