// A keyring in memory, for tests: the same keys in every run.
#pragma once

#include <memory>
#include <string>

#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/state/map_kv.h"

namespace maily::test {

class CountingEntropy final : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = static_cast<uint8_t>((++count_ * 0x9E3779B97F4A7C15) >> 56);
  }

 private:
  uint64_t count_ = 0;
};

struct MemoryKeyring {
  CountingEntropy entropy;
  state::Disk disk;
  std::unique_ptr<keyring::Keyring> ring =
      keyring::Keyring::Open(std::make_unique<state::MapKv>(disk), keyring::Key::From("0123456789abcdef0123456789abcdef"), entropy, {})
          .value();
  const keyring::TenantKeys& Of(uint32_t tenant) { return *ring->Tenant(TenantId(tenant)).value(); }
};

}  // namespace maily::test
