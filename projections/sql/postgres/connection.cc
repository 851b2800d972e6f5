// Implements the connection: pipeline, gathering, streams of rows.
#include "projections/sql/postgres/connection.h"

#include <algorithm>

#include "projections/sql/text.h"
#include "streams/base/hash.h"

namespace maily::sql::postgres {
namespace {

constexpr size_t kRowsGathered = 1'000;
constexpr size_t kBytesGathered = 1024 * 1024;
constexpr int kCommandsASync = 128;  // their answers, some 60 bytes each, stay far below what a socket buffers

constexpr std::string_view kAnalyze =
    "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
    "LOOP EXECUTE format('ANALYZE %I', t); END LOOP; END $$";

std::string TypeName(Oid oid) {
  switch (oid) {
    case kBool:
      return "bool";
    case kInt2:
      return "int2";
    case kInt4:
      return "int4";
    case kInt8:
      return "int8";
    case kBytea:
      return "bytea";
    default:
      return "text";
  }
}

int64_t ChangedBy(const PGresult* result) { return std::strtoll(PQcmdTuples(const_cast<PGresult*>(result)), nullptr, 10); }

bool Succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
}

}  // namespace

// --- PostgresStatement

PostgresStatement::PostgresStatement(PostgresConnection& connection, Rewritten rewritten, std::string name)
    : connection_(connection), rewritten_(std::move(rewritten)), name_(std::move(name)), bound_(rewritten_.names.size()) {}

PostgresStatement::Bound& PostgresStatement::At(int parameter) {
  MAILY_CHECK(parameter >= 1 && parameter <= parameter_count(), "parameter {} of '{}'", parameter, rewritten_.text);
  return bound_[static_cast<size_t>(parameter) - 1];
}
void PostgresStatement::BindInteger(int parameter, int64_t value) {
  Bound& bound = At(parameter);
  bound.type = Type::kInteger;
  bound.integer = value;
}
void PostgresStatement::BindText(int parameter, std::string_view value) {
  Bound& bound = At(parameter);
  bound.type = Type::kText;
  bound.bytes = CleanText(value, bound.cleaned);
}
void PostgresStatement::BindBlob(int parameter, std::string_view value) {
  Bound& bound = At(parameter);
  bound.type = Type::kBlob;
  bound.bytes = value;
}
void PostgresStatement::BindNull(int parameter) { At(parameter).type = Type::kNull; }

int PostgresStatement::ParameterIndex(const std::string& name) const {
  const auto found = std::find(rewritten_.names.begin(), rewritten_.names.end(), name);
  return found == rewritten_.names.end() || name.empty() ? 0 : static_cast<int>(found - rewritten_.names.begin()) + 1;
}

Result<std::optional<std::string_view>> PostgresStatement::Encoded(size_t parameter) {
  Bound& bound = bound_[parameter];
  if (bound.type == Type::kNull) return std::optional<std::string_view>();
  const auto bytes = Encode(bound.type, bound.integer, bound.bytes, types_[parameter], bound.room);
  if (!bytes) {
    return Fail(Code::kInvalid, "parameter {} of '{}' does not fit the type {}", parameter + 1, rewritten_.text.substr(0, 200),
                TypeName(types_[parameter]));
  }
  return bytes;
}

Result<int> PostgresStatement::SendPrepared(PGconn* connection) {
  const size_t count = bound_.size();
  values_.resize(count);
  lengths_.resize(count);
  formats_.resize(count, 1);
  for (size_t i = 0; i < count; ++i) {
    MAILY_TRY(const auto encoded, Encoded(i));
    values_[i] = !encoded ? nullptr : encoded->data() == nullptr ? "" : encoded->data();
    lengths_[i] = encoded ? static_cast<int>(encoded->size()) : 0;
  }
  return PQsendQueryPrepared(connection, name_.c_str(), static_cast<int>(count), values_.data(), lengths_.data(), formats_.data(), 1);
}

bool PostgresStatement::Names(const std::string& table) const {
  return std::find(rewritten_.words.begin(), rewritten_.words.end(), table) != rewritten_.words.end();
}

Result<int64_t> PostgresStatement::Run() {
  int64_t changed = 0;
  MAILY_TRY_VOID(connection_.Push(*this, {.statement = this, .changed = &changed}));
  MAILY_TRY_VOID(connection_.Settle());
  return changed;
}
Result<void> PostgresStatement::Send() {
  if (row_insert_ && connection_.in_transaction_) return Gather(nullptr);
  MAILY_TRY_VOID(connection_.Push(*this, {.statement = this}));
  return connection_.in_transaction_ ? Ok() : connection_.Settle();
}
Result<void> PostgresStatement::SendCounting(int64_t& changed) {
  if (row_insert_ && connection_.in_transaction_) return Gather(&changed);
  MAILY_TRY_VOID(connection_.Push(*this, {.statement = this, .changed = &changed}));
  return connection_.in_transaction_ ? Ok() : connection_.Settle();
}
Result<void> PostgresStatement::SendReading(std::function<void(const Statement* row)> read) {
  MAILY_TRY_VOID(connection_.Push(*this, {.statement = this, .read = std::move(read)}));
  return connection_.in_transaction_ ? Ok() : connection_.Settle();
}
Result<void> PostgresStatement::Settle() { return connection_.Settle(); }

Result<void> PostgresStatement::Gather(int64_t* changed) {
  MAILY_TRY_VOID(connection_.Failure());
  MAILY_TRY_VOID(connection_.EnsurePrepared(*this));
  if (gathered_ > 0 && changed != gathered_changed_) MAILY_TRY_VOID(connection_.FlushGathered(*this));
  gathered_changed_ = changed;
  size_t bytes = 0;
  for (size_t i = 0; i < bound_.size(); ++i) {
    MAILY_TRY(const auto encoded, Encoded(i));
    encoded ? arrays_[i].Add(*encoded) : arrays_[i].AddNull();
    bytes += arrays_[i].size();
  }
  if (++gathered_ >= kRowsGathered || bytes >= kBytesGathered) return connection_.FlushGathered(*this);
  return Ok();
}

Result<bool> PostgresStatement::Step() {
  if (!begun_) {
    if (connection_.in_transaction_ && connection_.purpose_ != Purpose::kRead) {
      MAILY_TRY_VOID(connection_.Push(*this, {.statement = this, .rows_wanted = true}));
      MAILY_TRY_VOID(connection_.Settle());
    } else {
      MAILY_TRY_VOID(connection_.StartStream(*this));
    }
    begun_ = true;
  }
  while (true) {
    if (answer_ != nullptr && ++row_ < PQntuples(answer_.get())) return true;
    answer_.reset();
    if (!rows_.empty()) {
      answer_ = std::move(rows_.front());
      rows_.pop_front();
    } else if (connection_.streaming_ == this) {
      MAILY_TRY(answer_, connection_.NextOfStream());
    }
    if (answer_ == nullptr) return false;
    row_ = -1;
  }
}
void PostgresStatement::Reset() {
  if (connection_.streaming_ == this) connection_.StoreStream();
  rows_.clear();
  answer_.reset();
  row_ = -1;
  begun_ = false;
}

Type PostgresStatement::type(int column) const {
  if (PQgetisnull(answer_.get(), row_, column) != 0) return Type::kNull;
  return TypeOf(columns_[static_cast<size_t>(column)].oid);
}
int64_t PostgresStatement::integer(int column) const {
  if (PQgetisnull(answer_.get(), row_, column) != 0) return 0;
  const Oid oid = columns_[static_cast<size_t>(column)].oid;
  return TypeOf(oid) == Type::kInteger ? DecodeInteger(oid, bytes(column)) : 0;
}
std::string_view PostgresStatement::bytes(int column) const {
  return {PQgetvalue(answer_.get(), row_, column), static_cast<size_t>(PQgetlength(answer_.get(), row_, column))};
}

// --- PostgresConnection

Result<std::unique_ptr<Connection>> PostgresConnection::Open(Options options, Purpose purpose) {
  auto connection = std::make_unique<PostgresConnection>(std::move(options), purpose);
  MAILY_TRY_VOID(connection->Dial());
  return std::unique_ptr<Connection>(std::move(connection));
}
PostgresConnection::~PostgresConnection() = default;

// Numbers, not names, where the session's settings need a reason:
//  - a writer's statements all look rows up by key, and their plans are made when tables are new and have no statistics;
//  - what a writer holds locked is given back when its process is gone without a word.
Result<void> PostgresConnection::Dial() {
  handle_.reset();
  awaited_.clear();
  unsynced_ = syncs_ = 0;
  streaming_ = nullptr;
  MAILY_TRY(handle_, Connect(options_.url));
  ++session_;
  std::string settings =
      fmt::format("SET search_path = {}; SET lock_timeout = {}; SET plan_cache_mode = force_generic_plan; SET jit = off;",
                  Quoted(options_.schema), options_.lock_wait.us / 1000);
  if (!options_.role.empty()) settings += fmt::format("SET ROLE {};", Quoted(options_.role));
  if (purpose_ == Purpose::kRead) {
    settings += "SET default_transaction_read_only = on;";
  } else {
    settings += "SET synchronous_commit = off; SET enable_seqscan = off; SET idle_in_transaction_session_timeout = '60s';";
  }
  MAILY_TRY([[maybe_unused]] const auto set, Exec(handle_.get(), settings));
  return Ok();
}

bool PostgresConnection::lost() const { return handle_ == nullptr || PQstatus(handle_.get()) != CONNECTION_OK; }
Error PostgresConnection::Lost() { return ErrorOf(handle_.get(), nullptr, options_.schema); }

Result<Statement*> PostgresConnection::Prepare(std::string_view sql) {
  std::string key(sql);
  if (const auto found = statements_.find(key); found != statements_.end()) return found->second.get();
  auto made = std::make_unique<PostgresStatement>(*this, RewriteStatement(sql), fmt::format("s{}", statements_.size()));
  MAILY_TRY_VOID(Quiesce());
  auto prepared = EnsurePrepared(*made);
  if (!prepared && lost() && MayRedial()) {
    MAILY_TRY_VOID(Dial());
    prepared = EnsurePrepared(*made);
  }
  if (!prepared) return prepared.error();
  if (made->row_insert_ && purpose_ != Purpose::kRead) gathering_.push_back(made.get());
  return statements_.emplace(std::move(key), std::move(made)).first->second.get();
}

Result<void> PostgresConnection::EnsurePrepared(PostgresStatement& statement) {
  if (statement.session_ == session_) return Ok();
  MAILY_TRY_VOID(Quiesce());
  const ResultHandle prepared(PQprepare(handle_.get(), statement.name_.c_str(), statement.rewritten_.text.c_str(), 0, nullptr));
  if (!Succeeded(prepared.get())) return ErrorOf(handle_.get(), prepared.get(), statement.rewritten_.text);
  const ResultHandle described(PQdescribePrepared(handle_.get(), statement.name_.c_str()));
  if (!Succeeded(described.get())) return ErrorOf(handle_.get(), described.get(), statement.rewritten_.text);
  statement.types_.clear();
  for (int i = 0; i < PQnparams(described.get()); ++i) statement.types_.push_back(PQparamtype(described.get(), i));
  statement.columns_.clear();
  for (int i = 0; i < PQnfields(described.get()); ++i)
    statement.columns_.push_back({PQfname(described.get(), i), PQftype(described.get(), i)});
  statement.bound_.resize(statement.types_.size());
  statement.arrays_.clear();
  for (const Oid oid : statement.types_) statement.arrays_.emplace_back(oid);
  statement.gathered_ = 0;
  statement.many_name_.clear();
  statement.row_insert_ = AsRowInsert(statement.rewritten_.text);
  statement.session_ = session_;
  return Ok();
}

Result<void> PostgresConnection::PrepareMany(PostgresStatement& statement) {
  if (!statement.many_name_.empty()) return Ok();
  std::vector<std::string> types;
  for (const Oid oid : statement.types_) types.push_back(TypeName(oid));
  const std::string many = ManyRows(*statement.row_insert_, types);
  statement.many_name_ = fmt::format("{}m{}", statement.name_, ++many_);
  MAILY_TRY_VOID(Pushed(PQsendPrepare(handle_.get(), statement.many_name_.c_str(), many.c_str(), 0, nullptr), {}));
  return Ok();
}

Result<void> PostgresConnection::FlushTouched(const PostgresStatement& statement) {
  for (PostgresStatement* other : gathering_) {
    if (other->gathered_ > 0 && statement.Names(other->row_insert_->table)) MAILY_TRY_VOID(FlushGathered(*other));
  }
  return Ok();
}
Result<void> PostgresConnection::FlushGathered(PostgresStatement& statement) {
  if (statement.gathered_ == 0) return Ok();
  MAILY_TRY_VOID(EnterPipeline());
  MAILY_TRY_VOID(PrepareMany(statement));
  auto pushed = PushGathered(statement);
  statement.gathered_ = 0;
  for (ArrayColumn& array : statement.arrays_) array.Clear();
  return pushed;
}

Result<void> PostgresConnection::Push(PostgresStatement& statement, Awaited awaited) {
  MAILY_TRY_VOID(Failure());
  MAILY_TRY_VOID(EnsurePrepared(statement));
  MAILY_TRY_VOID(FlushTouched(statement));
  MAILY_TRY_VOID(EnterPipeline());
  MAILY_TRY(const int sent, statement.SendPrepared(handle_.get()));
  return Pushed(sent, std::move(awaited));
}
Result<void> PostgresConnection::PushGathered(PostgresStatement& statement) {
  const size_t count = statement.arrays_.size();
  std::vector<const char*> values(count);
  std::vector<int> lengths(count);
  const std::vector<int> formats(count, 1);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view array = statement.arrays_[i].Finish();
    values[i] = array.data();
    lengths[i] = static_cast<int>(array.size());
  }
  return Pushed(PQsendQueryPrepared(handle_.get(), statement.many_name_.c_str(), static_cast<int>(count), values.data(), lengths.data(),
                                    formats.data(), 1),
                {.statement = &statement, .changed = statement.gathered_changed_});
}
Result<void> PostgresConnection::Pushed(int sent, Awaited awaited) {
  if (sent != 1) {
    Note(Lost());
    return Failure();
  }
  awaited_.push_back(std::move(awaited));
  if (++unsynced_ < kCommandsASync) return Ok();
  MAILY_TRY_VOID(Sync());
  while (syncs_ > 1) ReadToSync();
  return Failure();
}
Result<void> PostgresConnection::EnterPipeline() {
  if (streaming_ != nullptr) StoreStream();
  if (lost() || PQenterPipelineMode(handle_.get()) != 1) {
    Note(Lost());
    return Failure();
  }
  return Ok();
}
Result<void> PostgresConnection::Sync() {
  if (PQpipelineSync(handle_.get()) != 1) {
    Note(Lost());
    return Failure();
  }
  awaited_.push_back({.sync = true});
  unsynced_ = 0;
  ++syncs_;
  return Ok();
}

// Reads the answers up to the next sync.
void PostgresConnection::ReadToSync() {
  while (!awaited_.empty()) {
    Awaited awaited = std::move(awaited_.front());
    awaited_.pop_front();
    if (!awaited.sync) {
      TakeAnswer(std::move(awaited));
      continue;
    }
    --syncs_;
    const ResultHandle sync(PQgetResult(handle_.get()));
    if (PQresultStatus(sync.get()) != PGRES_PIPELINE_SYNC) Note(Lost());
    return;
  }
}
void PostgresConnection::TakeAnswer(Awaited awaited) {
  ResultHandle answer(PQgetResult(handle_.get()));
  if (answer == nullptr) return Note(Lost());
  const ExecStatusType status = PQresultStatus(answer.get());
  if (Succeeded(answer.get())) {
    if (awaited.changed != nullptr) *awaited.changed += ChangedBy(answer.get());
    if (awaited.commit && std::string_view(PQcmdStatus(answer.get())) != "COMMIT") {
      Note(Fail(Code::kRetry, "PostgreSQL: {}: the transaction was rolled back", options_.schema));
    }
    if (awaited.rows_wanted) {
      awaited.statement->rows_.push_back(std::move(answer));
    } else if (awaited.read) {
      PostgresStatement& statement = *awaited.statement;
      const bool any = PQntuples(answer.get()) > 0;
      statement.answer_ = std::move(answer);
      statement.row_ = 0;
      awaited.read(any ? &statement : nullptr);
      statement.answer_.reset();
      statement.row_ = -1;
    }
  } else if (status != PGRES_PIPELINE_ABORTED) {  // aborted: an error came before it
    Note(ErrorOf(handle_.get(), answer.get(), awaited.statement == nullptr ? "" : awaited.statement->rewritten_.text));
  }
  while (!lost() && ResultHandle(PQgetResult(handle_.get())) != nullptr) {
  }
}

void PostgresConnection::Note(const Error& error) {
  if (!failure_) failure_ = error;
  if (lost()) {
    awaited_.clear();
    unsynced_ = syncs_ = 0;
    streaming_ = nullptr;
  }
}
Result<void> PostgresConnection::Failure() {
  if (!failure_) return Ok();
  const Error error = *failure_;
  if (!in_transaction_) failure_.reset();
  return error;
}

Result<void> PostgresConnection::Settle() {
  for (PostgresStatement* statement : gathering_) MAILY_TRY_VOID(FlushGathered(*statement));
  if (unsynced_ > 0) MAILY_TRY_VOID(Sync());
  while (syncs_ > 0) ReadToSync();
  return Failure();
}
Result<void> PostgresConnection::Quiesce() {
  if (streaming_ != nullptr) StoreStream();
  MAILY_TRY_VOID(Settle());
  if (lost()) {
    if (!MayRedial()) return Lost();
    return Dial();
  }
  if (PQpipelineStatus(handle_.get()) != PQ_PIPELINE_OFF && PQexitPipelineMode(handle_.get()) != 1) return Lost();
  return Ok();
}

Result<void> PostgresConnection::StartStream(PostgresStatement& statement) {
  for (int attempt = 1;; ++attempt) {
    MAILY_TRY_VOID(Quiesce());
    MAILY_TRY_VOID(EnsurePrepared(statement));
    MAILY_TRY(const int sent, statement.SendPrepared(handle_.get()));
    if (sent == 1) {
      PQsetSingleRowMode(handle_.get());
      streaming_ = &statement;
      auto first = NextOfStream();
      if (first) {
        if (*first != nullptr) statement.rows_.push_back(std::move(first).value());
        return Ok();
      }
      if (!lost() || !MayRedial() || attempt == 2) return first.error();
    } else if (!lost() || !MayRedial() || attempt == 2) {
      return Lost();
    }
  }
}
Result<ResultHandle> PostgresConnection::NextOfStream() {
  ResultHandle answer(PQgetResult(handle_.get()));
  if (answer == nullptr) {
    streaming_ = nullptr;
    return answer;
  }
  if (Succeeded(answer.get())) return answer;
  const Error error = ErrorOf(handle_.get(), answer.get(), streaming_->rewritten_.text);
  streaming_ = nullptr;
  while (!lost() && ResultHandle(PQgetResult(handle_.get())) != nullptr) {
  }
  return error;
}
// The connection is wanted for something else: keeps what is still to come.
void PostgresConnection::StoreStream() {
  PostgresStatement& statement = *streaming_;
  while (streaming_ != nullptr) {
    auto answer = NextOfStream();
    if (!answer) return Note(answer.error());
    if (*answer != nullptr) statement.rows_.push_back(std::move(answer).value());
  }
}

Result<void> PostgresConnection::Execute(std::string_view sql) {
  MAILY_TRY_VOID(Quiesce());
  std::string script = RewriteScript(sql);
  if (!options_.owner.empty() && purpose_ != Purpose::kRead) {
    script = fmt::format("SET ROLE {};{};SET ROLE {};", Quoted(options_.owner), script, Quoted(options_.role));
  }
  MAILY_TRY([[maybe_unused]] const auto done, Exec(handle_.get(), script));
  return Ok();
}

// A writer waits for the one before it: two of one database would else meet in the middle of their rows.
Result<void> PostgresConnection::Begin() {
  MAILY_CHECK(!in_transaction_, "{}: transactions are not nested", options_.schema);
  MAILY_TRY_VOID(Quiesce());
  const std::string begin = purpose_ == Purpose::kRead ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"
                                                       : fmt::format("BEGIN; SELECT pg_advisory_xact_lock({})",
                                                                     static_cast<int64_t>(Xxh3_64("maily writer of " + options_.schema)));
  auto begun = Exec(handle_.get(), begin);
  if (!begun && lost() && MayRedial()) {
    MAILY_TRY_VOID(Dial());
    begun = Exec(handle_.get(), begin);
  }
  in_transaction_ = true;
  if (begun) return Ok();
  Rollback();
  return begun.error();
}
Result<void> PostgresConnection::Commit() {
  if (purpose_ == Purpose::kRead) {
    MAILY_TRY_VOID(Quiesce());
    in_transaction_ = false;
    MAILY_TRY([[maybe_unused]] const auto done, Exec(handle_.get(), "COMMIT"));
    return Ok();
  }
  auto committed = PushCommit();
  if (committed) committed = Settle();
  if (!committed) {
    Rollback();
    return committed;
  }
  in_transaction_ = false;
  return Ok();
}
Result<void> PostgresConnection::PushCommit() {
  MAILY_TRY_VOID(Failure());
  for (PostgresStatement* statement : gathering_) MAILY_TRY_VOID(FlushGathered(*statement));
  MAILY_TRY_VOID(EnterPipeline());
  return Pushed(PQsendQueryParams(handle_.get(), "COMMIT", 0, nullptr, nullptr, nullptr, nullptr, 1), {.commit = true});
}
void PostgresConnection::Rollback() {
  if (!in_transaction_) return;
  for (PostgresStatement* statement : gathering_) {
    statement->gathered_ = 0;
    for (ArrayColumn& array : statement->arrays_) array.Clear();
    if (failure_) statement->many_name_.clear();  // its preparation may have come after the error
  }
  for (Awaited& awaited : awaited_) {
    awaited.changed = nullptr;
    awaited.read = nullptr;
  }
  if (!lost()) Quiesce().IgnoreError("what failed is taken back");
  in_transaction_ = false;
  failure_.reset();
  if (lost()) return;
  if (PQpipelineStatus(handle_.get()) != PQ_PIPELINE_OFF) PQexitPipelineMode(handle_.get());
  Exec(handle_.get(), "ROLLBACK").IgnoreError("a connection that is gone has rolled back");
}

// Commits were not waited for. One that is waited for takes all before it to the disk.
Result<void> PostgresConnection::MakeDurable() {
  MAILY_TRY_VOID(Quiesce());
  if (purpose_ == Purpose::kBuild) {
    MAILY_TRY_VOID(Execute(kAnalyze));
    purpose_ = Purpose::kWrite;
  }
  const std::string touch =
      fmt::format("BEGIN; SET LOCAL synchronous_commit = on; UPDATE {}.databases SET durable_at = now() WHERE name = {}; COMMIT",
                  Quoted(options_.own_schema), Literal(options_.schema));
  auto done = Exec(handle_.get(), touch);
  if (done) return Ok();
  if (!lost()) Exec(handle_.get(), "ROLLBACK").IgnoreError("there is nothing to take back");
  return done.error();
}

}  // namespace maily::sql::postgres
