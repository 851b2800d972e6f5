// The keyring over a Kv: wrapped keys on disk, opened ones in a bounded cache.
#include "streams/keyring/keyring.h"

#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>

#include "streams/base/bytes.h"

namespace maily::keyring {
namespace {

constexpr char kVersion = 1;  // of a wrapped key: version 1 | nonce 12 | ciphertext | tag 16
constexpr size_t kEntryBytes = 256;

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

// Opened keys, by id and by subject, the least recently used last.
class Opened {
 public:
  explicit Opened(size_t bytes_max) : bytes_max_(bytes_max) {}

  bool FindById(const std::string& id_place, SubjectKey& out) { return Hit(by_id_, id_place, out); }
  bool FindBySubject(const std::string& subject_place, SubjectKey& out) { return Hit(by_subject_, subject_place, out); }

  // `subject_place` is empty if it is not known.
  void Put(const std::string& id_place, const std::string& subject_place, const SubjectKey& key) {
    Remove(id_place);
    entries_.push_front({id_place, subject_place, key});
    by_id_[id_place] = entries_.begin();
    if (!subject_place.empty()) by_subject_[subject_place] = entries_.begin();
    bytes_ += Size(entries_.front());
    while (bytes_ > bytes_max_ && !entries_.empty()) Remove(std::string(entries_.back().id_place));
  }
  void Remove(const std::string& id_place) {
    const auto found = by_id_.find(id_place);
    if (found == by_id_.end()) return;
    const auto entry = found->second;
    const auto of_subject = by_subject_.find(entry->subject_place);
    if (of_subject != by_subject_.end() && of_subject->second == entry) by_subject_.erase(of_subject);
    bytes_ -= Size(*entry);
    by_id_.erase(found);
    entries_.erase(entry);
  }

 private:
  struct Entry {
    std::string id_place;
    std::string subject_place;
    SubjectKey key;
  };
  using Entries = std::list<Entry>;
  using Map = std::unordered_map<std::string, Entries::iterator>;

  static size_t Size(const Entry& entry) { return kEntryBytes + 2 * entry.subject_place.size(); }
  bool Hit(Map& map, const std::string& place, SubjectKey& out) {
    const auto found = map.find(place);
    if (found == map.end()) return false;
    entries_.splice(entries_.begin(), entries_, found->second);
    out = found->second->key;
    return true;
  }

  const size_t bytes_max_;
  size_t bytes_ = 0;
  Entries entries_;
  Map by_id_;
  Map by_subject_;
};

}  // namespace

struct Keyring::Impl {
  Impl(std::unique_ptr<Kv> opened_kv, const Key& root_key, Entropy& random, size_t cache_bytes_max)
      : kv(std::move(opened_kv)), root(root_key), entropy(random), opened(cache_bytes_max) {}

  Result<const TenantKeys*> Tenant(TenantId tenant, bool create);
  Result<SubjectKey> Read(const TenantKeys& keys, const std::string& id_place, std::string_view stored);
  Result<SubjectKey> NewKey(TenantId tenant, const TenantKeys& keys, KvBatch& batch, std::string_view subject_place);

  const std::unique_ptr<Kv> kv;
  const Key root;
  Entropy& entropy;

  // Lock order: changing, then reading.
  std::mutex changing;  // held while keys are made or destroyed, over the synced write
  std::mutex reading;   // guards what follows; never held over I/O
  std::unordered_map<TenantId, std::unique_ptr<TenantKeys>> tenants;
  Opened opened;
  uint64_t destroyed = 0;  // how many calls of Destroy: what was read before one may be gone after it
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

Result<SubjectKey> Keyring::Impl::NewKey(TenantId tenant, const TenantKeys& keys, KvBatch& batch, std::string_view subject_place) {
  SubjectKey key;
  entropy.Fill(key.key.bytes);
  std::string id_place;
  // Ids are random: with a thousand million of them two would meet once in forty tries.
  for (bool taken = true; taken;) {
    entropy.Fill(key.key_id);
    id_place = TenantKey('k', tenant, View(key.key_id));
    MAILY_TRY(const std::optional<std::string> other, kv->Get(id_place));
    taken = other.has_value();
  }
  batch.Put(id_place, Wrap(keys.wrap, key.key.view(), id_place, entropy));
  batch.Put(std::string(subject_place), std::string(View(key.key_id)));
  return key;
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
  std::vector<std::string> places;
  places.reserve(subjects.size());
  std::vector<size_t> missing;
  {
    const std::scoped_lock lock(impl.reading);
    for (size_t i = 0; i < subjects.size(); ++i) {
      places.push_back(TenantKey('s', tenant, subjects[i]));
      if (!impl.opened.FindBySubject(places[i], result[i])) missing.push_back(i);
    }
  }
  if (missing.empty()) return result;
  const std::scoped_lock change(impl.changing);
  KvBatch batch;
  std::unordered_map<std::string_view, size_t> made;
  for (const size_t i : missing) {
    if (const auto twin = made.find(places[i]); twin != made.end()) {
      result[i] = result[twin->second];
      continue;
    }
    MAILY_TRY(const std::optional<std::string> ids, impl.kv->Get(places[i]));
    if (!ids) {
      MAILY_TRY(result[i], impl.NewKey(tenant, *keys, batch, places[i]));
      made.emplace(places[i], i);
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
  if (!batch.changes.empty()) MAILY_TRY_VOID(impl.kv->Write(batch));
  const std::scoped_lock lock(impl.reading);
  for (const size_t i : missing) impl.opened.Put(TenantKey('k', tenant, View(result[i].key_id)), places[i], result[i]);
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
    if (impl.opened.FindById(id_place, key)) return key;
    destroyed = impl.destroyed;
  }
  MAILY_TRY(const TenantKeys* keys, FindTenant(tenant));
  MAILY_TRY(const std::optional<std::string> stored, impl.kv->Get(id_place));
  if (!stored) return Fail(Code::kNotFound, "the key is gone");
  MAILY_TRY(key, impl.Read(*keys, id_place, *stored));
  const std::scoped_lock lock(impl.reading);
  // A subject already cached under its name keeps that entry; a key read before a Destroy is not put back after it.
  SubjectKey other;
  if (destroyed == impl.destroyed && !impl.opened.FindById(id_place, other)) impl.opened.Put(id_place, "", key);
  return key;
}

Result<size_t> Keyring::Destroy(TenantId tenant, std::string_view subject) {
  Impl& impl = *impl_;
  const std::string place = TenantKey('s', tenant, subject);
  const std::scoped_lock change(impl.changing);
  MAILY_TRY(const std::optional<std::string> ids, impl.kv->Get(place));
  if (!ids) return size_t{0};
  KvBatch batch;
  for (size_t at = 0; at + sizeof(KeyId) <= ids->size(); at += sizeof(KeyId)) {
    batch.Delete(TenantKey('k', tenant, std::string_view(*ids).substr(at, sizeof(KeyId))));
  }
  const size_t count = batch.changes.size();
  batch.Delete(place);
  const auto forget = [&] {
    const std::scoped_lock lock(impl.reading);
    ++impl.destroyed;
    for (size_t i = 0; i < count; ++i) impl.opened.Remove(batch.changes[i].key);
  };
  // Once before, so that nobody finds it from here on in memory alone, and once after, for who read it in between.
  forget();
  MAILY_TRY_VOID(impl.kv->Write(batch));
  forget();
  return count;
}

}  // namespace maily::keyring
