// The parts of `maily serve` that hold files of a data directory, opened as it opens them: one partition, no HTTP, no SMTP.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "projections/projector/keeper.h"
#include "projections/views/views.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/disk/folder_blobs.h"
#include "streams/adapters/disk/mmap_slots.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/keyring/root_key.h"
#include "streams/task/host.h"
#include "streams/task/snapshots.h"

namespace maily::rot {

inline constexpr PartitionId kPartition(0);
inline constexpr TenantId kTenant(1);

// What is opened of a data directory, each part when it is asked for.
class Files {
 public:
  explicit Files(std::string data);

  // The log, made if `make`; its journal has a genesis.
  enum class Make { kNo, kYes };
  Result<void> OpenLog(Make make);
  Result<void> OpenKeys();
  // The slots of the partition's task.
  Result<void> OpenCareful();

  const std::string data;
  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  const rocks::Resources resources;
  std::unique_ptr<Log> log;
  std::unique_ptr<journal::Tails> tails;
  std::unique_ptr<rocks::RocksKvStores> key_stores;
  std::unique_ptr<keyring::Keyring> keyring;
  std::unique_ptr<disk::MmapSlots> careful;
  rocks::RocksKvStores state_stores;
  disk::FolderBlobs blobs;
};

// Leads the partition.
class Leader {
 public:
  enum class Snapshots { kNo, kYes };
  Leader(Files& files, const task::Pipeline& pipeline, Snapshots with);
  ~Leader();

  // Until it leads, or why it does not.
  Result<void> Start();
  // Hands over; the store is flushed.
  void Stop();
  // Sends a command and waits for its decision.
  command::Reply Ask(const command::Command& command);
  // Of all entries of the state.
  Result<Hash128> Digest();
  uint64_t lsn() const;
  Epoch epoch() const { return Epoch(epoch_.load()); }

 private:
  Files& files_;
  std::unique_ptr<asio_net::Worker> worker_ = std::make_unique<asio_net::Worker>("task");
  std::unique_ptr<asio_net::Worker> driver_ = std::make_unique<asio_net::Worker>("driver");
  std::unique_ptr<asio_net::Worker> background_ = std::make_unique<asio_net::Worker>("snapshots");
  command::Sender sender_;
  command::Replies replies_{10'000};
  std::unique_ptr<task::Snapshots> snapshots_;
  task::TaskEnvironment environment_;
  std::atomic<state::Cache*> cache_ = nullptr;
  std::atomic<uint64_t> epoch_ = 0;
  std::mutex mutex_;
  std::optional<Error> failed_;
  std::unique_ptr<task::Host> host_;
};

// Folds the read models.
class Folder {
 public:
  Folder(Files& files, sql::Databases& databases);
  ~Folder();

  // Until all groups stand at this decision, or why they do not.
  Result<void> Reach(Lsn lsn);
  // The database that answers for a group.
  std::string Live(size_t group) const { return keepers_[group]->Status().live; }
  size_t groups() const { return keepers_.size(); }

 private:
  projections::Views views_;
  asio_net::Worker disk_{"disk"};
  asio_net::Worker worker_{"views"};
  std::mutex mutex_;
  std::optional<Error> failed_;
  size_t ready_ = 0;
  std::vector<std::unique_ptr<projections::Keeper>> keepers_;
};

// The last decision that the partition's journal holds, by the rules of its readers.
Result<journal::Position> JournalEnd(Files& files);

}  // namespace maily::rot
