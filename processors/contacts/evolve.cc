// See evolve.h.
#include "processors/contacts/evolve.h"

#include <algorithm>

#include "maily/contacts/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

template <class Event>
void WaitForKeys(task::Fold& fold, const Event& event) {
  v1::KeysPending& pending = fold.table<v1::KeysPending>().Edit(state::Key(fold.tenant(), event.contact_key()));
  pending.set_ordinal(event.ordinal());
  pending.set_generation(event.generation());
}

}  // namespace

void Evolve(task::Fold& fold, const v1::ContactCreated& event) {
  fold.table<v1::ContactRef>().Replace(state::Key(fold.tenant(), event.contact_key())).set_ordinal(event.ordinal());
  fold.table<v1::ContactCounter>().Edit(state::Key(fold.tenant())).set_last_ordinal(event.ordinal());
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  fold.table<v1::Contact>().KnowAbsent(key);
  v1::Contact& contact = fold.table<v1::Contact>().Edit(key);
  contact.set_contact_key(event.contact_key());
  contact.set_address(event.address());
  contact.set_domain_key(event.domain_key());
  *contact.mutable_attributes() = event.attributes();
  contact.set_personal_digest(event.personal_digest());
  *contact.mutable_tags() = event.tags();
  if (event.consent_proof().empty()) return;
  auto erased = fold.table<v1::ErasedContact>();
  const std::string erased_key = state::Key(fold.tenant(), event.contact_key());
  if (erased.Find(erased_key) != nullptr) erased.Erase(erased_key);
}

void Evolve(task::Fold& fold, const v1::ContactChanged& event) {
  const bool tags = event.add_tags_size() + event.remove_tags_size() > 0;
  if (event.attributes_size() == 0 && event.personal_digest().empty() && !tags) return;  // joined lists only
  v1::Contact& contact = fold.table<v1::Contact>().Edit(state::Key(fold.tenant(), event.ordinal()));
  auto& attributes = *contact.mutable_attributes();
  for (const v1::Attribute& changed : event.attributes()) {
    int at = 0;
    while (at < attributes.size() && attributes[at].name() != changed.name()) ++at;
    if (changed.value_case() == v1::Attribute::VALUE_NOT_SET) {
      if (at < attributes.size()) attributes.DeleteSubrange(at, 1);
    } else if (at < attributes.size()) {
      attributes[at] = changed;
    } else {
      *attributes.Add() = changed;
    }
  }
  if (!event.personal_digest().empty()) contact.set_personal_digest(event.personal_digest());
  if (!tags) return;
  auto& kept = *contact.mutable_tags();
  for (const std::string& tag : event.remove_tags()) kept.erase(std::remove(kept.begin(), kept.end(), tag), kept.end());
  for (const std::string& tag : event.add_tags()) *kept.Add() = tag;
  std::sort(kept.begin(), kept.end());
}

void Evolve(task::Fold& fold, const v1::ContactErased& event) {
  if (event.merged()) {
    fold.table<v1::MergedContact>().Erase(state::Key(fold.tenant(), event.ordinal()));
    for (const std::string& passed : event.passed()) fold.table<v1::ContactElsewhere>().Erase(state::Key(fold.tenant(), passed));
    return;
  }
  const std::string key = state::Key(fold.tenant(), event.contact_key());
  fold.table<v1::ContactRef>().Erase(key);
  fold.table<v1::Contact>().Erase(state::Key(fold.tenant(), event.ordinal()));
  v1::ErasedContact& erased = fold.table<v1::ErasedContact>().Edit(key);
  erased.set_ordinal(event.ordinal());
  erased.set_erased_at_us(fold.now().us);
  WaitForKeys(fold, event);
}

void Evolve(task::Fold& fold, const v1::ErasedContactMet& event) { WaitForKeys(fold, event); }

void Evolve(task::Fold& fold, const v1::ContactKeysDestroyed& event) {
  fold.table<v1::KeysPending>().Erase(state::Key(fold.tenant(), event.contact_key()));
}

}  // namespace maily::contacts
