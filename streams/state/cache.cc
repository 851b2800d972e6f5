// The write-back cache: an open-addressing table of entries, lists of the dirty ones, and a ring of the clean ones.
#include "streams/state/cache.h"

#include <algorithm>
#include <new>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/state/digest.h"

namespace maily::state {
namespace {

// How the frozen generation sees an entry.
enum class Frozen : uint8_t {
  kNone,      // it is not in it
  kShared,    // its frozen value is its value
  kSeparate,  // it was edited since: `frozen` is what is to be written
};

// What undoing an entry's first touch takes.
enum class UndoKind : uint8_t {
  kReload,   // it was clean: the Kv still has it
  kRestore,  // `old_value` is the value it had
  kUnshare,  // its frozen value is the value it had
};

constexpr uint32_t kNowhere = UINT32_MAX;

// An entry. In memory a place for a small value follows it, then its key.
struct Entry {
  const TypeOps* ops;
  void* value;   // null = absent
  void* frozen;  // kSeparate only; null = absent
  uint64_t hash;
  uint32_t key_bytes;
  uint32_t place = kNowhere;  // in the dirty list if dirty, in the ring if clean
  uint32_t bytes = 0;         // of the entry, key and value
  uint32_t frozen_bytes = 0;  // of the frozen value, if separate
  uint16_t edits = 0;         // since it became dirty; saturates
  Frozen frozen_state = Frozen::kNone;
  bool dirty = false;
  bool in_kv = false;      // or it may be
  bool referenced = true;  // since the ring's hand came by
  bool touched = false;    // in the open decision
  bool placed = false;     // a value is in the place for it

  void* place_for_value() { return static_cast<void*>(this + 1); }
  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1) + ops->place_bytes, key_bytes}; }
  bool clean() const { return !dirty && frozen_state == Frozen::kNone; }
  // The value that the frozen generation writes.
  void* frozen_value() const { return frozen_state == Frozen::kSeparate ? frozen : value; }

  static Entry* New(const TypeOps& ops, std::string_view key, uint64_t hash) {
    void* memory = ::operator new(sizeof(Entry) + ops.place_bytes + key.size());
    Entry* entry =
        new (memory) Entry{.ops = &ops, .value = nullptr, .frozen = nullptr, .hash = hash, .key_bytes = static_cast<uint32_t>(key.size())};
    std::memcpy(static_cast<char*>(entry->place_for_value()) + ops.place_bytes, key.data(), key.size());
    return entry;
  }
  static void Delete(Entry* entry) {
    if (entry->value != nullptr) entry->Destroy(entry->value);
    if (entry->frozen != nullptr) entry->Destroy(entry->frozen);
    ::operator delete(entry);
  }

  // A value of this entry, beside it if there is place.
  void* Create() {
    if (ops->place_bytes == 0 || placed) return ops->create();
    placed = true;
    return ops->create_at(place_for_value());
  }
  // A value of this entry, wherever it is.
  void Destroy(void* of) {
    if (!placed || of != place_for_value()) return ops->destroy(of);
    placed = false;
    ops->destroy_at(of);
  }
};

// Brings what will be looked at soon near; entries are met in no order of memory.
constexpr size_t kAhead = 8;
void Fetch(const std::vector<Entry*>& entries, size_t i) {
  if (i < entries.size()) __builtin_prefetch(entries[i]);
}

// Slot, ring place and allocator's share of an entry, in bytes.
constexpr size_t kEntryOverhead = sizeof(Entry) + 24 + 8 + 32;

struct ByKey {
  using is_transparent = void;
  bool operator()(const Entry* a, const Entry* b) const { return a->key() < b->key(); }
  bool operator()(const Entry* a, std::string_view b) const { return a->key() < b; }
  bool operator()(std::string_view a, const Entry* b) const { return a < b->key(); }
};
using Index = std::set<Entry*, ByKey>;

uint64_t HashOf(TypeNumber type, std::string_view key) { return Xxh3_64(key) ^ (type * 0x9E3779B97F4A7C15ULL); }

std::string KvKey(TypeNumber type, std::string_view key) {
  std::string kv_key;
  kv_key.reserve(2 + key.size());
  PutOrdered<uint16_t>(kv_key, type);
  kv_key.append(key);
  return kv_key;
}

// The first key after all those that begin with `prefix`; empty = none. Types are below 0xFFFF, so a stored prefix always has one.
std::string AfterPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xFF) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

// Entries by hash: linear probing, at most three quarters full.
class Slots {
 public:
  Slots() : slots_(1024) {}

  Entry* Find(uint64_t hash, TypeNumber type, std::string_view key) const {
    for (size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.entry == nullptr) return nullptr;
      if (slot.hash == hash && slot.entry->ops->type == type && slot.entry->key() == key) return slot.entry;
    }
  }
  // Brings near what Find will look at: call the first for some hashes, then the second for them.
  void FetchSlot(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask()]); }
  void FetchEntry(uint64_t hash) const { __builtin_prefetch(slots_[hash & mask()].entry); }
  void Insert(Entry* entry) {
    if ((count_ + 1) * 4 > slots_.size() * 3) Grow();
    Place({entry->hash, entry});
    ++count_;
  }
  void Remove(const Entry* entry) {
    size_t hole = entry->hash & mask();
    while (slots_[hole].entry != entry) hole = (hole + 1) & mask();
    // Moves back whatever could not be found any more across the hole.
    for (size_t i = (hole + 1) & mask(); slots_[i].entry != nullptr; i = (i + 1) & mask()) {
      const size_t home = slots_[i].hash & mask();
      if (((i - home) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = {};
    --count_;
  }
  template <class Visit>
  void ForEach(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.entry != nullptr) visit(slot.entry);
    }
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    Entry* entry = nullptr;
  };
  size_t mask() const { return slots_.size() - 1; }
  void Place(Slot slot) {
    size_t i = slot.hash & mask();
    while (slots_[i].entry != nullptr) i = (i + 1) & mask();
    slots_[i] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.entry != nullptr) Place(slot);
    }
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace

struct Cache::Impl {
  struct UndoRecord {
    Entry* entry;
    UndoKind kind;
    bool was_dirty;
    bool was_edited;  // Edit, not Erase, came first
    uint16_t old_edits;
    uint32_t old_bytes;
    void* old_value;
  };

  Impl(Kv& store, size_t limit) : kv(store), bytes_max(limit) {}
  ~Impl() {
    DropUndo();
    slots.ForEach(Entry::Delete);
  }

  // Entries in the cache.
  enum class Ask { kStore, kKnownAbsent, kUnread };
  Entry* Load(const TypeOps& ops, std::string_view key, Ask ask = Ask::kStore);
  Entry* Enter(const TypeOps& ops, std::string_view key, uint64_t hash, std::optional<std::string_view> stored);
  void Drop(Entry* entry);
  void EvictBeyondLimit();

  // What lists and sums an entry is in.
  void EnterRing(Entry* entry);
  void LeaveRing(Entry* entry);
  void MakeDirty(Entry* entry);
  void LeaveDirty(Entry* entry);
  void EnterIndex(Entry* entry);
  void LeaveIndex(Entry* entry);
  void SetBytes(Entry* entry, size_t bytes);
  void Measure(Entry* entry);

  void Touch(Entry* entry, bool edit);
  void DropUndo();
  void Unshare(Entry* entry, void* new_value);
  void Settle(Entry* entry, bool written);
  void KeepError(const Error& why) {
    if (!error) error = std::make_unique<Error>(why);
  }

  Kv& kv;
  const size_t bytes_max;
  Slots slots;
  std::vector<Entry*> ring;  // clean entries
  size_t hand = 0;
  std::vector<Entry*> dirty;
  std::vector<Entry*> frozen;
  bool has_frozen = false;
  // Entries that are not clean, in order, of every type that was ever scanned.
  std::unordered_map<TypeNumber, Index> indices;
  std::vector<UndoRecord> undo;
  bool open = false;
  int scans = 0;
  size_t bytes = 0;
  size_t dirty_bytes = 0;
  size_t frozen_bytes = 0;
  uint64_t undos = 0;
  std::unique_ptr<Error> error;
};

Entry* Cache::Impl::Load(const TypeOps& ops, std::string_view key, Ask ask) {
  const uint64_t hash = HashOf(ops.type, key);
  if (Entry* entry = slots.Find(hash, ops.type, key); entry != nullptr) [[likely]] {
    entry->referenced = true;
    return entry;
  }
  if (!open && scans == 0) EvictBeyondLimit();
  if (ask != Ask::kStore) {
    Entry* entry = Enter(ops, key, hash, std::nullopt);
    entry->in_kv = ask == Ask::kUnread;
    return entry;
  }
  const auto stored = kv.Get(KvKey(ops.type, key));
  if (!stored) KeepError(stored.error());
  return Enter(ops, key, hash, stored && *stored ? std::optional<std::string_view>(**stored) : std::nullopt);
}

// An entry that is not in memory, as the store has it.
Entry* Cache::Impl::Enter(const TypeOps& ops, std::string_view key, uint64_t hash, std::optional<std::string_view> stored) {
  Entry* entry = Entry::New(ops, key, hash);
  if (stored) {
    entry->value = entry->Create();
    entry->in_kv = true;
    if (!ops.parse(entry->value, *stored)) {
      KeepError(Fail(Code::kCorrupt, "state of type {}: {} stored bytes do not parse", ops.type, stored->size()));
      entry->Destroy(entry->value);
      entry->value = nullptr;
    }
  }
  slots.Insert(entry);
  EnterRing(entry);
  Measure(entry);
  return entry;
}

// The entry must be clean and in the ring.
void Cache::Impl::Drop(Entry* entry) {
  LeaveRing(entry);
  bytes -= entry->bytes;
  slots.Remove(entry);
  Entry::Delete(entry);
}

void Cache::Impl::EvictBeyondLimit() {
  // Every entry is met at most twice: its reference is taken, then it goes.
  for (size_t steps = 2 * ring.size(); bytes > bytes_max && !ring.empty() && steps > 0; --steps) {
    if (hand >= ring.size()) hand = 0;
    Fetch(ring, hand + kAhead);
    Entry* entry = ring[hand];
    if (entry->referenced) {
      entry->referenced = false;
      ++hand;
    } else {
      Drop(entry);  // the ring's last takes its place
    }
  }
}

void Cache::Impl::EnterRing(Entry* entry) {
  entry->place = static_cast<uint32_t>(ring.size());
  ring.push_back(entry);
}

void Cache::Impl::LeaveRing(Entry* entry) {
  Entry* last = ring.back();
  ring[entry->place] = last;
  last->place = entry->place;
  ring.pop_back();
  entry->place = kNowhere;
}

void Cache::Impl::MakeDirty(Entry* entry) {
  if (entry->dirty) return;
  if (entry->frozen_state == Frozen::kNone) {
    LeaveRing(entry);
    EnterIndex(entry);
  }
  entry->dirty = true;
  entry->edits = 0;
  entry->place = static_cast<uint32_t>(dirty.size());
  dirty.push_back(entry);
  dirty_bytes += entry->bytes;
}

// Undoes MakeDirty.
void Cache::Impl::LeaveDirty(Entry* entry) {
  Entry* last = dirty.back();
  dirty[entry->place] = last;
  last->place = entry->place;
  dirty.pop_back();
  entry->place = kNowhere;
  entry->dirty = false;
  dirty_bytes -= entry->bytes;
  if (entry->frozen_state == Frozen::kNone) {
    LeaveIndex(entry);
    EnterRing(entry);
  }
}

void Cache::Impl::EnterIndex(Entry* entry) {
  if (indices.empty()) return;
  const auto index = indices.find(entry->ops->type);
  if (index != indices.end()) index->second.insert(entry);
}

void Cache::Impl::LeaveIndex(Entry* entry) {
  if (indices.empty()) return;
  const auto index = indices.find(entry->ops->type);
  if (index != indices.end()) index->second.erase(entry);
}

void Cache::Impl::SetBytes(Entry* entry, size_t now) {
  now = std::min<size_t>(now, UINT32_MAX);
  bytes += now - entry->bytes;
  if (entry->dirty) dirty_bytes += now - entry->bytes;
  if (entry->frozen_state == Frozen::kShared) frozen_bytes += now - entry->bytes;
  entry->bytes = static_cast<uint32_t>(now);
}

void Cache::Impl::Measure(Entry* entry) {
  const size_t value_bytes = entry->value == nullptr ? 0 : entry->ops->bytes(entry->value);
  SetBytes(entry, kEntryOverhead + entry->key_bytes + std::max<size_t>(entry->ops->place_bytes, value_bytes));
}

// Keeps the frozen value apart; `new_value` is the entry's from now on.
void Cache::Impl::Unshare(Entry* entry, void* new_value) {
  entry->frozen_state = Frozen::kSeparate;
  entry->frozen = entry->value;
  entry->frozen_bytes = entry->bytes;
  entry->value = new_value;
  bytes += entry->bytes;  // counted twice from now on: the frozen value in frozen_bytes, the new one where it belongs
}

// Before the first change of an entry in a decision: remembers how to take it back, and makes it dirty.
void Cache::Impl::Touch(Entry* entry, bool edit) {
  const bool remember = open && !entry->touched;
  UndoRecord record{.entry = entry,
                    .kind = UndoKind::kRestore,
                    .was_dirty = entry->dirty,
                    .was_edited = edit,
                    .old_edits = entry->edits,
                    .old_bytes = entry->bytes,
                    .old_value = nullptr};
  if (entry->frozen_state == Frozen::kShared) {
    record.kind = UndoKind::kUnshare;
    Unshare(entry, edit && entry->value != nullptr ? entry->ops->copy(entry->value) : nullptr);
  } else if (entry->value == nullptr && entry->in_kv && !entry->dirty) {
    record.kind = UndoKind::kReload;  // Replace has not read it
  } else if (remember && entry->value != nullptr) {
    if (!edit) {
      record.old_value = entry->value;  // erased: the value moves here
      entry->value = nullptr;
    } else if (entry->dirty) {
      record.old_value = entry->ops->copy(entry->value);
    } else {
      record.kind = UndoKind::kReload;
    }
  }
  MakeDirty(entry);
  if (remember) {
    entry->touched = true;
    undo.push_back(record);
  }
}

void Cache::Impl::DropUndo() {
  for (const UndoRecord& record : undo) {
    if (record.old_value != nullptr) record.entry->Destroy(record.old_value);
  }
  undo.clear();
}

// The frozen generation ends for this entry.
void Cache::Impl::Settle(Entry* entry, bool written) {
  // What was not said to be written may be there all the same.
  entry->in_kv = entry->frozen_value() != nullptr || (!written && entry->in_kv);
  if (entry->frozen_state == Frozen::kSeparate) {
    if (entry->frozen != nullptr) entry->Destroy(entry->frozen);
    entry->frozen = nullptr;
    bytes -= entry->frozen_bytes;
    entry->frozen_bytes = 0;
    entry->frozen_state = Frozen::kNone;
    return;  // it is dirty in the current generation
  }
  entry->frozen_state = Frozen::kNone;
  LeaveIndex(entry);
  EnterRing(entry);
  entry->referenced = entry->value != nullptr;
  if (!written) MakeDirty(entry);
}

Cache::Cache(Kv& kv, size_t bytes_max) : impl_(std::make_unique<Impl>(kv, bytes_max)) {}
Cache::~Cache() = default;

const void* Cache::Find(const TypeOps& ops, std::string_view key) { return impl_->Load(ops, key)->value; }

void Wanted::Add(const TypeOps& ops, std::string_view key) {
  const size_t at = bytes_.size();
  PutOrdered<uint16_t>(bytes_, ops.type);
  bytes_.append(key);
  items_.push_back({&ops, HashOf(ops.type, key), at, bytes_.size() - at});
}

void Wanted::Clear() {
  items_.clear();
  bytes_.clear();
}

void Cache::Bring(const Wanted& wanted) {
  Impl& impl = *impl_;
  MAILY_CHECK(!impl.open, "a decision is open");
  // In three walks, so that memory is waited for by all together rather than by one after another.
  for (const Wanted::Item& item : wanted.items_) impl.slots.FetchSlot(item.hash);
  for (const Wanted::Item& item : wanted.items_) impl.slots.FetchEntry(item.hash);
  struct Missing {
    std::string_view kv_key;
    const Wanted::Item* item;
  };
  std::vector<Missing> missing;
  for (const Wanted::Item& item : wanted.items_) {
    const std::string_view kv_key(wanted.bytes_.data() + item.at, item.size);
    Entry* entry = impl.slots.Find(item.hash, item.ops->type, kv_key.substr(2));
    if (entry != nullptr) {
      entry->referenced = true;
    } else {
      missing.push_back({kv_key, &item});
    }
  }
  if (missing.empty()) return;
  if (impl.scans == 0) impl.EvictBeyondLimit();
  std::ranges::sort(missing, {}, &Missing::kv_key);
  const auto again = std::ranges::unique(missing, {}, &Missing::kv_key);
  missing.erase(again.begin(), again.end());
  std::vector<std::string_view> keys;
  keys.reserve(missing.size());
  for (const Missing& one : missing) keys.push_back(one.kv_key);
  const auto read = impl.kv.GetMany(keys, [&](size_t i, std::optional<std::string_view> stored) {
    impl.Enter(*missing[i].item->ops, keys[i].substr(2), missing[i].item->hash, stored);
  });
  if (!read) return;  // who asks for the rest meets it again
}

void Cache::KnowAbsent(const TypeOps& ops, std::string_view key) {
  const Entry* entry = impl_->Load(ops, key, Impl::Ask::kKnownAbsent);
  MAILY_CHECK(entry->value == nullptr, "an entry of type {} is there after all", ops.type);
}

void* Cache::Edit(const TypeOps& ops, std::string_view key) {
  Entry* entry = impl_->Load(ops, key);
  impl_->Touch(entry, /*edit=*/true);
  if (entry->value == nullptr) entry->value = entry->Create();
  // Outside of a decision nobody comes back to measure it.
  if (!impl_->open) impl_->Measure(entry);
  return entry->value;
}

void* Cache::Replace(const TypeOps& ops, std::string_view key) {
  Entry* entry = impl_->Load(ops, key, Impl::Ask::kUnread);
  impl_->Touch(entry, /*edit=*/true);
  if (entry->value == nullptr) {
    entry->value = entry->Create();
  } else {
    ops.reset(entry->value);
  }
  if (!impl_->open) impl_->Measure(entry);
  return entry->value;
}

void Cache::Erase(const TypeOps& ops, std::string_view key) {
  Entry* entry = impl_->Load(ops, key);
  if (entry->value == nullptr) return;
  impl_->Touch(entry, /*edit=*/false);
  if (entry->value != nullptr) entry->Destroy(entry->value);
  entry->value = nullptr;
  entry->edits = 0;
  impl_->Measure(entry);
  // Nobody but this generation has ever seen it: nothing to write. (While touched it stays dirty, so that Undo finds it as it was.)
  if (!entry->touched && !entry->in_kv && entry->frozen_state == Frozen::kNone) impl_->LeaveDirty(entry);
}

void Cache::Scan(const TypeOps& ops, std::string_view prefix, std::string_view from,
                 const std::function<bool(std::string_view, const void*)>& visit) {
  Impl& impl = *impl_;
  const auto [index_at, first_scan] = impl.indices.try_emplace(ops.type);
  Index& index = index_at->second;
  if (first_scan) {
    for (const auto* list : {&impl.dirty, &impl.frozen}) {
      for (Entry* entry : *list) {
        if (entry->ops->type == ops.type) index.insert(entry);
      }
    }
  }
  const std::string_view begin = std::max(prefix, from);
  if (!begin.starts_with(prefix)) return;
  ++impl.scans;
  bool go_on = true;
  auto cached = index.lower_bound(begin);
  // Visits the cached entries that come before `key`, and skips past `key` itself; null = all that are left.
  const auto visit_cached_before = [&](const std::string_view* key) {
    for (; go_on && cached != index.end() && (*cached)->key().starts_with(prefix); ++cached) {
      const Entry* entry = *cached;
      if (key != nullptr && entry->key() > *key) return;
      if (entry->value != nullptr) go_on = visit(entry->key(), entry->value);
      if (key != nullptr && entry->key() == *key) {
        ++cached;
        return;
      }
    }
  };
  const auto scanned =
      impl.kv.Scan(KvKey(ops.type, begin), AfterPrefix(KvKey(ops.type, prefix)), [&](std::string_view kv_key, std::string_view value) {
        const std::string_view key = kv_key.substr(2);
        visit_cached_before(&key);
        if (!go_on) return false;
        Entry* entry = impl.slots.Find(HashOf(ops.type, key), ops.type, key);
        if (entry != nullptr) {
          if (entry->clean() && entry->value != nullptr) go_on = visit(key, entry->value);
          return go_on;  // the others were visited from the index
        }
        void* read = ops.create();
        if (ops.parse(read, value)) {
          go_on = visit(key, read);
        } else {
          impl.KeepError(Fail(Code::kCorrupt, "state of type {}: {} stored bytes do not parse", ops.type, value.size()));
        }
        ops.destroy(read);
        return go_on;
      });
  if (!scanned) {
    impl.KeepError(scanned.error());
  } else {
    visit_cached_before(nullptr);
  }
  --impl.scans;
}

void Cache::Begin() {
  MAILY_CHECK(!impl_->open, "a decision is open already");
  impl_->open = true;
}

void Cache::Commit() {
  Impl& impl = *impl_;
  MAILY_CHECK(impl.open, "no decision is open");
  impl.open = false;
  for (const Impl::UndoRecord& record : impl.undo) {
    Entry* entry = record.entry;
    entry->touched = false;
    if (entry->value == nullptr) {
      if (!entry->in_kv && entry->frozen_state == Frozen::kNone) impl.LeaveDirty(entry);
      continue;
    }
    if (entry->edits < UINT16_MAX) ++entry->edits;
    if ((entry->edits & (entry->edits - 1)) == 0) impl.Measure(entry);
  }
  impl.DropUndo();
  impl.EvictBeyondLimit();
}

void Cache::Undo() {
  Impl& impl = *impl_;
  MAILY_CHECK(impl.open, "no decision is open");
  impl.open = false;
  ++impl.undos;
  for (Impl::UndoRecord& record : impl.undo) {
    Entry* entry = record.entry;
    entry->touched = false;
    if (entry->value != nullptr) entry->Destroy(entry->value);
    entry->value = nullptr;
    if (record.kind == UndoKind::kUnshare) {
      impl.LeaveDirty(entry);
      impl.bytes -= entry->bytes;
      entry->value = entry->frozen;
      entry->bytes = entry->frozen_bytes;
      entry->frozen = nullptr;
      entry->frozen_bytes = 0;
      entry->frozen_state = Frozen::kShared;
      continue;
    }
    entry->value = record.old_value;
    record.old_value = nullptr;
    impl.SetBytes(entry, record.old_bytes);
    entry->edits = record.old_edits;
    if (!record.was_dirty) impl.LeaveDirty(entry);
    if (record.kind == UndoKind::kReload) impl.Drop(entry);
  }
  impl.undo.clear();
  impl.EvictBeyondLimit();
}

Result<Hash128> Cache::Digest() {
  Impl& impl = *impl_;
  DigestSum sum;
  MAILY_TRY_VOID(impl.kv.Scan(KvKey(1, ""), "", [&](std::string_view kv_key, std::string_view value) {
    const auto type = static_cast<TypeNumber>((static_cast<uint8_t>(kv_key[0]) << 8) | static_cast<uint8_t>(kv_key[1]));
    const Entry* entry = impl.slots.Find(HashOf(type, kv_key.substr(2)), type, kv_key.substr(2));
    if (entry == nullptr || entry->clean()) sum.Add(kv_key, value);
    return true;
  }));
  std::string bytes;
  impl.slots.ForEach([&](const Entry* entry) {
    if (entry->clean() || entry->value == nullptr) return;
    bytes.clear();
    MAILY_CHECK(entry->ops->append(entry->value, &bytes), "state of type {} cannot be serialized", entry->ops->type);
    sum.Add(KvKey(entry->ops->type, entry->key()), bytes);
  });
  return sum.sum();
}

size_t Cache::dirty_bytes() const { return impl_->dirty_bytes; }
size_t Cache::frozen_bytes() const { return impl_->frozen_bytes; }
size_t Cache::bytes() const { return impl_->bytes; }
uint64_t Cache::undos() const { return impl_->undos; }

void Cache::Freeze() {
  Impl& impl = *impl_;
  MAILY_CHECK(!impl.open, "a decision is open");
  MAILY_CHECK(!impl.has_frozen, "a generation is frozen already");
  impl.has_frozen = true;
  impl.frozen.swap(impl.dirty);
  impl.frozen_bytes = impl.dirty_bytes;
  impl.dirty_bytes = 0;
  for (size_t i = 0; i < impl.frozen.size(); ++i) {
    Fetch(impl.frozen, i + kAhead);
    Entry* entry = impl.frozen[i];
    entry->dirty = false;
    entry->place = kNowhere;
    entry->frozen_state = Frozen::kShared;
  }
}

bool Cache::has_frozen() const { return impl_->has_frozen; }

void Cache::CollectFrozen(KvBatch& batch) {
  MAILY_CHECK(impl_->has_frozen, "nothing is frozen");
  // In the order of the store's keys, which takes them so much faster. Most are told apart by what is laid beside the entry.
  struct Place {
    uint64_t first;   // type, and the first six bytes of the key
    uint64_t second;  // the next eight
    const Entry* entry;
  };
  const auto part = [](std::string_view key, size_t from, size_t size) {
    uint64_t value = 0;
    for (size_t i = from; i < from + size; ++i) value = (value << 8) | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
    return value;
  };
  std::vector<Place> places;
  places.reserve(impl_->frozen.size());
  for (size_t i = 0; i < impl_->frozen.size(); ++i) {
    Fetch(impl_->frozen, i + kAhead);
    const Entry* entry = impl_->frozen[i];
    const std::string_view key = entry->key();
    places.push_back({(uint64_t{entry->ops->type} << 48) | part(key, 0, 6), part(key, 6, 8), entry});
  }
  std::ranges::sort(places, [](const Place& a, const Place& b) {
    if (a.first != b.first) return a.first < b.first;
    if (a.second != b.second) return a.second < b.second;
    return a.entry->key() < b.entry->key();
  });
  batch.changes.reserve(batch.changes.size() + places.size());
  std::string key;
  std::string bytes;
  for (size_t i = 0; i < places.size(); ++i) {
    if (i + kAhead < places.size()) __builtin_prefetch(places[i + kAhead].entry);
    const Entry* entry = places[i].entry;
    key.clear();
    PutOrdered<uint16_t>(key, entry->ops->type);
    key.append(entry->key());
    const void* value = entry->frozen_value();
    if (value == nullptr) {
      batch.Delete(key);
      continue;
    }
    bytes.clear();
    MAILY_CHECK(entry->ops->append(value, &bytes), "state of type {} cannot be serialized", entry->ops->type);
    batch.Put(key, bytes);
  }
}

void Cache::Thaw(bool written) {
  Impl& impl = *impl_;
  MAILY_CHECK(impl.has_frozen, "nothing is frozen");
  MAILY_CHECK(!impl.open, "a decision is open");
  impl.has_frozen = false;
  impl.frozen_bytes = 0;
  std::vector<Entry*> settled;
  settled.swap(impl.frozen);
  for (size_t i = 0; i < settled.size(); ++i) {
    Fetch(settled, i + kAhead);
    impl.Settle(settled[i], written);
  }
  impl.EvictBeyondLimit();
}

const Error* Cache::error() const { return impl_->error.get(); }

}  // namespace maily::state
