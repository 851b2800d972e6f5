// Takes a queries.sql apart: SQL statements by name.
//
//   -- name: contact          a query that the API and analysts may ask, with parameters :like_this
//   -- fold: insert_contact   a statement of the read model's own fold, with parameters ?1, ?2, …
// A statement goes on to the next such line and the comments before it. One statement a name; the last semicolon is dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily::sql {

enum class StatementKind : uint8_t { kQuery, kFold };

struct NamedStatement {
  StatementKind kind = StatementKind::kQuery;
  std::string name;
  std::string sql;
};

// kInvalid: text before the first name, an empty statement, or a name that stands twice.
Result<std::vector<NamedStatement>> ParseNamed(std::string_view text);

}  // namespace maily::sql
