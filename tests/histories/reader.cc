// See reader.h.
#include "tests/histories/reader.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "tests/histories/record_bytes.h"

namespace maily::histories {
namespace {

constexpr uint64_t kSeekOnceIn = 1'000;  // polls
constexpr uint64_t kTrimOnceIn = 300;    // polls of commands
constexpr uint64_t kBackMax = 2'000;     // records
constexpr size_t kFinalBytes = 1 << 20;
constexpr std::chrono::milliseconds kTailPatience{100};
constexpr std::chrono::milliseconds kFailurePatience{20};
constexpr int kEndFailuresMax = 1'000;    // turns that fail when nothing is appended any more: at least 20 s
constexpr int kFinalFailuresMax = 3'000;  // in a row: about a minute

size_t PortionOf(std::minstd_rand& random) {
  const uint64_t dice = random() % 20;
  return dice == 0 ? 1 : dice < 5 ? 4 << 10 : 64 << 10;
}

}  // namespace

uint64_t AddPoll(TrackWriter& track, uint8_t partition, uint64_t from, const std::vector<LogRecord>& records) {
  track.Add(Event::Of(Kind::kPolled, from, partition, records.size()));
  for (const LogRecord& record : records) {
    bool sound = false;
    const uint64_t value = ValueIn(record.bytes, sound);
    track.Add(Event::Of(Kind::kRecord, value, sound ? 0 : 1, record.offset.value()));
  }
  return records.back().offset.value() + 1;
}

Reader::Reader(Session& session, uint16_t number)
    : session_(session),
      number_(number),
      to_(number + 1 == kReaders ? ReadTo::kWritten : ReadTo::kDurable),
      random_(session.Random(100 + number)),
      track_(session.Track(fmt::format("reader{}", number), to_ == ReadTo::kDurable ? Role::kDurable : Role::kWritten, number)) {}

void Reader::Finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  wake_.notify_one();
}

void Reader::Wait(bool after_failure) {
  std::unique_lock lock(mutex_);
  if (after_failure) {
    wake_.wait_for(lock, kFailurePatience, [this] { return finishing_; });
  } else {
    wake_.wait_for(lock, kTailPatience, [this] { return moved_ || finishing_; });
  }
  moved_ = false;
}

// Where the reader of an earlier life was. What is written and not durable may be gone since: that reader begins before the durable end.
void Reader::Start(uint8_t partition) {
  const LogEnds ends = session_.log.Ends(At(partition));
  const uint64_t stored = session_.progress->positions_plus_one[number_][partition];
  if (to_ == ReadTo::kDurable) return Seek(partition, stored == 0 ? ends.begin.value() : stored - 1);
  Seek(partition, std::max(ends.begin.value(), ends.durable.value() - std::min(ends.durable.value(), random_() % kBackMax)));
}

void Reader::Seek(uint8_t partition, uint64_t to) {
  positions_[partition] = to;
  track_->Add(Event::Of(Kind::kSeek, to, partition, 0));
}

void Reader::SeekBack(uint8_t partition) {
  const uint64_t begin = session_.log.Ends(At(partition)).begin.value();
  if (positions_[partition] <= begin) return;
  Seek(partition, positions_[partition] - std::min(positions_[partition] - begin, 1 + random_() % kBackMax));
}

void Reader::Trim(uint8_t partition) {
  const uint64_t begin = session_.log.Ends(At(partition)).begin.value();
  if (positions_[partition] <= begin) return;
  const uint64_t before = begin + random_() % (positions_[partition] - begin);
  track_->Add(Event::Of(Kind::kTrimming, before, partition, 0));
  if (const auto trimmed = session_.log.Trim(At(partition), Offset(before)); !trimmed) Fail(partition, trimmed.error());
}

void Reader::Fail(uint8_t partition, const Error& error) {
  track_->Add(Event::Of(Kind::kFailed, positions_[partition], partition, static_cast<uint64_t>(error.code)));
  failed_ = true;
  if (error.code == Code::kNotFound) Seek(partition, session_.log.Ends(At(partition)).begin.value());
}

bool Reader::Poll(uint8_t partition) {
  const uint64_t from = positions_[partition];
  const uint64_t acknowledged = session_.acknowledged[partition];
  const auto records = session_.log.Read(At(partition), Offset(from), PortionOf(random_), to_);
  if (!records) {
    Fail(partition, records.error());
    return false;
  }
  if (records->empty()) {
    track_->Add(Event::Of(Kind::kEmpty, from, partition, acknowledged));
    return false;
  }
  positions_[partition] = AddPoll(*track_, partition, from, *records);
  session_.progress->positions_plus_one[number_][partition] = positions_[partition] + 1;
  ++session_.progress->polls;
  if (random_() % kSeekOnceIn == 0) SeekBack(partition);
  if (number_ == 0 && At(partition).topic == Topic::kCommands && random_() % kTrimOnceIn == 0) Trim(partition);
  return true;
}

void Reader::Run() {
  std::vector<std::unique_ptr<TailWatch>> watches;
  for (uint8_t p = 0; p < kPartitions; ++p) {
    Start(p);
    watches.push_back(session_.log.WatchTail(At(p), to_, [this] {
      {
        const std::lock_guard lock(mutex_);
        moved_ = true;
      }
      wake_.notify_one();
    }));
  }
  for (int failures = 0;;) {
    bool finishing = false;
    {
      const std::lock_guard lock(mutex_);
      finishing = finishing_;
    }
    bool more = false;
    failed_ = false;
    for (uint8_t p = 0; p < kPartitions; ++p) more |= Poll(p);
    if (more) continue;
    if (finishing && !failed_) return;
    if (finishing) {
      if (++failures == kEndFailuresMax) return;      // the final read will tell what is missing
      std::this_thread::sleep_for(kFailurePatience);  // the log asks for patience
    } else {
      Wait(failed_);
    }
  }
}

bool ReadAll(Session& session, const std::array<uint64_t, kPartitions>& last) {
  const auto track = session.Track("final", Role::kFinal, 0);
  for (uint8_t p = 0; p < kPartitions; ++p) {
    uint64_t next = 0;
    const auto begin = [&] {
      next = session.log.Ends(At(p)).begin.value();
      track->Add(Event::Of(Kind::kBegins, next, p, 0));
    };
    begin();
    bool began = false;
    for (int failures = 0; next <= last[p];) {
      const auto records = session.log.Read(At(p), Offset(next), kFinalBytes, ReadTo::kDurable);
      if (records && !records->empty()) {
        next = AddPoll(*track, p, next, *records);
        failures = 0;
        began = true;
        continue;
      }
      if (!records && !began && records.error().code == Code::kNotFound) begin();  // a broker may hear late of a trim
      if (!records) track->Add(Event::Of(Kind::kFailed, next, p, static_cast<uint64_t>(records.error().code)));
      if (++failures == kFinalFailuresMax) {
        fmt::print(stderr, "the final read stands at {} of partition {}: {}\n", next, p, records ? "empty" : records.error().ToString());
        return false;
      }
      std::this_thread::sleep_for(kFailurePatience);  // the log asks for patience
    }
  }
  return true;
}

}  // namespace maily::histories
