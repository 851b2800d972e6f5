// See process.h.
#include "tests/rot/process.h"

#include <filesystem>
#include <thread>

#include "projections/read_models.h"
#include "streams/adapters/rocks/rocks_log.h"

namespace maily::rot {
namespace {

constexpr std::chrono::milliseconds kLookAgain{1};
constexpr size_t kLogMemtableBytes = 16 << 10;  // small: table files are made while the directory is
constexpr size_t kFlushJournalBytes = 8 << 10;

rocks::Limits SmallLimits() {
  rocks::Limits limits;
  limits.block_cache_bytes = 4 << 20;
  limits.log_memtable_bytes = kLogMemtableBytes;
  return limits;
}

}  // namespace

Files::Files(std::string data_in)
    : data(std::move(data_in)), resources(SmallLimits()), state_stores(data + "/state", resources), blobs(data + "/snapshots") {}

Result<void> Files::OpenLog(Make make) {
  LogSettings wanted;
  wanted.partition_count = make == Make::kYes ? 1 : 0;
  wanted.log_id = entropy.NextId<LogId>();
  MAILY_TRY(log, rocks::RocksLog::Open(data + "/log", wanted, resources, clock));
  MAILY_TRY_VOID(journal::WriteGenesis(*log, kPartition));
  tails = std::make_unique<journal::Tails>(*log);
  return Ok();
}

Result<void> Files::OpenKeys() {
  key_stores = std::make_unique<rocks::RocksKvStores>(data + "/keys", resources);
  MAILY_TRY(auto kv, key_stores->Open("keyring", KvDurability::kOnWrite));
  MAILY_TRY(const keyring::Key root, keyring::LoadOrCreateRootKey(data + "/keys/root.key", entropy));
  MAILY_TRY(keyring, keyring::Keyring::Open(std::move(kv), root, entropy, {}));
  return Ok();
}

Result<void> Files::OpenCareful() {
  std::filesystem::create_directories(data + "/slots");
  MAILY_TRY(careful, disk::MmapSlots::Open(data + "/slots/careful", 1));
  return Ok();
}

Leader::Leader(Files& files, const task::Pipeline& pipeline, Snapshots with)
    : files_(files), sender_(*files.log, 8 << 20), environment_{*files.log,          files.clock, files.entropy, files.state_stores,
                                                                *files.careful,      sender_,     replies_,      pipeline,
                                                                files.keyring.get(), "rot",       "rot"} {
  environment_.cache_bytes_max = 8 << 20;
  environment_.flush_journal_bytes = kFlushJournalBytes;
  if (with == Snapshots::kYes) {
    task::SnapshotOptions options;
    options.journal_bytes = 2 * kFlushJournalBytes;
    options.part_bytes = 16 << 10;
    snapshots_ = std::make_unique<task::Snapshots>(files.blobs, *files.log, files.clock, files.entropy, *background_, options);
    environment_.snapshots = snapshots_.get();
  }
  task::Host::Listener listener;
  listener.led = [this](PartitionId, Executor&, Epoch epoch, const journal::Position&, state::Cache& cache, task::Credits&,
                        journal::Tail&) {
    cache_ = &cache;
    epoch_ = epoch.value();
  };
  listener.stopped = [this](PartitionId) { cache_ = nullptr; };
  listener.failed = [this](PartitionId partition, const Error& error) {
    cache_ = nullptr;
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = Fail(error.code, "partition {}: {}", partition.value(), error.message);
  };
  host_ = std::make_unique<task::Host>(environment_, *files.tails, std::vector<Executor*>{worker_.get()}, listener);
}

Leader::~Leader() {
  worker_->Stop();
  background_->Stop();
  driver_->Stop();
}

Result<void> Leader::Start() {
  host_->Start();
  while (!host_->AllLeading()) {
    {
      const std::lock_guard lock(mutex_);
      if (failed_) return *failed_;
    }
    std::this_thread::sleep_for(kLookAgain);
  }
  return Ok();
}

void Leader::Stop() {
  std::promise<void> stopped;
  host_->Stop([&stopped] { stopped.set_value(); });
  stopped.get_future().wait();
}

command::Reply Leader::Ask(const command::Command& command) {
  std::promise<Result<command::Reply>> reply;
  replies_.Await(command.id, *driver_, Seconds(30), [&reply](Result<command::Reply> answer) { reply.set_value(std::move(answer)); });
  sender_.Send(kPartition, command, Sync::kSoon, [](const Result<CommandAt>&) {});
  return reply.get_future().get().value();
}

Result<Hash128> Leader::Digest() {
  std::promise<Result<Hash128>> digest;
  worker_->Post([this, &digest] {
    if (state::Cache* const cache = cache_) return digest.set_value(cache->Digest());
    const std::lock_guard lock(mutex_);
    digest.set_value(failed_ ? *failed_ : Fail(Code::kFenced, "partition {} is not led any more", kPartition.value()));
  });
  return digest.get_future().get();
}

uint64_t Leader::lsn() const { return host_->status()[0].lsn; }

Folder::Folder(Files& files, sql::Databases& databases) : views_(databases, projections::ReadModelQueries()) {
  const projections::ProjectionEnvironment env{
      .databases = databases,
      .executor = worker_,
      .background = &disk_,
      .clock = files.clock,
      .partition_count = 1,
      .open_reader = [&files](PartitionId partition, const journal::Position& from) { return files.tails->at(partition).Open(from); },
      .journal_end = [&files](PartitionId partition) { return files.log->Ends({Topic::kJournal, partition}).durable.value(); },
      .keyring = files.keyring.get()};
  for (const projections::Group& group : projections::ReadModelGroups()) {
    keepers_.push_back(std::make_unique<projections::Keeper>(env, group, views_, projections::KeeperOptions{.holder = "rot"}));
    keepers_.back()->Start([this](const Result<void>& started) {
      const std::lock_guard lock(mutex_);
      ++ready_;
      if (!started && !failed_) failed_ = started.error();
    });
  }
}

Folder::~Folder() {
  for (const auto& keeper : keepers_) {
    std::promise<void> stopped;
    keeper->Stop([&stopped] { stopped.set_value(); });
    stopped.get_future().wait();
  }
}

Result<void> Folder::Reach(Lsn lsn) {
  for (;; std::this_thread::sleep_for(kLookAgain)) {
    size_t there = 0;
    for (const auto& keeper : keepers_) {
      const projections::ProjectionStatus status = keeper->Status();
      if (!status.stopped.empty()) return Fail(Code::kCorrupt, "{}: {}", status.group, status.stopped);
      const bool reached = !status.live.empty() && status.positions.size() == 1 && status.positions[0].lsn >= lsn;
      there += reached ? 1 : 0;
    }
    const std::lock_guard lock(mutex_);
    if (failed_) return *failed_;
    if (there == keepers_.size() && ready_ == keepers_.size()) return Ok();
  }
}

Result<journal::Position> JournalEnd(Files& files) {
  journal::Position from;
  from.partition = kPartition;
  MAILY_TRY(auto reader, files.tails->at(kPartition).Open(from));
  for (;;) {
    MAILY_TRY(const journal::FramePtr frame, reader->Next());
    if (frame == nullptr) return reader->position();
  }
}

}  // namespace maily::rot
