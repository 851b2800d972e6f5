// See inbox.h.
#include "api/inbox.h"

#include <algorithm>
#include <exception>

#include "api/call.h"
#include "api/handlers.h"
#include "schemas/json.h"
#include "streams/observe/logging.h"

namespace maily::api {
namespace {

using nlohmann::json;
using Kind = InboxVerdict::Kind;
using Done = std::move_only_function<void(InboxVerdict)>;

constexpr InboxType kTypes[] = {
    {"maily.engagements.v1.RecordContactEvent", "/v1/events"},
    {"maily.contacts.v1.UpsertContact", "/v1/contacts"},
    {"maily.suppressions.v1.AddSuppression", "/v1/suppressions"},
};
constexpr void (*kHandlers[])(Call) = {RecordEvent, UpsertContact, AddSuppression};
constexpr size_t kEvents = 0;  // of kTypes

InboxVerdict Refused(InboxRefusal why) { return {.kind = Kind::kRefused, .why = std::move(why)}; }

// Data of an event of a contact with the members that the attributes stand for.
std::variant<std::string, InboxRefusal> EventBody(const InboxEvent& event) {
  auto parsed = schema::ParseJson(event.data);
  if (!parsed) return InboxRefusal{"malformed_json", "the data are no acceptable JSON: " + parsed.error().message, ""};
  if (!parsed->is_object()) return InboxRefusal{"wrong_type", "the data must be a JSON object", ""};
  for (const char* name : {"id", "occurred_at"}) {
    if (parsed->contains(name)) {
      return InboxRefusal{"twice", fmt::format("is said by the attribute {}: leave it out", name[0] == 'i' ? "id" : "time"),
                          std::string("/") + name};
    }
  }
  (*parsed)["id"] = event.name;
  if (!event.time.empty()) (*parsed)["occurred_at"] = event.time;
  return parsed->dump(-1, ' ', false, json::error_handler_t::replace);
}

InboxVerdict VerdictOf(const http::Response& response) {
  const json body = json::parse(response.body, nullptr, false);
  const auto text = [&body](const char* name) { return body.is_object() ? body.value(name, std::string()) : std::string(); };
  if (response.status >= 200 && response.status < 300) {
    if (text("status") == "pending" || (body.is_object() && body.value("pending", false))) return {};
    return {.kind = text("verdict") == "duplicate" ? Kind::kDuplicate : Kind::kAccepted, .why = {}};
  }
  InboxRefusal why{.code = text("code"), .message = text("message"), .field = ""};
  if (response.status == 503 || why.code == "request_under_way") return {.kind = Kind::kAgain, .why = std::move(why)};
  if (response.status >= 500) return {.kind = Kind::kBroken, .why = std::move(why)};
  if (body.contains("details") && !body["details"].empty()) why.field = body["details"][0].value("path", std::string());
  return Refused(std::move(why));
}

// An answer to a request that nobody sent: gives its verdict once, also if it is dropped unanswered.
class Answerer {
 public:
  explicit Answerer(Done done) : done_(std::move(done)) {}
  Answerer(Answerer&&) = default;
  Answerer& operator=(Answerer&&) = delete;
  ~Answerer() {
    if (done_) done_({.kind = Kind::kBroken, .why = {"internal", "the record was dropped without an answer", ""}});
  }
  void operator()(const http::Response& response) {
    if (done_) std::exchange(done_, nullptr)(VerdictOf(response));
  }

 private:
  Done done_;
};

}  // namespace

std::span<const InboxType> InboxTypes() { return kTypes; }

Inbox::Inbox(const Dependencies& dependencies) : api_(std::make_shared<Shared>(dependencies)) {}
Inbox::~Inbox() = default;

void Inbox::Take(const InboxRecord& record, Done done) {
  auto read = ReadInboxEvent(record);
  if (auto* refusal = std::get_if<InboxRefusal>(&read)) return done(Refused(std::move(*refusal)));
  auto& event = std::get<InboxEvent>(read);
  const auto* const type = std::ranges::find(kTypes, std::string_view(event.type), &InboxType::type);
  if (type == std::end(kTypes)) {
    std::vector<std::string> known;
    for (const InboxType& one : kTypes) known.emplace_back(one.type);
    const std::string near = Nearest(event.type, known);
    return done(
        Refused({"unknown_type", "events of this type are not taken here" + (near.empty() ? "" : "; did you mean " + near + "?"), "type"}));
  }
  const auto index = static_cast<size_t>(type - kTypes);
  Call call{.api = api_, .request = {}, .caller = {}, .respond = {}};
  call.caller.tenant = record.tenant;
  call.caller.actor = record.actor;
  call.request.method = http::Method::kPost;
  call.request.target = type->path;
  call.request.trace_id = event.trace.IsZero() ? http::NewTraceId() : event.trace;
  if (!event.content_type.empty()) call.request.headers.Add("content-type", event.content_type);
  if (index == kEvents) {
    auto body = EventBody(event);
    if (auto* refusal = std::get_if<InboxRefusal>(&body)) return done(Refused(std::move(*refusal)));
    call.request.body = std::move(std::get<std::string>(body));
  } else {
    call.request.body = std::move(event.data);
    call.natural_key = "inbox/" + event.name;
  }
  call.respond = [answer = Answerer(std::move(done))](const http::Response& response) mutable { answer(response); };
  try {
    kHandlers[index](std::move(call));
  } catch (const std::exception& error) {  // the call died, and so answered
    observe::Log(observe::Level::kError, "a record of the inbox", {{"tenant", record.tenant}, {"error", error.what()}});
  }
}

}  // namespace maily::api
