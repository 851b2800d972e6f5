// Decides who gets no mail: an address, in the partition of the contact key, whether the contact exists or not; a domain, in the tenant's
// home, and in each partition what the home announced.
#pragma once

#include "maily/contacts/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "streams/base/time.h"
#include "streams/task/processor.h"

namespace maily::suppressions {

inline constexpr size_t kReasonBytesMax = 200;

inline constexpr size_t kNoteBytesMax = 600;           // with the seal
inline constexpr uint32_t kDomainsMax = 100'000;       // of a tenant
inline constexpr std::string_view kManual = "manual";  // the reason where none is given

// Codes of refusal: "invalid_suppression". Whoever is suppressed already keeps the first reason; who was for other mails only is for all
// from now on, for the new reason.
void Decide(task::Context& context, const v1::AddSuppression& command);
// "not_suppressed", "invalid_suppression".
void Decide(task::Context& context, const v1::RemoveSuppression& command);

// ---- From the other partition that asks for the address ----
// A contact keeps its partition when it moves to an address of another one: there stands a copy of the address's entry.
void Decide(task::Context& context, const v1::SuppressionAdded& other);
void Decide(task::Context& context, const v1::SuppressionRemoved& other);
// A copy goes with the contact that it was made for.
void React(task::Context& context, const contacts::v1::ContactAddressChanged& event);
void React(task::Context& context, const contacts::v1::ContactErased& event);
void React(task::Context& context, const contacts::v1::ContactMerged& event);
// Two contacts that are one: what holds the person of either holds both. What holds an address alone stays with it.
void React(task::Context& context, const contacts::v1::ContactTakenOver& event);
void React(task::Context& context, const v1::SuppressionAdded& event);
// The address leads to another contact from now on: what holds its person is told there.
void React(task::Context& context, const contacts::v1::AddressPassedOn& event);

// ---- In the home ----
// "invalid_suppression", "too_many_domain_suppressions". A domain that is suppressed already: as an address.
void Decide(task::Context& context, const v1::AddDomainSuppression& command);
// "not_suppressed", "invalid_suppression".
void Decide(task::Context& context, const v1::RemoveDomainSuppression& command);

// ---- In each partition ----
void Decide(task::Context& context, const v1::DomainSuppressionAdded& added);
void Decide(task::Context& context, const v1::DomainSuppressionRemoved& removed);

// So many mails with soft bounces, the last at least so long after the first, without a delivery between them, are as good as a hard one.
// Only those that speak of the mailbox or its host count: what a server has against the sender or the mail says nothing of the person.
inline constexpr uint32_t kSoftBouncesMax = 5;
inline constexpr Duration kSoftBouncesSpan = Days(7);
// Mails of campaigns and messages make one count. Of the tenant's campaigns between those of two soft bounces, so many at most are looked
// at for a delivery; if there are more, the count begins anew.
inline constexpr uint64_t kCampaignsBetweenMax = 64;

// An address that is bad for good is suppressed by the decision that learns it.
void React(task::Context& context, const sends::v1::AttemptBounced& event);
void React(task::Context& context, const sends::v1::BounceReceived& event);
// A hard bounce that was none lifts the suppression that it made, if nothing else has spoken against the address since.
void React(task::Context& context, const sends::v1::BounceReclassified& event);
// Whoever has reported a mail gets no more.
void React(task::Context& context, const sends::v1::ComplaintReceived& event);

}  // namespace maily::suppressions
