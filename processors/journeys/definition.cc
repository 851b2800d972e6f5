// See definition.h.
#include "processors/journeys/definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "processors/journeys/update.h"
#include "processors/journeys/waits.h"
#include "schemas/json.h"
#include "schemas/wall_time.h"

namespace maily::journeys {
namespace {

using nlohmann::json;

constexpr const char* kWeekdays[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

std::string At(std::string_view where, std::string_view member) { return fmt::format("{}/{}", where, member); }
std::string At(std::string_view where, size_t index) { return fmt::format("{}/{}", where, index); }

bool IsStepId(std::string_view id) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !id.empty() && id.size() <= kStepIdBytesMax && id != kEnd && std::ranges::all_of(id, fits);
}

// "HH:MM" as minutes.
std::optional<int32_t> ParseTimeOfDay(std::string_view text) {
  const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 100; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hour = digit(0) * 10 + digit(1);
  const int minute = digit(3) * 10 + digit(4);
  return hour < 24 && minute < 60 ? std::optional(hour * 60 + minute) : std::nullopt;
}

class Reader {
 public:
  Reader(const JourneyCatalog& catalog, ParsedJourney& parsed) : catalog_(catalog), parsed_(parsed), out_(parsed.definition) {}

  void Read(const json& given) {
    if (!given.is_object()) return Problem("", "invalid", "a journey is a JSON object");
    Only(given, "", {"entry", "reentry", "exit_on_leave", "goal", "max_late", "steps"});
    ReadEntry(given);
    ReadGoal(given);
    out_.set_max_late_s(Duration(given, "max_late", "").value_or(kMaxLateDefaultS));
    ReadSteps(given);
    if (!parsed_.problems.empty()) return;
    CheckWays();
  }

 private:
  void Problem(std::string where, std::string code, std::string sentence) {
    if (parsed_.problems.size() < kProblemsMax) parsed_.problems.push_back({std::move(where), std::move(code), std::move(sentence)});
  }
  void Only(const json& object, std::string_view where, std::initializer_list<std::string_view> members) {
    for (const auto& [name, unused] : object.items()) {
      if (std::ranges::find(members, name) != members.end()) continue;
      Problem(At(where, name.substr(0, 64)), "unknown_field",
              fmt::format("there is no such member here; there are {}", fmt::join(members, ", ")));
    }
  }
  const json* Find(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<std::string> Text(const json& object, const char* name, std::string_view where, size_t bytes_max, bool required = false) {
    const json* value = Find(object, name);
    if (value == nullptr) {
      if (required) Problem(At(where, name), "missing", "it has to be given");
      return std::nullopt;
    }
    if (!value->is_string() || value->get_ref<const std::string&>().empty() || value->get_ref<const std::string&>().size() > bytes_max) {
      Problem(At(where, name), "invalid", fmt::format("a text of 1 to {} bytes", bytes_max));
      return std::nullopt;
    }
    return value->get<std::string>();
  }
  std::optional<int64_t> Duration(const json& object, const char* name, std::string_view where, bool required = false) {
    const auto text = Text(object, name, where, 20, required);
    if (!text) return std::nullopt;
    const auto seconds = ParseDuration(*text);
    if (!seconds) Problem(At(where, name), "invalid", "a duration like 90s, 15m, 36h, 3d or 2w, up to 366 days");
    return seconds;
  }
  uint64_t Segment(const std::string& name, std::string where) {
    const auto id = catalog_.segment ? catalog_.segment(name) : std::nullopt;
    if (!id) Problem(std::move(where), "unknown_segment", fmt::format("there is no segment \"{}\"", name));
    return id.value_or(0);
  }
  // An object that names an event or a segment: which of the two is set says the caller's setters.
  void EventOrSegment(const json& object, const char* member, std::string* event, uint64_t* segment) {
    const std::string where = At("", member);
    const auto name = Text(object, "event", where, kEventNameBytesMax);
    const auto of = Text(object, "segment", where, 200);
    if (Find(object, "event") != nullptr && Find(object, "segment") != nullptr) {
      Problem(where, "invalid", "give an event or a segment, not both");
    } else if (Find(object, "event") == nullptr && Find(object, "segment") == nullptr) {
      Problem(where, "missing", "give an event, or a segment");
    }
    if (name) *event = *name;
    if (of) *segment = Segment(*of, At(where, "segment"));
  }

  void ReadEntry(const json& given) {
    const json* entry = Find(given, "entry");
    if (entry == nullptr || !entry->is_object()) {
      Problem("/entry", "missing", "what lets a contact enter: {\"event\": NAME} or {\"segment\": NAME}");
    } else {
      Only(*entry, "/entry", {"event", "segment", "key"});
      uint64_t segment = 0;
      EventOrSegment(*entry, "entry", out_.mutable_entry_event(), &segment);
      out_.set_entry_segment(segment);
      if (const auto key = Text(*entry, "key", "/entry", kPropertyBytesMax)) {
        out_.set_key(*key);
        if (Find(*entry, "segment") != nullptr) Problem("/entry/key", "invalid", "only events have properties that can be a key");
      }
    }
    const auto reentry = Text(given, "reentry", "", 20);
    out_.set_reentry(out_.key().empty() ? v1::REENTRY_NEVER : v1::REENTRY_PER_KEY);
    if (reentry == "after_end") {
      out_.set_reentry(v1::REENTRY_AFTER_END);
    } else if (reentry == "never" || reentry == "per_key") {
      if ((reentry == "per_key") == out_.key().empty()) {
        Problem("/reentry", "invalid", out_.key().empty() ? "per_key wants a key in /entry" : "with a key it is per_key or after_end");
      }
    } else if (reentry) {
      Problem("/reentry", "invalid", "never, after_end or per_key");
    }
    if (const json* leave = Find(given, "exit_on_leave")) {
      if (!leave->is_boolean()) {
        Problem("/exit_on_leave", "invalid", "true or false");
      } else if (leave->get<bool>() && out_.entry_segment() == 0) {
        Problem("/exit_on_leave", "invalid", "only who entered by a segment can leave it");
      } else {
        out_.set_exit_on_leave(leave->get<bool>());
      }
    }
  }

  void ReadGoal(const json& given) {
    const json* goal = Find(given, "goal");
    if (goal == nullptr) return;
    if (!goal->is_object()) return Problem("/goal", "invalid", "{\"event\": NAME} or {\"segment\": NAME}");
    Only(*goal, "/goal", {"event", "segment"});
    uint64_t segment = 0;
    EventOrSegment(*goal, "goal", out_.mutable_goal_event(), &segment);
    out_.set_goal_segment(segment);
  }

  void ReadSteps(const json& given) {
    const json* steps = Find(given, "steps");
    if (steps == nullptr || !steps->is_array() || steps->empty()) return Problem("/steps", "missing", "a list of one step or more");
    if (steps->size() > kStepsMax) return Problem("/steps", "invalid", fmt::format("at most {} steps", kStepsMax));
    for (size_t i = 0; i < steps->size(); ++i) {
      const json& step = (*steps)[i];
      const std::string where = At("/steps", i);
      ids_.emplace_back();
      if (!step.is_object()) {
        Problem(where, "invalid", "a step is an object with an id and a type");
        continue;
      }
      if (const auto id = Text(step, "id", where, kStepIdBytesMax, true)) {
        ids_.back() = *id;
        if (!IsStepId(*id)) Problem(At(where, "id"), "invalid", "a-z, 0-9, _ and -, and not \"end\"");
        if (std::ranges::count(ids_, *id) > 1) Problem(At(where, "id"), "duplicate", fmt::format("there is a step \"{}\" already", *id));
      }
    }
    for (size_t i = 0; i < steps->size(); ++i) {
      if ((*steps)[i].is_object()) ReadStep((*steps)[i], i);
    }
  }

  // The id that a member names, "" = the end.
  std::string Way(const json& object, const char* name, const std::string& where, const std::string& otherwise, bool required = false) {
    const auto to = Text(object, name, where, kStepIdBytesMax, required);
    if (!to) return otherwise;
    if (*to == kEnd) return "";
    if (std::ranges::find(ids_, *to) == ids_.end()) {
      Problem(At(where, name), "unknown_step", fmt::format("there is no step \"{}\"", *to));
    }
    return *to;
  }

  void ReadStep(const json& step, size_t index) {
    const std::string where = At("/steps", index);
    const std::string behind = index + 1 < ids_.size() ? ids_[index + 1] : "";
    v1::JourneyStep& out = *out_.add_steps();
    out.set_id(ids_[index]);
    const auto type = Text(step, "type", where, 40, true);
    if (!type) return;
    if (*type == "send") {
      Only(step, where, {"id", "type", "template", "next"});
      out.set_next(Way(step, "next", where, behind));
      v1::SendStep& send = *out.mutable_send();
      if (const auto name = Text(step, "template", where, 200, true)) Form(*name, At(where, "template"), send);
    } else if (*type == "delay") {
      Only(step, where, {"id", "type", "for", "until", "next"});
      out.set_next(Way(step, "next", where, behind));
      Delay(step, where, *out.mutable_delay());
    } else if (*type == "wait_for") {
      Only(step, where, {"id", "type", "event", "opened", "clicked", "timeout", "next", "else"});
      out.set_next(Way(step, "next", where, behind));
      v1::WaitStep& wait = *out.mutable_wait();
      wait.set_otherwise(Way(step, "else", where, "", true));
      wait.set_timeout_s(Duration(step, "timeout", where, true).value_or(0));
      if (const auto event = Text(step, "event", where, kEventNameBytesMax)) wait.set_event(*event);
      if (const auto opened = Text(step, "opened", where, kStepIdBytesMax)) wait.set_opened(*opened);
      if (const auto clicked = Text(step, "clicked", where, kStepIdBytesMax)) wait.set_clicked(*clicked);
      if (step.contains("event") + step.contains("opened") + step.contains("clicked") != 1) {
        Problem(where, "invalid", "give one of event, opened and clicked");
      }
    } else if (*type == "split") {
      Only(step, where, {"id", "type", "branches", "else", "random"});
      Split(step, where, behind, out);
    } else if (*type == "exit") {
      Only(step, where, {"id", "type"});
      out.mutable_exit();
    } else if (*type == "update") {
      Only(step, where, {"id", "type", "set", "add_tags", "remove_tags", "next"});
      out.set_next(Way(step, "next", where, behind));
      *out.mutable_update() = ReadUpdate(step, where, catalog_.expressions, parsed_.problems);
    } else if (*type == "webhook") {
      Problem(At(where, "type"), "not_implemented", fmt::format("steps of type {} are not there yet", *type));
    } else if (*type == "goal") {
      Problem(At(where, "type"), "invalid", "the goal stands beside the steps: \"goal\": {\"event\": NAME}");
    } else {
      Problem(At(where, "type"), "invalid", "send, delay, wait_for, split, update or exit");
    }
  }

  void Form(const std::string& name, std::string where, v1::SendStep& send) {
    send.set_template_name(name);
    JourneyProblem problem{std::move(where), "unknown_template", fmt::format("there is no template \"{}\", or it is archived", name)};
    const auto form = catalog_.form ? catalog_.form(name, problem) : std::nullopt;
    if (!form) return Problem(problem.where, problem.code, problem.sentence);
    send.set_form_id(form->form_id());
    send.set_template_id(form->template_id());
    send.set_template_version(form->template_version());
  }

  void Delay(const json& step, const std::string& where, v1::DelayStep& delay) {
    delay.set_minute(-1);
    const json* until = Find(step, "until");
    const bool both = until != nullptr && step.contains("for");
    if (both || (until == nullptr && !step.contains("for"))) return Problem(where, "invalid", "give one of for and until");
    if (until == nullptr) return delay.set_for_s(Duration(step, "for", where).value_or(1));
    const std::string at = At(where, "until");
    if (!until->is_object()) return Problem(at, "invalid", "like {\"weekday\": \"monday\", \"time\": \"09:00\"}");
    Only(*until, at, {"weekday", "weekdays", "time", "zone"});
    if (const auto zone = Text(*until, "zone", at, schema::kZoneBytesMax)) {
      delay.set_zone(*zone);
      if (*zone != kContactZone && *zone != kTenantZone && schema::ZoneNamed(*zone) == nullptr) {
        Problem(At(at, "zone"), "unknown_zone",
                fmt::format("contact, tenant, or a zone of the IANA database; the nearest is {}", schema::NearestZone(*zone)));
      }
    }
    if (const auto time = Text(*until, "time", at, 5, true)) {
      const auto minute = ParseTimeOfDay(*time);
      if (!minute) Problem(At(at, "time"), "invalid", "a time like 09:00");
      delay.set_minute(minute.value_or(0));
    }
    if (const auto day = Text(*until, "weekday", at, 20)) {
      const auto found = std::ranges::find(kWeekdays, *day);
      if (found == std::end(kWeekdays)) return Problem(At(at, "weekday"), "invalid", "monday to sunday");
      delay.set_weekday(static_cast<int32_t>(found - std::begin(kWeekdays)) + 1);
    }
    if (const json* days = Find(*until, "weekdays")) Weekdays(*days, *until, at, delay);
  }
  void Weekdays(const json& days, const json& until, const std::string& at, v1::DelayStep& delay) {
    if (until.contains("weekday")) return Problem(at, "invalid", "give one of weekday and weekdays");
    uint32_t mask = 0;
    for (const json& day : days) {
      const auto found = day.is_string() ? std::ranges::find(kWeekdays, day.get_ref<const std::string&>()) : std::end(kWeekdays);
      if (found == std::end(kWeekdays)) return Problem(At(at, "weekdays"), "invalid", "a list of monday to sunday");
      mask |= 1U << (found - std::begin(kWeekdays));
    }
    if (!days.is_array() || mask == 0) return Problem(At(at, "weekdays"), "invalid", "a list of monday to sunday");
    delay.set_weekdays(mask);
  }

  void Split(const json& step, const std::string& where, const std::string& behind, v1::JourneyStep& out) {
    v1::SplitStep& split = *out.mutable_split();
    const json* random = Find(step, "random");
    const json* branches = Find(step, "branches");
    if ((random == nullptr) == (branches == nullptr)) return Problem(where, "invalid", "give one of branches and random");
    const char* member = random != nullptr ? "random" : "branches";
    const json& all = random != nullptr ? *random : *branches;
    const std::string list = At(where, member);
    if (!all.is_array() || all.empty() || all.size() > kBranchesMax) {
      return Problem(list, "invalid", fmt::format("a list of 1 to {} branches", kBranchesMax));
    }
    split.set_random(random != nullptr);
    if (random != nullptr && step.contains("else")) Problem(At(where, "else"), "unknown_field", "chance always takes one of its branches");
    if (random == nullptr) out.set_next(Way(step, "else", where, behind));
    for (size_t i = 0; i < all.size(); ++i) {
      const std::string at = At(list, i);
      if (!all[i].is_object()) {
        Problem(at, "invalid", "an object with next and what it is taken by");
        continue;
      }
      v1::SplitBranch& branch = *split.add_branches();
      branch.set_next(Way(all[i], "next", at, "", true));
      if (random != nullptr) {
        Only(all[i], at, {"weight", "next"});
        const json* weight = Find(all[i], "weight");
        if (weight == nullptr || !weight->is_number_integer() || *weight < 1 || *weight > 10'000) {
          Problem(At(at, "weight"), "invalid", "a whole number from 1 to 10000");
        } else {
          branch.set_weight(weight->get<uint32_t>());
        }
        continue;
      }
      Only(all[i], at, {"if", "next"});
      if (const auto text = Text(all[i], "if", at, audience::kSegmentBytesMax, true)) Condition(*text, At(at, "if"), branch);
    }
  }

  void Condition(const std::string& text, const std::string& where, v1::SplitBranch& branch) {
    audience::ParsedSegment parsed = audience::ParseSegmentText(text);
    if (parsed.problems.empty()) parsed.problems = audience::CheckSegment(parsed, catalog_.expressions);
    for (const auto& problem : parsed.problems) Problem(where, "invalid", fmt::format("{}: {}", problem.where, problem.sentence));
    if (!parsed.problems.empty()) return;
    for (const auto& one : audience::DependenciesOf(parsed.expression).wakes) {
      using namespace segments::v1;
      if (one.kind == WAKE_ATTRIBUTE || one.kind == WAKE_TAG || one.kind == WAKE_LIST || one.kind == WAKE_SEGMENT ||
          one.kind == WAKE_SUBSCRIBED)
        continue;
      Problem(where, "invalid",
              "a split asks for attributes, tags, lists and segments; for anything else make a segment, and ask in_segment(\"…\")");
      return;
    }
    branch.set_text(audience::SegmentText(parsed.expression));
    *branch.mutable_where() = std::move(parsed.expression);
  }

  // ---- Of the whole ----

  std::vector<std::string> WaysFrom(const v1::JourneyStep& step) const {
    std::vector<std::string> ways;
    if (!step.has_exit() && !(step.has_split() && step.split().random())) ways.push_back(step.next());
    if (step.has_wait()) ways.push_back(step.wait().otherwise());
    if (step.has_split()) {
      for (const auto& branch : step.split().branches()) ways.push_back(branch.next());
    }
    std::erase(ways, "");
    return ways;
  }
  std::set<std::string> ReachedFrom(const std::string& first) const {
    std::set<std::string> reached{first};
    std::vector<std::string> open{first};
    while (!open.empty()) {
      const v1::JourneyStep* step = FindStep(out_, open.back());
      open.pop_back();
      for (const std::string& to : WaysFrom(*step)) {
        if (reached.insert(to).second) open.push_back(to);
      }
    }
    return reached;
  }
  static bool Waits(const v1::JourneyStep& step) { return step.has_delay() || step.has_wait(); }

  void CheckWays() {
    const std::set<std::string> reached = ReachedFrom(out_.steps(0).id());
    for (int i = 0; i < out_.steps_size(); ++i) {
      const v1::JourneyStep& step = out_.steps(i);
      const std::string where = At("/steps", static_cast<size_t>(i));
      if (!reached.contains(step.id())) Problem(where, "unreachable", fmt::format("no way leads to step \"{}\"", step.id()));
      if (!Waits(step) && RoundWithoutWait(step)) {
        Problem(where, "cycle", fmt::format("from step \"{}\" a way leads back to it without a delay or a wait", step.id()));
      }
      if (!step.has_wait() || !step.wait().event().empty()) continue;
      const bool opened = !step.wait().opened().empty();
      const std::string& of = opened ? step.wait().opened() : step.wait().clicked();
      const v1::JourneyStep* send = FindStep(out_, of);
      if (send == nullptr || !send->has_send() || !ReachedFrom(of).contains(step.id())) {
        Problem(At(where, opened ? "opened" : "clicked"), "unknown_step", fmt::format("there is no earlier send step \"{}\"", of));
      }
    }
  }
  bool RoundWithoutWait(const v1::JourneyStep& from) const {
    std::set<std::string> seen;
    std::vector<std::string> open = WaysFrom(from);
    while (!open.empty()) {
      const std::string id = open.back();
      open.pop_back();
      if (id == from.id()) return true;
      const v1::JourneyStep* step = FindStep(out_, id);
      if (!seen.insert(id).second || Waits(*step)) continue;
      for (std::string& to : WaysFrom(*step)) open.push_back(std::move(to));
    }
    return false;
  }

  const JourneyCatalog& catalog_;
  ParsedJourney& parsed_;
  v1::JourneyDefinition& out_;
  std::vector<std::string> ids_;  // of the steps, in order
};

}  // namespace

ParsedJourney ParseJourney(std::string_view text, const JourneyCatalog& catalog) {
  ParsedJourney parsed;
  if (text.size() > kDefinitionBytesMax) {
    parsed.problems = {{"", "too_long", fmt::format("a definition has at most {} bytes", kDefinitionBytesMax)}};
    return parsed;
  }
  const auto given = schema::ParseJson(text);
  if (!given) {
    parsed.problems = {{"", "invalid", given.error().message}};
    return parsed;
  }
  Reader(catalog, parsed).Read(*given);
  return parsed;
}

std::optional<int64_t> ParseDuration(std::string_view text) {
  if (text.size() < 2 || text.size() > 10) return std::nullopt;
  int64_t number = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  int64_t unit = 0;
  switch (text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86'400;
      break;
    case 'w':
      unit = 7 * 86'400;
      break;
    default:
      return std::nullopt;
  }
  const int64_t seconds = number * unit;
  return seconds >= 1 && seconds <= kDurationMaxS ? std::optional(seconds) : std::nullopt;
}

const v1::JourneyStep* FindStep(const v1::JourneyDefinition& definition, std::string_view id) {
  for (const v1::JourneyStep& step : definition.steps()) {
    if (step.id() == id) return &step;
  }
  return nullptr;
}

}  // namespace maily::journeys
