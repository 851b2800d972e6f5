// See evolve.h.
#include "processors/contacts/evolve.h"

#include "maily/contacts/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::contacts {

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
}

void Evolve(task::Fold& fold, const v1::ContactChanged& event) {
  if (event.attributes_size() == 0 && event.personal_digest().empty()) return;  // joined lists only
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
}

}  // namespace maily::contacts
