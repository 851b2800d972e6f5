// The smtp effect: carries out the attempts that a partition opens, and reports what became of each.
//
// A worker (executor) has one Shared: the pools of connections, the credits that are granted, the compiled campaigns. Each partition
// that is led there has a Delivery. The life of an attempt:
//   1 a credit is granted  2 the task opens the attempt (accepted event)  3 the mail is made from the sealed values
//   4 its slot says begun, then dot sent, then the result  5 RecordAttempt is appended, with the next turn (granter.h)  6 durable: the slot
//   is free
// At take-over what this process opened before is looked up in its slots (attempt_slots.h) and reported first; credits are granted only
// once those reports are durable. What another process opened it may still be sending, within its lease (lease.h): unknown only after that.
// A process reports what it opened also when it does not lead any more: whoever leads decides on it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "processors/effects/effect.h"
#include "processors/effects/smtp/attempt_slots.h"
#include "processors/effects/smtp/encoded.h"
#include "processors/effects/smtp/message.h"
#include "processors/effects/smtp/policies.h"
#include "processors/effects/smtp/pool.h"
#include "processors/effects/smtp/site.h"
#include "processors/effects/smtp/smarthost.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/net.h"

namespace maily::smtp {

// The site of all mails where a relay takes them.
inline constexpr std::string_view kSite = "relay";
// Attempts that may wait for the durability of their report at once, over all workers.
inline constexpr size_t kAttemptSlots = 4096;
// For the slot file: AttemptSlots(slots, partition_count) wants so many.
constexpr size_t SlotCount(uint16_t partition_count) { return partition_count + kAttemptSlots; }

// Instead of a relay: to the mail servers of each recipient's domain.
struct MxOptions {
  Resolver* resolver = nullptr;            // outlives the effect; on any thread
  std::shared_ptr<Sites> sites = nullptr;  // of the process
  size_t workers = 1;                      // of the process: they share the sites' limits
  uint16_t port = 25;
  bool private_allowed = false;  // mail servers on this machine or in private networks
  StsOptions sts = {};
  std::vector<RouteRule> routes = {};                // mails that are handed to a relay all the same, or leave from other addresses
  std::shared_ptr<const SourcePool> from = nullptr;  // where all others leave from; null: the system chooses
  // A site is slower, or as fast as before, with a reply that names nobody; on the executor.
  std::function<void(const SiteChange& change)> changed = {};
};

struct SharedOptions {
  Endpoint relay = {};
  std::shared_ptr<const MxOptions> mx = nullptr;  // then the relay is not used
  size_t connections = 16;
  uint32_t mails_per_connection = 1000;
  SessionOptions session = {};
  std::shared_ptr<const tls::Context> tls = nullptr;  // wherever session.tls asks for it
  tls::Verify verify = tls::Verify::kRecord;
  std::string tracking_base_url;  // without a slash at its end
  Returns returns = {};
  uint32_t credits_per_connection = 2;  // one on the wire, one being made; a quick site has more ahead (granter.h)
  // Of tenants that want the same site, or the relay: their parts of it (Granter::Options).
  std::function<uint32_t(TenantId)> weight_of = [](TenantId) { return 1U; };
  std::shared_ptr<EncodedTails> tails = nullptr;  // of mails with images or attachments; null: those are put off
  uint16_t tick = 0;                              // type of the command that renews a lease: decided as nothing at all
};

class Shared;
// All references outlive it. Lives on `executor`, where the partitions' Deliveries live too; made on any thread before those.
std::shared_ptr<Shared> MakeShared(const SharedOptions& options, Dialer& dialer, AttemptSlots& slots, Executor& executor, Clock& clock,
                                   Entropy& entropy, command::Sender& sender, keyring::Keyring& keyring);
// Starts no mail any more; calls `done` on the executor when none is on the wire and every result is durable. Thread: any.
void Drain(const std::shared_ptr<Shared>& shared, Job done);

// Why the relay counts as down for this worker; empty: it does not. Thread: any.
std::string Trouble(const Shared& shared);

// Reports what this process opened in a partition that another one leads now, and is not at any more. Call it with the state of a
// follower that has reached the journal's end, and again when a new owner has claimed. Thread: the executor.
void ReportOpened(const std::shared_ptr<Shared>& shared, PartitionId partition, state::Cache& cache);

// The effect of one partition.
std::unique_ptr<effects::Effect> MakeDelivery(std::shared_ptr<Shared> shared, PartitionId partition);

}  // namespace maily::smtp
