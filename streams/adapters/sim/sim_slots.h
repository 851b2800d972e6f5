// Slots in memory: they outlive the simulated process, and lose their meaning when the simulated machine boots again.
#pragma once

#include <string>
#include <vector>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/slots.h"

namespace maily::sim {

class SimSlots : public Slots {
 public:
  SimSlots(Scheduler& scheduler, size_t count);

  // The machine boots again: another boot id; of every slot the content may be gone.
  void Reboot();

  size_t count() const override { return slots_.size(); }
  std::string Read(size_t slot) const override { return slots_.at(slot); }
  // CHECK: at most kSlotBytesMax bytes.
  void Write(size_t slot, std::string_view bytes) override;
  std::string boot_id() const override { return "boot-" + std::to_string(boots_); }
  std::string place() const override { return "sim"; }

 private:
  Scheduler& scheduler_;
  std::vector<std::string> slots_;
  int boots_ = 1;
};

}  // namespace maily::sim
