// What a verdict byte of AudiencePlanned says of one contact. [format] of campaigns/v1/events.proto
#pragma once

#include <cstdint>

namespace maily::projections {

enum class Fate : uint8_t { kOutside, kSkipped, kSend, kHoldout };

struct Verdict {
  Fate fate = Fate::kOutside;
  int arm = -1;    // -1 = none was chosen
  int reason = 0;  // a SkipReason; 0 = none

  bool in_audience() const { return fate != Fate::kOutside; }
};

inline constexpr int kHoldoutReason = 3;  // SkipReason HOLDOUT

inline Verdict VerdictOf(char byte) {
  const int verdict = static_cast<uint8_t>(byte);
  if (verdict == 0 || verdict >= 192) return {};
  if (verdict < 64) return {Fate::kSkipped, -1, verdict};
  if (verdict < 128) return {Fate::kSend, verdict - 64, 0};
  return {Fate::kHoldout, verdict - 128, kHoldoutReason};
}

}  // namespace maily::projections
