// See receiver.h.
#include "streams/command/receiver.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace maily::command {
namespace {

constexpr size_t kReadBytes = 1 << 20;

}  // namespace

struct Receiver::Impl {
  Impl(Log& log_in, PartitionId partition, ReadTo to_in, const CommandAt* last_in)
      : log(log_in),
        at{Topic::kCommands, partition},
        to(to_in),
        generation(log_in.settings().generation),
        log_id(log_in.settings().log_id) {
    if (last_in == nullptr || last_in->generation < generation) {
      next = log.Ends(at).begin;
      return;
    }
    if (last_in->generation > generation) {
      error = Fail(Code::kDiverged, "commands {}: decided up to generation {}, the log has generation {}", partition.value(),
                   last_in->generation, generation);
      return;
    }
    // The record of `last` is read once more for the commands behind it, unless it is trimmed: then it was decided to its end.
    last = *last_in;
    next = last_in->offset;
    const LogEnds ends = log.Ends(at);
    if (ends.begin == last_in->offset.Next()) next = ends.begin;
    unseen = last_in->offset >= ends.written;
    if (unseen) Look();
  }

  // The journal told of the decision on `last` before this process knew that the commands reach so far. The log is asked whether they do.
  void Look() {
    const auto asked = log.Read(at, last->offset.Next(), 1, to);
    if (!asked && asked.error().code == Code::kRetry) return;
    unseen = false;
    if (!asked && asked.error().code == Code::kInvalid) {
      error = Fail(Code::kDiverged, "commands {}: decided up to offset {}, but the log ends before it: {}", at.partition.value(),
                   last->offset.value(), asked.error().message);
    }
  }

  // Makes the next command or unreadable record current. False: none now.
  bool Advance() {
    while (!error && !unreadable) {
      if (index < commands.size()) {
        received.command = commands[index];
        received.at.index = static_cast<uint32_t>(index);
        return true;
      }
      if (!OpenRecord()) return false;
    }
    return unreadable.has_value();
  }

  // Parses the next record; its commands up to `last` are passed over.
  bool OpenRecord() {
    commands.clear();
    index = 0;
    if (taken == records.size() && !Fetch()) return false;
    record = std::move(records[taken++]);
    next = record.offset.Next();
    received.at = {.partition = at.partition, .generation = generation, .offset = record.offset, .index = 0};
    received.time = record.time;
    const bool resumed = last && last->offset == record.offset;
    if (auto parsed = ParseRecordInto(commands, record.bytes, log_id, generation, at.partition); !parsed) {
      if (!resumed)
        unreadable = Unreadable{.at = received.at, .time = record.time, .why = parsed.error(), .bytes = std::move(record.bytes)};
    } else if (resumed) {
      index = last->index + size_t{1};
    }
    last.reset();
    return true;
  }

  bool Fetch() {
    records.clear();
    taken = 0;
    if (unseen) Look();
    if (unseen || error) return false;
    auto read = log.Read(at, next, kReadBytes, to);
    if (!read) {
      const Error& why = read.error();
      if (why.code == Code::kRetry) return false;
      if (why.code == Code::kNotFound) {
        error = Fail(Code::kNotFound, "commands {}: offset {} is trimmed away, but was not decided: {}", at.partition.value(), next.value(),
                     why.message);
      } else {
        error = why;
      }
      return false;
    }
    records = std::move(*read);
    return !records.empty();
  }

  Log& log;
  const TopicPartition at;
  const ReadTo to;
  const uint32_t generation;
  const LogId log_id;

  Offset next;                     // of the record after the current one
  std::optional<CommandAt> last;   // set until its record was passed
  bool unseen = false;             // `last` is beyond the end that this process knows
  std::vector<LogRecord> records;  // read ahead
  size_t taken = 0;
  LogRecord record;               // the current one
  std::vector<Command> commands;  // point into it
  size_t index = 0;
  Received received;
  std::optional<Unreadable> unreadable;
  std::optional<Error> error;
};

Receiver::Receiver(Log& log, PartitionId partition, ReadTo to, const CommandAt* last)
    : impl_(std::make_shared<Impl>(log, partition, to, last)) {}

const Received* Receiver::Peek() { return impl_->Advance() && !impl_->unreadable ? &impl_->received : nullptr; }

const Unreadable* Receiver::unreadable() const { return impl_->unreadable ? &*impl_->unreadable : nullptr; }

void Receiver::Pop() {
  if (impl_->unreadable) {
    impl_->unreadable.reset();
    return;
  }
  MAILY_CHECK(impl_->index < impl_->commands.size(), "Pop without a command");
  ++impl_->index;
}

std::span<const Command> Receiver::Upcoming(size_t max) const {
  const std::span<const Command> all(impl_->commands);
  return all.subspan(std::min(impl_->index, all.size())).first(std::min(max, all.size() - std::min(impl_->index, all.size())));
}

const Error* Receiver::error() const { return impl_->error ? &*impl_->error : nullptr; }
Offset Receiver::next_offset() const { return impl_->next; }

}  // namespace maily::command
