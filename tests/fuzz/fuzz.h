// What the fuzz targets share. A target is one file: it defines LLVMFuzzerTestOneInput, feeds a parser, and holds by MAILY_CHECK what must
// be true of whatever comes out. Run by libFuzzer (`./dev fuzz`), and by replay.cc over tests/fuzz/corpus/<target> in every test run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"
#include "streams/keyring/keyring.h"
#include "streams/state/map_kv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace maily::fuzz {

inline std::string_view View(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// Takes the first byte off; 0 if there is none.
inline uint8_t TakeByte(std::string_view& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  return byte;
}

// The bytes up to the first of `separator`, which is taken too.
inline std::string_view TakeUntil(std::string_view& input, char separator) {
  const size_t end = std::min(input.find(separator), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

// Counts up: keys are the same in every run.
class FixedEntropy : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = next_++;
  }

 private:
  uint8_t next_ = 0;
};

// A keyring in memory whose tenant 1 has keys. Made once a process.
inline keyring::Keyring& Keys() {
  static state::Disk disk;
  static FixedEntropy entropy;
  static const std::unique_ptr<keyring::Keyring> keyring =
      keyring::Keyring::Open(std::make_unique<state::MapKv>(disk), keyring::Key::From(std::string(32, 'k')), entropy, {}).value();
  static const keyring::TenantKeys* const tenant = keyring->Tenant(TenantId(1)).value();
  MAILY_CHECK(tenant != nullptr, "no keys");
  return *keyring;
}

}  // namespace maily::fuzz
