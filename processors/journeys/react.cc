// See react.h.
#include "processors/journeys/react.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "maily/contacts/v1/state.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/journeys/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "processors/journeys/definition.h"
#include "processors/journeys/keys.h"
#include "processors/journeys/withdraw.h"
#include "schemas/json.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::journeys {
namespace {

constexpr std::string_view kEventIdKey = "event_id";

// The keys that an event gives to journeys: 16 bytes that tell two values apart and say neither.
class EventKeys {
 public:
  EventKeys(const task::Context& context, const engagements::v1::ContactEventRecorded& event) : context_(context), event_(event) {}

  // None: the event has no such property, or nobody can read it any more.
  std::optional<std::string> Of(uint64_t journey_id, const std::string& property) {
    if (property == kEventIdKey) return event_.event_id().empty() ? std::nullopt : std::optional(Hashed(event_.event_id()));
    if (context_.keyring() == nullptr || event_.properties().empty()) return std::nullopt;
    if (!opened_) {
      opened_ = nlohmann::json::object();
      const auto text = schema::Open(*context_.keyring(), context_.tenant(), "properties", event_.properties());
      if (text) *opened_ = nlohmann::json::parse(*text, nullptr, false);
    }
    if (!opened_->is_object()) return std::nullopt;
    const auto found = opened_->find(property);
    if (found == opened_->end() || found->is_null() || found->is_structured()) return std::nullopt;
    const auto keys = context_.keyring()->FindTenant(context_.tenant());
    if (!keys) return std::nullopt;
    const std::string value = found->is_string() ? found->get<std::string>() : found->dump();
    return schema::RequestHash(**keys, fmt::format("journey:{}:{}", journey_id, value));
  }

 private:
  static std::string Hashed(std::string_view text) {
    const Hash128 hash = Xxh3_128(text);
    std::string key;
    PutOrdered<uint64_t>(key, hash.high);
    PutOrdered<uint64_t>(key, hash.low);
    return key;
  }

  const task::Context& context_;
  const engagements::v1::ContactEventRecorded& event_;
  std::optional<nlohmann::json> opened_;
};

// Gathers what one decision does to journeys. An instance is moved by it once at most.
class Moves {
 public:
  explicit Moves(task::Context& context) : context_(context) {
    const auto* index = context.view<v1::JourneyIndex>().Find(state::Key(context.tenant()));
    if (index != nullptr) index_ = *index;
  }
  // False: the tenant has no journeys.
  bool any() const { return index_.has_value(); }
  const v1::JourneyIndex& index() const { return *index_; }

  struct Live {
    InstanceRef ref;
    v1::JourneyInstance instance;
    const v1::JourneyDefinition& definition;
    const v1::JourneyStep* step;  // null: none any more
  };
  // Every journey that the contact is in.
  void Each(uint64_t ordinal, const std::function<void(const Live&)>& visit) {
    const std::string prefix = state::Key(context_.tenant(), ordinal);
    std::vector<std::pair<InstanceRef, v1::JourneyInstance>> found;
    context_.view<v1::JourneyInstance>().Scan(prefix, {}, [&](std::string_view key, const v1::JourneyInstance& instance) {
      if (instance.over()) return true;
      const auto journey_id = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
      found.emplace_back(InstanceRef{journey_id, ordinal, std::string(key.substr(prefix.size() + sizeof(uint64_t)))}, instance);
      return true;
    });
    for (const auto& [ref, instance] : found) {
      if (moved_.contains(ref)) continue;
      const v1::JourneyDefinition* definition = DefinitionOf(ref.journey_id, instance.version());
      if (definition != nullptr) visit({ref, instance, *definition, FindStep(*definition, instance.step())});
    }
  }

  void Enter(const v1::JourneyTrigger& trigger, uint64_t ordinal, std::string key, std::string why, const std::string& event_id = {}) {
    const InstanceRef ref{trigger.journey_id(), ordinal, std::move(key)};
    if (trigger.paused() || moved_.contains(ref)) return;
    const auto* before = context_.view<v1::JourneyInstance>().Find(InstanceKey(context_.tenant(), ref));
    if (before != nullptr && !(before->over() && trigger.reentry() == v1::REENTRY_AFTER_END)) return;
    const v1::JourneyDefinition* definition = DefinitionOf(trigger.journey_id(), trigger.version());
    if (definition == nullptr) return;
    v1::JourneyMove& move = Add(v1::MOVE_ENTERED, ref, trigger.version());
    move.set_next(definition->steps(0).id());
    move.set_why(std::move(why));
    move.set_event_id(event_id);
  }
  void Leave(const Live& live, std::string why, const std::string& event_id = {}) {
    v1::JourneyMove& move = Add(v1::MOVE_LEFT, live.ref, live.instance.version());
    move.set_step(live.instance.step());
    move.set_why(std::move(why));
    move.set_event_id(event_id);
    left_.emplace_back(live.instance, move.why());
  }
  void Pass(const Live& live, std::string why, const std::string& event_id = {}) {
    v1::JourneyMove& move = Add(v1::MOVE_PASSED, live.ref, live.instance.version());
    move.set_step(live.instance.step());
    move.set_next(live.step->next());
    move.set_why(std::move(why));
    move.set_event_id(event_id);
  }
  void Emit() {
    if (moves_.moves_size() > 0) context_.Emit(moves_);
    for (const auto& [instance, why] : left_) Withdraw(context_, instance, why, kWithdrawEventsMax);
  }

 private:
  v1::JourneyMove& Add(v1::MoveKind kind, const InstanceRef& ref, uint32_t version) {
    moved_.insert(ref);
    v1::JourneyMove& move = *moves_.add_moves();
    move.set_kind(kind);
    move.set_journey_id(ref.journey_id);
    move.set_ordinal(ref.ordinal);
    move.set_key(ref.key);
    move.set_version(version);
    return move;
  }
  // A copy, since it is kept over other look-ups. Null: there is none.
  const v1::JourneyDefinition* DefinitionOf(uint64_t journey_id, uint32_t version) {
    const auto known = definitions_.find({journey_id, version});
    if (known != definitions_.end()) return &known->second;
    const auto* held = context_.view<v1::JourneyVersionHeld>().Find(state::Key(context_.tenant(), journey_id, uint64_t{version}));
    if (held == nullptr) return nullptr;
    return &definitions_.emplace(std::pair{journey_id, version}, held->definition()).first->second;
  }

  task::Context& context_;
  std::optional<v1::JourneyIndex> index_;
  std::map<std::pair<uint64_t, uint32_t>, v1::JourneyDefinition> definitions_;
  std::set<InstanceRef> moved_;
  std::vector<std::pair<v1::JourneyInstance, std::string>> left_;
  v1::JourneysMoved moves_;
};

// By what it says of itself, or where it asks from; as segments see it.
bool IsMachine(engagements::v1::AgentClass agent) {
  return agent == engagements::v1::AGENT_MACHINE || agent == engagements::v1::AGENT_SCANNER;
}

// The mail was opened or, if `clicked`, clicked, which no one does who has not opened it.
void Answered(task::Context& context, uint64_t ordinal, uint64_t message_id, bool clicked) {
  if (!schema::IsMessage(message_id)) return;  // of a campaign
  Moves moves(context);
  if (!moves.any()) return;
  moves.Each(ordinal, [&](const Moves::Live& live) {
    if (!live.instance.waits() || live.step == nullptr || !live.step->has_wait()) return;
    const v1::WaitStep& wait = live.step->wait();
    const std::string& of = !wait.opened().empty() ? wait.opened() : clicked ? wait.clicked() : wait.event();
    if (of.empty() || !wait.event().empty()) return;
    for (const v1::SentStep& sent : live.instance.sent()) {
      if (sent.step() == of && sent.message_id() == message_id) return moves.Pass(live, clicked ? "clicked " + of : "opened " + of);
    }
  });
  moves.Emit();
}

void Membership(Moves& moves, uint64_t ordinal, uint64_t segment_id, bool entered) {
  const auto& asked = moves.index().segments();
  if (!std::binary_search(asked.begin(), asked.end(), segment_id)) return;
  moves.Each(ordinal, [&](const Moves::Live& live) {
    if (entered && live.definition.goal_segment() == segment_id) return moves.Leave(live, "converted");
    if (!entered && live.definition.exit_on_leave() && live.definition.entry_segment() == segment_id) moves.Leave(live, "segment_left");
  });
  if (!entered) return;
  for (const v1::JourneyTrigger& trigger : moves.index().triggers()) {
    if (trigger.entry_segment() == segment_id) moves.Enter(trigger, ordinal, {}, fmt::format("segment {}", segment_id));
  }
}

}  // namespace

void React(task::Context& context, const engagements::v1::ContactEventRecorded& event) {
  Moves moves(context);
  if (!moves.any()) return;
  EventKeys keys(context, event);
  moves.Each(event.ordinal(), [&](const Moves::Live& live) {
    const bool goal = live.definition.goal_event() == event.name();
    const bool waited = live.instance.waits() && live.step != nullptr && live.step->has_wait() && live.step->wait().event() == event.name();
    if (!goal && !waited) return;
    // What says another key is about another instance; what says none is about all.
    if (!live.ref.key.empty() && live.definition.key() != kEventIdKey) {
      const auto key = keys.Of(live.ref.journey_id, live.definition.key());
      if (key && *key != live.ref.key) return;
    }
    goal ? moves.Leave(live, "converted", event.event_id()) : moves.Pass(live, "event " + event.name(), event.event_id());
  });
  for (const v1::JourneyTrigger& trigger : moves.index().triggers()) {
    if (trigger.entry_event() != event.name() || trigger.entry_event().empty()) continue;
    std::string key;
    if (!trigger.key().empty()) {
      const auto given = keys.Of(trigger.journey_id(), trigger.key());
      if (!given) continue;
      key = *given;
    }
    moves.Enter(trigger, event.ordinal(), std::move(key), "event " + event.name(), event.event_id());
  }
  moves.Emit();
}

void React(task::Context& context, const engagements::v1::Opened& event) {
  if (!IsMachine(event.agent())) Answered(context, event.ordinal(), event.campaign_id(), false);
}

void React(task::Context& context, const engagements::v1::Clicked& event) {
  if (IsMachine(event.agent()) || event.agent() == engagements::v1::AGENT_IMAGE_PROXY) return;
  Answered(context, event.ordinal(), event.campaign_id(), true);
}

void LeaveAll(task::Context& context, uint64_t ordinal, const std::string& why) {
  Moves moves(context);
  if (!moves.any()) return;
  moves.Each(ordinal, [&](const Moves::Live& live) { moves.Leave(live, why); });
  moves.Emit();
}

void React(task::Context& context, const contacts::v1::ContactErased& event) { LeaveAll(context, event.ordinal(), "erased"); }

void React(task::Context& context, const contacts::v1::ContactMerged& event) { LeaveAll(context, event.ordinal(), "merged"); }

void React(task::Context& context, const engagements::v1::Unsubscribed& event) { LeaveAll(context, event.ordinal(), "unsubscribed"); }

void React(task::Context& context, const suppressions::v1::SuppressionAdded& event) {
  if (!compliance::Covers(event.stream(), compliance::kCampaignStream)) return;
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), event.contact_key()));
  if (ref == nullptr) return;
  const uint64_t ordinal = ref->ordinal();
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), ordinal));
  // Another address of the contact, by one that was merged into it, gets none of these mails.
  if (contact != nullptr && contact->contact_key() == event.contact_key()) LeaveAll(context, ordinal, "suppressed");
}

void React(task::Context& context, const segments::v1::MembershipsDecided& event) {
  Moves moves(context);
  if (!moves.any()) return;
  for (const auto& change : event.changes()) {
    for (const uint64_t segment_id : change.entered()) Membership(moves, change.ordinal(), segment_id, true);
    for (const uint64_t segment_id : change.left()) Membership(moves, change.ordinal(), segment_id, false);
  }
  moves.Emit();
}

void React(task::Context& context, const segments::v1::SegmentPlanned& event) {
  if (event.changed().empty()) return;
  Moves moves(context);
  if (!moves.any()) return;
  const auto bit = [](const std::string& bits, uint64_t at) {
    return at / 8 < bits.size() && (static_cast<uint8_t>(bits[at / 8]) >> (at % 8) & 1) != 0;
  };
  for (uint64_t i = 0; i < event.count(); ++i) {
    if (bit(event.changed(), i)) Membership(moves, event.first_ordinal() + i, event.segment_id(), bit(event.members(), i));
  }
  moves.Emit();
}

}  // namespace maily::journeys
