// See site_home.h.
#include "processors/effects/smtp/site_home.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/sites/v1/commands.pb.h"
#include "schemas/codec.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/observe/logging.h"
#include "streams/port/topic.h"

namespace maily::smtp {
namespace {

constexpr TenantId kPlatform{0};
constexpr std::string_view kActor = "effect:smtp";
constexpr Duration kDelayMin = Milliseconds(100);
constexpr Duration kDelayMax = Seconds(5);
constexpr Duration kAnswerTimeout = Seconds(10);

}  // namespace

struct SiteHome::Message {
  std::string site;
  PartitionId partition;
  TypeNumber type = 0;
  std::string payload;
  CommandId id;
  std::string natural_key;
  Instant at;
  std::function<void(const std::string& answer)> answered;  // of what is asked
  Job durable;                                              // of what is told
  Duration delay = kDelayMin;
};

namespace {

sites::v1::SiteRefusals RefusalsOf(const SiteChange& change) {
  sites::v1::SiteRefusals refusals;
  refusals.set_refused(change.refusals.refused);
  refusals.set_replies(change.refusals.replies);
  refusals.set_limit_percent(change.refusals_percent);
  refusals.set_window(change.refusals_window);
  return refusals;
}

}  // namespace

void SiteHome::Report(const SiteChange& change) {
  if (change.kind == SiteChange::Kind::kSlowed || change.kind == SiteChange::Kind::kRefused) {
    sites::v1::SlowSite slow;
    slow.set_site(change.site);
    slow.set_reply_code(change.reply_code);
    slow.set_enhanced_code(change.enhanced_code);
    slow.set_reply_text(change.reply_text);
    slow.set_pause_us(change.pause.us);
    if (change.refusals.replies > 0) *slow.mutable_refusals() = RefusalsOf(change);
    Tell(change.site, TypeNumberOf<sites::v1::SlowSite>(), schema::Encode(slow));
    if (change.kind == SiteChange::Kind::kSlowed) return;
    sites::v1::SuspendSite suspend;
    suspend.set_site(change.site);
    suspend.set_reason(fmt::format("it refuses the sender ({} {}): {} of its last {} replies, limit {} % of {}", change.reply_code,
                                   change.enhanced_code, change.refusals.refused, change.refusals.replies, change.refusals_percent,
                                   change.refusals_window));
    *suspend.mutable_refusals() = RefusalsOf(change);
    Tell(change.site, TypeNumberOf<sites::v1::SuspendSite>(), schema::Encode(suspend));
  } else if (change.kind == SiteChange::Kind::kRecovered) {
    sites::v1::RecoverSite recover;
    recover.set_site(change.site);
    Tell(change.site, TypeNumberOf<sites::v1::RecoverSite>(), schema::Encode(recover));
  }
}

void SiteHome::Tell(const std::string& site, TypeNumber type, std::string payload, Job durable) {
  const CommandId id = entropy_.NextId<CommandId>();
  const auto message = std::make_shared<Message>(Message{.site = site,
                                                         .partition = PartitionOf(schema::SiteKey(site), partition_count_),
                                                         .type = type,
                                                         .payload = std::move(payload),
                                                         .id = id,
                                                         .natural_key = "site/" + id.ToHex(),
                                                         .at = clock_.Now(),
                                                         .answered = {},
                                                         .durable = std::move(durable)});
  executor_.Post([weak = weak_from_this(), message] {
    const auto self = weak.lock();
    if (!self) return;
    if (self->telling_ >= kSiteTellsMax) {
      observe::Log(observe::Level::kWarn, "what happened at a site is not recorded: too much waits for the log",
                   {{"site", message->site}, {"waiting", self->telling_}});
      if (message->durable) message->durable();
      return;
    }
    ++self->telling_;
    self->Send(message);
  });
}

void SiteHome::Ask(const std::string& site, TypeNumber type, std::string payload, std::function<void(const std::string& answer)> done) {
  const CommandId id = entropy_.NextId<CommandId>();
  const auto message = std::make_shared<Message>(Message{.site = site,
                                                         .partition = PartitionOf(schema::SiteKey(site), partition_count_),
                                                         .type = type,
                                                         .payload = std::move(payload),
                                                         .id = id,
                                                         .natural_key = "site/" + id.ToHex(),
                                                         .at = clock_.Now(),
                                                         .answered = std::move(done),
                                                         .durable = {}});
  executor_.Post([weak = weak_from_this(), message] {
    if (const auto self = weak.lock()) self->Send(message);
  });
}

void SiteHome::Send(const std::shared_ptr<Message>& message) {
  command::Command command;
  command.id = message->id;
  command.type = message->type;
  command.tenant = kPlatform;
  command.actor = kActor;
  command.occurred_at = message->at;
  command.natural_key = message->natural_key;
  command.payload = message->payload;
  if (message->answered) {
    replies_.Await(message->id, executor_, kAnswerTimeout, [weak = weak_from_this(), message](Result<command::Reply> reply) {
      const auto self = weak.lock();
      if (!self) return;
      if (!reply) return self->Again(message, reply.error().message);
      message->answered(reply->answer);
    });
    // One that is not appended is asked again when nobody has answered.
    return sender_.Send(message->partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});
  }
  sender_.Send(message->partition, command, Sync::kNow, [weak = weak_from_this(), message](Result<CommandAt> sent) {
    const auto self = weak.lock();
    if (!self) return;
    self->executor_.Post([weak, message, sent = std::move(sent)] {
      const auto on_executor = weak.lock();
      if (!on_executor) return;
      if (!sent) return on_executor->Again(message, sent.error().message);
      --on_executor->telling_;
      if (message->durable) message->durable();
    });
  });
}

void SiteHome::Again(const std::shared_ptr<Message>& message, std::string_view why) {
  observe::Log(observe::Level::kDebug, "what is told or asked of a site is sent again",
               {{"site", message->site}, {"why", std::string(why)}});
  executor_.After(message->delay, [weak = weak_from_this(), message] {
    if (const auto self = weak.lock()) self->Send(message);
  });
  message->delay = std::min(kDelayMax, message->delay * 2);
}

}  // namespace maily::smtp
