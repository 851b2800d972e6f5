// See evolve.h.
#include "processors/lists/evolve.h"

#include <algorithm>

#include "maily/lists/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::lists {

void Evolve(task::Fold& fold, const v1::ListCreated& event) {
  fold.table<v1::List>().Edit(state::Key(fold.tenant(), event.list_id())).set_name(event.name());
  fold.table<v1::ListCounter>().Edit(state::Key(fold.tenant())).set_last_list_id(event.list_id());
}

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event) {
  fold.table<v1::Subscriber>().KnowAbsent(state::Key(fold.tenant(), event.ordinal()));
}

void Evolve(task::Fold& fold, const contacts::v1::ContactErased& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  if (fold.table<v1::Subscriber>().Find(key) != nullptr) fold.table<v1::Subscriber>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::MemberJoined& event) {
  auto& ids = *fold.table<v1::Subscriber>().Edit(state::Key(fold.tenant(), event.ordinal())).mutable_list_ids();
  const auto place = static_cast<int>(std::lower_bound(ids.begin(), ids.end(), event.list_id()) - ids.begin());
  if (place < ids.size() && ids[place] == event.list_id()) return;
  ids.Add(event.list_id());
  std::rotate(ids.begin() + place, ids.end() - 1, ids.end());
}

void Evolve(task::Fold& fold, const v1::MemberLeft& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(key);
  auto& ids = *subscriber.mutable_list_ids();
  ids.erase(std::remove(ids.begin(), ids.end(), event.list_id()), ids.end());
  if (ids.empty() && subscriber.unsubscribed_at_us() == 0) fold.table<v1::Subscriber>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::Resubscribed& event) {
  const std::string key = state::Key(fold.tenant(), event.ordinal());
  v1::Subscriber& subscriber = fold.table<v1::Subscriber>().Edit(key);
  subscriber.set_unsubscribed_at_us(0);
  if (subscriber.list_ids().empty()) fold.table<v1::Subscriber>().Erase(key);
}

void Evolve(task::Fold&, const v1::ImportStarted&) {}
void Evolve(task::Fold&, const v1::ImportEnded&) {}

void Evolve(task::Fold& fold, const engagements::v1::Unsubscribed& event) {
  fold.table<v1::Subscriber>().Edit(state::Key(fold.tenant(), event.ordinal())).set_unsubscribed_at_us(fold.now().us);
}

}  // namespace maily::lists
