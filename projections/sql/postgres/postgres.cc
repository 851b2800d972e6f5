// Implements the databases of the SQL port as schemas.
#include "projections/sql/postgres/postgres.h"

#include <mutex>

#include "projections/sql/postgres/connection.h"
#include "projections/sql/postgres/roles.h"

namespace maily::sql {
namespace {

using postgres::Exec;
using postgres::Field;
using postgres::Literal;
using postgres::Quoted;
using postgres::ResultHandle;

constexpr int kServerVersionMin = 150'000;

class PostgresDatabases final : public Databases {
 public:
  explicit PostgresDatabases(PostgresOptions options) : options_(std::move(options)), own_(Quoted(options_.own_schema)) {}

  // Two processes may start at once: the second waits for the first.
  Result<void> Start() {
    const std::lock_guard lock(mutex_);
    MAILY_TRY_VOID(Dial());
    if (PQserverVersion(control_.get()) < kServerVersionMin) {
      return Fail(Code::kInvalid, "PostgreSQL {} is too old: 15 or newer is needed", PQserverVersion(control_.get()) / 10'000);
    }
    MAILY_TRY(const ResultHandle roles, Exec(control_.get(), postgres::RolesQuery()));
    roles_ = Field(roles, 0, 0) == "t";
    MAILY_TRY_VOID(TakeRole());
    MAILY_TRY(const ResultHandle there, Exec(control_.get(), fmt::format("SELECT to_regclass({})", Literal(own_ + ".holders"))));
    if (PQgetisnull(there.get(), 0, 0) == 0) return Ok();
    return Transaction(
        fmt::format(
            "SELECT pg_advisory_xact_lock(7165190410);"
            "CREATE SCHEMA IF NOT EXISTS {0};"
            "COMMENT ON SCHEMA {0} IS 'Which versions of the read models there are, and which of them answer';"
            "CREATE TABLE IF NOT EXISTS {0}.databases (name TEXT PRIMARY KEY, durable_at TIMESTAMPTZ);"
            "CREATE TABLE IF NOT EXISTS {0}.live (read_models TEXT PRIMARY KEY, live TEXT NOT NULL, previous TEXT NOT NULL);"
            "CREATE TABLE IF NOT EXISTS {0}.holders (read_models TEXT PRIMARY KEY, holder TEXT NOT NULL, until TIMESTAMPTZ NOT NULL);",
            own_) +
        (roles_ ? postgres::GrantOwnSchema(own_) : ""));
  }

  Result<std::unique_ptr<Connection>> Open(const std::string& name, Purpose purpose) override {
    MAILY_TRY_VOID(CheckName(name));
    {
      const std::lock_guard lock(mutex_);
      MAILY_TRY(const bool known, Known(name));
      if (!known && purpose == Purpose::kRead) return Fail(Code::kNotFound, "PostgreSQL: there is no schema {} of Maily", name);
      if (!known) MAILY_TRY_VOID(Make(name));
    }
    return postgres::PostgresConnection::Open({.url = options_.url,
                                               .schema = name,
                                               .own_schema = options_.own_schema,
                                               .lock_wait = options_.lock_wait,
                                               .role = roles_ ? postgres::kWriter : "",
                                               .owner = roles_ ? postgres::kOwner : ""},
                                              purpose);
  }

  Result<std::vector<std::string>> List() override {
    const std::lock_guard lock(mutex_);
    MAILY_TRY(const ResultHandle rows, Ask(fmt::format("SELECT name FROM {}.databases ORDER BY name COLLATE \"C\"", own_)));
    std::vector<std::string> names;
    for (int row = 0; row < PQntuples(rows.get()); ++row) names.push_back(Field(rows, row, 0));
    return names;
  }

  Result<void> Drop(const std::string& name) override {
    MAILY_TRY_VOID(CheckName(name));
    const std::lock_guard lock(mutex_);
    MAILY_TRY(const bool known, Known(name));
    if (!known) return Ok();
    return Transaction(
        fmt::format("DROP SCHEMA IF EXISTS {} CASCADE; DELETE FROM {}.databases WHERE name = {};", Quoted(name), own_, Literal(name)));
  }
  Result<void> Checkpoint(const std::string& /*name*/) override { return Ok(); }

  Result<std::optional<LivePointer>> Live(const std::string& group) override {
    const std::lock_guard lock(mutex_);
    MAILY_TRY(const ResultHandle row, Ask(fmt::format("SELECT live, previous FROM {}.live WHERE read_models = {}", own_, Literal(group))));
    if (PQntuples(row.get()) == 0) return std::optional<LivePointer>();
    return std::optional(LivePointer{Field(row, 0, 0), Field(row, 0, 1)});
  }
  Result<void> SetLive(const std::string& group, const LivePointer& pointer) override {
    const std::lock_guard lock(mutex_);
    return Transaction(fmt::format("INSERT INTO {}.live VALUES ({}, {}, {}) ON CONFLICT (read_models) DO UPDATE SET live = excluded.live, "
                                   "previous = excluded.previous;",
                                   own_, Literal(group), Literal(pointer.live), Literal(pointer.previous)) +
                       (roles_ ? postgres::Publish(own_, options_.private_tables) : ""));
  }

  Result<Held> Hold(const std::string& group, const std::string& holder, Duration lease) override {
    const std::lock_guard lock(mutex_);
    MAILY_TRY([[maybe_unused]] const auto taken,
              Ask(fmt::format("INSERT INTO {0}.holders AS held VALUES ({1}, {2}, clock_timestamp() + interval '{3} ms') "
                              "ON CONFLICT (read_models) DO UPDATE SET holder = excluded.holder, until = excluded.until "
                              "WHERE held.holder = excluded.holder OR held.until < clock_timestamp()",
                              own_, Literal(group), Literal(holder), lease.us / 1000)));
    MAILY_TRY(std::string found, HolderOf(group));
    return Held{found == holder, std::move(found)};
  }
  Result<std::string> Holder(const std::string& group) override {
    const std::lock_guard lock(mutex_);
    return HolderOf(group);
  }
  Result<void> Release(const std::string& group, const std::string& holder) override {
    const std::lock_guard lock(mutex_);
    MAILY_TRY([[maybe_unused]] const auto gone,
              Ask(fmt::format("DELETE FROM {}.holders WHERE read_models = {} AND holder = {}", own_, Literal(group), Literal(holder))));
    return Ok();
  }

 private:
  Result<void> CheckName(const std::string& name) const {
    const bool valid =
        !name.empty() && name.size() <= 60 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
    if (!valid) return Fail(Code::kInvalid, "'{}' is no database name", name);
    if (name == options_.own_schema || name == "public" || name == "analytics" || name == "maily_keyring" || name == "information_schema" ||
        name.starts_with("pg_")) {
      return Fail(Code::kInvalid, "the schema '{}' is not for read models", name);
    }
    return Ok();
  }

  // The rest: mutex_ is held.
  Result<std::string> HolderOf(const std::string& group) {
    MAILY_TRY(const ResultHandle row, Ask(fmt::format("SELECT holder FROM {}.holders WHERE read_models = {}", own_, Literal(group))));
    return PQntuples(row.get()) == 0 ? std::string() : Field(row, 0, 0);
  }
  Result<void> Dial() {
    control_.reset();
    MAILY_TRY(control_, postgres::Connect(options_.url));
    MAILY_TRY([[maybe_unused]] const auto set, Exec(control_.get(), fmt::format("SET lock_timeout = {}", options_.lock_wait.us / 1000)));
    return TakeRole();
  }
  Result<void> TakeRole() {
    if (!roles_) return Ok();
    MAILY_TRY([[maybe_unused]] const auto set, Exec(control_.get(), fmt::format("SET ROLE {}", postgres::kOwner)));
    return Ok();
  }
  Result<void> EnsureConnected() {
    if (control_ != nullptr && PQstatus(control_.get()) == CONNECTION_OK) return Ok();
    return Dial();
  }
  // A question is asked again where the connection had broken meanwhile.
  Result<ResultHandle> Ask(const std::string& sql) {
    MAILY_TRY_VOID(EnsureConnected());
    auto answer = Exec(control_.get(), sql);
    if (answer || PQstatus(control_.get()) == CONNECTION_OK) return answer;
    MAILY_TRY_VOID(Dial());
    return Exec(control_.get(), sql);
  }
  // All of it, or nothing. What is done here may be done twice: a lost connection leaves the caller in doubt, and the same call again ends
  // it.
  Result<void> Transaction(const std::string& sql) {
    MAILY_TRY([[maybe_unused]] const auto alive, Ask("SELECT 1"));
    auto done = Exec(control_.get(), "BEGIN;" + sql + "COMMIT");
    if (done) return Ok();
    if (PQstatus(control_.get()) == CONNECTION_OK) Exec(control_.get(), "ROLLBACK").IgnoreError("there is nothing to take back");
    return done.error();
  }
  Result<bool> Known(const std::string& name) {
    MAILY_TRY(const ResultHandle row, Ask(fmt::format("SELECT 1 FROM {}.databases WHERE name = {}", own_, Literal(name))));
    return PQntuples(row.get()) == 1;
  }
  Result<void> Make(const std::string& name) {
    return Transaction(fmt::format("SELECT pg_advisory_xact_lock(7165190410);"
                                   "CREATE SCHEMA IF NOT EXISTS {};"
                                   "INSERT INTO {}.databases (name) VALUES ({}) ON CONFLICT DO NOTHING;",
                                   Quoted(name), own_, Literal(name)) +
                       (roles_ ? postgres::GrantSchema(name) : ""));
  }

  const PostgresOptions options_;
  const std::string own_;  // quoted
  bool roles_ = false;     // constant after Start
  std::mutex mutex_;
  postgres::ConnectionHandle control_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Databases>> OpenPostgres(PostgresOptions options) {
  auto databases = std::make_unique<PostgresDatabases>(std::move(options));
  MAILY_TRY_VOID(databases->Start());
  return std::unique_ptr<Databases>(std::move(databases));
}

}  // namespace maily::sql
