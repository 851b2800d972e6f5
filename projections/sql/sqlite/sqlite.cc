// Implements the SQL port on SQLite.
#include "projections/sql/sqlite/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <unordered_map>

#include "projections/sql/sqlite/checked_pages.h"
#include "projections/sql/text.h"

namespace maily::sql {
namespace {

constexpr int64_t kPageBytes = 4096;

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using DatabaseHandle = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

Code CodeOf(int extended) {
  if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) return Code::kFatal;
  if (extended == SQLITE_IOERR_DATA) return Code::kCorrupt;
  switch (extended & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return Code::kRetry;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kCorrupt;
    case SQLITE_CANTOPEN:
      return Code::kNotFound;
    default:
      return Code::kInvalid;
  }
}

Error ErrorOf(sqlite3* db, const std::string& file, std::string_view what) {
  const int extended = sqlite3_extended_errcode(db);
  const Code code = CodeOf(extended);
  const char* hint = "";
  if (code == Code::kCorrupt) hint = "; the read models can be rebuilt from the journal";
  if ((extended & 0xFF) == SQLITE_FULL) hint = "; the disk is full";
  const char* message = extended == SQLITE_IOERR_DATA ? LastDamage().c_str() : sqlite3_errmsg(db);
  return Fail(code, "{}: {} ({}, code {}){}", file, message, what.substr(0, 200), extended, hint);
}

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(sqlite3* db, StatementHandle handle, const std::string& file) : db_(db), handle_(std::move(handle)), file_(file) {}

  void BindInteger(int parameter, int64_t value) override { Bound(sqlite3_bind_int64(handle_.get(), parameter, value), parameter); }
  void BindText(int parameter, std::string_view value) override {
    std::string room;
    const std::string_view text = CleanText(value, room);
    Bound(sqlite3_bind_text64(handle_.get(), parameter, text.data() == nullptr ? "" : text.data(), text.size(),
                              text.data() == room.data() ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8),
          parameter);
  }
  void BindBlob(int parameter, std::string_view value) override {
    Bound(sqlite3_bind_blob64(handle_.get(), parameter, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_STATIC),
          parameter);
  }
  void BindNull(int parameter) override { Bound(sqlite3_bind_null(handle_.get(), parameter), parameter); }
  int parameter_count() const override { return sqlite3_bind_parameter_count(handle_.get()); }
  int ParameterIndex(const std::string& name) const override { return sqlite3_bind_parameter_index(handle_.get(), (":" + name).c_str()); }

  Result<int64_t> Run() override {
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW) code = sqlite3_step(handle_.get());
    if (code != SQLITE_DONE) [[unlikely]] {
      const Error error = ErrorOf(db_, file_, sqlite3_sql(handle_.get()));
      sqlite3_reset(handle_.get());
      return error;
    }
    const int64_t changed = sqlite3_changes64(db_);
    sqlite3_reset(handle_.get());
    return changed;
  }
  Result<void> Send() override {
    auto changed = Run();
    if (!changed) [[unlikely]]
      return changed.error();
    return Ok();
  }
  Result<void> SendCounting(int64_t& changed) override {
    MAILY_TRY(const int64_t rows, Run());
    changed += rows;
    return Ok();
  }
  Result<void> SendReading(std::function<void(const Statement* row)> read) override {
    auto row = Step();
    if (row) read(*row ? this : nullptr);
    while (row && *row) row = Step();  // what changes rows has to be run to its end
    Reset();
    if (!row) return row.error();
    return Ok();
  }
  Result<void> Settle() override { return Ok(); }
  Result<bool> Step() override {
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return ErrorOf(db_, file_, sqlite3_sql(handle_.get()));
  }
  void Reset() override { sqlite3_reset(handle_.get()); }

  int column_count() const override { return sqlite3_column_count(handle_.get()); }
  std::string_view column_name(int column) const override { return sqlite3_column_name(handle_.get(), column); }
  Type type(int column) const override {
    switch (sqlite3_column_type(handle_.get(), column)) {
      case SQLITE_INTEGER:
        return Type::kInteger;
      case SQLITE_TEXT:
        return Type::kText;
      case SQLITE_BLOB:
        return Type::kBlob;
      case SQLITE_NULL:
        return Type::kNull;
      default:
        return Type::kText;  // a float of an expression: read as its text
    }
  }
  int64_t integer(int column) const override { return sqlite3_column_int64(handle_.get(), column); }
  std::string_view bytes(int column) const override {
    const void* data = sqlite3_column_type(handle_.get(), column) == SQLITE_BLOB
                           ? sqlite3_column_blob(handle_.get(), column)
                           : static_cast<const void*>(sqlite3_column_text(handle_.get(), column));
    const int size = sqlite3_column_bytes(handle_.get(), column);
    return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), static_cast<size_t>(size));
  }

 private:
  void Bound(int code, int parameter) {
    MAILY_CHECK(code == SQLITE_OK, "bind parameter {} of '{}': {}", parameter, sqlite3_sql(handle_.get()), sqlite3_errstr(code));
  }
  sqlite3* db_;
  StatementHandle handle_;
  const std::string& file_;
};

class SqliteConnection final : public Connection {
 public:
  SqliteConnection(DatabaseHandle db, std::string file, Purpose purpose, int busy_ms)
      : db_(std::move(db)), file_(std::move(file)), purpose_(purpose), busy_ms_(busy_ms) {}

  // Call after the pragmas: wal_autocheckpoint takes the hook away.
  void WatchCommits() { sqlite3_wal_hook(db_.get(), &SqliteConnection::Committed, this); }

  Result<Statement*> Prepare(std::string_view sql) override {
    if (const auto found = statements_.find(std::string(sql)); found != statements_.end()) return found->second.get();
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    StatementHandle handle(raw);
    if (code != SQLITE_OK) return ErrorOf(db_.get(), file_, sql);
    if (raw == nullptr) return Fail(Code::kInvalid, "{}: empty statement", file_);
    auto statement = std::make_unique<SqliteStatement>(db_.get(), std::move(handle), file_);
    return statements_.emplace(std::string(sql), std::move(statement)).first->second.get();
  }

  Result<void> Execute(std::string_view sql) override {
    if (sqlite3_exec(db_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return ErrorOf(db_.get(), file_, sql);
    return Ok();
  }

  Result<void> Begin() override { return Execute(purpose_ == Purpose::kRead ? "BEGIN" : "BEGIN IMMEDIATE"); }
  Result<void> Commit() override {
    auto committed = Control("COMMIT");
    if (!committed) Rollback();
    return committed;
  }
  void Rollback() override {
    if (sqlite3_get_autocommit(db_.get()) == 0) Control("ROLLBACK").IgnoreError("the engine has rolled back by itself");
  }

  int64_t unplaced_bytes() const override { return wal_pages_ * kPageBytes; }
  Result<void> Checkpoint() override {
    const int code = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED) return ErrorOf(db_.get(), file_, "checkpoint");
    return Ok();
  }
  Result<bool> Forget() override {
    if (purpose_ == Purpose::kBuild) return true;  // nothing is written ahead
    sqlite3_busy_timeout(db_.get(), 0);
    const int code = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_busy_timeout(db_.get(), busy_ms_);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) return false;
    if (code != SQLITE_OK) return ErrorOf(db_.get(), file_, "checkpoint");
    wal_pages_ = 0;
    return true;
  }
  Result<void> MakeDurable() override {
    if (purpose_ == Purpose::kBuild) {
      MAILY_TRY_VOID(Execute("PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"));
      MAILY_TRY_VOID(SyncFile());  // what was written while nothing was synced
      WatchCommits();
      purpose_ = Purpose::kWrite;
    }
    // NORMAL syncs the write-ahead file before, and the database after its pages are copied.
    const int code = sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code != SQLITE_OK) return ErrorOf(db_.get(), file_, "checkpoint");
    wal_pages_ = 0;
    return Ok();
  }

 private:
  // Statements of transaction control are run prepared: they are on the path of every batch.
  Result<void> Control(std::string_view sql) {
    MAILY_TRY(Statement * statement, Prepare(sql));
    MAILY_TRY([[maybe_unused]] const int64_t changed, statement->Run());
    return Ok();
  }
  Result<void> SyncFile() const {
    const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0) ::close(fd);
    if (!synced) return Fail(Code::kFatal, "{}: fsync: {}", file_, std::strerror(why));
    return Ok();
  }
  static int Committed(void* self, sqlite3* /*db*/, const char* /*name*/, int pages) {
    static_cast<SqliteConnection*>(self)->wal_pages_ = pages;
    return SQLITE_OK;
  }

  DatabaseHandle db_;
  const std::string file_;
  Purpose purpose_;
  const int busy_ms_;
  int64_t wal_pages_ = 0;
  std::unordered_map<std::string, std::unique_ptr<SqliteStatement>> statements_;  // die before db_
};

bool NameIsValid(std::string_view name) {
  if (name.empty() || name.size() > 60) return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string_view::npos;
}

// Writes a small file so that a crash leaves the old one or the new one.
Result<void> ReplaceFile(const std::string& directory, const std::string& file, std::string_view content) {
  const std::string next = file + ".next";
  const auto failed = [&](const char* step) { return Fail(Code::kRetry, "{}: {}: {}", file, step, std::strerror(errno)); };
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return failed("open");
  const bool written = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
  if (::close(fd) != 0 || !written) return failed("write");
  if (::rename(next.c_str(), file.c_str()) != 0) return failed("rename");
  const int dir = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return failed("open the directory");
  const bool synced = ::fsync(dir) == 0;
  ::close(dir);
  if (!synced) return Fail(Code::kFatal, "{}: fsync of the directory: {}", file, std::strerror(errno));
  return Ok();
}

class SqliteDatabases final : public Databases {
 public:
  explicit SqliteDatabases(SqliteOptions options) : options_(std::move(options)) {}

  Result<std::unique_ptr<Connection>> Open(const std::string& name, Purpose purpose) override {
    if (!NameIsValid(name)) return Fail(Code::kInvalid, "'{}' is no database name", name);
    const std::string file = FileOf(name);
    std::error_code ignored;
    if (purpose == Purpose::kRead && !std::filesystem::exists(file, ignored)) return Fail(Code::kNotFound, "{} does not exist", file);
    sqlite3* raw = nullptr;
    // A reader opens for writing too: in write-ahead mode it has to keep its read mark in shared memory. query_only guards it.
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (purpose == Purpose::kRead ? 0 : SQLITE_OPEN_CREATE);
    const int code = sqlite3_open_v2(file.c_str(), &raw, flags, CheckedPages());
    DatabaseHandle db(raw);
    if (code != SQLITE_OK) {
      if (raw == nullptr) return Fail(Code::kRetry, "{}: no memory", file);
      return ErrorOf(raw, file, "open");
    }
    sqlite3_extended_result_codes(raw, 1);
    if (purpose != Purpose::kRead) ReservePageChecksums(raw);
    const int busy_ms = static_cast<int>(options_.busy_wait.us / 1000);
    sqlite3_busy_timeout(raw, busy_ms);
    const size_t cache = purpose == Purpose::kRead ? options_.reader_cache_bytes : options_.writer_cache_bytes;
    // A build needs no second copy of its pages: it can be rolled back from memory, and after a crash it is thrown away.
    const char* journal = purpose == Purpose::kBuild ? "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;"
                                                     : "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL;";
    // What is deleted is overwritten: it may be of somebody who was erased.
    const std::string pragmas = fmt::format("{} PRAGMA secure_delete=1; PRAGMA cache_size=-{}; PRAGMA temp_store=MEMORY;{}", journal,
                                            cache / 1024, purpose == Purpose::kRead ? " PRAGMA query_only=1;" : "");
    auto connection = std::make_unique<SqliteConnection>(std::move(db), file, purpose, busy_ms);
    MAILY_TRY_VOID(connection->Execute(pragmas));
    if (purpose == Purpose::kWrite) connection->WatchCommits();
    return std::unique_ptr<Connection>(std::move(connection));
  }

  Result<std::vector<std::string>> List() override {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory, error)) {
      if (entry.path().extension() == ".db") names.push_back(entry.path().stem().string());
    }
    if (error) return Fail(Code::kRetry, "{}: {}", options_.directory, error.message());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> Drop(const std::string& name) override {
    if (!NameIsValid(name)) return Fail(Code::kInvalid, "'{}' is no database name", name);
    {
      const std::lock_guard lock(mutex_);
      checkpointers_.erase(name);
    }
    // The database goes last: a write-ahead file left alone would be taken for part of the next database of this name.
    for (const char* suffix : {"-wal", "-shm", ""}) {
      std::error_code error;
      std::filesystem::remove(FileOf(name) + suffix, error);
      if (error) return Fail(Code::kRetry, "{}{}: {}", FileOf(name), suffix, error.message());
    }
    return Ok();
  }

  Result<void> Checkpoint(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    auto& connection = checkpointers_[name];
    if (connection == nullptr) {
      std::error_code ignored;
      if (!std::filesystem::exists(FileOf(name), ignored)) return Fail(Code::kNotFound, "{} does not exist", FileOf(name));
      auto opened = Open(name, Purpose::kWrite);
      if (!opened) return opened.error();
      connection = std::move(opened).value();
    }
    return connection->Checkpoint();
  }

  Result<std::optional<LivePointer>> Live(const std::string& group) override {
    const std::string file = PointerOf(group);
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      if (errno == ENOENT) return std::optional<LivePointer>();
      return Fail(Code::kRetry, "{}: {}", file, std::strerror(errno));
    }
    char buffer[256];
    const ssize_t size = ::read(fd, buffer, sizeof(buffer));
    ::close(fd);
    if (size < 0) return Fail(Code::kRetry, "{}: {}", file, std::strerror(errno));
    const std::string_view text(buffer, static_cast<size_t>(size));
    const size_t end = text.find('\n');
    const size_t last = end == std::string_view::npos ? end : text.find('\n', end + 1);
    if (last == std::string_view::npos)
      return Fail(Code::kCorrupt, "{}: two lines expected; delete it to have the read models rebuilt", file);
    LivePointer pointer{std::string(text.substr(0, end)), std::string(text.substr(end + 1, last - end - 1))};
    if (!NameIsValid(pointer.live)) return Fail(Code::kCorrupt, "{}: '{}' is no database name", file, pointer.live);
    return std::optional<LivePointer>(std::move(pointer));
  }

  Result<Held> Hold(const std::string& /*group*/, const std::string& holder, Duration /*lease*/) override { return Held{true, holder}; }
  Result<std::string> Holder(const std::string& /*group*/) override { return std::string(); }
  Result<void> Release(const std::string& /*group*/, const std::string& /*holder*/) override { return Ok(); }
  Result<void> SetLive(const std::string& group, const LivePointer& pointer) override {
    MAILY_CHECK(NameIsValid(pointer.live) && (pointer.previous.empty() || NameIsValid(pointer.previous)), "live pointer of {}", group);
    return ReplaceFile(options_.directory, PointerOf(group), pointer.live + "\n" + pointer.previous + "\n");
  }

 private:
  std::string FileOf(const std::string& name) const { return options_.directory + "/" + name + ".db"; }
  std::string PointerOf(const std::string& group) const { return options_.directory + "/" + group + ".live"; }

  const SqliteOptions options_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<Connection>> checkpointers_;  // guarded by mutex_
};

}  // namespace

Result<std::unique_ptr<Databases>> OpenSqlite(SqliteOptions options) {
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) return Fail(Code::kRetry, "{}: {}", options.directory, error.message());
  return std::unique_ptr<Databases>(std::make_unique<SqliteDatabases>(std::move(options)));
}

}  // namespace maily::sql
