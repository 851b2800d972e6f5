// See evolve.h.
#include "processors/lists/evolve.h"

#include <algorithm>

#include "maily/lists/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::lists {
namespace {

using Ids = google::protobuf::RepeatedField<uint64_t>;

void Add(Ids& ids, uint64_t id) {
  const auto place = static_cast<int>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
  if (place < ids.size() && ids[place] == id) return;
  ids.Add(id);
  std::rotate(ids.begin() + place, ids.end() - 1, ids.end());
}
void Remove(Ids& ids, uint64_t id) { ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end()); }

void EraseIfEmpty(task::Fold& fold, const std::string& key, const v1::Subscriber& subscriber) {
  if (subscriber.list_ids().empty() && subscriber.unsubscribed_at_us() == 0 && subscriber.pending_list_ids().empty())
    fold.table<v1::Subscriber>().Erase(key);
}

void Describe(v1::List& list, std::string_view name, bool is_public, std::string_view description) {
  list.set_name(std::string(name));
  list.set_public_(is_public);
  list.set_description(std::string(description));
}

}  // namespace

void Evolve(task::Fold& fold, const v1::ListCreated& event) {
  Describe(fold.table<v1::List>().Edit(state::Key(fold.tenant(), event.list_id())), event.name(), event.public_(), event.description());
  v1::ListCounter& counter = fold.table<v1::ListCounter>().Edit(state::Key(fold.tenant()));
  counter.set_last_list_id(event.list_id());
  if (event.public_()) counter.set_public_lists(counter.public_lists() + 1);
}

void Evolve(task::Fold& fold, const v1::ListChanged& event) {
  v1::List& list = fold.table<v1::List>().Edit(state::Key(fold.tenant(), event.list_id()));
  v1::ListCounter& counter = fold.table<v1::ListCounter>().Edit(state::Key(fold.tenant()));
  if (event.public_() && !list.public_()) counter.set_public_lists(counter.public_lists() + 1);
  if (!event.public_() && list.public_()) counter.set_public_lists(counter.public_lists() - 1);
  Describe(list, event.name(), event.public_(), event.description());
}

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event) {
  fold.table<v1::Subscriber>().KnowAbsent(state::Key(fold.tenant(), event.ordinal()));
}

void Evolve(task::Fold& fold, const contacts::v1::ContactErased& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  if (fold.table<v1::Subscriber>().Find(key) != nullptr) fold.table<v1::Subscriber>().Erase(key);
}

void Evolve(task::Fold& fold, const contacts::v1::ContactMerged& event) {
  fold.table<v1::Subscriber>().Erase(state::Key(fold.tenant(), event.ordinal()));
}

void Evolve(task::Fold& fold, const v1::MemberJoined& event) {
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(state::Key(fold.tenant(), event.ordinal()));
  Add(*subscriber.mutable_list_ids(), event.list_id());
  if (!subscriber.pending_list_ids().empty()) Remove(*subscriber.mutable_pending_list_ids(), event.list_id());
}

void Evolve(task::Fold& fold, const v1::MemberLeft& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(key);
  Remove(*subscriber.mutable_list_ids(), event.list_id());
  EraseIfEmpty(fold, key, subscriber);
}

void Evolve(task::Fold& fold, const v1::Resubscribed& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(key);
  subscriber.set_unsubscribed_at_us(0);
  EraseIfEmpty(fold, key, subscriber);
}

void Evolve(task::Fold&, const v1::ImportStarted&) {}
void Evolve(task::Fold&, const v1::ImportEnded&) {}

void Evolve(task::Fold& fold, const engagements::v1::Unsubscribed& event) {
  fold.table<v1::Subscriber>().Edit(state::Key(fold.tenant(), event.ordinal())).set_unsubscribed_at_us(fold.now().us);
}

void Evolve(task::Fold& fold, const consents::v1::ConfirmationAsked& event) {
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(state::Key(fold.tenant(), event.ordinal()));
  const auto& members = subscriber.list_ids();
  if (!std::binary_search(members.begin(), members.end(), event.list_id())) Add(*subscriber.mutable_pending_list_ids(), event.list_id());
}

void Evolve(task::Fold& fold, const consents::v1::ConsentWithdrawn& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  if (fold.view<v1::Subscriber>().Find(key) == nullptr) return;
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(key);
  if (event.list_id() != 0) Remove(*subscriber.mutable_pending_list_ids(), event.list_id());
  if (event.purpose() == "marketing") subscriber.clear_pending_list_ids();
  EraseIfEmpty(fold, key, subscriber);
}

}  // namespace maily::lists
