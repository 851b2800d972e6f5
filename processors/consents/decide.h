// Decides what people consent to: texts and forms in the tenant's home, people in the partition of their contact.
//
// A purpose is a list, or has a name; "marketing" is all of it, and withdrawing it is the global opt-out. Who is a member, and who has
// opted out, lists keep: they react to ConsentGranted and ConsentWithdrawn in the same decision.
#pragma once

#include "maily/consents/v1/commands.pb.h"
#include "maily/consents/v1/events.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "streams/base/time.h"
#include "streams/task/processor.h"

namespace maily::consents {

inline constexpr uint32_t kTextsMax = 1'000;  // of one tenant
inline constexpr uint64_t kFormsMax = 1'000;
inline constexpr size_t kTextBytesMax = 16 * 1024;
inline constexpr size_t kTextNameBytesMax = 100;
inline constexpr size_t kProofBytesMax = 500;
inline constexpr size_t kSourceBytesMax = 40;
inline constexpr size_t kPurposeBytesMax = 40;
inline constexpr size_t kRedirectBytesMax = 1'000;
inline constexpr int kPurposesMax = 32;   // named ones, of a contact
inline constexpr int kAskedListsMax = 8;  // of one open ask
inline constexpr int kChangesMax = 24;    // of one decision: each is two events, and a decision has 64
inline constexpr size_t kSealedBytesMax = 600;
inline constexpr std::string_view kMarketing = "marketing";
inline constexpr std::string_view kWithdrawnList = "list/";  // and its id: of a Person, a list that it left by itself

inline constexpr Duration kAskValid = Days(7);
// A contact is mailed one confirmation at most in this time, whatever is filled in.
inline constexpr Duration kAskPause = Seconds(60 * 60);
// Its mail is given up then: whoever filled a form in does not wait for days.
inline constexpr Duration kAskMailedWithin = Hours(48);

// ---- In the home ----
// The same text again changes nothing. "invalid_consent_text", "too_many_consent_texts".
void Decide(task::Context& context, const v1::DefineConsentText& command);
// Answers form_id. "invalid_form", "list_not_found", "consent_text_not_found", "too_many_forms"; "confirmation_mail_missing": it asks for a
// confirmation, and names no form of messages that its mails are made by.
void Decide(task::Context& context, const v1::DefineForm& command);
// "form_not_found".
void Decide(task::Context& context, const v1::ArchiveForm& command);

// ---- In the partition of the contact ----
// Answers state: "granted", "withdrawn" or "pending", then with number, expires_at_us and, if a mail was asked for, mailed: 1 or 0, since
// whoever is suppressed or was mailed within kAskPause gets none. The message with the link is wanted in the same decision.
// "unknown_contact", "invalid_consent", "confirmation_mail_missing", "proof_missing" (an opt-out is taken back only with one),
// "too_many_purposes", "too_many_lists" (asked about at once), "opted_out" (of a list: take the opt-out back first). `by_public`: nothing
// is recorded of who is a member already, is suppressed, or has opted out and is not asked to confirm.
void Decide(task::Context& context, const v1::RecordConsent& command);
// All lists of the open ask; and an opt-out is taken back, with other memberships withdrawn: none of them was asked for.
// Confirmed already: unchanged. "confirmation_unknown", "confirmation_expired", "too_many_lists".
void Decide(task::Context& context, const v1::ConfirmConsent& command);
// Another mail, by the same form as the one before. "confirmation_unknown", "confirmation_recent"; "confirmation_not_mailed": Maily sent
// none.
void Decide(task::Context& context, const v1::AskAgain& command);
// A list that is ticked after an opt-out takes it back as ConfirmConsent does. "unknown_contact", "invalid_consent", "too_many_lists".
void Decide(task::Context& context, const v1::ChangePreferences& command);

// Of a contact into which another was merged: what either has withdrawn is withdrawn, and what the other agreed to and this one was never
// asked is agreed to. Memberships that come over are lists' to make.
void React(task::Context& context, const contacts::v1::ContactTakenOver& event);
// By a mail to a contact that was merged: whom it was merged into has opted out.
void React(task::Context& context, const engagements::v1::Unsubscribed& event);
void Decide(task::Context& context, const v1::OptOutPassedOn& passed);

}  // namespace maily::consents
