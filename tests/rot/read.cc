// See read.h.
#include "tests/rot/read.h"

#include <filesystem>
#include <mutex>

#include "app/instance.h"
#include "processors/effects/smtp/delivery.h"
#include "processors/pipeline.h"
#include "projections/sql/sqlite/sqlite.h"
#include "schemas/sealed.h"
#include "streams/base/bytes.h"
#include "streams/observe/logging.h"
#include "streams/state/digest.h"

namespace maily::rot {
namespace {

class Reader {
 public:
  Reader(const std::string& data, const Known& known, const Parts& parts) : known_(known), parts_(parts), files_(data) {
    observe::SetLevel(observe::Level::kWarn);
    observe::SetSinkForTesting([this](std::string_view line) { Said(std::string(line)); });
  }
  ~Reader() { observe::SetSinkForTesting({}); }

  Answers Read() {
    Part("instance", parts_.instance, [this] { return Instance(); });
    const bool log = parts_.log || parts_.instance || parts_.models || parts_.state || parts_.snapshots;
    Part("log", log, [this] { return Log(); });
    Part("keys", parts_.keys || parts_.models || parts_.state || parts_.snapshots, [this] { return Keys(); });
    Part("models", parts_.models, [this] { return Models(); });
    Part("state", parts_.state || parts_.snapshots, [this] { return State(); });
    Part("attempts", parts_.attempts, [this] { return Attempts(); });
    const std::lock_guard lock(mutex_);
    return answers_;
  }

 private:
  void Said(std::string line) {
    const std::lock_guard lock(mutex_);
    answers_.said.push_back(std::move(line));
  }
  template <class... Args>
  void Answer(fmt::format_string<Args...> format, Args&&... args) {
    answers_.answered.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  // What comes after a part that cannot be read is not read: the process would not be there.
  template <class Run>
  void Part(const char* name, bool wanted, Run run) {
    if (!wanted || stopped_) return;
    const Result<void> done = run();
    if (done) return;
    stopped_ = true;
    Said(fmt::format("{}: {}", name, done.error().ToString()));
  }

  Result<void> Instance() {
    MAILY_TRY(instance_, app::Instance::Open(files_.data));
    return Ok();
  }

  Result<void> Log() {
    MAILY_TRY_VOID(files_.OpenLog(Files::Make::kNo));
    const LogSettings& settings = files_.log->settings();
    Answer("log: {} {} {}", settings.log_id.ToHex(), settings.partition_count, settings.generation);
    if (instance_ != nullptr) {
      MAILY_TRY(const Mode mode, instance_->DecideMode({.log_id = settings.log_id, .name = instance_->data()}, instance_->RecordedEpoch()));
      Answer("mode: {}", app::ModeName(mode));
      if (!instance_->held_reason().empty()) Said("held: " + instance_->held_reason());
    }
    for (const Topic topic : kTopics) MAILY_TRY_VOID(Records({topic, kPartition}));
    MAILY_TRY(const journal::Position end, JournalEnd(files_));
    end_ = end.lsn;
    Answer("journal: {} {:016x}", end.lsn.value(), end.chain);
    return Ok();
  }
  Result<void> Records(TopicPartition at) {
    const LogEnds ends = files_.log->Ends(at);
    std::string all;
    for (Offset next = ends.begin; next < ends.durable;) {
      MAILY_TRY(const auto records, files_.log->Read(at, next, 1 << 20, ReadTo::kDurable));
      for (const LogRecord& record : records) {
        PutFixed(all, record.offset.value());
        PutFixed(all, record.time.us);
        PutBytes(all, record.bytes);
        next = record.offset.Next();
      }
    }
    Answer("{}: {} to {}, {:016x}", TopicName(at.topic), ends.begin.value(), ends.durable.value(), Xxh3_64(all));
    return Ok();
  }

  Result<void> Keys() {
    MAILY_TRY_VOID(files_.OpenKeys());
    if (!parts_.keys) return Ok();
    const auto found = files_.keyring->FindTenant(kTenant);
    if (!found && found.error().code == Code::kNotFound) {  // an answer: the product would make new ones
      Answer("keys: none");
      return Ok();
    }
    MAILY_TRY(const keyring::TenantKeys* keys, found);
    std::string all;
    for (const keyring::Key* key : {&keys->identity, &keys->wrap, &keys->token, &keys->digest, &keys->request})
      all += keyring::HmacSha256(*key, {"rot"}, 16);
    size_t gone = 0;
    for (const std::string& box : known_.boxes) {
      const auto opened = schema::Open(*files_.keyring, kTenant, "address", box);
      if (!opened && opened.error().code != Code::kNotFound) return opened.error();
      opened ? PutBytes(all, *opened) : void(++gone);
    }
    for (const std::string& subject : known_.subjects) {
      MAILY_TRY(const keyring::SubjectKey key, files_.keyring->GetOrCreate(kTenant, subject));
      all.append(reinterpret_cast<const char*>(key.key_id.data()), key.key_id.size());
    }
    Answer("keys: {} gone, {:016x}", gone, Xxh3_64(all));
    return Ok();
  }

  Result<void> Models() {
    MAILY_TRY(const auto databases, sql::OpenSqlite({.directory = files_.data + "/views"}));
    Folder folder(files_, *databases);
    MAILY_TRY_VOID(folder.Reach(end_));
    for (size_t group = 0; group < folder.groups(); ++group) {
      MAILY_TRY(const auto connection, databases->Open(folder.Live(group), sql::Purpose::kRead));
      MAILY_TRY_VOID(connection->Begin());
      const Result<void> read = Tables(group, *connection);
      connection->Rollback();
      if (!read) return read;
    }
    return Ok();
  }
  Result<std::vector<std::vector<std::string>>> Strings(sql::Connection& connection, const std::string& text) {
    MAILY_TRY(sql::Statement * statement, connection.Prepare(text));
    std::vector<std::vector<std::string>> rows;
    for (;;) {
      MAILY_TRY(const bool any, statement->Step());
      if (!any) break;
      rows.emplace_back();
      for (int c = 0; c < statement->column_count(); ++c) rows.back().emplace_back(statement->bytes(c));
    }
    statement->Reset();
    return rows;
  }
  // Whole tables in their own order, and whole indexes in theirs.
  Result<void> Tables(size_t group, sql::Connection& connection) {
    MAILY_TRY(const auto tables, Strings(connection, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"));
    for (const auto& table : tables) MAILY_TRY_VOID(Rows(group, connection, table[0], "SELECT * FROM " + table[0]));
    MAILY_TRY(const auto indexes, Strings(connection,
                                          "SELECT name, tbl_name, coalesce(substr(sql, nullif(instr(sql, ' WHERE '), 0)), '') "
                                          "FROM sqlite_master WHERE type = 'index' ORDER BY name"));
    for (const auto& index : indexes) {
      MAILY_TRY(const auto columns, Strings(connection, "SELECT name FROM pragma_index_info('" + index[0] + "') ORDER BY seqno"));
      std::string list;
      for (const auto& column : columns) list += (list.empty() ? "" : ", ") + column[0];
      MAILY_TRY_VOID(Rows(group, connection, index[0],
                          fmt::format("SELECT {} FROM {} INDEXED BY {}{} ORDER BY {}", list, index[1], index[0], index[2], list)));
    }
    return Ok();
  }
  Result<void> Rows(size_t group, sql::Connection& connection, const std::string& name, const std::string& text) {
    MAILY_TRY(sql::Statement * statement, connection.Prepare(text));
    state::DigestSum sum;
    size_t rows = 0;
    std::string row;
    for (;; ++rows) {
      MAILY_TRY(const bool any, statement->Step());
      if (!any) break;
      row.clear();
      for (int c = 0; c < statement->column_count(); ++c) {
        row.push_back(static_cast<char>(statement->type(c)));
        if (statement->type(c) == sql::Type::kInteger) PutFixed(row, statement->integer(c));
        if (statement->type(c) == sql::Type::kText || statement->type(c) == sql::Type::kBlob) PutBytes(row, statement->bytes(c));
      }
      sum.Add(row, {});
    }
    statement->Reset();
    Answer("models {} {}: {} rows {:016x}", group, name, rows, sum.sum().low);
    return Ok();
  }

  Result<void> State() {
    MAILY_TRY_VOID(files_.OpenCareful());
    // Lives as long as the process: it may be at work.
    auto& leader =
        *new Leader(files_, *new task::Pipeline(MakePipeline()), parts_.snapshots ? Leader::Snapshots::kYes : Leader::Snapshots::kNo);
    MAILY_TRY_VOID(leader.Start());
    MAILY_TRY(const Hash128 digest, leader.Digest());
    Answer("state: {} {:016x}{:016x}", leader.lsn(), digest.high, digest.low);
    return Ok();
  }

  Result<void> Attempts() {
    MAILY_TRY(auto file, disk::MmapSlots::Open(files_.data + "/slots/smtp", smtp::SlotCount(1)));
    SamePlace slots(*file, known_.slots_place);
    const smtp::AttemptSlots attempts(slots, 1, files_.entropy);
    for (size_t i = 0; i < kAttemptsKnown; ++i) {
      const smtp::AttemptSlots::Found found = attempts.Find(AttemptOf(i), known_.opener);
      Answer("attempt {}: {} {} {} {} {}", i, static_cast<int>(found.last), found.result.result, found.result.code, found.result.stage,
             found.result.enhanced);
    }
    Answer("attempts: {} free", attempts.free_count());
    return Ok();
  }

  const Known& known_;
  const Parts parts_;
  Files files_;
  std::unique_ptr<app::Instance> instance_;
  Lsn end_;
  bool stopped_ = false;
  std::mutex mutex_;
  Answers answers_;
};

}  // namespace

Answers ReadData(const std::string& data, const Known& known, const Parts& parts) {
  // Never destroyed: the process ends with it, and what closes files would only take time.
  auto* reader = new Reader(data, known, parts);
  return reader->Read();
}

}  // namespace maily::rot
