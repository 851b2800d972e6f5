// Typed tables of a partition's state: one writer each, everyone else reads through a const View.
//
// T is a message with a TypeNumber (a Protobuf state message, or a struct with the same three members): the table of T is named by that
// number, so a partition has exactly one table of each type.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "streams/base/type_number.h"
#include "streams/state/cache.h"

namespace maily::state {

template <class T>
concept StateMessage = std::default_initializable<T> && std::copyable<T> &&
                       requires(const T& message, T& target, std::string* out, const void* data, int size) {
                         { message.AppendToString(out) } -> std::convertible_to<bool>;
                         { target.ParseFromArray(data, size) } -> std::convertible_to<bool>;
                         { message.SpaceUsedLong() } -> std::convertible_to<size_t>;
                       };

// Values up to this size are kept beside their keys.
inline constexpr size_t kPlacedBytesMax = 32;

// What the cache must know of M.
template <StateMessage M>
const TypeOps& OpsOf() {
  static const TypeOps ops{
      .type = TypeNumberOf<M>(),
      .place_bytes = sizeof(M) <= kPlacedBytesMax && alignof(M) <= 8 ? (sizeof(M) + 7) / 8 * 8 : 0,
      .create_at = [](void* place) -> void* { return new (place) M(); },
      .destroy_at = [](void* entry) { static_cast<M*>(entry)->~M(); },
      .create = []() -> void* { return new M(); },
      .copy = [](const void* from) -> void* { return new M(*static_cast<const M*>(from)); },
      .destroy = [](void* entry) { delete static_cast<M*>(entry); },
      .reset = [](void* entry) { *static_cast<M*>(entry) = M(); },
      .append = [](const void* entry, std::string* out) { return static_cast<const M*>(entry)->AppendToString(out); },
      .parse = [](void* entry,
                  std::string_view bytes) { return static_cast<M*>(entry)->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())); },
      .bytes = [](const void* entry) { return static_cast<size_t>(static_cast<const M*>(entry)->SpaceUsedLong()); }};
  return ops;
}

// Read access to the table of T. Pointers stay valid until the next Edit, Erase or Find of any table of this partition's state
// that is not a hit on the same key; copy what must live longer.
template <StateMessage T>
class View {
 public:
  explicit View(Cache& cache) : cache_(&cache) {}
  // The entry, or null.
  const T* Find(std::string_view key) const { return static_cast<const T*>(cache_->Find(OpsOf<T>(), key)); }
  // Every entry whose key begins with `prefix`, from `from` on (>= prefix; empty = from the first), in order of keys, until `visit`
  // returns false. `visit` must not touch the table.
  void Scan(std::string_view prefix, std::string_view from, const std::function<bool(std::string_view, const T&)>& visit) const {
    cache_->Scan(OpsOf<T>(), prefix, from,
                 [&](std::string_view key, const void* entry) { return visit(key, *static_cast<const T*>(entry)); });
  }

 protected:
  Cache* cache_;
};

// Write access; owned by the one noun whose Evolve calls it.
template <StateMessage T>
class Table : public View<T> {
 public:
  explicit Table(Cache& cache) : View<T>(cache) {}
  // The entry, made with default values if absent; marked dirty, and remembered for undo while a decision is open.
  T& Edit(std::string_view key) { return *static_cast<T*>(this->cache_->Edit(OpsOf<T>(), key)); }
  // The entry with default values, whatever it was before: the store is not asked for what is to be overwritten.
  T& Replace(std::string_view key) { return *static_cast<T*>(this->cache_->Replace(OpsOf<T>(), key)); }
  // Spares the store a question: the caller knows that there is no entry, because its key was never given out before. CHECK: none is in
  // memory.
  void KnowAbsent(std::string_view key) { this->cache_->KnowAbsent(OpsOf<T>(), key); }
  // Removes the entry if it is there.
  void Erase(std::string_view key) { this->cache_->Erase(OpsOf<T>(), key); }
};

}  // namespace maily::state
