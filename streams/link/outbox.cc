// See outbox.h.
#include "streams/link/outbox.h"

namespace maily::link {
namespace {

std::string CursorKey(PartitionId destination) {
  std::string key;
  PutOrdered<uint16_t>(key, destination.value());
  return key;
}

std::string ItemKey(PartitionId destination, uint64_t number) {
  std::string key = CursorKey(destination);
  PutOrdered<uint64_t>(key, number);
  return key;
}

}  // namespace

void Outbox::Add(PartitionId destination, OutboxItem item) {
  OutboxCursor& cursor = state::Table<OutboxCursor>(*cache_).Edit(CursorKey(destination));
  const uint64_t number = ++cursor.last;
  state::Table<OutboxItem>(*cache_).Edit(ItemKey(destination, number)) = std::move(item);
}

void Outbox::Ack(const LinkAcked& acked) {
  OutboxCursor& cursor = state::Table<OutboxCursor>(*cache_).Edit(CursorKey(acked.destination));
  const uint64_t from = cursor.acked;
  const uint64_t upto = acked.upto < cursor.last ? acked.upto : cursor.last;
  if (upto <= from) return;
  cursor.acked = upto;
  state::Table<OutboxItem> items(*cache_);
  for (uint64_t number = from + 1; number <= upto; ++number) items.Erase(ItemKey(acked.destination, number));
}

OutboxCursor Outbox::At(PartitionId destination) const {
  const OutboxCursor* cursor = state::View<OutboxCursor>(*cache_).Find(CursorKey(destination));
  return cursor == nullptr ? OutboxCursor{} : *cursor;
}

void Outbox::Read(PartitionId destination, uint64_t after, uint64_t upto, size_t max,
                  const std::function<void(uint64_t, const OutboxItem&)>& visit) const {
  const state::View<OutboxItem> items(*cache_);
  for (uint64_t number = after + 1; number <= upto && max > 0; ++number, --max) {
    if (const OutboxItem* item = items.Find(ItemKey(destination, number))) visit(number, *item);
  }
}

}  // namespace maily::link
