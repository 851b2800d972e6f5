// See decide.h.
#include "processors/journeys/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "maily/journeys/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/journeys/definition.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::journeys {
namespace {

using journal::Outcome;
using Problems = std::vector<JourneyProblem>;

// The id of the entry of T for which `is` holds, in order.
template <class T, class Is>
std::optional<uint64_t> IdOf(const task::Context& context, Is is) {
  const std::string prefix = state::Key(context.tenant());
  std::optional<uint64_t> found;
  context.view<T>().Scan(prefix, {}, [&](std::string_view key, const T& entry) {
    if (is(entry)) found = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
    return !found;
  });
  return found;
}

const v1::Journey* Find(const task::Context& context, uint64_t journey_id) {
  return context.view<v1::Journey>().Find(state::Key(context.tenant(), journey_id));
}

// The journey if it can still be worked with; else null, and the command was refused.
const v1::Journey* Usable(task::Context& context, uint64_t journey_id) {
  const v1::Journey* journey = Find(context, journey_id);
  if (journey == nullptr) {
    context.Refuse(Outcome::kNotFound, "journey_not_found", fmt::format("there is no journey {}", journey_id));
    return nullptr;
  }
  if (journey->archived()) {
    context.Refuse(Outcome::kConflict, "journey_archived", fmt::format("journey {} is archived; define a new one", journey_id));
    return nullptr;
  }
  return journey;
}

JourneyCatalog CatalogOf(const task::Context& context, const tenants::v1::Tenant& tenant, const v1::DefineJourney& command) {
  JourneyCatalog catalog;
  for (const auto& attribute : tenant.attributes()) {
    catalog.expressions.attributes.push_back({attribute.name(), attribute.attribute_type(), attribute.personal()});
  }
  catalog.expressions.list = [&context](std::string_view name) {
    return IdOf<lists::v1::List>(context, [&](const lists::v1::List& list) { return list.name() == name; });
  };
  catalog.expressions.list_exists = [&context](uint64_t id) {
    return context.view<lists::v1::List>().Find(state::Key(context.tenant(), id)) != nullptr;
  };
  catalog.segment = [&context](std::string_view name) {
    return IdOf<segments::v1::Segment>(context,
                                       [&](const segments::v1::Segment& segment) { return !segment.archived() && segment.name() == name; });
  };
  catalog.expressions.segment = catalog.segment;
  catalog.expressions.segment_exists = [&context](uint64_t id) {
    const auto* segment = context.view<segments::v1::Segment>().Find(state::Key(context.tenant(), id));
    return segment != nullptr && !segment->archived();
  };
  catalog.expressions.campaign_exists = [](uint64_t) { return true; };  // no split asks for one
  catalog.form = [&context, &command](std::string_view name, JourneyProblem& problem) -> std::optional<v1::StepForm> {
    for (const v1::StepForm& form : command.forms()) {
      if (form.template_name() != name) continue;
      if (form.form_id() != 0) return form;
      problem.code = form.refusal();
      problem.sentence = form.why();
      return std::nullopt;
    }
    if (context.view<templates::v1::TemplateName>().Find(state::Key(context.tenant(), name)) == nullptr) return std::nullopt;
    problem.code = "template_not_ready";
    problem.sentence = fmt::format("template \"{}\" was not made ready for sending; ask again", name);
    return std::nullopt;
  };
  return catalog;
}

void RefuseWith(task::Context& context, const Problems& problems) {
  std::string message;
  std::vector<std::pair<std::string, std::string>> wrong;
  for (const JourneyProblem& problem : problems) {
    message += fmt::format("{}{}: {}", message.empty() ? "" : "; ", problem.where.empty() ? "/" : problem.where, problem.sentence);
    wrong.emplace_back(fmt::format("{}#{}", problem.where, problem.code), problem.sentence);
  }
  context.Refuse(Outcome::kInvalid, "journey_invalid", message);
  context.AnswerAll(wrong);
}

// From where to where people are moved.
Problems CheckMoves(const v1::DefineJourney& command, const v1::JourneyDefinition& definition, bool is_new) {
  Problems problems;
  if (is_new && !command.moves().empty()) problems.push_back({"/move", "invalid", "nobody is in a new journey"});
  for (int i = 0; i < command.moves_size(); ++i) {
    const v1::StepMove& move = command.moves(i);
    if (FindStep(definition, move.to()) == nullptr) {
      problems.push_back({"/move/" + move.from(), "unknown_step", fmt::format("this version has no step \"{}\"", move.to())});
    }
  }
  return problems;
}

bool IsName(std::string_view name) {
  const bool control = std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  return !name.empty() && name.size() <= kJourneyNameBytesMax && !control;
}

// False: refused.
bool MayBeNew(task::Context& context, const std::string& name) {
  if (!IsName(name)) {
    const std::string sentence = fmt::format("a journey's name has 1 to {} bytes and no control characters", kJourneyNameBytesMax);
    context.Refuse(Outcome::kInvalid, "invalid_name", sentence);
    context.AnswerAll({{"/name", sentence}});
    return false;
  }
  const auto taken = IdOf<v1::Journey>(context, [&](const v1::Journey& journey) { return !journey.archived() && journey.name() == name; });
  if (taken) {
    context.Refuse(Outcome::kConflict, "journey_exists", fmt::format("there is a journey \"{}\" already", name));
    context.Answer("journey_id", *taken);
    return false;
  }
  const auto* counter = context.view<v1::JourneyCounter>().Find(state::Key(context.tenant()));
  if (counter != nullptr && counter->journeys() >= kJourneysMax) {
    context.Refuse(Outcome::kInvalid, "too_many_journeys",
                   fmt::format("a tenant has at most {} journeys that are not archived", kJourneysMax));
    return false;
  }
  return true;
}

// False: refused.
bool MayChange(task::Context& context, const v1::DefineJourney& command, uint32_t newest) {
  if (command.based_on() != 0 && command.based_on() != newest) {
    context.Refuse(Outcome::kConflict, "journey_changed",
                   fmt::format("journey {} has version {} by now, not {}: look at it, then ask again", command.journey_id(), newest,
                               command.based_on()));
    context.Answer("version", uint64_t{newest});
    return false;
  }
  if (newest >= kVersionsMax) {
    context.Refuse(Outcome::kInvalid, "too_many_versions",
                   fmt::format("a journey has at most {} versions; define a new one", kVersionsMax));
    return false;
  }
  return true;
}

}  // namespace

// ---- In the home ----

void Decide(task::Context& context, const v1::DefineJourney& command) {
  static const tenants::v1::Tenant kNew;
  v1::JourneyDefined defined;
  uint32_t newest = 0;
  const bool is_new = command.journey_id() == 0;
  if (is_new) {
    if (!MayBeNew(context, command.name())) return;
    const auto* counter = context.view<v1::JourneyCounter>().Find(state::Key(context.tenant()));
    defined.set_journey_id(counter == nullptr ? 1 : counter->last_journey_id() + 1);
    defined.set_name(command.name());
  } else {
    const v1::Journey* journey = Usable(context, command.journey_id());
    if (journey == nullptr) return;
    newest = journey->version().number();
    defined.set_journey_id(command.journey_id());
    defined.set_name(journey->name());
    if (!MayChange(context, command, newest)) return;
  }
  const auto* found = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  // A copy: the catalog looks up other entries while it is in use.
  const tenants::v1::Tenant tenant = found == nullptr ? kNew : *found;
  ParsedJourney parsed = ParseJourney(command.json(), CatalogOf(context, tenant, command));
  if (parsed.problems.empty()) parsed.problems = CheckMoves(command, parsed.definition, is_new);
  v1::JourneyVersion& version = *defined.mutable_version();
  version.set_number(newest + 1);
  version.set_json(command.json());
  *version.mutable_definition() = std::move(parsed.definition);
  *version.mutable_moves() = command.moves();
  version.set_defined_at_us(context.now().us);
  if (parsed.problems.empty() && version.ByteSizeLong() > kVersionBytesMax) {
    parsed.problems.push_back({"", "too_long", fmt::format("it has more than {} bytes as it is stored", kVersionBytesMax)});
  }
  if (!parsed.problems.empty()) return RefuseWith(context, parsed.problems);
  context.Answer("journey_id", defined.journey_id());
  context.Answer("version", uint64_t{version.number()});
  context.Emit(defined);
}

void Decide(task::Context& context, const v1::ArchiveJourney& command) {
  const v1::Journey* journey = Find(context, command.journey_id());
  if (journey != nullptr && journey->archived()) return context.Unchanged();
  if (Usable(context, command.journey_id()) == nullptr) return;
  v1::JourneyArchived archived;
  archived.set_journey_id(command.journey_id());
  context.Emit(archived);
}

void Decide(task::Context& context, const v1::PauseJourney& command) {
  const v1::Journey* journey = Usable(context, command.journey_id());
  if (journey == nullptr) return;
  if (journey->paused()) return context.Unchanged();
  v1::JourneyPaused paused;
  paused.set_journey_id(command.journey_id());
  context.Emit(paused);
}

void Decide(task::Context& context, const v1::ResumeJourney& command) {
  const v1::Journey* journey = Usable(context, command.journey_id());
  if (journey == nullptr) return;
  if (!journey->paused()) return context.Unchanged();
  v1::JourneyResumed resumed;
  resumed.set_journey_id(command.journey_id());
  context.Emit(resumed);
}

// ---- In each partition ----

namespace {

// Null: nothing of it has arrived, or it is archived.
const v1::JourneyRun* RunOf(const task::Context& context, uint64_t journey_id) {
  const auto* run = context.view<v1::JourneyRun>().Find(state::Key(context.tenant(), journey_id));
  return run == nullptr || run->archived() ? nullptr : run;
}

void Hold(task::Context& context, uint64_t journey_id, bool held) {
  const v1::JourneyRun* run = RunOf(context, journey_id);
  if (run == nullptr || run->paused() == held) return context.Unchanged();
  v1::JourneyHeld event;
  event.set_journey_id(journey_id);
  event.set_held(held);
  context.Emit(event);
}

}  // namespace

void Decide(task::Context& context, const v1::JourneyDefined& defined) {
  const auto* run = context.view<v1::JourneyRun>().Find(state::Key(context.tenant(), defined.journey_id()));
  if (run != nullptr && (run->archived() || run->version() >= defined.version().number())) return context.Unchanged();
  v1::JourneyOpened opened;
  opened.set_journey_id(defined.journey_id());
  *opened.mutable_version() = defined.version();
  context.Emit(opened);
}

void Decide(task::Context& context, const v1::JourneyArchived& archived) {
  if (RunOf(context, archived.journey_id()) == nullptr) return context.Unchanged();
  v1::JourneyClosed closed;
  closed.set_journey_id(archived.journey_id());
  context.Emit(closed);
}

void Decide(task::Context& context, const v1::JourneyPaused& paused) { Hold(context, paused.journey_id(), true); }
void Decide(task::Context& context, const v1::JourneyResumed& resumed) { Hold(context, resumed.journey_id(), false); }

}  // namespace maily::journeys
