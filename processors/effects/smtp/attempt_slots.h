// What a restart may still know of an attempt: how far it had come when the process died, in slots that outlive kill -9.
//
//   not opened ──Open──▶ begun ──DotSent──▶ dot sent ──Replied──▶ replied ──Free──▶ free
//                          └──────────────Replied──────────────────▲
//
// A slot is freed only once the command that reports the result is durable, so an attempt without a slot either never began or its result
// is in the log ahead of whatever is appended later. Every attempt says whose slots it belongs to (opener). What an open one comes to:
//   opened here: no slot, or begun = never sent · dot sent = unknown · replied = that result
//   opened here, and its slot is damaged: as if the dot was sent, unless a result stands there
//   opened elsewhere: these slots say nothing. That is another process; or this one before the machine booted again, or before the slots
//   were copied or lost, for then they go by another opener
//
// Layout [format]: slot 0 holds {'I', boot, place, opener}, those up to partition_count nothing, the others {'A', boot, attempt, epoch,
// stage, result}. boot and place are XXH3_64 of what the Slots say; under another boot or place the slots begin empty, with a new opener.
// Thread: any.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "streams/base/ids.h"
#include "streams/port/env.h"
#include "streams/port/slots.h"

namespace maily::smtp {

// One attempt of one send.
struct AttemptKey {
  TenantId tenant;
  PartitionId partition;
  uint64_t campaign_id = 0;
  uint64_t ordinal = 0;
  uint32_t attempt = 0;
  auto operator<=>(const AttemptKey&) const = default;
};

// The part of a result that fits a slot; the reply's text does not.
struct SlotResult {
  uint8_t result = 0;  // sends.v1.AttemptResult
  uint16_t code = 0;
  uint8_t stage = 0;  // smtp::Stage
  std::string enhanced;
  bool operator==(const SlotResult&) const = default;
};

class AttemptSlots {
 public:
  // Reads all slots. `slots` has more than partition_count; each of the rest carries one attempt. `entropy`: for a new opener.
  AttemptSlots(Slots& slots, uint16_t partition_count, Entropy& entropy);

  // What attempts opened by this process carry; never 0.
  uint64_t opener() const { return opener_; }

  // --- an attempt made by this process ---
  // None: every slot is taken, wait until one is freed. The attempt is under way until Free.
  std::optional<size_t> Open(const AttemptKey& key, Epoch epoch);
  void DotSent(size_t slot);
  void Replied(size_t slot, const SlotResult& result);
  void Free(size_t slot);

  // --- what is open in the state ---
  enum class Last { kNeverSent, kUnknown, kReplied, kUnderWay, kElsewhere };
  struct Found {
    Last last = Last::kNeverSent;
    SlotResult result;  // kReplied
  };
  // Of an attempt that carries `opener`. kUnderWay: this very process is at it, or about to report it. kElsewhere: only its opener knows.
  Found Find(const AttemptKey& key, uint64_t opener) const;
  // Frees what an earlier process left of this partition, but for `open`.
  void ForgetLeftovers(PartitionId partition, const std::set<AttemptKey>& open);
  // Frees what an earlier process left of this attempt: its result is durable.
  void ForgetLeftover(const AttemptKey& key);

  size_t free_count() const;

 private:
  enum class Stage : uint8_t { kBegun = 1, kDotSent = 2, kReplied = 3 };
  struct Entry {
    AttemptKey key;
    Epoch epoch;
    Stage stage = Stage::kBegun;
    SlotResult result;
    bool ours = true;  // opened by this process
  };
  void Write(size_t slot, const Entry& entry);
  std::optional<Entry> Parse(std::string_view bytes) const;
  void FreeLocked(size_t slot);

  Slots& slots_;
  const uint16_t partition_count_;
  const uint64_t boot_;
  uint64_t opener_ = 0;  // constant after construction

  mutable std::mutex mutex_;                   // guards all below, and the order of writes
  std::vector<std::optional<Entry>> entries_;  // by slot - partition_count_
  std::map<AttemptKey, size_t> by_key_;
  std::vector<size_t> free_;
};

}  // namespace maily::smtp
