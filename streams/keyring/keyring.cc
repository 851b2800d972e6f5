// The keyring over a Kv: wrapped keys on disk, opened ones in a bounded cache.
#include "streams/keyring/keyring.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>

#include "streams/base/bytes.h"
#include "streams/keyring/opened.h"

namespace maily::keyring {
namespace {

constexpr char kVersion = 1;  // of a wrapped key: version 1 | nonce 12 | ciphertext | tag 16

std::string TenantKey(char kind, TenantId tenant, std::string_view rest) {
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
  Impl(std::unique_ptr<Kv> opened_kv, const Key& root_key, Entropy& random, size_t cache_bytes_max)
      : kv(std::move(opened_kv)), root(root_key), entropy(random), opened(cache_bytes_max) {}

  Result<const TenantKeys*> Tenant(TenantId tenant, bool create);
  Result<SubjectKey> Read(const TenantKeys& keys, const std::string& id_place, std::string_view stored);
  Result<KeyId> NewId(TenantId tenant);

  const std::unique_ptr<Kv> kv;
  const Key root;
  Entropy& entropy;

  // Lock order: changing, then reading.
  std::mutex changing;  // held while keys are made or destroyed, over the synced write
  std::mutex reading;   // guards what follows; never held over I/O
  std::unordered_map<TenantId, std::unique_ptr<TenantKeys>> tenants;
  Opened opened;
  std::unordered_map<TenantId, uint64_t> next_ids;  // guarded by changing
  uint64_t destroyed = 0;                           // how many calls of Destroy: what was read before one may be gone after it
};

Result<const TenantKeys*> Keyring::Impl::Tenant(TenantId tenant, bool create) {
  {
    const std::scoped_lock lock(reading);
    const auto found = tenants.find(tenant);
    if (found != tenants.end()) return static_cast<const TenantKeys*>(found->second.get());
  }
  const std::string place = TenantKey('t', tenant, "");
  auto keys = std::make_unique<TenantKeys>();
  Key* const all[] = {&keys->identity, &keys->wrap, &keys->token, &keys->digest, &keys->request};
  const std::scoped_lock change(changing);
  MAILY_TRY(const std::optional<std::string> stored, kv->Get(place));
  if (stored) {
    MAILY_TRY(std::string secret, Unwrap(root, *stored, place, std::size(all) * kKeyBytes));
    for (size_t i = 0; i < std::size(all); ++i) *all[i] = Key::From(std::string_view(secret).substr(i * kKeyBytes, kKeyBytes));
    explicit_bzero(secret.data(), secret.size());
  } else if (!create) {
    return Fail(Code::kNotFound, "tenant {} has no keys", tenant.value());
  } else {
    std::string secret;
    for (Key* key : all) {
      entropy.Fill(key->bytes);
      secret.append(key->view());
    }
    KvBatch batch;
    batch.Put(place, Wrap(root, secret, place, entropy));
    explicit_bzero(secret.data(), secret.size());
    MAILY_TRY_VOID(kv->Write(batch));
  }
  const std::scoped_lock lock(reading);
  // Another thread may have read them meanwhile: its copy stays.
  return static_cast<const TenantKeys*>(tenants.try_emplace(tenant, std::move(keys)).first->second.get());
}

Result<SubjectKey> Keyring::Impl::Read(const TenantKeys& keys, const std::string& id_place, std::string_view stored) {
  MAILY_TRY(std::string secret, Unwrap(keys.wrap, stored, id_place, kKeyBytes));
  SubjectKey key;
  std::memcpy(key.key_id.data(), id_place.data() + id_place.size() - key.key_id.size(), key.key_id.size());
  key.key = Key::From(secret);
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
      std::string from = TenantKey('k', tenant, "");
      std::string to = from;
      PutOrdered(from, next);
      PutOrdered(to, next | UINT32_MAX);
      taken = false;
      MAILY_TRY_VOID(kv->Scan(from, to, [&](std::string_view, std::string_view) {
        taken = true;
        return false;
      }));
    }
    ++next;
  }
  std::string bytes;
  PutOrdered(bytes, next++);
  KeyId id;
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

Result<std::unique_ptr<Keyring>> Keyring::Open(std::unique_ptr<Kv> kv, const Key& root, Entropy& entropy, Options options) {
  const std::string mark = HmacSha256(root, {"maily keyring root"}, 16);
  MAILY_TRY(const std::optional<std::string> stored, kv->Get("r"));
  if (!stored) {
    KvBatch batch;
    batch.Put("r", mark);
    MAILY_TRY_VOID(kv->Write(batch));
  } else if (!ConstantTimeEqual(*stored, mark)) {
    return Fail(Code::kFatal, "the keyring was made with another root key; restore the root key file that belongs to it");
  }
  return std::unique_ptr<Keyring>(new Keyring(std::make_unique<Impl>(std::move(kv), root, entropy, options.cache_bytes_max)));
}

Keyring::Keyring(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Keyring::~Keyring() = default;

Result<const TenantKeys*> Keyring::Tenant(TenantId tenant) { return impl_->Tenant(tenant, /*create=*/true); }
Result<const TenantKeys*> Keyring::FindTenant(TenantId tenant) { return impl_->Tenant(tenant, /*create=*/false); }

Result<std::vector<SubjectKey>> Keyring::GetOrCreate(TenantId tenant, std::span<const std::string_view> subjects) {
  Impl& impl = *impl_;
  MAILY_TRY(const TenantKeys* keys, Tenant(tenant));
  std::vector<SubjectKey> result(subjects.size());
  std::vector<size_t> missing;
  {
    const std::scoped_lock lock(impl.reading);
    for (size_t i = 0; i < subjects.size(); ++i) {
      if (!impl.opened.FindBySubject(tenant, subjects[i], result[i])) missing.push_back(i);
    }
  }
  if (missing.empty()) return result;
  const std::scoped_lock change(impl.changing);
  KvBatch batch;
  std::map<std::string, size_t> made;  // places of subjects, in order
  for (const size_t i : missing) {
    std::string place = TenantKey('s', tenant, subjects[i]);
    if (const auto twin = made.find(place); twin != made.end()) {
      result[i] = result[twin->second];
      continue;
    }
    MAILY_TRY(const std::optional<std::string> ids, impl.kv->Get(place));
    if (!ids) {
      MAILY_TRY(result[i].key_id, impl.NewId(tenant));
      impl.entropy.Fill(result[i].key.bytes);
      std::string id_place = TenantKey('k', tenant, View(result[i].key_id));
      std::string wrapped = Wrap(keys->wrap, result[i].key.view(), id_place, impl.entropy);
      batch.Put(std::move(id_place), std::move(wrapped));
      made.emplace(std::move(place), i);
      continue;
    }
    KeyId id;
    if (ids->size() < id.size() || ids->size() % id.size() != 0)
      return Fail(Code::kCorrupt, "keyring: {} stored bytes are no key ids", ids->size());
    std::memcpy(id.data(), ids->data() + ids->size() - id.size(), id.size());
    const std::string id_place = TenantKey('k', tenant, View(id));
    MAILY_TRY(const std::optional<std::string> stored, impl.kv->Get(id_place));
    if (!stored) return Fail(Code::kCorrupt, "keyring: a key id is there, its key is not");
    MAILY_TRY(result[i], impl.Read(*keys, id_place, *stored));
  }
  for (const auto& [place, i] : made) batch.Put(place, std::string(View(result[i].key_id)));
  if (!batch.changes.empty()) MAILY_TRY_VOID(impl.kv->Write(batch));
  const std::scoped_lock lock(impl.reading);
  for (const size_t i : missing) impl.opened.Put(tenant, result[i], subjects[i]);
  return result;
}

Result<SubjectKey> Keyring::GetOrCreate(TenantId tenant, std::string_view subject) {
  MAILY_TRY(std::vector<SubjectKey> keys, GetOrCreate(tenant, std::span(&subject, 1)));
  return keys[0];
}

Result<SubjectKey> Keyring::Find(TenantId tenant, const KeyId& key_id) {
  Impl& impl = *impl_;
  const std::string id_place = TenantKey('k', tenant, View(key_id));
  SubjectKey key;
  uint64_t destroyed = 0;
  {
    const std::scoped_lock lock(impl.reading);
    if (impl.opened.FindById(tenant, key_id, key)) return key;
    destroyed = impl.destroyed;
  }
  MAILY_TRY(const TenantKeys* keys, FindTenant(tenant));
  MAILY_TRY(const std::optional<std::string> stored, impl.kv->Get(id_place));
  if (!stored) return Fail(Code::kNotFound, "the key is gone");
  MAILY_TRY(key, impl.Read(*keys, id_place, *stored));
  const std::scoped_lock lock(impl.reading);
  // A key read before a Destroy is not put back after it.
  if (destroyed == impl.destroyed) impl.opened.Put(tenant, key, "");
  return key;
}

Result<size_t> Keyring::Destroy(TenantId tenant, std::string_view subject) {
  Impl& impl = *impl_;
  const std::string place = TenantKey('s', tenant, subject);
  const std::scoped_lock change(impl.changing);
  MAILY_TRY(const std::optional<std::string> ids, impl.kv->Get(place));
  if (!ids) return size_t{0};
  KvBatch batch;
  std::vector<KeyId> gone;
  for (size_t at = 0; at + sizeof(KeyId) <= ids->size(); at += sizeof(KeyId)) {
    std::memcpy(gone.emplace_back().data(), ids->data() + at, sizeof(KeyId));
    batch.Delete(TenantKey('k', tenant, View(gone.back())));
  }
  batch.Delete(place);
  const auto forget = [&] {
    const std::scoped_lock lock(impl.reading);
    ++impl.destroyed;
    for (const KeyId& id : gone) impl.opened.Remove(tenant, id);
  };
  // Once before, so that nobody finds it from here on in memory alone, and once after, for who read it in between.
  forget();
  MAILY_TRY_VOID(impl.kv->Write(batch));
  forget();
  return gone.size();
}

}  // namespace maily::keyring
