// See client.h.
#include "tests/sim/client.h"

namespace maily::simulation {
namespace {

constexpr Duration kAgain = Milliseconds(100);
constexpr Duration kPatience = Seconds(30);  // with a process that says nothing: it may be stopped
constexpr size_t kPiece = 8192;              // of an upload

// 412: the read models do not show yet what the read must see. 409: the last attempt still goes on.
bool IsNotNow(const Answer& answer, bool is_upload) {
  const int status = answer.status;
  const std::string code = answer.body.is_object() ? answer.body.value("code", "") : "";
  return status == 412 || status == 429 || status == 503 || status == 504 ||
         (status == 409 && (is_upload || code == "request_under_way")) ||
         (status == 202 && answer.body.is_object() && answer.body.value("status", "") == "pending");
}

}  // namespace

// A request, or an upload, over all its attempts.
struct Client::State : std::enable_shared_from_this<Client::State> {
  struct Order {
    Asked asked;
    bool is_upload = false;
    std::function<void(const Answer&)> done;
  };

  void Try(const std::shared_ptr<Order>& order);
  void TryUpload(Site& site, const std::shared_ptr<Order>& order, const std::shared_ptr<Attempt>& attempt);
  void Again(const std::shared_ptr<Order>& order) {
    executor->After(kAgain, [weak = weak_from_this(), order] {
      if (const auto self = weak.lock()) self->Try(order);
    });
  }
  http::Request RequestOf(const Order& order) const {
    http::Request request{.method = order.asked.method, .target = order.asked.target, .body = order.is_upload ? "" : order.asked.body};
    request.trace_id.bytes[0] = 7;
    request.headers.Add("authorization", "Bearer " + key);
    if (!order.asked.idempotency_key.empty()) request.headers.Add("idempotency-key", order.asked.idempotency_key);
    if (order.is_upload) request.headers.Add("content-type", "text/csv");
    return request;
  }
  void Finish(const std::shared_ptr<Order>& order, const Answer& answer) {
    if (IsNotNow(answer, order->is_upload)) return Again(order);
    if (answer.status >= 500 && wrong.empty())
      wrong = fmt::format("{} was answered {} {}", order->asked.target, answer.status, answer.body.dump());
    --under_way;
    order->done(answer);
  }

  std::unique_ptr<Executor> executor;
  std::function<Site*()> site;
  std::string key;
  size_t under_way = 0;
  std::string wrong;
};

// One try of a request: over by an answer, by patience that ends, or with the process that would have answered.
struct Client::Attempt {
  ~Attempt() {
    const auto state = client.lock();
    if (!over && state) state->Again(order);
  }
  void Answered(http::Response response) {
    if (std::exchange(over, true)) return;
    const auto state = client.lock();
    if (!state) return;
    Answer answer{.status = response.status,
                  .body = nlohmann::json::parse(response.body, nullptr, false),
                  .token = std::string(response.headers["maily-consistency-token"])};
    state->executor->Post([state, order = order, answer = std::move(answer)] { state->Finish(order, answer); });
  }

  std::weak_ptr<State> client;
  std::shared_ptr<State::Order> order;
  bool over = false;
};

// A file on its way, piece by piece; the site keeps it.
struct Client::Uploading : std::enable_shared_from_this<Client::Uploading> {
  void Next() {
    if (attempt->over) return sink->OnAbort();
    if (at < attempt->order->asked.body.size()) {
      const std::string piece = attempt->order->asked.body.substr(at, kPiece);
      at += piece.size();
      return sink->OnData(piece, [weak = weak_from_this(), client = attempt->client] {
        const auto state = client.lock();
        if (!state) return;
        state->executor->Post([weak] {
          if (const auto self = weak.lock()) self->Next();
        });
      });
    }
    sink->OnEnd([attempt = attempt](http::Response response) { attempt->Answered(std::move(response)); });
  }
  std::unique_ptr<http::BodySink> sink;
  std::shared_ptr<Attempt> attempt;
  size_t at = 0;
};

void Client::State::Try(const std::shared_ptr<Order>& order) {
  Site* const reached = site();
  if (reached == nullptr) return Again(order);
  auto attempt = std::make_shared<Attempt>();
  attempt->client = weak_from_this();
  attempt->order = order;
  executor->After(kPatience, [weak = std::weak_ptr(attempt), self = weak_from_this()] {
    const auto late = weak.lock();
    const auto state = self.lock();
    if (!late || !state || std::exchange(late->over, true)) return;
    state->Again(late->order);
  });
  if (order->is_upload) return TryUpload(*reached, order, attempt);
  http::Request request = RequestOf(*order);
  const auto match = reached->router().Find(request.method, request.path(), request.params);
  MAILY_CHECK(match.route != nullptr, "no route {}", order->asked.target);
  match.route->handler(std::move(request), [attempt](http::Response response) { attempt->Answered(std::move(response)); });
}

void Client::State::TryUpload(Site& reached, const std::shared_ptr<Order>& order, const std::shared_ptr<Attempt>& attempt) {
  http::Request request = RequestOf(*order);
  const auto match = reached.router().Find(request.method, request.path(), request.params);
  MAILY_CHECK(match.route != nullptr && match.route->open, "no route {}", order->asked.target);
  auto opened = match.route->open(request);
  if (auto* refused = std::get_if<http::Response>(&opened)) return attempt->Answered(std::move(*refused));
  auto uploading = std::make_shared<Uploading>();
  uploading->sink = std::move(std::get<0>(opened));
  uploading->attempt = attempt;
  reached.Keep(uploading);
  uploading->Next();
}

Client::Client(sim::Scheduler& scheduler, std::function<Site*()> site) : state_(std::make_shared<State>()) {
  state_->executor = scheduler.MakeExecutor();
  state_->site = std::move(site);
}
Client::~Client() = default;

void Client::UseKey(std::string key) { state_->key = std::move(key); }

void Client::Ask(Asked asked, std::function<void(const Answer&)> done) {
  ++state_->under_way;
  state_->Try(std::make_shared<State::Order>(State::Order{std::move(asked), false, std::move(done)}));
}

void Client::Tell(const Asked& asked) {
  Site* const reached = state_->site();
  if (reached == nullptr) return;
  http::Request request = state_->RequestOf({asked, false, {}});
  const auto match = reached->router().Find(request.method, request.path(), request.params);
  MAILY_CHECK(match.route != nullptr, "no route {}", asked.target);
  match.route->handler(std::move(request), [](const http::Response&) {});
}

void Client::Upload(std::string target, std::string file, std::string idempotency_key, std::function<void(const Answer&)> done) {
  ++state_->under_way;
  Asked asked{http::Method::kPost, std::move(target), std::move(file), std::move(idempotency_key)};
  state_->Try(std::make_shared<State::Order>(State::Order{std::move(asked), true, std::move(done)}));
}

size_t Client::under_way() const { return state_->under_way; }
std::string Client::wrong() const { return state_->wrong; }

}  // namespace maily::simulation
