// See story.h: the log.
#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <random>

#include "streams/adapters/rocks/options_internal.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "tests/power/story.h"

namespace maily::power {
namespace {

constexpr uint16_t kPartitions = 3;
constexpr size_t kAppends = 250;
constexpr size_t kUnderWay = 16;
constexpr size_t kMemtableBytes = 64 << 10;

class CountingClock : public Clock {
 public:
  Instant Now() override { return {now_us_ += 1'000}; }
  Duration Steady() override { return {now_us_}; }

 private:
  std::atomic<int64_t> now_us_ = 1'700'000'000'000'000;
};

LogSettings Wanted() {
  LogSettings wanted;
  wanted.log_id.bytes.fill(7);
  wanted.partition_count = kPartitions;
  return wanted;
}

// Record number `i` of a story: known by its bytes.
std::string RecordOf(uint64_t seed, size_t i) {
  std::minstd_rand random(static_cast<uint32_t>(seed * 1'000'003 + i));
  std::string record = fmt::format("{}:", i);
  const size_t size = random() % 8 == 0 ? random() % 20'000 : random() % 300;
  for (size_t j = 0; j < size; ++j) record.push_back(static_cast<char>(random()));
  return record;
}

struct Written {
  TopicPartition at;
  Offset offset;
  size_t acknowledged_at = SIZE_MAX;  // operations of the disk by then
};
struct Trimmed {
  TopicPartition at;
  Offset before;
  size_t asked_at;  // operations of the disk by then
};

class LogStory : public Story {
 public:
  LogStory(std::string path, uint64_t seed) : path_(std::move(path)), seed_(seed) {}
  void Record();
  std::string Check(size_t ops, const DiskImage& image) const override;

 private:
  const std::string path_;
  const uint64_t seed_;
  std::vector<Written> records_;
  std::vector<Trimmed> trims_;
};

rocks::Limits SmallLimits() {
  rocks::Limits limits;
  limits.block_cache_bytes = 1 << 20;
  limits.log_memtable_bytes = kMemtableBytes;
  return limits;
}

// A log on a disk in memory.
class Machine {
 public:
  Machine(const std::string& path, const DiskImage& image)
      : disk_(std::make_shared<MemoryDisk>(image)),
        env_(rocksdb::NewCompositeEnv(disk_)),
        resources_(std::make_unique<rocks::Resources::Impl>(SmallLimits(), env_.get())),
        opened_(rocks::RocksLog::Open(path, Wanted(), resources_, clock_)) {}

  MemoryDisk& disk() { return *disk_; }
  const Error* error() const { return opened_ ? nullptr : &opened_.error(); }
  Log& log() { return **opened_; }
  void Close() { opened_ = Fail(Code::kFatal, "closed"); }

 private:
  CountingClock clock_;
  const std::shared_ptr<MemoryDisk> disk_;
  const std::unique_ptr<rocksdb::Env> env_;
  const rocks::Resources resources_;
  Result<std::unique_ptr<Log>> opened_;
};

void LogStory::Record() {
  std::minstd_rand random(static_cast<uint32_t>(seed_));
  Machine machine(path_, {});
  MAILY_CHECK(machine.error() == nullptr, "{}", machine.error()->ToString());
  std::mutex mutex;
  std::condition_variable changed;
  size_t under_way = 0;
  records_.resize(kAppends);
  for (size_t i = 0; i < kAppends; ++i) {
    Written& written = records_[i];
    written.at = {random() % 2 == 0 ? Topic::kCommands : Topic::kJournal, PartitionId(static_cast<uint16_t>(random() % kPartitions))};
    {
      std::unique_lock lock(mutex);
      const size_t most = random() % 5 == 0 ? 0 : kUnderWay;  // now and then all must be there
      changed.wait(lock, [&] { return under_way <= most; });
      ++under_way;
    }
    machine.log().Append(written.at, RecordOf(seed_, i), random() % 3 == 0 ? Sync::kSoon : Sync::kNow, [&, i](Result<Appended> done) {
      MAILY_CHECK(done.has_value() && done->offset, "a record is not appended: {}", done ? "no offset" : done.error().ToString());
      const size_t ops = machine.disk().op_count();
      const std::lock_guard lock(mutex);
      records_[i].offset = *done->offset;
      records_[i].acknowledged_at = ops;
      --under_way;
      changed.notify_all();
    });
    if (random() % 40 != 0) continue;
    const TopicPartition at{Topic::kCommands, PartitionId(static_cast<uint16_t>(random() % kPartitions))};
    const LogEnds ends = machine.log().Ends(at);
    if (ends.durable <= ends.begin) continue;
    const Offset before(ends.begin.value() + 1 + random() % (ends.durable.value() - ends.begin.value()));
    trims_.push_back({at, before, machine.disk().op_count()});
    MAILY_CHECK(machine.log().Trim(at, before), "a trim failed");
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return under_way == 0; });
  }
  machine.Close();
  ops_ = machine.disk().TakeOps();
  MAILY_CHECK(std::ranges::any_of(ops_, [](const DiskOp& op) { return op.kind == DiskOp::Kind::kWrite; }),
              "no write-ahead file was laid out: the story is too short for it");
}

std::string LogStory::Check(size_t ops, const DiskImage& image) const {
  Machine machine(path_, image);
  if (machine.error() != nullptr) return "it does not open: " + machine.error()->ToString();
  Log& log = machine.log();
  std::vector<bool> there(records_.size());
  std::map<std::pair<Topic, uint16_t>, Offset> begins;
  for (const Topic topic : {Topic::kCommands, Topic::kJournal}) {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      const TopicPartition at{topic, PartitionId(p)};
      const LogEnds ends = log.Ends(at);
      begins[{topic, p}] = ends.begin;
      for (Offset next = ends.begin; next < ends.durable;) {
        const auto read = log.Read(at, next, 1 << 20, ReadTo::kDurable);
        if (!read) return "it cannot be read: " + read.error().ToString();
        if (read->empty()) return "it ends before its end";
        for (const LogRecord& record : *read) {
          const size_t i = std::strtoull(record.bytes.c_str(), nullptr, 10);
          if (i >= records_.size() || record.bytes != RecordOf(seed_, i))
            return fmt::format("a record at {} has other bytes", record.offset.value());
          const Written& written = records_[i];
          if (written.at.topic != topic || written.at.partition != at.partition || written.offset != record.offset || there[i]) {
            return fmt::format("record {} is in another place", i);
          }
          there[i] = true;
          next = record.offset.Next();
        }
      }
    }
  }
  size_t last = 0;  // one past the youngest that is there
  for (size_t i = 0; i < there.size(); ++i) {
    if (there[i]) last = i + 1;
  }
  for (size_t i = 0; i < there.size(); ++i) {
    const Written& written = records_[i];
    if (there[i]) continue;
    const Offset begin = begins[{written.at.topic, written.at.partition.value()}];
    if (written.offset < begin) {
      const bool asked = std::ranges::any_of(trims_, [&](const Trimmed& trimmed) {
        return trimmed.at.topic == written.at.topic && trimmed.at.partition == written.at.partition && trimmed.asked_at <= ops &&
               written.offset < trimmed.before;
      });
      if (!asked) return fmt::format("record {} was trimmed by nobody", i);
      continue;
    }
    if (written.acknowledged_at <= ops) return fmt::format("record {} was acknowledged and is lost", i);
    if (i < last) return fmt::format("record {} is lost, and record {} behind it is there", i, last - 1);
  }
  std::promise<bool> appended;
  log.Append({Topic::kJournal, PartitionId(0)}, "more", Sync::kNow,
             [&](const Result<Appended>& done) { appended.set_value(done.has_value()); });
  return appended.get_future().get() ? std::string() : "it takes no append any more";
}

}  // namespace

std::unique_ptr<Story> RecordLog(const std::string& directory, uint64_t seed) {
  auto story = std::make_unique<LogStory>(directory, seed);
  story->Record();
  return story;
}

}  // namespace maily::power
