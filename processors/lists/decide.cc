// See decide.h.
#include "processors/lists/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::lists {
namespace {

using journal::Outcome;

constexpr std::string_view kMarketing = "marketing";  // the purpose of a consent: all of it

// The contact's ordinal, or 0: the command was refused.
uint64_t OrdinalOrRefuse(task::Context& context, std::string_view contact_key) {
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), contact_key));
  if (ref != nullptr) return ref->ordinal();
  context.Refuse(Outcome::kNotFound, "unknown_contact", "there is no contact of that address");
  return 0;
}

const v1::Subscriber* SubscriberOf(const task::Context& context, uint64_t ordinal) {
  return context.view<v1::Subscriber>().Find(state::Key(context.tenant(), ordinal));
}

bool IsMember(const v1::Subscriber* subscriber, uint64_t list_id) {
  return subscriber != nullptr && std::ranges::binary_search(subscriber->list_ids(), list_id);
}

void Join(task::Context& context, uint64_t ordinal, uint64_t list_id, std::string_view source, bool by_consent = false) {
  v1::MemberJoined joined;
  joined.set_ordinal(ordinal);
  joined.set_list_id(list_id);
  joined.set_source(source.data(), source.size());
  joined.set_by_consent(by_consent);
  context.Emit(joined);
}

// Whether the contact has withdrawn its consent to the list by itself, and has not given it again.
bool HasWithdrawn(const task::Context& context, uint64_t ordinal, uint64_t list_id) {
  const auto* person = context.view<consents::v1::Person>().Find(state::Key(context.tenant(), ordinal));
  if (person == nullptr || person->purposes().empty()) return false;
  const std::string name = fmt::format("list/{}", list_id);
  return std::ranges::any_of(person->purposes(), [&](const auto& one) { return one.purpose() == name && !one.granted(); });
}

// A file, whatever its source is called, brings nobody back to a list that he has left; who asks over the API says so.
void JoinAll(task::Context& context, uint64_t ordinal, const google::protobuf::RepeatedField<uint64_t>& list_ids, std::string_view source) {
  for (const uint64_t list_id : list_ids) {
    if (IsMember(SubscriberOf(context, ordinal), list_id)) continue;
    if (source == "api" || !HasWithdrawn(context, ordinal, list_id)) Join(context, ordinal, list_id, source);
  }
}

// Whether a list can be called and described so, and be public; else the command was refused. `list_id`: itself; 0 = a new one.
bool MayBe(task::Context& context, uint64_t list_id, const std::string& name, std::string_view description, bool turns_public) {
  if (name.empty() || name.size() > kListNameBytesMax) {
    context.Refuse(Outcome::kInvalid, "invalid_name", fmt::format("a list's name has 1 to {} bytes", kListNameBytesMax));
    return false;
  }
  if (description.size() > kDescriptionBytesMax) {
    context.Refuse(Outcome::kInvalid, "invalid_description", fmt::format("a description has at most {} bytes", kDescriptionBytesMax));
    return false;
  }
  const std::string prefix = state::Key(context.tenant());
  uint64_t taken = 0;
  context.view<v1::List>().Scan(prefix, {}, [&](std::string_view key, const v1::List& list) {
    if (list.name() == name) taken = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
    return taken == 0;
  });
  if (taken != 0 && taken != list_id) {
    context.Refuse(Outcome::kConflict, "list_exists", fmt::format("there is a list \"{}\" already", name));
    context.Answer("list_id", taken);
    return false;
  }
  const v1::ListCounter* counter = context.view<v1::ListCounter>().Find(prefix);
  if (turns_public && counter != nullptr && counter->public_lists() >= kPublicListsMax) {
    context.Refuse(Outcome::kInvalid, "too_many_public_lists", fmt::format("a tenant has at most {} public lists", kPublicListsMax));
    return false;
  }
  return true;
}

}  // namespace

void Decide(task::Context& context, const v1::CreateList& command) {
  if (!MayBe(context, 0, command.name(), command.description(), command.public_())) return;
  const v1::ListCounter* counter = context.view<v1::ListCounter>().Find(state::Key(context.tenant()));
  const uint64_t last = counter == nullptr ? 0 : counter->last_list_id();
  if (last >= kListsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_lists", fmt::format("a tenant has at most {} lists", kListsMax));
  }
  v1::ListCreated created;
  created.set_list_id(last + 1);
  created.set_name(command.name());
  created.set_public_(command.public_());
  created.set_description(command.description());
  context.Emit(created);
  context.Answer("list_id", created.list_id());
}

void Decide(task::Context& context, const v1::ChangeList& command) {
  const v1::List* list = context.view<v1::List>().Find(state::Key(context.tenant(), command.list_id()));
  if (list == nullptr) {
    return context.Refuse(Outcome::kNotFound, "list_not_found", fmt::format("there is no list {}", command.list_id()));
  }
  v1::ListChanged changed;
  changed.set_list_id(command.list_id());
  changed.set_name(command.has_name() ? command.name() : list->name());
  changed.set_public_(command.has_public_() ? command.public_() : list->public_());
  changed.set_description(command.has_description() ? command.description() : list->description());
  if (!MayBe(context, command.list_id(), changed.name(), changed.description(), changed.public_() && !list->public_())) return;
  context.Answer("list_id", command.list_id());
  if (changed.name() == list->name() && changed.public_() == list->public_() && changed.description() == list->description())
    return context.Unchanged();
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::JoinList& command) {
  const uint64_t ordinal = OrdinalOrRefuse(context, command.contact_key());
  if (ordinal == 0) return;
  const v1::Subscriber* subscriber = SubscriberOf(context, ordinal);
  if (IsMember(subscriber, command.list_id())) return context.Unchanged();
  if (subscriber != nullptr && subscriber->list_ids_size() >= kListsOfContactMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_lists",
                          fmt::format("a contact is a member of at most {} lists", kListsOfContactMax));
  }
  Join(context, ordinal, command.list_id(), "api");
}

void Decide(task::Context& context, const v1::LeaveList& command) {
  const uint64_t ordinal = OrdinalOrRefuse(context, command.contact_key());
  if (ordinal == 0) return;
  if (!IsMember(SubscriberOf(context, ordinal), command.list_id())) return context.Unchanged();
  v1::MemberLeft left;
  left.set_ordinal(ordinal);
  left.set_list_id(command.list_id());
  left.set_source("api");
  context.Emit(left);
}

void Decide(task::Context& context, const v1::Resubscribe& command) {
  const uint64_t ordinal = OrdinalOrRefuse(context, command.contact_key());
  if (ordinal == 0) return;
  if (command.proof().empty()) {
    return context.Refuse(Outcome::kInvalid, "proof_missing", "say how the contact asked for it: a form, a mail, a call");
  }
  const v1::Subscriber* subscriber = SubscriberOf(context, ordinal);
  if (subscriber == nullptr || subscriber->unsubscribed_at_us() == 0) return context.Unchanged();
  v1::Resubscribed resubscribed;
  resubscribed.set_ordinal(ordinal);
  resubscribed.set_proof(command.proof());
  context.Emit(resubscribed);
}

void Decide(task::Context& context, const v1::StartImport& command) {
  v1::ImportStarted started;
  started.set_import_id(command.import_id());
  started.set_list_id(command.list_id());
  started.set_source(command.source());
  context.Emit(started);
}

void Decide(task::Context& context, const v1::EndImport& command) {
  v1::ImportEnded ended;
  ended.set_import_id(command.import_id());
  ended.set_outcome(command.outcome());
  *ended.mutable_counts() = command.counts();
  ended.set_message(command.message());
  ended.set_token(command.token());
  context.Emit(ended);
}

void React(task::Context& context, const contacts::v1::ContactCreated& event) {
  JoinAll(context, event.ordinal(), event.join_lists(), event.source());
}

void React(task::Context& context, const contacts::v1::ContactChanged& event) {
  JoinAll(context, event.ordinal(), event.join_lists(), event.source());
}

void React(task::Context& context, const contacts::v1::JoinUndone& event) {
  if (!IsMember(SubscriberOf(context, event.ordinal()), event.list_id())) return;
  v1::MemberLeft left;
  left.set_ordinal(event.ordinal());
  left.set_list_id(event.list_id());
  context.Emit(left);
}

void React(task::Context& context, const contacts::v1::ContactTakenOver& event) {
  constexpr std::string_view kMerge = "merge";
  for (const uint64_t list_id : event.person().pending_list_ids()) {
    if (!IsMember(SubscriberOf(context, event.ordinal()), list_id)) continue;
    v1::MemberLeft left;
    left.set_ordinal(event.ordinal());
    left.set_list_id(list_id);
    left.set_source(kMerge.data(), kMerge.size());
    context.Emit(left);
  }
  for (const uint64_t list_id : event.person().list_ids()) {
    const bool member = IsMember(SubscriberOf(context, event.ordinal()), list_id);
    if (!member && !HasWithdrawn(context, event.ordinal(), list_id)) Join(context, event.ordinal(), list_id, kMerge);
  }
}

void React(task::Context& context, const consents::v1::ConsentGranted& event) {
  const v1::Subscriber* subscriber = SubscriberOf(context, event.ordinal());
  if (event.list_id() != 0) {
    if (!IsMember(subscriber, event.list_id())) Join(context, event.ordinal(), event.list_id(), event.source(), true);
    return;
  }
  if (event.purpose() != kMarketing || subscriber == nullptr || subscriber->unsubscribed_at_us() == 0) return;
  v1::Resubscribed resubscribed;
  resubscribed.set_ordinal(event.ordinal());
  resubscribed.set_proof(event.proof());
  resubscribed.set_by_consent(true);
  context.Emit(resubscribed);
}

void React(task::Context& context, const consents::v1::ConsentWithdrawn& event) {
  if (event.list_id() == 0 || !IsMember(SubscriberOf(context, event.ordinal()), event.list_id())) return;
  v1::MemberLeft left;
  left.set_ordinal(event.ordinal());
  left.set_list_id(event.list_id());
  left.set_source(event.source());
  left.set_by_consent(true);
  context.Emit(left);
}

}  // namespace maily::lists
