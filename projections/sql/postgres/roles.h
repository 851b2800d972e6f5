// Who may do what with the read models, where deploy/postgres-roles.sql has made the roles; and the views of schema `analytics`.
//
// An analyst sees the live versions through views that are made anew with every switch, in its transaction. Tables with a column `tenant`
// have row level security: of them an analyst sees the tenants that <own schema>.analysts names for the login. Private tables are not
// shown.
#pragma once

#include <string>
#include <vector>

namespace maily::sql::postgres {

constexpr const char* kOwner = "maily_owner";
constexpr const char* kWriter = "maily_writer";
constexpr const char* kAnalyst = "maily_analyst";

// A query for one boolean: the roles were made for this database, and this login is a member of owner and writer.
std::string RolesQuery();
// After the tables of the own schema were made. `own` as SQL takes it.
std::string GrantOwnSchema(const std::string& own);
// After the schema of a database was made.
std::string GrantSchema(const std::string& schema);
// After the live pointers were changed.
std::string Publish(const std::string& own, const std::vector<std::string>& private_tables);

}  // namespace maily::sql::postgres
