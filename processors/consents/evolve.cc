// See evolve.h.
#include "processors/consents/evolve.h"

#include <algorithm>

#include "maily/consents/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::consents {
namespace {

v1::Person* Known(task::Fold& fold, uint64_t ordinal) {
  const std::string key = state::Key(fold.tenant(), ordinal);
  return fold.view<v1::Person>().Find(key) == nullptr ? nullptr : &fold.table<v1::Person>().Edit(key);
}

// The open ask is of the list no more; without lists it is none.
void Settle(v1::Person& person, uint64_t list_id) {
  auto& lists = *person.mutable_ask()->mutable_lists();
  lists.erase(std::remove_if(lists.begin(), lists.end(), [&](const v1::AskedFor& asked) { return asked.list_id() == list_id; }),
              lists.end());
  if (lists.empty()) person.clear_ask();
}

// "marketing" is remembered by lists, as the opt-out that it is. Of a list only that it was withdrawn.
template <class Event>
void SetPurpose(task::Fold& fold, const Event& event, bool granted) {
  if (event.purpose() == "marketing") return;
  const std::string name = event.list_id() == 0 ? event.purpose() : "list/" + std::to_string(event.list_id());
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  if (event.list_id() != 0 && granted && fold.view<v1::Person>().Find(key) == nullptr) return;
  v1::Person& person = fold.table<v1::Person>().Edit(key);
  auto& purposes = *person.mutable_purposes();
  auto found = std::find_if(purposes.begin(), purposes.end(), [&](const auto& one) { return one.purpose() == name; });
  if (event.list_id() != 0 && granted) {
    if (found != purposes.end()) purposes.erase(found);
    return;
  }
  v1::NamedPurpose& purpose = found == purposes.end() ? *purposes.Add() : *found;
  purpose.set_purpose(name);
  purpose.set_granted(granted);
}

}  // namespace

void Evolve(task::Fold& fold, const v1::ConsentTextDefined& event) {
  fold.table<v1::ConsentText>().Edit(state::Key(fold.tenant(), std::string_view(event.hash()))).set_name(event.name());
  v1::ConsentCounter& counter = fold.table<v1::ConsentCounter>().Edit(state::Key(fold.tenant()));
  counter.set_texts(counter.texts() + 1);
}

void Evolve(task::Fold& fold, const v1::FormDefined& event) {
  *fold.table<v1::Form>().Edit(state::Key(fold.tenant(), event.form_id())).mutable_spec() = event.spec();
  fold.table<v1::ConsentCounter>().Edit(state::Key(fold.tenant())).set_last_form_id(event.form_id());
}

void Evolve(task::Fold& fold, const v1::FormArchived& event) {
  fold.table<v1::Form>().Edit(state::Key(fold.tenant(), event.form_id())).set_archived(true);
}

void Evolve(task::Fold& fold, const v1::ConsentGranted& event) {
  SetPurpose(fold, event, true);
  if (event.list_id() == 0) return;
  v1::Person* person = Known(fold, event.ordinal());
  if (person == nullptr) return;
  Settle(*person, event.list_id());
  if (event.number() > 0) person->set_confirmed_number(std::max(person->confirmed_number(), event.number()));
}

void Evolve(task::Fold& fold, const v1::ConsentWithdrawn& event) {
  SetPurpose(fold, event, false);
  v1::Person* person = Known(fold, event.ordinal());
  if (person == nullptr) return;
  if (event.list_id() != 0) Settle(*person, event.list_id());
  if (event.purpose() == "marketing") person->clear_ask();
}

void Evolve(task::Fold& fold, const v1::ConfirmationAsked& event) {
  v1::Person& person = fold.table<v1::Person>().Edit(state::Key(fold.tenant(), event.ordinal()));
  v1::Ask& ask = *person.mutable_ask();
  if (ask.number() != event.number()) {
    ask.Clear();
    ask.set_number(event.number());
  }
  ask.set_asked_at_us(fold.now().us);
  ask.set_expires_at_us(event.expires_at_us());
  auto& lists = *ask.mutable_lists();
  auto found = std::find_if(lists.begin(), lists.end(), [&](const auto& one) { return one.list_id() == event.list_id(); });
  v1::AskedFor& asked = found == lists.end() ? *lists.Add() : *found;
  asked.set_list_id(event.list_id());
  asked.set_text_hash(event.text_hash());
  asked.set_form_id(event.form_id());
  if (event.has_mailing()) *asked.mutable_mail() = event.mailing();
  person.set_last_number(event.number());
  if (event.mail()) person.set_mailed_at_us(fold.now().us);
}

void Evolve(task::Fold&, const v1::OptOutPassedOn&) {}

}  // namespace maily::consents
