// Rewrites the shared dialect (projections/sql/sql.h) into PostgreSQL's. Pure text; what stands in quotes is left alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maily::sql::postgres {

struct Rewritten {
  std::string text;                // comments gone, parameters as $1, $2, …
  std::vector<std::string> names;  // of the parameters; empty for those written ?1
  std::vector<std::string> words;  // identifiers and keywords, each once, in lower case
};
// One statement: `?1` and `:name` become `$n`; names are numbered as they first appear.
Rewritten RewriteStatement(std::string_view sql);

// A script: BLOB becomes BYTEA, TEXT sorts by bytes, WITHOUT ROWID goes. The comment right above a CREATE TABLE, and those at the ends of
// the lines of its columns, become COMMENT ON.
std::string RewriteScript(std::string_view sql);

// An INSERT of one row that can as well be one of many: INSERT INTO table (…) VALUES (…), with nothing behind it but ON CONFLICT … DO
// NOTHING.
struct RowInsert {
  std::string table;
  std::string before;  // INSERT INTO table (…)
  std::string values;  // with $n
  std::string after;   // ON CONFLICT …; may be empty
};
// `text` as RewriteStatement gives it. None: it has another form.
std::optional<RowInsert> AsRowInsert(std::string_view text);
// The same over arrays, one a parameter; `types` are the names of the parameters' types, in order.
std::string ManyRows(const RowInsert& insert, const std::vector<std::string>& types);

// A name as SQL takes it, whatever is in it.
std::string Quoted(std::string_view name);
// A string as SQL takes it.
std::string Literal(std::string_view text);

}  // namespace maily::sql::postgres
