// See replay.h.
#include "processors/journeys/replay.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "processors/audience/segment_evaluate.h"
#include "processors/compliance/timing.h"
#include "processors/journeys/chance.h"
#include "processors/journeys/definition.h"
#include "processors/journeys/waits.h"

namespace maily::journeys {
namespace {

using nlohmann::json;

tenants::v1::AttributeType TypeOf(std::string_view name) {
  return name == "integer"   ? tenants::v1::INTEGER
         : name == "number"  ? tenants::v1::NUMBER
         : name == "boolean" ? tenants::v1::BOOLEAN
                             : tenants::v1::TEXT;
}

// As it stands in a read model; a personal one may be spelled as a text.
audience::SegmentValue ValueOf(const std::string& spelled, tenants::v1::AttributeType type) {
  const json value = json::parse(spelled, nullptr, false);
  if (value.is_string() && type != tenants::v1::TEXT) return audience::TypedValue(value.get<std::string>(), type);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() && type == tenants::v1::BOOLEAN) return value.get<bool>();
  if (value.is_number() && type == tenants::v1::NUMBER) return value.get<double>();
  if (value.is_number_integer() && type == tenants::v1::INTEGER) return value.get<int64_t>();
  return {};
}

class PersonFacts final : public audience::SegmentFacts {
 public:
  explicit PersonFacts(const ReplayPerson& person) : person_(person) {}
  audience::SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType type, bool) override {
    const auto found = person_.attributes.find(name);
    return found == person_.attributes.end() ? audience::SegmentValue() : ValueOf(found->second, type);
  }
  bool HasAttribute(const std::string& name) override { return person_.attributes.contains(name); }
  bool HasTag(const std::string& tag) override { return person_.tags.contains(tag); }
  bool OnList(uint64_t list_id) override { return person_.lists.contains(list_id); }
  bool InSegment(uint64_t segment_id) override { return person_.segments.contains(segment_id); }
  bool Subscribed() override { return person_.subscribed; }
  // The checker lets no split ask for these.
  bool Suppressed() override { return false; }
  bool Delivered(uint64_t) override { return false; }
  const segments::v1::Signal* Signal(segments::v1::SignalKind, uint64_t, const std::string&) override { return nullptr; }

 private:
  const ReplayPerson& person_;
};

template <class Names>
auto IdIn(const Names& names) {
  return [&names](std::string_view name) {
    const auto found = names.find(name);
    return found == names.end() ? std::optional<uint64_t>() : std::optional(found->second);
  };
}
template <class Names>
auto HasIn(const Names& names) {
  return [&names](uint64_t id) {
    for (const auto& [name, one] : names) {
      if (one == id) return true;
    }
    return false;
  };
}

JourneyCatalog CatalogOf(const ReplayNames& names) {
  JourneyCatalog catalog;
  for (const auto& attribute : names.attributes)
    catalog.expressions.attributes.push_back({attribute.name, TypeOf(attribute.type), attribute.personal});
  catalog.segment = IdIn(names.segments);
  catalog.expressions.segment = catalog.segment;
  catalog.expressions.segment_exists = HasIn(names.segments);
  catalog.expressions.list = IdIn(names.lists);
  catalog.expressions.list_exists = HasIn(names.lists);
  catalog.expressions.campaign_exists = [](uint64_t) { return true; };  // no split asks for one
  catalog.form = [&names](std::string_view name, JourneyProblem&) -> std::optional<v1::StepForm> {
    return names.templates.contains(name) ? std::optional(v1::StepForm()) : std::nullopt;
  };
  return catalog;
}

// One contact goes through the definition.
class Walk {
 public:
  Walk(const v1::JourneyDefinition& definition, const campaigns::v1::SendingRules& rules, const ReplayPerson& person, int64_t now_s)
      : definition_(definition), rules_(rules), person_(person), now_s_(now_s), at_s_(person.entered_at_s) {
    const auto zone = person.attributes.find(compliance::kZoneAttribute);
    const json name = zone == person.attributes.end() ? json() : json::parse(zone->second, nullptr, false);
    if (!name.is_string()) return;
    contacts::v1::Attribute& attribute = *contact_.add_attributes();
    attribute.set_name(std::string(compliance::kZoneAttribute));
    attribute.set_text(name.get<std::string>());
  }

  ReplayPlace Go() {
    std::string id = definition_.steps(0).id();
    for (int turn = 0; turn < kReplayTurnsMax; ++turn) {
      const v1::JourneyStep* step = FindStep(definition_, id);
      if (step == nullptr) return Over("completed");
      place_.step = id;
      if (step->has_exit()) return Over("exit");
      if (step->has_delay() || step->has_wait()) {
        const auto next = Wait(*step);
        if (!next) return End();
        id = *next;
        continue;
      }
      if (step->has_split()) {
        id = Split(*step);
        continue;
      }
      if (step->has_send()) place_.sent.push_back(id);
      if (step->has_update()) ++place_.updates;
      id = step->next();
    }
    place_.why = "too_long";
    return place_;
  }

 private:
  ReplayPlace Over(std::string why) {
    place_.over = true;
    place_.why = std::move(why);
    place_.due_s = 0;
    place_.zone.clear();
    return place_;
  }
  // Of one that waits: what it is now may end it.
  ReplayPlace End() {
    if (place_.over) return place_;
    if (definition_.goal_segment() != 0 && person_.segments.contains(definition_.goal_segment())) return Over("converted");
    if (definition_.exit_on_leave() && !person_.segments.contains(definition_.entry_segment())) return Over("segment_left");
    return place_;
  }

  // Where it goes on; none: it waits still, or it is over.
  std::optional<std::string> Wait(const v1::JourneyStep& step) {
    const WaitEnd end = EndOf(step, at_s_, at_s_, &contact_, &rules_);
    for (; next_ < person_.happened.size(); ++next_) {
      const Happening& one = person_.happened[next_];
      if (one.at_s >= end.due_s) break;
      if (one.at_s < at_s_) continue;
      if (one.kind == Happening::Kind::kEvent && !definition_.goal_event().empty() && one.name == definition_.goal_event()) {
        Over("converted");
        return std::nullopt;
      }
      if (!step.has_wait() || !Ends(step.wait(), one)) continue;
      at_s_ = one.at_s;
      ++next_;
      return step.next();
    }
    if (end.due_s > now_s_) {
      place_.why = step.has_wait() ? "wait_for" : "delay";
      place_.due_s = end.due_s;
      place_.zone = end.zone;
      return std::nullopt;
    }
    at_s_ = end.due_s;
    return step.has_wait() ? step.wait().otherwise() : step.next();
  }

  bool Ends(const v1::WaitStep& wait, const Happening& one) const {
    if (!wait.event().empty()) return one.kind == Happening::Kind::kEvent && one.name == wait.event();
    const bool opened = !wait.opened().empty();
    const v1::JourneyStep* send = FindStep(definition_, opened ? wait.opened() : wait.clicked());
    if (send == nullptr || one.kind == Happening::Kind::kEvent || one.name != send->send().template_name()) return false;
    return opened || one.kind == Happening::Kind::kClicked;  // whoever clicks has opened it
  }

  std::string Split(const v1::JourneyStep& step) {
    const v1::SplitStep& split = step.split();
    if (split.random()) {
      uint32_t total = 0;
      for (const v1::SplitBranch& branch : split.branches()) total += branch.weight();
      uint32_t chance = ChanceOf(PartitionId(person_.partition), person_.ordinal, person_.journey_id, step.id(), total);
      for (const v1::SplitBranch& branch : split.branches()) {
        if (chance < branch.weight()) return branch.next();
        chance -= branch.weight();
      }
    }
    PersonFacts facts(person_);
    for (const v1::SplitBranch& branch : split.branches()) {
      if (audience::EvaluateSegment(branch.where(), {}, now_s_, facts).truth == audience::Truth::kTrue) return branch.next();
    }
    return step.next();
  }

  const v1::JourneyDefinition& definition_;
  const campaigns::v1::SendingRules& rules_;
  const ReplayPerson& person_;
  const int64_t now_s_;
  int64_t at_s_;
  size_t next_ = 0;  // of what happened
  contacts::v1::Contact contact_;
  ReplayPlace place_;
};

}  // namespace

struct Replay::Read {
  v1::JourneyDefinition definition;
  std::vector<ReplayProblem> problems;
  std::set<uint64_t> segments;
  campaigns::v1::SendingRules rules;
};

Replay::Replay(const ReplayNames& names, std::string_view text) {
  auto read = std::make_unique<Read>();
  ParsedJourney parsed = ParseJourney(text, CatalogOf(names));
  for (JourneyProblem& problem : parsed.problems)
    read->problems.push_back({std::move(problem.where), std::move(problem.code), std::move(problem.sentence)});
  read->definition = std::move(parsed.definition);
  read->rules.set_time_zone(names.time_zone);
  for (const uint64_t id : {read->definition.entry_segment(), read->definition.goal_segment()}) {
    if (id != 0) read->segments.insert(id);
  }
  for (const v1::JourneyStep& step : read->definition.steps()) {
    for (const v1::SplitBranch& branch : step.split().branches()) {
      for (const auto& node : branch.where().nodes()) {
        if (node.has_membership() && node.membership().segment()) read->segments.insert(node.membership().id());
      }
    }
  }
  read_ = std::move(read);
}

Replay::~Replay() = default;

const std::vector<ReplayProblem>& Replay::problems() const { return read_->problems; }
const std::set<uint64_t>& Replay::segments() const { return read_->segments; }
bool Replay::HasStep(std::string_view id) const { return FindStep(read_->definition, id) != nullptr; }

ReplayPlace Replay::Run(const ReplayPerson& person, int64_t now_s) const {
  return Walk(read_->definition, read_->rules, person, now_s).Go();
}

}  // namespace maily::journeys
