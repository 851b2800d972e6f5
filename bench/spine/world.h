// The core of the program without HTTP and SMTP, composed as `maily serve` composes it: the embedded log, the real pipeline, a task a
// partition; with contacts and one planned campaign in it. Nothing is sent: there is no smtp effect, so nobody grants a credit.
#pragma once

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/spine/meter.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/disk/mmap_slots.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/task/host.h"

namespace maily::bench {

inline constexpr TenantId kTenant(1);
inline constexpr size_t kClickBytes = 100;  // payload of a click command

struct Settings {
  std::string directory;     // made anew
  uint16_t partitions = 16;  // as `maily serve` by default
  size_t workers = 2;
  size_t state_cache_mb = 256;
  size_t flush_journal_mb = 64;
};

// Who has a part in the planned campaign.
struct Recipient {
  PartitionId partition;
  uint64_t ordinal = 0;
};

class World {
 public:
  // Every task leads when this returns. CHECK: anything goes wrong (a bench that cannot measure says so by ending).
  explicit World(const Settings& settings);
  ~World();

  // Contacts with ten attributes, address and first name sealed, and a campaign to all of them, launched and planned.
  void Load(size_t contacts);
  const std::vector<Recipient>& recipients() const { return recipients_; }
  uint64_t campaign() const { return campaign_; }

  // A click on the campaign's link, with a payload of kClickBytes. The command's views point into `payload`.
  command::Command Click(const Recipient& recipient, Uniform& chance, std::string& payload) const;
  // Decisions accepted by the journals, over all partitions.
  uint64_t Accepted() const;
  // Sends and waits for the decision.
  command::Reply Ask(PartitionId partition, const command::Command& command);

  Log& log() { return *log_; }
  journal::Tails& tails() { return *tails_; }
  task::Host& host() { return *host_; }
  command::Sender& sender() { return *sender_; }
  command::Replies& replies() { return *replies_; }
  keyring::Keyring& keyring() { return *keyring_; }
  Clock& clock() { return clock_; }
  Entropy& entropy() { return entropy_; }
  // For whoever asks and measures.
  asio_net::Worker& driver() { return *driver_; }

 private:
  template <class Message>
  command::Reply AskHome(const Message& message);
  void ImportContacts(size_t count);
  void LaunchCampaign();

  const Settings settings_;
  asio_net::SystemClock clock_;
  asio_net::SystemEntropy entropy_;
  rocks::Resources resources_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<rocks::RocksKvStores> state_stores_;
  std::unique_ptr<rocks::RocksKvStores> key_stores_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<disk::MmapSlots> slots_;
  task::Pipeline pipeline_;
  std::unique_ptr<asio_net::Workers> workers_;
  std::unique_ptr<asio_net::Worker> driver_;
  std::unique_ptr<command::Sender> sender_;
  std::unique_ptr<command::Replies> replies_;
  std::unique_ptr<task::TaskEnvironment> environment_;
  std::unique_ptr<journal::Tails> tails_;
  std::unique_ptr<task::Host> host_;
  std::mutex mutex_;
  std::vector<state::Cache*> caches_;  // by partition
  std::vector<Recipient> recipients_;
  uint64_t campaign_ = 0;
};

}  // namespace maily::bench
