// The write-back cache under all tables of one partition: typed entries in memory over a Kv, dirty in two generations.
//
// A decision is open between Begin and Commit/Undo: Undo gives every entry touched since Begin its old value. Freeze closes the current
// dirty generation; WriteFrozen turns it into one batch. Entries of the frozen generation that are edited again are copied first, so that
// the frozen values are what is written. Clean entries are evicted beyond the limit (CLOCK); dirty ones never.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/hash.h"
#include "streams/base/result.h"
#include "streams/base/type_number.h"
#include "streams/port/kv.h"

namespace maily::state {

// What the cache must know of a message type; table.h makes it.
struct TypeOps {
  TypeNumber type;
  // Of the place that an entry has for its value beside its key: a small one need not be looked for elsewhere. 0: none. A multiple of 8.
  uint32_t place_bytes;
  void* (*create_at)(void* place);
  void (*destroy_at)(void*);
  void* (*create)();
  void* (*copy)(const void*);
  void (*destroy)(void*);
  void (*reset)(void*);
  bool (*append)(const void*, std::string*);
  bool (*parse)(void*, std::string_view);
  size_t (*bytes)(const void*);
};

// Entries that will be asked for: their tables and keys.
class Wanted {
 public:
  void Add(const TypeOps& ops, std::string_view key);
  size_t size() const { return items_.size(); }
  void Clear();

 private:
  friend class Cache;
  struct Item {
    const TypeOps* ops;
    uint64_t hash;
    size_t at;  // of the key in the store, in bytes_
    size_t size;
  };
  std::vector<Item> items_;
  std::string bytes_;
};

// Lives on the task's executor. Not thread-safe. In the Kv an entry is stored under type (2 bytes, big-endian) ‖ key.
class Cache {
 public:
  // `bytes_max`: of clean entries and dirty ones together; dirty ones are counted and never evicted.
  Cache(Kv& kv, size_t bytes_max);
  ~Cache();

  // See Table and View. Pointers stay valid while a decision is open, except that Edit, Replace and Erase replace the value of their own key; no
  // entry is evicted before its end. Absence is remembered like a value, so asking twice for what is not there reads once. A read error of
  // the Kv, or bytes that do not parse, is kept in error() and the entry counts as absent: the task looks at error() before it journals
  // anything, and stops.
  const void* Find(const TypeOps& ops, std::string_view key);
  void* Edit(const TypeOps& ops, std::string_view key);
  void* Replace(const TypeOps& ops, std::string_view key);
  void Erase(const TypeOps& ops, std::string_view key);
  void KnowAbsent(const TypeOps& ops, std::string_view key);
  void Scan(const TypeOps& ops, std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, const void*)>& visit);

  // Reads those that are not in memory, together; the others are brought near. A hint: an entry may be evicted before it is asked for, and
  // what cannot be read is met again by who asks for it. CHECK: no decision is open.
  void Bring(const Wanted& wanted);

  // Opens a decision; at most one at a time, and no Freeze or Thaw before its end. Edits outside of a decision cannot be undone.
  void Begin();
  void Commit();
  void Undo();

  // Bytes in memory, measured when an entry is read, and at its 1st, 2nd, 4th, … edit: of the current dirty generation, of the frozen
  // one, and of everything.
  size_t dirty_bytes() const;
  size_t frozen_bytes() const;
  size_t bytes() const;
  // How many decisions were undone: what was derived from entries since may be stale.
  uint64_t undos() const;

  // Closes the current dirty generation. CHECK: there is no frozen one.
  void Freeze();
  bool has_frozen() const;
  // The frozen generation as changes, in the order of their keys, appended to `batch`. Call Write on the Kv, then Thaw(true), after which
  // they count as clean; if the write failed, Thaw(false) makes them dirty again. What was made and erased within a generation is not in
  // it.
  void CollectFrozen(KvBatch& batch);
  void Thaw(bool written);

  // Sum mod 2^128 of XXH3_128 over (type ‖ key ‖ 0 ‖ value) of all entries, as if everything had been written. Reads the whole Kv.
  Result<Hash128> Digest();

  const Error* error() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::state
