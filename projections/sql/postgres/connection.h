// A connection of the SQL port to one schema, and its statements.
//
// Inside a writer's transaction statements that are sent go to the server without waiting (libpq's pipeline mode), and INSERTs of single
// rows are gathered into one of many rows. Order is kept where it can be seen: before a statement that names a table goes out, the rows
// gathered for that table do.
//
//   Send ──▶ rows gathered ──▶ pipeline ──▶ (every kCommandsASync commands a sync) ──▶ answers, in order ──▶ counts, readers, first error
//
// Bounds: kRowsGathered rows or kBytesGathered bytes a statement; two syncs under way, so that neither side blocks on a full socket.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "projections/sql/postgres/dialect.h"
#include "projections/sql/postgres/wire.h"
#include "projections/sql/sql.h"
#include "streams/adapters/postgres/array.h"
#include "streams/adapters/postgres/session.h"
#include "streams/base/time.h"

namespace maily::sql::postgres {

using libpq::ArrayColumn;
using libpq::Connect;
using libpq::ConnectionHandle;
using libpq::ErrorOf;
using libpq::Exec;
using libpq::Field;
using libpq::ResultHandle;

class PostgresConnection;

class PostgresStatement final : public Statement {
 public:
  PostgresStatement(PostgresConnection& connection, Rewritten rewritten, std::string name);

  void BindInteger(int parameter, int64_t value) override;
  void BindText(int parameter, std::string_view value) override;
  void BindBlob(int parameter, std::string_view value) override;
  void BindNull(int parameter) override;
  int parameter_count() const override { return static_cast<int>(bound_.size()); }
  int ParameterIndex(const std::string& name) const override;

  Result<int64_t> Run() override;
  Result<void> Send() override;
  Result<void> SendCounting(int64_t& changed) override;
  Result<void> SendReading(std::function<void(const Statement* row)> read) override;
  Result<void> Settle() override;
  Result<bool> Step() override;
  void Reset() override;

  int column_count() const override { return static_cast<int>(columns_.size()); }
  std::string_view column_name(int column) const override { return columns_[static_cast<size_t>(column)].name; }
  Type type(int column) const override;
  int64_t integer(int column) const override;
  std::string_view bytes(int column) const override;

 private:
  friend class PostgresConnection;
  struct Column {
    std::string name;
    Oid oid = 0;
  };
  struct Bound {
    Type type = Type::kNull;
    int64_t integer = 0;
    std::string_view bytes;  // as bound
    std::string room;        // what is sent, where it is not the bound bytes
    std::string cleaned;
  };
  Bound& At(int parameter);
  // The bytes of a parameter as the server takes them; none = null. kInvalid: it does not fit.
  Result<std::optional<std::string_view>> Encoded(size_t parameter);
  // Hands what is bound to the server, which answers some time.
  Result<int> SendPrepared(PGconn* connection);
  Result<void> Gather(int64_t* changed);
  bool Names(const std::string& table) const;

  PostgresConnection& connection_;
  const Rewritten rewritten_;
  const std::string name_;  // of the prepared statement
  uint64_t session_ = 0;    // of the connection in which it is prepared; 0 = in none
  std::vector<Oid> types_;  // of the parameters
  std::vector<Column> columns_;
  std::vector<Bound> bound_;
  std::vector<const char*> values_;  // room for SendPrepared
  std::vector<int> lengths_;
  std::vector<int> formats_;

  // Gathering; none: its rows go out one by one.
  std::optional<RowInsert> row_insert_;
  std::string many_name_;  // of the prepared statement of many rows; empty = not yet
  std::vector<ArrayColumn> arrays_;
  size_t gathered_ = 0;
  int64_t* gathered_changed_ = nullptr;

  // The row that it stands on.
  bool begun_ = false;
  std::deque<ResultHandle> rows_;  // answers that came before they were asked for
  ResultHandle answer_;
  int row_ = -1;  // of answer_
};

class PostgresConnection final : public Connection {
 public:
  struct Options {
    std::string url;
    std::string schema;
    std::string own_schema;  // where the tables about databases stand
    Duration lock_wait;
    std::string role = {};   // to work under; empty = that of the login
    std::string owner = {};  // to run scripts under; empty = the same
  };
  static Result<std::unique_ptr<Connection>> Open(Options options, Purpose purpose);
  PostgresConnection(Options options, Purpose purpose) : options_(std::move(options)), purpose_(purpose) {}
  ~PostgresConnection() override;

  Result<Statement*> Prepare(std::string_view sql) override;
  Result<void> Execute(std::string_view sql) override;
  Result<void> Begin() override;
  Result<void> Commit() override;
  void Rollback() override;
  int64_t unplaced_bytes() const override { return 0; }
  Result<void> Checkpoint() override { return Ok(); }
  Result<void> MakeDurable() override;

 private:
  friend class PostgresStatement;
  // What an answer in the pipeline is for.
  struct Awaited {
    PostgresStatement* statement = nullptr;  // null and no sync: a plain command
    bool sync = false;
    int64_t* changed = nullptr;
    std::function<void(const Statement* row)> read = {};
    bool rows_wanted = false;  // for Step
    bool commit = false;
  };

  Result<void> Dial();
  bool lost() const;
  Error Lost();
  // A reader outside a transaction gets a new connection instead of a broken one.
  bool MayRedial() const { return purpose_ == Purpose::kRead && !in_transaction_; }
  // Ready for a command of its own: nothing under way, not in pipeline mode.
  Result<void> Quiesce();
  Result<void> EnsurePrepared(PostgresStatement& statement);
  Result<void> PrepareMany(PostgresStatement& statement);
  Result<void> FlushTouched(const PostgresStatement& statement);
  Result<void> FlushGathered(PostgresStatement& statement);
  // Puts a command into the pipeline.
  Result<void> Push(PostgresStatement& statement, Awaited awaited);
  Result<void> PushGathered(PostgresStatement& statement);
  Result<void> Pushed(int sent, Awaited awaited);
  Result<void> EnterPipeline();
  Result<void> PushCommit();
  Result<void> Sync();
  void ReadToSync();
  void TakeAnswer(Awaited awaited);
  void Note(const Error& error);
  // Everything pushed so far is answered; the first error since the last Settle outside, or since Begin inside, a transaction.
  Result<void> Settle();
  Result<void> Failure();
  // One answer of the stream of `streaming_`; null at its end.
  Result<ResultHandle> NextOfStream();
  Result<void> StartStream(PostgresStatement& statement);
  void StoreStream();

  const Options options_;
  Purpose purpose_;
  ConnectionHandle handle_;
  uint64_t session_ = 0;  // counts connections
  uint64_t many_ = 0;     // counts prepared statements of many rows
  bool in_transaction_ = false;
  std::deque<Awaited> awaited_;
  int unsynced_ = 0;
  int syncs_ = 0;
  std::optional<Error> failure_;
  PostgresStatement* streaming_ = nullptr;
  std::vector<PostgresStatement*> gathering_;  // those that can; few
  std::unordered_map<std::string, std::unique_ptr<PostgresStatement>> statements_;
};

}  // namespace maily::sql::postgres
