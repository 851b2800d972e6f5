// See decide.h.
#include "streams/task/decide.h"

#include <algorithm>
#include <exception>

#include "streams/journal/rejected.h"
#include "streams/state/key.h"
#include "streams/task/intake.h"

namespace maily::task {
namespace {

using journal::CauseKind;
using journal::Decision;
using journal::Outcome;

void AppendJsonString(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
      out.push_back(kDigits[c & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void AppendMember(std::string& json, std::string_view name) {
  if (json.empty()) {
    json.push_back('{');
  } else {
    json.back() = ',';  // was the closing brace
  }
  AppendJsonString(json, name);
  json.push_back(':');
}

Decision FromCommand(const command::Command& command, const CommandAt& at) {
  Decision decision;
  decision.cause.kind = CauseKind::kCommand;
  decision.cause.at = at;
  decision.cause.command_id = command.id;
  decision.cause.command_type = command.type;
  decision.tenant = command.tenant;
  decision.trace = command.trace;
  decision.causation = command.causation;
  decision.correlation = command.correlation;
  decision.occurred_at = command.occurred_at;
  decision.actor = command.actor;
  decision.natural_key = command.natural_key;
  decision.sequence = command.sequence;
  decision.request_hash = command.request_hash;
  return decision;
}

}  // namespace

// ---- Fold and Context: the processors' side ----

void Fold::RequireOwner(TypeNumber type) const {
  MAILY_CHECK(engine_->pipeline_.Owns(noun_, type), "{} writes table {} that it does not own", engine_->pipeline_.nouns()[noun_].name(),
              type);
}
void Fold::AddWork(WorkKind kind, std::string_view subject) { engine_->work_.Add(tenant_, kind, subject); }
void Fold::RemoveWork(WorkKind kind, std::string_view subject) { engine_->work_.Remove(tenant_, kind, subject); }
void Fold::ArmTimer(Instant due, TimerStep step, std::string_view subject) { engine_->timers_.Arm(due, tenant_, step, subject); }
void Fold::DisarmTimer(Instant due, TimerStep step, std::string_view subject) { engine_->timers_.Disarm(due, tenant_, step, subject); }

void Context::RequireReader(TypeNumber type) const {
  MAILY_CHECK(engine_->pipeline_.MayRead(noun_, type), "{} reads table {} without saying so", engine_->pipeline_.nouns()[noun_].name(),
              type);
}

void Context::Refuse(Outcome outcome, std::string_view code, std::string_view message) {
  MAILY_CHECK(engine_->made_.empty(), "{} refused after it emitted", engine_->pipeline_.nouns()[noun_].name());
  outcome_ = outcome;
  refused_ = true;
  Answer("code", code);
  Answer("message", message);
  // What was forwarded comes without the key that it was routed by, and nobody hears the answer: a dead letter keeps it.
  if (command_ != nullptr && command_->key.empty() && engine_->pipeline_.decider(command_->type).forwarded)
    rejection_ = {std::string(code), std::string(message)};
}

void Context::Reject(std::string_view code, std::string_view reason) {
  MAILY_CHECK(engine_->made_.empty(), "{} rejected after it emitted", engine_->pipeline_.nouns()[noun_].name());
  MAILY_CHECK(command_ != nullptr, "{} rejected what is no command", engine_->pipeline_.nouns()[noun_].name());
  refused_ = true;
  rejection_ = {std::string(code), std::string(reason)};
}

void Context::Answer(std::string_view name, std::string_view text) {
  AppendMember(engine_->answer_, name);
  AppendJsonString(engine_->answer_, text);
  engine_->answer_.push_back('}');
}

void Context::Answer(std::string_view name, uint64_t number) {
  AppendMember(engine_->answer_, name);
  engine_->answer_ += std::to_string(number);
  engine_->answer_.push_back('}');
}

void Context::AnswerAll(const std::vector<std::pair<std::string, std::string>>& wrong) {
  for (auto it = wrong.begin(); it != wrong.end(); ++it) {
    const auto same = [&it](const auto& other) { return other.first == it->first; };
    if (std::any_of(wrong.begin(), it, same)) continue;
    std::string sentences = it->second;
    for (auto later = it + 1; later != wrong.end(); ++later) {
      if (same(*later)) sentences += "; " + later->second;
    }
    Answer(it->first, sentences);
  }
}

const CreditHolder* Context::TakeCredit(std::string_view site) {
  Credits* credits = engine_->options_.credits;
  return credits != nullptr && credits->Take(site) ? &credits->holder(site) : nullptr;
}
bool Context::LacksCredit(std::string_view site) const {
  const Credits* credits = engine_->options_.credits;
  return credits != nullptr && credits->Lacks(site);
}
bool Context::CreditsPerDomain() const {
  const Credits* credits = engine_->options_.credits;
  return credits != nullptr && credits->per_domain();
}
size_t Context::event_count() const { return engine_->made_.size(); }

std::string& Context::BeginEvent(TypeNumber type) {
  engine_->made_.push_back({type, engine_->arena_.size(), 0});
  return engine_->arena_;
}

void Context::FinishEvent(TypeNumber type, const void* event) {
  Engine& engine = *engine_;
  MAILY_CHECK(!refused_, "{} emitted after it refused", engine.pipeline_.nouns()[noun_].name());
  engine.made_.back().size = engine.arena_.size() - engine.made_.back().start;
  if (engine.made_.size() > engine.events_max_) {
    if (engine.failure_.empty()) engine.failure_ = fmt::format("more than {} events in one decision", engine.events_max_);
    return;  // nothing more is folded; the decision is undone when it closes
  }
  engine.FoldTyped(tenant_, now_, type, event);
  const size_t noun = noun_;
  for (const Pipeline::Reactor& reactor : engine.pipeline_.reactors(type)) {
    noun_ = reactor.noun;
    reactor.row->react(*this, event);
  }
  noun_ = noun;
}

// ---- Engine ----

Engine::Engine(const Pipeline& pipeline, state::Cache& cache, Options options)
    : pipeline_(pipeline),
      cache_(cache),
      options_(std::move(options)),
      timers_(cache),
      dedupe_(cache, timers_),
      work_(cache),
      outbox_(cache) {
  context_.engine_ = this;
  context_.cache_ = &cache_;
  context_.keyring_ = options_.keyring;
  context_.partition_ = options_.partition;
  context_.partition_count_ = options_.partition_count;
}

void Engine::Open(TenantId tenant, Instant now) {
  arena_.clear();
  made_.clear();
  answer_.clear();
  failure_.clear();
  touched_.clear();
  events_max_ = journal::kEventsMax;
  context_.command_ = nullptr;
  context_.tenant_ = tenant;
  context_.now_ = now;
  context_.trace_ = {};
  context_.outcome_ = Outcome::kDone;
  context_.refused_ = false;
  context_.rejection_.reset();
  cache_.Begin();
}

void Engine::FoldTyped(TenantId tenant, Instant now, TypeNumber type, const void* event) {
  Fold fold;
  fold.engine_ = this;
  fold.cache_ = &cache_;
  fold.tenant_ = tenant;
  fold.partition_ = options_.partition;
  fold.now_ = now;
  for (const Pipeline::Evolver& evolver : pipeline_.evolvers(type)) {
    fold.noun_ = evolver.noun;
    evolver.row->evolve(fold, event);
  }
}

bool Engine::FoldInternal(TypeNumber type, std::string_view payload) {
  if (type == link::kLinkAckedEvent) {
    link::LinkAcked acked;
    if (!acked.Parse(payload)) return false;
    outbox_.Ack(acked);
    return true;
  }
  return type == TypeNumberOf<journal::CommandRejected>();
}

void Engine::MarkOutbox(PartitionId destination) {
  for (const PartitionId seen : touched_) {
    if (seen == destination) return;
  }
  touched_.push_back(destination);
}

// What every decision means apart from its events' own state: idempotency and links.
void Engine::FoldBookkeeping(const Decision& decision, Instant now) {
  dedupe_.Record(decision, now);
  for (const journal::Event& event : decision.events) {
    const Carry* carry = pipeline_.carry(event.type);
    if (carry == nullptr) continue;
    const link::OutboxItem item{event.type, decision.tenant, decision.trace, decision.correlation, std::string(event.payload)};
    if (carry->to == CarryTo::kHome) {
      const PartitionId home = pipeline_.Home(decision.tenant, options_.partition_count);
      outbox_.Add(home, item);
      MarkOutbox(home);
      continue;
    }
    if (carry->to == CarryTo::kNamed) {
      std::optional<Destination> named = carry->destination(event.payload, options_.partition_count);
      if (!named || named->partition.value() >= options_.partition_count) continue;
      const bool as_it_is = named->type == 0;
      outbox_.Add(named->partition, {as_it_is ? event.type : named->type, decision.tenant, decision.trace, decision.correlation,
                                     as_it_is ? std::string(event.payload) : std::move(named->payload)});
      MarkOutbox(named->partition);
      continue;
    }
    for (uint16_t to = 0; to < options_.partition_count; ++to) {
      outbox_.Add(PartitionId(to), item);
      MarkOutbox(PartitionId(to));
    }
  }
}

void Engine::UndoAll() {
  cache_.Undo();
  work_.Load();
}

bool Engine::Close(Decision& decision, Instant now, journal::FrameDraft& draft) {
  size_t bytes = answer_.size();
  for (const Made& made : made_) bytes += made.size;
  if (failure_.empty() && bytes > journal::kDecisionBytesMax)
    failure_ = fmt::format("the decision has {} bytes, limit {}", bytes, journal::kDecisionBytesMax);
  if (!failure_.empty()) {
    UndoAll();
    return false;
  }
  events_.clear();
  for (const Made& made : made_) events_.push_back({made.type, std::string_view(arena_).substr(made.start, made.size)});
  decision.events = events_;
  decision.answer = answer_;
  FoldBookkeeping(decision, now);
  cache_.Commit();
  for (const PartitionId to : touched_) marks_.emplace_back(to, outbox_.At(to).last);
  draft.Add(decision);
  return true;
}

Engine::Decided Engine::RejectOpen(const command::Command& command, const CommandAt& at, Instant now, std::string_view code,
                                   std::string_view reason, journal::FrameDraft& draft) {
  Open(command.tenant, now);
  journal::CommandRejected rejected;
  rejected.code = code;
  rejected.reason = reason;
  rejected.build = options_.build;
  rejected.type = command.type;
  rejected.original = command.payload.substr(0, command::kCommandBytesMax);
  rejected.AppendToString(&context_.BeginEvent(TypeNumberOf<journal::CommandRejected>()));
  made_.back().size = arena_.size() - made_.back().start;
  context_.Answer("code", code);
  context_.Answer("message", reason);
  Decision decision = FromCommand(command, at);
  decision.outcome = Outcome::kRejected;
  MAILY_CHECK(Close(decision, now, draft), "a rejection does not fit: {}", failure_);
  return {Outcome::kRejected, answer_};
}

Engine::Decided Engine::Command(const command::Received& received, Instant now, journal::FrameDraft& draft) {
  const command::Command& command = received.command;
  if (!IsInlet(received.at) && !command.key.empty() && PartitionOf(command.key, options_.partition_count) != options_.partition) {
    return RejectOpen(command, received.at, now, "wrong_partition",
                      fmt::format("the key belongs to partition {}", PartitionOf(command.key, options_.partition_count).value()), draft);
  }
  Decision decision = FromCommand(command, received.at);
  if (command.type == kTickCommand) {
    Open(command.tenant, now);
    Close(decision, now, draft);
    return {};
  }
  if (command.type == link::kLinkAckCommand) {
    if (!link::LinkAcked().Parse(command.payload))
      return RejectOpen(command, received.at, now, "malformed", "not a link acknowledgement", draft);
    Open(command.tenant, now);
    context_.BeginEvent(link::kLinkAckedEvent).append(command.payload);
    made_.back().size = arena_.size() - made_.back().start;
    FoldInternal(link::kLinkAckedEvent, command.payload);
    Close(decision, now, draft);
    return {};
  }
  const bool takes_key = command.type == command::kTakeKeyCommand;
  const Pipeline::Decider& decider = pipeline_.decider(command.type);
  if (decider.row == nullptr && !takes_key) {
    return RejectOpen(command, received.at, now, "unknown_type", fmt::format("no decider of this build knows type {}", command.type),
                      draft);
  }
  Open(command.tenant, now);
  if (auto seen = dedupe_.Check(command.tenant, command.natural_key, command.sequence, command.request_hash)) {
    answer_ = std::move(seen->answer);
    decision.outcome = seen->outcome;
    Close(decision, now, draft);
    return {decision.outcome, answer_, seen->first};
  }
  if (takes_key) {
    Close(decision, now, draft);
    return {};
  }
  context_.command_ = &command;
  try {
    context_.noun_ = pipeline_.forwarding_noun();
    const bool forwarded = decider.forwarded && pipeline_.forwarding().forward(context_, command);
    context_.noun_ = decider.noun;
    if (!forwarded && !decider.row->decide(context_, command.payload)) {
      UndoAll();
      return RejectOpen(command, received.at, now, "malformed", "the payload is not a message of its type", draft);
    }
    if (const auto rejection = context_.rejection_) {
      UndoAll();
      return RejectOpen(command, received.at, now, rejection->code, rejection->reason, draft);
    }
    decision.outcome = context_.outcome_;
    if (Close(decision, now, draft)) return {decision.outcome, answer_};
  } catch (const std::exception& error) {
    UndoAll();
    failure_ = error.what();
  }
  const std::string why = failure_;
  return RejectOpen(command, received.at, now, "failed", why, draft);
}

void Engine::Foresee(std::span<const command::Command> commands) {
  wanted_.Clear();
  for (const command::Command& command : commands) {
    dedupe_.LookUp(command.tenant, command.natural_key, command.sequence, wanted_);
    const Noun::LookUpRow* const row = pipeline_.decider(command.type).looks_up;
    if (row != nullptr) wanted_.Add(*row->table, state::Key(command.tenant, command.key));
  }
  cache_.Bring(wanted_);
}

Engine::Decided Engine::Reject(const command::Received& received, std::string_view code, std::string_view reason,
                               journal::FrameDraft& draft) {
  return RejectOpen(received.command, received.at, draft.time(), code, reason, draft);
}

void Engine::Unreadable(const command::Unreadable& record, journal::FrameDraft& draft) {
  command::Command command;
  command.payload = std::string_view(record.bytes).substr(0, command::kCommandBytesMax);
  RejectOpen(command, record.at, draft.time(), "unreadable", record.why.message, draft);
}

bool Engine::Slice(Instant now, journal::FrameDraft& draft) {
  // An item that has to wait and decided nothing gives its turn to the next.
  while (const auto item = work_.Next()) {
    const Pipeline::Slicer slicer = pipeline_.slicer(item->kind);
    MAILY_CHECK(slicer.slice != nullptr, "work of kind {} that nobody slices", item->kind);
    Open(item->tenant, now);
    events_max_ = journal::kSliceEventsMax;
    context_.noun_ = slicer.noun;
    const SliceEnd end = slicer.slice(context_, item->subject);
    if (end == SliceEnd::kWaiting) work_.Wait(item->key);
    if (made_.empty()) {
      cache_.Commit();
      if (end == SliceEnd::kMore) return true;
      continue;
    }
    Decision decision;
    decision.cause.kind = CauseKind::kWork;
    decision.cause.item = item->key;
    decision.tenant = item->tenant;
    decision.trace = context_.trace_;
    MAILY_CHECK(Close(decision, now, draft), "a slice of work kind {} broke a limit: {}", item->kind, failure_);
    return true;
  }
  return false;
}

size_t Engine::FireTimers(Instant now, size_t max, journal::FrameDraft& draft) {
  const auto due = timers_.Due(now, max);
  for (const state::Timer& timer : due) {
    Open(timer.tenant, now);
    timers_.Disarm(timer.due, timer.tenant, timer.step, timer.subject);
    const std::string key = state::TimerKey(timer.due, timer.tenant, timer.step, timer.subject);
    if (timer.step == kForgetStep) {
      dedupe_.Forget(Cursor(timer.subject).Ordered<uint64_t>(), now);
    } else {
      const Pipeline::Timer row = pipeline_.timer(timer.step);
      MAILY_CHECK(row.timer != nullptr, "timer of step {} that nobody handles", timer.step);
      context_.noun_ = row.noun;
      row.timer(context_, timer.subject);
    }
    Decision decision;
    decision.cause.kind = CauseKind::kTimer;
    decision.cause.item = key;
    decision.tenant = timer.tenant;
    decision.trace = context_.trace_;
    MAILY_CHECK(Close(decision, now, draft), "timer step {} broke a limit: {}", timer.step, failure_);
  }
  return due.size();
}

Result<void> Engine::Restore(const journal::AcceptedFrame& frame) {
  for (const Decision& decision : frame.decisions) {
    cache_.Begin();
    touched_.clear();
    if (decision.cause.kind == CauseKind::kTimer) {
      MAILY_TRY(const state::Timer timer, state::ParseTimerKey(decision.cause.item));
      timers_.Disarm(timer.due, timer.tenant, timer.step, timer.subject);
      if (timer.step == kForgetStep) dedupe_.Forget(Cursor(timer.subject).Ordered<uint64_t>(), frame.time);
    }
    for (const journal::Event& event : decision.events) {
      if (FoldInternal(event.type, event.payload)) continue;
      const auto& evolvers = pipeline_.evolvers(event.type);
      if (evolvers.empty()) {
        return Fail(Code::kCorrupt, "partition {} lsn {}: event type {} is not known to this build; upgrade it", options_.partition.value(),
                    frame.first_lsn.value(), event.type);
      }
      const bool parsed = evolvers.front().row->parse(
          event.payload, [&](const void* message) { FoldTyped(decision.tenant, frame.time, event.type, message); });
      if (!parsed) {
        return Fail(Code::kCorrupt, "partition {} lsn {}: an event of type {} does not parse", options_.partition.value(),
                    frame.first_lsn.value(), event.type);
      }
    }
    FoldBookkeeping(decision, frame.time);
    cache_.Commit();
  }
  return Ok();
}

Outcome Engine::First(const Decision& decision) const {
  if (decision.outcome != Outcome::kDuplicate) return Outcome::kDone;
  const auto seen = dedupe_.Check(decision.tenant, decision.natural_key, decision.sequence, decision.request_hash);
  return seen ? seen->first : Outcome::kDone;
}

std::vector<std::pair<PartitionId, uint64_t>> Engine::TakeOutboxMarks() { return std::exchange(marks_, {}); }

}  // namespace maily::task
