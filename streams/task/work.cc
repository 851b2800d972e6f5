// See work.h.
#include "streams/task/work.h"

#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::task {
namespace {

std::string ItemKey(TenantId tenant, WorkKind kind, std::string_view subject) {
  std::string key = state::Key(tenant);
  PutOrdered<uint16_t>(key, kind);
  key.append(subject);
  return key;
}

}  // namespace

void Work::Load() {
  queues_.clear();
  state::View<WorkItem>(*cache_).Scan({}, {}, [&](std::string_view key, const WorkItem&) {
    Cursor cursor(key);
    queues_[cursor.Ordered<uint32_t>()].items.emplace(key, false);
    return true;
  });
}

void Work::Add(TenantId tenant, WorkKind kind, std::string_view subject) {
  const std::string key = ItemKey(tenant, kind, subject);
  state::Table<WorkItem>(*cache_).Edit(key);
  queues_[tenant.value()].items.insert_or_assign(key, false);
}

void Work::Remove(TenantId tenant, WorkKind kind, std::string_view subject) {
  const std::string key = ItemKey(tenant, kind, subject);
  state::Table<WorkItem>(*cache_).Erase(key);
  const auto queue = queues_.find(tenant.value());
  if (queue == queues_.end()) return;
  queue->second.items.erase(key);
  if (queue->second.items.empty()) queues_.erase(queue);
}

std::optional<Work::Item> Work::Next() {
  // The first tenant after the last one, cyclically, that has an item which does not wait; in it, the first item after its last.
  auto tenant = queues_.upper_bound(last_tenant_);
  for (size_t i = 0; i < queues_.size(); ++i, ++tenant) {
    if (tenant == queues_.end()) tenant = queues_.begin();
    Queue& queue = tenant->second;
    auto item = queue.items.upper_bound(queue.last);
    for (size_t j = 0; j < queue.items.size(); ++j, ++item) {
      if (item == queue.items.end()) item = queue.items.begin();
      if (item->second) continue;
      last_tenant_ = tenant->first;
      queue.last = item->first;
      Cursor cursor(item->first);
      Item next;
      next.tenant = TenantId(cursor.Ordered<uint32_t>());
      next.kind = cursor.Ordered<uint16_t>();
      next.subject = cursor.rest();
      next.key = item->first;
      return next;
    }
  }
  return std::nullopt;
}

void Work::Wait(const std::string& key) {
  Cursor cursor(key);
  const auto queue = queues_.find(cursor.Ordered<uint32_t>());
  if (queue == queues_.end()) return;
  const auto item = queue->second.items.find(key);
  if (item != queue->second.items.end()) {
    item->second = true;
    any_waits_ = true;
  }
}

void Work::WakeAll() {
  if (!any_waits_) return;
  any_waits_ = false;
  for (auto& [tenant, queue] : queues_) {
    for (auto& [key, waits] : queue.items) waits = false;
  }
}

}  // namespace maily::task
