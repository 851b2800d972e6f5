// See merge.h.
#include "processors/contacts/merge.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/consents/v1/events.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "processors/contacts/address_change.h"
#include "processors/contacts/merge_person.h"
#include "processors/contacts/upsert.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

using journal::Outcome;

constexpr std::string_view kMarketing = "marketing";
constexpr std::string_view kSource = "merge";

const v1::ContactMerge* MergeOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::ContactMerge>().Find(state::Key(context.tenant(), ordinal));
}
const v1::MergeIntake* IntakeOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::MergeIntake>().Find(state::Key(context.tenant(), ordinal));
}
const v1::MergedContact* MergedOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::MergedContact>().Find(state::Key(context.tenant(), ordinal));
}
const v1::Contact* ContactOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::Contact>().Find(state::Key(context.tenant(), ordinal));
}

uint64_t IdOf(uint32_t partition, uint64_t ordinal) {
  return schema::PackContactId({PartitionId(static_cast<uint16_t>(partition)), ordinal});
}

bool IsHome(const task::Context& context, std::string_view contact_key) {
  return schema::PartitionOfContact(contact_key, context.partition_count()) == context.partition();
}

// Of a step that goes from the contact to the other, or back.
template <class Event>
Event StepOf(uint32_t partition, uint64_t ordinal, uint32_t into_partition, uint64_t into_ordinal) {
  Event event;
  event.set_partition(partition);
  event.set_ordinal(ordinal);
  event.set_into_partition(into_partition);
  event.set_into_ordinal(into_ordinal);
  return event;
}

// Why the other cannot take it; an empty code: it can.
struct Denial {
  std::string code{};
  std::string message{};
  uint64_t other_contact_id = 0;
};
Denial WhyNot(const task::Context& context, const v1::MergeAsked& asked) {
  const uint64_t ordinal = asked.into_ordinal();
  const v1::Contact* found = ContactOf(context, ordinal);
  if (found == nullptr) {
    if (const auto* merged = MergedOf(context, ordinal)) {
      return {"contact_merged", "the other contact was itself merged; merge into the one that it was merged into",
              IdOf(merged->into_partition(), merged->into_ordinal())};
    }
    const auto* counter = context.view<v1::ContactCounter>().Find(state::Key(context.tenant()));
    const bool known = counter != nullptr && ordinal > 0 && ordinal <= counter->last_ordinal();
    return known ? Denial{"erased", "the other contact was erased"} : Denial{"unknown_contact", "there is no such contact to merge into"};
  }
  const v1::Contact contact = *found;
  if (IsChanging(context, ordinal))
    return {"address_change_under_way", "the address of the other contact is being changed; ask again in a moment"};
  if (IsMerging(context, ordinal)) return {"merge_under_way", "the other contact is being merged itself; ask again in a moment"};
  TooMuch too_much = WhyTooMuch(context, ordinal, contact, asked.person());
  return {std::move(too_much.code), std::move(too_much.message)};
}

// A person goes from partition to partition as one command of a link.
constexpr size_t kCarriedBytesMax = 60 << 10;
constexpr std::string_view kTooLarge =
    "this contact with its lists and consents is more than 60 KiB, which is the most that is carried; unset attributes of it, or take it "
    "off lists first";

void Refused(task::Context& context, uint64_t ordinal, std::string code, std::string message, uint64_t other_contact_id = 0) {
  v1::MergeRefused refused;
  refused.set_ordinal(ordinal);
  refused.set_code(std::move(code));
  refused.set_message(std::move(message));
  refused.set_other_contact_id(other_contact_id);
  context.Emit(refused);
}

// What the contact has none of and the other had.
void TakeOver(task::Context& context, uint64_t ordinal, const v1::MergedPerson& person, const std::string& source) {
  v1::ContactChanged changed;
  *changed.mutable_attributes() = person.attributes();
  *changed.mutable_add_tags() = person.tags();
  if (changed.ByteSizeLong() == 0) return;
  changed.set_ordinal(ordinal);
  changed.set_source(source);
  context.Emit(changed);
}

void OptOut(task::Context& context, uint64_t ordinal) {
  const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), ordinal));
  if (subscriber != nullptr && subscriber->unsubscribed_at_us() != 0) return;
  consents::v1::ConsentWithdrawn withdrawn;
  withdrawn.set_ordinal(ordinal);
  withdrawn.set_purpose(kMarketing.data(), kMarketing.size());
  withdrawn.set_source(kSource.data(), kSource.size());
  context.Emit(withdrawn);
}

void Lead(task::Fold& fold, const std::string& contact_key, uint32_t partition, uint64_t ordinal) {
  v1::ContactElsewhere& elsewhere = fold.table<v1::ContactElsewhere>().Edit(state::Key(fold.tenant(), contact_key));
  elsewhere.set_partition(partition);
  elsewhere.set_ordinal(ordinal);
  elsewhere.set_merged(true);
  NoteMoved(fold);
}

}  // namespace

bool IsMerging(const task::Context& context, uint64_t ordinal) {
  return MergeOf(context, ordinal) != nullptr || IntakeOf(context, ordinal) != nullptr;
}

bool RefuseIfMerged(task::Context& context, uint64_t ordinal) {
  const auto* merged = MergedOf(context, ordinal);
  if (merged == nullptr) return false;
  const uint64_t other = IdOf(merged->into_partition(), merged->into_ordinal());
  context.Refuse(Outcome::kConflict, "contact_merged", fmt::format("this contact was merged into {}; ask that one", other));
  context.Answer("other_contact_id", other);
  return true;
}

// ---- In the contact's partition ----

void Decide(task::Context& context, const v1::MergeContact& command) {
  const uint64_t ordinal = command.ordinal();
  if (command.into_partition() == context.partition().value() && command.into_ordinal() == ordinal)
    return context.Refuse(Outcome::kInvalid, "invalid_merge", "a contact is merged into another, not into itself");
  if (command.into_partition() >= context.partition_count() || command.into_ordinal() == 0)
    return context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no such contact to merge into");
  if (command.campaigns_size() > kMergeCampaignsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_campaigns",
                          fmt::format("{} campaigns are more than {}", command.campaigns_size(), kMergeCampaignsMax));
  }
  const auto* merged = MergedOf(context, ordinal);
  if (merged != nullptr && merged->into_partition() == command.into_partition() && merged->into_ordinal() == command.into_ordinal()) {
    context.Answer("result", "unchanged");
    return context.Unchanged();
  }
  if (ContactOrRefuse(context, ordinal) == nullptr) return;
  if (const auto* merge = MergeOf(context, ordinal);
      merge != nullptr && merge->into_partition() == command.into_partition() && merge->into_ordinal() == command.into_ordinal()) {
    context.Answer("result", "asked");
    return context.Unchanged();
  }
  if (IsMerging(context, ordinal))
    return context.Refuse(Outcome::kConflict, "merge_under_way", "this contact is being merged already; ask again in a moment");
  if (IsChanging(context, ordinal)) {
    return context.Refuse(Outcome::kConflict, "address_change_under_way",
                          "the address of this contact is being changed; ask again in a moment");
  }
  auto asked = StepOf<v1::MergeAsked>(context.partition().value(), ordinal, command.into_partition(), command.into_ordinal());
  *asked.mutable_person() = PersonOf(context, ordinal, command.campaigns());
  *asked.mutable_campaigns() = command.campaigns();
  asked.set_source(command.source());
  if (asked.ByteSizeLong() > kCarriedBytesMax) return context.Refuse(Outcome::kInvalid, "too_much_to_merge", std::string(kTooLarge));
  context.Emit(asked);
  context.Answer("result", "asked");
}

void Decide(task::Context& context, const v1::MergeAgreed& agreed) {
  const auto* found = MergeOf(context, agreed.ordinal());
  const bool waits =
      found != nullptr && found->into_partition() == agreed.into_partition() && found->into_ordinal() == agreed.into_ordinal();
  const auto give_up = [&] {
    context.Emit(StepOf<v1::MergeGivenUp>(agreed.partition(), agreed.ordinal(), agreed.into_partition(), agreed.into_ordinal()));
  };
  if (!waits) return give_up();
  const v1::ContactMerge merge = *found;
  auto handed = StepOf<v1::ContactHandedOver>(agreed.partition(), agreed.ordinal(), agreed.into_partition(), agreed.into_ordinal());
  *handed.mutable_person() = PersonOf(context, agreed.ordinal(), merge.campaigns());
  if (ChangesOf(handed.person()) > kMergeChangesMax) {  // it has left lists since it was asked
    Refused(context, agreed.ordinal(), "too_much_to_merge",
            fmt::format("memberships and consents come to more than {} changes; take the contact off lists first", kMergeChangesMax));
    return give_up();
  }
  handed.set_source(merge.source());
  if (handed.ByteSizeLong() > kCarriedBytesMax) {
    Refused(context, agreed.ordinal(), "too_much_to_merge", std::string(kTooLarge));
    return give_up();
  }
  v1::ContactMerged merged;
  merged.set_ordinal(agreed.ordinal());
  merged.set_into_partition(agreed.into_partition());
  merged.set_into_ordinal(agreed.into_ordinal());
  merged.set_contact_key(handed.person().addresses(0).contact_key());
  for (const v1::MergedAddress& address : handed.person().addresses()) merged.add_addresses(address.contact_key());
  merged.set_source(merge.source());
  context.Emit(merged);
  context.Emit(handed);
}

void Decide(task::Context& context, const v1::MergeDenied& denied) {
  if (MergeOf(context, denied.ordinal()) == nullptr) return context.Unchanged();
  Refused(context, denied.ordinal(), denied.code(), denied.message(), denied.other_contact_id());
}

void Decide(task::Context& context, const v1::MergedForgotten& forgotten) {
  const auto* found = MergedOf(context, forgotten.ordinal());
  if (found == nullptr) return context.Unchanged();
  const v1::MergedContact merged = *found;
  v1::ContactErased erased;
  erased.set_ordinal(forgotten.ordinal());
  erased.set_contact_key(merged.contact_key());
  erased.set_merged(true);
  for (const std::string& contact_key : merged.addresses()) {
    if (!IsHome(context, contact_key)) erased.add_passed(contact_key);
  }
  context.Emit(erased);
  v1::Contact was;
  was.set_contact_key(merged.contact_key());
  *was.mutable_former() = merged.former();
  ForgetAddresses(context, forgotten.ordinal(), was);
}

void Decide(task::Context& context, const v1::ContactKeysDestroyed& destroyed) {
  v1::ContactKeysDestroyed own;
  own.set_ordinal(destroyed.merged().ordinal());
  context.Emit(own);
}

// ---- In the other's partition ----

void Decide(task::Context& context, const v1::MergeAsked& asked) {
  if (Denial denial = WhyNot(context, asked); !denial.code.empty()) {
    v1::MergeDenied denied;
    denied.set_partition(asked.partition());
    denied.set_ordinal(asked.ordinal());
    denied.set_code(std::move(denial.code));
    denied.set_message(std::move(denial.message));
    denied.set_other_contact_id(denial.other_contact_id);
    return context.Emit(denied);
  }
  context.Emit(StepOf<v1::MergeAgreed>(asked.partition(), asked.ordinal(), asked.into_partition(), asked.into_ordinal()));
}

void Decide(task::Context& context, const v1::MergeGivenUp& given_up) {
  const auto* intake = IntakeOf(context, given_up.into_ordinal());
  const bool waits = intake != nullptr && intake->from_partition() == given_up.partition() && intake->from_ordinal() == given_up.ordinal();
  if (!waits) return context.Unchanged();
  v1::IntakeSettled settled;
  settled.set_ordinal(given_up.into_ordinal());
  context.Emit(settled);
}

void Decide(task::Context& context, const v1::ContactHandedOver& handed) {
  const uint64_t ordinal = handed.into_ordinal();
  const v1::Contact* found = ContactOf(context, ordinal);
  MAILY_CHECK(found != nullptr, "contact {} of tenant {} has agreed to take another, and is not there", ordinal, context.tenant().value());
  const v1::Contact contact = *found;
  v1::ContactTakenOver taken;
  taken.set_ordinal(ordinal);
  taken.set_from_partition(handed.partition());
  taken.set_from_ordinal(handed.ordinal());
  *taken.mutable_person() = handed.person();
  Trim(context, ordinal, contact, *taken.mutable_person(), *taken.mutable_left_out());
  taken.set_source(handed.source());
  for (const v1::MergedAddress& address : handed.person().addresses()) {
    const PartitionId home = schema::PartitionOfContact(address.contact_key(), context.partition_count());
    if (home != context.partition() && home.value() != handed.partition()) taken.add_awaited(address.contact_key());
  }
  context.Emit(taken);
  for (const std::string& contact_key : taken.awaited()) {
    v1::AddressClaimed claimed;
    claimed.set_contact_key(contact_key);
    claimed.set_partition(context.partition().value());
    claimed.set_ordinal(ordinal);
    claimed.set_from_partition(handed.partition());
    claimed.set_from_ordinal(handed.ordinal());
    context.Emit(claimed);
  }
  TakeOver(context, ordinal, taken.person(), fmt::format("{}:{}", kSource, IdOf(handed.partition(), handed.ordinal())));
  if (taken.person().opted_out()) OptOut(context, ordinal);
}

void Decide(task::Context& context, const v1::AddressPassedOn& passed) {
  const auto* intake = IntakeOf(context, passed.ordinal());
  if (intake == nullptr || std::ranges::find(intake->awaited(), passed.contact_key()) == intake->awaited().end())
    return context.Unchanged();
  v1::IntakeSettled settled;
  settled.set_ordinal(passed.ordinal());
  settled.set_contact_key(passed.contact_key());
  context.Emit(settled);
}

void ForgetMerged(task::Context& context, uint64_t ordinal, const v1::Contact& contact) {
  for (const v1::MergedAddress& merged : contact.merged()) {
    const auto* pending = context.view<v1::KeysPending>().Find(state::Key(context.tenant(), merged.contact_key()));
    v1::AddressErased erased;
    erased.set_contact_key(merged.contact_key());
    erased.set_generation(pending == nullptr ? 1 : pending->generation() + 1);
    erased.set_ordinal(ordinal);
    *erased.mutable_merged() = merged;
    context.Emit(erased);
    context.Emit(StepOf<v1::MergedForgotten>(merged.partition(), merged.ordinal(), context.partition().value(), ordinal));
  }
}

// ---- In a third partition ----

// Whose it was has given it away: nobody else can claim it.
void Decide(task::Context& context, const v1::AddressClaimed& claimed) {
  v1::AddressPassedOn passed;
  passed.set_contact_key(claimed.contact_key());
  passed.set_partition(claimed.partition());
  passed.set_ordinal(claimed.ordinal());
  context.Emit(passed);
}

// ---- Folds ----

void Evolve(task::Fold& fold, const v1::MergeAsked& event) {
  v1::ContactMerge& merge = fold.table<v1::ContactMerge>().Edit(state::Key(fold.tenant(), event.ordinal()));
  merge.set_into_partition(event.into_partition());
  merge.set_into_ordinal(event.into_ordinal());
  *merge.mutable_campaigns() = event.campaigns();
  merge.set_source(event.source());
}

void Evolve(task::Fold& fold, const v1::MergeAgreed& event) {
  v1::MergeIntake& intake = fold.table<v1::MergeIntake>().Edit(state::Key(fold.tenant(), event.into_ordinal()));
  intake.set_from_partition(event.partition());
  intake.set_from_ordinal(event.ordinal());
}

void Evolve(task::Fold&, const v1::MergeDenied&) {}

void Evolve(task::Fold& fold, const v1::MergeRefused& event) {
  fold.table<v1::ContactMerge>().Erase(state::Key(fold.tenant(), event.ordinal()));
}

void Evolve(task::Fold&, const v1::MergeGivenUp&) {}

void Evolve(task::Fold& fold, const v1::ContactMerged& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  const v1::Contact contact = *fold.table<v1::Contact>().Find(key);
  v1::MergedContact& merged = fold.table<v1::MergedContact>().Edit(key);
  merged.set_into_partition(event.into_partition());
  merged.set_into_ordinal(event.into_ordinal());
  merged.set_contact_key(event.contact_key());
  *merged.mutable_former() = contact.former();
  *merged.mutable_campaigns() = contact.campaigns();
  *merged.mutable_addresses() = event.addresses();
  fold.table<v1::Contact>().Erase(key);
  fold.table<v1::ContactMerge>().Erase(key);
  for (const std::string& contact_key : event.addresses()) {
    fold.table<v1::ContactRef>().Erase(state::Key(fold.tenant(), contact_key));
    Lead(fold, contact_key, event.into_partition(), event.into_ordinal());
  }
}

void Evolve(task::Fold&, const v1::ContactHandedOver&) {}

void Evolve(task::Fold& fold, const v1::ContactTakenOver& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Contact& contact = fold.table<v1::Contact>().Edit(key);
  for (const v1::MergedAddress& address : event.person().addresses()) *contact.add_merged() = address;
  for (const uint64_t campaign_id : event.person().had()) {
    if (std::ranges::find(contact.had(), campaign_id) == contact.had().end()) contact.add_had(campaign_id);
  }
  auto& had = *contact.mutable_had();
  std::sort(had.begin(), had.end());
  if (had.size() > kHadCampaignsMax) had.erase(had.begin(), had.end() - kHadCampaignsMax);
  for (const v1::MergedAddress& address : event.person().addresses()) {
    const std::string of_address = state::Key(fold.tenant(), address.contact_key());
    fold.table<v1::ContactElsewhere>().Erase(of_address);
    fold.table<v1::ContactRef>().Edit(of_address).set_ordinal(event.ordinal());
  }
  if (event.awaited().empty()) return fold.table<v1::MergeIntake>().Erase(key);
  *fold.table<v1::MergeIntake>().Edit(key).mutable_awaited() = event.awaited();
}

void Evolve(task::Fold&, const v1::AddressClaimed&) {}

void Evolve(task::Fold& fold, const v1::AddressPassedOn& event) { Lead(fold, event.contact_key(), event.partition(), event.ordinal()); }

void Evolve(task::Fold& fold, const v1::IntakeSettled& event) {
  auto intakes = fold.table<v1::MergeIntake>();
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  auto& awaited = *intakes.Edit(key).mutable_awaited();
  awaited.erase(std::remove(awaited.begin(), awaited.end(), event.contact_key()), awaited.end());
  if (awaited.empty()) intakes.Erase(key);
}

void Evolve(task::Fold&, const v1::MergedForgotten&) {}

}  // namespace maily::contacts
