// Implements the keyring's store on PostgreSQL.
#include "streams/adapters/postgres/key_store.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "streams/adapters/postgres/array.h"
#include "streams/adapters/postgres/session.h"
#include "streams/base/bytes.h"

namespace maily::libpq {
namespace {

constexpr unsigned int kBytea = 17;  // Oid
constexpr int kServerVersionMin = 150'000;
constexpr int kAttempts = 3;

constexpr const char* kMake = R"sql(
BEGIN;
SELECT pg_advisory_xact_lock(7165190411);
DO $$ BEGIN IF to_regnamespace('maily_keyring') IS NULL THEN CREATE SCHEMA maily_keyring; END IF; END $$;
CREATE TABLE IF NOT EXISTS maily_keyring.keyring (
  one bool PRIMARY KEY DEFAULT true CHECK (one), root_mark bytea NOT NULL, destructions int8 NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS maily_keyring.tenants (tenant int8 PRIMARY KEY, wrapped bytea NOT NULL);
CREATE TABLE IF NOT EXISTS maily_keyring.subject_keys (
  tenant int8, subject bytea, key_id bytea NOT NULL, wrapped bytea NOT NULL, PRIMARY KEY (tenant, subject), UNIQUE (tenant, key_id));
COMMIT)sql";

// Whether the schema is the role's, and this login may take it.
constexpr const char* kUnderRole =
    "SELECT EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner "
    "WHERE n.nspname = 'maily_keyring' AND r.rolname = 'maily_keyring' AND pg_has_role(r.oid, 'MEMBER'))";

constexpr const char* kOfSubjects =
    "SELECT a.n, k.key_id, k.wrapped FROM unnest($2::bytea[]) WITH ORDINALITY AS a(subject, n) "
    "JOIN maily_keyring.subject_keys k ON k.tenant = $1::int8 AND k.subject = a.subject";
// In order, so that two batches do not wait for each other.
constexpr const char* kPut =
    "INSERT INTO maily_keyring.subject_keys SELECT $1::int8, u.* FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) AS u(subject, key_id, "
    "wrapped) ORDER BY u.subject ON CONFLICT DO NOTHING";
// A row a subject is what GetOrPut goes by. Keys that were moved to a subject stand under its name with their ids behind it, so a name must
// not be that of another with 8 bytes more: the names of contacts have all the same length.
#define MAILY_OF_SUBJECT                                                                                                         \
  "tenant = $1::int8 AND (subject = $2::bytea OR (subject > $2::bytea AND subject <= $2::bytea || '\\xffffffffffffffff'::bytea " \
  "AND length(subject) = length($2::bytea) + 8))"
constexpr const char* kKeysOf = "SELECT key_id FROM maily_keyring.subject_keys WHERE " MAILY_OF_SUBJECT;
constexpr const char* kMove =
    "WITH moved AS (UPDATE maily_keyring.subject_keys SET subject = $3::bytea || key_id WHERE " MAILY_OF_SUBJECT
    " RETURNING 1) UPDATE maily_keyring.keyring SET destructions = destructions + 1 WHERE EXISTS (SELECT 1 FROM moved)";
constexpr const char* kDestroy = "WITH gone AS (DELETE FROM maily_keyring.subject_keys WHERE " MAILY_OF_SUBJECT
                                 " RETURNING 1) "
                                 "UPDATE maily_keyring.keyring SET destructions = destructions + 1 WHERE EXISTS (SELECT 1 FROM gone)";

std::string Int8(uint64_t value) {
  std::string bytes;
  PutOrdered(bytes, value);
  return bytes;
}
uint64_t NumberOf(std::string_view bytes) {
  uint64_t number = 0;
  for (const char byte : bytes) number = number << 8U | static_cast<uint8_t>(byte);
  return number;
}
std::string_view View(const KeyId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }
Result<KeyId> IdOf(std::string_view bytes) {
  KeyId id;
  if (bytes.size() != id.size()) return Fail(Code::kCorrupt, "keyring: {} stored bytes are no key id", bytes.size());
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

// Runs one statement, its parameters and its answer in binary.
Result<ResultHandle> ExecWith(PGconn* connection, const char* sql, std::initializer_list<std::string_view> parameters) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string_view parameter : parameters) {
    values.push_back(parameter.data() == nullptr ? "" : parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
  }
  const std::vector<int> binary(parameters.size(), 1);
  ResultHandle result(
      PQexecParams(connection, sql, static_cast<int>(values.size()), nullptr, values.data(), lengths.data(), binary.data(), 1));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return ErrorOf(connection, result.get(), sql);
  return result;
}

class PostgresKeyStore final : public KeyStore {
 public:
  PostgresKeyStore(KeyStoreOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

  Result<void> Start() {
    MAILY_TRY(ConnectionHandle session, Dial());
    if (PQserverVersion(session.get()) < kServerVersionMin) {
      return Fail(Code::kInvalid, "PostgreSQL {} is too old: 15 or newer is needed", PQserverVersion(session.get()) / 10'000);
    }
    MAILY_TRY(const ResultHandle there, Exec(session.get(), "SELECT to_regclass('maily_keyring.subject_keys') IS NOT NULL"));
    if (Field(there, 0, 0) != "t") MAILY_TRY_VOID(Exec(session.get(), kMake));
    idle_.push_back(std::move(session));
    return Ok();
  }

  Result<std::string> GetOrPutRoot(std::string_view mark) override {
    MAILY_TRY_VOID(Ask("INSERT INTO maily_keyring.keyring (root_mark) VALUES ($1::bytea) ON CONFLICT DO NOTHING", {mark}));
    return One(Ask("SELECT root_mark FROM maily_keyring.keyring", {}));
  }

  Result<std::optional<std::string>> Tenant(TenantId tenant) override {
    return AtMostOne(Ask("SELECT wrapped FROM maily_keyring.tenants WHERE tenant = $1::int8", {Int8(tenant.value())}));
  }
  Result<std::string> GetOrPutTenant(TenantId tenant, std::string_view wrapped) override {
    MAILY_TRY_VOID(
        Ask("INSERT INTO maily_keyring.tenants VALUES ($1::int8, $2::bytea) ON CONFLICT DO NOTHING", {Int8(tenant.value()), wrapped}));
    return One(Ask("SELECT wrapped FROM maily_keyring.tenants WHERE tenant = $1::int8", {Int8(tenant.value())}));
  }

  Result<std::vector<Wrapped>> GetOrPut(TenantId tenant, std::span<const std::string_view> subjects, const Make& make) override {
    std::vector<Wrapped> keys(subjects.size());
    std::vector<size_t> missing(subjects.size());
    for (size_t i = 0; i < missing.size(); ++i) missing[i] = i;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      MAILY_TRY_VOID(Read(tenant, subjects, keys, missing));
      if (missing.empty()) return keys;
      MAILY_TRY(const bool all, Put(tenant, subjects, make, keys, missing));
      if (all) return keys;
    }
    MAILY_TRY_VOID(Read(tenant, subjects, keys, missing));
    if (missing.empty()) return keys;
    return Fail(Code::kRetry, "keyring: keys that were just made are gone");
  }
  Result<bool> HasIdsFrom(TenantId tenant, uint32_t first) override {
    std::string from;
    std::string to;
    PutOrdered(from, uint64_t{first} << 32U);
    PutOrdered(to, uint64_t{first} << 32U | UINT32_MAX);
    MAILY_TRY(
        const ResultHandle rows,
        Ask("SELECT 1 FROM maily_keyring.subject_keys WHERE tenant = $1::int8 AND key_id >= $2::bytea AND key_id <= $3::bytea LIMIT 1",
            {Int8(tenant.value()), from, to}));
    return PQntuples(rows.get()) > 0;
  }

  Result<std::optional<std::string>> Find(TenantId tenant, const KeyId& id) override {
    return AtMostOne(Ask("SELECT wrapped FROM maily_keyring.subject_keys WHERE tenant = $1::int8 AND key_id = $2::bytea",
                         {Int8(tenant.value()), View(id)}));
  }

  Result<std::vector<KeyId>> KeysOf(TenantId tenant, std::string_view subject) override {
    MAILY_TRY(const ResultHandle rows, Ask(kKeysOf, {Int8(tenant.value()), subject}));
    std::vector<KeyId> ids(static_cast<size_t>(PQntuples(rows.get())));
    for (size_t row = 0; row < ids.size(); ++row) {
      MAILY_TRY(ids[row], IdOf(Field(rows, static_cast<int>(row), 0)));
    }
    return ids;
  }
  Result<void> Destroy(TenantId tenant, std::string_view subject) override {
    MAILY_TRY_VOID(Ask(kDestroy, {Int8(tenant.value()), subject}));
    return Ok();
  }

  Result<void> Move(TenantId tenant, std::string_view from, std::string_view to) override {
    MAILY_TRY_VOID(Ask(kMove, {Int8(tenant.value()), from, to}));
    return Ok();
  }

  Result<uint64_t> Destructions() override {
    const std::lock_guard lock(noticing_);
    // The age counts from before the question.
    const Duration now = clock_.Steady();
    if (asked_at_ && now.us - asked_at_->us < kNoticeWithin.us) return destructions_;
    MAILY_TRY(const std::string count, One(Ask("SELECT coalesce(max(destructions), 0) FROM maily_keyring.keyring", {})));
    destructions_ = NumberOf(count);
    asked_at_ = now;
    return destructions_;
  }

 private:
  Result<ConnectionHandle> Dial() const {
    MAILY_TRY(ConnectionHandle session, Connect(options_.url));
    MAILY_TRY(const ResultHandle under_role, Exec(session.get(), kUnderRole));
    MAILY_TRY_VOID(Exec(session.get(), fmt::format("SET synchronous_commit = on; SET lock_timeout = {}{}", options_.lock_wait.us / 1000,
                                                   Field(under_role, 0, 0) == "t" ? "; SET ROLE maily_keyring" : "")));
    return session;
  }

  // Runs one statement that may run twice. On a session that broke since it was last used, it does.
  Result<ResultHandle> Ask(const char* sql, std::initializer_list<std::string_view> parameters) {
    ConnectionHandle session;
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        session = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    const bool used = session != nullptr;
    if (!used) {
      MAILY_TRY(session, Dial());
    }
    auto answer = ExecWith(session.get(), sql, parameters);
    if (used && PQstatus(session.get()) != CONNECTION_OK) {
      MAILY_TRY(session, Dial());
      answer = ExecWith(session.get(), sql, parameters);
    }
    if (PQstatus(session.get()) == CONNECTION_OK) {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(session));
    }
    return answer;
  }
  static Result<std::optional<std::string>> AtMostOne(Result<ResultHandle> rows) {
    if (!rows) return rows.error();
    if (PQntuples(rows->get()) == 0) return std::optional<std::string>();
    return std::optional(Field(*rows, 0, 0));
  }
  static Result<std::string> One(Result<ResultHandle> rows) {
    MAILY_TRY(auto field, AtMostOne(std::move(rows)));
    if (!field) return Fail(Code::kRetry, "keyring: a row that was just made is gone");
    return *std::move(field);
  }

  // Fills `keys` where there is one; `missing`, some of the subjects, in order, becomes those without.
  Result<void> Read(TenantId tenant, std::span<const std::string_view> subjects, std::vector<Wrapped>& keys, std::vector<size_t>& missing) {
    ArrayColumn names(kBytea);
    for (const size_t i : missing) names.Add(subjects[i]);
    MAILY_TRY(const ResultHandle rows, Ask(kOfSubjects, {Int8(tenant.value()), names.Finish()}));
    std::vector<bool> found(missing.size());
    for (int row = 0; row < PQntuples(rows.get()); ++row) {
      const size_t at = NumberOf(Field(rows, row, 0)) - 1;
      MAILY_TRY(const KeyId id, IdOf(Field(rows, row, 1)));
      keys[missing[at]] = {id, Field(rows, row, 2)};
      found[at] = true;
    }
    size_t kept = 0;
    for (size_t at = 0; at < missing.size(); ++at) {
      if (!found[at]) missing[kept++] = missing[at];
    }
    missing.resize(kept);
    return Ok();
  }
  // Makes and offers keys for those missing. Whether all of them were taken; if not, it is not known which.
  Result<bool> Put(TenantId tenant, std::span<const std::string_view> subjects, const Make& make, std::vector<Wrapped>& keys,
                   const std::vector<size_t>& missing) {
    ArrayColumn names(kBytea);
    ArrayColumn ids(kBytea);
    ArrayColumn wrapped(kBytea);
    for (const size_t i : missing) {
      MAILY_TRY(keys[i], make(i));
      names.Add(subjects[i]);
      ids.Add(View(keys[i].id));
      wrapped.Add(keys[i].bytes);
    }
    MAILY_TRY(const ResultHandle done, Ask(kPut, {Int8(tenant.value()), names.Finish(), ids.Finish(), wrapped.Finish()}));
    return std::strtoull(PQcmdTuples(done.get()), nullptr, 10) == missing.size();
  }

  const KeyStoreOptions options_;
  Clock& clock_;
  std::mutex mutex_;
  std::vector<ConnectionHandle> idle_;  // guarded by mutex_
  std::mutex noticing_;                 // guards what follows; held over the question
  std::optional<Duration> asked_at_;    // steady
  uint64_t destructions_ = 0;
};

}  // namespace

Result<std::unique_ptr<KeyStore>> OpenKeyStore(KeyStoreOptions options, Clock& clock) {
  auto store = std::make_unique<PostgresKeyStore>(std::move(options), clock);
  MAILY_TRY_VOID(store->Start());
  return std::unique_ptr<KeyStore>(std::move(store));
}

KeyStoreFinding ExamineKeyStore(const std::string& url) {
  using Level = KeyStoreFinding::Level;
  const auto session = Connect(url);
  if (!session) return {Level::kFail, session.error().message, "is it running, and does `keyring` name it? the server waits for it"};
  const auto row = Exec(session->get(),
                        "SELECT current_database(), current_setting('fsync') = 'on' AND current_setting('full_page_writes') "
                        "= 'on', to_regclass('maily_keyring.subject_keys') IS NOT NULL");
  const auto role = Exec(session->get(), kUnderRole);
  if (!row || !role) return {Level::kFail, (row ? role : row).error().message, "deploy/postgres-keyring.sql grants what the keyring needs"};
  const std::string where = fmt::format("PostgreSQL, schema maily_keyring of database {}", Field(*row, 0, 0));
  if (Field(*row, 0, 1) != "t") {
    return {Level::kFail, where + ": fsync or full_page_writes is off, loss of power can destroy keys and all that they seal",
            "turn both on"};
  }
  if (Field(*row, 0, 2) != "t") return {Level::kWarn, where + " does not exist yet", "maily serve makes it"};
  if (Field(*role, 0, 0) != "t") {
    return {Level::kWarn, where + ": belongs to this login, not to a role of its own",
            "psql -f deploy/postgres-keyring.sql before the first start"};
  }
  return {Level::kOk, where + ", under its own role; an erasure is noticed everywhere within a second", ""};
}

}  // namespace maily::libpq
