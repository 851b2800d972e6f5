// See evolve.h.
#include "processors/messages/evolve.h"

#include <algorithm>

#include "maily/messages/v1/state.pb.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::messages {
namespace {

namespace sends = maily::sends::v1;

std::string ExpireSubject(uint64_t message_id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, message_id);
  return subject;
}

v1::MessageRun& RunOf(task::Fold& fold) { return fold.table<v1::MessageRun>().Edit(state::Key(fold.tenant())); }
v1::Message& MessageOf(task::Fold& fold, uint64_t message_id) {
  return fold.table<v1::Message>().Edit(state::Key(fold.tenant(), message_id));
}

// The one that mails of this domain wait in; made if there is none.
uint64_t Lane(task::Fold& fold, const std::string& domain_key) {
  const uint64_t own = domain_key.size() < sizeof(uint64_t) ? 0 : Cursor(domain_key).Ordered<uint64_t>();
  if (own == 0) return 0;
  const auto lanes = fold.table<v1::MessageLane>();
  const std::string key = state::Key(fold.tenant(), own);
  if (const v1::MessageLane* there = lanes.Find(key)) return there->domain_key() == domain_key ? own : 0;
  v1::MessageRun& run = RunOf(fold);
  if (run.lanes() >= kLanesMax) return 0;
  run.set_lanes(run.lanes() + 1);
  fold.table<v1::MessageLane>().Edit(key).set_domain_key(domain_key);
  return own;
}

void Queue(task::Fold& fold, uint64_t message_id, uint32_t attempt) {
  const uint64_t lane = Lane(fold, MessageOf(fold, message_id).domain_key());
  MessageOf(fold, message_id).set_lane(lane);
  fold.table<v1::MessageQueued>().Edit(state::Key(fold.tenant(), lane, message_id)).set_attempt(attempt);
  v1::MessageLane& of = fold.table<v1::MessageLane>().Edit(state::Key(fold.tenant(), lane));
  of.set_queued(of.queued() + 1);
  v1::MessageRun& run = RunOf(fold);
  run.set_queued(run.queued() + 1);
  fold.AddWork(kSendMessages, {});
}

void Unqueue(task::Fold& fold, uint64_t message_id) {
  const uint64_t lane = MessageOf(fold, message_id).lane();
  auto queued = fold.table<v1::MessageQueued>();
  const std::string key = state::Key(fold.tenant(), lane, message_id);
  if (queued.Find(key) == nullptr) return;
  queued.Erase(key);
  v1::MessageRun& run = RunOf(fold);
  run.set_queued(run.queued() - 1);
  auto lanes = fold.table<v1::MessageLane>();
  v1::MessageLane& of = lanes.Edit(state::Key(fold.tenant(), lane));
  of.set_queued(of.queued() - 1);
  if (of.queued() == 0) {
    lanes.Erase(state::Key(fold.tenant(), lane));
    if (lane != 0) run.set_lanes(run.lanes() - 1);
  }
  if (run.queued() == 0 && run.deferred() == 0) fold.RemoveWork(kSendMessages, {});
}

// It waits for a retry, or does not any more; while any does, a flush may come.
void SetDeferred(task::Fold& fold, uint64_t message_id, bool deferred) {
  v1::Message& message = MessageOf(fold, message_id);
  if (message.deferred() == deferred) return;
  message.set_deferred(deferred);
  v1::MessageRun& run = RunOf(fold);
  run.set_deferred(deferred ? run.deferred() + 1 : run.deferred() - 1);
  if (deferred) fold.AddWork(kSendMessages, {});
  if (run.queued() == 0 && run.deferred() == 0) fold.RemoveWork(kSendMessages, {});
}

// It is over for good, and nobody needs what it says any more.
void Settle(task::Fold& fold, uint64_t message_id, sends::SendStatus status) {
  SetDeferred(fold, message_id, false);
  Unqueue(fold, message_id);
  v1::Message& message = MessageOf(fold, message_id);
  message.set_status(status);
  message.clear_address();
  message.clear_content();
  for (const std::string& blob : message.blobs()) fold.table<v1::AttachmentBlob>().Erase(state::Key(fold.tenant(), blob));
  message.clear_blobs();
  fold.DisarmTimer(Instant{message.expires_at_us()}, kExpireStep, ExpireSubject(message_id));
}

}  // namespace

void Evolve(task::Fold& fold, const v1::MessageFormMade& event) {
  fold.table<v1::MessageFormRef>().Edit(state::Key(fold.tenant(), event.digest())).set_form_id(event.form_id());
  fold.table<v1::MessageFormCounter>().Edit(state::Key(fold.tenant())).set_last_form_id(event.form_id());
}

void Evolve(task::Fold& fold, const v1::MessageFormHeld& event) {
  *fold.table<v1::HeldForm>().Edit(state::Key(fold.tenant(), event.form_id())).mutable_form() = event.form();
  const auto* run = fold.view<v1::MessageRun>().Find(state::Key(fold.tenant()));
  if (run != nullptr && run->queued() > 0) fold.AddWork(kSendMessages, {});  // some may have waited for it
}

void Evolve(task::Fold& fold, const v1::MessageAccepted& event) {
  RunOf(fold).set_last_number(schema::UnpackMessageId(event.message_id()).number);
  v1::Message& message = MessageOf(fold, event.message_id());
  message.set_ordinal(event.ordinal());
  message.set_form_id(event.form_id());
  message.set_contact_key(event.contact_key());
  message.set_address(event.address());
  message.set_domain_key(event.domain_key());
  message.set_content(event.content());
  message.set_status(sends::PENDING);
  message.set_expires_at_us(event.expires_at_us());
  message.set_retry_unknown(event.retry_unknown());
  message.set_test(event.test());
  message.set_trace(event.trace());
  message.set_confirm_number(event.confirm_number());
  *message.mutable_blobs() = event.blobs();
  message.set_attachments(event.attachments());
  for (const std::string& blob : event.blobs())
    fold.table<v1::AttachmentBlob>().Edit(state::Key(fold.tenant(), blob)).set_message_id(event.message_id());
  fold.ArmTimer(Instant{event.expires_at_us()}, kExpireStep, ExpireSubject(event.message_id()));
  Queue(fold, event.message_id(), 1);
}

void Evolve(task::Fold& /*fold*/, const v1::MessageWanted& /*event*/) {}

void Evolve(task::Fold& fold, const sends::AttemptOpened& event) {
  if (!schema::IsMessage(event.campaign_id())) return;
  Unqueue(fold, event.campaign_id());
  v1::Message& message = MessageOf(fold, event.campaign_id());
  message.set_status(sends::OPEN);
  message.set_attempt(event.attempt());
  RunOf(fold).set_last_lane(message.lane());
}

void Evolve(task::Fold&, const v1::MessageWithdrawn&) {}

void Evolve(task::Fold& fold, const sends::SendSkipped& event) {
  if (schema::IsMessage(event.campaign_id())) Settle(fold, event.campaign_id(), sends::SKIPPED);
}

void Evolve(task::Fold& fold, const sends::AttemptDelivered& event) {
  if (schema::IsMessage(event.campaign_id())) Settle(fold, event.campaign_id(), sends::SENT);
}

void Evolve(task::Fold& fold, const sends::AttemptDeferred& event) {
  if (!schema::IsMessage(event.campaign_id())) return;
  MessageOf(fold, event.campaign_id()).set_status(sends::WAITING);
  SetDeferred(fold, event.campaign_id(), true);
}

void Evolve(task::Fold& fold, const sends::AttemptBounced& event) {
  if (schema::IsMessage(event.campaign_id())) Settle(fold, event.campaign_id(), sends::HARD_BOUNCED);
}

void Evolve(task::Fold& fold, const sends::AttemptUnknown& event) {
  if (schema::IsMessage(event.campaign_id())) MessageOf(fold, event.campaign_id()).set_status(sends::UNKNOWN);
}

void Evolve(task::Fold& fold, const sends::UnknownResolved& event) {
  if (!schema::IsMessage(event.campaign_id())) return;
  if (event.delivered()) return Settle(fold, event.campaign_id(), sends::SENT);
  MessageOf(fold, event.campaign_id()).set_status(sends::WAITING);
}

void Evolve(task::Fold& fold, const sends::RetryDue& event) {
  if (!schema::IsMessage(event.campaign_id())) return;
  v1::Message& message = MessageOf(fold, event.campaign_id());
  message.set_status(sends::WAITING);
  const uint32_t next = message.attempt() + 1;
  Queue(fold, event.campaign_id(), next);
  SetDeferred(fold, event.campaign_id(), false);
}

void Evolve(task::Fold& fold, const v1::MessagesFlushed& event) {
  const bool done = event.next_message_id() == 0;
  v1::MessageRun& run = RunOf(fold);
  if (done) run.set_flushed(event.order());
  run.set_flush_order(done ? 0 : event.order());
  run.set_flush_message_id(event.next_message_id());
}

void Evolve(task::Fold& fold, const sends::SendExpired& event) {
  if (schema::IsMessage(event.campaign_id())) Settle(fold, event.campaign_id(), sends::EXPIRED);
}

}  // namespace maily::messages
