// See attempt_slots.h.
#include "processors/effects/smtp/attempt_slots.h"

#include <charconv>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/base/result.h"

namespace maily::smtp {
namespace {

constexpr uint8_t kIdentity = 'I';
constexpr uint8_t kAttempt = 'A';

// "5.1.10" as 1 + 2 + 2 bytes; zeros for none.
void PutEnhanced(std::string& out, std::string_view enhanced) {
  uint16_t parts[3] = {0, 0, 0};
  const char* at = enhanced.data();
  const char* const end = at + enhanced.size();
  for (uint16_t& part : parts) {
    at = std::from_chars(at, end, part).ptr;
    if (at < end && *at == '.') ++at;
  }
  PutFixed(out, static_cast<uint8_t>(parts[0]));
  PutFixed(out, parts[1]);
  PutFixed(out, parts[2]);
}
std::string TakeEnhanced(Cursor& cursor) {
  const auto first = cursor.Fixed<uint8_t>();
  const auto second = cursor.Fixed<uint16_t>();
  const auto third = cursor.Fixed<uint16_t>();
  return first == 0 ? "" : fmt::format("{}.{}.{}", first, second, third);
}

}  // namespace

AttemptSlots::AttemptSlots(Slots& slots, uint16_t partition_count, Entropy& entropy)
    : slots_(slots), partition_count_(partition_count), boot_(Xxh3_64(slots.boot_id())) {
  MAILY_CHECK(slots.count() > partition_count, "{} slots are too few for {} partitions", slots.count(), partition_count);
  const uint64_t place = Xxh3_64(slots.place());
  const std::string identity = slots.Read(0);
  Cursor cursor(identity);
  const bool ours = cursor.Fixed<uint8_t>() == kIdentity && cursor.Fixed<uint64_t>() == boot_ && cursor.Fixed<uint64_t>() == place;
  if (ours) opener_ = cursor.Fixed<uint64_t>();
  const bool known = ours && cursor.ok() && opener_ != 0;
  if (!known) {
    // Another boot, another place, or none yet: what stands here was written by others.
    for (size_t slot = 0; slot < slots.count(); ++slot) {
      if (!slots.Read(slot).empty()) slots.Write(slot, {});
    }
    while (opener_ == 0) opener_ = entropy.Next();
    std::string made;
    PutFixed(made, kIdentity);
    PutFixed(made, boot_);
    PutFixed(made, place);
    PutFixed(made, opener_);
    for (int copy = 0; copy < 2; ++copy) slots.Write(0, made);  // a slot keeps its last two writes: damage to one leaves the other
  }
  entries_.resize(slots.count() - partition_count);
  for (size_t slot = slots.count(); slot-- > partition_count;) {
    auto entry = Parse(slots.Read(slot));
    if (entry) {
      // What was written last may have been that the dot was sent.
      if (slots.Doubtful(slot) && entry->stage == Stage::kBegun) entry->stage = Stage::kDotSent;
      by_key_[entry->key] = slot;
      entries_[slot - partition_count] = std::move(entry);
    } else {
      free_.push_back(slot);
    }
  }
}

std::optional<AttemptSlots::Entry> AttemptSlots::Parse(std::string_view bytes) const {
  Cursor cursor(bytes);
  if (cursor.Fixed<uint8_t>() != kAttempt || cursor.Fixed<uint64_t>() != boot_) return std::nullopt;
  Entry entry;
  entry.ours = false;
  entry.key.tenant = TenantId(cursor.Fixed<uint32_t>());
  entry.key.partition = PartitionId(cursor.Fixed<uint16_t>());
  entry.key.campaign_id = cursor.Fixed<uint64_t>();
  entry.key.ordinal = cursor.Fixed<uint64_t>();
  entry.key.attempt = cursor.Fixed<uint32_t>();
  entry.epoch = Epoch(cursor.Fixed<uint64_t>());
  entry.stage = static_cast<Stage>(cursor.Fixed<uint8_t>());
  entry.result.result = cursor.Fixed<uint8_t>();
  entry.result.code = cursor.Fixed<uint16_t>();
  entry.result.stage = cursor.Fixed<uint8_t>();
  entry.result.enhanced = TakeEnhanced(cursor);
  if (!cursor.ok() || entry.stage < Stage::kBegun || entry.stage > Stage::kReplied) return std::nullopt;
  return entry;
}

void AttemptSlots::Write(size_t slot, const Entry& entry) {
  std::string bytes;
  bytes.reserve(Slots::kSlotBytesMax);
  PutFixed(bytes, kAttempt);
  PutFixed(bytes, boot_);
  PutFixed(bytes, entry.key.tenant.value());
  PutFixed(bytes, entry.key.partition.value());
  PutFixed(bytes, entry.key.campaign_id);
  PutFixed(bytes, entry.key.ordinal);
  PutFixed(bytes, entry.key.attempt);
  PutFixed(bytes, entry.epoch.value());
  PutFixed(bytes, static_cast<uint8_t>(entry.stage));
  PutFixed(bytes, entry.result.result);
  PutFixed(bytes, entry.result.code);
  PutFixed(bytes, entry.result.stage);
  PutEnhanced(bytes, entry.result.enhanced);
  slots_.Write(slot, bytes);
}

std::optional<size_t> AttemptSlots::Open(const AttemptKey& key, Epoch epoch) {
  const std::lock_guard lock(mutex_);
  MAILY_CHECK(!by_key_.contains(key), "attempt {} of send {}/{} is under way already", key.attempt, key.campaign_id, key.ordinal);
  if (free_.empty()) return std::nullopt;
  const size_t slot = free_.back();
  free_.pop_back();
  Entry& entry =
      entries_[slot - partition_count_].emplace(Entry{.key = key, .epoch = epoch, .stage = Stage::kBegun, .result = {}, .ours = true});
  by_key_[key] = slot;
  Write(slot, entry);
  return slot;
}

void AttemptSlots::DotSent(size_t slot) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[slot - partition_count_].value();
  MAILY_CHECK(entry.stage == Stage::kBegun, "a second final dot in one attempt");
  entry.stage = Stage::kDotSent;
  Write(slot, entry);
}

void AttemptSlots::Replied(size_t slot, const SlotResult& result) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[slot - partition_count_].value();
  entry.stage = Stage::kReplied;
  entry.result = result;
  Write(slot, entry);
}

void AttemptSlots::Free(size_t slot) {
  const std::lock_guard lock(mutex_);
  FreeLocked(slot);
}

void AttemptSlots::FreeLocked(size_t slot) {
  auto& entry = entries_[slot - partition_count_];
  MAILY_CHECK(entry.has_value(), "slot {} is free already", slot);
  by_key_.erase(entry->key);
  entry.reset();
  slots_.Write(slot, {});
  free_.push_back(slot);
}

AttemptSlots::Found AttemptSlots::Find(const AttemptKey& key, uint64_t opener) const {
  if (opener != opener_) return {.last = Last::kElsewhere, .result = {}};
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return {};
  const Entry& entry = *entries_[found->second - partition_count_];
  if (entry.ours) return {.last = Last::kUnderWay, .result = {}};
  switch (entry.stage) {
    case Stage::kBegun:
      return {};
    case Stage::kDotSent:
      return {.last = Last::kUnknown, .result = {}};
    case Stage::kReplied:
      return {.last = Last::kReplied, .result = entry.result};
  }
  return {.last = Last::kUnknown, .result = {}};
}

void AttemptSlots::ForgetLeftovers(PartitionId partition, const std::set<AttemptKey>& open) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i] || entries_[i]->ours || entries_[i]->key.partition != partition || open.contains(entries_[i]->key)) continue;
    FreeLocked(i + partition_count_);
  }
}

void AttemptSlots::ForgetLeftover(const AttemptKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end() && !entries_[found->second - partition_count_]->ours) FreeLocked(found->second);
}

size_t AttemptSlots::free_count() const {
  const std::lock_guard lock(mutex_);
  return free_.size();
}

}  // namespace maily::smtp
