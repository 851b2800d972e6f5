// What the measuring programs print: one JSON object a line, a measurement of one round. bench/run.py merges them into rows.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

namespace maily::bench {

// Ours and the reference of one round. The ratio is ours / reference.
inline void Print(std::string_view row, std::string_view unit, double ours, double reference, std::string_view reference_name) {
  fmt::print("{{\"row\":\"{}\",\"unit\":\"{}\",\"ours\":{:.6g},\"reference\":{:.6g},\"reference_name\":\"{}\"}}\n", row, unit, ours,
             reference, reference_name);
  std::fflush(stdout);
}

// Something that helps to read the rows; goes to stderr.
template <class... Args>
void Note(fmt::format_string<Args...> text, Args&&... args) {
  fmt::print(stderr, "{}\n", fmt::format(text, std::forward<Args>(args)...));
}

// The value below which `part` of the samples lie; reorders them. No samples: 0.
inline double Quantile(std::vector<double>& samples, double part) {
  if (samples.empty()) return 0;
  const auto at = samples.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

}  // namespace maily::bench
