// The store of a keyring that several processes share: schema `maily_keyring` of a PostgreSQL database.
//
//   keyring       one row: mark of the root key, count of destructions
//   tenants       tenant -> its keys, wrapped
//   subject_keys  tenant, subject -> key_id, the key, wrapped; one a subject
//
// Put-if-absent is INSERT … ON CONFLICT DO NOTHING, and another read where a row was there; a batch is one statement. Whoever destroys a
// key counts it in the same transaction; the count is asked for at most every kNoticeWithin, and needs neither a session that listens nor a
// clock that agrees with another's. Sessions commit with synchronous_commit = on, whatever the server's default.
#pragma once

#include <memory>
#include <string>

#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/env.h"
#include "streams/port/key_store.h"

namespace maily::libpq {

// What one process destroys another uses no longer than this, and the time of a query, from its own memory. While the server does not
// answer, keys in memory are not used either.
inline constexpr Duration kNoticeWithin = Seconds(1);

struct KeyStoreOptions {
  std::string url;                  // of libpq
  Duration lock_wait = Seconds(5);  // how long to wait for what another session has locked before kRetry
};

// Connects, and makes the schema if there is none. Where it belongs to the role `maily_keyring` (deploy/postgres-keyring.sql), of which the
// login is a member, that role works; else the login. A session for each thread that asks at once. kRetry: the server does not answer.
// kInvalid: it refuses, or is older than version 15. `clock` outlives the store.
Result<std::unique_ptr<KeyStore>> OpenKeyStore(KeyStoreOptions options, Clock& clock);

// What `maily doctor` says. Changes nothing.
struct KeyStoreFinding {
  enum class Level { kOk, kWarn, kFail } level = Level::kOk;
  std::string detail;
  std::string fix;  // empty = nothing to do
};
KeyStoreFinding ExamineKeyStore(const std::string& url);

}  // namespace maily::libpq
