// See lanes.h.
#include "api/import/lanes.h"

#include <algorithm>

#include "schemas/keys.h"
#include "schemas/types.h"

namespace maily::import {
namespace {

using gateway::Outcome;
using gateway::Verdict;

constexpr int kChunkRows = 31;                // more are refused (contacts::kNotedRowsMax)
constexpr size_t kChunkBytesMax = 48 * 1024;  // unless one row alone is larger; a command has at most 64 KiB
constexpr Duration kChunkTimeout = Seconds(20);
constexpr Duration kResendPause = Milliseconds(100);

}  // namespace

void Lanes::Add(const Row& row, contacts::v1::UpsertContact& command) {
  Lane& lane = lanes_[schema::PartitionOfContact(command.contact_key(), gateway_.log().partition_count)];
  const size_t bytes = command.ByteSizeLong();
  if (lane.filling.rows_size() == kChunkRows || (lane.bytes > 0 && lane.bytes + bytes > kChunkBytesMax)) Close(lane);
  if (row.repeat) lane.filling.add_repeats(static_cast<uint32_t>(lane.filling.rows_size()));
  lane.filling.add_rows()->Swap(&command);
  lane.rows.push_back(row);
  lane.bytes += bytes;
}

void Lanes::Close(Lane& lane) {
  if (lane.rows.empty()) return;
  Chunk& chunk = lane.ready.emplace_back();
  chunk.sequence = ++lane.last_sequence;
  chunk.rows = std::exchange(lane.rows, {});
  lane.filling.set_import_id(import_id_);
  lane.filling.SerializeToString(&chunk.payload);
  lane.filling.Clear();
  lane.bytes = 0;
}

void Lanes::CloseAll() {
  for (auto& [partition, lane] : lanes_) Close(lane);
}

void Lanes::Send() {
  for (auto& [partition, lane] : lanes_) {
    for (size_t i = 0; i < lane.ready.size(); ++i) {
      if (!lane.again.empty()) {  // order counts: behind those that are sent again
        lane.again.push_back(std::move(lane.ready[i]));
      } else {
        SendOne(partition, lane, std::move(lane.ready[i]), i + 1 < lane.ready.size() ? command::More::kFollows : command::More::kNone);
      }
    }
    lane.ready.clear();
  }
}

bool Lanes::waiting() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return !lane.second.again.empty(); });
}

void Lanes::SendOne(PartitionId partition, Lane& lane, Chunk chunk, command::More more) {
  gateway::Order order;
  order.more = more;
  order.type = TypeNumberOf<contacts::v1::ImportRows>();
  order.payload = chunk.payload;
  order.partition = partition;
  order.natural_key = stream_;
  order.sequence = chunk.sequence;
  ++lane.in_flight;
  rows_in_flight_ += chunk.rows.size();
  gateway_.SubmitOn(bulk_, asker_, order, kChunkTimeout,
                    [this, keep = owner_.Keep(), partition, chunk = std::move(chunk)](const Verdict& verdict) mutable {
                      Returned(partition, std::move(chunk), verdict);
                    });
}

void Lanes::Returned(PartitionId partition, Chunk chunk, const Verdict& verdict) {
  Lane& lane = lanes_[partition];
  --lane.in_flight;
  rows_in_flight_ -= chunk.rows.size();
  const bool again =
      verdict.kind != Verdict::Kind::kDecided || verdict.outcome == Outcome::kOutOfOrder || verdict.outcome == Outcome::kRetryLater;
  if (again) {
    if (verdict.kind != Verdict::Kind::kDecided) last_trouble_ = verdict.answer.empty() ? "not decided in time" : verdict.answer;
    const auto place = std::ranges::lower_bound(lane.again, chunk.sequence, {}, &Chunk::sequence);
    lane.again.insert(place, std::move(chunk));
  } else {
    owner_.Decided(chunk, verdict);
  }
  if (!lane.again.empty() && lane.in_flight == 0) SendAgain(partition, lane);
  owner_.Step();
}

// Some of a partition were not accepted: all that followed were out of order. When the last of them is back, they go again, in order.
void Lanes::SendAgain(PartitionId partition, Lane& lane) {
  if (lane.pausing) return;
  if (!owner_.GoOn()) return lane.again.clear();
  lane.pausing = true;
  bulk_.After(kResendPause, [this, keep = owner_.Keep(), partition] {
    Lane& waiting = lanes_[partition];
    waiting.pausing = false;
    std::deque<Chunk> chunks = std::exchange(waiting.again, {});
    while (!chunks.empty()) {
      SendOne(partition, waiting, std::move(chunks.front()), chunks.size() > 1 ? command::More::kFollows : command::More::kNone);
      chunks.pop_front();
    }
    owner_.Step();
  });
}

}  // namespace maily::import
