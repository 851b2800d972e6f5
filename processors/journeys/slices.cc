// See slices.h.
#include "processors/journeys/slices.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/journeys/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "processors/compliance/timing.h"
#include "processors/journeys/chance.h"
#include "processors/journeys/definition.h"
#include "processors/journeys/evolve.h"
#include "processors/journeys/facts.h"
#include "processors/journeys/keys.h"
#include "processors/journeys/update.h"
#include "processors/journeys/waits.h"
#include "processors/journeys/withdraw.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "schemas/wall_time.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::journeys {
namespace {

constexpr size_t kWantedBytesMax = 128 * 1024;  // of a slice: a decision has twice as many
constexpr size_t kWantedEventsMax = 150;        // and no more than journal::kSliceEventsMax

int64_t NowS(const task::Context& context) { return context.now().us / 1'000'000; }

struct Due {
  int64_t due_s = 0;
  InstanceRef ref;
};
std::vector<Due> TakeDue(const task::Context& context) {
  const std::string tenant = state::Key(context.tenant());
  std::vector<Due> due;
  const auto* clock = context.view<v1::JourneyClock>().Find(tenant);
  const std::string first = clock == nullptr ? std::string() : clock->first();
  context.view<v1::JourneyDue>().Scan(tenant, first, [&](std::string_view key, const v1::JourneyDue&) {
    Cursor cursor(key.substr(tenant.size()));
    const auto due_s = static_cast<int64_t>(cursor.Ordered<uint64_t>());
    if (due_s > NowS(context) || due.size() == kTurnsMax) return false;
    const auto ordinal = cursor.Ordered<uint64_t>();
    const auto journey_id = cursor.Ordered<uint64_t>();
    due.push_back({due_s, {journey_id, ordinal, std::string(key.substr(tenant.size() + 3 * sizeof(uint64_t)))}});
    return true;
  });
  return due;
}

const campaigns::v1::SendingRules* RulesOf(const task::Context& context) {
  return context.view<campaigns::v1::SendingRules>().Find(state::Key(context.tenant()));
}

void SetEnd(const WaitEnd& end, v1::JourneyMove& move, v1::JourneysMoved& moved) {
  move.set_due_s(end.due_s);
  if (end.zone.empty()) return;
  move.set_zone(end.zone);
  move.set_zone_missing(end.zone_missing);
  if (moved.tz_version().empty()) moved.set_tz_version(schema::TzVersion());
}

// One instance has its turn.
class Turn {
 public:
  Turn(task::Context& context, const Due& due, v1::JourneysMoved& out) : context_(context), due_(due), ref_(due.ref), out_(out) {}

  void Take() {
    const auto* found = context_.view<v1::JourneyInstance>().Find(InstanceKey(context_.tenant(), ref_));
    if (found == nullptr || found->over()) return;
    instance_ = *found;
    first_step_ = instance_.step();
    const auto* run = context_.view<v1::JourneyRun>().Find(state::Key(context_.tenant(), ref_.journey_id));
    if (run == nullptr || run->archived()) return Leave("archived");
    if (run->paused()) {
      Add(v1::MOVE_HELD, instance_.step(), instance_.step(), "paused").set_due_s(due_.due_s);
      return;
    }
    const auto* contact = context_.view<contacts::v1::Contact>().Find(state::Key(context_.tenant(), ref_.ordinal));
    if (contact == nullptr) return Leave("erased");
    contact_ = *contact;
    const auto* held =
        context_.view<v1::JourneyVersionHeld>().Find(state::Key(context_.tenant(), ref_.journey_id, uint64_t{instance_.version()}));
    if (held == nullptr) return Leave("archived");
    definition_ = held->definition();
    if (const char* why = WhyOut()) return Leave(why);
    late_ = NowS(context_) - due_.due_s > definition_.max_late_s();
    GoOn(instance_.waits() ? EndWait() : instance_.step());
  }

  // Of what it has asked others for.
  size_t bytes() const { return bytes_; }

 private:
  v1::JourneyMove& Add(v1::MoveKind kind, const std::string& step, const std::string& next, std::string why) {
    v1::JourneyMove& move = *out_.add_moves();
    move.set_kind(kind);
    move.set_journey_id(ref_.journey_id);
    move.set_ordinal(ref_.ordinal);
    move.set_key(ref_.key);
    move.set_version(instance_.version());
    move.set_step(step);
    move.set_next(next);
    move.set_why(std::move(why));
    instance_.set_step(next);
    return move;
  }
  void Leave(const char* why) {
    const std::string step = instance_.step();
    if (std::string_view(why) != "completed" && std::string_view(why) != "exit")
      Withdraw(context_, instance_, why, kWithdrawSliceEventsMax);
    Add(v1::MOVE_LEFT, step, "", why);
  }

  // Null: it may stay.
  const char* WhyOut() {
    const auto* subscriber = context_.view<lists::v1::Subscriber>().Find(state::Key(context_.tenant(), ref_.ordinal));
    if (compliance::IsUnsubscribed(subscriber)) return "unsubscribed";
    if (compliance::IsSuppressed(context_.view<suppressions::v1::Suppression>(), context_.tenant(), contact_.contact_key(),
                                 compliance::kCampaignStream)) {
      return "suppressed";
    }
    if (definition_.goal_segment() != 0 && InSegment(context_, definition_.goal_segment(), ref_.ordinal)) return "converted";
    if (definition_.exit_on_leave() && !InSegment(context_, definition_.entry_segment(), ref_.ordinal)) return "segment_left";
    return nullptr;
  }

  // Where it is then.
  std::string EndWait() {
    const v1::JourneyStep* step = FindStep(definition_, instance_.step());
    if (step == nullptr) return "";
    const std::string next = step->has_wait() ? step->wait().otherwise() : step->next();
    Add(v1::MOVE_PASSED, step->id(), next, late_ ? "overdue" : step->has_wait() ? "timeout" : "delay");
    return next;
  }

  // No way goes round without a wait, so this ends.
  void GoOn(std::string id) {
    for (;;) {
      const v1::JourneyStep* step = FindStep(definition_, id);
      if (step == nullptr) return Leave("completed");
      if (step->has_exit()) return Leave("exit");
      if (step->has_delay() || step->has_wait()) {
        const WaitEnd end = EndOf(*step, NowS(context_), NowS(context_), &contact_, RulesOf(context_));
        return SetEnd(end, Add(v1::MOVE_WAITS, "", id, step->has_wait() ? "wait_for" : "delay"), out_);
      }
      if (step->has_split()) {
        auto [next, why] = Split(*step);
        Add(v1::MOVE_PASSED, id, next, std::move(why));
        id = next;
        continue;
      }
      if (step->has_update()) return Update(*step);  // it goes on at its next turn
      if (late_) {
        Add(v1::MOVE_SKIPPED, id, step->next(), "overdue");
        id = step->next();
        continue;
      }
      return SendOrPutOff(*step);  // as above
    }
  }

  // The contact is changed in this decision by the noun contacts, which may find it too large for that.
  void Update(const v1::JourneyStep& step) {
    if (IsAsWanted(contact_, step.update())) {
      Add(v1::MOVE_UPDATED, step.id(), step.next(), "unchanged");
      return;
    }
    if (!MayUpdate(instance_, NowS(context_))) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "update_limit");
      return;
    }
    v1::ContactUpdateWanted wanted;
    wanted.set_ordinal(ref_.ordinal);
    *wanted.mutable_set() = step.update().set();
    *wanted.mutable_add_tags() = step.update().add_tags();
    *wanted.mutable_remove_tags() = step.update().remove_tags();
    wanted.set_source(fmt::format("journey:{}", ref_.journey_id));
    bytes_ += 2 * wanted.ByteSizeLong();  // what changes stands in ContactChanged once more
    context_.Emit(wanted);
    const auto* contact = context_.view<contacts::v1::Contact>().Find(state::Key(context_.tenant(), ref_.ordinal));
    if (contact == nullptr || !IsAsWanted(*contact, step.update())) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "contact_full");
      return;
    }
    Add(v1::MOVE_UPDATED, step.id(), step.next(), "changed");
  }

  // Not in quiet hours, and not more than the tenant's caps: both on the contact's own clock.
  void SendOrPutOff(const v1::JourneyStep& step) {
    const campaigns::v1::SendingRules* found = RulesOf(context_);
    if (found == nullptr) return (void)Send(step);
    const campaigns::v1::SendingRules rules = *found;  // a copy: other entries are looked up meanwhile
    const schema::Zone* own = compliance::OwnZone(contact_);
    const schema::Zone& zone = own != nullptr ? *own : compliance::ZoneOf(&rules);
    if (const auto until = compliance::Quiet(&rules, {}).Until(zone, context_.now())) return PutOff(step, *until, zone, own == nullptr);
    if (rules.cap().per_day() == 0 && rules.cap().per_week() == 0) return (void)Send(step);
    const int32_t day = zone.At(context_.now()).day;
    const auto* mails = context_.view<sends::v1::ContactMails>().Find(state::Key(context_.tenant(), ref_.ordinal));
    if (compliance::CapReached(rules.cap(), mails, day)) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "frequency_cap");
      return;
    }
    const uint64_t message_id = Send(step);
    if (message_id == 0) return;
    sends::v1::MailCounted counted;
    counted.set_campaign_id(message_id);
    counted.set_ordinal(ref_.ordinal);
    counted.set_day(day);
    context_.Emit(counted);
  }
  void PutOff(const v1::JourneyStep& step, Instant until, const schema::Zone& zone, bool zone_missing) {
    const int64_t until_s = (until.us + 999'999) / 1'000'000;
    // Whoever was put off before has stood there since.
    const int64_t wanted_s = first_step_ == step.id() && !instance_.waits() ? instance_.since_s() : due_.due_s;
    if (until_s - wanted_s > definition_.max_late_s()) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "quiet_hours");
      return;
    }
    SetEnd({.due_s = until_s, .zone = zone.name(), .zone_missing = zone_missing}, Add(v1::MOVE_DEFERRED, "", step.id(), "quiet_hours"),
           out_);
  }

  // A message is wanted in this decision; the noun messages accepts it, and asks again before every attempt whether it may go.
  // Its id; 0 = it was skipped.
  uint64_t Send(const v1::JourneyStep& step) {
    messages::v1::MessageWanted wanted;
    messages::v1::PostMessage& message = *wanted.mutable_message();
    message.set_form_id(step.send().form_id());
    message.set_template_id(step.send().template_id());
    message.set_template_version(step.send().template_version());
    message.set_contact_key(contact_.contact_key());
    message.set_address(contact_.address());
    message.set_domain_key(contact_.domain_key());
    message.set_source("journey");
    if (contact_.contact_key().size() != schema::kContactKeyBytes || contact_.address().empty()) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "no_address");
      return 0;
    }
    context_.Emit(wanted);
    const auto* run = context_.view<messages::v1::MessageRun>().Find(state::Key(context_.tenant()));
    const uint64_t message_id = schema::PackMessageId({context_.partition(), run == nullptr ? 0 : run->last_number()});
    const auto* posted = context_.view<messages::v1::Message>().Find(state::Key(context_.tenant(), message_id));
    if (posted == nullptr || posted->status() == sends::v1::SKIPPED) {
      Add(v1::MOVE_SKIPPED, step.id(), step.next(), "suppressed");
      return 0;
    }
    Add(v1::MOVE_SENT, step.id(), step.next(), "template " + step.send().template_name()).set_message_id(message_id);
    return message_id;
  }

  std::pair<std::string, std::string> Split(const v1::JourneyStep& step) {
    const v1::SplitStep& split = step.split();
    if (split.random()) {
      uint32_t total = 0;
      for (const v1::SplitBranch& branch : split.branches()) total += branch.weight();
      uint32_t chance = ChanceOf(context_.partition(), ref_.ordinal, ref_.journey_id, step.id(), total);
      for (int i = 0; i < split.branches_size(); ++i) {
        if (chance < split.branches(i).weight()) return {split.branches(i).next(), fmt::format("random {}", i + 1)};
        chance -= split.branches(i).weight();
      }
    }
    Facts facts(context_, ref_.ordinal, contact_);
    for (int i = 0; i < split.branches_size(); ++i) {
      const v1::SplitBranch& branch = split.branches(i);
      const auto answer = audience::EvaluateSegment(branch.where(), {}, NowS(context_), facts);
      if (answer.truth == audience::Truth::kTrue) return {branch.next(), fmt::format("branch {}", i + 1)};
    }
    return {step.next(), "else"};
  }

  task::Context& context_;
  const Due& due_;
  const InstanceRef& ref_;
  v1::JourneysMoved& out_;
  v1::JourneyInstance instance_;
  size_t bytes_ = 0;
  contacts::v1::Contact contact_;
  v1::JourneyDefinition definition_;
  std::string first_step_;  // where it was when its turn began
  bool late_ = false;
};

// What the sweep does with one instance.
void Sweep(task::Context& context, const v1::JourneyRun& run, const v1::JourneyDefinition& newest, const InstanceRef& ref,
           v1::JourneysMoved& out) {
  const auto* instance = context.view<v1::JourneyInstance>().Find(InstanceKey(context.tenant(), ref));
  if (instance == nullptr || instance->over()) return;
  v1::JourneyMove move;
  move.set_journey_id(ref.journey_id);
  move.set_ordinal(ref.ordinal);
  move.set_key(ref.key);
  move.set_version(instance->version());
  move.set_step(instance->step());
  if (run.archived()) {
    move.set_kind(v1::MOVE_LEFT);
    move.set_why("archived");
    *out.add_moves() = move;
    Withdraw(context, v1::JourneyInstance(*instance), "archived", kWithdrawSliceEventsMax);
    return;
  }
  if (instance->version() < run.version()) {
    for (const v1::StepMove& mapped : run.moves()) {
      const v1::JourneyStep* to = FindStep(newest, mapped.to());
      if (mapped.from() != instance->step() || to == nullptr) continue;
      move.set_kind(v1::MOVE_REMAPPED);
      move.set_version(run.version());
      move.set_next(to->id());
      move.set_why(fmt::format("version {}", run.version()));
      if (to->has_delay() || to->has_wait()) {
        const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), ref.ordinal));
        SetEnd(EndOf(*to, instance->since_s(), NowS(context), contact, RulesOf(context)), move, out);
      }
      *out.add_moves() = move;
      return;
    }
  }
  if (run.paused() || !instance->held()) return;
  move.set_kind(v1::MOVE_RELEASED);
  move.set_next(instance->step());
  move.set_why("resumed");
  *out.add_moves() = move;
}

}  // namespace

task::SliceEnd StepJourneys(task::Context& context, std::string_view) {
  v1::JourneysMoved moved;
  moved.set_taken(true);
  size_t bytes = 0;
  for (const Due& due : TakeDue(context)) {
    // What is left stays due.
    if (bytes >= kWantedBytesMax || context.event_count() >= kWantedEventsMax) break;
    v1::JourneyDueDone& done = *moved.add_done();
    done.set_due_s(due.due_s);
    done.set_ordinal(due.ref.ordinal);
    done.set_journey_id(due.ref.journey_id);
    done.set_key(due.ref.key);
    Turn turn(context, due, moved);
    turn.Take();
    bytes += turn.bytes();
  }
  context.Emit(moved);
  return task::SliceEnd::kMore;
}

task::SliceEnd SweepJourney(task::Context& context, std::string_view subject) {
  const auto journey_id = Cursor(subject).Ordered<uint64_t>();
  const auto* found = context.view<v1::JourneyRun>().Find(state::Key(context.tenant(), journey_id));
  MAILY_CHECK(found != nullptr, "journey {} of tenant {} is swept and not there", journey_id, context.tenant().value());
  const v1::JourneyRun run = *found;
  v1::JourneyDefinition newest;
  const auto* held = context.view<v1::JourneyVersionHeld>().Find(state::Key(context.tenant(), journey_id, uint64_t{run.version()}));
  if (held != nullptr) newest = held->definition();

  v1::JourneysMoved moved;
  moved.set_swept_journey(journey_id);
  moved.set_swept(true);
  const std::string prefix = state::Key(context.tenant(), journey_id);
  std::vector<std::string> keys;
  context.view<v1::JourneyPresence>().Scan(prefix, run.swept_to(), [&](std::string_view key, const v1::JourneyPresence&) {
    if (key == run.swept_to()) return true;
    if (keys.size() == kSweptMax) {
      moved.set_swept(false);
      return false;
    }
    keys.emplace_back(key);
    return true;
  });
  for (const std::string& key : keys) {
    const auto ordinal = Cursor(std::string_view(key).substr(prefix.size())).Ordered<uint64_t>();
    Sweep(context, run, newest, {journey_id, ordinal, key.substr(prefix.size() + sizeof(uint64_t))}, moved);
    moved.set_swept_to(key);
  }
  context.Emit(moved);
  return task::SliceEnd::kMore;
}

void DueCome(task::Context& context, std::string_view) {
  v1::JourneysDue due;
  due.set_at_s(NowS(context));
  context.Emit(due);
}

}  // namespace maily::journeys
