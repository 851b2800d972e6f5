// See decide.h.
#include "processors/suppressions/decide.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "maily/contacts/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"
#include "schemas/suppressions.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {
namespace {

using journal::Outcome;

constexpr std::string_view kHardBounce = "hard_bounce";
constexpr std::string_view kBounce = "bounce";
constexpr std::string_view kComplaint = "complaint";
constexpr std::string_view kMerge = "merge";
constexpr uint64_t kChunkOrdinals = 4096;  // of a SendChunk

// How much of a domain's name is taken (RFC 1035 2.3.4).
constexpr size_t kDomainBytesMax = 253;
constexpr size_t kSealedAddressBytesMax = 1'100;

// The entry of the address, or null.
const v1::Suppression* Find(const task::Context& context, std::string_view contact_key) {
  return context.view<v1::Suppression>().Find(state::Key(context.tenant(), contact_key));
}

// Null or for other mails: there is something to add.
template <class Entry>
bool Holds(const Entry* entry, v1::Stream stream) {
  return entry != nullptr && (entry->stream() == v1::ALL || entry->stream() == stream);
}
// It stands already, and says no less: that a mailbox is dead does not say that the person wants no mail.
bool Stands(const v1::Suppression* known, v1::Stream stream, std::string_view reason) {
  return Holds(known, stream) && (schema::IsOfAddress(reason) || !schema::IsOfAddress(known->reason()));
}
// Of two reasons the person's stays.
std::string Why(const v1::Suppression* known, std::string_view reason) {
  const bool keeps = known != nullptr && schema::IsOfAddress(reason) && !schema::IsOfAddress(known->reason());
  return keeps ? known->reason() : std::string(reason);
}
// With what there is already: two kinds of mails are all.
template <class Entry>
v1::Stream With(const Entry* entry, v1::Stream stream) {
  return entry == nullptr || entry->stream() == stream ? stream : v1::ALL;
}

// Empty: it can be taken.
std::string WhyNot(std::string_view reason, v1::Stream stream, std::string_view source, std::string_view note) {
  if (!reason.empty() && std::ranges::find(schema::kSuppressionReasons, reason) == std::end(schema::kSuppressionReasons))
    return fmt::format("\"{}\" is no reason; the reasons are {}", reason.substr(0, 40), fmt::join(schema::kSuppressionReasons, ", "));
  if (!v1::Stream_IsValid(stream)) return "the stream is all, marketing or transactional";
  if (source.size() > kReasonBytesMax) return fmt::format("a source has at most {} bytes", kReasonBytesMax);
  if (note.size() > kNoteBytesMax) return fmt::format("a note has at most {} bytes", kNoteBytesMax);
  return {};
}

bool IsHome(const task::Context& context, std::string_view contact_key) {
  return schema::PartitionOfContact(contact_key, context.partition_count()) == context.partition();
}

// An entry lives where its address does. Of a contact that has moved to that address from another, its partition holds a copy, which the
// gate asks there: what happens in either is carried to the other.
template <class Event>
void Place(const task::Context& context, Event& event) {
  event.clear_carry_to();
  event.set_copy(!IsHome(context, event.contact_key()));
  if (event.copy()) return event.set_carry_to(1 + schema::PartitionOfContact(event.contact_key(), context.partition_count()).value());
  const auto* elsewhere = context.view<contacts::v1::ContactElsewhere>().Find(state::Key(context.tenant(), event.contact_key()));
  if (elsewhere != nullptr) event.set_carry_to(1 + elsewhere->partition());
}

// The contact has left the address: its partition asks for it no more.
void DropCopy(task::Context& context, const std::string& contact_key) {
  if (IsHome(context, contact_key) || Find(context, contact_key) == nullptr) return;
  v1::SuppressionRemoved removed;
  removed.set_contact_key(contact_key);
  removed.set_copy(true);
  context.Emit(removed);
}

bool HasKey(task::Context& context, std::string_view contact_key) {
  if (contact_key.size() == schema::kContactKeyBytes) return true;
  context.Refuse(Outcome::kInvalid, "invalid_suppression",
                 fmt::format("a suppression has a contact key of {} bytes", schema::kContactKeyBytes));
  return false;
}

bool WordsFit(task::Context& context, std::string_view reason) {
  if (reason.size() <= kReasonBytesMax) return true;
  context.Refuse(Outcome::kInvalid, "invalid_suppression", fmt::format("why it is lifted has at most {} bytes", kReasonBytesMax));
  return false;
}

// A contact that is gone has no key. The address is taken along as it is sealed, so that it can be named as long as its key is there.
template <class Event>
void Suppress(task::Context& context, const Event& event, std::string_view reason, std::string_view source) {
  const v1::Suppression* known = Find(context, event.contact_key());
  if (event.contact_key().empty() || Stands(known, v1::ALL, reason)) return;
  v1::SuppressionAdded added;
  added.set_contact_key(event.contact_key());
  added.set_reason(Why(known, reason));
  added.set_source(std::string(source));
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), event.ordinal()));
  if (contact != nullptr && contact->contact_key() == event.contact_key()) {  // else the mail went to an address that it had
    added.set_address(contact->address());
    added.set_domain_key(contact->domain_key());
  }
  Place(context, added);
  context.Emit(added);
}

// Reasons that may pass, and are not of our making.
bool IsOfMailbox(std::string_view reason) {
  static constexpr std::string_view kReasons[] = {"mailbox_full", "inactive", "bad_domain", "routing", "expired", "system", "undetermined"};
  return std::ranges::find(kReasons, reason) != std::end(kReasons);
}

// Whether a mail of a campaign between these two was delivered to the contact, and is not known to have bounced.
bool WasDelivered(const task::Context& context, uint64_t ordinal, uint64_t after, uint64_t before) {
  if (before > after && before - after > kCampaignsBetweenMax) return true;
  for (uint64_t campaign_id = after + 1; campaign_id < before; ++campaign_id) {
    const auto* chunk =
        context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), campaign_id, (ordinal - 1) / kChunkOrdinals));
    const size_t at = (ordinal - 1) % kChunkOrdinals;
    if (chunk != nullptr && at < chunk->statuses().size() && chunk->statuses()[at] == sends::v1::SENT) return true;
  }
  return false;
}

// Whether the bounce is of a mail that is counted already; of a message also of one before that.
bool IsCounted(const v1::SoftBounces& known, uint64_t mail) {
  return schema::IsMessage(mail) ? mail <= known.message_id() : mail == known.campaign_id();
}

// Whether a mail got through since the last one that is counted: a message, or, from the first campaign that is counted on, a campaign's.
bool GotThrough(const task::Context& context, const v1::SoftBounces& known, uint64_t ordinal, uint64_t mail) {
  const bool of_campaign = !schema::IsMessage(mail);
  if (std::ranges::any_of(known.delivered(), [&](uint64_t message_id) { return of_campaign || message_id < mail; })) return true;
  if (known.campaign_id() == 0 || ordinal == 0) return false;
  return WasDelivered(context, ordinal, known.campaign_id(), of_campaign ? mail : known.campaign_id() + kCampaignsBetweenMax);
}

template <class Event>
void CountSoft(task::Context& context, const Event& event) {
  const auto* known = context.view<v1::SoftBounces>().Find(state::Key(context.tenant(), event.contact_key()));
  if (known != nullptr && IsCounted(*known, event.campaign_id())) return;
  const bool anew = known == nullptr || GotThrough(context, *known, event.ordinal(), event.campaign_id());
  v1::SoftBounceCounted counted;
  counted.set_contact_key(event.contact_key());
  counted.set_campaign_id(event.campaign_id());
  counted.set_count(anew ? 1 : known->count() + 1);
  counted.set_first_at_us(anew ? context.now().us : known->first_at_us());
  context.Emit(counted);
  if (counted.count() >= kSoftBouncesMax && context.now() - Instant{counted.first_at_us()} >= kSoftBouncesSpan)
    Suppress(context, event, "soft_bounces", kBounce);
}

template <class Event>
void ReactToBounce(task::Context& context, const Event& event) {
  if (event.recipient_invalid()) return Suppress(context, event, kHardBounce, kBounce);
  if (event.contact_key().empty() || !IsOfMailbox(event.reason()) || Holds(Find(context, event.contact_key()), v1::ALL)) return;
  CountSoft(context, event);
}

const v1::SuppressionHolds* HoldsOf(const task::Context& context, std::string_view contact_key) {
  return context.view<v1::SuppressionHolds>().Find(state::Key(context.tenant(), contact_key));
}

// Said once, of what a refusal alone holds.
void Uphold(task::Context& context, const v1::AddSuppression& command) {
  const v1::SuppressionHolds* holds = HoldsOf(context, command.contact_key());
  if (holds == nullptr || holds->others() > 0) return;
  v1::SuppressionUpheld upheld;
  upheld.set_contact_key(command.contact_key());
  upheld.set_reason(command.reason().empty() ? std::string(kManual) : command.reason());
  upheld.set_source(command.source());
  context.Emit(upheld);
}

}  // namespace

void Decide(task::Context& context, const v1::AddSuppression& command) {
  if (!HasKey(context, command.contact_key())) return;
  std::string why = WhyNot(command.reason(), command.stream(), command.source(), command.note());
  if (why.empty() && command.address().size() > kSealedAddressBytesMax) why = "the address is too long";
  if (!why.empty()) return context.Refuse(Outcome::kInvalid, "invalid_suppression", why);
  const v1::Suppression* known = Find(context, command.contact_key());
  const std::string_view reason = command.reason().empty() ? kManual : std::string_view(command.reason());
  if (Stands(known, command.stream(), reason)) {
    Uphold(context, command);
    return context.Unchanged();
  }
  v1::SuppressionAdded added;
  added.set_contact_key(command.contact_key());
  added.set_reason(Why(known, reason));
  added.set_stream(With(known, command.stream()));
  added.set_source(command.source());
  added.set_address(command.address());
  added.set_note(command.note());
  added.set_domain_key(command.domain_key());
  Place(context, added);
  context.Emit(added);
}

void Decide(task::Context& context, const v1::RemoveSuppression& command) {
  if (!HasKey(context, command.contact_key()) || !WordsFit(context, command.reason())) return;
  if (Find(context, command.contact_key()) == nullptr) {
    return context.Refuse(Outcome::kNotFound, "not_suppressed", "this address is not suppressed");
  }
  v1::SuppressionRemoved removed;
  removed.set_contact_key(command.contact_key());
  removed.set_reason(command.reason());
  Place(context, removed);
  context.Emit(removed);
}

// ---- From the other partition that asks for the address ----

void Decide(task::Context& context, const v1::SuppressionAdded& other) {
  const v1::Suppression* known = Find(context, other.contact_key());
  const bool home = IsHome(context, other.contact_key());
  const bool asked = home || context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), other.contact_key())) != nullptr;
  if (!asked || Stands(known, other.stream(), other.reason())) return context.Unchanged();
  v1::SuppressionAdded added = other;
  added.set_reason(Why(known, other.reason()));
  added.set_stream(With(known, other.stream()));
  Place(context, added);
  if (!home) {  // nobody reads a copy but the gate
    added.clear_carry_to();
    added.clear_address();
    added.clear_note();
  }
  context.Emit(added);
}

void Decide(task::Context& context, const v1::SuppressionRemoved& other) {
  if (IsHome(context, other.contact_key()) || Find(context, other.contact_key()) == nullptr) return context.Unchanged();
  v1::SuppressionRemoved removed = other;
  removed.set_copy(true);
  removed.clear_carry_to();
  context.Emit(removed);
}

// ---- In the home ----

void Decide(task::Context& context, const v1::AddDomainSuppression& command) {
  std::string why = WhyNot(command.reason(), command.stream(), command.source(), command.note());
  if (why.empty() && (command.domain().empty() || command.domain().size() > kDomainBytesMax)) why = "a domain is like example.com";
  if (why.empty() && command.domain_key().size() != schema::kContactKeyBytes) why = "the key of the domain has another length";
  if (!why.empty()) return context.Refuse(Outcome::kInvalid, "invalid_suppression", why);
  const auto* known = context.view<v1::DomainSuppression>().Find(state::Key(context.tenant(), command.domain()));
  if (Holds(known, command.stream())) return context.Unchanged();
  const v1::Stream stream = With(known, command.stream());
  const auto* counter = context.view<v1::DomainSuppressionCounter>().Find(state::Key(context.tenant()));
  if (known == nullptr && counter != nullptr && counter->domains() >= kDomainsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_domain_suppressions",
                          fmt::format("a tenant suppresses at most {} domains; suppress addresses, or lift some", kDomainsMax));
  }
  v1::DomainSuppressionAdded added;
  added.set_domain(command.domain());
  added.set_domain_key(command.domain_key());
  added.set_reason(command.reason().empty() ? std::string(kManual) : command.reason());
  added.set_stream(stream);
  added.set_source(command.source());
  added.set_note(command.note());
  context.Emit(added);
}

void Decide(task::Context& context, const v1::RemoveDomainSuppression& command) {
  if (!WordsFit(context, command.reason())) return;
  const auto* known = context.view<v1::DomainSuppression>().Find(state::Key(context.tenant(), command.domain()));
  if (known == nullptr) return context.Refuse(Outcome::kNotFound, "not_suppressed", "this domain is not suppressed");
  v1::DomainSuppressionRemoved removed;
  removed.set_domain(command.domain());
  removed.set_domain_key(known->domain_key());
  removed.set_reason(command.reason());
  context.Emit(removed);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::DomainSuppressionAdded& added) {
  v1::SuppressedDomainChanged changed;
  changed.set_domain_key(added.domain_key());
  changed.set_suppressed(true);
  changed.set_stream(added.stream());
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::DomainSuppressionRemoved& removed) {
  v1::SuppressedDomainChanged changed;
  changed.set_domain_key(removed.domain_key());
  context.Emit(changed);
}

void React(task::Context& context, const sends::v1::AttemptBounced& event) { ReactToBounce(context, event); }

void React(task::Context& context, const sends::v1::BounceReceived& event) { ReactToBounce(context, event); }

void React(task::Context& context, const sends::v1::BounceReclassified& event) {
  if (event.contact_key().empty() || !event.was().recipient_invalid() || event.now().recipient_invalid()) return;
  if (!IsHome(context, event.contact_key())) return;  // what else holds it is known there alone: people lift it
  const v1::Suppression* known = Find(context, event.contact_key());
  if (known == nullptr || known->reason() != kHardBounce || HoldsOf(context, event.contact_key()) != nullptr) return;
  v1::SuppressionRemoved removed;
  removed.set_contact_key(event.contact_key());
  removed.set_reason(fmt::format("the bounce of campaign {} was none of the address: rule {}, not {}", event.campaign_id(),
                                 event.now().rule(), event.was().rule()));
  Place(context, removed);
  context.Emit(removed);
}

void React(task::Context& context, const contacts::v1::ContactAddressChanged& event) {
  DropCopy(context, event.former_key());
  DropCopy(context, event.contact_key());  // of a bounce that came after a contact had left it; where the address lives it is free of any
}

void React(task::Context& context, const contacts::v1::ContactErased& event) { DropCopy(context, event.contact_key()); }

void React(task::Context& context, const contacts::v1::ContactMerged& event) { DropCopy(context, event.contact_key()); }

namespace {

void SuppressContact(task::Context& context, const contacts::v1::Contact& contact, const std::string& reason, v1::Stream stream,
                     std::string_view source) {
  const v1::Suppression* known = Find(context, contact.contact_key());
  if (Stands(known, stream, reason)) return;
  v1::SuppressionAdded added;
  added.set_contact_key(contact.contact_key());
  added.set_reason(Why(known, reason));
  added.set_stream(With(known, stream));
  added.set_source(std::string(source));
  added.set_address(contact.address());
  added.set_domain_key(contact.domain_key());
  Place(context, added);
  context.Emit(added);
}

}  // namespace

void React(task::Context& context, const contacts::v1::ContactTakenOver& event) {
  const contacts::v1::Contact contact = *context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), event.ordinal()));
  if (!event.person().suppressed_reason().empty())
    SuppressContact(context, contact, event.person().suppressed_reason(), static_cast<v1::Stream>(event.person().suppressed_stream()),
                    kMerge);
  // At an address that is at home here it may have come while the other contact was on its way.
  for (const auto& address : event.person().addresses()) {
    const v1::Suppression* known = Find(context, address.contact_key());
    if (known != nullptr && !schema::IsOfAddress(known->reason()))
      SuppressContact(context, contact, std::string(known->reason()), known->stream(), kMerge);
  }
}

void React(task::Context& context, const v1::SuppressionAdded& event) {
  if (schema::IsOfAddress(event.reason())) return;
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), event.contact_key()));
  if (ref == nullptr) return;
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), ref->ordinal()));
  // It led to whoever has another address by now: merged into it, or leaving it.
  if (contact == nullptr || contact->contact_key() == event.contact_key()) return;
  SuppressContact(context, contacts::v1::Contact(*contact), event.reason(), event.stream(), event.source());
}

void React(task::Context& context, const contacts::v1::AddressPassedOn& event) {
  const v1::Suppression* known = Find(context, event.contact_key());
  if (known == nullptr || schema::IsOfAddress(known->reason())) return;
  v1::SuppressionAdded added;
  added.set_contact_key(event.contact_key());
  added.set_reason(known->reason());
  added.set_stream(known->stream());
  added.set_source("merge");
  Place(context, added);
  context.Emit(added);
}

// The mail went to an address that the person has left: it is the person who complains.
void React(task::Context& context, const sends::v1::ComplaintReceived& event) {
  Suppress(context, event, kComplaint, kComplaint);
  const auto* contact = context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), event.ordinal()));
  if (contact != nullptr && contact->contact_key() != event.contact_key())
    SuppressContact(context, contacts::v1::Contact(*contact), std::string(kComplaint), v1::ALL, kComplaint);
  // Or was merged into another, to which its last address leads.
  const auto* merged = context.view<contacts::v1::MergedContact>().Find(state::Key(context.tenant(), event.ordinal()));
  if (merged == nullptr || merged->contact_key() == event.contact_key()) return;
  sends::v1::ComplaintReceived last = event;
  last.set_contact_key(merged->contact_key());
  Suppress(context, last, kComplaint, kComplaint);
}

}  // namespace maily::suppressions
