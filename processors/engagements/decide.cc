// See decide.h.
#include "processors/engagements/decide.h"

#include <fmt/format.h>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::engagements {
namespace {

using journal::Outcome;

constexpr uint64_t kChunk = 4096;  // ordinals of a SendChunk
constexpr size_t kNameBytesMax = 64;
constexpr size_t kEventIdBytesMax = 200;

// False: the command was refused.
bool KnowsSend(task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  if (schema::IsMessage(campaign_id)) {
    const auto* message = context.view<messages::v1::Message>().Find(state::Key(context.tenant(), campaign_id));
    if (message != nullptr && message->ordinal() == ordinal) return true;
  } else if (ordinal > 0) {
    const auto* chunk = context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), campaign_id, (ordinal - 1) / kChunk));
    const size_t at = (ordinal - 1) % kChunk;
    if (chunk != nullptr && at < chunk->statuses().size() && chunk->statuses()[at] != sends::v1::NONE) return true;
  }
  context.Refuse(Outcome::kNotFound, "unknown_send", fmt::format("contact {} has no part in campaign {}", ordinal, campaign_id));
  return false;
}

// The link table of the version that was launched, or that a message's form has, never changes. A send without one does not exist.
int LinksOf(const task::Context& context, uint64_t campaign_id) {
  if (const auto* message = context.view<messages::v1::Message>().Find(state::Key(context.tenant(), campaign_id))) {
    const auto* held = context.view<messages::v1::HeldForm>().Find(state::Key(context.tenant(), message->form_id()));
    return held == nullptr ? 0 : held->form().template_version().links_size();
  }
  const auto* run = context.view<campaigns::v1::CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  if (run == nullptr) return 0;
  return run->links() != 0 ? static_cast<int>(run->links()) : run->template_version().links_size();
}

bool IsCurrency(std::string_view text) {
  if (text.empty()) return true;
  if (text.size() != 3) return false;
  for (const char c : text) {
    if (c < 'A' || c > 'Z') return false;
  }
  return true;
}

}  // namespace

void Decide(task::Context& context, const v1::RecordOpen& command) {
  if (!KnowsSend(context, command.campaign_id(), command.ordinal())) return;
  v1::Opened opened;
  opened.set_campaign_id(command.campaign_id());
  opened.set_ordinal(command.ordinal());
  opened.set_user_agent(command.user_agent());
  opened.set_ip(command.ip());
  opened.set_agent(command.agent());
  context.Emit(opened);
}

void Decide(task::Context& context, const v1::RecordClick& command) {
  if (!KnowsSend(context, command.campaign_id(), command.ordinal())) return;
  const int links = LinksOf(context, command.campaign_id());
  if (command.link() >= static_cast<uint32_t>(links)) {
    return context.Refuse(Outcome::kNotFound, "unknown_link",
                          fmt::format("campaign {} has {} links, and none of index {}", command.campaign_id(), links, command.link()));
  }
  v1::Clicked clicked;
  clicked.set_campaign_id(command.campaign_id());
  clicked.set_ordinal(command.ordinal());
  clicked.set_link(command.link());
  clicked.set_user_agent(command.user_agent());
  clicked.set_ip(command.ip());
  clicked.set_agent(command.agent());
  context.Emit(clicked);
}

void Decide(task::Context& context, const v1::RecordHoneypot& command) {
  if (!KnowsSend(context, command.campaign_id(), command.ordinal())) return;
  v1::HoneypotFollowed followed;
  followed.set_campaign_id(command.campaign_id());
  followed.set_ordinal(command.ordinal());
  followed.set_user_agent(command.user_agent());
  followed.set_ip(command.ip());
  followed.set_agent(command.agent());
  context.Emit(followed);
}

void Decide(task::Context& context, const v1::RecordUnsubscribe& command) {
  if (!KnowsSend(context, command.campaign_id(), command.ordinal())) return;
  if (command.ordinal() == 0) return context.Unchanged();  // who is no contact is on no list
  const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), command.ordinal()));
  // Whom a merged contact leads to may have asked for mail again since.
  const bool merged = context.view<contacts::v1::MergedContact>().Find(state::Key(context.tenant(), command.ordinal())) != nullptr;
  if (subscriber != nullptr && subscriber->unsubscribed_at_us() != 0 && !merged) return context.Unchanged();
  v1::Unsubscribed unsubscribed;
  unsubscribed.set_campaign_id(command.campaign_id());
  unsubscribed.set_ordinal(command.ordinal());
  unsubscribed.set_method(command.method());
  context.Emit(unsubscribed);
}

void Decide(task::Context& context, const v1::RecordContactEvent& command) {
  if (command.name().empty() || command.name().size() > kNameBytesMax || command.event_id().size() > kEventIdBytesMax ||
      !IsCurrency(command.currency())) {
    return context.Refuse(Outcome::kInvalid, "invalid_event",
                          fmt::format("an event has a name of 1 to {} bytes, an id of at most {}, and a currency of three capitals or none",
                                      kNameBytesMax, kEventIdBytesMax));
  }
  if (command.revenue_cents() < 0) {
    return context.Refuse(Outcome::kInvalid, "negative_revenue", fmt::format("revenue of {} cents is below zero", command.revenue_cents()));
  }
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), command.contact_key()));
  if (ref == nullptr) return context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no contact of that address");
  const Instant occurred_at = context.command()->occurred_at;
  v1::ContactEventRecorded recorded;
  recorded.set_ordinal(ref->ordinal());
  recorded.set_event_id(command.event_id());
  recorded.set_name(command.name());
  recorded.set_revenue_cents(command.revenue_cents());
  recorded.set_currency(command.currency());
  recorded.set_properties(command.properties());
  recorded.set_occurred_at_us(occurred_at.us == 0 ? context.now().us : occurred_at.us);
  context.Emit(recorded);
}

void React(task::Context& context, const consents::v1::ConsentWithdrawn& event) {
  if (event.purpose() != "marketing") return;
  const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), event.ordinal()));
  if (subscriber != nullptr && subscriber->unsubscribed_at_us() != 0) return;
  v1::Unsubscribed unsubscribed;
  unsubscribed.set_campaign_id(event.campaign_id());
  unsubscribed.set_ordinal(event.ordinal());
  unsubscribed.set_method(fmt::format("{}{}", kMethodOfConsent, event.source()));
  context.Emit(unsubscribed);
}

}  // namespace maily::engagements
