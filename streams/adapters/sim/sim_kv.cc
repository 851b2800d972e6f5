// A store is two maps: what is there, and what a crash leaves, with the batches in between.
#include "streams/adapters/sim/sim_kv.h"

#include <vector>

namespace maily::sim {
namespace {

using Content = std::map<std::string, std::string, std::less<>>;  // std::string orders by unsigned bytes

void Apply(Content& content, const KvBatch& batch) {
  for (const KvBatch::Change& change : batch.changes) {
    if (change.value) {
      content[std::string(change.key)] = *change.value;
    } else {
      content.erase(std::string(change.key));
    }
  }
}

}  // namespace

struct SimKvStores::Disk {
  Content current;
  Content flushed;
  std::vector<KvBatch> unflushed;  // between the two
  uint64_t opened = 0;             // grows with every Open and crash: an older handle is dead
  bool is_open = false;

  void Flush() {
    for (const KvBatch& batch : unflushed) Apply(flushed, batch);
    unflushed.clear();
  }
};

class SimKvStores::ViewOfDisk : public KvView {
 public:
  explicit ViewOfDisk(std::shared_ptr<Disk> disk) : disk_(std::move(disk)), opened_(disk_->opened), content_(disk_->current) {}

  Result<bool> Next(const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    if (disk_->opened != opened_ || !disk_->is_open) return Fail(Code::kConflict, "the store was closed while it was read");
    for (bool more = true; more && !content_.empty(); content_.erase(content_.begin())) {
      more = visit(content_.begin()->first, content_.begin()->second);
    }
    return !content_.empty();
  }

 private:
  const std::shared_ptr<Disk> disk_;
  const uint64_t opened_;
  Content content_;
};

class SimKvStores::Store : public Kv {
 public:
  Store(std::shared_ptr<Disk> disk, KvDurability durability, std::shared_ptr<bool> full)
      : disk_(std::move(disk)), opened_(disk_->opened), on_write_(durability == KvDurability::kOnWrite), full_(std::move(full)) {}
  ~Store() override {
    if (disk_->opened == opened_) disk_->is_open = false;
  }

  Result<std::optional<std::string>> Get(std::string_view key) override {
    MAILY_TRY_VOID(IsAlive());
    const auto found = disk_->current.find(key);
    if (found == disk_->current.end()) return std::optional<std::string>();
    return std::optional(found->second);
  }
  Result<void> Scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    MAILY_TRY_VOID(IsAlive());
    for (auto each = disk_->current.lower_bound(from); each != disk_->current.end(); ++each) {
      if (!to.empty() && each->first >= to) break;
      if (!visit(each->first, each->second)) break;
    }
    return {};
  }
  Result<std::unique_ptr<KvView>> View() override {
    MAILY_TRY_VOID(IsAlive());
    return std::unique_ptr<KvView>(std::make_unique<ViewOfDisk>(disk_));
  }
  Result<void> Write(const KvBatch& batch) override {
    MAILY_TRY_VOID(IsAlive());
    if (on_write_ && *full_) return Fail(Code::kRetry, "no space left for the store");
    Apply(disk_->current, batch);
    disk_->unflushed.push_back(batch);
    if (on_write_) disk_->Flush();
    return {};
  }
  Result<void> Flush() override {
    MAILY_TRY_VOID(IsAlive());
    if (*full_) return Fail(Code::kRetry, "no space left for the store");
    disk_->Flush();
    return {};
  }
  uint64_t SizeOnDisk() override {
    uint64_t bytes = 0;
    for (const auto& [key, value] : disk_->flushed) bytes += key.size() + value.size();
    return bytes;
  }

 private:
  Result<void> IsAlive() const {
    if (disk_->opened == opened_) return {};
    return Fail(Code::kFatal, "the machine of this store has crashed");
  }
  const std::shared_ptr<Disk> disk_;
  const uint64_t opened_;
  const bool on_write_;
  const std::shared_ptr<bool> full_;
};

SimKvStores::SimKvStores(Scheduler& scheduler) : scheduler_(scheduler) {}
SimKvStores::~SimKvStores() = default;

Result<std::unique_ptr<Kv>> SimKvStores::Open(const std::string& name, KvDurability durability) {
  std::shared_ptr<Disk>& disk = disks_[name];
  if (disk == nullptr) disk = std::make_shared<Disk>();
  if (disk->is_open) return Fail(Code::kConflict, "the store {} is open already", name);
  disk->is_open = true;
  ++disk->opened;
  return std::unique_ptr<Kv>(std::make_unique<Store>(disk, durability, full_));
}

Result<void> SimKvStores::Destroy(const std::string& name) {
  const auto found = disks_.find(name);
  if (found == disks_.end()) return {};
  if (found->second->is_open) return Fail(Code::kConflict, "the store {} is open", name);
  disks_.erase(found);
  return {};
}

void SimKvStores::Crash() {
  for (const auto& [name, disk] : disks_) {
    disk->unflushed.resize(scheduler_.Random(disk->unflushed.size() + 1));
    disk->Flush();
    disk->current = disk->flushed;
    disk->is_open = false;
    ++disk->opened;
  }
}

void SimKvStores::SetFull(bool full) { *full_ = full; }

}  // namespace maily::sim
