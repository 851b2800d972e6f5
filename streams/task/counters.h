// For the tests of this folder: a noun of one number a key.
#pragma once

#include <stdexcept>
#include <string>

#include "streams/base/bytes.h"
#include "streams/state/key.h"
#include "streams/task/pipeline.h"

namespace maily::task {

// A noun of one number a key: Add{key, n} -> Added; a total is carried home; 13 is refused; 66 throws; 404 needs
// what it adds to.
struct Number {
  std::string name;
  uint64_t n = 0;
  bool AppendToString(std::string* out) const {
    PutBytes(*out, name);
    PutVarint(*out, n);
    return true;
  }
  std::string SerializeAsString() const {
    std::string out;
    AppendToString(&out);
    return out;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    name = cursor.Bytes();
    n = cursor.Varint();
    return cursor.ok() && cursor.AtEnd();
  }
  size_t SpaceUsedLong() const { return sizeof(*this); }
};
struct Add : Number {};
struct Added : Number {};
struct Total : Number {};
struct TotalTaken : Number {};
struct HomeTotal : Number {};

}  // namespace maily::task

namespace maily {
template <>
inline TypeNumber TypeNumberOf<task::Add>() {
  return 900;
}
template <>
inline TypeNumber TypeNumberOf<task::Added>() {
  return 930;
}
template <>
inline TypeNumber TypeNumberOf<task::TotalTaken>() {
  return 931;
}
template <>
inline TypeNumber TypeNumberOf<task::Total>() {
  return 970;
}
template <>
inline TypeNumber TypeNumberOf<task::HomeTotal>() {
  return 971;
}
}  // namespace maily

namespace maily::task {

inline Pipeline CounterPipeline() {
  Noun noun("counters", 1);
  noun.Owns<Total, HomeTotal>();
  noun.Decides<Add>(+[](Context& context, const Add& add) {
    if (add.n == 13) return context.Refuse(journal::Outcome::kConflict, "unlucky", "13 is not added");
    if (add.n == 66) throw std::runtime_error("boom");
    if (add.n == 404 && context.view<Total>().Find(state::Key(context.tenant(), std::string_view(add.name))) == nullptr) {
      return context.Refuse(journal::Outcome::kNotFound, "absent", "there is nothing of that name yet");
    }
    Added added;
    added.name = add.name;
    added.n = add.n;
    context.Emit(added);
    context.Answer("total", context.view<Total>().Find(state::Key(context.tenant(), std::string_view(add.name)))->n);
  });
  noun.Evolves<Added>(+[](Fold& fold, const Added& added) {
    fold.table<Total>().Edit(state::Key(fold.tenant(), std::string_view(added.name))).n += added.n;
  });
  noun.Decides<Added>(+[](Context& context, const Added& added) {
    TotalTaken taken;
    taken.n = added.n;
    context.Emit(taken);
  });
  noun.Evolves<TotalTaken>(
      +[](Fold& fold, const TotalTaken& taken) { fold.table<HomeTotal>().Edit(state::Key(fold.tenant())).n += taken.n; });
  std::vector<Noun> nouns;
  nouns.push_back(std::move(noun));
  return Pipeline(std::move(nouns), {{TypeNumberOf<Added>(), CarryTo::kHome}}, [](TenantId, uint16_t) { return PartitionId(0); });
}

}  // namespace maily::task
