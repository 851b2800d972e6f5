// Policies of MTA-STS over a restart: a domain that has told once that it wants TLS is believed until that is too old, whoever stands
// between it and the next process (RFC 8461 §10.2).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "processors/effects/mta_sts/entry.h"
#include "streams/port/env.h"
#include "streams/port/kv.h"

namespace maily::app {

class PolicyStore {
 public:
  static constexpr size_t kKeptMax = 20'000;  // domains; of more, those that expire first are forgotten at the next start

  // Opens the store "mta_sts". `disk` may block, and outlives it. Blocks.
  static Result<std::unique_ptr<PolicyStore>> Open(KvStores& stores, Executor& disk, Instant now);

  // What was there when it was opened, without what had expired or cannot be read.
  const std::vector<mta_sts::Entry>& known() const { return known_; }
  // Later, on `disk`; what cannot be written is only fetched again. Thread: any.
  void Keep(const mta_sts::Entry& entry);

 private:
  PolicyStore(std::unique_ptr<Kv> kv, Executor& disk) : kv_(std::move(kv)), disk_(disk) {}

  const std::shared_ptr<Kv> kv_;
  Executor& disk_;
  std::vector<mta_sts::Entry> known_;
};

}  // namespace maily::app
