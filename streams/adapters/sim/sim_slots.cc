// Slots as strings.
#include "streams/adapters/sim/sim_slots.h"

#include "streams/base/result.h"

namespace maily::sim {

SimSlots::SimSlots(Scheduler& scheduler, size_t count) : scheduler_(scheduler), slots_(count) {}

void SimSlots::Reboot() {
  ++boots_;
  for (std::string& slot : slots_) {
    if (scheduler_.Chance(0.5)) slot.clear();
  }
}

void SimSlots::Write(size_t slot, std::string_view bytes) {
  MAILY_CHECK(bytes.size() <= kSlotBytesMax, "{} bytes for a slot", bytes.size());
  slots_.at(slot) = bytes;
}

}  // namespace maily::sim
