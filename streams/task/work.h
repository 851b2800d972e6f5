// Long work in slices: which items there are, and whose turn it is (round-robin over tenants, then over a tenant's items).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/state/table.h"
#include "streams/task/processor.h"

namespace maily::task {

// Key: tenant (4 bytes) ‖ kind (2 bytes) ‖ subject.
struct WorkItem {
  bool AppendToString(std::string* out) const {
    out->push_back('\1');
    return true;
  }
  bool ParseFromArray(const void*, int size) { return size == 1; }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};

// Of one partition; lives on its executor. The queue in memory mirrors the table.
class Work {
 public:
  explicit Work(state::Cache& cache) : cache_(&cache) {}

  // Reads the queue from the state: at take-over, and after an undo.
  void Load();
  // Fold.
  void Add(TenantId tenant, WorkKind kind, std::string_view subject);
  void Remove(TenantId tenant, WorkKind kind, std::string_view subject);

  struct Item {
    TenantId tenant;
    WorkKind kind = 0;
    std::string subject;
    std::string key;
  };
  // Whose turn it is; none if every item waits.
  std::optional<Item> Next();
  // The item waits until WakeAll.
  void Wait(const std::string& key);
  void WakeAll();
  bool empty() const { return queues_.empty(); }

 private:
  struct Queue {
    std::map<std::string, bool> items;  // key -> waits
    std::string last;                   // key that had the last turn
  };
  state::Cache* cache_;
  std::map<uint32_t, Queue> queues_;  // by tenant
  uint32_t last_tenant_ = 0;
  bool any_waits_ = false;
};

}  // namespace maily::task

namespace maily {
template <>
inline TypeNumber TypeNumberOf<task::WorkItem>() {
  return 11;
}
}  // namespace maily
