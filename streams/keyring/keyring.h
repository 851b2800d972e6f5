// The keys that personal data is sealed with: a few of each tenant, and random ones of each subject. [format]
//
// A subject is whom data is about (a contact key, opaque bytes here). It may own several keys; destroying all of them erases what was
// sealed with them, wherever copies of it are. So "key gone" (kNotFound) is a normal outcome, not a failure.
//
// Where several processes share a store, each keeps opened keys in memory, and asks the store whether one was destroyed before it uses
// them. A key that is wrapped is bound to its place, 't' tenant u32 or 'k' tenant u32 key_id 8 (big-endian), by associated data.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/cipher.h"
#include "streams/keyring/subject_key.h"
#include "streams/port/env.h"
#include "streams/port/key_store.h"
#include "streams/port/kv.h"

namespace maily::keyring {

struct TenantKeys {
  Key identity;  // contact and domain keys are HMACs of it: never rotates
  Key wrap;      // wraps the subject keys
  Key token;     // signs what leaves in mails and answers
  Key digest;    // of personal fields, to see what is unchanged
  Key request;   // request hashes
};

// Thread: any. Every write is durable when it returns.
class Keyring {
 public:
  struct Options {
    // Of opened subject keys kept in memory, about 100 bytes each; the oldest go first.
    size_t cache_bytes_max = 16 << 20;
  };
  // kFatal: the store was made with another root key.
  static Result<std::unique_ptr<Keyring>> Open(std::unique_ptr<KeyStore> store, const Key& root, Entropy& entropy, Options options);
  // Over `kv`, opened with KvDurability::kOnWrite.
  static Result<std::unique_ptr<Keyring>> Open(std::unique_ptr<Kv> kv, const Key& root, Entropy& entropy, Options options);
  ~Keyring();

  // The keys of a tenant, made if it has none. The pointer stays valid as long as the Keyring.
  Result<const TenantKeys*> Tenant(TenantId tenant);
  // The same, but kNotFound if it has none: for tenants that outsiders name.
  Result<const TenantKeys*> FindTenant(TenantId tenant);

  // A key for every subject, in their order; those that have none get one, all in one synced batch. Two callers at once get the same, be
  // they in two processes.
  Result<std::vector<SubjectKey>> GetOrCreate(TenantId tenant, std::span<const std::string_view> subjects);
  Result<SubjectKey> GetOrCreate(TenantId tenant, std::string_view subject);

  // The key of that id. kNotFound: it is gone, or never was.
  Result<SubjectKey> Find(TenantId tenant, const KeyId& key_id);

  // Destroys all keys of the subject; how many there were. Nobody in this process opens what they sealed, or seals with them, from when
  // this returns; nobody in another from when its store knows (KeyStore::Destructions).
  Result<size_t> Destroy(TenantId tenant, std::string_view subject);
  // Files all keys of `from` under `to`, so that destroying the keys of `to` destroys them; what they sealed is opened as before. The next
  // who asks for a key of `from` gets a new one, as soon as after a Destroy. Again: nothing. kInvalid: both are the same.
  Result<void> Move(TenantId tenant, std::string_view from, std::string_view to);

 private:
  struct Impl;
  explicit Keyring(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::keyring
