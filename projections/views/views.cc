// Implements named queries on pooled read connections.
#include "projections/views/views.h"

#include <map>
#include <mutex>

#include "projections/sql/named.h"

namespace maily::projections {
namespace {

std::vector<std::string> NamesOf(const std::vector<GroupQueries>& groups) {
  std::vector<std::string> names;
  for (const GroupQueries& group : groups) names.push_back(group.group);
  return names;
}

}  // namespace

const Value& Rows::at(size_t row, std::string_view column) const {
  for (size_t c = 0; c < columns.size(); ++c) {
    if (columns[c] == column) return at(row, c);
  }
  Die(__FILE__, __LINE__, fmt::format("the answer has no column {}", column));
}

struct Views::Impl {
  struct Group {
    std::string live;                                    // empty = none
    std::vector<std::unique_ptr<sql::Connection>> idle;  // all of `live`
  };

  Impl(sql::Databases& all, const std::vector<GroupQueries>& texts, Options limits)
      : databases(all), options(limits), freshness(NamesOf(texts)) {
    for (const GroupQueries& group : texts) {
      groups[group.group];
      for (const std::string_view text : group.queries_sql) {
        const auto parsed = sql::ParseNamed(text);
        MAILY_CHECK(parsed.has_value(), "{}: {}", group.group, parsed.error().message);
        for (const sql::NamedStatement& statement : *parsed) {
          if (statement.kind != sql::StatementKind::kQuery) continue;
          const bool added = queries.emplace(statement.name, QueryInfo{statement.name, group.group, statement.sql}).second;
          MAILY_CHECK(added, "query {} stands twice", statement.name);
        }
      }
    }
  }

  // A connection to the live version, and the name of that version.
  Result<std::pair<std::unique_ptr<sql::Connection>, std::string>> Take(const std::string& group) {
    std::string live;
    {
      const std::lock_guard lock(mutex);
      Group& g = groups.at(group);
      if (g.live.empty()) return Fail(Code::kRetry, "the read models '{}' are being built", group);
      live = g.live;
      if (!g.idle.empty()) {
        auto connection = std::move(g.idle.back());
        g.idle.pop_back();
        return std::pair(std::move(connection), std::move(live));
      }
    }
    MAILY_TRY(auto opened, databases.Open(live, sql::Purpose::kRead));
    return std::pair(std::move(opened), std::move(live));
  }
  void GiveBack(const std::string& group, std::unique_ptr<sql::Connection> connection, const std::string& version) {
    const std::lock_guard lock(mutex);
    Group& g = groups.at(group);
    if (g.live == version && g.idle.size() < options.idle_connections_max) g.idle.push_back(std::move(connection));
  }

  Result<Rows> Read(sql::Connection& connection, const QueryInfo& query, const std::vector<Parameter>& parameters) const {
    MAILY_TRY(sql::Statement * statement, connection.Prepare(query.sql));
    if (static_cast<size_t>(statement->parameter_count()) != parameters.size()) {
      return Fail(Code::kInvalid, "query {} takes {} parameters, not {}", query.name, statement->parameter_count(), parameters.size());
    }
    for (const Parameter& parameter : parameters) {
      const int index = statement->ParameterIndex(std::string(parameter.name));
      if (index == 0) return Fail(Code::kInvalid, "query {} has no parameter '{}'", query.name, parameter.name);
      sql::BindOne(*statement, index, parameter.value);
    }
    auto rows = Collect(*statement, query.name);
    statement->Reset();
    return rows;
  }
  Result<Rows> Collect(sql::Statement& statement, const std::string& name) const {
    Rows rows;
    const int columns = statement.column_count();
    for (int c = 0; c < columns; ++c) rows.columns.emplace_back(statement.column_name(c));
    while (true) {
      MAILY_TRY(const bool row, statement.Step());
      if (!row) return rows;
      if (rows.size() >= options.rows_max) return Fail(Code::kInvalid, "query {} gives more than {} rows", name, options.rows_max);
      for (int c = 0; c < columns; ++c) rows.values.push_back(statement.value(c));
    }
  }

  sql::Databases& databases;
  const Options options;
  std::map<std::string, QueryInfo, std::less<>> queries;  // constant
  Freshness freshness;                                    // synchronizes itself
  mutable std::mutex mutex;
  std::map<std::string, Group, std::less<>> groups;  // guarded by mutex; its keys are constant
};

Views::Views(sql::Databases& databases, std::vector<GroupQueries> groups, Options options)
    : impl_(std::make_unique<Impl>(databases, groups, options)) {}
Views::Views(sql::Databases& databases, std::vector<GroupQueries> groups) : Views(databases, std::move(groups), Options()) {}
Views::~Views() = default;

Result<Rows> Views::Query(std::string_view name, const std::vector<Parameter>& parameters) {
  const auto found = impl_->queries.find(name);
  if (found == impl_->queries.end()) return Fail(Code::kNotFound, "there is no query '{}'", name);
  const QueryInfo& query = found->second;
  MAILY_TRY(auto taken, impl_->Take(query.group));
  auto rows = impl_->Read(*taken.first, query, parameters);
  // A connection that failed in any other way than by its parameters is not used again.
  if (rows || rows.error().code == Code::kInvalid) impl_->GiveBack(query.group, std::move(taken.first), taken.second);
  return rows;
}

std::vector<QueryInfo> Views::queries() const {
  std::vector<QueryInfo> all;
  for (const auto& [name, query] : impl_->queries) all.push_back(query);
  return all;
}

std::string Views::GroupOf(std::string_view name) const {
  const auto found = impl_->queries.find(name);
  return found == impl_->queries.end() ? std::string() : found->second.group;
}

Freshness& Views::freshness() { return impl_->freshness; }

void Views::SetLive(std::string_view group, std::string database) {
  std::vector<std::unique_ptr<sql::Connection>> old;  // closed after the lock is released
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->groups.find(group);
  MAILY_CHECK(found != impl_->groups.end(), "no projection group {}", group);
  found->second.live = std::move(database);
  old.swap(found->second.idle);
}

std::string Views::live(std::string_view group) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->groups.find(group);
  return found == impl_->groups.end() ? std::string() : found->second.live;
}

}  // namespace maily::projections
