# Writes HEADER with the texts of SOURCE/schema.sql and SOURCE/queries.sql; run by maily_sql_header at build time.
file(READ ${SOURCE}/schema.sql schema)
file(READ ${SOURCE}/queries.sql queries)
file(WRITE ${HEADER} "// Generated from schema.sql and queries.sql.
#pragma once
#include <string_view>
namespace maily::projections::${NAMESPACE} {
inline constexpr std::string_view kSchema = R\"maily_sql(${schema})maily_sql\";
inline constexpr std::string_view kQueries = R\"maily_sql(${queries})maily_sql\";
}  // namespace maily::projections::${NAMESPACE}
")
