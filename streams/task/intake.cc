// See intake.h.
#include "streams/task/intake.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::task {
namespace {

constexpr size_t kTurn = 256;  // taken of one source while the other one waits

// Null: nothing of this source was decided.
struct LastDecided {
  LastDecided(PartitionId partition, const journal::Position& from, uint16_t number) {
    const journal::SourcePosition* const source = from.Source(number);
    if (source != nullptr && source->any) at = CommandAt{partition, source->generation, source->offset, source->index};
  }
  const CommandAt* get() const { return at ? &*at : nullptr; }
  std::optional<CommandAt> at;
};

ReadTo Reach(const Log& log) { return log.ordered_across_partitions() ? ReadTo::kWritten : ReadTo::kDurable; }

}  // namespace

CommandId PlainCommandId(const std::string& topic, PartitionId partition, Offset offset) {
  std::string bytes;
  PutOrdered<uint64_t>(bytes, Xxh3_64(topic));
  bytes.resize(6);
  PutOrdered<uint16_t>(bytes, partition.value());
  PutOrdered<uint64_t>(bytes, offset.value());
  return CommandId::From(bytes);
}

struct Intake::Plain {
  // The next record becomes current. False: none now.
  bool Advance() {
    if (current || unreadable) return true;
    if (taken == records.size()) {
      auto read = reader->Next();
      records = {};
      taken = 0;
      if (!read) {
        if (read.error().code != Code::kRetry) error = read.error();
        return false;
      }
      records = *read;
      if (records.empty()) return false;
      now = clock.Now();
    }
    const PlainRecord& record = records[taken];
    received.at.offset = record.offset;
    // A producer's clock must not carry the journal into the future.
    received.time = std::min(record.time, now);
    if (record.key.size() + record.value.size() > command::kCommandBytesMax) {
      unreadable = command::Unreadable{.at = received.at,
                                       .time = received.time,
                                       .why = Fail(Code::kInvalid, "a record of {} bytes; a command has at most {}",
                                                   record.key.size() + record.value.size(), command::kCommandBytesMax),
                                       .bytes = std::string(record.value)};
      return true;
    }
    StoreOrdered(reinterpret_cast<char*>(received.command.id.bytes.data()) + 8, record.offset.value());
    received.command.key = record.key;
    received.command.payload = record.value;
    current = true;
    return true;
  }

  std::span<const command::Command> Upcoming(size_t max) {
    upcoming.clear();
    for (const PlainRecord& record : records.subspan(taken).first(std::min(max, records.size() - taken))) {
      upcoming.push_back(received.command);
      upcoming.back().key = record.key;
      upcoming.back().payload = record.value;
    }
    return upcoming;
  }

  Clock& clock;
  std::unique_ptr<InletReader> reader{};
  std::span<const PlainRecord> records{};
  size_t taken = 0;
  Instant now{};  // when records were fetched
  bool current = false;
  command::Received received{};
  std::vector<command::Command> upcoming{};
  std::optional<command::Unreadable> unreadable{};
  std::optional<Error> error{};
};

Intake::Intake(Log& log, PartitionId partition, const journal::Position& from)
    : receiver_(log, partition, Reach(log), LastDecided(partition, from, kCommandsSource).get()) {}
Intake::~Intake() = default;

Result<std::unique_ptr<Intake>> Intake::Open(Log& log, Clock& clock, PartitionId partition, const journal::Position& from,
                                             const PlainInlet& plain, std::function<void()> signal) {
  auto intake = std::unique_ptr<Intake>(new Intake(log, partition, from));
  if (plain.inlet == nullptr) return intake;
  if (plain.inlet->partition_count() != log.settings().partition_count) {
    return Fail(Code::kConflict, "topic {} has {} partitions, the log has {}: a task takes the partition of its own number",
                plain.inlet->topic(), plain.inlet->partition_count(), log.settings().partition_count);
  }
  const uint32_t generation = kInletGeneration | plain.generation;
  const LastDecided last(partition, from, kInletSource);
  std::optional<Offset> next;
  if (last.at && last.at->generation > generation) {
    return Fail(Code::kDiverged, "topic {}: decided up to generation {}, configured is {}", plain.inlet->topic(),
                last.at->generation & ~kInletGeneration, plain.generation);
  }
  if (last.at && last.at->generation == generation) next = last.at->offset.Next();
  intake->plain_ = std::make_unique<Plain>(Plain{.clock = clock});
  command::Received& received = intake->plain_->received;
  received.at.partition = partition;
  received.at.generation = generation;
  received.command.id = PlainCommandId(plain.inlet->topic(), partition, Offset());
  received.command.type = plain.type;
  received.command.tenant = plain.tenant;
  MAILY_TRY(intake->plain_->reader, plain.inlet->Open(partition, next, std::move(signal)));
  return intake;
}

const command::Received* Intake::Peek() {
  if (plain_ == nullptr) return receiver_.Peek();
  for (const bool plain : {from_plain_ != (in_a_row_ >= kTurn), from_plain_ == (in_a_row_ >= kTurn)}) {
    if (plain != from_plain_) in_a_row_ = 0;
    from_plain_ = plain;
    if (plain && plain_->Advance()) return plain_->unreadable ? nullptr : &plain_->received;
    if (plain) continue;
    const command::Received* const received = receiver_.Peek();
    if (received != nullptr || receiver_.unreadable() != nullptr || receiver_.error() != nullptr) return received;
  }
  return nullptr;
}

const command::Unreadable* Intake::unreadable() const {
  if (!from_plain_) return receiver_.unreadable();
  return plain_->unreadable ? &*plain_->unreadable : nullptr;
}

void Intake::Pop() {
  ++in_a_row_;
  if (!from_plain_) return receiver_.Pop();
  plain_->current = false;
  plain_->unreadable.reset();
  ++plain_->taken;
}

std::span<const command::Command> Intake::Upcoming(size_t max) { return from_plain_ ? plain_->Upcoming(max) : receiver_.Upcoming(max); }

const Error* Intake::error() const {
  if (receiver_.error() != nullptr || plain_ == nullptr) return receiver_.error();
  return plain_->error ? &*plain_->error : nullptr;
}

}  // namespace maily::task
