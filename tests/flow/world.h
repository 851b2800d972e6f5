// The partitions of one Maily without log, network or clock: the real engine of each, and links between them. Drives flow tests.
#pragma once

#include <google/protobuf/message.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/state/map_kv.h"
#include "streams/task/decide.h"

namespace maily::flow {

// An event that was decided, in the order of all partitions.
struct Seen {
  PartitionId partition;
  TypeNumber type = 0;
  std::string payload;
};

// A frame of a partition's journal: encoded decisions of one time.
struct Frame {
  std::string body;
  Instant time;
  uint64_t count = 0;
};

struct Answered {
  journal::Outcome outcome = journal::Outcome::kDone;
  std::string answer;
};

// One thread.
class World {
 public:
  // `flushes`: every step ends with a flush of all that is dirty, so that the next one reads from the store.
  World(const task::Pipeline& pipeline, uint16_t partition_count, bool flushes);

  uint16_t partition_count() const { return static_cast<uint16_t>(partitions_.size()); }
  Instant now() const { return now_; }
  TenantId tenant() const { return tenant_; }
  void UseTenant(TenantId tenant) { tenant_ = tenant; }

  // Where a command of this message goes: by its contact key, its site, the list of tenants, or the tenant's home.
  PartitionId PartitionFor(const google::protobuf::Message& message) const;
  // `key`: that it is routed by; it goes on if its contact lives in another partition.
  Answered Command(PartitionId partition, TypeNumber type, std::string_view payload, Instant occurred_at, std::string_view key = {});
  // Grants credits of the tenant at the relay, or of a recipient domain, in every partition; and as many for messages.
  void Grant(uint32_t credits, const std::optional<std::string>& domain = std::nullopt);
  // Delivers what links carry and cuts slices, until nothing more happens.
  void Run();
  // Delivers what the links of one partition carry now, and no more: others are behind. False: nothing.
  bool RunLinksOf(PartitionId from) { return Deliver(from); }
  // Lets time pass, firing timers when they are due.
  void Advance(Duration duration);
  // Lets time pass in which nobody leads anything: what was due is fired by the next Advance.
  void Outage(Duration duration) { now_ = now_ + duration; }
  // Timers that are armed, of all partitions.
  size_t Timers() const;
  // Every partition starts again from nothing but its journal.
  void Restart();
  // What each partition has in its journal; and journals of another world, which Restart folds.
  const std::vector<std::vector<Frame>>& journals() const { return journals_; }
  void UseJournals(std::vector<std::vector<Frame>> journals);
  // Restores every partition aside and compares digests; gives what differs, or nothing.
  std::string CheckRestore();

  std::vector<Seen> TakeSeen();
  // The bytes of an entry of a partition's state as they would be stored; none = absent.
  std::optional<std::string> Stored(PartitionId partition, const std::string& kv_key);
  // Sum over partitions of their state's digest.
  Hash128 Digest();

 private:
  struct Partition {
    Partition(const task::Pipeline& pipeline, PartitionId id, uint16_t count);
    state::Disk disk;
    state::MapKv kv{disk};
    state::Cache cache{kv, size_t{16} << 20};
    task::Credits credits;
    task::Engine engine;
    std::map<uint16_t, uint64_t> sent;      // by destination: what links have brought there
    std::map<uint16_t, uint64_t> released;  // and may bring
  };

  journal::FrameDraft Draft() const;
  void Keep(PartitionId partition, const journal::FrameDraft& draft);
  bool Deliver(PartitionId from);
  void Flush();
  std::unique_ptr<Partition> Restored(PartitionId partition) const;

  const task::Pipeline& pipeline_;
  const bool flushes_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  std::vector<std::vector<Frame>> journals_;
  std::vector<Seen> seen_;
  TenantId tenant_{1};
  Instant now_{1'700'000'000'000'000};
  uint64_t commands_ = 0;
};

}  // namespace maily::flow
