// See webhooks.h. A request: Check (who says so), Read (what it says), Take (what it becomes); each on a blocking executor.
#include "api/webhooks.h"

#include <algorithm>
#include <array>

#include "api/esp/mailgun.h"
#include "api/esp/postmark.h"
#include "api/esp/sendgrid.h"
#include "api/esp/ses.h"
#include "api/esp/sns.h"
#include "api/handlers.h"
#include "api/inbound/provider.h"
#include "api/inbound_fate.h"
#include "api/signal_keys.h"
#include "api/submit.h"
#include "maily/sends/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "streams/command/command.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using esp::Kind;
using esp::Provider;
using observe::Level;

// Of the tenant `default`: what is no tenant's own lives in its home.
constexpr TenantId kPlatformTenant(1);

constexpr Provider kProviders[] = {Provider::kSes, Provider::kSendGrid, Provider::kPostmark, Provider::kMailgun};
constexpr size_t kKinds = static_cast<size_t>(Kind::kResubscribed) + 1;
constexpr size_t kFates = std::size(kFateNames);
constexpr Duration kLogEvery = Seconds(60);

// What a request came to.
enum class Answered : uint8_t { kTaken, kConfirmed, kUnauthorized, kMalformed, kUnavailable };
constexpr const char* kAnsweredNames[] = {"taken", "confirmed", "unauthorized", "malformed", "unavailable"};

struct Meters {
  std::array<std::array<observe::Counter, kKinds>, std::size(kProviders)> notices;
  std::array<std::array<observe::Counter, kFates + 1>, std::size(kProviders)> results;  // the last: it cannot be read
  std::array<std::array<observe::Counter, std::size(kAnsweredNames)>, std::size(kProviders)> requests;

  Meters() {
    auto& metrics = observe::Metrics::Process();
    for (size_t p = 0; p < std::size(kProviders); ++p) {
      const std::string provider = esp::ProviderName(kProviders[p]);
      for (size_t i = 0; i < kKinds; ++i) {
        notices[p][i] = metrics.AddCounter("maily_webhook_notices_total", "Notices of email service providers, by what they tell.",
                                           {{"provider", provider}, {"kind", esp::KindName(static_cast<Kind>(i))}});
      }
      for (size_t i = 0; i <= kFates; ++i) {
        results[p][i] = metrics.AddCounter("maily_webhook_results_total", "Notices of email service providers, by what became of them.",
                                           {{"provider", provider}, {"result", i < kFates ? kFateNames[i] : "unreadable"}});
      }
      for (size_t i = 0; i < std::size(kAnsweredNames); ++i) {
        requests[p][i] = metrics.AddCounter("maily_webhook_requests_total", "Requests of email service providers, by their answer.",
                                            {{"provider", provider}, {"answer", kAnsweredNames[i]}});
      }
    }
  }
};
const Meters& Metered() {
  static const Meters* const meters = new Meters();
  return *meters;
}

// A line once a minute at most, with the number of those that it stands for: whoever floods this route does not flood the log.
class Seldom {
 public:
  void Log(Clock& clock, Level level, const char* what, const std::string& provider, const std::string& why) {
    const std::lock_guard lock(mutex_);
    ++count_;
    const Duration now = clock.Steady();
    if (logged_at_.us != 0 && now - logged_at_ < kLogEvery) return;
    logged_at_ = now;
    observe::Log(level, what, {{"provider", provider}, {"why", why}, {"count", std::exchange(count_, 0)}});
  }

 private:
  std::mutex mutex_;
  Duration logged_at_;
  uint64_t count_ = 0;
};
Seldom& UnauthorizedLog() {
  static auto* const log = new Seldom();
  return *log;
}
Seldom& StrangeLog() {
  static auto* const log = new Seldom();
  return *log;
}

// A request under way.
struct Post {
  Call call;
  Provider provider = Provider::kSes;

  Webhooks& webhooks() const { return *call.api->parts.webhooks; }
  Clock& clock() const { return call.api->parts.clock; }
  esp::Window WindowOf(Duration tolerance) const { return {clock().Now(), tolerance}; }
};

void End(Post& post, Answered answered, const http::Problem& problem) {
  Metered().requests[static_cast<size_t>(post.provider)][static_cast<size_t>(answered)].Add();
  Refuse(post.call, problem);
}

// What kept it from being verified.
void Reject(Post& post, const Error& error) {
  if (error.code != Code::kInvalid) {
    observe::Log(Level::kWarn, "a webhook cannot be verified now", {{"provider", esp::ProviderName(post.provider)}, {"error", error}});
    return End(post, Answered::kUnavailable,
               {.status = 503, .code = "unavailable", .message = "this cannot be verified now; send it again, it is harmless"});
  }
  UnauthorizedLog().Log(post.clock(), Level::kWarn, "webhooks were refused", esp::ProviderName(post.provider), error.message);
  // Providers ask for a password only once they are told to (RFC 7617 §2).
  End(post, Answered::kUnauthorized,
      {.status = 401, .code = "unauthorized", .message = error.message, .headers = {{"www-authenticate", "Basic realm=\"maily\""}}});
}

bool IsSet(const esp::Secret& secret) { return !secret.in_url.empty() || !secret.password.empty(); }

bool Takes(const WebhookSettings& settings, Provider provider) {
  switch (provider) {
    case Provider::kSes:
      return !settings.ses_topics.empty();
    case Provider::kSendGrid:
      return settings.sendgrid_key != nullptr;
    case Provider::kPostmark:
      return IsSet(settings.postmark);
    case Provider::kMailgun:
      return !settings.mailgun_key.empty();
  }
  return false;
}

// One notice on its way: its place in the answer's counts.
struct Tally {
  size_t notices = 0, unreadable = 0, unknown = 0;
  std::array<size_t, kFates> fates{};
};

void AnswerTaken(Post& post, const Tally& tally) {
  if (tally.fates[static_cast<size_t>(Fate::kUnavailable)] > 0) {
    return End(post, Answered::kUnavailable,
               {.status = 503, .code = "unavailable", .message = "this cannot be taken now; send it again, it is harmless"});
  }
  Metered().requests[static_cast<size_t>(post.provider)][static_cast<size_t>(Answered::kTaken)].Add();
  Json body{{"notices", tally.notices}, {"unreadable", tally.unreadable}, {"unknown", tally.unknown}};
  for (size_t i = 0; i < kFates; ++i) {
    if (i != static_cast<size_t>(Fate::kUnavailable)) body[kFateNames[i]] = tally.fates[i];
  }
  Answer(post.call, 200, body);
}

void CountFate(Provider provider, Fate fate, Tally& tally) {
  ++tally.fates[static_cast<size_t>(fate)];
  Metered().results[static_cast<size_t>(provider)][static_cast<size_t>(fate)].Add();
}

// Notices that are not known here, as commands. What stands in them may name anyone: it is sealed as signals of readers are.
void AddStrange(std::span<const esp::Notice> strange, const std::string& provider, const keyring::SubjectKey& key, Entropy& entropy,
                std::vector<inbound::Command>& commands) {
  for (const esp::Notice& notice : strange) {
    sends::v1::KeepNotice kept;
    kept.set_provider(provider);
    kept.set_kind(notice.cls.empty() ? notice.type : notice.type + "/" + notice.cls);
    kept.set_notice(notice.raw);
    gateway::Order order = gateway::PlainOrder(kept, schema::HomeKey(kPlatformTenant));
    order.natural_key = fmt::format("webhook/{}/{}", provider, notice.dedup_id);
    schema::SealPersonal(kept, kPlatformTenant, key, entropy);
    order.payload = kept.SerializeAsString();
    commands.push_back({kPlatformTenant, std::move(order)});
  }
}

// Submits them all and answers. The first `known` of the commands are news of sends.
void SubmitAndAnswer(Post post, const std::vector<inbound::Command>& commands, size_t known, Tally tally) {
  const auto api = post.call.api;
  const TraceId trace = post.call.request.trace_id;
  const std::string actor = fmt::format("webhook/{}", esp::ProviderName(post.provider));
  SubmitNews(*api, commands, actor, trace, [post = std::move(post), known, tally](const Verdicts& verdicts) mutable {
    for (size_t i = 0; i < verdicts.size(); ++i) {
      const Fate fate = FateOf({&verdicts[i], 1});
      CountFate(post.provider, i < known || fate == Fate::kUnavailable ? fate : Fate::kNothing, tally);
    }
    AnswerTaken(post, tally);
  });
}

// Kept out of the answer until all is durable.
void Take(Post post, const esp::Elements& elements) {
  Tally tally;
  std::vector<inbound::Command> commands;
  std::vector<esp::Notice> strange;
  const std::string provider = esp::ProviderName(post.provider);
  const auto& meters = Metered();
  for (const auto& [position, notice] : elements) {
    if (!notice) {
      ++tally.unreadable;
      meters.results[static_cast<size_t>(post.provider)][kFates].Add();
      StrangeLog().Log(post.clock(), Level::kWarn, "webhooks have elements that cannot be taken", provider,
                       fmt::format("element {}: {}", position, notice.error().message));
      continue;
    }
    ++tally.notices;
    meters.notices[static_cast<size_t>(post.provider)][static_cast<size_t>(notice->kind)].Add();
    if (notice->kind == Kind::kUnknown) {
      ++tally.unknown;
      StrangeLog().Log(post.clock(), Level::kWarn, "webhooks have elements that are kept as dead letters", provider,
                       fmt::format("element {}: its type '{} {}' is not known", position, notice->type, notice->cls));
      strange.push_back(*notice);
      continue;
    }
    auto meaning = inbound::InterpretNotice(*notice, post.call.api->parts.inbound);
    if (!meaning) {
      observe::Log(Level::kError, "a webhook cannot be taken now", {{"provider", provider}, {"error", meaning.error()}});
      CountFate(post.provider, Fate::kUnavailable, tally);
      return AnswerTaken(post, tally);
    }
    if (meaning->what == inbound::What::kForged || meaning->what == inbound::What::kNobody) {
      CountFate(post.provider, Fate::kQuarantined, tally);
    } else if (meaning->commands.empty()) {
      CountFate(post.provider, Fate::kNothing, tally);
    } else {
      commands.push_back(std::move(meaning->commands.front()));
    }
  }
  const size_t known = commands.size();
  if (strange.empty()) return SubmitAndAnswer(std::move(post), commands, known, tally);
  const auto api = post.call.api;
  std::string subject = SignalSubject(post.clock().Now());
  api->gateway.subject_keys().Get(
      kPlatformTenant, {std::move(subject)},
      [post = std::move(post), provider, strange = std::move(strange), commands = std::move(commands), known, tally](auto keys) mutable {
        if (!keys) {
          observe::Log(Level::kError, "a webhook cannot be taken now", {{"provider", provider}, {"error", keys.error()}});
          CountFate(post.provider, Fate::kUnavailable, tally);
          return AnswerTaken(post, tally);
        }
        AddStrange(strange, provider, keys->front(), post.call.api->parts.entropy, commands);
        SubmitAndAnswer(std::move(post), commands, known, tally);
      });
}

// A GET of the URL that SNS gave subscribes; SNS asks again if it is not told so.
void Confirm(Post post, const std::string& url, const std::string& topic) {
  Executor& blocking = post.call.api->blocking();
  Fetch& fetch = post.webhooks().fetch;
  fetch.Get(url, blocking, [post = std::move(post), topic](const Fetched& fetched) mutable {
    if (!fetched.answered() || fetched.status != 200) {
      observe::Log(Level::kWarn, "a subscription of SNS cannot be confirmed now",
                   {{"topic", topic}, {"why", fetched.answered() ? fmt::format("HTTP status {}", fetched.status) : fetched.reason}});
      return End(post, Answered::kUnavailable,
                 {.status = 503, .code = "unavailable", .message = "the subscription cannot be confirmed now; ask again"});
    }
    observe::Log(Level::kInfo, "a subscription of SNS is confirmed", {{"topic", topic}});
    Metered().requests[static_cast<size_t>(post.provider)][static_cast<size_t>(Answered::kConfirmed)].Add();
    Answer(post.call, 200, {{"confirmed", true}});
  });
}

void ReadAndTake(Post post, Result<esp::Elements> elements) {
  if (!elements) return End(post, Answered::kMalformed, {.status = 400, .code = "invalid", .message = elements.error().message});
  Take(std::move(post), *elements);
}

// An envelope of SNS. Its certificate may have to be fetched first: then it is looked at again.
enum class Try : uint8_t { kFirst, kWithCertificate };
void TakeEnvelope(Post post, Try tried) {
  Webhooks& webhooks = post.webhooks();
  std::string missing;
  const auto certificate_at = [&](const std::string& url) {
    auto found = webhooks.certificates.Find(url);
    if (!found && found.error().code == Code::kNotFound) missing = url;
    return found;
  };
  const auto envelope = esp::sns::Verify(
      post.call.request.body,
      {.topics = webhooks.settings.ses_topics, .certificate_at = certificate_at, .window = post.WindowOf(esp::sns::kTolerance)});
  if (!missing.empty() && tried == Try::kFirst) {
    Executor& blocking = post.call.api->blocking();
    return webhooks.certificates.Get(missing, blocking,
                                     [post = std::move(post)]() mutable { TakeEnvelope(std::move(post), Try::kWithCertificate); });
  }
  if (!envelope) return Reject(post, envelope.error());
  switch (envelope->type) {
    case esp::sns::Type::kNotification:
      return ReadAndTake(std::move(post), esp::ses::Read(envelope->message));
    case esp::sns::Type::kSubscriptionConfirmation:
      return Confirm(std::move(post), envelope->subscribe_url, envelope->topic_arn);
    case esp::sns::Type::kUnsubscribeConfirmation:
      observe::Log(Level::kWarn, "a subscription of SNS has ended: nothing is told of its mails any more",
                   {{"topic", envelope->topic_arn}});
      Metered().requests[static_cast<size_t>(post.provider)][static_cast<size_t>(Answered::kConfirmed)].Add();
      return Answer(post.call, 200, {{"confirmed", false}});
  }
}

// Raw delivery has no signature: the secret in the URL stands for it.
void TakeSes(Post post) {
  const http::Headers& headers = post.call.request.headers;
  if (headers["x-amz-sns-rawdelivery"] != "true") return TakeEnvelope(std::move(post), Try::kFirst);
  const WebhookSettings& settings = post.webhooks().settings;
  const std::string in_url = post.call.request.Query("secret").value_or("");
  auto verified = esp::VerifySecret({headers["authorization"], in_url}, settings.ses_raw);
  if (verified && std::ranges::find(settings.ses_topics, headers["x-amz-sns-topic-arn"]) == settings.ses_topics.end())
    verified = Fail(Code::kInvalid, "it is of a topic of SNS that is not configured: compare the ARN");
  if (!verified) return Reject(post, verified.error());
  const auto elements = esp::ses::Read(post.call.request.body);
  ReadAndTake(std::move(post), elements);
}

// Durable before anything of the notice is: whoever has a token first has it, in whatever process.
void TakeToken(Post post, const std::string& token, const std::string& dedup_id, std::move_only_function<void(Post)> then) {
  gateway::Order order;
  order.type = command::kTakeKeyCommand;
  order.plain = dedup_id;
  order.payload = "key";  // the plaintext is hashed, not stored
  order.key = schema::HomeKey(kPlatformTenant);
  order.natural_key = "webhook/mailgun/" + token;
  const gateway::Asker asker{kPlatformTenant, "webhook/mailgun", post.call.request.trace_id};
  gateway::Gateway& gateway = post.call.api->gateway;
  gateway.Submit(asker, order, kDecisionTimeout, [post = std::move(post), then = std::move(then)](const gateway::Verdict& verdict) mutable {
    if (IsDone(verdict)) return then(std::move(post));
    if (verdict.kind == gateway::Verdict::Kind::kDecided)
      return Reject(post, Fail(Code::kInvalid, "its signature was used for another event"));
    Reject(post, Fail(Code::kRetry, "it is not known yet whether its signature was used before"));
  });
}

void TakeMailgun(Post post) {
  const Webhooks& webhooks = post.webhooks();
  const auto token = esp::mailgun::Verify(post.call.request.body, webhooks.settings.mailgun_key, post.WindowOf(esp::mailgun::kTolerance));
  if (!token) return Reject(post, token.error());
  auto elements = esp::mailgun::Read(post.call.request.body);
  if (!elements || !elements->front().notice) return ReadAndTake(std::move(post), std::move(elements));
  const std::string dedup_id = elements->front().notice->dedup_id;
  TakeToken(std::move(post), *token, dedup_id,
            [elements = std::move(elements)](Post taken) mutable { ReadAndTake(std::move(taken), std::move(elements)); });
}

void Check(Post post) {
  const http::Request& request = post.call.request;
  const WebhookSettings& settings = post.webhooks().settings;
  switch (post.provider) {
    case Provider::kSes:
      return TakeSes(std::move(post));
    case Provider::kMailgun:
      return TakeMailgun(std::move(post));
    case Provider::kSendGrid: {
      const esp::sendgrid::Headers headers{request.headers["x-twilio-email-event-webhook-signature"],
                                           request.headers["x-twilio-email-event-webhook-timestamp"]};
      const auto verified = esp::sendgrid::Verify(request.body, headers, *settings.sendgrid_key, post.WindowOf(esp::sendgrid::kTolerance));
      if (!verified) return Reject(post, verified.error());
      auto elements = esp::sendgrid::Read(request.body);
      return ReadAndTake(std::move(post), std::move(elements));
    }
    case Provider::kPostmark: {
      const std::string in_url = request.Query("secret").value_or("");
      const auto verified = esp::postmark::Verify({request.headers["authorization"], in_url}, settings.postmark);
      if (!verified) return Reject(post, verified.error());
      auto elements = esp::postmark::Read(request.body);
      return ReadAndTake(std::move(post), std::move(elements));
    }
  }
}

}  // namespace

void TakeWebhook(Call call) {
  const auto provider =
      std::ranges::find_if(kProviders, [&](Provider each) { return call.request.Param("provider") == esp::ProviderName(each); });
  const auto& webhooks = call.api->parts.webhooks;
  if (provider == std::end(kProviders) || webhooks == nullptr || !Takes(webhooks->settings, *provider))
    return Refuse(call, NoSuch("webhook"));
  Executor& blocking = call.api->blocking();
  blocking.Post([post = Post{std::move(call), *provider}]() mutable { Check(std::move(post)); });
}

void NameWebhookMetrics() { Metered(); }

}  // namespace maily::api
