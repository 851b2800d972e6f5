// See slices.h.
#include "processors/messages/slices.h"

#include <optional>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "processors/messages/evolve.h"
#include "processors/messages/flush.h"
#include "processors/personalization/variants.h"
#include "schemas/keys.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::messages {
namespace {

constexpr std::string_view kRelay = "relay";
constexpr size_t kLooksMax = 64;  // at messages of a lane whose forms have not arrived

struct Next {
  uint64_t message_id = 0;
  uint32_t attempt = 0;
};

// The first of the lane that can be made.
std::optional<Next> First(const task::Context& context, uint64_t lane) {
  std::vector<Next> queued;
  context.view<v1::MessageQueued>().Scan(state::Key(context.tenant(), lane), {}, [&](std::string_view key, const v1::MessageQueued& one) {
    queued.push_back({Cursor(key.substr(key.size() - sizeof(uint64_t))).Ordered<uint64_t>(), one.attempt()});
    return queued.size() < kLooksMax;
  });
  for (const Next& one : queued) {
    const auto* message = context.view<v1::Message>().Find(state::Key(context.tenant(), one.message_id));
    MAILY_CHECK(message != nullptr, "message {} is queued and not there", one.message_id);
    if (context.view<v1::HeldForm>().Find(state::Key(context.tenant(), message->form_id())) != nullptr) return one;
  }
  return std::nullopt;
}

// Those of the contact that the mail is made by.
void AddAttributes(const task::Context& context, const v1::Message& message, sends::v1::AttemptOpened& opened) {
  if (message.ordinal() == 0) return;
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), message.ordinal()));
  const auto* held = context.view<v1::HeldForm>().Find(state::Key(context.tenant(), message.form_id()));
  if (contact == nullptr || held == nullptr) return;
  const templates::v1::TemplateVersion& version = held->form().template_version();
  const auto& names = version.attributes();
  for (const auto& attribute : contact->attributes()) {
    const bool named = std::find(names.begin(), names.end(), attribute.name()) != names.end();
    if (named || attribute.name() == schema::kTrackingAttribute) *opened.add_attributes() = attribute;
  }
  opened.set_locale(personalization::LocaleOf(version, opened.attributes()));
}

void Open(task::Context& context, const Next& next, const task::CreditHolder& holder, uint64_t lane, bool by_domain) {
  const auto* message = context.view<v1::Message>().Find(state::Key(context.tenant(), next.message_id));
  if (!message->trace().empty()) context.Continue(TraceId::From(message->trace()));
  sends::v1::AttemptOpened opened;
  opened.set_campaign_id(next.message_id);
  opened.set_ordinal(message->ordinal());
  opened.set_attempt(next.attempt);
  opened.set_address(message->address());
  AddAttributes(context, *message, opened);
  if (by_domain) {
    opened.set_domain_key(message->domain_key());
    opened.set_lane(lane == 0 ? 0 : 1);
  } else {
    opened.set_site(kRelay.data(), kRelay.size());
  }
  opened.set_contact_key(message->contact_key());
  opened.set_opener(holder.id);
  opened.set_granted_at_us(holder.granted_at.us);
  context.Emit(opened);
}

// Its contact was merged: what that one has agreed to is known where the other is, and the other is whom to write to.
bool IsOfMerged(const task::Context& context, const v1::Message& message) {
  if (message.ordinal() != 0)
    return context.view<contacts::v1::MergedContact>().Find(state::Key(context.tenant(), message.ordinal())) != nullptr;
  const auto* elsewhere = context.view<contacts::v1::ContactElsewhere>().Find(state::Key(context.tenant(), message.contact_key()));
  return elsewhere != nullptr && elsewhere->merged();
}

// The confirmation of a double opt-in goes to who is still asked, and is suppressed for nothing: it must not be what he complains of.
std::string WhyNoConfirmation(const task::Context& context, const v1::Message& message) {
  if (context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), message.ordinal())) == nullptr)
    return IsOfMerged(context, message) ? "merged" : "erased";
  const auto* person = context.view<consents::v1::Person>().Find(state::Key(context.tenant(), message.ordinal()));
  if (person == nullptr || person->ask().number() != message.confirm_number())
    return person != nullptr && message.confirm_number() <= person->confirmed_number() ? "confirmed" : "not_asked_any_more";
  if (const auto* entry = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), message.contact_key())))
    return entry->reason().empty() ? "suppressed" : entry->reason();
  const bool domain = !message.domain_key().empty() && context.view<suppressions::v1::SuppressedDomain>().Find(
                                                           state::Key(context.tenant(), message.domain_key())) != nullptr;
  return domain ? "domain" : "";
}

void Skip(task::Context& context, uint64_t message_id, const v1::Message& message, campaigns::v1::SkipReason reason, std::string_view why) {
  sends::v1::SendSkipped skipped;
  skipped.set_campaign_id(message_id);
  skipped.set_ordinal(message.ordinal());
  skipped.set_reason(reason);
  skipped.set_detail(std::string(why));
  context.Emit(skipped);
}

}  // namespace

std::string SkipIfSuppressed(task::Context& context, uint64_t message_id) {
  // A copy: other tables are looked up meanwhile.
  const v1::Message found = *context.view<v1::Message>().Find(state::Key(context.tenant(), message_id));
  const v1::Message* message = &found;
  if (found.confirm_number() != 0) {
    std::string why = WhyNoConfirmation(context, found);
    const bool asked = why != "confirmed" && why != "not_asked_any_more";
    if (!why.empty()) Skip(context, message_id, found, asked ? campaigns::v1::SUPPRESSED : campaigns::v1::CANCELLED, why);
    return why;
  }
  const auto* held = context.view<v1::HeldForm>().Find(state::Key(context.tenant(), found.form_id()));
  // A form that has not arrived is asked again before the message is sent.
  const bool marketing = held != nullptr && held->form().marketing();
  const auto kStream = marketing ? suppressions::v1::MARKETING : suppressions::v1::TRANSACTIONAL;
  std::string why;
  campaigns::v1::SkipReason reason = campaigns::v1::SUPPRESSED;
  if (marketing && compliance::IsUnsubscribed(context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), found.ordinal())))) {
    why = "unsubscribed";
    reason = campaigns::v1::UNSUBSCRIBED;
  }
  if (marketing && why.empty() && IsOfMerged(context, found)) {
    why = "merged";
    reason = campaigns::v1::MERGED;
  }
  const auto* entry = context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), message->contact_key()));
  if (why.empty() && entry != nullptr && compliance::Covers(entry->stream(), kStream))
    why = entry->reason().empty() ? "suppressed" : entry->reason();
  if (why.empty()) {
    compliance::DomainGate domains(context.view<suppressions::v1::SuppressedDomain>(),
                                   context.view<suppressions::v1::SuppressedDomainCounter>(), context.tenant(), kStream);
    if (domains.Holds(message->domain_key())) why = "domain";
  }
  if (why.empty()) return why;
  Skip(context, message_id, found, reason, why);
  return why;
}

task::SliceEnd SendMessage(task::Context& context, std::string_view /*subject*/) {
  if (FlushSites(context)) return task::SliceEnd::kMore;
  const std::string prefix = state::Key(context.tenant());
  const auto* run = context.view<v1::MessageRun>().Find(prefix);
  const uint64_t last_lane = run == nullptr ? 0 : run->last_lane();
  std::vector<std::pair<uint64_t, std::string>> lanes;  // and their domain keys; as many as kLanesMax
  size_t before = 0;                                    // up to the one that was served last
  context.view<v1::MessageLane>().Scan(prefix, {}, [&](std::string_view key, const v1::MessageLane& lane) {
    lanes.emplace_back(Cursor(key.substr(prefix.size())).Ordered<uint64_t>(), lane.domain_key());
    if (lanes.back().first <= last_lane) before = lanes.size();
    return true;
  });
  const bool by_domain = context.CreditsPerDomain();
  for (size_t i = 0; i < lanes.size(); ++i) {
    const auto& [lane, domain_key] = lanes[(before + i) % lanes.size()];
    const std::string site = schema::MessageCredits(by_domain ? domain_key : schema::RelayCredits(context.tenant()));
    if (context.LacksCredit(site)) continue;
    const std::optional<Next> next = First(context, lane);
    if (!next) continue;
    if (!SkipIfSuppressed(context, next->message_id).empty()) return task::SliceEnd::kMore;
    const task::CreditHolder* holder = context.TakeCredit(site);
    if (holder == nullptr) continue;
    Open(context, *next, *holder, lane, by_domain);
    return task::SliceEnd::kMore;
  }
  return task::SliceEnd::kWaiting;
}

}  // namespace maily::messages
