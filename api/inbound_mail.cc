// See inbound_mail.h.
#include "api/inbound_mail.h"

#include <array>
#include <atomic>
#include <mutex>

#include "api/handlers.h"
#include "api/inbound_fate.h"
#include "api/routes.h"
#include "api/submit.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

using inbound::Meaning;
using inbound::What;

constexpr Duration kQuarantineLogEvery = Seconds(60);

struct Meters {
  std::array<observe::Counter, std::size(inbound::kAllWhats)> mails;
  std::array<observe::Counter, std::size(kFateNames)> results;

  Meters() {
    auto& metrics = observe::Metrics::Process();
    for (const What what : inbound::kAllWhats) {
      mails[static_cast<size_t>(what)] =
          metrics.AddCounter("maily_inbound_mails_total", "Mails that came back, by what they are.", {{"what", inbound::WhatName(what)}});
    }
    for (size_t i = 0; i < results.size(); ++i) {
      results[i] =
          metrics.AddCounter("maily_inbound_results_total", "Mails that came back, by what became of them.", {{"result", kFateNames[i]}});
    }
  }
};
const Meters& Metered() {
  static const Meters* const meters = new Meters();
  return *meters;
}

// Says once a minute at most how many mails were of no send of ours: whoever floods this host does not flood its log.
void NoteQuarantine(Clock& clock, What what) {
  static std::mutex mutex;
  static Duration logged_at;
  static uint64_t forged = 0;
  static uint64_t nobody = 0;
  const std::lock_guard lock(mutex);
  ++(what == What::kForged ? forged : nobody);
  const Duration now = clock.Steady();
  if (logged_at.us != 0 && now - logged_at < kQuarantineLogEvery) return;
  logged_at = now;
  observe::Log(observe::Level::kWarn, "mails came back that are of no send of ours; they were counted and dropped",
               {{"forged", std::exchange(forged, 0)}, {"without_token", std::exchange(nobody, 0)}});
}

struct Taken {
  What what = What::kNobody;
  Fate result = Fate::kUnavailable;
  Verdicts verdicts = {};
};
using TakenDone = std::move_only_function<void(Taken)>;

void Finish(Taken taken, TakenDone& done) {
  Metered().results[static_cast<size_t>(taken.result)].Add();
  std::exchange(done, nullptr)(std::move(taken));
}

void Submit(Shared& api, const Meaning& meaning, const std::string& actor, const TraceId& trace, TakenDone done) {
  SubmitNews(api, meaning.commands, actor, trace, [what = meaning.what, done = std::move(done)](Verdicts verdicts) mutable {
    const Fate fate = FateOf(verdicts);
    Finish({.what = what, .result = fate, .verdicts = std::move(verdicts)}, done);
  });
}

struct Came {
  std::vector<std::string> recipients = {};
  std::string_view mail;
  std::string_view source;
  TenantId only = {};  // none: of any tenant
  std::string actor;
  TraceId trace;
};

// Blocking; `done` once, on any thread.
void TakeMail(Shared& api, const Came& came, TakenDone done) {
  const auto meaning = inbound::Interpret(came.recipients, came.mail, came.source, api.parts.inbound, came.only);
  if (!meaning) {
    observe::Log(observe::Level::kError, "a mail that came back cannot be taken now", {{"error", meaning.error()}});
    return Finish({}, done);
  }
  Metered().mails[static_cast<size_t>(meaning->what)].Add();
  if (meaning->what == What::kForged || meaning->what == What::kNobody) {
    NoteQuarantine(api.parts.clock, meaning->what);
    return Finish({.what = meaning->what, .result = Fate::kQuarantined}, done);
  }
  if (meaning->commands.empty()) return Finish({.what = meaning->what, .result = Fate::kNothing}, done);
  Submit(api, *meaning, came.actor, came.trace, std::move(done));
}

}  // namespace

InboundMail::InboundMail(const Dependencies& dependencies) : api_(std::make_shared<Shared>(dependencies)) {}
InboundMail::~InboundMail() = default;

void InboundMail::Recipient(const Endpoint& /*peer*/, const mail::Envelope& /*envelope*/, const mail::Mailbox& recipient,
                            mail::Answer answer) {
  if (inbound::MayBeOurs(recipient.local)) return answer({250, "2.1.5", "recipient ok"});
  answer(mail::Reply::Refuse(550, "5.1.1", "no such recipient here"));
}

void InboundMail::Take(const Endpoint& /*peer*/, mail::Mail mail, mail::Answer answer) {
  TakeFrom("smtp", std::move(mail), std::move(answer));
}

void InboundMail::TakeFrom(std::string_view source, mail::Mail mail, mail::Answer answer) {
  Executor& blocking = api_->blocking();
  blocking.Post([api = api_, source, mail = std::move(mail), answer = std::move(answer)]() mutable {
    Came came{.mail = mail.data, .source = source, .actor = "inbound", .trace = http::NewTraceId()};
    for (const mail::Mailbox& recipient : mail.envelope.recipients) came.recipients.push_back(recipient.local + "@" + recipient.domain);
    TakeMail(*api, came, [answer = std::move(answer)](const Taken& taken) mutable {
      answer(taken.result == Fate::kUnavailable ? mail::Reply::Defer("it cannot be kept now; try again later")
                                                : mail::Reply::Accept("taken"));
    });
  });
}

void TakeInbound(Call call) {
  const std::string_view type = call.request.headers["content-type"];
  if (type.substr(0, type.find(';')) != kMailType)
    return Refuse(call, {.status = 415, .code = "unsupported_media_type", .message = "send message/rfc822"});
  if (call.request.body.empty()) return Refuse(call, {.status = 400, .code = "missing", .message = "there is no mail in the body"});
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call)]() mutable {
    const auto api = call.api;
    const std::string mail = std::move(call.request.body);
    const Came came{.mail = mail, .source = "http", .only = call.caller.tenant, .actor = call.caller.actor, .trace = call.request.trace_id};
    TakeMail(*api, came, [call = std::move(call)](const Taken& taken) mutable {
      if (taken.result == Fate::kUnavailable) {
        return Refuse(call, {.status = 503, .code = "unavailable", .message = "this cannot be taken now; send it again, it is harmless"});
      }
      Answer(call, 202, {{"what", inbound::WhatName(taken.what)}, {"result", kFateNames[static_cast<size_t>(taken.result)]}},
             TokenOf(call, taken.verdicts));
    });
  });
}

void NameInboundMetrics() { Metered(); }

}  // namespace maily::api
