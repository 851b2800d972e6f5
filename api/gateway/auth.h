// API keys: who asks, for which tenant, and what it may do.
//
// A key is `mk_<key id>_<secret>`; only its SHA-256 is stored, in the tenant's state, and read here from the view of keys. The tenant
// always comes from the key, never from the request. A revoked key is refused at most kStaleMax after the view shows it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/views/views.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/cipher.h"
#include "streams/port/env.h"

namespace maily::gateway {

enum class Scope : uint8_t { kNone = 0, kRead = 1, kWrite = 2, kIngest = 4, kAdmin = 8 };
// "read", "write", "ingest", "admin", "none".
std::string_view ScopeName(Scope scope);

// Who a request comes from.
struct Caller {
  TenantId tenant;
  std::string actor;  // "key:<id>"
  uint8_t scopes = 0;
  // admin may all; write may read; ingest may neither read nor write.
  bool May(Scope scope) const;
};

struct NewApiKey {
  std::string text;    // shown once
  std::string key_id;  // 12 letters and digits
  keyring::Digest hash{};
};
NewApiKey MakeApiKey(Entropy& entropy);
// The same key for the same secret and request: nobody without the secret can compute it.
NewApiKey MakeApiKey(const keyring::Key& secret, std::string_view request);

// What the view says of a key.
struct StoredKey {
  TenantId tenant;
  std::string secret_hash;  // 32 bytes
  uint8_t scopes = 0;
  bool revoked = false;
};
// kNotFound: there is no such key. Called on the blocking executor.
using FindKey = std::function<Result<StoredKey>(const std::string& key_id)>;
// Query `api_key` of the views.
FindKey KeysFromViews(projections::Views& views);
uint8_t ScopesOf(const std::vector<std::string>& names);

// Thread: any.
class Auth {
 public:
  static constexpr Duration kStaleMax = Milliseconds(500);

  // `blocking` may wait for SQL. Both outlive this.
  Auth(FindKey find, Executor& blocking, Clock& clock);
  ~Auth();

  using Done = std::move_only_function<void(Result<Caller>)>;
  // `authorization`: the header's value, "Bearer mk_…". Calls `done` at once if the key is known and fresh, else on the blocking executor.
  // kInvalid: no or wrong credentials (401). kRetry: the keys cannot be read now (503).
  void Authenticate(std::string_view authorization, Done done);
  // What can be said without SQL; none: ask Authenticate.
  std::optional<Result<Caller>> Known(std::string_view authorization);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::gateway
