// See decide.h.
#include "processors/consents/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "maily/consents/v1/events.pb.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::consents {
namespace {

using journal::Outcome;

constexpr size_t kHashBytes = 32;

void RefuseInvalid(task::Context& context, std::string_view code, std::string_view why) { context.Refuse(Outcome::kInvalid, code, why); }

const v1::Person& PersonOf(const task::Context& context, uint64_t ordinal) {
  const auto* person = context.view<v1::Person>().Find(state::Key(context.tenant(), ordinal));
  return person == nullptr ? v1::Person::default_instance() : *person;
}
const lists::v1::Subscriber& SubscriberOf(const task::Context& context, uint64_t ordinal) {
  const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), ordinal));
  return subscriber == nullptr ? lists::v1::Subscriber::default_instance() : *subscriber;
}
const contacts::v1::Contact* ContactOf(const task::Context& context, uint64_t ordinal) {
  return context.view<contacts::v1::Contact>().Find(state::Key(context.tenant(), ordinal));
}

bool IsMember(const lists::v1::Subscriber& subscriber, uint64_t list_id) {
  return std::ranges::binary_search(subscriber.list_ids(), list_id);
}
bool OptedOut(const lists::v1::Subscriber& subscriber) { return subscriber.unsubscribed_at_us() != 0; }

// By any entry, of whatever mails: a confirmation is not sent into the doubt.
bool IsSuppressed(const task::Context& context, const contacts::v1::Contact& contact) {
  return context.view<suppressions::v1::Suppression>().Find(state::Key(context.tenant(), std::string_view(contact.contact_key()))) !=
             nullptr ||
         (!contact.domain_key().empty() && context.view<suppressions::v1::SuppressedDomain>().Find(
                                               state::Key(context.tenant(), std::string_view(contact.domain_key()))) != nullptr);
}

// Whether a confirmation may be mailed at all.
bool CanBeMailed(const task::Context& context, uint64_t ordinal) {
  const auto* contact = ContactOf(context, ordinal);
  return contact != nullptr && contact->contact_key().size() == schema::kContactKeyBytes && !contact->address().empty() &&
         !IsSuppressed(context, *contact);
}

bool IsPurpose(std::string_view name) {
  return !name.empty() && name.size() <= kPurposeBytesMax && name[0] >= 'a' && name[0] <= 'z' &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

// Empty: it can be decided.
std::string WhyNot(const v1::RecordConsent& command) {
  if ((command.list_id() == 0) == command.purpose().empty()) return "name a list or a purpose, and not both";
  if (!command.purpose().empty() && !IsPurpose(command.purpose()))
    return fmt::format("a purpose has up to {} lower-case letters, digits, _ and -", kPurposeBytesMax);
  if (command.source().empty() || command.source().size() > kSourceBytesMax)
    return fmt::format("a source has 1 to {} bytes", kSourceBytesMax);
  if (command.proof().size() > kProofBytesMax) return fmt::format("a proof has at most {} bytes", kProofBytesMax);
  if (!command.text_hash().empty() && command.text_hash().size() != kHashBytes) return "a text is named by its SHA-256";
  if (command.ip().size() > kSealedBytesMax || command.user_agent().size() > kSealedBytesMax) return "the address or agent is too long";
  if (command.double_opt_in() && (command.list_id() == 0 || !command.granted())) return "what is confirmed is the consent to a list";
  if (command.mail() && !command.double_opt_in()) return "a confirmation is mailed of a double opt-in alone";
  return {};
}

template <class Event>
Event EventOf(uint64_t ordinal, uint64_t list_id, std::string_view purpose, std::string_view source) {
  Event event;
  event.set_ordinal(ordinal);
  event.set_list_id(list_id);
  event.set_purpose(std::string(purpose));
  event.set_source(std::string(source));
  return event;
}
template <class Event, class Command>
void SetReader(Event& event, const Command& command) {
  event.set_ip(command.ip());
  event.set_user_agent(command.user_agent());
}

// Every membership that is not among `kept` (ascending).
std::vector<uint64_t> Others(const lists::v1::Subscriber& subscriber, const std::vector<uint64_t>& kept) {
  std::vector<uint64_t> others;
  std::ranges::set_difference(subscriber.list_ids(), kept, std::back_inserter(others));
  return others;
}

bool Fits(task::Context& context, size_t changes) {
  if (changes <= static_cast<size_t>(kChangesMax)) return true;
  RefuseInvalid(context, "too_many_lists", fmt::format("at most {} consents change at once", kChangesMax));
  return false;
}

bool MayMail(const task::Context& context, const v1::Person& person) {
  return person.mailed_at_us() == 0 || context.now() - Instant{person.mailed_at_us()} >= kAskPause;
}

const contacts::v1::MergedContact* MergedOf(const task::Context& context, uint64_t ordinal) {
  return context.view<contacts::v1::MergedContact>().Find(state::Key(context.tenant(), ordinal));
}

// The mail with the link of `asked`, which is emitted by now.
void WantMail(task::Context& context, const v1::ConfirmationAsked& asked) {
  const auto* contact = ContactOf(context, asked.ordinal());
  messages::v1::MessageWanted wanted;
  messages::v1::PostMessage& message = *wanted.mutable_message();
  message.set_form_id(asked.mailing().form_id());
  message.set_template_id(asked.mailing().template_id());
  message.set_template_version(asked.mailing().template_version());
  message.set_contact_key(contact->contact_key());
  message.set_address(contact->address());
  message.set_domain_key(contact->domain_key());
  message.set_source("consents");
  message.set_expires_after_s(static_cast<uint32_t>(kAskMailedWithin.us / 1'000'000));
  message.set_confirm_number(asked.number());
  context.Emit(wanted);
}

// A confirmation is asked of the contact for the list, under the open number or a new one.
void Ask(task::Context& context, uint64_t ordinal, const v1::RecordConsent& command) {
  const v1::Person& person = PersonOf(context, ordinal);
  const bool open = person.ask().number() != 0 && context.now().us < person.ask().expires_at_us();
  const bool there = open && std::ranges::any_of(person.ask().lists(), [&](const auto& one) { return one.list_id() == command.list_id(); });
  const bool mail = command.mail() && MayMail(context, person) && CanBeMailed(context, ordinal);
  if (open && !there && person.ask().lists_size() >= kAskedListsMax) {
    return RefuseInvalid(context, "too_many_lists", fmt::format("at most {} lists wait for one confirmation", kAskedListsMax));
  }
  const uint64_t number = open ? person.ask().number() : person.last_number() + 1;
  const int64_t expires_at_us = (context.now() + kAskValid).us;
  context.Answer("state", "pending");
  context.Answer("number", number);
  if (command.mail()) context.Answer("mailed", uint64_t{mail ? 1U : 0U});
  if (there && !mail) {
    context.Answer("expires_at_us", static_cast<uint64_t>(person.ask().expires_at_us()));
    return context.Unchanged();
  }
  context.Answer("expires_at_us", static_cast<uint64_t>(expires_at_us));
  v1::ConfirmationAsked asked;
  asked.set_ordinal(ordinal);
  asked.set_number(number);
  asked.set_list_id(command.list_id());
  asked.set_text_hash(command.text_hash());
  asked.set_source(command.source());
  asked.set_form_id(command.form_id());
  asked.set_expires_at_us(expires_at_us);
  asked.set_mail(mail);
  if (command.mail()) *asked.mutable_mailing() = command.mailing();
  asked.set_proof(command.proof());
  SetReader(asked, command);
  context.Emit(asked);
  if (mail) WantMail(context, asked);
}

void Grant(task::Context& context, uint64_t ordinal, const v1::RecordConsent& command) {
  auto granted = EventOf<v1::ConsentGranted>(ordinal, command.list_id(), command.purpose(), command.source());
  granted.set_text_hash(command.text_hash());
  granted.set_proof(command.proof());
  granted.set_form_id(command.form_id());
  SetReader(granted, command);
  context.Emit(granted);
  context.Answer("state", "granted");
}

// True: there is nothing to withdraw.
bool IsWithdrawn(const task::Context& context, uint64_t ordinal, const v1::RecordConsent& command) {
  const auto& subscriber = SubscriberOf(context, ordinal);
  if (command.list_id() != 0)
    return !IsMember(subscriber, command.list_id()) && !std::ranges::binary_search(subscriber.pending_list_ids(), command.list_id());
  if (command.purpose() == kMarketing) return OptedOut(subscriber);
  const auto& purposes = PersonOf(context, ordinal).purposes();
  const auto found = std::ranges::find_if(purposes, [&](const auto& one) { return one.purpose() == command.purpose(); });
  return found != purposes.end() && !found->granted();
}

void Withdraw(task::Context& context, uint64_t ordinal, const v1::RecordConsent& command) {
  context.Answer("state", "withdrawn");
  if (IsWithdrawn(context, ordinal, command)) return context.Unchanged();
  auto withdrawn = EventOf<v1::ConsentWithdrawn>(ordinal, command.list_id(), command.purpose(), command.source());
  withdrawn.set_text_hash(command.text_hash());
  withdrawn.set_proof(command.proof());
  SetReader(withdrawn, command);
  context.Emit(withdrawn);
}

// What somebody whom nobody knows has filled in: true if it is looked at any further.
bool PublicMay(task::Context& context, uint64_t ordinal, const v1::RecordConsent& command) {
  if (!command.by_public()) return true;
  const auto& subscriber = SubscriberOf(context, ordinal);
  const auto* contact = ContactOf(context, ordinal);
  const bool already = IsMember(subscriber, command.list_id()) && !OptedOut(subscriber);
  const bool in_vain = contact == nullptr || IsSuppressed(context, *contact) || (OptedOut(subscriber) && !command.double_opt_in());
  if (!already && !in_vain) return true;
  context.Unchanged();
  return false;
}

// The opt-out, if there is one, is taken back for `lists` alone (ascending): what the contact did not ask for is withdrawn.
// False: too much would change, and the command was refused.
template <class Command>
bool TakeOptOutBack(task::Context& context, const Command& command, const std::vector<uint64_t>& lists, size_t other_changes,
                    std::string_view source, std::string_view proof) {
  if (!OptedOut(SubscriberOf(context, command.ordinal()))) return Fits(context, other_changes);
  const std::vector<uint64_t> others = Others(SubscriberOf(context, command.ordinal()), lists);
  if (!Fits(context, others.size() + other_changes + 1)) return false;
  auto back = EventOf<v1::ConsentGranted>(command.ordinal(), 0, kMarketing, source);
  back.set_proof(std::string(proof));
  SetReader(back, command);
  context.Emit(back);
  for (const uint64_t list_id : others) context.Emit(EventOf<v1::ConsentWithdrawn>(command.ordinal(), list_id, {}, source));
  return true;
}

}  // namespace

// ---- In the home ----

void Decide(task::Context& context, const v1::DefineConsentText& command) {
  if (command.hash().size() != kHashBytes || command.text().empty() || command.text().size() > kTextBytesMax || command.name().empty() ||
      command.name().size() > kTextNameBytesMax || command.language().size() > 35) {
    return RefuseInvalid(context, "invalid_consent_text",
                         fmt::format("a consent text has 1 to {} bytes, and a name of at most {}", kTextBytesMax, kTextNameBytesMax));
  }
  if (context.view<v1::ConsentText>().Find(state::Key(context.tenant(), std::string_view(command.hash()))) != nullptr)
    return context.Unchanged();
  const auto* counter = context.view<v1::ConsentCounter>().Find(state::Key(context.tenant()));
  if (counter != nullptr && counter->texts() >= kTextsMax)
    return RefuseInvalid(context, "too_many_consent_texts", fmt::format("a tenant has at most {} consent texts", kTextsMax));
  v1::ConsentTextDefined defined;
  defined.set_hash(command.hash());
  defined.set_name(command.name());
  defined.set_language(command.language());
  defined.set_text(command.text());
  context.Emit(defined);
}

void Decide(task::Context& context, const v1::DefineForm& command) {
  const v1::FormSpec& spec = command.spec();
  if (spec.name().empty() || spec.name().size() > kTextNameBytesMax || spec.redirect_url().size() > kRedirectBytesMax ||
      (!spec.redirect_url().empty() && !spec.redirect_url().starts_with("https://"))) {
    return RefuseInvalid(context, "invalid_form",
                         fmt::format("a form has a name of 1 to {} bytes, and leads to https://… or nowhere", kTextNameBytesMax));
  }
  if (context.view<lists::v1::List>().Find(state::Key(context.tenant(), spec.list_id())) == nullptr)
    return RefuseInvalid(context, "list_not_found", fmt::format("there is no list {}", spec.list_id()));
  if (context.view<v1::ConsentText>().Find(state::Key(context.tenant(), std::string_view(spec.text_hash()))) == nullptr)
    return RefuseInvalid(context, "consent_text_not_found", "there is no such consent text; define it first");
  if (spec.double_opt_in() && spec.mail().form_id() == 0)
    return RefuseInvalid(context, "confirmation_mail_missing", "a form that asks for a confirmation names what its mails are made by");
  const auto* counter = context.view<v1::ConsentCounter>().Find(state::Key(context.tenant()));
  const uint64_t last = counter == nullptr ? 0 : counter->last_form_id();
  if (last >= kFormsMax) return RefuseInvalid(context, "too_many_forms", fmt::format("a tenant has at most {} forms", kFormsMax));
  v1::FormDefined defined;
  defined.set_form_id(last + 1);
  *defined.mutable_spec() = spec;
  context.Emit(defined);
  context.Answer("form_id", defined.form_id());
}

void Decide(task::Context& context, const v1::ArchiveForm& command) {
  const auto* form = context.view<v1::Form>().Find(state::Key(context.tenant(), command.form_id()));
  if (form == nullptr) return context.Refuse(Outcome::kNotFound, "form_not_found", fmt::format("there is no form {}", command.form_id()));
  if (form->archived()) return context.Unchanged();
  v1::FormArchived archived;
  archived.set_form_id(command.form_id());
  context.Emit(archived);
}

// ---- In the partition of the contact ----

void Decide(task::Context& context, const v1::RecordConsent& command) {
  if (const std::string why = WhyNot(command); !why.empty()) return RefuseInvalid(context, "invalid_consent", why);
  if (command.mail() && command.mailing().form_id() == 0)
    return RefuseInvalid(context, "confirmation_mail_missing", "it names nothing that the mail of the confirmation is made by");
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), std::string_view(command.contact_key())));
  if (ref == nullptr) return context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no contact of that address");
  const uint64_t ordinal = ref->ordinal();
  if (!PublicMay(context, ordinal, command)) return;
  if (!command.granted()) return Withdraw(context, ordinal, command);
  const auto& subscriber = SubscriberOf(context, ordinal);
  if (command.double_opt_in()) {
    if (!IsMember(subscriber, command.list_id()) || OptedOut(subscriber)) return Ask(context, ordinal, command);
    context.Answer("state", "granted");
    return context.Unchanged();
  }
  if (command.list_id() != 0 && OptedOut(subscriber)) {
    return context.Refuse(
        Outcome::kConflict, "opted_out",
        "the contact has opted out of all marketing; record its consent to \"marketing\", with proof, or ask it to confirm");
  }
  if (command.purpose() == kMarketing && command.proof().empty())
    return RefuseInvalid(context, "proof_missing", "say how the contact asked for it: a form, a mail, a call");
  const auto& purposes = PersonOf(context, ordinal).purposes();
  const auto named = std::ranges::count_if(purposes, [](const auto& one) { return !one.purpose().starts_with(kWithdrawnList); });
  if (named >= kPurposesMax && !command.purpose().empty())
    return RefuseInvalid(context, "too_many_purposes", fmt::format("a contact has at most {} named purposes", kPurposesMax));
  Grant(context, ordinal, command);
}

void Decide(task::Context& context, const v1::ConfirmConsent& command) {
  const v1::Person person = PersonOf(context, command.ordinal());
  if (command.number() == 0 || command.number() > person.last_number() || ContactOf(context, command.ordinal()) == nullptr)
    return context.Refuse(Outcome::kNotFound, "confirmation_unknown", "nothing was asked under this number");
  if (command.number() <= person.confirmed_number()) return context.Unchanged();
  if (person.ask().number() != command.number() || context.now().us >= person.ask().expires_at_us())
    return context.Refuse(Outcome::kGone, "confirmation_expired", "this link is not valid any more; ask for another mail");
  std::vector<uint64_t> lists;
  for (const v1::AskedFor& one : person.ask().lists()) lists.push_back(one.list_id());
  std::ranges::sort(lists);
  const std::string proof = fmt::format("confirmation {}, asked {} us", command.number(), person.ask().asked_at_us());
  if (!TakeOptOutBack(context, command, lists, lists.size(), "double_opt_in", proof)) return;
  for (const v1::AskedFor& one : person.ask().lists()) {
    auto granted = EventOf<v1::ConsentGranted>(command.ordinal(), one.list_id(), {}, "double_opt_in");
    granted.set_text_hash(one.text_hash());
    granted.set_form_id(one.form_id());
    granted.set_number(command.number());
    granted.set_proof(proof);
    SetReader(granted, command);
    context.Emit(granted);
  }
}

void Decide(task::Context& context, const v1::AskAgain& command) {
  const v1::Person person = PersonOf(context, command.ordinal());
  const auto* contact = ContactOf(context, command.ordinal());
  if (contact == nullptr || person.ask().number() == 0 || person.ask().number() != command.number())
    return context.Refuse(Outcome::kNotFound, "confirmation_unknown", "nothing waits for a confirmation under this number");
  const auto& lists = person.ask().lists();
  const auto mailed = std::ranges::find_if(lists, [](const v1::AskedFor& one) { return one.mail().form_id() != 0; });
  if (mailed == lists.end())
    return context.Refuse(Outcome::kNotFound, "confirmation_not_mailed", "no mail was sent by Maily, so there is none to send again");
  if (!CanBeMailed(context, command.ordinal())) return context.Unchanged();
  if (!MayMail(context, person))
    return context.Refuse(Outcome::kConflict, "confirmation_recent",
                          "a mail was sent within the last hour; look for it, or come back later");
  const bool open = context.now().us < person.ask().expires_at_us();
  for (const v1::AskedFor& one : lists) {
    v1::ConfirmationAsked asked;
    asked.set_ordinal(command.ordinal());
    asked.set_number(open ? command.number() : person.last_number() + 1);
    asked.set_list_id(one.list_id());
    asked.set_text_hash(one.text_hash());
    asked.set_form_id(one.form_id());
    asked.set_source("asked_again");
    asked.set_expires_at_us((context.now() + kAskValid).us);
    asked.set_mail(&one == &*mailed);
    if (one.has_mail()) *asked.mutable_mailing() = one.mail();
    context.Emit(asked);
    if (asked.mail()) WantMail(context, asked);
  }
}

namespace {

// To whom the contact was merged into. Nobody waits for the answer there, so what would be too much for one decision goes in parts.
void SendOn(task::Context& context, const contacts::v1::MergedContact& merged, v1::ChangePreferences command) {
  command.set_ordinal(merged.into_ordinal());
  command.clear_campaign_id();
  const std::vector<uint64_t> unwanted(command.unwanted().begin(), command.unwanted().end());
  size_t done = 0;
  do {
    const auto room = static_cast<size_t>(std::max(kChangesMax - command.wanted_size(), 1));
    const size_t end = std::min(unwanted.size(), done + room);
    command.clear_unwanted();
    for (; done < end; ++done) command.add_unwanted(unwanted[done]);
    contacts::v1::CommandForwarded forwarded;
    forwarded.set_partition(merged.into_partition());
    forwarded.set_command_type(TypeNumberOf<v1::ChangePreferences>());
    forwarded.set_command(command.SerializeAsString());
    context.Emit(forwarded);
    command.clear_wanted();
  } while (done < unwanted.size());
}

}  // namespace

void Decide(task::Context& context, const v1::ChangePreferences& command) {
  constexpr std::string_view kSource = "preference_page";
  if (const auto* merged = MergedOf(context, command.ordinal())) {  // the link is of a mail to whom it was before
    return SendOn(context, contacts::v1::MergedContact(*merged), command);
  }
  if (ContactOf(context, command.ordinal()) == nullptr)
    return context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no such contact");
  const auto ascending = [](const auto& ids) { return std::ranges::adjacent_find(ids, std::greater_equal()) == ids.end(); };
  if (!ascending(command.wanted()) || !ascending(command.unwanted()))
    return RefuseInvalid(context, "invalid_consent", "lists are named once, in ascending order");
  if (command.leave_all()) {
    if (OptedOut(SubscriberOf(context, command.ordinal()))) return context.Unchanged();
    auto withdrawn = EventOf<v1::ConsentWithdrawn>(command.ordinal(), 0, kMarketing, kSource);
    withdrawn.set_campaign_id(command.campaign_id());
    SetReader(withdrawn, command);
    return context.Emit(withdrawn);
  }
  const lists::v1::Subscriber subscriber = SubscriberOf(context, command.ordinal());
  const std::vector<uint64_t> wanted(command.wanted().begin(), command.wanted().end());
  std::vector<uint64_t> joins;
  std::vector<uint64_t> leaves;
  std::ranges::set_difference(wanted, subscriber.list_ids(), std::back_inserter(joins));
  for (const uint64_t list_id : command.unwanted()) {
    const bool held = IsMember(subscriber, list_id) || std::ranges::binary_search(subscriber.pending_list_ids(), list_id);
    if (held && !OptedOut(subscriber)) leaves.push_back(list_id);
  }
  // Whoever has opted out and ticks nothing stays so.
  if (joins.empty() && leaves.empty() && (!OptedOut(subscriber) || wanted.empty())) return context.Unchanged();
  if (!wanted.empty()) {
    if (!TakeOptOutBack(context, command, wanted, joins.size() + leaves.size(), kSource, kSource)) return;
  } else if (!Fits(context, leaves.size())) {
    return;
  }
  for (const uint64_t list_id : joins) {
    auto granted = EventOf<v1::ConsentGranted>(command.ordinal(), list_id, {}, kSource);
    granted.set_campaign_id(command.campaign_id());
    SetReader(granted, command);
    context.Emit(granted);
  }
  for (const uint64_t list_id : leaves) {
    auto withdrawn = EventOf<v1::ConsentWithdrawn>(command.ordinal(), list_id, {}, kSource);
    withdrawn.set_campaign_id(command.campaign_id());
    SetReader(withdrawn, command);
    context.Emit(withdrawn);
  }
}

// ---- Of contacts that were merged ----

void React(task::Context& context, const contacts::v1::ContactTakenOver& event) {
  constexpr std::string_view kSource = "merge";
  const v1::Person person = PersonOf(context, event.ordinal());
  const auto known = [&](std::string_view purpose) {
    const auto found = std::ranges::find_if(person.purposes(), [&](const auto& one) { return one.purpose() == purpose; });
    return found == person.purposes().end() ? nullptr : &*found;
  };
  for (const uint64_t list_id : event.person().withdrawn_list_ids()) {
    if (known(fmt::format("{}{}", kWithdrawnList, list_id)) == nullptr)
      context.Emit(EventOf<v1::ConsentWithdrawn>(event.ordinal(), list_id, {}, kSource));
  }
  for (const std::string& purpose : event.person().withdrawn()) {
    const auto* own = known(purpose);
    if (own == nullptr || own->granted()) context.Emit(EventOf<v1::ConsentWithdrawn>(event.ordinal(), 0, purpose, kSource));
  }
  for (const std::string& purpose : event.person().granted()) {
    if (known(purpose) != nullptr) continue;
    auto granted = EventOf<v1::ConsentGranted>(event.ordinal(), 0, purpose, kSource);
    granted.set_proof(
        fmt::format("of contact {}, which was merged",
                    schema::PackContactId({PartitionId(static_cast<uint16_t>(event.from_partition())), event.from_ordinal()})));
    context.Emit(granted);
  }
}

void React(task::Context& context, const engagements::v1::Unsubscribed& event) {
  const auto* merged = MergedOf(context, event.ordinal());
  if (merged == nullptr) return;
  v1::OptOutPassedOn passed;
  passed.set_partition(merged->into_partition());
  passed.set_ordinal(merged->into_ordinal());
  context.Emit(passed);
}

void Decide(task::Context& context, const v1::OptOutPassedOn& passed) {
  if (const auto* merged = MergedOf(context, passed.ordinal())) {
    v1::OptOutPassedOn further;
    further.set_partition(merged->into_partition());
    further.set_ordinal(merged->into_ordinal());
    return context.Emit(further);
  }
  if (ContactOf(context, passed.ordinal()) == nullptr || OptedOut(SubscriberOf(context, passed.ordinal()))) return context.Unchanged();
  context.Emit(EventOf<v1::ConsentWithdrawn>(passed.ordinal(), 0, kMarketing, "merge"));
}

}  // namespace maily::consents
