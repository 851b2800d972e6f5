// One connection to a server, and what its errors mean.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::libpq {

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionHandle = std::unique_ptr<PGconn, FinishConnection>;
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

// `url`: a connection string of libpq, URI or key=value; what it leaves out comes from PGHOST, PGPASSWORD and the like.
// kRetry: there is no answer, or the server is starting, stopping or full. kInvalid: the string is wrong, or the server refuses this user,
// password or database. No message holds the password.
Result<ConnectionHandle> Connect(const std::string& url);

// The reaction that an SQLSTATE asks for; empty or null = the connection broke.
Code CodeOf(const char* sqlstate);
// Of a result that failed. `what`: the statement, of which the beginning is shown.
Error ErrorOf(PGconn* connection, const PGresult* result, std::string_view what);
// Runs one or several statements by the simple protocol; gives the last result.
Result<ResultHandle> Exec(PGconn* connection, const std::string& sql);
// The text of a field; empty for null.
std::string Field(const ResultHandle& result, int row, int column);

}  // namespace maily::libpq
