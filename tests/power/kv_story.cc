// See story.h: a state store, and a keyring.
#include <fmt/format.h>
#include <rocksdb/env.h>

#include <map>
#include <random>

#include "streams/adapters/rocks/options_internal.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/base/hash.h"
#include "tests/power/story.h"

namespace maily::power {
namespace {

constexpr size_t kBatches = 120;
constexpr size_t kKeys = 400;
constexpr size_t kLargeBatch = 5'000;  // keys: more than what becomes a file of its own
constexpr const char* kName = "store";

// A store on a disk in memory.
class Machine {
 public:
  Machine(const std::string& path, KvDurability durability, const DiskImage& image)
      : disk_(std::make_shared<MemoryDisk>(image)),
        env_(rocksdb::NewCompositeEnv(disk_)),
        resources_(std::make_unique<rocks::Resources::Impl>(rocks::Limits{.block_cache_bytes = 1 << 20}, env_.get())),
        stores_(path, resources_),
        opened_(stores_.Open(kName, durability)) {}

  MemoryDisk& disk() { return *disk_; }
  const Error* error() const { return opened_ ? nullptr : &opened_.error(); }
  Kv& store() { return **opened_; }
  void Close() { opened_ = Fail(Code::kFatal, "closed"); }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const std::unique_ptr<rocksdb::Env> env_;
  const rocks::Resources resources_;
  rocks::RocksKvStores stores_;
  Result<std::unique_ptr<Kv>> opened_;
};

// Of all entries together, in any order.
class Sum {
 public:
  void Add(std::string_view key, std::string_view value) { sum_ += Of(key, value); }
  void Remove(std::string_view key, std::string_view value) { sum_ -= Of(key, value); }
  uint64_t value() const { return sum_; }

 private:
  static uint64_t Of(std::string_view key, std::string_view value) { return Xxh3_64Chain(Xxh3_64(key), value, key.size()); }
  uint64_t sum_ = 0;
};

class KvStory : public Story {
 public:
  KvStory(std::string path, KvDurability durability) : path_(std::move(path)), durability_(durability) {}

  void Record(uint64_t seed) {
    std::minstd_rand random(static_cast<uint32_t>(seed));
    Machine machine(path_, durability_, {});
    MAILY_CHECK(machine.error() == nullptr, "{}", machine.error()->ToString());
    std::map<std::string, std::string> entries;
    Sum sum;
    states_.push_back({sum.value()});
    const bool flushed_alone = durability_ == KvDurability::kOnFlush;
    for (size_t i = 1; i <= kBatches; ++i) {
      KvBatch batch;
      std::map<std::string, std::optional<std::string>> changes;
      const bool large = flushed_alone && random() % 40 == 0;
      const size_t count = large ? kLargeBatch : 1 + random() % 30;
      for (size_t c = 0; c < count; ++c) {
        const std::string key = fmt::format("k{:06}", large ? c : random() % kKeys);
        if (random() % 4 == 0) {
          changes[key] = std::nullopt;
        } else {
          changes[key] = fmt::format("{}/{}/{}", i, c, std::string(large ? 4 : random() % 200, 'v'));
        }
      }
      for (const auto& [key, value] : changes) {
        value ? batch.Put(key, *value) : batch.Delete(key);
        if (const auto old = entries.find(key); old != entries.end()) {
          sum.Remove(key, old->second);
          entries.erase(old);
        }
        if (!value) continue;
        sum.Add(key, *value);
        entries[key] = *value;
      }
      const auto written = machine.store().Write(batch);
      MAILY_CHECK(written, "{}", written.error().ToString());
      states_.push_back({sum.value()});
      if (flushed_alone && random() % 10 != 0) continue;
      if (flushed_alone) {
        const auto flushed = machine.store().Flush();
        MAILY_CHECK(flushed, "{}", flushed.error().ToString());
      }
      states_.back().safe_at = machine.disk().op_count();
    }
    machine.Close();
    ops_ = machine.disk().TakeOps();
  }

  std::string Check(size_t ops, const DiskImage& image) const override {
    Machine machine(path_, durability_, image);
    if (machine.error() != nullptr) return "it does not open: " + machine.error()->ToString();
    Sum sum;
    const auto read = machine.store().Scan("", "", [&](std::string_view key, std::string_view value) {
      sum.Add(key, value);
      return true;
    });
    if (!read) return "it cannot be read: " + read.error().ToString();
    size_t safe = 0;
    for (size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].safe_at <= ops) safe = i;
    }
    size_t last = states_.size();  // the last state that it can be
    for (size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].sum == sum.value()) last = i;
    }
    if (last == states_.size()) return "what is there was never there: a part of a batch, or a later one without an earlier";
    if (last < safe) return fmt::format("batch {} was durable, and only {} are there", safe, last);
    KvBatch more;
    more.Put("more", "more");
    if (const auto written = machine.store().Write(more); !written) return "it takes no batch any more: " + written.error().ToString();
    const auto flushed = machine.store().Flush();
    return flushed ? std::string() : "it flushes no more: " + flushed.error().ToString();
  }

 private:
  struct State {
    uint64_t sum;
    size_t safe_at = SIZE_MAX;  // operations of the disk by which it was durable
  };
  const std::string path_;
  const KvDurability durability_;
  std::vector<State> states_;  // after so many batches
};

std::unique_ptr<Story> RecordStore(const std::string& directory, uint64_t seed, KvDurability durability) {
  auto story = std::make_unique<KvStory>(directory, durability);
  story->Record(seed);
  return story;
}

}  // namespace

std::unique_ptr<Story> RecordState(const std::string& directory, uint64_t seed) {
  return RecordStore(directory, seed, KvDurability::kOnFlush);
}
std::unique_ptr<Story> RecordKeyring(const std::string& directory, uint64_t seed) {
  return RecordStore(directory, seed, KvDurability::kOnWrite);
}

}  // namespace maily::power
