// See database.h.
#include "app/database.h"

#include "app/held.h"
#include "projections/read_models.h"
#include "projections/sql/sqlite/sqlite.h"

namespace maily::app {
namespace {

bool IsUri(std::string_view text) { return text.starts_with("postgresql://") || text.starts_with("postgres://"); }

// user:password@ before the first slash, or password=… anywhere.
bool HoldsPassword(std::string_view text) {
  if (text.find("password") != std::string_view::npos) return true;
  if (!IsUri(text)) return false;
  text.remove_prefix(text.find("://") + 3);
  const std::string_view authority = text.substr(0, text.find_first_of("/?"));
  const size_t at = authority.rfind('@');
  return at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos;
}

}  // namespace

Result<std::string> ConnectionStringOf(const Config& config, std::string_view name) { return Held(name, config.Text(name)); }

Result<void> CheckDatabase(std::string_view name, std::string_view here, const std::string& setting) {
  if (setting == here || IsHeldElsewhere(setting)) return Ok();
  if (HoldsPassword(setting)) {
    return Fail(Code::kInvalid, "{} holds a password, which others can see here: use env:NAME or file:PATH, or PGPASSWORD or PGPASSFILE",
                name);
  }
  if (IsUri(setting)) return Ok();
  return Fail(Code::kInvalid, "{} must be {}, postgresql://user@host/database, env:NAME or file:PATH", name, here);
}

bool IsPostgres(const Config& config) { return config.Text("db") != "sqlite"; }

Result<sql::PostgresOptions> PostgresOptionsOf(const Config& config) {
  MAILY_TRY(std::string url, ConnectionStringOf(config, "db"));
  sql::PostgresOptions options{.url = std::move(url), .private_tables = {"api_keys"}};
  for (const projections::Group& group : projections::ReadModelGroups()) {
    for (const projections::ReadModel& model : group.models) {
      for (const projections::Table& table : model.tables) {
        if (table.kind == projections::TableKind::kPersonal) options.private_tables.push_back(table.name);
      }
    }
  }
  return options;
}

Result<std::unique_ptr<sql::Databases>> OpenDatabases(const Config& config, const std::string& data) {
  if (!IsPostgres(config)) return sql::OpenSqlite({.directory = data + "/views"});
  MAILY_TRY(sql::PostgresOptions options, PostgresOptionsOf(config));
  return sql::OpenPostgres(std::move(options));
}

}  // namespace maily::app
