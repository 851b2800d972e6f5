// See events.h.
#include "api/events.h"

#include <cmath>

#include "api/commands.h"
#include "maily/engagements/v1/commands.pb.h"
#include "schemas/address.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "streams/base/bytes.h"

namespace maily::api {
namespace {

using engagements::v1::RecordContactEvent;
using gateway::Order;
using gateway::Outcome;
using gateway::Verdict;
using http::ProblemDetail;
using nlohmann::json;
namespace gw = maily::gateway;

constexpr size_t kIdBytesMax = 200;
constexpr size_t kTypeBytesMax = 100;
constexpr Duration kAheadMax = Seconds(300);
constexpr size_t kPlainBytesMax = 60 * 1024;  // of the message: what the envelope and the seal add fits into a command

struct Event {
  std::string id;  // as given, if it is text
  std::vector<ProblemDetail> wrong;
  RecordContactEvent command;
  uint64_t contact_id = 0;  // instead of a key
  Order order;
};

void ReadRevenue(Body& body, std::vector<ProblemDetail>& wrong, RecordContactEvent& command) {
  if (const auto cents = body.Integer("revenue_cents", 0, int64_t{1} << 50)) command.set_revenue_cents(*cents);
  const bool has_cents = body.Has("revenue_cents");
  if (const json* revenue = body.Object("revenue")) {
    Body parts(*revenue, body.path() + "/revenue", wrong);
    if (has_cents) body.Violation("revenue", "twice", "give revenue or revenue_cents, not both");
    const auto amount = revenue->find("amount");
    if (amount == revenue->end() || !amount->is_number()) {
      parts.Violation("amount", amount == revenue->end() ? "missing" : "wrong_type", "must be a number in units of the currency");
    } else {
      const double cents = amount->get<double>() * 100;
      if (!(cents >= 0) || cents > 1e15 || std::abs(cents - std::round(cents)) > 1e-6 * std::max(1.0, cents)) {
        parts.Violation("amount", "out_of_range", "must be 0 or more, with at most two digits behind the point");
      } else {
        command.set_revenue_cents(static_cast<int64_t>(std::llround(cents)));
      }
    }
    if (const auto currency = parts.Text("currency", 3, true)) command.set_currency(*currency);
  }
  if (const auto currency = body.Text("currency", 3)) command.set_currency(*currency);
  const std::string& currency = command.currency();
  if (!currency.empty() && (currency.size() != 3 || !std::ranges::all_of(currency, [](char c) { return c >= 'A' && c <= 'Z'; }))) {
    body.Violation("currency", "invalid_currency", "is an ISO 4217 code, three capitals");
  }
}

// What one event says; what is wrong with it goes to `wrong`.
Event ReadEvent(Call& call, const json& value, const std::string& path, const keyring::TenantKeys& keys) {
  Event event;
  if (!value.is_object()) {
    event.wrong.push_back({.path = path, .code = "wrong_type", .hint = "an event is an object"});
    return event;
  }
  Body body(value, path, event.wrong);
  RecordContactEvent& command = event.command;
  if (const auto id = body.Text("id", kIdBytesMax, true)) {
    event.id = *id;
    command.set_event_id(*id);
  }
  if (const auto type = body.Text("type", kTypeBytesMax, true)) command.set_name(*type);
  if (const json* contact = body.Object("contact", true)) {
    Body who(*contact, path + "/contact", event.wrong);
    const auto email = who.Text("email", 1000);
    const auto id = who.Text("id", 20);
    if (email.has_value() == id.has_value()) {
      who.Violation("", "invalid_contact", "say who: {\"email\": …} or {\"id\": \"…\"}");
    } else if (email) {
      const auto address = schema::ParseAddress(*email);
      if (address) {
        command.set_contact_key(schema::ContactKey(keys, address->normalised));
      } else {
        who.Violation("email", std::string(schema::kInvalidAddress), address.error().message);
      }
    } else {
      const bool digits = !id->empty() && std::ranges::all_of(*id, [](char c) { return c >= '0' && c <= '9'; });
      event.contact_id = digits ? std::strtoull(id->c_str(), nullptr, 10) : 0;
      if (event.contact_id == 0 || event.contact_id > static_cast<uint64_t>(INT64_MAX))
        who.Violation("id", "invalid_contact", "is the id of a contact, digits");
    }
    who.RefuseUnknown();
  }
  const Instant now = call.api->parts.clock.Now();
  if (const auto text = body.Text("occurred_at", 40)) {
    const auto us = ParseRfc3339(*text);
    if (!us) {
      body.Violation("occurred_at", "invalid_time", us.error().message);
    } else if (Instant{*us} > now + kAheadMax) {
      body.Violation("occurred_at", "in_the_future", "is more than five minutes ahead");
    } else {
      event.order.occurred_at = Instant{*us};
    }
  }
  ReadRevenue(body, event.wrong, command);
  if (const json* properties = body.Object("properties")) command.set_properties(properties->dump());
  body.RefuseUnknown();
  if (command.ByteSizeLong() > kPlainBytesMax)
    body.Violation("", "too_large", fmt::format("an event has at most {} bytes", kPlainBytesMax));
  return event;
}

// The contact's key, for events that name it by its id. Blocking.
Result<void> FindContact(Call& call, Event& event) {
  if (event.contact_id == 0) return Ok();
  MAILY_TRY(const projections::Rows rows,
            call.api->parts.views.Query(
                "contact", {{"tenant", call.tenant()}, {"contact_id", sql::Value::Integer(static_cast<int64_t>(event.contact_id))}}));
  if (rows.empty()) {
    event.wrong.push_back({.path = "/contact/id", .code = "unknown_contact", .hint = "there is no contact of that id"});
  } else {
    event.command.set_contact_key(rows.at(0, "contact_key").bytes);
  }
  return Ok();
}

// Seals the properties, and makes the order. Blocking if there are any.
Result<void> Complete(Call& call, Event& event) {
  RecordContactEvent& command = event.command;
  const Instant occurred_at = event.order.occurred_at;
  event.order = gw::PlainOrder(command, command.contact_key());
  event.order.occurred_at = occurred_at;
  event.order.natural_key = "event/" + event.id;
  if (occurred_at.us != 0) PutFixed(event.order.plain, occurred_at.us);  // part of what must be equal; the payload below is what is sent
  event.order.payload = command.SerializeAsString();
  if (command.properties().empty()) return Ok();
  MAILY_TRY(const keyring::SubjectKey key, call.api->parts.keyring.GetOrCreate(call.caller.tenant, command.contact_key()));
  schema::SealPersonal(command, call.caller.tenant, key, call.api->parts.entropy);
  event.order.payload = command.SerializeAsString();
  return Ok();
}

struct Batch {
  std::shared_ptr<Call> call;
  std::vector<Event> events;
  std::vector<Verdict> verdicts;
  size_t waiting = 0;
  std::function<void(Batch&)> done;
};

Json VerdictJson(const Event& event, const Verdict& verdict) {
  Json out{{"id", event.id}};
  const auto reject = [&](const char* kind, const std::string& code, const std::string& reason) {
    out["verdict"] = kind;
    out["code"] = code;
    out["reason"] = reason;
  };
  if (!event.wrong.empty()) {
    reject("rejected", event.wrong[0].code, event.wrong[0].path + ": " + event.wrong[0].hint);
    out["path"] = event.wrong[0].path;
    return out;
  }
  if (verdict.kind == Verdict::Kind::kUnavailable) {
    reject("rejected", "unavailable", "not known whether it was taken; send it again");
    return out;
  }
  if (verdict.kind == Verdict::Kind::kPending) {
    out["verdict"] = "accepted";
    return out;
  }
  json answer = verdict.answer.empty() ? json::object() : json::parse(verdict.answer, nullptr, false);
  if (!answer.is_object()) answer = json::object();
  if (verdict.outcome == Outcome::kDuplicate && !answer.contains("code")) {
    out["verdict"] = "duplicate";
  } else if (IsDone(verdict.outcome, answer)) {
    out["verdict"] = "accepted";
  } else if (verdict.outcome == Outcome::kReused) {
    reject("conflict", "event_id_reused", "this id came before with another event");
  } else {
    reject("rejected", answer.value("code", "refused"), answer.value("message", "the event was refused"));
  }
  return out;
}

// Submits what is right; `done` on the API's executor.
void SubmitEvents(Call call, std::vector<Event> events, std::function<void(Batch&)> done) {
  auto batch = std::make_shared<Batch>();
  batch->call = std::make_shared<Call>(std::move(call));
  batch->events = std::move(events);
  batch->verdicts.resize(batch->events.size());
  batch->done = std::move(done);
  batch->waiting = 1;
  const auto finished = [](const std::shared_ptr<Batch>& b) {
    if (--b->waiting == 0) b->done(*b);
  };
  gw::Gateway& gateway = batch->call->api->gateway;
  const auto asker = batch->call->asker();
  for (const Event& event : batch->events) batch->waiting += event.wrong.empty() ? 1 : 0;
  for (size_t i = 0; i < batch->events.size(); ++i) {
    if (!batch->events[i].wrong.empty()) continue;
    gateway.Submit(asker, batch->events[i].order, kEventTimeout, [batch, i, finished](Verdict verdict) {
      batch->verdicts[i] = std::move(verdict);
      finished(batch);
    });
  }
  gateway.executor().Post([batch, finished] { finished(batch); });
}

void TakeEvents(Call call, std::vector<Event> events, std::function<void(Batch&)> done) {
  bool blocks = false;
  for (const Event& event : events) blocks |= event.contact_id != 0 || !event.command.properties().empty();
  Executor& blocking = call.api->blocking();
  auto prepare = [call = std::move(call), events = std::move(events), done = std::move(done)]() mutable {
    for (Event& event : events) {
      if (const auto found = FindContact(call, event); !found) return Refuse(call, found.error());
      if (!event.wrong.empty()) continue;
      if (const auto complete = Complete(call, event); !complete) return Refuse(call, complete.error());
    }
    SubmitEvents(std::move(call), std::move(events), std::move(done));
  };
  if (!blocks) return prepare();
  blocking.Post(std::move(prepare));
}

void AddTokens(Batch& batch, http::Headers& headers) {
  std::vector<CommandAt> at;
  for (const Verdict& verdict : batch.verdicts) {
    if (verdict.at) at.push_back(*verdict.at);
  }
  if (!at.empty()) AddToken(*batch.call, headers, at);
}

bool NothingTaken(const Batch& batch) {
  bool any = false;
  for (size_t i = 0; i < batch.events.size(); ++i) {
    if (!batch.events[i].wrong.empty()) continue;
    any = true;
    if (batch.verdicts[i].kind != Verdict::Kind::kUnavailable) return false;
  }
  return any;
}

constexpr const char* kNotTaken = "the log cannot take events now; send them again, their ids make that harmless";

}  // namespace

void RecordEvent(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  if (call.request.body.size() > kEventBytesMax) {
    return Refuse(call, {.status = 413, .code = "too_large", .message = fmt::format("an event has at most {} bytes", kEventBytesMax)});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<Event> events;
  events.push_back(ReadEvent(call, *body, "", **keys));
  if (!events[0].wrong.empty()) return Refuse(call, Violations(std::move(events[0].wrong)));
  TakeEvents(std::move(call), std::move(events), [](Batch& batch) {
    Call& c = *batch.call;
    if (NothingTaken(batch)) return Refuse(c, {.status = 503, .code = "unavailable", .message = kNotTaken});
    http::Headers headers;
    AddTokens(batch, headers);
    const Json verdict = VerdictJson(batch.events[0], batch.verdicts[0]);
    const std::string kind = verdict["verdict"];
    if (kind == "accepted" || kind == "duplicate") return Answer(c, 202, verdict, std::move(headers));
    const int status = kind == "conflict" ? 409 : 422;
    Refuse(c, http::Problem{.status = status, .code = verdict["code"], .message = verdict["reason"]});
  });
}

void RecordEvents(Call call) {
  const auto body = ParseBody(call);
  if (!body) return;
  std::vector<ProblemDetail> details;
  Body reader(*body, "", details);
  const json* list = reader.Array("events", SIZE_MAX, true);
  reader.RefuseUnknown();
  if (!details.empty()) return Refuse(call, Violations(std::move(details)));
  if (list->size() > kEventsPerBatchMax) {
    return Refuse(call, {.status = 413,
                         .code = "too_many_events",
                         .message = fmt::format("{} events, a batch has at most {}; none was taken", list->size(), kEventsPerBatchMax)});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<Event> events;
  events.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    // The whole body is at most 1 MB, so only a large one can hold an event that is too large.
    if (call.request.body.size() > kEventBytesMax &&
        (*list)[i].dump(-1, ' ', false, json::error_handler_t::replace).size() > kEventBytesMax) {
      return Refuse(call, {.status = 413,
                           .code = "too_large",
                           .message = fmt::format("event {} has more than {} bytes; none was taken", i, kEventBytesMax)});
    }
    events.push_back(ReadEvent(call, (*list)[i], "/events/" + std::to_string(i), **keys));
  }
  TakeEvents(std::move(call), std::move(events), [](Batch& batch) {
    Call& c = *batch.call;
    if (NothingTaken(batch)) return Refuse(c, {.status = 503, .code = "unavailable", .message = kNotTaken});
    http::Headers headers;
    AddTokens(batch, headers);
    Json verdicts = Json::array();
    for (size_t i = 0; i < batch.events.size(); ++i) verdicts.push_back(VerdictJson(batch.events[i], batch.verdicts[i]));
    Answer(c, 202, {{"events", std::move(verdicts)}}, std::move(headers));
  });
}

}  // namespace maily::api
