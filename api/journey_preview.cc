// What a definition would have made of everybody in a journey, before it is published.
//
// Read models in, numbers out: nothing is appended and nothing can be sent, since processors/journeys/replay.h knows no partition.
#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

#include "api/journeys.h"
#include "api/read.h"
#include "api/segment_members.h"
#include "processors/journeys/replay.h"
#include "schemas/wall_time.h"

namespace maily::api {
namespace {

constexpr int64_t kPeopleMax = 50'000;
constexpr Duration kTimeMax = Seconds(5);  // one of those who read waits for it
constexpr int64_t kPageRows = 500;
constexpr int64_t kNamesMax = 10'000;
constexpr size_t kSamplesMax = 20;
constexpr int64_t kMicros = 1'000'000;
constexpr int64_t kOrdinals = int64_t{1} << 48;

using journeys::Happening;
using journeys::Replay;
using journeys::ReplayNames;
using journeys::ReplayPerson;
using journeys::ReplayPlace;

const std::string& Bytes(const Rows& rows, size_t row, std::string_view column) { return rows.at(row, column).bytes; }

Result<ReplayNames> NamesOf(Call& call) {
  ReplayNames names;
  const Parameter limit{"limit", Value::Integer(kNamesMax)};
  MAILY_TRY(const Rows attributes, QueryOwn(call, "attributes", {{"after", Value::Text("")}, limit}));
  for (size_t row = 0; row < attributes.size(); ++row)
    names.attributes.push_back(
        {Bytes(attributes, row, "name"), Bytes(attributes, row, "type"), attributes.at(row, "personal").integer != 0});
  const Parameter after{"after", Value::Integer(0)};
  MAILY_TRY(const Rows segments, QueryOwn(call, "segments", {after, limit}));
  for (size_t row = 0; row < segments.size(); ++row) {
    if (segments.at(row, "archived_at_us").type != sql::Type::kNull) continue;
    names.segments[Bytes(segments, row, "name")] = static_cast<uint64_t>(segments.at(row, "segment_id").integer);
  }
  MAILY_TRY(const Rows lists, QueryOwn(call, "lists", {after, limit}));
  for (size_t row = 0; row < lists.size(); ++row)
    names.lists[Bytes(lists, row, "name")] = static_cast<uint64_t>(lists.at(row, "list_id").integer);
  MAILY_TRY(const Rows templates, QueryOwn(call, "templates", {after, limit, {"archived", Value::Integer(0)}}));
  for (size_t row = 0; row < templates.size(); ++row) names.templates.insert(Bytes(templates, row, "name"));
  MAILY_TRY(const Rows settings, QueryOwn(call, "settings"));
  if (!settings.empty()) names.time_zone = Bytes(settings, 0, "time_zone");
  return names;
}

// Members of the segments that the definition asks for, by contact.
using Members = std::map<uint64_t, std::set<int64_t>>;
Result<Members> MembersOf(Call& call, const std::set<uint64_t>& segments, const std::set<int64_t>& people) {
  Members members;
  for (const uint64_t segment_id : segments) {
    std::set<int64_t>& of = members[segment_id];
    MembersAt at(call, {"segment_id", Number(segment_id)}, INT64_MAX - 1);
    MAILY_TRY_VOID(at.Each(0, [&](int64_t contact_id) {
      if (people.contains(contact_id)) of.insert(contact_id);
      return true;
    }));
  }
  return members;
}

// One contact in the journey, once for each key.
struct Instance {
  int64_t contact_id = 0;
  std::string key;
  int64_t version = 0;
  std::string step;
  std::string status;
  int64_t entered_at_us = 0;
  std::optional<int64_t> due_at_us;
};
struct Instances {
  std::vector<Instance> all;
  bool complete = true;
};
Result<Instances> InstancesOf(Call& call, const Parameter& journey) {
  Instances found;
  int64_t after = 0;
  std::string after_key;
  for (;;) {
    MAILY_TRY(
        const Rows rows,
        QueryOwn(call, "journey_people",
                 {journey, {"after", Value::Integer(after)}, {"after_key", Value::Blob(after_key)}, {"limit", Value::Integer(kPageRows)}}));
    for (size_t row = 0; row < rows.size(); ++row) {
      if (static_cast<int64_t>(found.all.size()) == kPeopleMax) {
        found.complete = false;
        return found;
      }
      const Value& due = rows.at(row, "due_at_us");
      found.all.push_back({rows.at(row, "contact_id").integer, Bytes(rows, row, "instance_key"), rows.at(row, "version").integer,
                           Bytes(rows, row, "step"), Bytes(rows, row, "status"), rows.at(row, "entered_at_us").integer,
                           due.type == sql::Type::kNull ? std::nullopt : std::optional(due.integer)});
    }
    if (static_cast<int64_t>(rows.size()) < kPageRows) return found;
    after = found.all.back().contact_id;
    after_key = found.all.back().key;
  }
}

// What the journey did with it, and what it did.
struct History {
  std::vector<std::string> sent;  // steps, in order
  std::vector<Happening> happened;
};
Result<History> HistoryOf(Call& call, const Parameter& journey, const Instance& instance) {
  History history;
  const Parameter contact{"contact_id", Value::Integer(instance.contact_id)};
  const Parameter since{"since_us", Value::Integer(instance.entered_at_us)};
  MAILY_TRY(const Rows moves, QueryOwn(call, "journey_history", {journey, contact, since}));
  std::map<int64_t, std::string> templates;  // by message
  std::set<std::string> entered;             // events that let this one in: they have happened
  std::set<std::string> own;                 // events that moved this one
  std::set<std::string> others;              // events that moved another key's
  constexpr std::string_view kTemplate = "template ";
  for (size_t row = 0; row < moves.size(); ++row) {
    const bool this_one = Bytes(moves, row, "instance_key") == instance.key;
    const std::string& event_id = Bytes(moves, row, "event_id");
    if (!event_id.empty()) (this_one ? own : others).insert(event_id);
    if (this_one && Bytes(moves, row, "kind") == "entered") entered.insert(event_id);
    if (!this_one || Bytes(moves, row, "kind") != "sent") continue;
    history.sent.push_back(Bytes(moves, row, "step"));
    const std::string& why = Bytes(moves, row, "why");
    if (why.starts_with(kTemplate)) templates[std::stoll("0" + Bytes(moves, row, "message_id"))] = why.substr(kTemplate.size());
  }
  MAILY_TRY(const Rows did, QueryOwn(call, "happened_to_contact", {contact, since}));
  for (size_t row = 0; row < did.size(); ++row) {
    const std::string& kind = Bytes(did, row, "kind");
    const int64_t at_s = did.at(row, "recorded_at_us").integer / kMicros;
    if (kind == "event") {
      const std::string& event_id = Bytes(did, row, "event_id");
      // What moved another key and not this one is about that one.
      if (entered.contains(event_id) || (!own.contains(event_id) && others.contains(event_id))) continue;
      history.happened.push_back({at_s, Happening::Kind::kEvent, Bytes(did, row, "name")});
      continue;
    }
    const auto of = templates.find(did.at(row, "campaign_id").integer);
    if (of == templates.end()) continue;
    history.happened.push_back({at_s, kind == "click" ? Happening::Kind::kClicked : Happening::Kind::kOpened, of->second});
  }
  return history;
}

Result<std::optional<ReplayPerson>> PersonOf(Call& call, uint64_t journey_id, const Instance& instance, const Members& members) {
  const Parameter contact{"contact_id", Value::Integer(instance.contact_id)};
  MAILY_TRY(const Rows found, QueryOwn(call, "contact", {contact}));
  if (found.empty()) return std::optional<ReplayPerson>();
  ReplayPerson person;
  person.partition = static_cast<uint16_t>(instance.contact_id / kOrdinals);
  person.ordinal = static_cast<uint64_t>(instance.contact_id % kOrdinals);
  person.journey_id = journey_id;
  person.entered_at_s = instance.entered_at_us / kMicros;
  person.subscribed = found.at(0, "unsubscribed_at_us").type == sql::Type::kNull;
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json part = Json::parse(Bytes(found, 0, column), nullptr, false);
    if (!part.is_object()) continue;
    for (const auto& [name, value] : part.items()) person.attributes[name] = value.dump();
  }
  const Json tags = Json::parse(Bytes(found, 0, "tags"), nullptr, false);
  if (tags.is_array()) person.tags = tags.get<decltype(person.tags)>();
  MAILY_TRY(const Rows lists, QueryOwn(call, "lists_of_contact", {contact}));
  for (size_t row = 0; row < lists.size(); ++row) person.lists.insert(static_cast<uint64_t>(lists.at(row, "list_id").integer));
  for (const auto& [segment_id, of] : members) {
    if (of.contains(instance.contact_id)) person.segments.insert(segment_id);
  }
  return std::optional(std::move(person));
}

// The sums of all, and the first that differ.
class Differences {
 public:
  explicit Differences(const std::map<std::string, std::string>& moves) : moves_(moves) {}

  void Add(const Instance& instance, const History& history, const ReplayPlace& then) {
    ++examined_;
    ++now_[instance.step];
    then.over ? ++then_over_[then.why] : ++then_[then.step];
    for (const std::string& step : history.sent) ++sent_now_[step];
    for (const std::string& step : then.sent) ++sent_then_[step];
    updates_ += then.updates;
    const auto move = moves_.find(instance.step);
    move == moves_.end() ? ++stay_ : ++moved_[instance.step];
    const char* kind = KindOf(instance, history, then);
    if (kind == nullptr) return (void)++same_;
    ++kinds_[kind];
    if (samples_.size() < kSamplesMax) samples_.push_back(Sample(instance, history, then, kind));
  }

  Json ToJson() const {
    Json sends = Json::object();
    for (const auto* side : {&sent_now_, &sent_then_}) {
      for (const auto& [step, count] : *side) sends[step][side == &sent_now_ ? "now" : "then"] = count;
    }
    for (auto& [step, counts] : sends.items()) {
      for (const char* side : {"now", "then"}) counts[side] = counts.value(side, int64_t{0});
    }
    Json moved = Json::object();
    for (const auto& [from, count] : moved_) moved[from] = {{"to", moves_.at(from)}, {"instances", count}};
    int64_t different = 0;
    for (const auto& [kind, count] : kinds_) different += count;
    return {{"examined", examined_},    {"same", same_},
            {"different", different},   {"differences", kinds_},
            {"steps_now", now_},        {"steps_then", then_},
            {"over_then", then_over_},  {"sends", sends},
            {"updates_then", updates_}, {"on_publishing", {{"stay", stay_}, {"moved", moved}}},
            {"samples", samples_}};
  }

 private:
  // Null: it would stand where it stands, until then, with the same mails.
  static const char* KindOf(const Instance& instance, const History& history, const ReplayPlace& then) {
    if (then.over) return "over";
    if (then.step != instance.step) return "step";
    if (then.sent != history.sent) return "mails";
    if (instance.due_at_us && *instance.due_at_us != then.due_s * kMicros) return "time";
    return nullptr;
  }
  static Json Sample(const Instance& instance, const History& history, const ReplayPlace& then, const char* kind) {
    Json now{{"step", instance.step}, {"status", instance.status}, {"sent", history.sent}};
    if (instance.due_at_us) now["due_at"] = Rfc3339(*instance.due_at_us);
    Json there{{"step", then.step}, {"status", then.over ? "over" : "waiting"}, {"why", then.why}, {"sent", then.sent}};
    if (then.due_s != 0) there["due_at"] = Rfc3339(then.due_s * kMicros);
    if (const schema::Zone* zone = schema::ZoneNamed(then.zone)) {
      there["zone"] = then.zone;
      there["local"] = schema::WallTimeText(zone->At(Instant{then.due_s * kMicros}));
    }
    Json sample{{"contact_id", std::to_string(instance.contact_id)},
                {"version", instance.version},
                {"entered_at", Rfc3339(instance.entered_at_us)},
                {"difference", kind},
                {"now", std::move(now)},
                {"then", std::move(there)}};
    if (!instance.key.empty()) sample["instance_key"] = CellJson("instance_key", Value::Blob(instance.key));
    return sample;
  }

  const std::map<std::string, std::string>& moves_;
  using Counts = std::map<std::string, int64_t>;
  int64_t examined_ = 0, same_ = 0, updates_ = 0, stay_ = 0;
  Counts kinds_, now_, then_, then_over_, sent_now_, sent_then_, moved_;
  std::vector<Json> samples_;
};

Result<Json> PreviewJson(Call& call, const Parameter& journey, const Rows& found, const Replay& replay,
                         const std::map<std::string, std::string>& moves) {
  const Instant started = call.api->parts.clock.Now();
  MAILY_TRY(const Instances instances, InstancesOf(call, journey));
  std::set<int64_t> people;
  for (const Instance& instance : instances.all) people.insert(instance.contact_id);
  MAILY_TRY(const Members members, MembersOf(call, replay.segments(), people));
  Differences differences(moves);
  bool complete = instances.complete;
  for (const Instance& instance : instances.all) {
    if (call.api->parts.clock.Now() - started > kTimeMax) {
      complete = false;
      break;
    }
    MAILY_TRY(const auto person, PersonOf(call, static_cast<uint64_t>(journey.value.integer), instance, members));
    if (!person) continue;  // erased meanwhile
    MAILY_TRY(History history, HistoryOf(call, journey, instance));
    ReplayPerson one = *person;
    one.happened = history.happened;
    differences.Add(instance, history, replay.Run(one, started.us / kMicros));
  }
  Json out = differences.ToJson();
  out["journey_id"] = journey.value.integer;
  out["version"] = found.at(0, "version").integer;
  out["in_it"] = found.at(0, "in_it").integer;
  out["complete"] = complete;
  out["as_of"] = Rfc3339(started.us);
  return out;
}

void AnswerPreview(Call& call, uint64_t journey_id, const journeys::v1::DefineJourney& command, http::Headers headers) {
  const Parameter journey{"journey_id", Number(journey_id)};
  const auto found = QueryOwn(call, "journey", {journey});
  if (!found) return Refuse(call, found.error());
  if (found->empty()) return Refuse(call, NoSuch("journey"));
  const auto names = NamesOf(call);
  if (!names) return Refuse(call, names.error());
  const Replay replay(*names, command.json());
  std::vector<http::ProblemDetail> wrong;
  for (const auto& problem : replay.problems()) wrong.push_back({problem.where, problem.code, problem.sentence});
  std::map<std::string, std::string> moves;
  for (const auto& move : command.moves()) {
    moves[move.from()] = move.to();
    if (replay.problems().empty() && !replay.HasStep(move.to()))
      wrong.push_back({"/move/" + move.from(), "unknown_step", fmt::format("this version has no step \"{}\"", move.to())});
  }
  if (!wrong.empty()) {
    http::Problem problem{.status = 422, .code = "journey_invalid", .message = "the definition has problems; details list all of them"};
    problem.details = std::move(wrong);
    return Refuse(call, problem);
  }
  const auto body = PreviewJson(call, journey, *found, replay, moves);
  if (!body) return Refuse(call, body.error());
  Answer(call, 200, *body, std::move(headers));
}

}  // namespace

void PreviewJourney(Call call) {
  Body body(call);
  journeys::v1::DefineJourney command;
  ReadDefinition(body, command);
  ReadMoves(body, command);
  body.Integer("based_on", 1, INT32_MAX);
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id || *id == 0) return Refuse(call, NoSuch("journey"));
  AnswerFresh(std::move(call), "journey",
              [id = *id, command](Call& c, http::Headers headers) { AnswerPreview(c, id, command, std::move(headers)); });
}

}  // namespace maily::api
