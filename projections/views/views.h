// Named queries on the live version of the read models: all that the API sees of projections.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "projections/sql/sql.h"
#include "projections/views/freshness.h"
#include "streams/base/result.h"

namespace maily::projections {

using sql::Value;

struct Parameter {
  std::string_view name;  // without the colon
  Value value;
};

// The answer to a query; row r, column c = values[r * columns.size() + c].
struct Rows {
  std::vector<std::string> columns;
  std::vector<Value> values;

  size_t size() const { return columns.empty() ? 0 : values.size() / columns.size(); }
  bool empty() const { return values.empty(); }
  const Value& at(size_t row, size_t column) const { return values[row * columns.size() + column]; }
  // CHECK: there is a column of that name.
  const Value& at(size_t row, std::string_view column) const;
};

// What a group lets be asked.
struct GroupQueries {
  std::string group;
  std::vector<std::string_view> queries_sql = {};  // texts of queries.sql files
};

// What one query needs; for documentation and the CLI.
struct QueryInfo {
  std::string name;
  std::string group;
  std::string sql;
};

// Thread: any. A query runs on its caller's thread, on a connection of its own; idle connections are kept for the next one.
class Views {
 public:
  struct Options {
    size_t idle_connections_max = 8;  // of each group
    size_t rows_max = 10'000;         // of an answer; a query that gives more is kInvalid: it misses its limit
  };
  // CHECK: the texts parse, and no query name stands twice.
  Views(sql::Databases& databases, std::vector<GroupQueries> groups, Options options);
  Views(sql::Databases& databases, std::vector<GroupQueries> groups);
  ~Views();

  // Runs the query on one snapshot of the live version. Every parameter of it must be given, and no other.
  // kNotFound: no such query. kRetry: the group has no live version yet (it is being built), or a file is locked. kInvalid: wrong
  // parameters. kCorrupt: the file is damaged.
  Result<Rows> Query(std::string_view name, const std::vector<Parameter>& parameters = {});

  std::vector<QueryInfo> queries() const;
  // The group that answers a query; empty if there is no such query.
  std::string GroupOf(std::string_view name) const;

  Freshness& freshness();

  // Queries that begin from now on see this database; "" = none. Called by the projection when it switches.
  void SetLive(std::string_view group, std::string database);
  std::string live(std::string_view group) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::projections
