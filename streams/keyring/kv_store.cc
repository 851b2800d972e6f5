// Implements the store over a Kv.
#include "streams/keyring/kv_store.h"

#include <cstring>

#include "streams/base/bytes.h"

namespace maily::keyring {
namespace {

std::string Place(char kind, TenantId tenant, std::string_view rest) {
  std::string key(1, kind);
  PutOrdered<uint32_t>(key, tenant.value());
  key.append(rest);
  return key;
}

std::string_view View(const KeyId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

class KvStore final : public KeyStore {
 public:
  explicit KvStore(std::unique_ptr<Kv> kv) : kv_(std::move(kv)) {}

  Result<std::string> GetOrPutRoot(std::string_view mark) override { return GetOrPutAt("r", mark); }
  Result<std::optional<std::string>> Tenant(TenantId tenant) override { return kv_->Get(Place('t', tenant, "")); }
  Result<std::string> GetOrPutTenant(TenantId tenant, std::string_view wrapped) override {
    return GetOrPutAt(Place('t', tenant, ""), wrapped);
  }

  Result<std::vector<Wrapped>> GetOrPut(TenantId tenant, std::span<const std::string_view> subjects, const Make& make) override {
    std::vector<Wrapped> keys(subjects.size());
    std::vector<size_t> made;
    KvBatch batch;
    for (size_t i = 0; i < subjects.size(); ++i) {
      MAILY_TRY(const std::vector<KeyId> ids, KeysOf(tenant, subjects[i]));
      if (ids.empty()) {
        MAILY_TRY(keys[i], make(i));
        batch.Put(Place('k', tenant, View(keys[i].id)), keys[i].bytes);
        made.push_back(i);
        continue;
      }
      MAILY_TRY(auto bytes, Find(tenant, ids.back()));
      if (!bytes) return Fail(Code::kCorrupt, "keyring: a key id is there, its key is not");
      keys[i] = {ids.back(), *std::move(bytes)};
    }
    for (const size_t i : made) batch.Put(Place('s', tenant, subjects[i]), View(keys[i].id));
    if (!batch.changes.empty()) MAILY_TRY_VOID(kv_->Write(batch));
    return keys;
  }
  Result<bool> HasIdsFrom(TenantId tenant, uint32_t first) override {
    std::string from = Place('k', tenant, "");
    std::string to = from;
    PutOrdered(from, uint64_t{first} << 32U);
    PutOrdered(to, uint64_t{first} << 32U | UINT32_MAX);
    bool found = false;
    MAILY_TRY_VOID(kv_->Scan(from, to, [&](std::string_view, std::string_view) {
      found = true;
      return false;
    }));
    return found;
  }

  Result<std::optional<std::string>> Find(TenantId tenant, const KeyId& id) override { return kv_->Get(Place('k', tenant, View(id))); }

  Result<std::vector<KeyId>> KeysOf(TenantId tenant, std::string_view subject) override {
    MAILY_TRY(const std::optional<std::string> stored, kv_->Get(Place('s', tenant, subject)));
    std::vector<KeyId> ids;
    if (!stored) return ids;
    if (stored->empty() || stored->size() % sizeof(KeyId) != 0)
      return Fail(Code::kCorrupt, "keyring: {} stored bytes are no key ids", stored->size());
    ids.resize(stored->size() / sizeof(KeyId));
    std::memcpy(ids.data(), stored->data(), stored->size());
    return ids;
  }
  Result<void> Destroy(TenantId tenant, std::string_view subject) override {
    MAILY_TRY(const std::vector<KeyId> ids, KeysOf(tenant, subject));
    KvBatch batch;
    for (const KeyId& id : ids) batch.Delete(Place('k', tenant, View(id)));
    batch.Delete(Place('s', tenant, subject));
    return kv_->Write(batch);
  }

  Result<void> Move(TenantId tenant, std::string_view from, std::string_view to) override {
    MAILY_TRY(std::vector<KeyId> ids, KeysOf(tenant, from));
    if (ids.empty()) return Ok();
    MAILY_TRY(const std::vector<KeyId> own, KeysOf(tenant, to));
    ids.insert(ids.end(), own.begin(), own.end());  // the last one seals
    std::string stored;
    for (const KeyId& id : ids) stored.append(View(id));
    KvBatch batch;
    batch.Put(Place('s', tenant, to), stored);
    batch.Delete(Place('s', tenant, from));
    return kv_->Write(batch);
  }

  Result<uint64_t> Destructions() override { return 0; }  // nobody else is here

 private:
  Result<std::string> GetOrPutAt(const std::string& place, std::string_view value) {
    MAILY_TRY(std::optional<std::string> stored, kv_->Get(place));
    if (stored) return *std::move(stored);
    KvBatch batch;
    batch.Put(place, value);
    MAILY_TRY_VOID(kv_->Write(batch));
    return std::string(value);
  }

  const std::unique_ptr<Kv> kv_;
};

}  // namespace

std::unique_ptr<KeyStore> MakeKvStore(std::unique_ptr<Kv> kv) { return std::make_unique<KvStore>(std::move(kv)); }

}  // namespace maily::keyring
