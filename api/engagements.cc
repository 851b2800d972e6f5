// See engagements.h.
#include "api/engagements.h"

#include <cmath>

#include "api/body.h"
#include "api/read.h"
#include "api/submit.h"
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
constexpr const char* kNotTaken = "the log cannot take events now; send them again, their ids make that harmless";
constexpr size_t kPlainBytesMax = 60 * 1024;  // of the message: what the envelope and the seal add fits into a command

struct Event {
  std::string id;  // as given, if it is text
  std::vector<ProblemDetail> wrong;
  RecordContactEvent command;
  uint64_t contact_id = 0;  // instead of a key
  Order order;
  Verdict verdict;  // if nothing is wrong
};

void ReadRevenue(Members& event, RecordContactEvent& command) {
  if (const auto cents = event.Integer("revenue_cents", 0, int64_t{1} << 50)) command.set_revenue_cents(*cents);
  const bool has_cents = event.Has("revenue_cents");
  if (auto revenue = event.Nested("revenue")) {
    if (has_cents) event.Violation("revenue", "twice", "give revenue or revenue_cents, not both");
    const auto amount = revenue->object().find("amount");
    if (amount == revenue->object().end() || !amount->is_number()) {
      revenue->Violation("amount", amount == revenue->object().end() ? "missing" : "wrong_type",
                         "must be a number in units of the currency");
    } else {
      const double cents = amount->get<double>() * 100;
      if (!(cents >= 0) || cents > 1e15 || std::abs(cents - std::round(cents)) > 1e-6 * std::max(1.0, cents)) {
        revenue->Violation("amount", "out_of_range", "must be 0 or more, with at most two digits behind the point");
      } else {
        command.set_revenue_cents(static_cast<int64_t>(std::llround(cents)));
      }
    }
    if (const auto currency = revenue->Text("currency", 3, kRequired)) command.set_currency(*currency);
  }
  if (const auto currency = event.Text("currency", 3)) command.set_currency(*currency);
  const std::string& currency = command.currency();
  if (!currency.empty() && (currency.size() != 3 || !std::ranges::all_of(currency, [](char c) { return c >= 'A' && c <= 'Z'; }))) {
    event.Violation("currency", "invalid_currency", "is an ISO 4217 code, three capitals");
  }
}

// Whom the event is about, by address or id.
void ReadContact(Members& who, const keyring::TenantKeys& keys, Event& event) {
  const auto email = who.Text("email", kEmailBytesMax);
  const auto id = who.Text("id", 20);
  if (email.has_value() == id.has_value()) {
    who.Violation("", "invalid_contact", "say who: {\"email\": …} or {\"id\": \"…\"}");
  } else if (email) {
    const auto address = schema::ParseAddress(*email);
    if (address) {
      event.command.set_contact_key(schema::ContactKey(keys, address->normalised));
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

// What one event says; what is wrong with it goes to `wrong`.
Event ReadEvent(Call& call, const json& value, const std::string& path, const keyring::TenantKeys& keys) {
  Event event;
  if (!value.is_object()) {
    event.wrong.push_back({.path = path, .code = "wrong_type", .hint = "an event is an object"});
    return event;
  }
  Members members(value, path, event.wrong);
  RecordContactEvent& command = event.command;
  if (const auto id = members.Text("id", kIdBytesMax, kRequired)) {
    event.id = *id;
    command.set_event_id(*id);
  }
  if (const auto type = members.Text("type", kTypeBytesMax, kRequired)) command.set_name(*type);
  if (auto who = members.Nested("contact", kRequired)) ReadContact(*who, keys, event);
  if (const auto text = members.Text("occurred_at", 40)) {
    const auto us = ParseRfc3339(*text);
    if (!us) {
      members.Violation("occurred_at", "invalid_time", us.error().message);
    } else if (Instant{*us} > call.api->parts.clock.Now() + kAheadMax) {
      members.Violation("occurred_at", "in_the_future", "is more than five minutes ahead");
    } else {
      event.order.occurred_at = Instant{*us};
    }
  }
  ReadRevenue(members, command);
  if (const json* properties = members.Object("properties")) command.set_properties(properties->dump());
  members.RefuseUnknown();
  if (command.ByteSizeLong() > kPlainBytesMax)
    members.Violation("", "too_large", fmt::format("an event has at most {} bytes", kPlainBytesMax));
  return event;
}

// The contact's key, for events that name it by its id. Blocking.
Result<void> FindContact(Call& call, Event& event) {
  if (event.contact_id == 0) return Ok();
  MAILY_TRY(const Rows rows, QueryOwn(call, "contact", {{"contact_id", Number(event.contact_id)}}));
  if (rows.empty()) {
    event.wrong.push_back({.path = "/contact/id", .code = "unknown_contact", .hint = "there is no contact of that id"});
  } else {
    event.command.set_contact_key(rows.at(0, "contact_key").bytes);
  }
  return Ok();
}

// Seals the properties if there are any, and makes the order.
void Complete(Call& call, Event& event, const keyring::SubjectKey* key) {
  RecordContactEvent& command = event.command;
  const Instant occurred_at = event.order.occurred_at;
  event.order = gw::PlainOrder(command, command.contact_key());
  event.order.occurred_at = occurred_at;
  event.order.natural_key = "event/" + event.id;
  if (occurred_at.us != 0) PutFixed(event.order.plain, occurred_at.us);  // part of what must be equal; the payload below is what is sent
  event.order.payload = command.SerializeAsString();
  if (key == nullptr) return;
  schema::SealPersonal(command, call.caller.tenant, *key, call.api->parts.entropy);
  event.order.payload = command.SerializeAsString();
}

Json VerdictJson(const Event& event) {
  const Verdict& verdict = event.verdict;
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
    out["pending"] = true;
    return out;
  }
  const json answer = AnswerOf(verdict);
  if (IsDone(verdict)) {
    out["verdict"] = verdict.outcome == Outcome::kDuplicate ? "duplicate" : "accepted";
  } else if (verdict.outcome == Outcome::kReused) {
    reject("conflict", "event_id_reused", "this id came before with another event");
  } else {
    reject("rejected", answer.value("code", "refused"), answer.value("message", "the event was refused"));
  }
  return out;
}

using Events = std::vector<Event>;
using DoneFn = std::move_only_function<void(Call& call, const Events& events, http::Headers token)>;

// 503 if nothing of what is right was taken; else `done` with the token of what was.
void SubmitEvents(Call call, Events events, DoneFn done) {
  std::vector<Order> orders;
  std::vector<size_t> places;  // of the orders' events
  for (size_t i = 0; i < events.size(); ++i) {
    if (!events[i].wrong.empty()) continue;
    orders.push_back(std::move(events[i].order));
    places.push_back(i);
  }
  auto decided = [events = std::move(events), places = std::move(places), done = std::move(done)](Call& c,
                                                                                                  std::vector<Verdict>& verdicts) mutable {
    const bool nothing = std::ranges::all_of(verdicts, [](const Verdict& v) { return v.kind == Verdict::Kind::kUnavailable; });
    if (nothing && !verdicts.empty()) return Refuse(c, {.status = 503, .code = "unavailable", .message = kNotTaken});
    http::Headers token = TokenOf(c, verdicts);
    for (size_t i = 0; i < verdicts.size(); ++i) events[places[i]].verdict = std::move(verdicts[i]);
    done(c, events, std::move(token));
  };
  SubmitAll(std::move(call), orders, kEventTimeout, std::move(decided));
}

bool IsSealed(const Event& event) { return event.wrong.empty() && !event.command.properties().empty(); }

// Seals what has to be, then submits.
void SealEvents(Call call, Events events, DoneFn done) {
  std::vector<std::string> subjects;
  for (const Event& event : events) {
    if (IsSealed(event)) subjects.push_back(event.command.contact_key());
  }
  gw::SubjectKeys& keys_of_contacts = call.api->gateway.subject_keys();
  const TenantId tenant = call.caller.tenant;
  auto complete = [call = std::move(call), events = std::move(events),
                   done = std::move(done)](Result<std::vector<keyring::SubjectKey>> keys) mutable {
    if (!keys) return Refuse(call, keys.error());
    size_t next = 0;
    for (Event& event : events) {
      if (event.wrong.empty()) Complete(call, event, IsSealed(event) ? &(*keys)[next++] : nullptr);
    }
    SubmitEvents(std::move(call), std::move(events), std::move(done));
  };
  if (subjects.empty()) return complete(std::vector<keyring::SubjectKey>());
  keys_of_contacts.Get(tenant, std::move(subjects), std::move(complete));
}

// Finds what has to be, then goes on.
void TakeEvents(Call call, Events events, DoneFn done) {
  const bool blocks = std::ranges::any_of(events, [](const Event& event) { return event.contact_id != 0; });
  Executor& blocking = call.api->blocking();
  auto prepare = [call = std::move(call), events = std::move(events), done = std::move(done)]() mutable {
    for (Event& event : events) {
      if (const auto found = FindContact(call, event); !found) return Refuse(call, found.error());
    }
    SealEvents(std::move(call), std::move(events), std::move(done));
  };
  if (!blocks) return prepare();
  blocking.Post(std::move(prepare));
}

}  // namespace

void RecordEvent(Call call) {
  Body body(call);
  if (!body.Parsed(call)) return;
  if (call.request.body.size() > kEventBytesMax) {
    return Refuse(call, {.status = 413, .code = "too_large", .message = fmt::format("an event has at most {} bytes", kEventBytesMax)});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  Events events;
  events.push_back(ReadEvent(call, body.object(), "", **keys));
  if (!events[0].wrong.empty()) return Refuse(call, Violations(std::move(events[0].wrong)));
  TakeEvents(std::move(call), std::move(events), [](Call& c, const Events& taken, http::Headers token) {
    const Json verdict = VerdictJson(taken[0]);
    const std::string kind = verdict["verdict"];
    if (kind == "accepted" || kind == "duplicate") return Answer(c, 202, verdict, std::move(token));
    Refuse(c, http::Problem{.status = kind == "conflict" ? 409 : 422, .code = verdict["code"], .message = verdict["reason"]});
  });
}

void RecordEvents(Call call) {
  Body body(call);
  const json* list = body.Array("events", SIZE_MAX, kRequired);
  if (!body.Accepted(call)) return;
  if (list->size() > kEventsPerBatchMax) {
    return Refuse(call, {.status = 413,
                         .code = "too_many_events",
                         .message = fmt::format("{} events, a batch has at most {}; none was taken", list->size(), kEventsPerBatchMax)});
  }
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  Events events;
  events.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const json& event = (*list)[i];
    // The whole body is at most 1 MB, so only a large one can hold an event that is too large.
    if (call.request.body.size() > kEventBytesMax && event.dump(-1, ' ', false, json::error_handler_t::replace).size() > kEventBytesMax) {
      return Refuse(call, {.status = 413,
                           .code = "too_large",
                           .message = fmt::format("event {} has more than {} bytes; none was taken", i, kEventBytesMax)});
    }
    events.push_back(ReadEvent(call, event, "/events/" + std::to_string(i), **keys));
  }
  TakeEvents(std::move(call), std::move(events), [](Call& c, const Events& taken, http::Headers token) {
    Json verdicts = Json::array();
    for (const Event& event : taken) verdicts.push_back(VerdictJson(event));
    Answer(c, 202, {{"events", std::move(verdicts)}}, std::move(token));
  });
}

void CountEngagements(Call call) {
  Read(std::move(call), "engagement_count", [](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, "engagement_count", {{"type", Value::Text(c.request.Query("type").value_or(""))}}));
    return RowJson(rows, 0);
  });
}

}  // namespace maily::api
