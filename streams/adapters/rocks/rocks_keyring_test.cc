// Runs the contract of the keyring over RocksDB, where one process has it.
#include <stdlib.h>

#include <filesystem>

#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "tests/contract/keyring_contract.h"

namespace maily::contract {
namespace {

class RocksKeyringHarness final : public KeyringHarness {
 public:
  static constexpr bool kShared = false;
  RocksKeyringHarness() {
    std::string path = (std::filesystem::temp_directory_path() / "maily_keyring_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    path_ = path;
    stores_ = std::make_unique<rocks::RocksKvStores>(path_, resources_);
  }
  ~RocksKeyringHarness() override { std::filesystem::remove_all(path_); }
  Result<std::unique_ptr<keyring::Keyring>> Open(const keyring::Key& root, size_t cache_bytes_max) override {
    MAILY_TRY(auto kv, stores_->Open("keyring", KvDurability::kOnWrite));
    return keyring::Keyring::Open(std::move(kv), root, entropy_, {.cache_bytes_max = cache_bytes_max});
  }

 private:
  SeededEntropy entropy_{42};
  std::string path_;
  rocks::Resources resources_{rocks::Limits{}};
  std::unique_ptr<rocks::RocksKvStores> stores_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, KeyringContract, RocksKeyringHarness);

}  // namespace
}  // namespace maily::contract
