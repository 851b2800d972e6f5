// What the settings `db` and `keyring` stand for: where read models and keys are kept.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/config.h"
#include "projections/sql/postgres/postgres.h"
#include "projections/sql/sql.h"
#include "streams/base/result.h"

namespace maily::app {

inline constexpr const char* kKeyringInData = "rocks";

// Of the setting `name`; `here` is its value for the data directory. kInvalid: neither `here` nor a connection string, env:NAME or
// file:PATH; or it holds a password. The message does not repeat the value.
Result<void> CheckDatabase(std::string_view name, std::string_view here, const std::string& setting);
// The connection string: what the setting `name` says, or what the variable or file holds that it refers to. kInvalid: that is missing or
// empty.
Result<std::string> ConnectionStringOf(const Config& config, std::string_view name);

bool IsPostgres(const Config& config);
// Personal tables and API keys are not shown to analysts. kInvalid: as above.
Result<sql::PostgresOptions> PostgresOptionsOf(const Config& config);
// SQLite: files in `<data>/views`.
Result<std::unique_ptr<sql::Databases>> OpenDatabases(const Config& config, const std::string& data);

}  // namespace maily::app
