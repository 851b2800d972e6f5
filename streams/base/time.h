// Instants and durations in microseconds. Nothing here reads a clock: time comes from port/env.h or from the log.
#pragma once

#include <compare>
#include <cstdint>

namespace maily {

struct Duration {
  int64_t us = 0;
  auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration other) const { return {us + other.us}; }
  constexpr Duration operator-(Duration other) const { return {us - other.us}; }
  constexpr Duration operator*(int64_t factor) const { return {us * factor}; }
};
constexpr Duration Microseconds(int64_t n) { return {n}; }
constexpr Duration Milliseconds(int64_t n) { return {n * 1000}; }
constexpr Duration Seconds(int64_t n) { return {n * 1'000'000}; }
constexpr Duration Hours(int64_t n) { return Seconds(n * 3600); }
constexpr Duration Days(int64_t n) { return Hours(n * 24); }

// Microseconds since 1970-01-01T00:00:00Z. Zero = not set.
struct Instant {
  int64_t us = 0;
  auto operator<=>(const Instant&) const = default;
  constexpr Instant operator+(Duration d) const { return {us + d.us}; }
  constexpr Instant operator-(Duration d) const { return {us - d.us}; }
  constexpr Duration operator-(Instant other) const { return {us - other.us}; }
};

}  // namespace maily
