// Shares of people who did something, compared: how far apart two groups are, with the interval that says how sure that is.
//
// For reports and decisions, never for folds: it takes square roots. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

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

struct Interval {
  double low = 0;
  double high = 1;
};

// Where the true share is, in 95 of 100 cases: Wilson's score interval (JASA 22, 1927). Of an empty group: 0 … 1.
Interval Within(const Share& share);

// Of each, the probability that its true share is the highest, in order; they sum to 1. By uniform priors: the true share of `did` of `of`
// has the distribution Beta(1 + did, 1 + of - did), and the integral of the density of one times the distribution functions of all
// others is taken by the trapezoid rule over points that lie close where any of the densities is high. Off by less than 0.001.
std::vector<double> ProbabilitiesOfBest(std::span<const Share> shares);

}  // namespace maily::schema
