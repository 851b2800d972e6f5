// What the setting `db` stands for: where the read models are kept.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "projections/sql/postgres/postgres.h"
#include "projections/sql/sql.h"
#include "streams/base/result.h"

namespace maily::app {

// kInvalid: neither `sqlite` nor a connection string, env:NAME or file:PATH; or it holds a password. The message does not repeat the value.
Result<void> CheckDatabase(const std::string& setting);

bool IsPostgres(const Config& config);
// The connection string: what `db` says, or what the variable or file holds that it refers to. kInvalid: that is missing or empty.
// Personal tables and API keys are not shown to analysts.
Result<sql::PostgresOptions> PostgresOptionsOf(const Config& config);
// SQLite: files in `<data>/views`.
Result<std::unique_ptr<sql::Databases>> OpenDatabases(const Config& config, const std::string& data);

}  // namespace maily::app
