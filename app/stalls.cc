// See stalls.h.
#include "app/stalls.h"

namespace maily::app {

void Stalls::Look(const std::vector<PartitionLook>& partitions, Duration now) {
  now_ = now;
  seen_.resize(partitions.size());
  for (size_t p = 0; p < partitions.size(); ++p) {
    const PartitionLook& look = partitions[p];
    Seen& seen = seen_[p];
    const bool waits = !look.led_here && look.waiting > 0;
    if (!waits || !seen.waits || look.lsn != seen.lsn) seen = {waits, look.lsn, now};
  }
}

std::vector<uint16_t> Stalls::stalled() const {
  std::vector<uint16_t> all;
  for (size_t p = 0; p < seen_.size(); ++p) {
    if (seen_[p].waits && now_ - seen_[p].since > kPatience) all.push_back(static_cast<uint16_t>(p));
  }
  return all;
}

}  // namespace maily::app
