// Implements the examination of a server.
#include "projections/sql/postgres/postgres.h"
#include "projections/sql/postgres/roles.h"
#include "streams/adapters/postgres/session.h"

namespace maily::sql {
namespace {

using Level = PostgresFinding::Level;

constexpr int kVersionMin = 15;
constexpr int kConnectionsFree = 10;  // what one server process opens

constexpr const char* kSettings =
    "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, current_setting('fsync'), "
    "current_setting('full_page_writes'), current_setting('server_encoding'), "
    "current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), "
    "pg_size_pretty(pg_database_size(current_database())), current_database(), has_database_privilege(current_database(), 'CREATE')";

}  // namespace

std::vector<PostgresFinding> ExaminePostgres(const PostgresOptions& options) {
  const auto connection = libpq::Connect(options.url);
  if (!connection)
    return {{Level::kFail, connection.error().message, "is it running, and does `db` name it? the server waits for it, too"}};
  const auto row = libpq::Exec(connection->get(), kSettings);
  const auto roles = libpq::Exec(connection->get(), postgres::RolesQuery());
  if (!row) return {{Level::kFail, row.error().message, ""}};
  if (!roles) return {{Level::kFail, roles.error().message, ""}};
  const auto field = [&row](int column) { return libpq::Field(*row, 0, column); };
  const bool under_roles = libpq::Field(*roles, 0, 0) == "t";

  std::vector<PostgresFinding> findings;
  findings.push_back({Level::kOk, fmt::format("PostgreSQL {}, database {} of {}", field(0), field(7), field(6)), ""});
  if (std::stoi(field(1)) < kVersionMin) findings.push_back({Level::kFail, "older than version 15", "upgrade it"});
  if (field(2) != "on" || field(3) != "on") {
    findings.push_back({Level::kFail, "fsync or full_page_writes is off: loss of power can spoil the database",
                        "turn both on, then maily projection rebuild"});
  }
  if (field(4) != "UTF8") findings.push_back({Level::kFail, "the database is encoded in " + field(4), "CREATE DATABASE … ENCODING 'UTF8'"});
  if (std::stoi(field(5)) < kConnectionsFree) {
    findings.push_back({Level::kWarn, field(5) + " connections are free, a server opens about 10", "raise max_connections"});
  }
  if (!under_roles && field(8) != "t") {
    findings.push_back({Level::kFail, "this login may not create schemas", "GRANT CREATE ON DATABASE, or deploy/postgres-roles.sql"});
  }
  findings.push_back(under_roles ? PostgresFinding{Level::kOk, "roles are in use; analysts have schema analytics, a tenant each", ""}
                                 : PostgresFinding{Level::kWarn, "no roles: the server's login owns everything, and analysts have no views",
                                                   "psql -f deploy/postgres-roles.sql, and make the login a member"});
  return findings;
}

}  // namespace maily::sql
