// See tracking.h. One-click: RFC 8058 §3.2.
#include "api/tracking.h"

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "maily/engagements/v1/commands.pb.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using http::Request;
using http::Respond;
using http::Response;
using schema::TrackingId;
using schema::TrackingKind;

// 1 × 1, transparent.
constexpr std::string_view kPixel("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02"
                                  "D\x01\x00;",
                                  43);
constexpr Duration kSweep = Milliseconds(50);
constexpr size_t kCampaignsCached = 1000;

Response Pixel() {
  Response response;
  response.headers.Add("content-type", "image/gif");
  response.headers.Add("cache-control", "no-store, private, max-age=0");
  response.body = kPixel;
  return response;
}

Response Page(int status, std::string_view body) {
  Response response = Response::Html(status, fmt::format("<!doctype html><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
                                                         "<title>Unsubscribe</title><body style=\"font-family:sans-serif;max-width:30em;margin:3em auto\">{}",
                                                         body));
  response.headers.Add("cache-control", "no-store");
  return response;
}

class Tracking : public std::enable_shared_from_this<Tracking> {
 public:
  explicit Tracking(const TrackingNeeds& needs) : needs_(needs) {
    auto& metrics = observe::Metrics::Process();
    unrecorded_ = metrics.AddCounter("maily_tracking_unrecorded_total", "Opens and clicks that were answered before, or without, being durable.");
    forged_ = metrics.AddCounter("maily_tracking_forged_total", "Requests whose token is not authentic.");
    opens_ = metrics.AddCounter("maily_tracking_signals_total", "Authentic opens and clicks.", {{"kind", "open"}});
    clicks_ = metrics.AddCounter("maily_tracking_signals_total", "Authentic opens and clicks.", {{"kind", "click"}});
  }

  void Open(const Request& request, Respond respond) {
    std::string_view token = request.Param("token");
    if (token.ends_with(".gif")) token.remove_suffix(4);
    const auto id = schema::DecodeTrackingId(token, needs_.keyring);
    if (!id || id->kind != TrackingKind::kOpen || request.method == http::Method::kHead) {
      if (!id) forged_.Add();
      return respond(Pixel());
    }
    opens_.Add();
    engagements::v1::RecordOpen open;
    open.set_campaign_id(id->campaign_id);
    open.set_ordinal(id->ordinal);
    Signal(*id, request, open, Pixel(), std::move(respond));
  }

  void Click(const Request& request, Respond respond) {
    const auto id = schema::DecodeTrackingId(request.Param("token"), needs_.keyring);
    if (!id || id->kind != TrackingKind::kClick) {
      forged_.Add();
      return respond(Page(404, "<p>This link is not one of ours.</p>"));
    }
    const auto links = LinksOf(id->tenant, id->campaign_id);
    if (!links || id->link >= links->size()) return respond(Page(404, "<p>This link leads nowhere any more.</p>"));
    Response redirect = Response::Redirect((*links)[id->link]);
    redirect.headers.Add("cache-control", "no-store");
    if (request.method == http::Method::kHead) return respond(std::move(redirect));  // a prefetch, not a click
    clicks_.Add();
    engagements::v1::RecordClick click;
    click.set_campaign_id(id->campaign_id);
    click.set_ordinal(id->ordinal);
    click.set_link(id->link);
    Signal(*id, request, click, std::move(redirect), std::move(respond));
  }

  void ShowUnsubscribe(const Request& request, Respond respond) const {
    const auto id = schema::DecodeTrackingId(request.Param("token"), needs_.keyring);
    if (!id || id->kind != TrackingKind::kUnsubscribe) return respond(Page(404, "<p>This link is not one of ours.</p>"));
    respond(Page(200, "<h1>Unsubscribe</h1><p>Do you want no more of these mails?</p><form method=\"post\"><button>Unsubscribe</button></form>"));
  }

  void Unsubscribe(const Request& request, Respond respond) const {
    const auto id = schema::DecodeTrackingId(request.Param("token"), needs_.keyring);
    if (!id || id->kind != TrackingKind::kUnsubscribe) return respond(Page(404, "<p>This link is not one of ours.</p>"));
    engagements::v1::RecordUnsubscribe unsubscribe;
    unsubscribe.set_campaign_id(id->campaign_id);
    unsubscribe.set_ordinal(id->ordinal);
    unsubscribe.set_method(request.body.find("List-Unsubscribe=One-Click") != std::string::npos ? "one_click" : "page");
    Send(*id, request, unsubscribe, [respond = std::move(respond)](const Result<CommandAt>& sent) mutable {
      if (sent) return respond(Page(200, "<p>You are unsubscribed.</p>"));
      Response later = Page(503, "<p>That did not work just now. Please try again in a minute.</p>");
      later.headers.Add("retry-after", "30");
      respond(std::move(later));
    });
  }

 private:
  // An answer that leaves when the signal is durable, or when patience ends: whichever comes first.
  struct Pending {
    std::atomic<bool> answered = false;
    Respond respond;
    Response response;
    Duration until;

    void Answer() {
      if (!answered.exchange(true)) respond(std::move(response));
    }
  };

  template <class Message>
  void Signal(const TrackingId& id, const Request& request, const Message& message, Response response, Respond respond) {
    auto pending = std::make_shared<Pending>();
    pending->respond = std::move(respond);
    pending->response = std::move(response);
    pending->until = needs_.clock.Steady() + kSignalPatience;
    bool arm = false;
    {
      const std::lock_guard lock(mutex_);
      while (!pending_.empty() && pending_.front()->answered) pending_.pop_front();
      pending_.push_back(pending);
      arm = !std::exchange(sweeping_, true);
    }
    if (arm) Sweep();
    Send(id, request, message, [this, pending](const Result<CommandAt>& sent) {
      if (!sent && !pending->answered) unrecorded_.Add();
      pending->Answer();
    });
  }

  template <class Message>
  void Send(const TrackingId& id, const Request& request, const Message& message, command::Sent sent) const {
    thread_local std::string payload;
    payload.clear();
    message.AppendToString(&payload);
    command::Command command;
    command.id = needs_.entropy.template NextId<CommandId>();
    command.type = TypeNumberOf<Message>();
    command.tenant = id.tenant;
    command.actor = "tracking";
    command.occurred_at = needs_.clock.Now();
    command.trace = request.trace_id;
    command.payload = payload;
    needs_.sender.Send(id.partition, command, Sync::kNow, std::move(sent));
  }

  void Sweep() {
    needs_.executor.After(kSweep, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self) return;
      const Duration now = self->needs_.clock.Steady();
      std::vector<std::shared_ptr<Pending>> late;
      bool again = true;
      {
        const std::lock_guard lock(self->mutex_);
        while (!self->pending_.empty() && (self->pending_.front()->answered || self->pending_.front()->until <= now)) {
          if (!self->pending_.front()->answered) late.push_back(self->pending_.front());
          self->pending_.pop_front();
        }
        again = self->sweeping_ = !self->pending_.empty();
      }
      for (const auto& pending : late) {
        self->unrecorded_.Add();
        pending->Answer();
      }
      if (again) self->Sweep();
    });
  }

  std::shared_ptr<const std::vector<std::string>> LinksOf(TenantId tenant, uint64_t campaign) {
    const std::pair<TenantId, uint64_t> key(tenant, campaign);
    {
      const std::shared_lock lock(links_mutex_);
      if (const auto found = links_.find(key); found != links_.end()) return found->second;
    }
    auto asked = needs_.links(tenant, campaign);
    if (!asked) return nullptr;
    auto links = std::make_shared<const std::vector<std::string>>(std::move(*asked));
    const std::unique_lock lock(links_mutex_);
    if (links_.size() >= kCampaignsCached) links_.clear();
    links_[key] = links;
    return links;
  }

  const TrackingNeeds& needs_;
  observe::Counter unrecorded_, forged_, opens_, clicks_;
  std::mutex mutex_;  // guards the two below
  std::deque<std::shared_ptr<Pending>> pending_;
  bool sweeping_ = false;
  std::shared_mutex links_mutex_;  // guards the one below
  std::map<std::pair<TenantId, uint64_t>, std::shared_ptr<const std::vector<std::string>>> links_;
};

}  // namespace

void AddTrackingRoutes(http::Router& router, const TrackingNeeds& needs) {
  auto tracking = std::make_shared<Tracking>(needs);
  using enum http::Method;
  router.Add({.method = kGet, .pattern = "/o/{token}", .handler = [tracking](const Request& request, Respond respond) { tracking->Open(request, std::move(respond)); }});
  router.Add({.method = kGet, .pattern = "/c/{token}", .handler = [tracking](const Request& request, Respond respond) { tracking->Click(request, std::move(respond)); }});
  router.Add({.method = kGet, .pattern = "/u/{token}", .handler = [tracking](const Request& request, Respond respond) { tracking->ShowUnsubscribe(request, std::move(respond)); }});
  router.Add({.method = kPost, .pattern = "/u/{token}", .handler = [tracking](const Request& request, Respond respond) { tracking->Unsubscribe(request, std::move(respond)); },
              .body_bytes_max = 16 * 1024});
}

}  // namespace maily::api
