// Implements the parser of queries.sql files.
#include "projections/sql/named.h"

namespace maily::sql {
namespace {

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Without the comment and empty lines at its end: they belong to what follows.
std::string_view WithoutTrailingComments(std::string_view sql) {
  while (true) {
    sql = Trimmed(sql);
    const size_t end = sql.rfind('\n');
    if (end == std::string_view::npos || !sql.substr(end + 1).starts_with("--")) return sql;
    sql = sql.substr(0, end);
  }
}

// The name if the line begins a statement.
std::string_view NameIn(std::string_view line, std::string_view marker) {
  return line.starts_with(marker) ? Trimmed(line.substr(marker.size())) : std::string_view();
}

}  // namespace

Result<std::vector<NamedStatement>> ParseNamed(std::string_view text) {
  std::vector<NamedStatement> statements;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view query = NameIn(line, "-- name:");
    const std::string_view fold = NameIn(line, "-- fold:");
    if (!query.empty() || !fold.empty()) {
      statements.push_back({query.empty() ? StatementKind::kFold : StatementKind::kQuery, std::string(query.empty() ? fold : query), {}});
    } else if (!statements.empty()) {
      statements.back().sql.append(line).push_back('\n');
    } else if (!Trimmed(line).empty() && !line.starts_with("--")) {
      return Fail(Code::kInvalid, "queries.sql: text before the first '-- name:' line: {}", line);
    }
  }
  for (size_t i = 0; i < statements.size(); ++i) {
    std::string_view sql = WithoutTrailingComments(statements[i].sql);
    if (sql.ends_with(';')) sql.remove_suffix(1);
    if (sql.empty()) return Fail(Code::kInvalid, "queries.sql: '{}' is empty", statements[i].name);
    statements[i].sql = std::string(sql);
    for (size_t k = 0; k < i; ++k) {
      if (statements[k].name == statements[i].name) return Fail(Code::kInvalid, "queries.sql: '{}' stands twice", statements[i].name);
    }
  }
  return statements;
}

}  // namespace maily::sql
