// The SQL port: what the read models are kept in and asked from. Adapters: sqlite, postgres.
//
// The dialect is what SQLite 3.40 and PostgreSQL 15 share: INSERT … ON CONFLICT DO UPDATE, RETURNING, int64, text, blob and null.
// Parameters are written `?1` or `:name`; an adapter whose engine spells them otherwise, or has no `WITHOUT ROWID`, rewrites the text.
// Text sorts by its bytes. It is UTF-8 without the byte 0; each byte that is not, every adapter replaces by U+FFFD.
//
// Codes of every failure here: kRetry (locked by another process, disk full, connection lost), kCorrupt (the stored file is damaged, the
// message names it), kInvalid (the statement is wrong or breaks a constraint), kNotFound (no such database), kFatal (a sync failed).
// After a lost connection a new one is opened; whether a Commit that failed so took place, only what is read there tells.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::sql {

enum class Type : uint8_t { kNull, kInteger, kText, kBlob };

struct Value {
  Type type = Type::kNull;
  int64_t integer = 0;  // kInteger
  std::string bytes;    // kText, kBlob

  static Value Null() { return {}; }
  static Value Integer(int64_t value) { return {Type::kInteger, value, {}}; }
  static Value Text(std::string value) { return {Type::kText, 0, std::move(value)}; }
  static Value Blob(std::string value) { return {Type::kBlob, 0, std::move(value)}; }
  bool operator==(const Value&) const = default;
};

// Marks bytes that are not text where both would fit.
struct Blob {
  std::string_view bytes;
};

// A prepared statement; belongs to its connection and is used on the connection's thread.
class Statement {
 public:
  virtual ~Statement() = default;

  // Parameters count from 1 and stay bound until bound anew. Text and blobs are not copied: they must live until Run or Send… returns, or
  // until the Reset after the last Step.
  virtual void BindInteger(int parameter, int64_t value) = 0;
  virtual void BindText(int parameter, std::string_view value) = 0;
  virtual void BindBlob(int parameter, std::string_view value) = 0;
  virtual void BindNull(int parameter) = 0;
  virtual int parameter_count() const = 0;
  // ":name" without the colon; 0 = there is none of that name.
  virtual int ParameterIndex(const std::string& name) const = 0;

  // Executes to the end and resets; the number of rows that it changed.
  virtual Result<int64_t> Run() = 0;

  // As Run, where nobody waits for the answer: inside a transaction an adapter may gather and pipeline what is sent. Later statements see
  // what it changed all the same; its error may come from any later call on the connection, at the latest from Settle or Commit.
  virtual Result<void> Send() = 0;
  // Adds the number of rows that it changes to `changed`, now or later; not after Rollback.
  virtual Result<void> SendCounting(int64_t& changed) = 0;
  // Shows `read` its first row, or null if there is none, now or later, not after Rollback; the rest is passed by. `read` may not use the
  // connection.
  virtual Result<void> SendReading(std::function<void(const Statement* row)> read) = 0;
  // Everything that was sent on its connection has been executed, counted and shown.
  virtual Result<void> Settle() = 0;

  // True: stands on a row. False: at the end. Call Reset when done with the rows, also after an error.
  virtual Result<bool> Step() = 0;
  virtual void Reset() = 0;

  // Of the row it stands on; columns count from 0. Views are valid until the next Step or Reset. Text of a null is empty.
  virtual int column_count() const = 0;
  virtual std::string_view column_name(int column) const = 0;
  virtual Type type(int column) const = 0;
  virtual int64_t integer(int column) const = 0;
  virtual std::string_view bytes(int column) const = 0;

  Value value(int column) const {
    const Type t = type(column);
    if (t == Type::kInteger) return Value::Integer(integer(column));
    if (t == Type::kNull) return Value::Null();
    return {t, 0, std::string(bytes(column))};
  }
};

inline void BindOne(Statement& statement, int parameter, std::integral auto value) {
  statement.BindInteger(parameter, static_cast<int64_t>(value));
}
inline void BindOne(Statement& statement, int parameter, std::string_view value) { statement.BindText(parameter, value); }
inline void BindOne(Statement& statement, int parameter, Blob value) { statement.BindBlob(parameter, value.bytes); }
inline void BindOne(Statement& statement, int parameter, std::nullopt_t) { statement.BindNull(parameter); }
inline void BindOne(Statement& statement, int parameter, const std::optional<int64_t>& value) {
  value ? statement.BindInteger(parameter, *value) : statement.BindNull(parameter);
}
inline void BindOne(Statement& statement, int parameter, const Value& value) {
  switch (value.type) {
    case Type::kNull:
      return statement.BindNull(parameter);
    case Type::kInteger:
      return statement.BindInteger(parameter, value.integer);
    case Type::kText:
      return statement.BindText(parameter, value.bytes);
    case Type::kBlob:
      return statement.BindBlob(parameter, value.bytes);
  }
}
// Binds the parameters 1, 2, … to the arguments.
template <class... Args>
void BindAll(Statement& statement, const Args&... args) {
  int parameter = 0;
  (BindOne(statement, ++parameter, args), ...);
}
// Binds, executes, resets: the number of rows changed.
template <class... Args>
Result<int64_t> RunWith(Statement& statement, const Args&... args) {
  BindAll(statement, args...);
  return statement.Run();
}
// Binds and sends.
template <class... Args>
Result<void> Do(Statement& statement, const Args&... args) {
  BindAll(statement, args...);
  return statement.Send();
}

// One connection to one database. Not thread-safe: used by one thread at a time, as its owner arranges.
class Connection {
 public:
  virtual ~Connection() = default;

  // The prepared statement of this text, made at its first use and kept as long as the connection.
  virtual Result<Statement*> Prepare(std::string_view sql) = 0;
  // Executes several statements, separated by semicolons: schemas.
  virtual Result<void> Execute(std::string_view sql) = 0;

  // A writer takes the write lock; a reader gets one snapshot for all reads up to Commit or Rollback. Not nested.
  virtual Result<void> Begin() = 0;
  virtual Result<void> Commit() = 0;
  virtual void Rollback() = 0;

  // Nothing of what was deleted and committed stays readable in files that the engine writes ahead. False: somebody reads what was there
  // before; ask again later. Never waits. An engine whose operator sees to that (PostgreSQL: VACUUM) says true.
  virtual Result<bool> Forget() { return true; }

  // Bytes that commits have left for Checkpoint to put in place; 0 if the engine does that by itself.
  virtual int64_t unplaced_bytes() const = 0;
  // Puts in place what commits have left. Waits for no one; may leave a rest.
  virtual Result<void> Checkpoint() = 0;
  // Everything committed survives loss of power when this returns. A connection opened with kBuild writes as kWrite from then on.
  virtual Result<void> MakeDurable() = 0;
};

enum class Purpose : uint8_t {
  kRead,   // cannot write; sees what was committed when its statement or transaction began, and never waits for a writer
  kWrite,  // makes the database if there is none. Loss of power takes back the last commits, whole and in order; kill -9 none
  kBuild,  // as kWrite, but loss of power before MakeDurable may spoil the whole database: for one that is thrown away then
};

// Which database of a group answers. Kept apart from the databases, and changed in one atomic, durable step.
struct LivePointer {
  std::string live;      // name of a database
  std::string previous;  // kept for going back; empty = none
  bool operator==(const LivePointer&) const = default;
};

// A place with named databases: files of a directory, or schemas of a server. Names: [a-z0-9_-]{1,60}. Thread: any.
class Databases {
 public:
  virtual ~Databases() = default;
  // kNotFound: it does not exist (kRead only).
  virtual Result<std::unique_ptr<Connection>> Open(const std::string& name, Purpose purpose) = 0;
  virtual Result<std::vector<std::string>> List() = 0;
  // Removing one that does not exist is no error. It must not be open, here or elsewhere.
  virtual Result<void> Drop(const std::string& name) = 0;
  // As Connection::Checkpoint, beside the connections that use it: for a thread that may wait for the disk.
  virtual Result<void> Checkpoint(const std::string& name) = 0;

  // None: the group never had a live database, or its pointer was deleted.
  virtual Result<std::optional<LivePointer>> Live(const std::string& group) = 0;
  virtual Result<void> SetLive(const std::string& group, const LivePointer& pointer) = 0;

  // Takes the right to fold a group, or keeps it, until `lease` from now by the database's clock: one holder at a time over all processes.
  // It keeps two from working for nothing; what makes it safe is the fence of positions. A directory of SQLite has one process, which the
  // lock of the data directory sees to, and it always gets it.
  struct Held {
    bool mine = false;
    std::string holder;  // who has it
  };
  virtual Result<Held> Hold(const std::string& group, const std::string& holder, Duration lease) = 0;
  // Who has it; empty = nobody, or nobody knows.
  virtual Result<std::string> Holder(const std::string& group) = 0;
  // Gives it back, if `holder` has it.
  virtual Result<void> Release(const std::string& group, const std::string& holder) = 0;
};

}  // namespace maily::sql
