// What a verdict byte of AudiencePlanned says of one contact. [format] of campaigns/v1/events.proto
#pragma once

#include <cstdint>
#include <string_view>

#include "streams/base/result.h"

namespace maily::projections {

enum class Fate : uint8_t { kOutside, kSkipped, kSend, kHoldout, kRest };  // kRest: waits for the winner of a test

struct Verdict {
  Fate fate = Fate::kOutside;
  int arm = -1;    // -1 = none was chosen
  int reason = 0;  // a SkipReason; 0 = none

  bool in_audience() const { return fate != Fate::kOutside; }
};

inline constexpr int kHoldoutReason = 3;  // SkipReason HOLDOUT

inline Verdict VerdictOf(char byte) {
  const int verdict = static_cast<uint8_t>(byte);
  if (verdict == 192) return {Fate::kRest, -1, 0};
  if (verdict == 0 || verdict > 192) return {};
  if (verdict < 64) return {Fate::kSkipped, -1, verdict};
  if (verdict < 128) return {Fate::kSend, verdict - 64, 0};
  return {Fate::kHoldout, verdict - 128, kHoldoutReason};
}

// Calls `each` with the place of each bit that is set, ascending; a failure ends it. [format] of RestReleased
template <class Each>
Result<void> ForEachBit(std::string_view bits, Each each) {
  for (uint64_t i = 0; i < 8 * bits.size(); ++i) {
    if ((static_cast<uint8_t>(bits[i / 8]) >> (i % 8) & 1) != 0) MAILY_TRY_VOID(each(i));
  }
  return Ok();
}

}  // namespace maily::projections
