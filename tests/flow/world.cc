// See world.h.
#include "tests/flow/world.h"

#include <google/protobuf/descriptor.h>

#include "schemas/keys.h"
#include "schemas/types.h"

namespace maily::flow {
namespace {

journal::AcceptedFrame Decoded(const std::string& body, Instant time, uint64_t first_lsn) {
  journal::AcceptedFrame frame;
  frame.time = time;
  frame.first_lsn = Lsn(first_lsn);
  frame.body = body;
  std::vector<std::pair<size_t, size_t>> spans;
  Cursor cursor(frame.body);
  while (!cursor.AtEnd()) {
    auto decoded = journal::DecodeDecision(cursor, frame.events);
    MAILY_CHECK(decoded.has_value(), "{}", decoded.error().ToString());
    frame.decisions.push_back(decoded->decision);
    spans.emplace_back(decoded->first, decoded->count);
  }
  for (size_t i = 0; i < spans.size(); ++i) frame.decisions[i].events = std::span(frame.events).subspan(spans[i].first, spans[i].second);
  return frame;
}

}  // namespace

World::Partition::Partition(const task::Pipeline& pipeline, PartitionId id, uint16_t count)
    : engine(pipeline, cache, {.partition = id, .partition_count = count, .build = "flow", .credits = &credits}) {}

World::World(const task::Pipeline& pipeline, uint16_t partition_count, bool flushes)
    : pipeline_(pipeline), flushes_(flushes), journals_(partition_count) {
  for (uint16_t i = 0; i < partition_count; ++i)
    partitions_.push_back(std::make_unique<Partition>(pipeline, PartitionId(i), partition_count));
}

PartitionId World::PartitionFor(const google::protobuf::Message& message) const {
  const auto* descriptor = message.GetDescriptor();
  if (const auto* field = descriptor->FindFieldByName("contact_key")) {
    return schema::PartitionOfContact(message.GetReflection()->GetString(message, field), partition_count());
  }
  if (const auto* field = descriptor->FindFieldByName("site"); field != nullptr && descriptor->full_name().starts_with("maily.sites.")) {
    return PartitionOf(schema::SiteKey(message.GetReflection()->GetString(message, field)), partition_count());
  }
  if (descriptor->name() == "CreateTenant") return PartitionOf(schema::kTenantsKey, partition_count());
  return schema::HomeOf(tenant_, partition_count());
}

journal::FrameDraft World::Draft() const {
  journal::FrameDraft draft;
  draft.SetTime(now_);
  return draft;
}

void World::Keep(PartitionId partition, const journal::FrameDraft& draft) {
  Partition& p = *partitions_[partition.value()];
  for (const auto& [to, number] : p.engine.TakeOutboxMarks()) p.released[to.value()] = std::max(p.released[to.value()], number);
  MAILY_CHECK(p.cache.error() == nullptr, "{}", p.cache.error()->ToString());
  if (draft.empty()) return;
  const journal::AcceptedFrame frame = Decoded(draft.body(), draft.time(), 1);
  for (const journal::Event& event : frame.events) seen_.push_back({partition, event.type, std::string(event.payload)});
  journals_[partition.value()].push_back({draft.body(), draft.time(), draft.count()});
}

Answered World::Command(PartitionId partition, TypeNumber type, std::string_view payload, Instant occurred_at, std::string_view key) {
  Partition& p = *partitions_[partition.value()];
  command::Received received;
  const std::string id = fmt::format("{:016}", ++commands_);
  received.command.id = CommandId::From(id);
  received.command.type = type;
  received.command.tenant = tenant_;
  received.command.key = key;
  received.command.actor = "flow";
  received.command.occurred_at = occurred_at;
  received.command.payload = payload;
  received.at = {partition, 1, Offset(commands_), 0};
  received.time = now_;
  auto draft = Draft();
  const auto decided = p.engine.Command(received, now_, draft);
  Answered answered{decided.outcome, std::string(decided.answer)};
  Keep(partition, draft);
  p.engine.work().WakeAll();
  Flush();
  return answered;
}

void World::Grant(uint32_t credits, const std::optional<std::string>& domain) {
  for (auto& partition : partitions_) {
    partition->credits.SetPerDomain(domain.has_value());
    const std::string key = domain ? *domain : schema::RelayCredits(tenant_);
    partition->credits.Grant(key, credits);
    partition->credits.Grant(schema::MessageCredits(key), credits);
    partition->engine.work().WakeAll();
  }
}

bool World::Deliver(PartitionId from) {
  Partition& source = *partitions_[from.value()];
  bool any = false;
  for (const auto& [to, upto] : std::map(source.released)) {
    std::vector<std::pair<uint64_t, link::OutboxItem>> items;
    source.engine.outbox().Read(PartitionId(to), source.sent[to], upto, SIZE_MAX,
                                [&](uint64_t number, const link::OutboxItem& item) { items.emplace_back(number, item); });
    for (const auto& [number, item] : items) {
      Partition& destination = *partitions_[to];
      const std::string name = link::LinkStream(from);
      command::Received received;
      const std::string id = fmt::format("{:016}", ++commands_);
      received.command.id = CommandId::From(id);
      received.command.type = item.type;
      received.command.tenant = item.tenant;
      received.command.natural_key = name;
      received.command.sequence = number;
      received.command.payload = item.payload;
      received.at = {PartitionId(to), 1, Offset(commands_), 0};
      received.time = now_;
      auto draft = Draft();
      const auto decided = destination.engine.Command(received, now_, draft);
      // What was forwarded may be refused, which is a dead letter; a step of a link may not.
      const bool forwarded = pipeline_.decider(item.type).forwarded;
      const bool rejected = decided.outcome == journal::Outcome::kRejected && !forwarded;
      MAILY_CHECK(decided.outcome != journal::Outcome::kOutOfOrder && !rejected, "link {} -> {}: {}", from.value(), to, decided.answer);
      Keep(PartitionId(to), draft);
      destination.engine.work().WakeAll();
      source.sent[to] = number;
      any = true;
    }
    if (items.empty()) continue;
    const std::string acked = link::LinkAcked{PartitionId(to), source.sent[to]}.Encode();
    const std::string id = fmt::format("{:016}", ++commands_);
    command::Received received;
    received.command.id = CommandId::From(id);
    received.command.type = link::kLinkAckCommand;
    received.command.payload = acked;
    received.at = {from, 1, Offset(commands_), 0};
    received.time = now_;
    auto draft = Draft();
    source.engine.Command(received, now_, draft);
    Keep(from, draft);
  }
  return any;
}

void World::Run() {
  for (bool any = true; any;) {
    any = false;
    for (uint16_t i = 0; i < partition_count(); ++i) {
      any = Deliver(PartitionId(i)) || any;
      auto draft = Draft();
      while (partitions_[i]->engine.Slice(now_, draft)) {
        any = true;
        Keep(PartitionId(i), draft);
        draft = Draft();
      }
      Keep(PartitionId(i), draft);
      any = any || !draft.empty();
      Flush();
    }
  }
}

void World::Advance(Duration duration) {
  const Instant end = now_ + duration;
  for (;;) {
    // The first timer of all partitions that is due until then; others wait for their own moment.
    Instant next = end;
    for (auto& partition : partitions_) {
      if (const auto due = partition->engine.timers().Next()) next = std::min(next, *due);
    }
    now_ = std::max(now_, next);
    bool any = false;
    for (uint16_t i = 0; i < partition_count(); ++i) {
      auto draft = Draft();
      any = partitions_[i]->engine.FireTimers(now_, 100, draft) > 0 || any;
      Keep(PartitionId(i), draft);
    }
    if (!any && now_ >= end) break;
  }
  Flush();
}

size_t World::Timers() const {
  size_t count = 0;
  for (const auto& partition : partitions_) {
    state::View<state::TimerEntry>(partition->cache).Scan({}, {}, [&](std::string_view, const state::TimerEntry&) {
      ++count;
      return true;
    });
  }
  return count;
}

void World::Flush() {
  if (!flushes_) return;
  for (auto& partition : partitions_) {
    partition->cache.Freeze();
    KvBatch batch;
    partition->cache.CollectFrozen(batch);
    partition->kv.Write(batch).value();
    partition->cache.Thaw(true);
  }
}

std::optional<std::string> World::Stored(PartitionId partition, const std::string& kv_key) {
  Partition& p = *partitions_[partition.value()];
  p.cache.Freeze();
  KvBatch dirty;
  p.cache.CollectFrozen(dirty);
  p.cache.Thaw(false);
  for (const KvBatch::Change& change : dirty.changes) {
    if (change.key == kv_key) return change.value ? std::optional<std::string>(*change.value) : std::nullopt;
  }
  return p.kv.Get(kv_key).value();
}

std::unique_ptr<World::Partition> World::Restored(PartitionId partition) const {
  auto restored = std::make_unique<Partition>(pipeline_, partition, partition_count());
  uint64_t lsn = 1;
  for (const Frame& frame : journals_[partition.value()]) {
    const auto folded = restored->engine.Restore(Decoded(frame.body, frame.time, lsn));
    MAILY_CHECK(folded.has_value(), "{}", folded.error().ToString());
    lsn += frame.count;
  }
  return restored;
}

void World::UseJournals(std::vector<std::vector<Frame>> journals) {
  MAILY_CHECK(journals.size() == journals_.size(), "journals of {} partitions for {}", journals.size(), journals_.size());
  journals_ = std::move(journals);
}

void World::Restart() {
  for (uint16_t i = 0; i < partition_count(); ++i) {
    auto restored = Restored(PartitionId(i));
    restored->sent = partitions_[i]->sent;
    restored->released = partitions_[i]->released;
    partitions_[i] = std::move(restored);
    partitions_[i]->engine.work().Load();
    partitions_[i]->engine.TakeOutboxMarks();
  }
}

std::string World::CheckRestore() {
  std::string differences;
  for (uint16_t i = 0; i < partition_count(); ++i) {
    const Hash128 lived = partitions_[i]->cache.Digest().value();
    const Hash128 restored = Restored(PartitionId(i))->cache.Digest().value();
    if (lived == restored) continue;
    differences +=
        fmt::format("partition {}: lived {:016x}{:016x}, restored {:016x}{:016x}; ", i, lived.high, lived.low, restored.high, restored.low);
  }
  return differences;
}

Hash128 World::Digest() {
  Hash128 sum;
  for (auto& partition : partitions_) {
    const Hash128 digest = partition->cache.Digest().value();
    sum.low ^= digest.low;
    sum.high ^= digest.high;
  }
  return sum;
}

std::vector<Seen> World::TakeSeen() { return std::exchange(seen_, {}); }

}  // namespace maily::flow
