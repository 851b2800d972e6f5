// Implements the projector: one transaction over many frames of many partitions.
#include "projections/projector/projector.h"

#include <atomic>

#include "projections/projector/sql.h"
#include "schemas/types.h"
#include "streams/base/hash.h"

namespace maily::projections {
namespace {

// Types below are of streams/ itself: links, rejections. A group that does not fold them may pass them by.
constexpr TypeNumber kFirstSchemaType = 100;

constexpr Duration kForgetAgain = Milliseconds(500);

Result<std::vector<sql::NamedStatement>> OwnStatements() { return sql::ParseNamed(projector_sql::kQueries); }

const std::string& Find(const std::vector<sql::NamedStatement>& statements, std::string_view name) {
  for (const sql::NamedStatement& statement : statements) {
    if (statement.name == name) return statement.sql;
  }
  Die(__FILE__, __LINE__, fmt::format("no statement {}", name));
}

}  // namespace

int64_t FingerprintOf(const ReadModel& model) {
  std::string text = fmt::format("{}\n{}\n{}\n", model.name, model.version, model.schema_sql);
  for (const Table& table : model.tables) text += fmt::format("{} {}\n", table.name, static_cast<int>(table.kind));
  return static_cast<int64_t>(Xxh3_64(text));
}

Result<std::vector<journal::Position>> ReadPositions(sql::Connection& connection) {
  MAILY_TRY(const auto statements, OwnStatements());
  auto prepared = connection.Prepare(Find(statements, "positions"));
  if (!prepared) {
    if (prepared.error().code != Code::kInvalid) return prepared.error();
    return Fail(Code::kNotFound, "{}", prepared.error().message);  // no such table: it is new
  }
  sql::Statement& statement = **prepared;
  std::vector<journal::Position> positions;
  while (true) {
    auto row = statement.Step();
    if (!row || !*row) {
      statement.Reset();
      if (!row) return row.error();
      return positions;
    }
    auto position = journal::DecodePosition(statement.bytes(1));
    if (!position || position->partition.value() != positions.size()) {
      statement.Reset();
      return Fail(Code::kCorrupt, "positions of partition {}: {}", positions.size(),
                  position ? "a row is missing" : position.error().message);
    }
    positions.push_back(std::move(position).value());
  }
}

struct Projector::Impl {
  struct Part {
    std::unique_ptr<journal::TailReader> reader;
    journal::Position current;  // folded, perhaps not committed
    journal::Position stored;   // in its row, perhaps not committed
    journal::FramePtr held;     // read, and beyond the limit
    bool ready = true;          // Next may give something
    bool waiting = false;       // a WhenReady is out
    bool end_wanted = false;    // RunToEnd waits for it
    bool changed = false;       // in this transaction
  };
  struct Seen {  // read by any thread
    std::atomic<uint64_t> records{0};
    std::atomic<int64_t> time_us{0};
  };

  Impl(const ProjectionEnvironment& e, const Group& g, std::string name, Mode m, ProjectorLimits l, Callbacks c)
      : env(e), group(g), database(std::move(name)), limits(l), callbacks(std::move(c)), seen(new Seen[e.partition_count]), mode(m) {}

  bool live() const { return mode == Mode::kLive; }

  Result<void> MakeSchema(const std::vector<sql::NamedStatement>& own) {
    MAILY_TRY_VOID(connection->Begin());
    MAILY_TRY_VOID(connection->Execute(projector_sql::kSchema));
    MAILY_TRY(sql::Statement * insert, connection->Prepare(Find(own, "insert_position")));
    for (uint16_t p = 0; p < env.partition_count; ++p) {
      journal::Position position;
      position.partition = PartitionId(p);
      MAILY_TRY([[maybe_unused]] auto rows, sql::RunWith(*insert, p, position.seq, position.chain, position.lsn.value(), position.time.us,
                                                         sql::Blob{EncodePosition(position)}));
    }
    MAILY_TRY(sql::Statement * insert_model, connection->Prepare(Find(own, "insert_read_model")));
    for (const ReadModel& model : group.models) {
      MAILY_TRY_VOID(connection->Execute(model.schema_sql));
      MAILY_TRY([[maybe_unused]] auto rows, sql::RunWith(*insert_model, std::string_view(model.name), FingerprintOf(model)));
    }
    return connection->Commit();
  }

  // kConflict if the rows are of other read models than the group's.
  Result<void> CheckModels(const std::vector<sql::NamedStatement>& own) {
    MAILY_TRY(sql::Statement * select, connection->Prepare(Find(own, "read_models")));
    size_t known = 0;
    std::string other;
    while (true) {
      MAILY_TRY(const bool row, select->Step());
      if (!row) break;
      bool same = false;
      for (const ReadModel& model : group.models) same |= model.name == select->bytes(0) && FingerprintOf(model) == select->integer(1);
      same ? void(++known) : void(other = select->bytes(0));
    }
    select->Reset();
    if (known == group.models.size() && other.empty()) return Ok();
    return Fail(Code::kConflict, "{} was folded by other read models ({}): it has to be rebuilt", database,
                other.empty() ? "one is new" : other);
  }

  Result<void> OpenAll() {
    MAILY_TRY(connection, env.databases.Open(database, live() ? sql::Purpose::kWrite : sql::Purpose::kBuild));
    MAILY_TRY(const auto own, OwnStatements());
    // As a writer: whoever was here before may still be committing, this process before its connection was lost among them.
    MAILY_TRY_VOID(connection->Begin());
    auto stored = ReadPositions(*connection);
    connection->Rollback();
    if (!stored && stored.error().code == Code::kNotFound) {
      auto made = MakeSchema(own);
      if (!made) {
        connection->Rollback();
        return made.error();
      }
      stored = ReadPositions(*connection);
    }
    if (!stored) return stored.error();
    MAILY_TRY_VOID(CheckModels(own));
    if (stored->size() != env.partition_count) {
      return Fail(Code::kCorrupt, "{} has {} positions, the journal {} partitions", database, stored->size(), env.partition_count);
    }
    MAILY_TRY(advance, connection->Prepare(Find(own, "advance")));
    for (const ReadModel& model : group.models) {
      MAILY_TRY(auto statements, sql::ParseNamed(model.queries_sql));
      FoldSetup setup(*connection, handlers, std::move(statements), model.opens_seals() ? env.keyring : nullptr);
      MAILY_TRY(auto fold, model.make(setup));
      folds.push_back(std::move(fold));
    }
    committed = std::move(stored).value();
    parts.clear();
    for (uint16_t p = 0; p < env.partition_count; ++p) {
      Part part;
      part.current = part.stored = committed[p];
      part.end_wanted = at_end != nullptr;
      MAILY_TRY(part.reader, env.open_reader(PartitionId(p), committed[p]));
      seen[p].records = committed[p].at_genesis ? 0 : committed[p].offset_hint.value() + 1;
      seen[p].time_us = committed[p].time.us;
      parts.push_back(std::move(part));
    }
    return Ok();
  }
  void CloseAll() {
    ++generation;
    if (connection != nullptr) connection->Rollback();
    parts.clear();
    folds.clear();
    handlers = EventHandlers();
    connection.reset();
    in_transaction = false;
    events = 0;
  }

  void Schedule(Duration delay) {
    if (scheduled || stopped) return;
    scheduled = true;
    auto job = [weak = self->weak_from_this()] {
      if (const auto projector = weak.lock()) projector->impl_->Step();
    };
    if (delay.us > 0) {
      pause_timer = env.executor.After(delay, std::move(job));
    } else {
      env.executor.Post(std::move(job));
    }
  }

  void Step() {
    scheduled = pausing = false;
    pause_timer = 0;
    if (stopped) return;
    auto sliced = connection == nullptr ? OpenAgain() : Slice();
    if (!sliced) return Failed(sliced.error());
    TellTargets();
    if (AnyReady()) Schedule({});
  }

  // A commit whose answer was lost may have taken place: what is read there tells, and those who wait for it are told too.
  Result<void> OpenAgain() {
    const std::vector<journal::Position> known = committed;
    MAILY_TRY_VOID(OpenAll());
    std::vector<journal::Position> changed;
    for (size_t p = 0; p < committed.size(); ++p) {
      if (committed[p].lsn > known[p].lsn) changed.push_back(committed[p]);
    }
    if (!changed.empty() && callbacks.committed) callbacks.committed(changed);
    return Ok();
  }

  void Failed(const Error& error) {
    CloseAll();
    if (error.code == Code::kRetry) return Schedule(limits.retry_after);
    stopped = true;
    if (callbacks.stopped) callbacks.stopped(error);
  }

  bool AnyReady() const {
    for (const Part& part : parts) {
      if (part.ready) return true;
    }
    return false;
  }

  bool Watched() const { return callbacks.watched == nullptr || callbacks.watched(); }
  Duration SliceMax() const { return !live() ? limits.build_slice : Watched() ? limits.live_slice : limits.live_slice_unwatched; }

  Result<void> Slice() {
    const Duration begin = env.clock.Steady();
    const uint64_t events_max = live() ? limits.live_events_max : limits.build_events_max;
    size_t passed_by = 0;  // partitions in a row that had nothing
    while (passed_by < parts.size()) {
      next = (next + 1) % parts.size();
      if (!parts[next].ready) {
        ++passed_by;
        continue;
      }
      passed_by = 0;
      MAILY_TRY_VOID(FoldNext(static_cast<uint16_t>(next)));
      if (events >= events_max || env.clock.Steady() - begin >= SliceMax()) break;
    }
    if (in_transaction && (live() || !AnyReady() || events >= events_max)) return Commit();
    return Ok();
  }

  Result<void> FoldNext(uint16_t p) {
    Part& part = parts[p];
    journal::FramePtr frame = std::move(part.held);
    if (frame == nullptr) {
      MAILY_TRY(frame, part.reader->Next());
    }
    if (frame == nullptr) {
      part.ready = false;
      part.end_wanted = false;
      seen[p].records = std::max<uint64_t>(seen[p].records, env.journal_end(PartitionId(p)));
      WaitFor(part, p);
      return Ok();
    }
    if (!stop_at.empty() && frame->after.lsn > stop_at[p]) {
      part.held = std::move(frame);
      part.ready = false;
      return Ok();
    }
    return Apply(part, p, *frame);
  }

  void WaitFor(Part& part, uint16_t p) {
    if (part.waiting) return;
    part.waiting = true;
    part.reader->WhenReady(env.executor, [weak = self->weak_from_this(), p, g = generation] {
      const auto projector = weak.lock();
      if (projector == nullptr || projector->impl_->stopped || projector->impl_->generation != g) return;
      projector->impl_->Woken(p);
    });
  }
  void Woken(uint16_t p) {
    parts[p].waiting = false;
    if (parts[p].held != nullptr) return;
    parts[p].ready = true;
    if (!live() || scheduled) return Schedule({});
    pausing = true;  // before it asks: whoever begins to wait after the answer finds it set
    if (Watched()) pausing = false;
    Pause(pausing ? UnwatchedGap() : limits.commit_gap);
  }
  Duration UnwatchedGap() const {
    const uint64_t events_each = std::max<uint64_t>(limits.few_events, 1);
    return std::clamp(limits.commit_gap_unwatched * static_cast<int64_t>(committed_events / events_each), limits.commit_gap_unwatched,
                      std::max(limits.commit_gap_unwatched, limits.commit_gap_busy));
  }
  void Pause(Duration gap) {
    const Duration since = env.clock.Steady() - last_commit;
    Schedule(since < gap ? gap - since : Duration{});
  }
  void Hurry() {
    if (stopped || pause_timer == 0) return;
    env.executor.Cancel(std::exchange(pause_timer, 0));
    scheduled = false;
    Pause(limits.commit_gap);
  }

  // From where its row stands.
  Result<int64_t> Advance(Part& part, uint16_t p, const journal::Position& to) {
    MAILY_TRY(const int64_t moved, sql::RunWith(*advance, to.seq, to.chain, to.lsn.value(), to.time.us, sql::Blob{EncodePosition(to)}, p,
                                                part.stored.seq, part.stored.chain));
    part.stored = to;
    return moved;
  }

  Result<void> Apply(Part& part, uint16_t p, const journal::AcceptedFrame& frame) {
    if (!in_transaction) {
      MAILY_TRY_VOID(connection->Begin());
      in_transaction = true;
    }
    if (!part.changed) {  // the first of the transaction: it locks the row, so that the rest of the way needs no fence
      MAILY_TRY(const int64_t moved, Advance(part, p, frame.after));
      if (moved != 1) {
        return Fail(Code::kFenced, "{}: partition {} was moved on from seq {} by another projector", database, p, part.current.seq);
      }
      part.changed = true;
    }
    EventAt at{.partition = PartitionId(p),
               .tenant = {},
               .lsn = frame.first_lsn,
               .index = 0,
               .time = frame.time,
               .decision = nullptr,
               .chain = frame.after.chain};
    for (const journal::Decision& decision : frame.decisions) {
      at.tenant = decision.tenant;
      at.decision = &decision;
      at.index = 0;
      for (const journal::Event& event : decision.events) {
        if (!handlers.Handles(event.type)) {
          if (event.type >= kFirstSchemaType && schema::FindType(event.type) == nullptr) {
            return Fail(Code::kFatal, "partition {}, lsn {}: event type {} is unknown to this build: upgrade it", p, at.lsn.value(),
                        event.type);
          }
        } else {
          MAILY_TRY_VOID(handlers.Handle(at, event));
        }
        ++at.index;
      }
      events += decision.events.size();
      at.lsn = at.lsn.Next();
    }
    part.current = frame.after;
    seen[p].records = frame.offset.value() + 1;
    seen[p].time_us = frame.time.us;
    return Ok();
  }

  Result<void> Commit() {
    for (const auto& fold : folds) MAILY_TRY_VOID(fold->Flush());
    for (size_t p = 0; p < parts.size(); ++p) {
      Part& part = parts[p];
      if (!part.changed || part.stored.lsn == part.current.lsn) continue;
      MAILY_TRY([[maybe_unused]] const int64_t moved, Advance(part, static_cast<uint16_t>(p), part.current));
    }
    MAILY_TRY_VOID(connection->Commit());
    in_transaction = false;
    committed_events = std::exchange(events, 0);
    last_commit = env.clock.Steady();
    std::vector<journal::Position> changed;
    for (size_t p = 0; p < parts.size(); ++p) {
      if (!parts[p].changed) continue;
      parts[p].changed = false;
      committed[p] = parts[p].current;
      changed.push_back(committed[p]);
    }
    if (callbacks.committed) callbacks.committed(changed);
    bool forgot = false;
    for (const auto& fold : folds) forgot |= fold->Forgot();
    if (forgot && live() && callbacks.forgot) callbacks.forgot();
    forgets |= forgot;
    if (forgets) return Forget();
    return PlaceWhenDue();
  }

  // What was deleted of the erased does not wait for the next checkpoint; where somebody still reads it, a little.
  Result<void> Forget() {
    if (placing) return Ok();  // it comes back here by the retry, or the next commit
    MAILY_TRY(const bool done, connection->Forget());
    forgets = !done;
    if (done || forget_soon) return Ok();
    forget_soon = true;
    env.executor.After(kForgetAgain, [weak = self->weak_from_this()] {
      const auto projector = weak.lock();
      if (projector == nullptr) return;
      Impl& impl = *projector->impl_;
      impl.forget_soon = false;
      if (impl.connection == nullptr || impl.in_transaction || !impl.forgets) return;  // in a transaction: its commit sees to it
      if (auto forgot = impl.Forget(); !forgot) impl.Failed(forgot.error());
    });
    return Ok();
  }

  // The background copies most of the write-ahead file; what came meanwhile is little, and placing it here lets the file begin anew.
  Result<void> PlaceWhenDue() {
    if (placing || connection->unplaced_bytes() < limits.checkpoint_bytes) return Ok();
    if (env.background == nullptr || !live()) return connection->Checkpoint();
    placing = true;
    env.background->Post([weak = self->weak_from_this(), &databases = env.databases, name = database, &executor = env.executor] {
      databases.Checkpoint(name).IgnoreError("the projector's own checkpoint meets the same error and reports it");
      executor.Post([weak] {
        const auto projector = weak.lock();
        if (projector == nullptr) return;
        Impl& impl = *projector->impl_;
        impl.placing = false;
        if (impl.connection == nullptr || impl.in_transaction) return;
        if (auto placed = impl.forgets ? impl.Forget() : impl.connection->Checkpoint(); !placed) impl.Failed(placed.error());
      });
    });
    return Ok();
  }

  void TellTargets() {
    if (in_transaction) return;
    if (reached) {
      bool all = true;
      for (size_t p = 0; p < committed.size(); ++p) all &= committed[p].lsn >= target[p];
      if (all) env.executor.Post(std::exchange(reached, nullptr));
    }
    if (at_end) {
      bool all = true;
      for (const Part& part : parts) all &= !part.end_wanted;
      if (all) env.executor.Post(std::exchange(at_end, nullptr));
    }
  }
  void WakeAll() {
    for (Part& part : parts) part.ready = true;
    Schedule({});
  }

  const ProjectionEnvironment env;
  const Group& group;
  const std::string database;
  const ProjectorLimits limits;
  const Callbacks callbacks;
  const std::unique_ptr<Seen[]> seen;
  Projector* self = nullptr;
  Mode mode;

  // The connection dies after all that was prepared on it.
  std::unique_ptr<sql::Connection> connection;
  EventHandlers handlers;
  std::vector<std::unique_ptr<Fold>> folds;
  sql::Statement* advance = nullptr;
  std::vector<Part> parts;
  std::vector<journal::Position> committed;
  uint64_t generation = 0;  // of the readers

  size_t next = 0;
  bool scheduled = false;
  TimerId pause_timer = 0;            // of a delayed Step
  std::atomic<bool> pausing = false;  // for longer than commit_gap
  bool stopped = true;                // until Start
  bool in_transaction = false;
  bool placing = false;
  bool forgets = false;           // what was deleted of the erased is in the write-ahead file yet
  bool forget_soon = false;       // that is tried again
  uint64_t events = 0;            // in the transaction
  uint64_t committed_events = 0;  // in the one before
  Duration last_commit;

  std::vector<Lsn> stop_at;  // empty = nowhere
  std::vector<Lsn> target;
  Job reached;
  Job at_end;
};

Projector::Projector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->self = this; }
Projector::~Projector() = default;

Result<std::shared_ptr<Projector>> Projector::Open(const ProjectionEnvironment& env, const Group& group, std::string database, Mode mode,
                                                   ProjectorLimits limits, Callbacks callbacks) {
  auto impl = std::make_unique<Impl>(env, group, std::move(database), mode, limits, std::move(callbacks));
  std::shared_ptr<Projector> projector(new Projector(std::move(impl)));
  MAILY_TRY_VOID(projector->impl_->OpenAll());
  return projector;
}

void Projector::Start() {
  impl_->stopped = false;
  impl_->Schedule({});
}

void Projector::Stop() {
  impl_->stopped = true;
  impl_->reached = nullptr;
  impl_->at_end = nullptr;
  impl_->CloseAll();
}

Result<void> Projector::MakeDurable() {
  Impl& impl = *impl_;
  if (impl.connection == nullptr) return Fail(Code::kRetry, "{} is being opened again", impl.database);
  if (impl.in_transaction) MAILY_TRY_VOID(impl.Commit());
  return impl.connection->MakeDurable();
}

Result<void> Projector::BecomeLive() {
  Impl& impl = *impl_;
  MAILY_TRY_VOID(MakeDurable());
  impl.mode = Mode::kLive;
  return Ok();
}

void Projector::RunTo(std::vector<Lsn> lsns, Beyond beyond, Job reached) {
  MAILY_CHECK(lsns.size() == impl_->env.partition_count, "{} targets", lsns.size());
  impl_->stop_at = beyond == Beyond::kStopThere ? lsns : std::vector<Lsn>();
  impl_->target = std::move(lsns);
  impl_->reached = std::move(reached);
  impl_->WakeAll();
}

void Projector::RunToEnd(Job idle) {
  impl_->stop_at.clear();
  impl_->at_end = std::move(idle);
  for (Impl::Part& part : impl_->parts) part.end_wanted = true;
  impl_->WakeAll();
}

void Projector::Hurry() {
  if (!impl_->pausing.exchange(false)) return;
  impl_->env.executor.Post([weak = weak_from_this()] {
    if (const auto projector = weak.lock()) projector->impl_->Hurry();
  });
}

const std::vector<journal::Position>& Projector::positions() const { return impl_->committed; }
const std::string& Projector::database() const { return impl_->database; }
sql::Connection& Projector::connection() { return *impl_->connection; }

Projector::Lag Projector::LagOf(PartitionId partition) const {
  const uint64_t end = impl_->env.journal_end(partition);
  const Impl::Seen& seen = impl_->seen[partition.value()];
  const uint64_t done = seen.records;
  if (done >= end) return {};
  const int64_t time_us = seen.time_us;
  return {end - done, time_us == 0 ? Duration{} : impl_->env.clock.Now() - Instant{time_us}};
}

Projector::Progress Projector::progress() const {
  Progress progress;
  for (uint16_t p = 0; p < impl_->env.partition_count; ++p) {
    const uint64_t end = impl_->env.journal_end(PartitionId(p));
    progress.records_total += end;
    progress.records_done += std::min(end, impl_->seen[p].records.load());
  }
  return progress;
}

}  // namespace maily::projections
