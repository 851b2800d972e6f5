// See segment_zone.h.
#include "processors/audience/segment_zone.h"

#include <algorithm>
#include <limits>

namespace maily::audience {
namespace {

constexpr int64_t kDayS = 86'400;
constexpr int64_t kOffsetMaxS = 26 * 3'600;  // no zone is farther from UTC

int64_t FloorDay(int64_t seconds) { return seconds >= 0 ? seconds / kDayS : -((-seconds + kDayS - 1) / kDayS); }

int64_t OffsetAt(const segments::v1::Zone& zone, int64_t at_s) {
  const auto& at = zone.at_s();
  const auto next = std::upper_bound(at.begin(), at.end(), at_s);
  return next == at.begin() ? zone.first_offset_s() : zone.offset_s(static_cast<int>(next - at.begin()) - 1);
}

}  // namespace

segments::v1::Zone TableOf(const schema::Zone& zone, Instant now) {
  const Instant from = now - Days(5 * 366);
  const Instant until = now + Days(30 * 366);
  segments::v1::Zone table;
  table.set_name(zone.name());
  table.set_first_offset_s(zone.OffsetAt(from));
  for (auto change = zone.NextChange(from, until); change; change = zone.NextChange(*change, until)) {
    table.add_at_s(change->us / 1'000'000);
    table.add_offset_s(zone.OffsetAt(*change));
  }
  return table;
}

int64_t StartOfDay(const segments::v1::Zone& zone, int32_t day) {
  const int64_t local = int64_t{day} * kDayS;
  const auto& at = zone.at_s();
  // The stretches of one offset that can hold it, from the earliest.
  auto next = std::upper_bound(at.begin(), at.end(), local - kOffsetMaxS);
  for (;; ++next) {
    const int64_t begin = next == at.begin() ? std::numeric_limits<int64_t>::min() : *(next - 1);
    const int64_t end = next == at.end() ? std::numeric_limits<int64_t>::max() : *next;
    const int64_t offset = next == at.begin() ? zone.first_offset_s() : zone.offset_s(static_cast<int>(next - at.begin()) - 1);
    const int64_t start = std::max(begin, local - offset);
    if (start < end || next == at.end()) return start;
  }
}

int32_t DayOf(const segments::v1::Zone& zone, int64_t at_s) {
  auto day = static_cast<int32_t>(FloorDay(at_s + OffsetAt(zone, at_s)));
  while (StartOfDay(zone, day + 1) <= at_s) ++day;
  while (StartOfDay(zone, day) > at_s) --day;
  return day;
}

}  // namespace maily::audience
