// Implements the database of a test.
#include "projections/sql/postgres/test_database.h"

#include <unistd.h>

#include <cstdlib>

#include "streams/adapters/postgres/session.h"

namespace maily::sql {
namespace {

using libpq::Connect;
using libpq::ConnectionHandle;
using libpq::Exec;

// The later dbname of two counts.
std::string UrlOf(const std::string& server, const std::string& database) { return server + "&dbname=" + database; }

std::string RunAt(const std::string& url, const std::string& sql) {
  const auto connection = Connect(url);
  MAILY_CHECK(connection.has_value(), "{}: {}", url, connection.error().message);
  const auto result = Exec(connection->get(), sql);
  MAILY_CHECK(result.has_value(), "{}", result.error().message);
  return PQntuples(result->get()) > 0 ? libpq::Field(*result, 0, 0) : std::string();
}

// The database of this process.
struct OfProcess {
  OfProcess() : server(TestDatabase::ServerUrl()), name("test_" + std::to_string(::getpid())) { RunAt(server, "CREATE DATABASE " + name); }
  ~OfProcess() { RunAt(server, "DROP DATABASE " + name + " WITH (FORCE)"); }
  const std::string server;
  const std::string name;
};

}  // namespace

std::string TestDatabase::ServerUrl() {
  const char* url = std::getenv("MAILY_POSTGRES");
  return url == nullptr ? "" : url;
}

TestDatabase::TestDatabase() {
  static const OfProcess database;
  url_ = UrlOf(database.server, database.name);
  EndSessions();
  Run("DO $$ DECLARE s name; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN "
      "('information_schema', 'public') LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$");
}
std::string TestDatabase::Run(const std::string& sql) const { return RunAt(url_, sql); }
bool TestDatabase::Succeeds(const std::string& sql) const {
  const auto connection = Connect(url_);
  MAILY_CHECK(connection.has_value(), "{}: {}", url_, connection.error().message);
  return Exec(connection->get(), sql).has_value();
}
TestDatabase TestDatabase::With(const std::string& parameter) const { return TestDatabase(url_ + "&" + parameter); }
void TestDatabase::EndSessions() const {
  Run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
}

}  // namespace maily::sql
