// See decide.h.
#include "processors/sends/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/bounces/classify.h"
#include "processors/sends/evolve.h"
#include "processors/sends/report.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

using campaigns::v1::SkipReason;
using journal::Outcome;

constexpr std::array kDeferredDelays = {Seconds(5 * 60), Seconds(15 * 60), Seconds(30 * 60), Seconds(60 * 60), Seconds(120 * 60)};
constexpr std::array kSlowedDelays = {Seconds(60), Seconds(120), Seconds(300)};
constexpr std::array kUnreachableDelays = {Seconds(15), Seconds(30), Seconds(60), Seconds(120), Seconds(300)};

constexpr int64_t kJitterPart = 5;  // of a delay

constexpr size_t kDiagnosticBytesMax = 500;
constexpr size_t kHostBytesMax = 255;
constexpr size_t kWordBytesMax = 64;
constexpr size_t kWhyBytesMax = 200;

template <class Event, class Command>
Event About(const Command& command) {
  Event event;
  event.set_campaign_id(command.campaign_id());
  event.set_ordinal(command.ordinal());
  return event;
}

// Null: it is none, or there is none of that id and contact.
const messages::v1::Message* MessageOf(const task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  if (!schema::IsMessage(campaign_id)) return nullptr;
  const auto* message = context.view<messages::v1::Message>().Find(state::Key(context.tenant(), campaign_id));
  return message == nullptr || message->ordinal() != ordinal ? nullptr : message;
}

bool WasSent(const google::protobuf::RepeatedField<uint64_t>& campaigns, uint64_t campaign_id) {
  return std::ranges::find(campaigns, campaign_id) != campaigns.end();
}

// The address of the contact that the campaign's mail went to: a bounce says nothing of another.
template <class Contact>
const std::string& WentTo(const Contact& contact, uint64_t campaign_id) {
  if (contact.former().empty() || WasSent(contact.campaigns(), campaign_id)) return contact.contact_key();
  for (int i = contact.former_size() - 1; i > 0; --i) {
    if (WasSent(contact.former(i).campaigns(), campaign_id)) return contact.former(i).contact_key();
  }
  return contact.former(0).contact_key();
}

// Empty: there is no such contact any more.
std::string ContactKeyOf(const task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  if (const auto* message = MessageOf(context, campaign_id, ordinal)) return message->contact_key();
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), ordinal));
  if (contact != nullptr) return WentTo(*contact, campaign_id);
  const auto* merged = context.view<contacts::v1::MergedContact>().Find(state::Key(context.tenant(), ordinal));
  return merged == nullptr ? std::string() : WentTo(*merged, campaign_id);
}

// Not this mail is unwelcome, but so many from here (RFC 5321 §4.2.3, RFC 3463 §3.8); greylisting speaks of one mail.
bool WantsFewer(const v1::RecordAttempt& command) {
  if (command.reply_text().find("reylist") != std::string::npos || command.reply_text().find("raylist") != std::string::npos) return false;
  return command.reply_code() == 421 || (command.reply_code() / 100 == 4 && command.enhanced_code().starts_with("4.7."));
}

bounces::Verdict Judge(const v1::RecordAttempt& command) {
  return bounces::Classify({.code = static_cast<int>(command.reply_code()),
                            .enhanced = command.enhanced_code(),
                            .text = command.reply_text(),
                            .command = bounces::CommandOfStage(command.stage())});
}

void Deliver(task::Context& context, const v1::RecordAttempt& command) {
  auto delivered = About<v1::AttemptDelivered>(command);
  delivered.set_attempt(command.attempt());
  delivered.set_reply_code(command.reply_code());
  delivered.set_reply_text(command.reply_text());
  delivered.set_peer(command.peer());
  delivered.set_site(command.site());
  if (command.has_tls()) *delivered.mutable_tls() = command.tls();
  if (command.has_mta_sts()) *delivered.mutable_mta_sts() = command.mta_sts();
  delivered.set_mail_sha256(command.mail_sha256());
  context.Emit(delivered);
}

void Defer(task::Context& context, const v1::RecordAttempt& command, uint32_t tries, Instant first_opened_at) {
  const Duration delay = RetryDelay(command, tries);
  const Instant retry_at = context.now() + delay + RetryJitter(delay, context.tenant(), context.partition(), command);
  const auto* message = MessageOf(context, command.campaign_id(), command.ordinal());
  const Instant given_up_at = message == nullptr ? first_opened_at + kGiveUpAfter : Instant{message->expires_at_us()};
  if (retry_at > given_up_at) {
    auto expired = About<v1::SendExpired>(command);
    expired.set_last_reply(command.reply_text());
    return context.Emit(expired);
  }
  auto deferred = About<v1::AttemptDeferred>(command);
  deferred.set_attempt(command.attempt());
  deferred.set_reply_code(command.reply_code());
  deferred.set_enhanced_code(command.enhanced_code());
  deferred.set_reply_text(command.reply_text());
  deferred.set_stage(command.stage());
  deferred.set_site(command.site());
  if (command.has_mta_sts()) *deferred.mutable_mta_sts() = command.mta_sts();
  deferred.set_retry_at_us(retry_at.us);
  if (command.reply_code() != 0) {
    const bounces::Verdict verdict = Judge(command);
    deferred.set_reason(bounces::ReasonName(verdict.reason));
    deferred.set_rule(std::string(verdict.rule));
  }
  context.Emit(deferred);
}

void Bounce(task::Context& context, const v1::RecordAttempt& command) {
  auto bounced = About<v1::AttemptBounced>(command);
  bounced.set_attempt(command.attempt());
  bounced.set_reply_code(command.reply_code());
  bounced.set_enhanced_code(command.enhanced_code());
  bounced.set_reply_text(command.reply_text());
  bounced.set_site(command.site());
  bounced.set_stage(command.stage());
  if (command.reply_code() != 0) {  // else nobody has replied
    const bounces::Verdict verdict = Judge(command);
    bounced.set_recipient_invalid(verdict.cls == bounces::Class::kHard);
    bounced.set_reason(bounces::ReasonName(verdict.reason));
    bounced.set_rule(std::string(verdict.rule));
  }
  bounced.set_contact_key(ContactKeyOf(context, command.campaign_id(), command.ordinal()));
  context.Emit(bounced);
}

// What is wrong with it; null: nothing.
const char* FaultOf(const v1::RecordNotice& command) {
  if (!v1::NoticeKind_IsValid(command.kind()) || command.kind() == v1::NOTICE_UNSPECIFIED) return "there is no such kind of notice";
  if (command.diagnostic().size() > kDiagnosticBytesMax) return "the diagnostic is too long";
  for (const std::string* word : {&command.reason(), &command.rule(), &command.status(), &command.source()}) {
    if (word->size() > kWordBytesMax) return "reason, rule, status or source is too long";
  }
  return command.reporting_mta().size() > kHostBytesMax ? "the reporting host's name is too long" : nullptr;
}

// Null: nothing.
const char* FaultOf(const v1::ReclassifyBounce& command) {
  for (const v1::Classification* one : {&command.was(), &command.now()}) {
    if (one->reason().size() > kWordBytesMax || one->rule().size() > kWordBytesMax) return "reason or rule is too long";
  }
  if (command.now().rule().empty()) return "it names no rule";
  return command.why().size() > kWhyBytesMax ? "why it is judged again is too long" : nullptr;
}

bool Same(const v1::Classification& a, const v1::Classification& b) {
  return a.recipient_invalid() == b.recipient_invalid() && a.reason() == b.reason() && a.rule() == b.rule();
}

v1::SendStatus StatusOf(const task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  if (const auto* message = MessageOf(context, campaign_id, ordinal)) return message->status();
  if (ordinal == 0) return v1::NONE;
  const auto* chunk = context.view<v1::SendChunk>().Find(state::Key(context.tenant(), campaign_id, (ordinal - 1) / kChunkOrdinals));
  const size_t at = (ordinal - 1) % kChunkOrdinals;
  if (chunk == nullptr || at >= chunk->statuses().size()) return v1::NONE;
  return static_cast<v1::SendStatus>(static_cast<uint8_t>(chunk->statuses()[at]));
}

// Not if the contact was never in the audience, is to get its mail yet, or was held out.
bool MayHaveGoneOut(const task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  const v1::SendStatus status = StatusOf(context, campaign_id, ordinal);
  return status != v1::NONE && status != v1::PENDING && status != v1::HELD_OUT;
}

// What events of bounces and complaints have in common.
template <class Event>
Event Received(const task::Context& context, const v1::RecordNotice& command) {
  auto event = About<Event>(command);
  event.set_contact_key(ContactKeyOf(context, command.campaign_id(), command.ordinal()));
  event.set_reason(command.reason());
  event.set_rule(command.rule());
  event.set_reporting_mta(command.reporting_mta());
  event.set_source(command.source());
  return event;
}

template <class Command>
void Skip(task::Context& context, const Command& command, SkipReason reason, const std::string& detail) {
  auto skipped = About<v1::SendSkipped>(command);
  skipped.set_reason(reason);
  skipped.set_detail(detail);
  context.Emit(skipped);
}

}  // namespace

Duration RetryDelay(const v1::RecordAttempt& command, uint32_t tries) {
  const auto of = [tries](const auto& delays) { return delays[std::min<size_t>(tries, delays.size() - 1)]; };
  const std::string& stage = command.stage();
  if (stage == "connect" || stage == "greeting" || stage == "starttls" || stage == "auth") return of(kUnreachableDelays);
  return WantsFewer(command) ? of(kSlowedDelays) : of(kDeferredDelays);
}

Duration RetryJitter(Duration delay, TenantId tenant, PartitionId partition, const v1::RecordAttempt& command) {
  std::string send;
  PutOrdered<uint32_t>(send, tenant.value());
  PutOrdered<uint16_t>(send, partition.value());
  PutOrdered<uint64_t>(send, command.campaign_id());
  PutOrdered<uint64_t>(send, command.ordinal());
  PutOrdered<uint32_t>(send, command.attempt());
  const auto most_ms = static_cast<uint64_t>(delay.us / 1000 / kJitterPart);
  return Milliseconds(static_cast<int64_t>(Xxh3_64(send) % (most_ms + 1)));
}

namespace {

void Settle(task::Context& context, const v1::RecordAttempt& command) {
  const auto* open = context.view<v1::OpenAttempt>().Find(state::Key(context.tenant(), command.campaign_id(), command.ordinal()));
  if (open == nullptr || open->attempt() != command.attempt()) return context.Unchanged();
  // What its opener has called unknown stays so: a slot that is free again looks as if nothing had been sent.
  const bool was_given_up = open->status() == v1::UNKNOWN && open->given_up();
  if (was_given_up ? command.given_up() : open->status() != v1::OPEN) return context.Unchanged();
  const uint32_t tries = open->tries();
  const Instant first_opened_at{open->first_opened_at_us()};
  if (was_given_up && v1::AttemptResult_IsValid(command.result()) && command.result() != v1::ATTEMPT_RESULT_UNSPECIFIED) {
    // Who opened it knows after all. (The open attempt is read above: an event may move it.)
    auto resolved = About<v1::UnknownResolved>(command);
    resolved.set_attempt(command.attempt());
    resolved.set_delivered(command.result() == v1::DELIVERED);
    resolved.set_why("its result came later" + (command.reply_text().empty() ? "" : ": " + command.reply_text()));
    context.Emit(resolved);
    if (resolved.delivered()) return;
  }
  switch (command.result()) {
    case v1::DELIVERED:
      return Deliver(context, command);
    case v1::DEFERRED:
      return Defer(context, command, tries, first_opened_at);
    case v1::BOUNCED:
      return Bounce(context, command);
    case v1::RESULT_UNKNOWN: {
      auto unknown = About<v1::AttemptUnknown>(command);
      unknown.set_attempt(command.attempt());
      unknown.set_detail(command.reply_text());
      unknown.set_given_up(command.given_up());
      unknown.set_mail_sha256(command.mail_sha256());
      context.Emit(unknown);
      const auto* message = MessageOf(context, command.campaign_id(), command.ordinal());
      if (message == nullptr || !message->retry_unknown()) return;
      auto again = About<v1::UnknownResolved>(command);
      again.set_attempt(command.attempt());
      again.set_why("the message asked for it: rather twice than never");
      context.Emit(again);
      return context.Emit(About<v1::RetryDue>(command));
    }
    case v1::NOT_RENDERED:
      return Skip(context, command, campaigns::v1::RENDER_ERROR, command.reply_text());
    case v1::ADDRESS_GONE:
      return Skip(context, command, campaigns::v1::NO_ADDRESS, command.reply_text());
    case v1::NEVER_SENT:
      return context.Emit(About<v1::RetryDue>(command));
    default:
      return context.Refuse(Outcome::kInvalid, "invalid_result", fmt::format("there is no result {}", static_cast<int>(command.result())));
  }
}

}  // namespace

void Decide(task::Context& context, const v1::RecordAttempt& command) {
  Settle(context, command);
  if (context.event_count() > 0) ReportNews(context, command.campaign_id(), News::kResult);
}

void Decide(task::Context& context, const v1::ResolveUnknown& command) {
  const auto* open = context.view<v1::OpenAttempt>().Find(state::Key(context.tenant(), command.campaign_id(), command.ordinal()));
  if (open == nullptr || open->status() != v1::UNKNOWN) {
    return context.Refuse(Outcome::kConflict, "not_unknown",
                          fmt::format("the send of campaign {} to contact {} is not unknown", command.campaign_id(), command.ordinal()));
  }
  auto resolved = About<v1::UnknownResolved>(command);
  resolved.set_attempt(open->attempt());
  resolved.set_delivered(command.delivered());
  resolved.set_why(command.why());
  context.Emit(resolved);
  if (!command.delivered()) context.Emit(About<v1::RetryDue>(command));
}

void Decide(task::Context& context, const v1::RecordNotice& command) {
  if (const char* wrong = FaultOf(command)) return context.Refuse(Outcome::kInvalid, "invalid_notice", wrong);
  if (!MayHaveGoneOut(context, command.campaign_id(), command.ordinal())) {
    return context.Refuse(Outcome::kNotFound, "unknown_send",
                          fmt::format("no mail of campaign {} went to contact {}", command.campaign_id(), command.ordinal()));
  }
  switch (command.kind()) {
    case v1::NOTICE_BOUNCE: {
      auto bounce = Received<v1::BounceReceived>(context, command);
      bounce.set_recipient_invalid(command.hard());
      bounce.set_status(command.status());
      bounce.set_diagnostic(command.diagnostic());
      context.Emit(bounce);
      return ReportNews(context, command.campaign_id(), News::kNotice);
    }
    case v1::NOTICE_COMPLAINT:
      context.Emit(Received<v1::ComplaintReceived>(context, command));
      return ReportNews(context, command.campaign_id(), News::kNotice);
    case v1::NOTICE_AUTO_REPLY: {
      auto replied = About<v1::AutoReplied>(command);
      replied.set_reason(command.reason());
      replied.set_source(command.source());
      return context.Emit(replied);
    }
    default:  // late, or there: nothing to do, and nothing to count
      return context.Unchanged();
  }
}

void Decide(task::Context& context, const v1::ReclassifyBounce& command) {
  if (const char* wrong = FaultOf(command)) return context.Refuse(Outcome::kInvalid, "invalid_review", wrong);
  if (StatusOf(context, command.campaign_id(), command.ordinal()) != v1::HARD_BOUNCED) {
    return context.Refuse(Outcome::kNotFound, "unknown_bounce",
                          fmt::format("no mail of campaign {} to contact {} was refused", command.campaign_id(), command.ordinal()));
  }
  const auto* known = context.view<v1::ReclassifiedBounce>().Find(state::Key(context.tenant(), command.campaign_id(), command.ordinal()));
  const v1::Classification& is = known == nullptr ? command.was() : known->now();
  if (Same(is, command.now())) return context.Unchanged();
  if (!Same(is, command.was())) {
    return context.Refuse(Outcome::kConflict, "stale_review",
                          fmt::format("it was judged again meanwhile, by rule {}; review it once more", is.rule()));
  }
  auto reclassified = About<v1::BounceReclassified>(command);
  reclassified.set_contact_key(ContactKeyOf(context, command.campaign_id(), command.ordinal()));
  *reclassified.mutable_was() = command.was();
  *reclassified.mutable_now() = command.now();
  reclassified.set_why(command.why());
  context.Emit(reclassified);
  if (!command.was().recipient_invalid() || command.now().recipient_invalid()) return;
  // What is left of it when suppressions have reacted.
  const bool held = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), reclassified.contact_key())) != nullptr;
  context.Answer("suppression", held ? "kept" : "lifted");
}

void Retry(task::Context& context, std::string_view subject) {
  Cursor cursor(subject);
  v1::RetryDue due;
  due.set_campaign_id(cursor.Ordered<uint64_t>());
  due.set_ordinal(cursor.Ordered<uint64_t>());
  const std::string key = state::Key(context.tenant(), due.campaign_id(), due.ordinal());
  const auto* open = context.view<v1::OpenAttempt>().Find(key);
  if (open == nullptr || open->status() != v1::WAITING) return;
  if (schema::IsMessage(due.campaign_id())) {
    if (open->retry_at_us() != 0) context.Emit(due);  // else it is queued already
    return;
  }
  const uint64_t lane = LaneOf(context.view<v1::SendChunk>(), context.tenant(), due.campaign_id(), due.ordinal());
  const std::string queued = state::Key(context.tenant(), due.campaign_id(), lane, due.ordinal());
  if (context.view<v1::RetryQueued>().Find(queued) != nullptr) return;
  const auto* run = context.view<campaigns::v1::CampaignRun>().Find(state::Key(context.tenant(), due.campaign_id()));
  if (run != nullptr && run->state() == campaigns::v1::CANCELLING) return Skip(context, due, campaigns::v1::CANCELLED, "");
  context.Emit(due);
}

}  // namespace maily::sends
