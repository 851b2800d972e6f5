// The SQL port on PostgreSQL: one schema of one PostgreSQL database for each database of the port.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "projections/sql/sql.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::sql {

struct PostgresOptions {
  std::string url;                   // of libpq: postgresql://user@host/database, or key=value; the rest from PGPASSWORD and the like
  Duration lock_wait = Seconds(5);   // how long to wait for what another session has locked before kRetry
  std::string own_schema = "maily";  // holds which databases there are, and the live pointers
  std::vector<std::string> private_tables = {};  // are not shown to analysts
};

// Connects, and makes the own schema if there is none. Where the roles of deploy/postgres-roles.sql exist and the login is a member, they
// own, write and show (roles.h); else the login does it all, and there are no views for analysts. Every connection of the port is a session
// of its own; a server needs about ten. kRetry: the server does not answer. kInvalid: it refuses, or is older than version 15.
Result<std::unique_ptr<Databases>> OpenPostgres(PostgresOptions options);

// What `maily doctor` says of a server. Changes nothing.
struct PostgresFinding {
  enum class Level { kOk, kWarn, kFail } level = Level::kOk;
  std::string detail;
  std::string fix;  // empty = nothing to do
};
// The first one tells whether the server can be reached; where not, it is the only one.
std::vector<PostgresFinding> ExaminePostgres(const PostgresOptions& options);

}  // namespace maily::sql
