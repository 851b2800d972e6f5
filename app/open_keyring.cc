// See open_keyring.h.
#include "app/open_keyring.h"

#include <filesystem>
#include <fstream>

#include "app/database.h"
#include "streams/adapters/postgres/key_store.h"
#include "streams/keyring/kv_store.h"
#include "streams/keyring/root_key.h"

namespace maily::app {
namespace {

// One without the file, but with a keyring in its directory, is older than the file.
Result<void> CheckPlace(const std::string& directory, const std::string& wanted) {
  const std::string path = directory + "/place";
  std::string place;
  if (std::ifstream file(path); file) {
    std::getline(file, place);
  } else if (std::filesystem::exists(directory + "/keyring")) {
    place = kKeyringInData;
  }
  if (place.empty() || place == wanted) return Ok();
  return Fail(Code::kFatal, "this instance has its keys in {}, the setting keyring says {}: keys made anew would open nothing", place,
              wanted);
}

// After the keyring was opened. Lost with the machine's power it is written again at the next start.
Result<void> NotePlace(const std::string& directory, const std::string& place) {
  std::ofstream file(directory + "/place");
  file << place << "\n";
  file.close();
  if (!file) return Fail(Code::kFatal, "{}/place cannot be written", directory);
  return Ok();
}

}  // namespace

std::string RootKeyPath(const Config& config, const std::string& data) {
  return config.Text("root_key").empty() ? data + "/keys/root.key" : config.Text("root_key");
}

Result<std::unique_ptr<keyring::Keyring>> OpenKeyring(const Config& config, const std::string& data, KvStores& stores, Clock& clock,
                                                      Entropy& entropy) {
  const std::string directory = data + "/keys";
  const bool in_data = config.Text("keyring") == kKeyringInData;
  const std::string place = in_data ? kKeyringInData : "postgresql";
  std::filesystem::create_directories(directory);
  MAILY_TRY_VOID(CheckPlace(directory, place));
  std::unique_ptr<KeyStore> store;
  if (in_data) {
    MAILY_TRY(auto kv, stores.Open("keyring", KvDurability::kOnWrite));
    store = keyring::MakeKvStore(std::move(kv));
  } else {
    MAILY_TRY(std::string url, ConnectionStringOf(config, "keyring"));
    MAILY_TRY(store, libpq::OpenKeyStore({.url = std::move(url)}, clock));
  }
  MAILY_TRY(const keyring::Key root, keyring::LoadOrCreateRootKey(RootKeyPath(config, data), entropy));
  MAILY_TRY(auto ring, keyring::Keyring::Open(std::move(store), root, entropy, {}));
  MAILY_TRY_VOID(NotePlace(directory, place));
  return ring;
}

}  // namespace maily::app
