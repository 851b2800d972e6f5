// See proportions.h.
#include "schemas/proportions.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace maily::schema {
namespace {

constexpr double kZ = 1.959963984540054;  // 95 %, two-sided

// Wilson's score interval.
Interval Wilson(double did, double of) {
  const double center = (did + kZ * kZ / 2) / (of + kZ * kZ);
  const double half = kZ * std::sqrt(did * (of - did) / of + kZ * kZ / 4) / (of + kZ * kZ);
  // At the ends the sums are 0 and 1 but for rounding.
  return {did <= 0 ? 0 : std::max(0.0, center - half), did >= of ? 1 : std::min(1.0, center + half)};
}

// Beta(1 + did, 1 + of - did) at points, scaled so that its highest value is 1.
class Density {
 public:
  explicit Density(const Share& share)
      : did_(static_cast<double>(share.did)), not_(static_cast<double>(share.of - share.did)), most_(Log(Mode())) {}
  double Mode() const { return did_ + not_ == 0 ? 0.5 : did_ / (did_ + not_); }
  double Mean() const { return (did_ + 1) / (did_ + not_ + 2); }
  double Deviation() const { return std::sqrt(Mean() * (1 - Mean()) / (did_ + not_ + 3)); }
  double At(double x) const { return std::exp(Log(x) - most_); }

 private:
  double Log(double x) const {
    if ((x <= 0 && did_ > 0) || (x >= 1 && not_ > 0)) return -std::numeric_limits<double>::infinity();
    return (did_ > 0 ? did_ * std::log(x) : 0) + (not_ > 0 ? not_ * std::log1p(-x) : 0);
  }
  const double did_;
  const double not_;
  const double most_;
};

// So many points on either side of each mean, within so many deviations: what is outside has less than a millionth.
constexpr int kPoints = 40;
constexpr double kDeviations = 8;

}  // namespace

Interval Within(const Share& share) {
  return share.of <= 0 ? Interval{} : Wilson(static_cast<double>(share.did), static_cast<double>(share.of));
}

std::vector<double> ProbabilitiesOfBest(std::span<const Share> shares) {
  std::vector<Density> densities;
  std::vector<double> points{0, 1};
  for (const Share& share : shares) {
    const Density& density = densities.emplace_back(share);
    for (int i = -kPoints; i <= kPoints; ++i) {
      const double at = density.Mean() + kDeviations * density.Deviation() * i / kPoints;
      if (at > 0 && at < 1) points.push_back(at);
    }
  }
  std::ranges::sort(points);
  // By arm and interval between points: what lies in it, and below its middle.
  const size_t intervals = points.size() - 1;
  std::vector<std::vector<double>> in(shares.size());
  std::vector<std::vector<double>> below(shares.size());
  for (size_t arm = 0; arm < shares.size(); ++arm) {
    double sum = 0;
    double at = densities[arm].At(points[0]);
    for (size_t i = 0; i < intervals; ++i) {
      const double next = densities[arm].At(points[i + 1]);
      const double part = (at + next) / 2 * (points[i + 1] - points[i]);
      at = next;
      in[arm].push_back(part);
      below[arm].push_back(sum + part / 2);
      sum += part;
    }
    for (size_t i = 0; i < intervals; ++i) {
      in[arm][i] /= sum;
      below[arm][i] /= sum;
    }
  }
  std::vector<double> best(shares.size());
  double whole = 0;
  for (size_t arm = 0; arm < shares.size(); ++arm) {
    for (size_t i = 0; i < intervals; ++i) {
      double product = in[arm][i];
      for (size_t other = 0; other < shares.size() && product > 0; ++other) {
        if (other != arm) product *= below[other][i];
      }
      best[arm] += product;
    }
    whole += best[arm];
  }
  for (double& one : best) one /= whole;
  return best;
}

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
