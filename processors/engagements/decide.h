// Decides what people did: signals of mails by campaign and ordinal, events of contacts by contact key.
//
// Nothing is refused for coming twice: an open is an open. Attribution is a projection's.
#pragma once

#include "maily/consents/v1/events.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::engagements {

// Code of refusal of the first three: "unknown_send": this contact has no part in this campaign.
void Decide(task::Context& context, const v1::RecordOpen& command);
void Decide(task::Context& context, const v1::RecordClick& command);
// Opting out again changes nothing.
void Decide(task::Context& context, const v1::RecordHoneypot& command);
void Decide(task::Context& context, const v1::RecordUnsubscribe& command);
// "unknown_contact", "negative_revenue", "invalid_event".
void Decide(task::Context& context, const v1::RecordContactEvent& command);

// Consent to all marketing is withdrawn: whoever has not opted out yet has now, by the method "consent/<source>".
inline constexpr std::string_view kMethodOfConsent = "consent/";
void React(task::Context& context, const consents::v1::ConsentWithdrawn& event);

}  // namespace maily::engagements
