// Implements connecting and the mapping of errors.
#include "streams/adapters/postgres/session.h"

#include <algorithm>

namespace maily::libpq {
namespace {

std::string_view FirstLine(const char* message) {
  std::string_view text(message == nullptr ? "" : message);
  text = text.substr(0, text.find('\n'));
  return text;
}

void IgnoreNotice(void* /*unused*/, const PGresult* /*notice*/) {}

// Errors of connecting that trying again does not mend. libpq gives no SQLSTATE of a connection that was never made.
bool IsRefusal(std::string_view message) {
  for (const std::string_view sign : {"authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied", "invalid ",
                                      "missing \"=\"", "permission denied"}) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

Result<ConnectionHandle> Connect(const std::string& url) {
  // Defaults first: a later dbname that is a connection string overrides them. A dead peer is noticed within half a minute.
  const char* keys[] = {"application_name",    "connect_timeout",  "keepalives_idle",
                        "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                        "client_encoding",     "dbname",           nullptr};
  const char* values[] = {"maily", "10", "10", "5", "3", "30000", "UTF8", url.c_str(), nullptr};
  ConnectionHandle connection(PQconnectdbParams(keys, values, 1));
  if (connection == nullptr) return Fail(Code::kRetry, "PostgreSQL: no memory for a connection");
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    const std::string_view why(PQerrorMessage(connection.get()));
    return Fail(IsRefusal(why) ? Code::kInvalid : Code::kRetry, "PostgreSQL: {}", FirstLine(PQerrorMessage(connection.get())));
  }
  PQsetNoticeReceiver(connection.get(), &IgnoreNotice, nullptr);
  return connection;
}

Code CodeOf(const char* sqlstate) {
  const std::string_view state(sqlstate == nullptr ? "" : sqlstate);
  if (state.empty() || state.starts_with("08")) return Code::kRetry;  // connection lost
  if (state.starts_with("40") || state.starts_with("53") || state.starts_with("55") || state.starts_with("57")) {
    return Code::kRetry;  // serialization and deadlock; disk, memory, connections; locks; shutdown, cancelled
  }
  if (state.starts_with("58") || state == "25P03" || state == "25P02")
    return Code::kRetry;  // system error; transaction ended by the server
  if (state.starts_with("XX")) return Code::kCorrupt;
  return Code::kInvalid;
}

Error ErrorOf(PGconn* connection, const PGresult* result, std::string_view what) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const Code code = CodeOf(state);
  const char* primary = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char* hint = "";
  if (state != nullptr && std::string_view(state) == "53100") hint = "; the disk of the database is full";
  if (state != nullptr && std::string_view(state) == "42501") hint = "; deploy/postgres-roles.sql grants what Maily needs";
  if (code == Code::kCorrupt)
    hint = "; its disk or memory is damaged: read models can be rebuilt from the journal, keys come from their backup";
  return Fail(code, "PostgreSQL: {} ({}{}{}){}", primary != nullptr ? FirstLine(primary) : FirstLine(PQerrorMessage(connection)),
              what.substr(0, 200), state == nullptr ? "" : ", ", state == nullptr ? "" : state, hint);
}

Result<ResultHandle> Exec(PGconn* connection, const std::string& sql) {
  ResultHandle result(PQexec(connection, sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return ErrorOf(connection, result.get(), sql);
  return result;
}

std::string Field(const ResultHandle& result, int row, int column) {
  return {PQgetvalue(result.get(), row, column), static_cast<size_t>(PQgetlength(result.get(), row, column))};
}

}  // namespace maily::libpq
