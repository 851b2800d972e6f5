// Journeys: definitions, who is in them, and where a contact is in its own.
#include "api/journeys.h"

#include <fmt/format.h>

#include <set>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/messages/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/wall_time.h"

namespace maily::api {
namespace {

constexpr size_t kStepsMax = 100;
constexpr size_t kMovesMax = 100;
constexpr size_t kWordBytesMax = 40;

// The templates that its steps send, each once. What is wrong with the steps is said where they are decided.
std::vector<std::string> TemplatesOf(const journeys::v1::DefineJourney& command) {
  std::set<std::string> names;
  const nlohmann::json definition = nlohmann::json::parse(command.json(), nullptr, false);
  for (const auto& step : definition.value("steps", nlohmann::json::array())) {
    if (!step.is_object() || !step.contains("template") || !step["template"].is_string()) continue;
    const auto& name = step["template"].get_ref<const std::string&>();
    if (!name.empty() && name.size() <= kNameBytesMax) names.insert(name);
  }
  return {names.begin(), names.end()};
}

// Makes the form of each template, or learns why there is none; then defines the journey with them.
void Define(Call call, const journeys::v1::DefineJourney& command, Shape shape) {
  gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
  std::vector<std::string> names = TemplatesOf(command);
  if (names.empty() || call.dry_run()) return Submit(std::move(call), std::move(order), std::move(shape));
  std::vector<gateway::Order> prepare;
  for (const std::string& name : names) {
    messages::v1::PrepareMessages one;
    one.set_template_(name);
    one.set_marketing(true);
    one.set_live(call.api->parts.live);
    one.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
    prepare.push_back(gateway::PlainOrder(one, schema::HomeKey(call.caller.tenant)));
  }
  auto define = [order = std::move(order), command = journeys::v1::DefineJourney(command), names = std::move(names),
                 shape = std::move(shape)](Call& c, std::vector<gateway::Verdict>& verdicts) mutable {
    for (size_t i = 0; i < verdicts.size(); ++i) {
      journeys::v1::StepForm& form = *command.add_forms();
      form.set_template_name(names[i]);
      const nlohmann::json answer = AnswerOf(verdicts[i]);
      if (IsDone(verdicts[i])) {
        form.set_form_id(answer.value("form_id", uint64_t{0}));
        form.set_template_id(answer.value("template_id", uint64_t{0}));
        form.set_template_version(answer.value("template_version", uint32_t{0}));
        continue;
      }
      if (!answer.contains("code")) return Conclude(c, verdicts[i]);  // nobody knows
      const std::string code = answer.value("code", "");
      form.set_refusal(code == "template_not_found" ? "unknown_template" : code);
      form.set_why(code == "template_not_found" ? fmt::format("there is no template \"{}\"", names[i]) : answer.value("message", ""));
    }
    // The forms are no part of the request that Idempotency-Key stands for.
    order.payload = command.SerializeAsString();
    Submit(std::move(c), std::move(order), std::move(shape));
  };
  SubmitAll(std::move(call), prepare, kDecisionTimeout, std::move(define));
}

Json DefinitionOf(const Rows& rows, size_t row) { return Json::parse(rows.at(row, "json").bytes, nullptr, false); }

Json JourneyJson(const Rows& rows, size_t row) {
  const bool archived = rows.at(row, "archived_at_us").type != sql::Type::kNull;
  const bool paused = rows.at(row, "paused").integer != 0;
  Json out{{"id", rows.at(row, "journey_id").integer},
           {"name", rows.at(row, "name").bytes},
           {"status", archived ? "archived"
                      : paused ? "paused"
                               : "active"}};
  for (const char* column : {"version", "in_it", "over", "created_at_us", "defined_at_us", "archived_at_us"}) {
    out[MemberOf(column)] = CellJson(column, rows.at(row, column));
  }
  return out;
}

// What steps have seen, by id.
Result<Json> StepsJson(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows steps, QueryOwn(call, "journey_steps", {which}));
  Json out = Json::object();
  for (size_t row = 0; row < steps.size(); ++row) {
    Json one;
    for (const char* column : {"entered", "here", "sent", "skipped", "updated", "deferred", "without_zone"})
      one[column] = steps.at(row, column).integer;
    one["left"] = Json::object();
    out[steps.at(row, "step").bytes] = std::move(one);
  }
  MAILY_TRY(const Rows ends, QueryOwn(call, "journey_ends", {which}));
  for (size_t row = 0; row < ends.size(); ++row) {
    const std::string& step = ends.at(row, "step").bytes;
    if (step.empty()) continue;
    out[step]["left"][ends.at(row, "reason").bytes] = ends.at(row, "instances").integer;
  }
  return out;
}

Result<Json> ReasonsJson(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows ends, QueryOwn(call, "journey_ends", {which}));
  Json out = Json::object();
  for (size_t row = 0; row < ends.size(); ++row) {
    Json& sum = out[ends.at(row, "reason").bytes];
    sum = (sum.is_null() ? 0 : sum.get<int64_t>()) + ends.at(row, "instances").integer;
  }
  return out;
}

// The members of a row that are texts and not empty, and the others as they are.
Json Told(const Rows& rows, size_t row, std::initializer_list<const char*> columns) {
  Json out = Json::object();
  for (const char* column : columns) {
    const Value& value = rows.at(row, column);
    if (value.type == sql::Type::kNull || (value.type != sql::Type::kInteger && value.bytes.empty())) continue;
    out[MemberOf(column)] = CellJson(column, value);
  }
  return out;
}

Result<Json> JourneysOf(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "journeys_of_contact", {which}));
  MAILY_TRY(const Rows moves, QueryOwn(call, "journey_moves_of_contact", {which}));
  Json items = Json::array();
  for (size_t row = 0; row < rows.size(); ++row) {
    Json one = Told(rows, row, {"journey_id", "name", "version", "instance_key", "status", "step", "why", "entered_at_us", "event_id"});
    one["entered_why"] = rows.at(row, "entered_why").bytes;
    one["since"] = Rfc3339(rows.at(row, "since_us").integer);
    // What comes next, and when: of a wait its end at the latest.
    if (rows.at(row, "due_at_us").type != sql::Type::kNull) {
      one["next"] = {
          {"step", rows.at(row, "step").bytes}, {"at", Rfc3339(rows.at(row, "due_at_us").integer)}, {"why", rows.at(row, "why").bytes}};
      // Of a wait by local time: whose clock it is, and what it will show.
      if (const schema::Zone* zone = schema::ZoneNamed(rows.at(row, "zone").bytes)) {
        one["next"]["zone"] = zone->name();
        one["next"]["local"] = schema::WallTimeText(zone->At(Instant{rows.at(row, "due_at_us").integer}));
        one["next"]["zone_missing"] = rows.at(row, "zone_missing").integer != 0;
      }
    }
    one["history"] = Json::array();
    for (size_t at = moves.size(); at-- > 0;) {
      if (moves.at(at, "journey_id").integer != rows.at(row, "journey_id").integer ||
          moves.at(at, "instance_key").bytes != rows.at(row, "instance_key").bytes) {
        continue;
      }
      one["history"].push_back(
          Told(moves, at, {"at_us", "kind", "version", "step", "next_step", "why", "due_at_us", "zone", "message_id", "event_id"}));
    }
    items.push_back(std::move(one));
  }
  return Json{{"items", std::move(items)}};
}

template <class Command>
void Change(Call call, std::string_view status) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("journey"));
  Command command;
  command.set_journey_id(*id);
  SubmitHome(std::move(call), command, {.more = {{"id", *id}, {"status", status}}});
}

}  // namespace

void ReadDefinition(Body& body, journeys::v1::DefineJourney& command) {
  body.Object("entry", kRequired);
  body.Text("reentry", kWordBytesMax);
  body.Boolean("exit_on_leave");
  body.Object("goal");
  body.Text("max_late", kWordBytesMax);
  body.Array("steps", kStepsMax, kRequired);
  nlohmann::json definition = body.object();
  for (const char* beside : {"name", "based_on", "move"}) definition.erase(beside);
  command.set_json(definition.dump());
}

void ReadMoves(Body& body, journeys::v1::DefineJourney& command) {
  const auto* moves = body.Object("move");
  if (moves == nullptr) return;
  if (moves->size() > kMovesMax) body.Violation("move", "too_many", fmt::format("at most {} steps", kMovesMax));
  for (const auto& [from, to] : moves->items()) {
    if (!to.is_string()) {
      body.Violation("move/" + from, "wrong_type", "the id of a step of this version");
      continue;
    }
    auto& move = *command.add_moves();
    move.set_from(from);
    move.set_to(to.get<std::string>());
  }
}

void CreateJourney(Call call) {
  Body body(call);
  journeys::v1::DefineJourney command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  ReadDefinition(body, command);
  if (!body.Accepted(call)) return;
  Define(std::move(call), command,
         {.status = 201, .id_member = "journey_id", .collection = "/v1/journeys", .more = {{"name", command.name()}}});
}

void ChangeJourney(Call call) {
  Body body(call);
  journeys::v1::DefineJourney command;
  ReadDefinition(body, command);
  ReadMoves(body, command);
  if (const auto based_on = body.Integer("based_on", 1, INT32_MAX)) command.set_based_on(static_cast<uint32_t>(*based_on));
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id || *id == 0) return Refuse(call, NoSuch("journey"));
  command.set_journey_id(*id);
  Define(std::move(call), command, {.id_member = "journey_id"});
}

void ArchiveJourney(Call call) { Change<journeys::v1::ArchiveJourney>(std::move(call), "archived"); }
void PauseJourney(Call call) { Change<journeys::v1::PauseJourney>(std::move(call), "paused"); }
void ResumeJourney(Call call) { Change<journeys::v1::ResumeJourney>(std::move(call), "active"); }

void ListJourneys(Call call) {
  List(std::move(call), {.query = "journeys", .key = {"journey_id"}, .id_column = "journey_id", .row = [](const Rows& rows, size_t row) {
                           return JourneyJson(rows, row);
                         }});
}

void ShowJourney(Call call) {
  Show(std::move(call), "journey", "journey_id", "journey", [](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
    Json out = JourneyJson(found, 0);
    out["definition"] = DefinitionOf(found, 0);
    MAILY_TRY(out["steps"], StepsJson(c, which));
    MAILY_TRY(out["left"], ReasonsJson(c, which));
    MAILY_TRY(const Rows versions, QueryOwn(c, "journey_versions", {which}));
    out["versions"] = Json::array();
    for (size_t row = 0; row < versions.size(); ++row) {
      out["versions"].push_back({{"version", versions.at(row, "version").integer},
                                 {"definition", DefinitionOf(versions, row)},
                                 {"defined_at", Rfc3339(versions.at(row, "defined_at_us").integer)}});
    }
    return out;
  });
}

void ListContactJourneys(Call call) {
  Show(std::move(call), "contact", "contact_id", "journeys_of_contact",
       [](Call& c, const Rows&, const Parameter& which) { return JourneysOf(c, which); });
}

}  // namespace maily::api
