// What a read model is: its tables, its named queries, and the fold of events into row changes.
//
// A fold is a function of the journal alone: no clock, no random, no other read model's tables. A row belongs to one partition, or its fold
// commutes, because the frames of different partitions come in any order. Then every rebuild gives the same rows.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/sql/named.h"
#include "projections/sql/sql.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/base/type_number.h"
#include "streams/journal/decision.h"

namespace maily::keyring {
class Keyring;
}

namespace maily::projections {

// Where an event stands, and when it came.
struct EventAt {
  PartitionId partition;
  TenantId tenant;
  Lsn lsn;             // of its decision
  uint32_t index = 0;  // in its decision, below 256
  Instant time;        // of its frame
  const journal::Decision* decision = nullptr;
  uint64_t chain = 0;  // of the journal, up to and including its frame: that it stands there, and nothing before it was changed

  // Orders the events of a partition, and names one of them.
  int64_t sequence() const { return static_cast<int64_t>(lsn.value() << 8 | index); }
  // contact_id of a contact of this partition. [format]
  int64_t ContactId(uint64_t ordinal) const {
    return static_cast<int64_t>(uint64_t{partition.value()} << 48 | (ordinal & 0xFFFF'FFFF'FFFFULL));
  }
};

enum class TableKind : uint8_t {
  kFolded,    // in the digest: depends on the journal alone
  kPersonal,  // holds opened personal data, so it depends on the keys that still exist: digested apart
  kConstant,  // filled by the schema: names of numbers
  kJudged,    // says what a rule makes of sealed data, and shows none of it: digested apart as well, and read by whoever reads the folded
              // ones
};
struct Table {
  std::string name;
  TableKind kind = TableKind::kFolded;
};

// Which events a group folds. A payload is parsed once, into a message that is used again for the next event of its type, and then shown
// to every fold that asked for the type, in the order of the table of read models.
class EventHandlers {
 public:
  template <class M>
  using Handler = std::function<Result<void>(const EventAt&, const M&)>;

  template <class M>
  void On(Handler<M> handler) {
    const TypeNumber number = TypeNumberOf<M>();
    if (slots_.size() <= number) slots_.resize(number + size_t{1});
    if (slots_[number] == nullptr) slots_[number] = std::make_unique<TypedSlot<M>>();
    static_cast<TypedSlot<M>*>(slots_[number].get())->handlers.push_back(std::move(handler));
  }
  template <class F, class M>
  void On(F* fold, Result<void> (F::*method)(const EventAt&, const M&)) {
    On<M>([fold, method](const EventAt& at, const M& event) { return (fold->*method)(at, event); });
  }
  bool Handles(TypeNumber number) const { return number < slots_.size() && slots_[number] != nullptr; }

  // Shows the event to its handlers; no handler is no error. kCorrupt: the payload is none of its type.
  Result<void> Handle(const EventAt& at, const journal::Event& event) {
    return Handles(event.type) ? slots_[event.type]->Handle(at, event) : Ok();
  }

 private:
  struct Slot {
    virtual ~Slot() = default;
    virtual Result<void> Handle(const EventAt& at, const journal::Event& event) = 0;
  };
  template <class M>
  struct TypedSlot final : Slot {
    Result<void> Handle(const EventAt& at, const journal::Event& event) override {
      if (!message.ParseFromArray(event.payload.data(), static_cast<int>(event.payload.size()))) [[unlikely]] {
        return Fail(Code::kCorrupt, "partition {}, lsn {}, event {}: {} bytes are no message of type {}", at.partition.value(),
                    at.lsn.value(), at.index, event.payload.size(), event.type);
      }
      for (const Handler<M>& handler : handlers) MAILY_TRY_VOID(handler(at, message));
      return Ok();
    }
    M message;
    std::vector<Handler<M>> handlers;
  };
  std::vector<std::unique_ptr<Slot>> slots_;  // by type number
};

// What a fold is made from. Lives while it is made.
class FoldSetup {
 public:
  FoldSetup(sql::Connection& connection, EventHandlers& all_handlers, std::vector<sql::NamedStatement> statements,
            keyring::Keyring* keyring)
      : handlers(all_handlers), connection_(connection), statements_(std::move(statements)), keyring_(keyring) {}

  EventHandlers& handlers;

  // The statement `-- fold: name` of the read model's queries.sql; lives as long as the connection. kInvalid: its SQL is wrong.
  // CHECK: it is there.
  Result<sql::Statement*> Prepare(std::string_view name) const {
    for (const sql::NamedStatement& statement : statements_) {
      if (statement.kind == sql::StatementKind::kFold && statement.name == name) return connection_.Prepare(statement.sql);
    }
    Die(__FILE__, __LINE__, fmt::format("no '-- fold: {}' in queries.sql", name));
  }
  // To open what goes into the declared personal tables, or decides what goes into judged ones, and for nothing else. Null in a read model
  // without either, and where no keys are kept: then personal tables stay empty, and judged ones are filled by what is in the open.
  keyring::Keyring* keyring() const { return keyring_; }

 private:
  sql::Connection& connection_;
  std::vector<sql::NamedStatement> statements_;
  keyring::Keyring* keyring_;
};

// The rows of one read model in the making. Used on the projector's executor.
class Fold {
 public:
  virtual ~Fold() = default;
  // Before every commit: writes what handlers have gathered. What is gathered must be bounded by the events of one transaction.
  virtual Result<void> Flush() { return Ok(); }
  // After every commit, once: true if personal data was deleted that must not be readable anywhere.
  virtual bool Forgot() { return false; }
};

struct ReadModel {
  std::string name;
  uint32_t version = 1;  // raise it when the fold gives other rows from the same events: stored versions are rebuilt then
  std::string_view schema_sql;
  std::string_view queries_sql;
  std::vector<Table> tables;
  // Registers handlers with the setup. The fold is destroyed after the last event and before the connection.
  std::function<Result<std::unique_ptr<Fold>>(FoldSetup&)> make;

  // True: its fold is given the keyring.
  bool opens_seals() const {
    for (const Table& table : tables) {
      if (table.kind == TableKind::kPersonal || table.kind == TableKind::kJudged) return true;
    }
    return false;
  }
};

// One database, one position a partition; rebuilt, verified and switched whole.
struct Group {
  std::string name;  // [a-z0-9_-]{1,40}
  std::vector<ReadModel> models;
};

}  // namespace maily::projections
