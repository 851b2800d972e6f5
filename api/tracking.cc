// See tracking.h.
#include "api/tracking.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "api/call.h"
#include "api/signal_keys.h"
#include "maily/engagements/v1/commands.pb.h"
#include "schemas/agent.h"
#include "schemas/message_id.h"
#include "schemas/network.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using engagements::v1::RecordClick;
using engagements::v1::RecordHoneypot;
using engagements::v1::RecordOpen;
using engagements::v1::RecordUnsubscribe;
using http::Request;
using http::Respond;
using http::Response;
using schema::TrackingId;
using schema::TrackingKind;

constexpr size_t kCampaignsKept = 4096;  // whose links are in memory
constexpr size_t kOptOutBodyMax = 64 * 1024;

// A transparent GIF of one pixel (GIF89a, 43 bytes).
constexpr char kPixel[] =
    "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02"
    "\x02\x44\x01\x00\x3b";

struct Meters {
  observe::Counter opens = Signals("open", "recorded");
  observe::Counter clicks = Signals("click", "recorded");
  observe::Counter traps = Signals("honeypot", "recorded");
  observe::Counter opt_outs = Signals("unsubscribe", "recorded");
  observe::Counter opens_lost = Signals("open", "unrecorded");
  observe::Counter clicks_lost = Signals("click", "unrecorded");
  observe::Counter traps_lost = Signals("honeypot", "unrecorded");
  observe::Counter opt_outs_refused = Signals("unsubscribe", "unrecorded");
  observe::Counter late =
      observe::Metrics::Process().AddCounter("maily_tracking_late_total", "Signals that were answered before they were durable.");
  observe::Counter forged =
      observe::Metrics::Process().AddCounter("maily_tracking_forged_total", "Requests with a token that is not ours.");

  static observe::Counter Signals(const char* kind, const char* result) {
    return observe::Metrics::Process().AddCounter(
        "maily_tracking_signals_total", "Signals of mails: opens, clicks, followed honeypots, opt-outs; unrecorded = their append failed.",
        {{"kind", kind}, {"result", result}});
  }
};
const Meters& Metered() {
  static const Meters* const meters = new Meters();
  return *meters;
}

using Links = std::unordered_map<uint32_t, std::string>;

// Link tables of campaigns; they never change. Readers share a lock.
class LinkTables {
 public:
  // Null: not known here.
  std::shared_ptr<const Links> Find(TenantId tenant, uint64_t campaign_id) const {
    const std::shared_lock lock(mutex_);
    const auto found = tables_.find({tenant.value(), campaign_id});
    return found == tables_.end() ? nullptr : found->second;
  }
  void Keep(TenantId tenant, uint64_t campaign_id, std::shared_ptr<const Links> links) {
    const std::unique_lock lock(mutex_);
    if (tables_.size() >= kCampaignsKept) tables_.clear();
    tables_.insert_or_assign({tenant.value(), campaign_id}, std::move(links));
  }

 private:
  struct Hash {
    size_t operator()(const std::pair<uint32_t, uint64_t>& key) const { return key.first * 0x9E3779B97F4A7C15ULL ^ key.second; }
  };
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::pair<uint32_t, uint64_t>, std::shared_ptr<const Links>, Hash> tables_;
};

// A signal in flight: answered once, by its append or by time.
struct Signal {
  std::atomic<bool> answered = false;
  Respond respond;
  Response response;
};
// True if it was this call that answered.
bool AnswerOnce(Signal& signal) {
  if (signal.answered.exchange(true)) return false;
  signal.respond(std::move(signal.response));
  return true;
}

// Answers signals that wait for kSignalWait: all wait equally long, so they stand in a queue with one timer, not in one timer each.
class Overdue : public std::enable_shared_from_this<Overdue> {
 public:
  Overdue(Executor& executor, Clock& clock) : executor_(executor), clock_(clock) {}

  void Add(std::shared_ptr<Signal> signal) {
    const Duration due = clock_.Steady() + kSignalWait;
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(due, std::move(signal));
    if (!std::exchange(armed_, true)) Arm(kSignalWait);
  }

 private:
  void Arm(Duration delay) {
    executor_.After(delay, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Sweep();
    });
  }
  void Sweep() {
    std::vector<std::shared_ptr<Signal>> due;
    {
      const Duration now = clock_.Steady();
      const std::lock_guard lock(mutex_);
      while (!waiting_.empty() && (waiting_.front().first <= now || waiting_.front().second->answered.load(std::memory_order_relaxed))) {
        if (!waiting_.front().second->answered.load(std::memory_order_relaxed)) due.push_back(std::move(waiting_.front().second));
        waiting_.pop_front();
      }
      armed_ = !waiting_.empty();
      if (armed_) Arm(waiting_.front().first - now + Milliseconds(5));
    }
    for (const auto& signal : due) {
      if (AnswerOnce(*signal)) Metered().late.Add();
    }
  }

  Executor& executor_;
  Clock& clock_;
  std::mutex mutex_;
  std::deque<std::pair<Duration, std::shared_ptr<Signal>>> waiting_;
  bool armed_ = false;
};

struct Tracking : std::enable_shared_from_this<Tracking> {
  std::shared_ptr<Shared> api;
  LinkTables links;
  std::shared_ptr<Overdue> overdue;
  std::unique_ptr<SignalKeys> signal_keys;
};

Response NoStore(Response response) {
  response.headers.Add("cache-control", "no-store, max-age=0");
  return response;
}
Response Pixel() {
  Response response;
  response.headers.Add("content-type", "image/gif");
  response.body.assign(kPixel, sizeof(kPixel) - 1);
  return NoStore(std::move(response));
}
Response Redirect(std::string_view target) {
  Response response = NoStore(Response::Redirect(target));
  response.headers.Add("referrer-policy", "no-referrer");
  return response;
}

void Forged(const Request& request, Respond& respond) {
  Metered().forged.Add();
  respond(http::ToResponse({.status = 404, .code = "not_found", .message = "there is no such link"}, request.trace_id, "/"));
}

Result<TrackingId> Decode(Tracking& tracking, std::string_view token, TrackingKind kind) {
  MAILY_TRY(const TrackingId id, schema::DecodeTrackingId(token, tracking.api->parts.keyring));
  if (id.kind != kind || id.partition.value() >= tracking.api->parts.log.partition_count)
    return Fail(Code::kInvalid, "a token of another kind");
  return id;
}

template <class M>
void Send(Tracking& tracking, const TrackingId& id, const TraceId& trace, const M& message, command::Sent sent) {
  gateway::Order order;
  order.type = TypeNumberOf<M>();
  message.SerializeToString(&order.payload);
  order.partition = id.partition;
  static const std::string actor = "tracking";
  tracking.api->gateway.Append({id.tenant, actor, trace}, order, std::move(sent));
}

// Puts what is in the fields of `message` into boxes; without a key it clears them.
template <class M>
void SealSignals(Tracking& tracking, const TrackingId& id, const keyring::SubjectKey* key, M& message) {
  if (key == nullptr) return schema::ClearPersonal(message);
  Entropy& entropy = tracking.api->parts.entropy;
  message.set_user_agent(schema::Seal(id.tenant, *key, "user_agent", message.user_agent(), entropy));
  if (!message.ip().empty()) message.set_ip(schema::Seal(id.tenant, *key, "ip", message.ip(), entropy));
}

// Appends, then answers; after kSignalWait answers anyway.
template <class M>
void Record(Tracking& tracking, const TrackingId& id, const Request& request, Respond respond, Response response, M message,
            const observe::Counter& recorded, const observe::Counter& lost) {
  auto signal = std::make_shared<Signal>();
  signal->respond = std::move(respond);
  signal->response = std::move(response);
  tracking.overdue->Add(signal);
  const auto send = [&tracking, id, trace = request.trace_id, signal, &recorded, &lost](const keyring::SubjectKey* key, M& sealed) {
    SealSignals(tracking, id, key, sealed);
    Send(tracking, id, trace, sealed, [signal, &recorded, &lost](Result<CommandAt> at) {
      (at ? recorded : lost).Add();
      AnswerOnce(*signal);
    });
  };
  const std::string_view agent = request.headers["user-agent"];
  const bool scans = tracking.api->parts.scanner_networks.Contains(request.peer);
  message.set_agent(scans ? engagements::v1::AGENT_SCANNER : schema::ClassifyAgent(agent));
  message.set_user_agent(schema::BoundedAgent(agent));
  message.set_ip(schema::NetworkOf(request.peer));
  const Instant now = tracking.api->parts.clock.Now();
  if (const auto key = tracking.signal_keys->Find(id.tenant, now)) return send(&*key, message);
  tracking.signal_keys->Get(id.tenant, now, [send, self = tracking.shared_from_this(), message = std::move(message)](auto key) mutable {
    send(key ? &*key : nullptr, message);
  });
}

void Open(Tracking& tracking, Request request, Respond respond) {
  std::string_view token = request.Param("token");
  if (token.ends_with(".gif")) token.remove_suffix(4);
  const auto id = Decode(tracking, token, TrackingKind::kOpen);
  if (!id || request.method != http::Method::kGet) {
    if (!id) Metered().forged.Add();
    return respond(Pixel());
  }
  RecordOpen message;
  message.set_campaign_id(id->campaign_id);
  message.set_ordinal(id->ordinal);
  Record(tracking, *id, request, std::move(respond), Pixel(), message, Metered().opens, Metered().opens_lost);
}

void Follow(Tracking& tracking, const TrackingId& id, const Request& request, Respond respond, const Links& links) {
  const auto target = links.find(id.link);
  if (target == links.end()) return Forged(request, respond);
  if (request.method != http::Method::kGet) return respond(Redirect(target->second));
  RecordClick message;
  message.set_campaign_id(id.campaign_id);
  message.set_ordinal(id.ordinal);
  message.set_link(id.link);
  Record(tracking, id, request, std::move(respond), Redirect(target->second), message, Metered().clicks, Metered().clicks_lost);
}

// A token that is none of a link: of the link that nobody sees, or forged.
void Trap(Tracking& tracking, Request request, Respond respond) {
  const auto id = Decode(tracking, request.Param("token"), TrackingKind::kHoneypot);
  if (!id) return Forged(request, respond);
  Response nothing = NoStore(Response::Html(200, "<!doctype html><title></title>"));
  if (request.method != http::Method::kGet) return respond(std::move(nothing));
  RecordHoneypot message;
  message.set_campaign_id(id->campaign_id);
  message.set_ordinal(id->ordinal);
  Record(tracking, *id, request, std::move(respond), std::move(nothing), message, Metered().traps, Metered().traps_lost);
}

void Click(const std::shared_ptr<Tracking>& tracking, Request request, Respond respond) {
  const auto id = Decode(*tracking, request.Param("token"), TrackingKind::kClick);
  if (!id) return Trap(*tracking, std::move(request), std::move(respond));
  if (const auto links = tracking->links.Find(id->tenant, id->campaign_id))
    return Follow(*tracking, *id, request, std::move(respond), *links);
  Executor& blocking = tracking->api->blocking();
  blocking.Post([tracking, id = *id, request = std::move(request), respond = std::move(respond)]() mutable {
    const auto rows = tracking->api->parts.views.Query(
        schema::IsMessage(id.campaign_id) ? "message_links" : "campaign_links",
        {{"tenant", sql::Value::Integer(id.tenant.value())},
         {schema::IsMessage(id.campaign_id) ? "message_id" : "campaign_id", sql::Value::Integer(static_cast<int64_t>(id.campaign_id))}});
    if (!rows) return respond(http::ToResponse(http::ProblemOf(rows.error()), request.trace_id, "/"));
    auto links = std::make_shared<Links>();
    for (size_t row = 0; row < rows->size(); ++row)
      links->emplace(static_cast<uint32_t>(rows->at(row, "link").integer), rows->at(row, "target").bytes);
    // An authentic token whose campaign the view does not show yet: not kept, so that it is asked again.
    if (!links->empty()) tracking->links.Keep(id.tenant, id.campaign_id, links);
    if (links->empty()) {
      return respond(
          http::ToResponse({.status = 503, .code = "unavailable", .message = "this link cannot be followed at the moment; try again"},
                           request.trace_id, "/"));
    }
    Follow(*tracking, id, request, std::move(respond), *links);
  });
}

Response Page(std::string_view title, std::string_view body) {
  Response response = NoStore(Response::Html(
      200,
      fmt::format(
          "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
          "<meta name=\"robots\" content=\"noindex\"><title>{}</title><style>body{{font:18px/1.5 system-ui,sans-serif;margin:15vh auto;"
          "max-width:30em;padding:0 1em;text-align:center}}button{{font:inherit;padding:.5em 2em}}</style></head><body>{}</body></html>",
          title, body)));
  response.headers.Add("referrer-policy", "no-referrer");
  response.headers.Add("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'");
  return response;
}

void ShowOptOut(Tracking& tracking, Request request, Respond respond) {
  if (!Decode(tracking, request.Param("token"), TrackingKind::kUnsubscribe)) return Forged(request, respond);
  respond(Page("Unsubscribe",
               "<h1>Unsubscribe</h1><p>You will get no more marketing mail from this sender.</p>"
               "<form method=\"post\"><button type=\"submit\">Unsubscribe</button></form>"));
}

void OptOut(Tracking& tracking, Request request, Respond respond) {
  const auto id = Decode(tracking, request.Param("token"), TrackingKind::kUnsubscribe);
  if (!id) return Forged(request, respond);
  RecordUnsubscribe message;
  message.set_campaign_id(id->campaign_id);
  message.set_ordinal(id->ordinal);
  message.set_method(request.body.find("One-Click") != std::string::npos ? "one_click" : "page");
  auto signal = std::make_shared<Signal>();
  signal->respond = std::move(respond);
  const auto refused = [](const TraceId& trace) {
    return NoStore(http::ToResponse({.status = 503, .code = "unavailable", .message = "the opt-out could not be stored; please try again"},
                                    trace, "/"));
  };
  Executor& executor = tracking.api->parts.executor;
  const TimerId timer = executor.After(kOptOutWait, [signal, refused, trace = request.trace_id] {
    if (!signal->answered.exchange(true)) signal->respond(refused(trace));
  });
  Send(tracking, *id, request.trace_id, message, [signal, refused, &executor, timer, trace = request.trace_id](Result<CommandAt> at) {
    (at ? Metered().opt_outs : Metered().opt_outs_refused).Add();
    if (!signal->answered.exchange(true)) {
      signal->respond(at ? Page("Unsubscribed", "<h1>Done</h1><p>You are unsubscribed.</p>") : refused(trace));
    }
    executor.Post([&executor, timer] { executor.Cancel(timer); });
  });
}

}  // namespace

std::vector<http::Route> TrackingRoutes(std::shared_ptr<Shared> api) {
  Metered();  // named in /metrics from the start
  auto tracking = std::make_shared<Tracking>();
  tracking->overdue = std::make_shared<Overdue>(api->parts.executor, api->parts.clock);
  tracking->signal_keys = std::make_unique<SignalKeys>(api->gateway.subject_keys(), api->parts.keyring);
  tracking->api = std::move(api);
  using http::Method;
  std::vector<http::Route> routes;
  routes.push_back({.method = Method::kGet, .pattern = "/o/{token}", .handler = [tracking](Request request, Respond respond) {
                      Open(*tracking, std::move(request), std::move(respond));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/c/{token}", .handler = [tracking](Request request, Respond respond) {
                      Click(tracking, std::move(request), std::move(respond));
                    }});
  routes.push_back({.method = Method::kGet, .pattern = "/u/{token}", .handler = [tracking](Request request, Respond respond) {
                      ShowOptOut(*tracking, std::move(request), std::move(respond));
                    }});
  routes.push_back({.method = Method::kPost,
                    .pattern = "/u/{token}",
                    .handler = [tracking](Request request, Respond respond) { OptOut(*tracking, std::move(request), std::move(respond)); },
                    .body_bytes_max = kOptOutBodyMax});
  return routes;
}

}  // namespace maily::api
