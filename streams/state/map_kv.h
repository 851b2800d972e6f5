// A Kv in memory for the tests of this folder: counts reads, fails on demand, forgets what was not flushed.
#pragma once

#include <map>
#include <string>

#include "streams/port/kv.h"

namespace maily::state {

// What outlives the process: shared by the handles that open it one after another.
struct Disk {
  std::map<std::string, std::string> flushed;
};

class MapKv : public Kv {
 public:
  explicit MapKv(Disk& disk) : disk_(disk), map_(disk.flushed) {}

  Result<std::optional<std::string>> Get(std::string_view key) override {
    ++gets;
    if (fail_reads) return Fail(Code::kCorrupt, "told to fail");
    const auto found = map_.find(std::string(key));
    if (found == map_.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }
  Result<void> Scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) override {
    ++scans;
    if (fail_reads) return Fail(Code::kCorrupt, "told to fail");
    for (auto at = map_.lower_bound(std::string(from)); at != map_.end() && (to.empty() || at->first < to); ++at) {
      if (!visit(at->first, at->second)) break;
    }
    return Ok();
  }
  Result<std::unique_ptr<KvView>> View() override {
    class View : public KvView {
     public:
      explicit View(std::map<std::string, std::string> map) : map_(std::move(map)) {}
      Result<bool> Next(const std::function<bool(std::string_view, std::string_view)>& visit) override {
        for (bool more = true; more && !map_.empty(); map_.erase(map_.begin())) more = visit(map_.begin()->first, map_.begin()->second);
        return !map_.empty();
      }

     private:
      std::map<std::string, std::string> map_;
    };
    return std::unique_ptr<KvView>(std::make_unique<View>(map_));
  }
  Result<void> Write(const KvBatch& batch) override {
    if (fail_writes) return Fail(Code::kRetry, "told to fail");
    for (const KvBatch::Change& change : batch.changes) {
      if (change.value) {
        map_[std::string(change.key)] = *change.value;
      } else {
        map_.erase(std::string(change.key));
      }
    }
    return Ok();
  }
  Result<void> Flush() override {
    if (fail_writes || fail_flushes) return Fail(Code::kRetry, "told to fail");
    disk_.flushed = map_;
    return Ok();
  }
  uint64_t SizeOnDisk() override { return map_.size(); }

  int gets = 0;
  int scans = 0;
  bool fail_reads = false;
  bool fail_writes = false;
  bool fail_flushes = false;

 private:
  Disk& disk_;
  std::map<std::string, std::string> map_;
};

}  // namespace maily::state
