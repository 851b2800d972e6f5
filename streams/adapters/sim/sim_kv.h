// Key-value stores in memory that forget, on a crash, what a real disk may forget.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/kv.h"

namespace maily::sim {

// It is the disk: it outlives the simulated processes, which open and close stores on it.
class SimKvStores : public KvStores {
 public:
  explicit SimKvStores(Scheduler& scheduler);
  ~SimKvStores() override;

  Result<std::unique_ptr<Kv>> Open(const std::string& name, KvDurability durability) override;
  Result<void> Destroy(const std::string& name) override;

  // The process or machine dies: every kOnFlush store forgets a random suffix of the batches since its last flush. Handles that are
  // still there are dead: their calls end in kFatal, and the stores may be opened anew.
  void Crash();
  // A full disk: Write to kOnWrite stores and Flush end in kRetry until it is not.
  void SetFull(bool full);

 private:
  struct Disk;
  class Store;
  class ViewOfDisk;
  Scheduler& scheduler_;
  std::map<std::string, std::shared_ptr<Disk>> disks_;
  std::shared_ptr<bool> full_ = std::make_shared<bool>(false);
};

}  // namespace maily::sim
