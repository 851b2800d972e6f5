// See undo.h.
#include "api/import/undo.h"

#include <algorithm>
#include <map>
#include <optional>

#include "api/gateway/token.h"
#include "api/import/import.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"

namespace maily::import {
namespace {

using gateway::Outcome;
using gateway::Verdict;
using projections::Rows;
using Json = nlohmann::ordered_json;
using sql::Value;

constexpr int64_t kPageNotes = 64;
constexpr int kContactsMax = 21;         // of a command (contacts::kRestoredContactsMax)
constexpr size_t kBytesMax = 48 * 1024;  // unless one contact alone is larger; a command has at most 64 KiB
constexpr Duration kTimeout = Seconds(20);
constexpr Duration kPause = Seconds(1);
constexpr Duration kViewWait = Seconds(10);
constexpr int kTriesMax = 120;

// A command, and the best that became of each of its contacts.
struct Step {
  PartitionId partition;
  contacts::v1::RestoreContacts command = {};
  std::string results = {};
  bool decided = false;
};

// r is better than k, k than x, and n says nothing.
int Rank(char result) { return result == 'r' ? 3 : result == 'k' ? 2 : result == 'x' ? 1 : 0; }

class Undo final : public Running, public std::enable_shared_from_this<Undo> {
 public:
  Undo(UndoParts parts, gateway::Asker asker, std::string import_id, Undoable what)
      : parts_(std::move(parts)), asker_(std::move(asker)), import_id_(std::move(import_id)), id_(UndoIdOf(import_id_)), what_(what) {}

  bool IsOver() const override { return over_; }
  std::shared_ptr<const Rejects> RejectsNow() const override { return std::make_shared<const Rejects>(); }
  void Cancel() override { cancelled_ = true; }
  Json Describe() const override {
    return {{"id", id_},
            {"status", status_},
            {"status_url", "/v1/imports/" + id_},
            {"undoes", import_id_},
            {"list_id", what_.list_id},
            {"source", "undo:" + import_id_},
            {"rows", counts_.rows()},
            {"created", 0},
            {"updated", counts_.updated()},
            {"unchanged", counts_.unchanged()},
            {"duplicate", 0},
            {"skipped", counts_.skipped()},
            {"rejected", 0},
            {"pending", 0},
            {"message", message_},
            {"token", token_}};
  }

  // False: it goes on already.
  bool Begin() {
    if (!parts_.jobs.Begin(asker_.tenant, id_, weak_from_this())) return false;
    lists::v1::StartImport command;
    command.set_import_id(id_);
    command.set_list_id(what_.list_id);
    command.set_source("undo:" + import_id_);
    parts_.gateway.SubmitOn(parts_.bulk, asker_, gateway::PlainOrder(command, schema::HomeKey(asker_.tenant)), kTimeout,
                            [self = shared_from_this()](const Verdict& verdict) {
                              if (verdict.at) self->reached_[verdict.at->partition] = *verdict.at;
                              if (verdict.kind == Verdict::Kind::kDecided && verdict.outcome == Outcome::kDone) return self->ReadPage();
                              self->End(lists::v1::FAILED, "the undo could not begin; ask again");
                            });
    return true;
  }

 private:
  void ReadPage() {
    if (cancelled_) return End(lists::v1::INTERRUPTED, "the undo was cancelled; ask again, and it goes on");
    parts_.gateway.blocking().Post([self = shared_from_this(), part = part_, before = before_] {
      auto page = self->Page(part, before);
      self->parts_.bulk.Post([self, page = std::move(page)]() mutable {
        if (!page) return self->End(lists::v1::FAILED, page.error().message + "; ask again");
        if (page->empty()) return self->End(lists::v1::COMPLETED, "");
        self->Apply(std::move(*page));
      });
    });
  }

  // The next notes as commands; a membership is named only if it is still the one that the import made. Blocking.
  Result<std::vector<Step>> Page(int64_t part, int64_t before) {
    const auto tenant = Value::Integer(asker_.tenant.value());
    projections::Views& views = parts_.gateway.views();
    MAILY_TRY(const Rows rows, views.Query("import_notes", {{"tenant", tenant},
                                                            {"import_id", Value::Text(import_id_)},
                                                            {"after_part", Value::Integer(part)},
                                                            {"before", Value::Integer(before)},
                                                            {"limit", Value::Integer(kPageNotes)}}));
    std::vector<Step> steps;
    for (size_t row = 0; row < rows.size(); ++row) {
      contacts::v1::RowsImported note;
      if (!note.ParseFromString(rows.at(row, "note").bytes)) return Fail(Code::kCorrupt, "a note of import {} cannot be read", import_id_);
      const PartitionId partition(static_cast<uint16_t>(rows.at(row, "part").integer));
      steps.push_back({.partition = partition});
      size_t bytes = 0;
      for (int i = note.contacts_size(); i-- > 0;) {  // the last change first
        contacts::v1::PriorContact& prior = *note.mutable_contacts(i);
        if (prior.joined_list() != 0) {
          const auto contact_id = static_cast<int64_t>(schema::PackContactId({partition, prior.ordinal()}));
          MAILY_TRY(const Rows member, views.Query("membership", {{"tenant", tenant},
                                                                  {"list_id", Value::Integer(static_cast<int64_t>(prior.joined_list()))},
                                                                  {"contact_id", Value::Integer(contact_id)}}));
          if (member.empty() || member.at(0, "joined_at_us").integer != rows.at(row, "at_us").integer) prior.clear_joined_list();
        }
        const size_t size = prior.ByteSizeLong();
        if (steps.back().command.contacts_size() >= kContactsMax || (bytes > 0 && bytes + size > kBytesMax)) {
          steps.push_back({.partition = partition});
          bytes = 0;
        }
        bytes += size;
        steps.back().command.set_import_id(import_id_);
        steps.back().command.add_contacts()->Swap(&prior);
      }
      std::erase_if(steps, [](const Step& step) { return step.command.contacts().empty(); });
      page_part_ = rows.at(row, "part").integer;
      page_sequence_ = rows.at(row, "sequence").integer;
    }
    if (steps.empty() && !rows.empty()) return Fail(Code::kCorrupt, "notes of import {} are empty", import_id_);
    return steps;
  }

  void Apply(std::vector<Step> steps) {
    steps_ = std::move(steps);
    for (Step& step : steps_) step.results.assign(static_cast<size_t>(step.command.contacts_size()), 'n');
    tries_ = 0;
    Send(0);
  }
  // Those from `first` on: where one was not decided, an older change may have been looked at too early.
  void Send(size_t first) {
    waiting_ = steps_.size() - first;
    for (size_t i = first; i < steps_.size(); ++i) steps_[i].decided = false;
    for (size_t i = first; i < steps_.size(); ++i) {
      gateway::Order order = gateway::PlainOrder(steps_[i].command, "");
      order.partition = steps_[i].partition;
      parts_.gateway.SubmitOn(parts_.bulk, asker_, order, kTimeout,
                              [self = shared_from_this(), i](const Verdict& verdict) { self->Returned(i, verdict); });
    }
  }
  void Returned(size_t index, const Verdict& verdict) {
    Step& step = steps_[index];
    step.decided = verdict.kind == Verdict::Kind::kDecided && verdict.outcome != Outcome::kRetryLater;
    if (verdict.at) {
      auto& last = reached_.try_emplace(verdict.at->partition, *verdict.at).first->second;
      last = std::max(last, *verdict.at);
    }
    if (step.decided) {
      const auto answer = nlohmann::json::parse(verdict.answer, nullptr, false);
      const std::string results = answer.is_object() ? answer.value("results", "") : "";
      for (size_t i = 0; i < step.results.size(); ++i) {
        const char now = i < results.size() ? results[i] : 'x';
        if (Rank(now) > Rank(step.results[i])) step.results[i] = now;
      }
    }
    if (--waiting_ > 0) return;
    const auto undecided = std::ranges::find(steps_, false, &Step::decided);
    if (undecided == steps_.end()) return Counted();
    if (++tries_ > kTriesMax) return End(lists::v1::FAILED, "the log took nothing for long; ask again, and it goes on");
    parts_.bulk.After(kPause, [self = shared_from_this(), first = static_cast<size_t>(undecided - steps_.begin())] { self->Send(first); });
  }
  void Counted() {
    for (const Step& step : steps_) {
      for (const char result : step.results) {
        counts_.set_rows(counts_.rows() + 1);
        if (result == 'r') counts_.set_updated(counts_.updated() + 1);
        if (result == 'n') counts_.set_unchanged(counts_.unchanged() + 1);
        if (result == 'k' || result == 'x') counts_.set_skipped(counts_.skipped() + 1);
      }
    }
    steps_.clear();
    part_ = page_part_;
    before_ = page_sequence_;
    ReadPage();
  }

  void End(lists::v1::ImportOutcome outcome, std::string message) {
    message_ = std::move(message);
    std::vector<CommandAt> at;
    for (const auto& [partition, last] : reached_) at.push_back(last);
    if (const auto keys = parts_.gateway.keyring().Tenant(asker_.tenant)) token_ = gateway::EncodeToken(at, **keys);
    over_ = true;
    SendEnd(outcome, kTriesMax);
  }
  void SendEnd(lists::v1::ImportOutcome outcome, int tries) {
    lists::v1::EndImport command;
    command.set_import_id(id_);
    command.set_outcome(outcome);
    *command.mutable_counts() = counts_;
    command.set_message(message_);
    command.set_token(token_);
    parts_.gateway.SubmitOn(parts_.bulk, asker_, gateway::PlainOrder(command, schema::HomeKey(asker_.tenant)), kTimeout,
                            [self = shared_from_this(), outcome, tries](const Verdict& verdict) {
                              const bool decided = verdict.kind == Verdict::Kind::kDecided && verdict.outcome == Outcome::kDone;
                              if (!decided && tries > 1) {
                                self->parts_.bulk.After(kPause, [self, outcome, tries] { self->SendEnd(outcome, tries - 1); });
                                return;
                              }
                              if (verdict.at) self->reached_[verdict.at->partition] = *verdict.at;
                              self->AwaitViews(outcome);
                            });
  }
  void AwaitViews(lists::v1::ImportOutcome outcome) {
    std::vector<CommandAt> at;
    for (const auto& [partition, last] : reached_) at.push_back(last);
    projections::Views& views = parts_.gateway.views();
    views.freshness().Wait(
        views.GroupOf("import"), std::move(at), kViewWait, parts_.bulk, [self = shared_from_this(), outcome](bool fresh) {
          if (!fresh) {
            self->parts_.bulk.After(kPause, [self, outcome] { self->AwaitViews(outcome); });
            return;
          }
          self->status_ = outcome == lists::v1::COMPLETED ? "completed" : outcome == lists::v1::INTERRUPTED ? "interrupted" : "failed";
          if (self->parts_.jobs.IsCurrent(self->asker_.tenant, self->id_, self.get()))
            self->parts_.jobs.End(self->asker_.tenant, self->id_, self->Describe(), nullptr);
        });
  }

  const UndoParts parts_;
  const gateway::Asker asker_;
  const std::string import_id_;
  const std::string id_;
  const Undoable what_;
  int64_t part_ = -1;  // behind which the next page begins, and in it before which
  int64_t before_ = 0;
  int64_t page_part_ = 0;  // of the last note of the page at hand; written by the blocking executor, read when its page has come
  int64_t page_sequence_ = 0;
  std::vector<Step> steps_;
  size_t waiting_ = 0;
  int tries_ = 0;
  bool cancelled_ = false;
  bool over_ = false;
  lists::v1::ImportCounts counts_;
  std::map<PartitionId, CommandAt> reached_;
  std::string status_ = "running";
  std::string message_;
  std::string token_;
};

}  // namespace

std::string UndoIdOf(const std::string& import_id) { return ImportIdOf("undo", "", import_id); }

std::variant<Undoable, CannotUndo> LookAtUndo(projections::Views& views, TenantId tenant, const std::string& import_id) {
  const std::vector<projections::Parameter> which = {{"tenant", Value::Integer(tenant.value())}, {"import_id", Value::Text(import_id)}};
  const auto import = views.Query("import", which);
  if (!import) return http::ProblemOf(import.error());
  if (import->empty()) return http::Problem{.status = 404, .code = "not_found", .message = "there is no such import"};
  const auto applied = views.Query("import_applied", which);
  if (!applied) return http::ProblemOf(applied.error());
  if (import->at(0, "source").bytes.starts_with("undo:"))
    return http::Problem{.status = 409, .code = "not_undoable", .message = "this is an undo; import the file again instead"};
  Undoable what{.list_id = static_cast<uint64_t>(import->at(0, "list_id").integer),
                .chunks = static_cast<uint64_t>(applied->at(0, "chunks").integer)};
  if (what.chunks == 0 && import->at(0, "created").integer + import->at(0, "updated").integer > 0)
    return http::Problem{
        .status = 409, .code = "undo_expired", .message = "what this import replaced is not known any more: it is kept for 30 days"};
  return what;
}

void StartUndo(UndoParts parts, gateway::Asker asker, std::string import_id, Undoable what,
               std::move_only_function<void(std::variant<Json, http::Problem>)> begun) {
  Executor& bulk = parts.bulk;
  auto undo = std::make_shared<Undo>(std::move(parts), std::move(asker), std::move(import_id), what);
  bulk.Post([undo = std::move(undo), begun = std::move(begun)]() mutable {
    if (undo->Begin()) return begun(undo->Describe());
    begun(http::Problem{.status = 409, .code = "import_running", .message = "this import is being undone already"});
  });
}

}  // namespace maily::import
