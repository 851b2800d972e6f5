// See decide.h.
#include "processors/contacts/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "processors/contacts/address_change.h"
#include "processors/contacts/merge.h"
#include "processors/contacts/upsert.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

using journal::Outcome;
using v1::Attribute;

// The last one of each name, in order.
std::vector<const Attribute*> LastOfEachName(const google::protobuf::RepeatedPtrField<Attribute>& given) {
  std::vector<const Attribute*> last;
  last.reserve(static_cast<size_t>(given.size()));
  for (int i = 0; i < given.size(); ++i) {
    bool again = false;
    for (int j = i + 1; j < given.size() && !again; ++j) again = given[j].name() == given[i].name();
    if (!again) last.push_back(&given[i]);
  }
  return last;
}

const Attribute* Find(const v1::Contact& contact, std::string_view name) {
  for (const Attribute& attribute : contact.attributes()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

// Of values that are not sealed: two seals of the same value differ.
bool SameValue(const Attribute& a, const Attribute& b) {
  if (a.value_case() != b.value_case()) return false;
  switch (a.value_case()) {
    case Attribute::kText:
      return a.text() == b.text();
    case Attribute::kInteger:
      return a.integer() == b.integer();
    case Attribute::kNumber:
      return a.number() == b.number() || (a.number() != a.number() && b.number() != b.number());
    case Attribute::kBoolean:
      return a.boolean() == b.boolean();
    case Attribute::kSealed:
      return false;
    case Attribute::VALUE_NOT_SET:
      return true;
  }
  return false;
}

using Tags = google::protobuf::RepeatedPtrField<std::string>;

bool HasTag(const Tags& tags, const std::string& tag) { return std::ranges::find(tags, tag) != tags.end(); }

// Ascending, each once.
Tags Sorted(const Tags& given) {
  Tags tags = given;
  std::ranges::sort(tags);
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return tags;
}

Upserted Create(task::Context& context, const v1::UpsertContact& command, bool readmitted, v1::PriorContact* prior) {
  const v1::ContactCounter* counter = context.view<v1::ContactCounter>().Find(state::Key(context.tenant()));
  thread_local v1::ContactCreated created;
  created.Clear();
  created.set_ordinal(counter == nullptr ? 1 : counter->last_ordinal() + 1);
  MAILY_CHECK(created.ordinal() <= schema::kOrdinalMax, "tenant {} has no ordinals left in partition {}", context.tenant().value(),
              context.partition().value());
  created.set_contact_key(command.contact_key());
  created.set_address(command.address());
  created.set_domain_key(command.domain_key());
  for (const Attribute* attribute : LastOfEachName(command.attributes())) {
    if (attribute->value_case() != Attribute::VALUE_NOT_SET) *created.add_attributes() = *attribute;
  }
  created.set_personal_digest(command.personal_digest());
  *created.mutable_join_lists() = command.join_lists();
  created.set_source(command.source());
  *created.mutable_tags() = Sorted(command.tags());
  if (readmitted) created.set_consent_proof(command.consent_proof());
  if (prior != nullptr) {
    prior->set_ordinal(created.ordinal());
    prior->set_created(true);
    prior->set_written_all(PrintOf(created.attributes()));
    if (created.join_lists_size() > 0) prior->set_joined_list(created.join_lists(0));
  }
  context.Emit(created);
  return {.result = 'c', .ordinal = created.ordinal()};
}

// What differs from what is remembered. `Command` has attributes and a personal_digest.
template <class Command>
void Compare(const Command& command, const v1::Contact& contact, v1::ContactChanged& changed) {
  const auto given = LastOfEachName(command.attributes());
  const bool digest_differs = command.personal_digest() != contact.personal_digest();
  bool any_sealed = false;
  for (const Attribute* attribute : given) {
    const Attribute* known = Find(contact, attribute->name());
    bool differs = false;
    if (attribute->value_case() == Attribute::kSealed) {
      any_sealed = true;
      differs = digest_differs || known == nullptr || known->value_case() != Attribute::kSealed;
    } else if (attribute->value_case() == Attribute::VALUE_NOT_SET) {
      differs = known != nullptr;
    } else {
      differs = known == nullptr || !SameValue(*known, *attribute);
    }
    if (differs) *changed.add_attributes() = *attribute;
  }
  // Without a sealed attribute the digest is that of the address alone, which cannot change.
  if (any_sealed && digest_differs) changed.set_personal_digest(command.personal_digest());
}

void CompareTags(const Tags& add, const Tags& remove, const v1::Contact& contact, v1::ContactChanged& changed) {
  for (const std::string& tag : Sorted(add)) {
    if (!HasTag(contact.tags(), tag)) changed.add_add_tags(tag);
  }
  for (const std::string& tag : Sorted(remove)) {
    if (HasTag(contact.tags(), tag) && !HasTag(add, tag)) changed.add_remove_tags(tag);
  }
}

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kTagBytesMax && std::ranges::all_of(tag, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':';
  });
}

// What `changed` is about to replace.
void NotePrior(const v1::Contact& contact, const v1::ContactChanged& changed, v1::PriorContact& prior) {
  for (const Attribute& attribute : changed.attributes()) {
    v1::PriorField& field = *prior.add_fields();
    const Attribute* known = Find(contact, attribute.name());
    if (known != nullptr) *field.mutable_prior() = *known;
    if (known == nullptr) field.mutable_prior()->set_name(attribute.name());
    field.set_written(PrintOf(attribute));
  }
  if (!changed.personal_digest().empty()) {
    prior.set_prior_digest(contact.personal_digest());
    prior.set_written_digest(Xxh3_64(changed.personal_digest()));
  }
  if (changed.join_lists_size() > 0) prior.set_joined_list(changed.join_lists(0));
}

}  // namespace

uint64_t PrintOf(const Attribute& attribute) { return Xxh3_64(attribute.SerializeAsString()); }

uint64_t PrintOf(const google::protobuf::RepeatedPtrField<Attribute>& attributes) {
  std::string bytes;
  for (const Attribute& attribute : attributes) attribute.AppendToString(&bytes);
  return Xxh3_64(bytes);
}

Upserted Refused(std::string_view code, std::string message) { return {'r', 0, code, std::move(message)}; }

namespace {

// Empty: the contact may get and lose these.
std::string WhyNotTags(const Tags& add, const Tags& remove) {
  if (add.size() + remove.size() > kTagsMax) return fmt::format("at most {} tags are changed at once", kTagsMax);
  for (const Tags* tags : {&add, &remove}) {
    for (const std::string& tag : *tags) {
      if (!IsTag(tag)) return fmt::format("a tag has 1 to {} of a-z, 0-9, _ - . and :", kTagBytesMax);
    }
  }
  return {};
}

// Something comes; a contact that is too large by a merge may still lose something.
bool Grows(const v1::ContactChanged& changed) {
  const auto set = [](const v1::Attribute& attribute) { return attribute.value_case() != v1::Attribute::VALUE_NOT_SET; };
  return changed.add_tags_size() > 0 || std::ranges::any_of(changed.attributes(), set);
}

// Of what is there and would come.
std::optional<Upserted> WhyTooMuch(const v1::Contact& contact, const v1::ContactChanged& changed) {
  if (contact.ByteSizeLong() + changed.ByteSizeLong() > kContactBytesMax && Grows(changed)) {
    return Refused("contact_too_large", fmt::format("all that is remembered of a contact has at most {} bytes", kContactBytesMax));
  }
  if (contact.tags_size() + changed.add_tags_size() - changed.remove_tags_size() > kTagsMax) {
    return Refused("too_many_tags", fmt::format("a contact has at most {} tags", kTagsMax));
  }
  return std::nullopt;
}

uint32_t NextGeneration(const task::Context& context, std::string_view contact_key) {
  const auto* pending = context.view<v1::KeysPending>().Find(state::Key(context.tenant(), contact_key));
  return pending == nullptr ? 1 : pending->generation() + 1;
}

// Whether the sealed address can be opened by nobody. Where there is no keyring, nobody knows.
bool KeyIsGone(const task::Context& context, std::string_view address) {
  if (context.keyring() == nullptr) return false;
  const auto opened = schema::Open(*context.keyring(), context.tenant(), "address", address);
  return !opened && opened.error().code == Code::kNotFound;
}

// Somebody who was erased comes again: left out, but with new consent. The keys that were made for this are destroyed too.
Upserted Meet(task::Context& context, const v1::UpsertContact& command, const v1::ErasedContact& erased, v1::PriorContact* prior) {
  if (!command.consent_proof().empty()) {
    // Sealed with a key that is destroyed, or will be: the same request seals with another one as soon as that is done.
    const bool pending = context.view<v1::KeysPending>().Find(state::Key(context.tenant(), command.contact_key())) != nullptr;
    if (pending || KeyIsGone(context, command.address()))
      return Refused("erasure_under_way", "the keys of this address are being destroyed; ask again in a moment");
    return Create(context, command, true, prior);
  }
  v1::ErasedContactMet met;
  met.set_contact_key(command.contact_key());
  met.set_ordinal(erased.ordinal());
  met.set_source(command.source());
  met.set_generation(NextGeneration(context, command.contact_key()));
  context.Emit(met);
  return {.result = 'e',
          .code = "erased",
          .message = "this person was erased; only consent given anew, with its proof (consent_proof), admits them again"};
}

// Where the address is decided about: none = here. What comes for an address that a contact here has given up goes back to where it is
// free. Who was erased here, at an address of another partition, is met here until the keys are gone: then that one knows.
std::optional<PartitionId> ElsewhereOf(const task::Context& context, const v1::UpsertContact& command) {
  const PartitionId home = schema::PartitionOfContact(command.contact_key(), context.partition_count());
  if (home == context.partition()) {
    const auto* owner = OwnerElsewhere(context, command.contact_key());
    return owner == nullptr ? std::nullopt : std::optional(PartitionId(static_cast<uint16_t>(owner->partition())));
  }
  const bool pending = context.view<v1::KeysPending>().Find(state::Key(context.tenant(), command.contact_key())) != nullptr;
  return pending ? std::nullopt : std::optional(home);
}

// The contact has another address by now, and this one is not free yet.
bool IsLeaving(const task::Context& context, uint64_t ordinal, const v1::Contact& contact, std::string_view contact_key) {
  if (contact.contact_key() == contact_key) return false;
  const auto* change = context.view<v1::AddressChange>().Find(state::Key(context.tenant(), ordinal));
  return change != nullptr && change->former_key() == contact_key;
}

}  // namespace

Upserted Upsert(task::Context& context, const v1::UpsertContact& command, v1::PriorContact* prior) {
  if (command.contact_key().size() != schema::kContactKeyBytes || command.address().empty()) {
    return Refused("invalid_contact", fmt::format("a contact has a key of {} bytes and an address", schema::kContactKeyBytes));
  }
  if (command.attributes_size() > kAttributesMax) {
    return Refused("too_many_attributes", fmt::format("{} attributes at once are more than {}", command.attributes_size(), kAttributesMax));
  }
  if (command.join_lists_size() > kJoinListsMax) {
    return Refused("too_many_lists", fmt::format("a contact joins at most {} lists at once", kJoinListsMax));
  }
  if (auto why = WhyNotTags(command.tags(), {}); !why.empty()) return Refused("invalid_tag", std::move(why));
  const std::string ref_key = state::Key(context.tenant(), command.contact_key());
  const v1::ContactRef* ref = context.view<v1::ContactRef>().Find(ref_key);
  if (ref == nullptr) {
    if (const auto partition = ElsewhereOf(context, command)) {
      Forward(context, *partition, TypeNumberOf<v1::UpsertContact>(), command.SerializeAsString());
      return {.result = 'f'};
    }
    const v1::ErasedContact* erased = context.view<v1::ErasedContact>().Find(ref_key);
    return erased == nullptr ? Create(context, command, false, prior) : Meet(context, command, v1::ErasedContact(*erased), prior);
  }

  const uint64_t ordinal = ref->ordinal();
  const std::string key = state::Key(context.tenant(), ordinal);
  const v1::Contact* contact = context.view<v1::Contact>().Find(key);
  MAILY_CHECK(contact != nullptr, "contact {} of tenant {} is named and not there", ordinal, context.tenant().value());
  if (IsLeaving(context, ordinal, *contact, command.contact_key()))
    return Refused("address_changing", "the contact of this address is getting another one; ask again in a moment");
  thread_local v1::ContactChanged changed;
  changed.Clear();
  Compare(command, *contact, changed);
  CompareTags(command.tags(), {}, *contact, changed);
  if (auto too_much = WhyTooMuch(*contact, changed)) return *std::move(too_much);
  if (command.join_lists_size() > 0) {
    const lists::v1::Subscriber* subscriber = context.view<lists::v1::Subscriber>().Find(key);
    for (const uint64_t list_id : command.join_lists()) {
      const bool joined = subscriber != nullptr && std::ranges::binary_search(subscriber->list_ids(), list_id);
      if (!joined && std::ranges::find(changed.join_lists(), list_id) == changed.join_lists().end()) changed.add_join_lists(list_id);
    }
    if (subscriber != nullptr && subscriber->list_ids_size() + changed.join_lists_size() > kListsMax) {
      return Refused("too_many_lists", fmt::format("a contact is a member of at most {} lists", kListsMax));
    }
  }
  if (changed.ByteSizeLong() == 0) return {.result = 'n', .ordinal = ordinal};
  changed.set_ordinal(ordinal);
  changed.set_source(command.source());
  if (prior != nullptr) {
    prior->set_ordinal(ordinal);
    NotePrior(*contact, changed, *prior);
  }
  context.Emit(changed);
  return {.result = 'u', .ordinal = ordinal};
}

namespace {

std::string_view Word(char result) {
  return result == 'c' ? "created" : result == 'u' ? "updated" : result == 'f' ? "forwarded" : "unchanged";
}

}  // namespace

void Decide(task::Context& context, const v1::UpsertContact& command) {
  const Upserted upserted = Upsert(context, command);
  if (upserted.result == 'e') {  // not by Refuse: the event that it was met stays
    context.Answer("result", "skipped");
    context.Answer("reason", upserted.code);
    return context.Answer("message", upserted.message);
  }
  if (upserted.result == 'f') return context.Answer("result", Word(upserted.result));
  if (upserted.code == "erasure_under_way" || upserted.code == "address_changing")
    return context.Refuse(Outcome::kConflict, upserted.code, upserted.message);
  if (upserted.result == 'r') return context.Refuse(Outcome::kInvalid, upserted.code, upserted.message);
  context.Answer("contact_ordinal", upserted.ordinal);
  context.Answer("partition", uint64_t{context.partition().value()});
  context.Answer("result", Word(upserted.result));
  if (upserted.result == 'n') context.Unchanged();
}

void Decide(task::Context& context, const v1::ImportContacts& command) {
  if (command.rows_size() > kImportRowsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_rows",
                          fmt::format("{} rows at once are more than {}", command.rows_size(), kImportRowsMax));
  }
  std::string results;
  for (int i = 0; i < command.rows_size(); ++i) {
    const v1::UpsertContact& row = command.rows(i);
    Upserted upserted;
    if (schema::PartitionOfContact(row.contact_key(), context.partition_count()) != context.partition()) {
      upserted = Refused("wrong_partition", "the contact belongs to another partition");
    } else if (row.join_lists_size() > 1) {
      upserted = Refused("too_many_lists", "a row of an import joins at most one list");
    } else {
      upserted = Upsert(context, row);
    }
    results.push_back(upserted.result == 'f' ? 'u' : upserted.result);
    if (upserted.result == 'r' || upserted.result == 'e')
      context.Answer(std::to_string(i), fmt::format("{}: {}", upserted.code, upserted.message));
  }
  context.Answer("results", results);
  if (context.event_count() == 0) context.Unchanged();
}

const v1::Contact* ContactOrRefuse(task::Context& context, uint64_t ordinal) {
  if (const auto* contact = context.view<v1::Contact>().Find(state::Key(context.tenant(), ordinal))) return contact;
  if (RefuseIfMerged(context, ordinal)) return nullptr;
  const auto* counter = context.view<v1::ContactCounter>().Find(state::Key(context.tenant()));
  if (counter != nullptr && ordinal > 0 && ordinal <= counter->last_ordinal()) {
    context.Refuse(Outcome::kGone, "erased", "this contact was erased");
  } else {
    context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no such contact");
  }
  return nullptr;
}

void Decide(task::Context& context, const v1::PatchContact& command) {
  const v1::Contact* contact = ContactOrRefuse(context, command.ordinal());
  if (contact == nullptr) return;
  if (command.attributes_size() > kAttributesMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_attributes",
                          fmt::format("{} attributes at once are more than {}", command.attributes_size(), kAttributesMax));
  }
  if (const auto why = WhyNotTags(command.add_tags(), command.remove_tags()); !why.empty())
    return context.Refuse(Outcome::kInvalid, "invalid_tag", why);
  v1::ContactChanged changed;
  Compare(command, *contact, changed);
  CompareTags(command.add_tags(), command.remove_tags(), *contact, changed);
  if (const auto too_much = WhyTooMuch(*contact, changed)) return context.Refuse(Outcome::kInvalid, too_much->code, too_much->message);
  if (changed.ByteSizeLong() == 0) {
    context.Answer("result", Word('n'));
    return context.Unchanged();
  }
  changed.set_ordinal(command.ordinal());
  changed.set_source(command.source());
  context.Emit(changed);
  context.Answer("result", Word('u'));
}

void React(task::Context& context, const journeys::v1::ContactUpdateWanted& wanted) {
  const auto* contact = context.view<v1::Contact>().Find(state::Key(context.tenant(), wanted.ordinal()));
  if (contact == nullptr || !WhyNotTags(wanted.add_tags(), wanted.remove_tags()).empty()) return;
  v1::PatchContact patch;
  for (const journeys::v1::JourneyValue& value : wanted.set()) {
    Attribute& attribute = *patch.add_attributes();
    attribute.set_name(value.name());
    if (value.has_text()) attribute.set_text(value.text());
    if (value.has_integer()) attribute.set_integer(value.integer());
    if (value.has_number()) attribute.set_number(value.number());
    if (value.has_boolean()) attribute.set_boolean(value.boolean());
  }
  v1::ContactChanged changed;
  Compare(patch, *contact, changed);
  CompareTags(wanted.add_tags(), wanted.remove_tags(), *contact, changed);
  if (changed.ByteSizeLong() == 0 || WhyTooMuch(*contact, changed)) return;
  changed.set_ordinal(wanted.ordinal());
  changed.set_source(wanted.source());
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::EraseContact& command) {
  const auto* contact = context.view<v1::Contact>().Find(state::Key(context.tenant(), command.ordinal()));
  if (contact == nullptr) {
    if (RefuseIfMerged(context, command.ordinal())) return;
    const auto* counter = context.view<v1::ContactCounter>().Find(state::Key(context.tenant()));
    if (counter != nullptr && command.ordinal() > 0 && command.ordinal() <= counter->last_ordinal()) return context.Unchanged();
    return context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no such contact");
  }
  if (IsChanging(context, command.ordinal())) {
    return context.Refuse(Outcome::kConflict, "address_change_under_way",
                          "the address of this contact is being changed; ask again in a moment");
  }
  if (IsMerging(context, command.ordinal()))
    return context.Refuse(Outcome::kConflict, "merge_under_way", "this contact is being merged; ask again in a moment");
  const v1::Contact was = *contact;
  ForgetMerged(context, command.ordinal(), was);
  v1::ContactErased erased;
  erased.set_ordinal(command.ordinal());
  erased.set_contact_key(was.contact_key());
  erased.set_generation(NextGeneration(context, was.contact_key()));
  context.Emit(erased);
  ForgetAddresses(context, command.ordinal(), was);
}

void Decide(task::Context& context, const v1::RecordKeysDestroyed& command) {
  const auto* pending = context.view<v1::KeysPending>().Find(state::Key(context.tenant(), command.contact_key()));
  if (pending == nullptr || pending->generation() != command.generation()) return context.Unchanged();  // asked for again since
  v1::ContactKeysDestroyed destroyed;
  destroyed.set_contact_key(command.contact_key());
  destroyed.set_ordinal(pending->ordinal());
  destroyed.set_generation(command.generation());
  if (pending->has_merged()) *destroyed.mutable_merged() = pending->merged();
  context.Emit(destroyed);
  ForgetElsewhere(context, destroyed.ordinal(), destroyed.contact_key());
}

}  // namespace maily::contacts
