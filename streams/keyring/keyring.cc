// The keyring: wrapped keys in a store, opened ones in a bounded cache.
#include "streams/keyring/keyring.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "streams/base/bytes.h"
#include "streams/keyring/kv_store.h"
#include "streams/keyring/opened.h"

namespace maily::keyring {
namespace {

constexpr char kVersion = 1;  // of a wrapped key: version 1 | nonce 12 | ciphertext | tag 16

std::string PlaceOf(char kind, TenantId tenant, std::string_view rest) {
  std::string key(1, kind);
  PutOrdered<uint32_t>(key, tenant.value());
  key.append(rest);
  return key;
}

std::string_view View(const KeyId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

// A key is bound to the place it is stored at.
std::string Wrap(const Key& with, std::string_view secret, std::string_view place, Entropy& entropy) {
  uint8_t nonce[kNonceBytes];
  entropy.Fill(nonce);
  std::string out(1, kVersion);
  out.append(reinterpret_cast<const char*>(nonce), kNonceBytes);
  SealTo(out, with, {reinterpret_cast<const char*>(nonce), kNonceBytes}, secret, place);
  return out;
}

Result<std::string> Unwrap(const Key& with, std::string_view stored, std::string_view place, size_t size) {
  if (stored.size() != 1 + kNonceBytes + size + kTagBytes || stored[0] != kVersion) {
    return Fail(Code::kCorrupt, "keyring: {} stored bytes are no key", stored.size());
  }
  auto secret = Unseal(with, stored.substr(1, kNonceBytes), stored.substr(1 + kNonceBytes), place);
  if (!secret) return Fail(Code::kCorrupt, "keyring: a stored key cannot be unwrapped; it was changed, or wrapped by another key");
  return secret;
}

}  // namespace

struct Keyring::Impl {
  Impl(std::unique_ptr<KeyStore> opened_store, const Key& root_key, Entropy& random, size_t cache_bytes, uint64_t destructions)
      : store(std::move(opened_store)),
        root(root_key),
        entropy(random),
        cache_bytes_max(cache_bytes),
        opened(std::make_unique<Opened>(cache_bytes)),
        known(destructions) {}

  Result<const TenantKeys*> Tenant(TenantId tenant, bool create);
  Result<SubjectKey> Read(const TenantKeys& keys, TenantId tenant, const KeyStore::Wrapped& stored);
  Result<KeyId> NewId(TenantId tenant);
  void Notice(uint64_t destructions);

  const std::unique_ptr<KeyStore> store;
  const Key root;
  Entropy& entropy;
  const size_t cache_bytes_max;

  // Lock order: changing, then reading.
  std::mutex changing;  // held while keys are made or destroyed, over the synced write
  std::mutex reading;   // guards what follows; never held over I/O
  std::unordered_map<TenantId, std::unique_ptr<TenantKeys>> tenants;
  std::unique_ptr<Opened> opened;
  uint64_t known;                                   // destructions of which `opened` holds nothing
  std::unordered_map<TenantId, uint64_t> next_ids;  // guarded by changing
  uint64_t forgotten = 0;                           // counts what was taken out of `opened`: what was read before may be gone after it
};

// Another process destroyed something: nothing that was opened before is trusted. `reading` is held.
void Keyring::Impl::Notice(uint64_t destructions) {
  if (destructions == known) return;
  opened = std::make_unique<Opened>(cache_bytes_max);
  known = destructions;
  ++forgotten;
}

Result<const TenantKeys*> Keyring::Impl::Tenant(TenantId tenant, bool create) {
  {
    const std::scoped_lock lock(reading);
    const auto found = tenants.find(tenant);
    if (found != tenants.end()) return static_cast<const TenantKeys*>(found->second.get());
  }
  const std::string place = PlaceOf('t', tenant, "");
  auto keys = std::make_unique<TenantKeys>();
  Key* const all[] = {&keys->identity, &keys->wrap, &keys->token, &keys->digest, &keys->request};
  const std::scoped_lock change(changing);
  MAILY_TRY(std::optional<std::string> stored, store->Tenant(tenant));
  if (!stored && !create) return Fail(Code::kNotFound, "tenant {} has no keys", tenant.value());
  if (!stored) {
    std::string secret(std::size(all) * kKeyBytes, '\0');
    entropy.Fill({reinterpret_cast<uint8_t*>(secret.data()), secret.size()});
    const std::string wrapped = Wrap(root, secret, place, entropy);
    explicit_bzero(secret.data(), secret.size());
    MAILY_TRY(stored, store->GetOrPutTenant(tenant, wrapped));
  }
  MAILY_TRY(std::string secret, Unwrap(root, *stored, place, std::size(all) * kKeyBytes));
  for (size_t i = 0; i < std::size(all); ++i) *all[i] = Key::From(std::string_view(secret).substr(i * kKeyBytes, kKeyBytes));
  explicit_bzero(secret.data(), secret.size());
  const std::scoped_lock lock(reading);
  // Another thread may have read them meanwhile: its copy stays.
  return static_cast<const TenantKeys*>(tenants.try_emplace(tenant, std::move(keys)).first->second.get());
}

Result<SubjectKey> Keyring::Impl::Read(const TenantKeys& keys, TenantId tenant, const KeyStore::Wrapped& stored) {
  MAILY_TRY(std::string secret, Unwrap(keys.wrap, stored.bytes, PlaceOf('k', tenant, View(stored.id)), kKeyBytes));
  SubjectKey key{.key_id = stored.id, .key = Key::From(secret)};
  explicit_bzero(secret.data(), secret.size());
  return key;
}

// Ids of one opening of the keyring have four random bytes in common, which no older id begins with, and are counted from there: in order,
// because a store takes keys in order several times faster.
Result<KeyId> Keyring::Impl::NewId(TenantId tenant) {
  uint64_t& next = next_ids[tenant];
  if (static_cast<uint32_t>(next) == 0) {
    for (bool taken = true; taken;) {
      uint8_t random[4];
      entropy.Fill(random);
      uint32_t first = 0;
      std::memcpy(&first, random, sizeof(first));
      next = uint64_t{first} << 32U;
      MAILY_TRY(taken, store->HasIdsFrom(tenant, first));
    }
    ++next;
  }
  std::string bytes;
  PutOrdered(bytes, next++);
  KeyId id;
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

Result<std::unique_ptr<Keyring>> Keyring::Open(std::unique_ptr<KeyStore> store, const Key& root, Entropy& entropy, Options options) {
  const std::string mark = HmacSha256(root, {"maily keyring root"}, 16);
  MAILY_TRY(const std::string stored, store->GetOrPutRoot(mark));
  if (!ConstantTimeEqual(stored, mark)) {
    return Fail(Code::kFatal, "the keyring was made with another root key; restore the root key file that belongs to it");
  }
  MAILY_TRY(const uint64_t destructions, store->Destructions());
  return std::unique_ptr<Keyring>(
      new Keyring(std::make_unique<Impl>(std::move(store), root, entropy, options.cache_bytes_max, destructions)));
}

Result<std::unique_ptr<Keyring>> Keyring::Open(std::unique_ptr<Kv> kv, const Key& root, Entropy& entropy, Options options) {
  return Open(MakeKvStore(std::move(kv)), root, entropy, options);
}

Keyring::Keyring(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Keyring::~Keyring() = default;

Result<const TenantKeys*> Keyring::Tenant(TenantId tenant) { return impl_->Tenant(tenant, /*create=*/true); }
Result<const TenantKeys*> Keyring::FindTenant(TenantId tenant) { return impl_->Tenant(tenant, /*create=*/false); }

Result<std::vector<SubjectKey>> Keyring::GetOrCreate(TenantId tenant, std::span<const std::string_view> subjects) {
  Impl& impl = *impl_;
  MAILY_TRY(const TenantKeys* tenant_keys, Tenant(tenant));
  std::vector<SubjectKey> result(subjects.size());
  std::vector<size_t> missing;
  MAILY_TRY(const uint64_t destructions, impl.store->Destructions());
  {
    const std::scoped_lock lock(impl.reading);
    impl.Notice(destructions);
    for (size_t i = 0; i < subjects.size(); ++i) {
      if (!impl.opened->FindBySubject(tenant, subjects[i], result[i])) missing.push_back(i);
    }
  }
  if (missing.empty()) return result;
  const std::scoped_lock change(impl.changing);
  uint64_t forgotten = 0;
  {
    const std::scoped_lock lock(impl.reading);
    forgotten = impl.forgotten;
  }
  // Each subject once, in order.
  std::vector<std::string_view> names;
  for (const size_t i : missing) names.push_back(subjects[i]);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<SubjectKey> keys(names.size());
  const auto make = [&](size_t n) -> Result<KeyStore::Wrapped> {
    MAILY_TRY(keys[n].key_id, impl.NewId(tenant));
    impl.entropy.Fill(keys[n].key.bytes);
    const std::string place = PlaceOf('k', tenant, View(keys[n].key_id));
    return KeyStore::Wrapped{keys[n].key_id, Wrap(tenant_keys->wrap, keys[n].key.view(), place, impl.entropy)};
  };
  MAILY_TRY(const auto kept, impl.store->GetOrPut(tenant, names, make));
  for (size_t n = 0; n < names.size(); ++n) {
    if (kept[n].id == keys[n].key_id) continue;
    MAILY_TRY(keys[n], impl.Read(*tenant_keys, tenant, kept[n]));  // it was there, or another process was first
  }
  for (const size_t i : missing) {
    result[i] = keys[static_cast<size_t>(std::lower_bound(names.begin(), names.end(), subjects[i]) - names.begin())];
  }
  const std::scoped_lock lock(impl.reading);
  // A key read before a destruction is not put back after it.
  if (forgotten == impl.forgotten) {
    for (const size_t i : missing) impl.opened->Put(tenant, result[i], subjects[i]);
  }
  return result;
}

Result<SubjectKey> Keyring::GetOrCreate(TenantId tenant, std::string_view subject) {
  MAILY_TRY(std::vector<SubjectKey> keys, GetOrCreate(tenant, std::span(&subject, 1)));
  return keys[0];
}

Result<SubjectKey> Keyring::Find(TenantId tenant, const KeyId& key_id) {
  Impl& impl = *impl_;
  SubjectKey key;
  uint64_t forgotten = 0;
  MAILY_TRY(const uint64_t destructions, impl.store->Destructions());
  {
    const std::scoped_lock lock(impl.reading);
    impl.Notice(destructions);
    if (impl.opened->FindById(tenant, key_id, key)) return key;
    forgotten = impl.forgotten;
  }
  MAILY_TRY(const TenantKeys* keys, FindTenant(tenant));
  MAILY_TRY(std::optional<std::string> stored, impl.store->Find(tenant, key_id));
  if (!stored) return Fail(Code::kNotFound, "the key is gone");
  MAILY_TRY(key, impl.Read(*keys, tenant, {key_id, *std::move(stored)}));
  const std::scoped_lock lock(impl.reading);
  if (forgotten == impl.forgotten) impl.opened->Put(tenant, key, "");
  return key;
}

Result<size_t> Keyring::Destroy(TenantId tenant, std::string_view subject) {
  Impl& impl = *impl_;
  const std::scoped_lock change(impl.changing);
  MAILY_TRY(const std::vector<KeyId> gone, impl.store->KeysOf(tenant, subject));
  if (gone.empty()) return size_t{0};
  const auto forget = [&] {
    const std::scoped_lock lock(impl.reading);
    ++impl.forgotten;
    for (const KeyId& id : gone) impl.opened->Remove(tenant, id);
  };
  // Once before, so that nobody finds it from here on in memory alone, and once after, for who read it in between.
  forget();
  MAILY_TRY_VOID(impl.store->Destroy(tenant, subject));
  forget();
  return gone.size();
}

Result<void> Keyring::Move(TenantId tenant, std::string_view from, std::string_view to) {
  if (from == to) return Fail(Code::kInvalid, "keyring: keys are moved from one subject to another");
  Impl& impl = *impl_;
  const std::scoped_lock change(impl.changing);
  {
    const std::scoped_lock lock(impl.reading);  // who puts it back by its name holds `changing`
    impl.opened->RemoveSubject(tenant, from);
  }
  return impl.store->Move(tenant, from, to);
}

}  // namespace maily::keyring
