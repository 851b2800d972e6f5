// See import.h.
#include "api/import/import.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/gateway/token.h"
#include "api/http/problem.h"
#include "api/import/columns.h"
#include "api/import/compare.h"
#include "api/import/csv.h"
#include "api/import/json_lines.h"
#include "api/import/lanes.h"
#include "api/import/rejects.h"
#include "api/import/seen.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::import {
namespace {

using contacts::v1::UpsertContact;
using gateway::Outcome;
using gateway::Registry;
using gateway::Verdict;
using Json = nlohmann::ordered_json;

constexpr size_t kBatchRows = 1024;  // sealed together
constexpr Duration kJobTimeout = Seconds(20);
constexpr Duration kViewPause = Milliseconds(100);
constexpr Duration kNoProgressMax = Seconds(60);
constexpr Duration kViewWait = Seconds(10);
constexpr Duration kEndPause = Seconds(1);
constexpr int kEndTries = 600;
constexpr size_t kDomainsKept = 4096;
constexpr uint64_t kListsPage = 1000;
constexpr size_t kRawInFlight = 1024;  // of the bytes of a row that waits for its decision

struct Metrics {
  observe::Counter rows =
      observe::Metrics::Process().AddCounter("maily_import_rows_total", "Rows of imports that were decided or rejected.");
  observe::Gauge running = observe::Metrics::Process().AddGauge("maily_imports_running", "Imports that are going on.");
};
const Metrics& Meters() {
  static const Metrics* const metrics = new Metrics();
  return *metrics;
}

// What the request asks for, apart from the file.
struct Asked {
  bool dry = false;
  bool json_lines = false;
  bool has_header = true;
  CsvEncoding encoding = CsvEncoding::kUnicode;
  Origin origin = Origin::kAny;
  Mapping mapping = {};
  std::optional<uint64_t> errors_max = std::nullopt;
};

// The place of a word among those that are allowed.
template <class Enum, size_t kCount>
bool ReadWord(std::string_view text, const std::string_view (&words)[kCount], Enum& into) {
  const auto found = std::ranges::find(words, text);
  if (found == std::end(words)) return false;
  into = static_cast<Enum>(found - std::begin(words));
  return true;
}
bool ReadBool(std::string_view text, bool& into) {
  into = text == "true";
  return into || text == "false";
}

// One parameter; what is wrong with it, or empty.
std::string TakeParameter(const std::string& name, const std::string& text, Asked& asked) {
  if (name == "list" || name == "source") return "";
  if (name == "dry_run") return ReadBool(text, asked.dry) ? "" : "is true or false";
  if (name == "header") return ReadBool(text, asked.has_header) ? "" : "is true or false";
  if (name == "encoding")
    return ReadWord(text, kCsvEncodings, asked.encoding) ? "" : "is utf-8 (UTF-16 by its BOM, too), latin-1 or windows-1252";
  if (name == "from") return ReadWord(text, kOrigins, asked.origin) ? "" : "is maily, listmonk, mailchimp, sendgrid or any";
  if (name == "map") {
    auto mapping = ParseMapping(text);
    if (!mapping) return mapping.error().message;
    asked.mapping = std::move(*mapping);
    return "";
  }
  if (name == "max_errors") {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return "is a whole number: more rejects than that stop the import";
    asked.errors_max = number;
    return "";
  }
  if (name == "consent") return text == "false" ? "" : "consent";
  return "there is no such parameter here";
}

// All that is wrong with the request, as a problem; none: `asked` holds.
std::optional<http::Problem> ReadRequest(const http::Request& head, Asked& asked) {
  const std::string_view type = head.headers["content-type"];
  std::string_view media = type.substr(0, type.find(';'));
  while (media.ends_with(' ')) media.remove_suffix(1);
  asked.json_lines = media == "application/x-ndjson" || media == "application/jsonl";
  if (!asked.json_lines && !media.empty() && media != "text/csv" && media != "application/octet-stream" && media != "text/plain") {
    return http::Problem{.status = 415, .code = "unsupported_media_type", .message = "send text/csv or application/x-ndjson"};
  }
  http::Problem problem{.status = 422, .code = "invalid_parameter", .message = "the import's parameters are not right"};
  for (const auto& [name, text] : head.QueryParams()) {
    std::string wrong = TakeParameter(name, text, asked);
    if (name == "consent" && wrong == "consent") {
      return http::Problem{
          .status = 501,
          .code = "not_implemented",
          .message =
              "an import takes attributes and memberships, no consent: whoever has opted out stays so. Record consent with its "
              "proof by itself"};
    }
    if (!wrong.empty()) problem.details.push_back({.path = name, .code = "invalid_parameter", .hint = std::move(wrong)});
  }
  if (asked.json_lines && !asked.has_header)
    problem.details.push_back({.path = "header", .code = "invalid_parameter", .hint = "NDJSON has none"});
  if (asked.json_lines && asked.encoding != CsvEncoding::kUnicode)
    problem.details.push_back({.path = "encoding", .code = "invalid_parameter", .hint = "NDJSON is UTF-8"});
  if (problem.details.empty()) return std::nullopt;
  problem.message = problem.details[0].path + ": " + problem.details[0].hint;
  return problem;
}

// One import, from the first byte to its end. Lives on the bulk executor, except where noted.
class Import final : public Running, public Lanes::Owner, public std::enable_shared_from_this<Import> {
 public:
  Import(Parts parts, http::Request head, Asked asked)
      : parts_(parts),
        head_(std::move(head)),
        asked_(std::move(asked)),
        dry_(asked_.dry),
        reader_({.raw_bytes_max = kRejectRawMax, .encoding = asked_.encoding, .has_header = asked_.has_header},
                {.header = [this](const CsvRow& row) { return TakeHeader(row); },
                 .row = [this](const CsvRow& row) { TakeRow(row); },
                 .reject = [this](CsvReject reject) { TakeReject(std::move(reject)); }}),
        lines_({.raw_bytes_max = kRejectRawMax},
               {.row = [this](uint64_t line, const nlohmann::json& object, std::string_view raw) { TakeObject(line, object, raw); },
                .reject = [this](CsvReject reject) { TakeReject(std::move(reject)); }}),
        columns_({.mapping = asked_.mapping, .origin = asked_.origin, .has_header = asked_.has_header}),
        lanes_(parts_.gateway, parts_.bulk, *this) {
    Meters().running.Add(1);
  }
  ~Import() override { Meters().running.Add(-1); }
  Import(const Import&) = delete;
  Import& operator=(const Import&) = delete;

  // Who is it, which list, what is registered; then the first bytes may come. Any thread.
  void Begin() {
    parts_.auth.Authenticate(head_.headers["authorization"], [self = shared_from_this()](Result<gateway::Caller> caller) mutable {
      self->parts_.bulk.Post([self, caller = std::move(caller)]() mutable { self->Authenticated(std::move(caller)); });
    });
  }
  // Any thread.
  void Data(std::string chunk, Job resume) {
    parts_.bulk.Post([self = shared_from_this(), chunk = std::move(chunk), resume = std::move(resume)]() mutable {
      self->resume_ = std::move(resume);
      self->waiting_chunk_ = std::move(chunk);
      self->Step();
    });
  }
  void End(http::Respond respond) {
    parts_.bulk.Post([self = shared_from_this(), respond = std::move(respond)]() mutable {
      self->respond_ = std::move(respond);
      self->ended_ = true;
      self->Step();
    });
  }
  // What was appended is applied; nobody waits for the answer.
  void Abort() {
    parts_.bulk.Post([self = shared_from_this()] {
      self->aborted_ = true;
      self->resume_ = nullptr;
      self->Step();
    });
  }

  bool IsOver() const override { return over_; }
  std::shared_ptr<const Rejects> RejectsNow() const override { return std::make_shared<const Rejects>(rejects_); }
  void Cancel() override {
    if (over_ || problem_) return;
    cancelled_ = true;
    problem_ = http::Problem{.status = 409, .code = "import_cancelled", .message = "the import was cancelled"};
    Step();
  }
  Json Describe() const override {
    const Counts sums = Sums();
    Json job{{"id", id_},
             {"status", status_},
             {"status_url", Url()},
             {"list_id", list_id_},
             {"source", source_},
             {"rows", rows_},
             {"created", counts_.created()},
             {"updated", counts_.updated()},
             {"unchanged", counts_.unchanged()},
             {"duplicate", counts_.duplicate()},
             {"skipped", sums.skipped},
             {"rejected", counts_.rejected()},
             {"pending", sums.pending},
             {"suppressed", suppressed_},
             {"message", message_},
             {"seconds", seconds_},
             {"token", token_}};
    DescribeRejects(job);
    return job;
  }

 private:
  // A row that is parsed and not sealed yet.
  struct Draft {
    uint64_t line = 0;
    bool repeat = false;
    std::string suppressed;  // the reason of a suppression; empty: none
    std::string raw;
    UpsertContact command;
  };
  using ImportCounts = lists::v1::ImportCounts;
  struct Counts {
    uint64_t skipped = 0;
    uint64_t pending = 0;
  };

  std::string Url() const { return "/v1/imports/" + id_; }
  uint64_t Applied() const { return counts_.created() + counts_.updated() + counts_.unchanged() + counts_.duplicate(); }
  // What has no outcome of its own: it may still get one, or it is too late.
  Counts Sums() const {
    const uint64_t rest = rows_ - Applied() - counts_.rejected();
    return over_ ? Counts{.skipped = rest} : Counts{.pending = rest};
  }
  void DescribeRejects(Json& job) const {
    job["rejects"] = rejects_.Listed();
    job["rejects_kept"] = rejects_.kept();
    if (!dry_) job["rejects_url"] = Url() + "/rejects";
    job["ignored_columns"] = columns_.ignored();
  }

  void Authenticated(Result<gateway::Caller> caller) {
    if (!caller) {
      if (caller.error().code == Code::kRetry) return Refuse(http::ProblemOf(caller.error()));
      return Refuse({.status = 401, .code = "unauthorized", .message = caller.error().message});
    }
    if (!caller->May(gateway::Scope::kWrite))
      return Refuse({.status = 403, .code = "forbidden", .message = "this API key has no scope write"});
    asker_ = {caller->tenant, caller->actor, head_.trace_id};
    may_read_ = caller->May(gateway::Scope::kRead);
    const auto keys = parts_.gateway.keyring().Tenant(caller->tenant);
    if (!keys) return Refuse(http::ProblemOf(keys.error()));
    keys_ = *keys;
    NameImport();
    parts_.gateway.WithRegistry(caller->tenant, [self = shared_from_this()](Result<std::shared_ptr<const Registry>> registry) {
      // On the blocking executor: SQL may be asked. The registry is as fresh as the lists: both are definitions of the tenant's home.
      auto list = registry ? self->FindList() : Result<uint64_t>(registry.error());
      self->parts_.bulk.Post([self, registry = std::move(registry), list = std::move(list)]() mutable {
        if (!list) {
          if (list.error().code != Code::kNotFound) return self->Refuse(http::ProblemOf(list.error()));
          return self->Refuse({.status = 404, .code = "list_not_found", .message = list.error().message});
        }
        self->registry_ = std::move(*registry);
        self->lanes_.Open(self->asker_, self->id_);
        self->list_id_ = *list;
        self->ready_ = true;
        self->started_ = self->parts_.gateway.clock().Steady();
        self->progress_at_ = self->started_;
        self->Step();
      });
    });
  }

  void NameImport() {
    const std::string_view key = head_.headers["idempotency-key"];
    id_ = key.empty() ? parts_.gateway.NewId().ToHex() : ImportIdOf(key, head_.headers["content-length"], head_.target);
    source_ = head_.Query("source").value_or("import:" + id_);
    if (source_.size() > 100) source_.resize(100);
  }

  // The list by its id or name; 0 = none asked for.
  Result<uint64_t> FindList() {
    const auto wanted = head_.Query("list");
    if (!wanted || wanted->empty()) return uint64_t{0};
    projections::Views& views = parts_.gateway.views();
    uint64_t after = 0;
    for (;;) {
      MAILY_TRY(const projections::Rows rows, views.Query("lists", {{"tenant", sql::Value::Integer(asker_.tenant.value())},
                                                                    {"after", sql::Value::Integer(static_cast<int64_t>(after))},
                                                                    {"limit", sql::Value::Integer(kListsPage)}}));
      for (size_t row = 0; row < rows.size(); ++row) {
        after = static_cast<uint64_t>(rows.at(row, "list_id").integer);
        if (std::to_string(after) == *wanted || rows.at(row, "name").bytes == *wanted) return after;
      }
      if (rows.size() < kListsPage) return Fail(Code::kNotFound, "there is no list \"{}\"", wanted->substr(0, 100));
    }
  }

  // Goes on with whatever can be done now.
  void Step() override {
    if (over_) {
      if (respond_ && problem_) TellProblem(std::exchange(respond_, nullptr));
      return Drain();
    }
    if (aborted_) return EndAborted();
    if (!ready_ && !problem_) return;
    if (problem_) {  // the rest of the file is passed over
      waiting_chunk_.reset();
      if (!ended_) {
        Resume();
        return cancelled_ ? EndCancelled() : void();
      }
      return Report();
    }
    if (asked_.json_lines && !began_) {
      began_ = true;
      if (!dry_ && !StartJob()) return Step();
    }
    if (waiting_chunk_) {
      const std::string chunk = std::exchange(waiting_chunk_, std::nullopt).value();
      asked_.json_lines ? lines_.Feed(chunk) : reader_.Feed(chunk);
    }
    if (ended_ && !finished_ && !problem_) {
      finished_ = true;
      asked_.json_lines ? lines_.Finish() : reader_.Finish();
      if (!problem_) {
        SealBatch();
        lanes_.CloseAll();
        lanes_.Send();
      }
      if (!asked_.json_lines && reader_.failed() && !problem_) {
        problem_ = http::Problem{
            .status = 422, .code = "empty_file", .message = "the file has no header; its first row names the columns, email among them"};
      }
    }
    if (problem_) return Step();
    if (finished_ && Settled() && !lanes_.waiting() && (began_at_ || !started_job_)) return Report();
    if (lanes_.rows_in_flight() + suppressions_in_flight_ < kRowsInFlightMax) Resume();
  }
  // Nothing that was sent waits for its decision.
  bool Settled() const { return lanes_.rows_in_flight() == 0 && suppressions_in_flight_ == 0; }
  void Drain() {
    waiting_chunk_.reset();
    Resume();
  }
  void Resume() {
    if (resume_) std::exchange(resume_, nullptr)();
  }
  // --- rows

  bool TakeHeader(const CsvRow& row) {
    const auto taken = columns_.TakeHeader(row);
    if (taken) return dry_ || StartJob();
    problem_ = http::Problem{.status = 422, .code = "missing_column", .message = taken.error().message};
    problem_->details.push_back(
        {.path = "email", .code = "missing_column", .hint = "one column is called email, or is mapped to it: map=COLUMN=email"});
    return false;
  }

  // Says in the journal that this import begins.
  bool StartJob() {
    if (!parts_.jobs.Begin(asker_.tenant, id_, weak_from_this())) {
      problem_ = http::Problem{.status = 409,
                               .code = "import_running",
                               .message = "this import goes on; look at " + Url() + ", and post the file again when it has ended"};
      problem_->headers.Add("location", Url());
      return false;
    }
    started_job_ = true;
    lists::v1::StartImport command;
    command.set_import_id(id_);
    command.set_list_id(list_id_);
    command.set_source(source_);
    parts_.gateway.SubmitOn(
        parts_.bulk, asker_, gateway::PlainOrder(command, schema::HomeKey(asker_.tenant)), kJobTimeout,
        [self = shared_from_this()](const Verdict& verdict) {
          if (verdict.kind == Verdict::Kind::kDecided && verdict.outcome == Outcome::kDone) {
            self->began_at_ = verdict.at;
          } else {
            self->Refuse({.status = 503,
                          .code = "unavailable",
                          .message = "the import could not begin: " + (verdict.answer.empty() ? "not decided in time" : verdict.answer) +
                                     "; post the file again"});
          }
          self->Step();
        });
    return true;
  }

  Draft& NextDraft(uint64_t line, std::string_view raw) {
    ++rows_;
    if (drafts_.size() <= draft_count_) drafts_.emplace_back();
    Draft& draft = drafts_[draft_count_];
    draft.command.Clear();
    draft.line = line;
    draft.raw = raw.substr(0, kRawInFlight);
    return draft;
  }
  void TakeRow(const CsvRow& row) {
    if (problem_) return;
    Draft& draft = NextDraft(row.line, row.raw);
    Columns::Said said;
    if (auto refused = columns_.Read(row, *registry_, draft.command, said)) return RejectRow(row.line, std::move(*refused), row.raw);
    TakeDraft(draft, std::move(said));
  }
  void TakeObject(uint64_t line, const nlohmann::json& object, std::string_view raw) {
    if (problem_) return;
    Draft& draft = NextDraft(line, raw);
    Columns::Said said;
    if (auto refused = columns_.Read(object, *registry_, draft.command, said)) return RejectRow(line, std::move(*refused), raw);
    TakeDraft(draft, std::move(said));
  }
  void TakeDraft(Draft& draft, Columns::Said said) {
    const schema::Address& address = said.address;
    auto known = domains_.find(address.domain);
    if (known == domains_.end()) {
      if (domains_.size() >= kDomainsKept) domains_.clear();
      known = domains_.emplace(address.domain, schema::DomainKey(*keys_, address.domain)).first;
    }
    std::string contact_key = schema::ContactKey(*keys_, address.normalised);
    draft.repeat = !seen_.Add(contact_key);
    draft.suppressed = std::move(said.suppressed);
    UpsertContact& command = draft.command;
    gateway::Identify(command, *registry_, address, std::move(contact_key), known->second, *keys_);
    if (list_id_ != 0 && draft.suppressed.empty()) command.add_join_lists(list_id_);
    command.set_source(source_);
    if (dry_) return Foresee(draft);
    if (++draft_count_ < kBatchRows) return;
    SealBatch();
    lanes_.Send();
  }
  // What would become of the row, as far as the read models tell.
  void Foresee(const Draft& draft) {
    if (!draft.suppressed.empty()) ++suppressed_;
    if (draft.repeat) return counts_.set_duplicate(counts_.duplicate() + 1);
    if (!comparison_) comparison_.emplace(parts_.gateway.views(), asker_.tenant, may_read_);
    const auto result = comparison_->Look(draft.line, draft.command);
    if (!result) {
      problem_ = http::ProblemOf(result.error());
    } else if (*result == 'c') {
      counts_.set_created(counts_.created() + 1);
    } else if (*result == 'u') {
      counts_.set_updated(counts_.updated() + 1);
    } else {
      counts_.set_unchanged(counts_.unchanged() + 1);
    }
  }

  // Seals the drafts, under keys that are durable then.
  void SealBatch() {
    if (draft_count_ == 0) return;
    std::vector<std::string_view> subjects;
    subjects.reserve(draft_count_);
    for (size_t i = 0; i < draft_count_; ++i) subjects.push_back(drafts_[i].command.contact_key());
    const auto keys = parts_.gateway.keyring().GetOrCreate(asker_.tenant, subjects);
    const size_t count = std::exchange(draft_count_, 0);
    if (!keys) {
      problem_ = http::ProblemOf(keys.error());
      problem_->message = fmt::format("stopped near line {}: {}; post the file again", drafts_[0].line, problem_->message);
      return;
    }
    for (size_t i = 0; i < count; ++i) {
      UpsertContact& command = drafts_[i].command;
      if (!drafts_[i].suppressed.empty()) Suppress(drafts_[i], (*keys)[i]);
      gateway::Seal(command, *registry_, asker_.tenant, (*keys)[i], parts_.gateway.entropy());
      lanes_.Add({drafts_[i].line, drafts_[i].repeat, std::move(drafts_[i].raw)}, command);
    }
  }

  // Of a row whose system says that it gets no mail. Again and again until it is decided: a repeat changes nothing.
  void Suppress(const Draft& draft, const keyring::SubjectKey& key) {
    suppressions::v1::AddSuppression command;
    command.set_contact_key(draft.command.contact_key());
    command.set_domain_key(draft.command.domain_key());
    command.set_address(draft.command.address());
    command.set_reason(draft.suppressed);
    command.set_stream(draft.suppressed == "unsubscribed" ? suppressions::v1::MARKETING : suppressions::v1::ALL);
    command.set_source("import");
    gateway::Order order = gateway::PlainOrder(command, command.contact_key());
    schema::SealPersonal(command, asker_.tenant, key, parts_.gateway.entropy());
    order.payload = command.SerializeAsString();
    ++suppressions_in_flight_;
    SendSuppression(std::move(order));
  }
  void SendSuppression(gateway::Order order) {
    parts_.gateway.SubmitOn(parts_.bulk, asker_, order, kJobTimeout, [self = shared_from_this(), order](const Verdict& verdict) mutable {
      if (verdict.kind == Verdict::Kind::kDecided && verdict.outcome != Outcome::kRetryLater) {
        --self->suppressions_in_flight_;
        if (verdict.outcome == Outcome::kDone || verdict.outcome == Outcome::kUnchanged) ++self->suppressed_;
        self->progress_at_ = self->parts_.gateway.clock().Steady();
        if (verdict.at) self->NoteReached(*verdict.at);
      } else if (self->GoOn()) {
        self->parts_.bulk.After(kEndPause, [self, order = std::move(order)]() mutable { self->SendSuppression(std::move(order)); });
        return;
      } else {
        --self->suppressions_in_flight_;
      }
      self->Step();
    });
  }

  // --- decisions

  std::shared_ptr<Lanes::Owner> Keep() override { return shared_from_this(); }
  void Decided(const Chunk& chunk, const Verdict& verdict) override {
    progress_at_ = parts_.gateway.clock().Steady();
    if (verdict.at) NoteReached(*verdict.at);
    Count(chunk, verdict);
  }
  bool GoOn() override {
    if (problem_) return false;
    if (parts_.gateway.clock().Steady() - progress_at_ <= kNoProgressMax) return true;
    problem_ = http::Problem{.status = 503,
                             .code = "unavailable",
                             .message = fmt::format("no row was decided for {} s ({}); {} rows were applied; post the file again",
                                                    kNoProgressMax.us / 1'000'000, lanes_.last_trouble(), Applied())};
    return false;
  }

  void Count(const Chunk& chunk, const Verdict& verdict) {
    Meters().rows.Add(chunk.rows.size());
    if (verdict.outcome == Outcome::kDuplicate) {  // applied by an earlier post of this file; how, CountAgain asks at the end
      went_on_ = true;
      const auto repeats = static_cast<uint64_t>(std::ranges::count_if(chunk.rows, &Row::repeat));
      counts_.set_duplicate(counts_.duplicate() + repeats);
      counts_.set_unchanged(counts_.unchanged() + chunk.rows.size() - repeats);
      return;
    }
    const auto answer = nlohmann::json::parse(verdict.answer, nullptr, false);
    const auto member = [&](const std::string& name) { return answer.is_object() ? answer.value(name, std::string()) : std::string(); };
    const std::string results = member("results");
    for (size_t i = 0; i < chunk.rows.size(); ++i) {
      const Row& row = chunk.rows[i];
      const char result = i < results.size() ? results[i] : 'r';
      if (result == 'r') {
        // Of a row by itself, else of the whole chunk.
        const std::string own = member(std::to_string(i));
        const size_t colon = own.find(": ");
        const std::string code = colon == std::string::npos ? member("code") : own.substr(0, colon);
        RejectRow(row.line, {"", code, colon == std::string::npos ? member("message") : own.substr(colon + 2)}, row.raw);
      } else if (result == 'e') {
        continue;  // who was erased is skipped, which has no count of its own until the end
      } else if (row.repeat) {
        counts_.set_duplicate(counts_.duplicate() + 1);
      } else if (result == 'c') {
        counts_.set_created(counts_.created() + 1);
      } else if (result == 'u') {
        counts_.set_updated(counts_.updated() + 1);
      } else {
        counts_.set_unchanged(counts_.unchanged() + 1);
      }
    }
  }

  void TakeReject(CsvReject reject) {
    if (problem_) return;
    ++rows_;
    RejectRow(reject.line, {columns_.NameOf(reject.column), std::move(reject.code), std::move(reject.reason)}, reject.raw);
  }
  void RejectRow(uint64_t line, Columns::Refused why, std::string_view raw) {
    counts_.set_rejected(counts_.rejected() + 1);
    rejects_.Add({line, std::move(why.column), std::move(why.code), std::move(why.reason), std::string(raw)});
    if (problem_ || !asked_.errors_max || counts_.rejected() <= *asked_.errors_max) return;
    problem_ = http::Problem{.status = 422,
                             .code = "too_many_errors",
                             .message = fmt::format("stopped at line {}: more than {} rows were rejected", line, *asked_.errors_max)};
  }

  // --- the answer

  void Refuse(http::Problem problem) {
    problem_ = std::move(problem);
    Step();
  }

  void Report() {
    if (problem_ && !Settled()) return;  // what is on its way comes back first
    if (over_ || !respond_) return;
    NoteEnd();
    http::Respond respond = std::exchange(respond_, nullptr);
    if (problem_) {
      TellProblem(std::move(respond));
      return Finish(cancelled_ ? lists::v1::INTERRUPTED : lists::v1::FAILED);
    }
    if (dry_) return respond(DryReport());
    http::Response response = http::Response::Json(202, Describe().dump(-1, ' ', false, Json::error_handler_t::replace));
    response.headers.Add("location", Url());
    response.headers.Add("maily-consistency-token", token_);
    respond(std::move(response));
    Finish(lists::v1::COMPLETED);
  }
  // Says what was applied, too.
  void TellProblem(http::Respond respond) {
    message_ = problem_->message;
    if (started_job_) {
      const bool told = problem_->code == "unavailable" || problem_->code == "import_running";
      if (!told) message_ += fmt::format("; {} rows were applied", Applied());
      problem_->message = message_;
      problem_->headers.Add("location", Url());
    }
    respond(http::ToResponse(*problem_, head_.trace_id, head_.path()));
  }
  void EndAborted() {
    if (!Settled() || lanes_.waiting()) return;
    NoteEnd();
    message_ = cancelled_ ? fmt::format("the import was cancelled; {} rows were applied", Applied()) : "the file stopped coming";
    Finish(lists::v1::INTERRUPTED);
  }
  // The file may come on for long, or never: the job does not wait for its end.
  void EndCancelled() {
    if (over_ || !Settled()) return;
    NoteEnd();
    message_ = fmt::format("the import was cancelled; {} rows were applied", Applied());
    Finish(lists::v1::INTERRUPTED);
  }
  // Rows that an earlier post of this file had applied are known by what was noted then.
  void Finish(lists::v1::ImportOutcome outcome) {
    if (!went_on_ || !started_job_) return EndJob(outcome, kEndTries);
    AwaitViews([self = shared_from_this(), outcome] {
      self->parts_.gateway.blocking().Post([self, outcome] {
        auto noted = self->parts_.gateway.views().Query(
            "import_applied", {{"tenant", sql::Value::Integer(self->asker_.tenant.value())}, {"import_id", sql::Value::Text(self->id_)}});
        self->parts_.bulk.Post([self, outcome, noted = std::move(noted)] {
          if (noted && !noted->empty()) self->CountAgain(*noted);
          self->EndJob(outcome, kEndTries);
        });
      });
    });
  }
  void CountAgain(const projections::Rows& noted) {
    const auto created = static_cast<uint64_t>(noted.at(0, "created").integer);
    const auto updated = static_cast<uint64_t>(noted.at(0, "updated").integer);
    const uint64_t sum = counts_.created() + counts_.updated() + counts_.unchanged();
    if (created + updated > sum) return;  // rows of another file were posted under this key
    counts_.set_created(created);
    counts_.set_updated(updated);
    counts_.set_unchanged(sum - created - updated);
  }
  // Every row that is applied is decided.
  void NoteEnd() {
    over_ = true;
    seen_ = {};
    drafts_ = {};
    if (keys_ == nullptr) return;
    std::vector<CommandAt> at;
    for (const auto& [partition, last] : reached_) at.push_back(last);
    if (at.empty() && began_at_) at.push_back(*began_at_);
    token_ = gateway::EncodeToken(at, *keys_);
    seconds_ = static_cast<double>((parts_.gateway.clock().Steady() - started_).us) / 1e6;
  }

  http::Response DryReport() const {
    Json report{{"dry_run", true},
                {"list_id", list_id_},
                {"rows", rows_},
                {"valid", rows_ - counts_.duplicate() - counts_.rejected()},
                {"created", counts_.created()},
                {"updated", counts_.updated()},
                {"unchanged", counts_.unchanged()},
                {"skipped", 0},
                {"suppressed", suppressed_},
                {"duplicate", counts_.duplicate()},
                {"rejected", counts_.rejected()}};
    report["diffs"] = comparison_ ? comparison_->diffs() : Json::array();
    DescribeRejects(report);
    return http::Response::Json(200, report.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  // --- the end in the journal, after the answer

  void EndJob(lists::v1::ImportOutcome outcome, int tries) {
    if (!started_job_ || !IsCurrent()) return;
    if (outcome != lists::v1::COMPLETED) status_ = outcome == lists::v1::INTERRUPTED ? "interrupted" : "failed";
    lists::v1::EndImport command;
    command.set_import_id(id_);
    command.set_outcome(outcome);
    *command.mutable_counts() = counts_;
    command.mutable_counts()->set_rows(rows_);
    command.mutable_counts()->set_skipped(Sums().skipped);
    command.set_message(message_);
    command.set_token(token_);
    parts_.gateway.SubmitOn(parts_.bulk, asker_, gateway::PlainOrder(command, schema::HomeKey(asker_.tenant)), kJobTimeout,
                            [self = shared_from_this(), outcome, tries](const Verdict& verdict) {
                              const bool decided = verdict.kind == Verdict::Kind::kDecided && verdict.outcome == Outcome::kDone;
                              if (!decided && tries > 1) {
                                self->parts_.bulk.After(kEndPause, [self, outcome, tries] { self->EndJob(outcome, tries - 1); });
                                return;
                              }
                              if (decided && verdict.at) self->NoteReached(*verdict.at);
                              self->AwaitViews([self, outcome] { self->Ended(outcome); });
                            });
  }
  // The same file was not posted again meanwhile.
  bool IsCurrent() const { return parts_.jobs.IsCurrent(asker_.tenant, id_, this); }
  void NoteReached(const CommandAt& at) {
    auto& last = reached_.try_emplace(at.partition, at).first->second;
    last = std::max(last, at);
  }
  // The job is over once everybody can see what it did. `then` also when the same file was posted again meanwhile.
  void AwaitViews(std::function<void()> then) {
    std::vector<CommandAt> at;
    for (const auto& [partition, last] : reached_) at.push_back(last);
    projections::Views& views = parts_.gateway.views();
    views.freshness().Wait(views.GroupOf("import"), std::move(at), kViewWait, parts_.bulk,
                           [self = shared_from_this(), then = std::move(then)](bool fresh) {
                             if (fresh || !self->IsCurrent()) return then();
                             self->parts_.bulk.After(kViewPause, [self, then] { self->AwaitViews(then); });
                           });
  }
  void Ended(lists::v1::ImportOutcome outcome) {
    if (!IsCurrent()) return;
    if (outcome == lists::v1::COMPLETED) status_ = "completed";
    parts_.jobs.End(asker_.tenant, id_, Describe(), RejectsNow());
    observe::Log(observe::Level::kInfo, "import ended",
                 {{"trace_id", head_.trace_id},
                  {"tenant", asker_.tenant},
                  {"import", id_},
                  {"status", status_},
                  {"rows", rows_},
                  {"created", counts_.created()},
                  {"rejected", counts_.rejected()},
                  {"seconds", seconds_}});
  }

  const Parts parts_;
  const http::Request head_;
  const Asked asked_;
  const bool dry_;
  CsvReader reader_;
  JsonLines lines_;
  gateway::Asker asker_;
  const keyring::TenantKeys* keys_ = nullptr;
  std::shared_ptr<const Registry> registry_;
  std::string id_;
  std::string source_;
  uint64_t list_id_ = 0;
  std::optional<CommandAt> began_at_;  // ImportStarted
  Duration started_;
  Duration progress_at_;

  bool ready_ = false;
  bool ended_ = false;     // the body is complete
  bool finished_ = false;  // and parsed
  bool aborted_ = false;
  bool started_job_ = false;
  bool began_ = false;  // NDJSON: the job has begun
  bool cancelled_ = false;
  bool went_on_ = false;  // after an earlier post of this file
  bool may_read_ = false;
  bool over_ = false;  // answered, if anyone waited: no row is applied any more
  std::optional<http::Problem> problem_;
  std::optional<std::string> waiting_chunk_;
  Job resume_;
  http::Respond respond_;

  Columns columns_;
  std::optional<Comparison> comparison_;  // of a dry run
  std::vector<Draft> drafts_;
  size_t draft_count_ = 0;
  std::map<std::string, std::string, std::less<>> domains_;  // to their keys
  Seen seen_;
  Lanes lanes_;
  size_t suppressions_in_flight_ = 0;
  uint64_t suppressed_ = 0;
  std::map<PartitionId, CommandAt> reached_;

  uint64_t rows_ = 0;
  ImportCounts counts_;  // but for rows and skipped
  Rejects rejects_;
  std::string status_ = "running";
  std::string message_;
  std::string token_;
  double seconds_ = 0;
};

class Sink final : public http::BodySink {
 public:
  explicit Sink(std::shared_ptr<Import> import) : import_(std::move(import)) { import_->Begin(); }
  void OnData(std::string chunk, Job resume) override { import_->Data(std::move(chunk), std::move(resume)); }
  void OnEnd(http::Respond respond) override { import_->End(std::move(respond)); }
  void OnAbort() override { import_->Abort(); }

 private:
  std::shared_ptr<Import> import_;
};

}  // namespace

std::string ImportIdOf(std::string_view key, std::string_view length, std::string_view target) {
  const auto digest = keyring::Sha256(fmt::format("{}\n{}\n{}", key, length, target));  // the same key for another file is another import
  return CommandId::From(keyring::View(digest).substr(0, 16)).ToHex();
}

http::OpenSink OpenImport(Parts parts) {
  Meters();  // named in /metrics from the start
  return [parts](const http::Request& head) -> std::variant<std::unique_ptr<http::BodySink>, http::Response> {
    const auto refuse = [&](const http::Problem& problem) { return http::ToResponse(problem, head.trace_id, head.path()); };
    const auto known = parts.auth.Known(head.headers["authorization"]);
    if (known && !*known) {
      return refuse(known->error().code == Code::kRetry
                        ? http::ProblemOf(known->error())
                        : http::Problem{.status = 401, .code = "unauthorized", .message = known->error().message});
    }
    Asked asked;
    if (const auto wrong = ReadRequest(head, asked)) return refuse(*wrong);
    return std::make_unique<Sink>(std::make_shared<Import>(parts, head, std::move(asked)));
  };
}

}  // namespace maily::import
