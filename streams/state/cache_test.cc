// The cache against a plain map, under random edits, undos, freezes, failed writes and reopenings.
#include "streams/state/cache.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <random>
#include <set>

#include "streams/state/key.h"
#include "streams/state/map_kv.h"
#include "streams/state/table.h"
#include "streams/state/timers.h"

namespace maily::state {

// Two types of the same shape: one that has its place beside its key, and one that is too large for that.
template <int kNumber>
struct Size {};
template <>
struct Size<1> {
  std::array<char, kPlacedBytesMax> more{};
};
template <int kNumber>
struct Note : Size<kNumber> {
  std::string text;
  bool AppendToString(std::string* out) const { return out->append(text), true; }
  bool ParseFromArray(const void* data, int size) {
    text.assign(static_cast<const char*>(data), static_cast<size_t>(size));
    return text != "unreadable";
  }
  size_t SpaceUsedLong() const { return sizeof(*this) + text.capacity(); }
};
using NoteA = Note<0>;
using NoteB = Note<1>;

}  // namespace maily::state

namespace maily {
template <>
inline TypeNumber TypeNumberOf<state::NoteA>() {
  return 90;
}
template <>
inline TypeNumber TypeNumberOf<state::NoteB>() {
  return 91;
}
}  // namespace maily

namespace maily::state {
namespace {

void WriteFrozen(Cache& cache, Kv& kv) {
  KvBatch batch;
  cache.CollectFrozen(batch);
  const auto written = kv.Write(batch);
  cache.Thaw(written.has_value());
}

TEST(Cache, WhatIsKnownToBeAbsentIsNotAskedFor) {
  Disk disk;
  MapKv kv(disk);
  KvBatch batch;
  batch.Put(std::string("\0\x5a"
                        "a",
                        3),
            "unreadable");
  ASSERT_TRUE(kv.Write(batch));
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  notes.KnowAbsent("a");
  EXPECT_EQ(notes.Find("a"), nullptr);
  EXPECT_EQ(cache.error(), nullptr);
  notes.Edit("a").text = "one";
  EXPECT_DEATH(notes.KnowAbsent("a"), "after all");
}

TEST(Cache, WhatIsReplacedIsNotAskedFor) {
  Disk disk;
  MapKv kv(disk);
  KvBatch batch;
  batch.Put(std::string("\0Za", 3), "unreadable");
  batch.Put(std::string("\0Zb", 3), "stored b");
  ASSERT_TRUE(kv.Write(batch));
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  notes.Replace("a").text = "one";
  EXPECT_EQ(notes.Find("a")->text, "one");
  EXPECT_EQ(kv.gets, 0);
  EXPECT_EQ(notes.Replace("a").text, "");
  // Undone, it is what the store has.
  cache.Begin();
  notes.Replace("b").text = "other";
  notes.Erase("b");
  cache.Undo();
  EXPECT_EQ(notes.Find("b")->text, "stored b");
  // Erased, it is erased in the store, too.
  notes.Replace("b");
  notes.Erase("b");
  cache.Freeze();
  WriteFrozen(cache, kv);
  EXPECT_FALSE(kv.Get(std::string("\0Zb", 3)).value());
  EXPECT_EQ(cache.error(), nullptr);
}

TEST(Cache, WhatWasBroughtIsNotReadAgain) {
  Disk disk;
  MapKv kv(disk);
  KvBatch batch;
  for (const char* key : {"\0Za", "\0Zb", "\0Zc"}) batch.Put(std::string(key, 3), std::string("stored ") + key[2]);
  ASSERT_TRUE(kv.Write(batch));
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  notes.Edit("b").text = "edited";
  Wanted wanted;
  for (const char* key : {"c", "b", "absent", "a", "c"}) wanted.Add(OpsOf<NoteA>(), key);
  EXPECT_EQ(wanted.size(), 5u);
  cache.Bring(wanted);
  EXPECT_EQ(kv.gets, 4);  // b once, by Edit; c once
  EXPECT_EQ(notes.Find("a")->text, "stored a");
  EXPECT_EQ(notes.Find("b")->text, "edited");
  EXPECT_EQ(notes.Find("c")->text, "stored c");
  EXPECT_EQ(notes.Find("absent"), nullptr);
  EXPECT_EQ(kv.gets, 4);
  // What cannot be read is met by who asks for it.
  wanted.Clear();
  wanted.Add(OpsOf<NoteA>(), "d");
  kv.fail_reads = true;
  cache.Bring(wanted);
  EXPECT_EQ(cache.error(), nullptr);
  EXPECT_EQ(notes.Find("d"), nullptr);
  EXPECT_NE(cache.error(), nullptr);
}

TEST(Cache, KeepsWhatWasCommittedAndUndoesWhatWasNot) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  cache.Begin();
  notes.Edit("a").text = "one";
  cache.Commit();
  cache.Begin();
  notes.Edit("a").text = "two";
  notes.Edit("b").text = "new";
  EXPECT_EQ(notes.Find("a")->text, "two");
  cache.Undo();
  EXPECT_EQ(notes.Find("a")->text, "one");
  EXPECT_EQ(notes.Find("b"), nullptr);
  cache.Begin();
  notes.Erase("a");
  EXPECT_EQ(notes.Find("a"), nullptr);
  cache.Undo();
  EXPECT_EQ(notes.Find("a")->text, "one");
  EXPECT_EQ(cache.undos(), 2u);
}

TEST(Cache, FrozenValuesAreWrittenThoughEditedSince) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  notes.Edit("a").text = "old";
  cache.Freeze();
  cache.Begin();
  notes.Edit("a").text = "new";
  cache.Commit();
  WriteFrozen(cache, kv);
  EXPECT_EQ(**kv.Get(std::string("\0Za", 3)), "old");
  EXPECT_EQ(notes.Find("a")->text, "new");
  cache.Freeze();
  WriteFrozen(cache, kv);
  EXPECT_EQ(**kv.Get(std::string("\0Za", 3)), "new");
}

TEST(Cache, AsksTheKvOnceForWhatIsNotThere) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  EXPECT_EQ(notes.Find("a"), nullptr);
  notes.Edit("a").text = "x";
  EXPECT_EQ(notes.Find("a")->text, "x");
  EXPECT_EQ(kv.gets, 1);
}

TEST(Cache, WritesNothingForWhatCameAndWentWithinAGeneration) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  Table<NoteA> notes(cache);
  cache.Begin();
  notes.Edit("a").text = "x";
  cache.Commit();
  cache.Begin();
  notes.Erase("a");
  cache.Commit();
  EXPECT_EQ(cache.dirty_bytes(), 0u);
  cache.Freeze();
  KvBatch batch;
  cache.CollectFrozen(batch);
  EXPECT_TRUE(batch.changes.empty());
  cache.Thaw(true);
}

TEST(Cache, AGenerationIsCollectedInTheOrderOfItsKeys) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  std::minstd_rand random(11);
  std::set<std::string> keys;
  for (int i = 0; i < 2'000; ++i) {
    std::string key(random() % 20, '\0');  // many begin alike, and some are the beginning of others
    for (char& c : key) c = static_cast<char>(random() % 3 == 0 ? random() % 256 : 0);
    keys.insert(key);
    Table<NoteA>(cache).Edit(key).text = "a";
    Table<NoteB>(cache).Edit(key).text = "b";
  }
  cache.Freeze();
  KvBatch batch;
  cache.CollectFrozen(batch);
  EXPECT_EQ(batch.changes.size(), 2 * keys.size());
  for (size_t i = 1; i < batch.changes.size(); ++i) EXPECT_LT(batch.changes[i - 1].key, batch.changes[i].key);
  cache.Thaw(true);
}

TEST(Cache, StaysWithinItsLimitAndNeverEvictsWhatIsDirty) {
  Disk disk;
  MapKv kv(disk);
  {
    Cache cache(kv, 64 << 20);
    Table<NoteA> notes(cache);
    for (uint64_t i = 0; i < 5000; ++i) notes.Edit(Key(TenantId(1), i)).text = std::string(100, 'x');
    cache.Freeze();
    WriteFrozen(cache, kv);
  }
  Cache cache(kv, 200'000);
  Table<NoteA> notes(cache);
  notes.Edit("dirty").text = "kept";
  for (uint64_t i = 0; i < 5000; ++i) ASSERT_EQ(notes.Find(Key(TenantId(1), i))->text.size(), 100u);
  EXPECT_LE(cache.bytes(), 202'000u);
  const int gets = kv.gets;
  EXPECT_EQ(notes.Find("dirty")->text, "kept");
  EXPECT_EQ(kv.gets, gets);
}

TEST(Cache, AReadErrorIsKeptAndTheEntryCountsAsAbsent) {
  Disk disk;
  disk.flushed[std::string("\0Za", 3)] = "unreadable";
  MapKv kv(disk);
  {
    Cache cache(kv, 1 << 20);
    EXPECT_EQ(View<NoteA>(cache).Find("a"), nullptr);
    ASSERT_NE(cache.error(), nullptr);
    EXPECT_EQ(cache.error()->code, Code::kCorrupt);
  }
  kv.fail_reads = true;
  Cache cache(kv, 1 << 20);
  EXPECT_EQ(View<NoteA>(cache).Find("b"), nullptr);
  EXPECT_NE(cache.error(), nullptr);
}

// The model: what is committed, and what a reopened Kv would hold.
template <class T>
void CheckScan(Cache& cache, const std::map<std::string, std::string>& model, const std::string& prefix, const std::string& from,
               size_t max) {
  std::vector<std::pair<std::string, std::string>> expected;
  for (const auto& [key, value] : model) {
    if (key.starts_with(prefix) && key >= from && expected.size() < max) expected.emplace_back(key, value);
  }
  std::vector<std::pair<std::string, std::string>> seen;
  if (max > 0) {
    View<T>(cache).Scan(prefix, from, [&](std::string_view key, const T& note) {
      seen.emplace_back(key, note.text);
      return seen.size() < max;
    });
  }
  ASSERT_EQ(seen, expected) << "prefix " << prefix << " from " << from;
}

void RunAgainstModel(uint64_t seed, int steps) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto pick = [&](uint64_t below) { return random() % below; };
  using Model = std::map<std::string, std::string>;
  struct Models {
    Model a, b;
    bool operator==(const Models&) const = default;
  };
  Disk disk;
  Models now, before, frozen, written;  // `before`: at Begin; `frozen`: at Freeze; `written`: what the Kv holds
  const size_t limit = pick(2) == 0 ? 2'000 : 1 << 20;
  auto kv = std::make_unique<MapKv>(disk);
  auto cache = std::make_unique<Cache>(*kv, limit);
  bool open = false;
  const size_t keys = 1 + pick(60);
  for (int step = 0; step < steps; ++step) {
    // Keys of few bytes, so that some are prefixes of others, and 0xFF is among them.
    std::string key(1, static_cast<char>("ab\xFF"[pick(3)]));
    key += std::to_string(pick(keys));
    const bool first = pick(2) == 0;
    Model& model = first ? now.a : now.b;
    const std::string text(pick(30), static_cast<char>('a' + pick(26)));
    switch (pick(14)) {
      case 0:
      case 1:
      case 2: {
        std::string& entry = first ? Table<NoteA>(*cache).Edit(key).text : Table<NoteB>(*cache).Edit(key).text;
        ASSERT_EQ(entry, model.contains(key) ? model[key] : "");
        entry += text;
        model[key] = entry;
        break;
      }
      case 13: {
        std::string& entry = first ? Table<NoteA>(*cache).Replace(key).text : Table<NoteB>(*cache).Replace(key).text;
        ASSERT_EQ(entry, "");
        entry = model[key] = text;
        break;
      }
      case 3:
      case 4:
        first ? Table<NoteA>(*cache).Erase(key) : Table<NoteB>(*cache).Erase(key);
        model.erase(key);
        break;
      case 5:
      case 6: {
        const NoteA* a = first ? View<NoteA>(*cache).Find(key) : nullptr;
        const NoteB* b = first ? nullptr : View<NoteB>(*cache).Find(key);
        ASSERT_EQ(a != nullptr || b != nullptr, model.contains(key));
        if (a != nullptr) {
          ASSERT_EQ(a->text, model[key]);
        }
        if (b != nullptr) {
          ASSERT_EQ(b->text, model[key]);
        }
        break;
      }
      case 7: {
        const std::string prefix = pick(2) == 0 ? "" : key.substr(0, 1 + pick(2));
        const std::string from = pick(3) == 0 ? "" : prefix + std::to_string(pick(keys));
        const size_t max = pick(3) == 0 ? 1 + pick(5) : 1000;
        ASSERT_NO_FATAL_FAILURE(first ? CheckScan<NoteA>(*cache, model, prefix, from, max)
                                      : CheckScan<NoteB>(*cache, model, prefix, from, max));
        break;
      }
      case 8:
        if (open && pick(2) == 0) {
          cache->Undo();
          now = before;
          open = false;
          break;
        }
        [[fallthrough]];
      case 9:
        if (open) {
          cache->Commit();
        } else {
          cache->Begin();
          before = now;
        }
        open = !open;
        break;
      case 10:
        if (open) break;
        if (!cache->has_frozen()) {
          cache->Freeze();
          frozen = now;
        } else {
          kv->fail_writes = pick(4) == 0;
          KvBatch batch;
          cache->CollectFrozen(batch);
          const bool there = kv->Write(batch).has_value();
          cache->Thaw(there && pick(4) != 0);  // or it is not known, as its flush failed
          if (there) written = frozen;
          kv->fail_writes = false;
        }
        break;
      case 12: {
        if (open) break;
        Wanted wanted;
        for (uint64_t left = pick(10); left > 0; --left) {
          const std::string other = "ab\xFF"[pick(3)] + std::to_string(pick(keys));
          pick(2) == 0 ? wanted.Add(OpsOf<NoteA>(), other) : wanted.Add(OpsOf<NoteB>(), other);
        }
        cache->Bring(wanted);
        break;
      }
      case 11:
        if (pick(20) == 0) {  // crash: what the Kv holds is what comes back
          kv->Flush().value();
          cache.reset();
          kv = std::make_unique<MapKv>(disk);
          cache = std::make_unique<Cache>(*kv, limit);
          now = written;
          open = false;
        } else if (pick(10) == 0) {
          // The digest is that of a cache which read everything from a Kv that holds `now`.
          Disk other_disk;
          for (const auto& [k, v] : now.a) other_disk.flushed[std::string("\0Z", 2) + k] = v;
          for (const auto& [k, v] : now.b) other_disk.flushed[std::string("\0[", 2) + k] = v;
          MapKv other_kv(other_disk);
          Cache other(other_kv, limit);
          ASSERT_EQ(*cache->Digest(), *other.Digest());
        }
        break;
    }
    ASSERT_EQ(cache->error(), nullptr);
    ASSERT_LE(cache->dirty_bytes() + cache->frozen_bytes(), cache->bytes());
  }
}

TEST(Cache, EqualsAMapUnderRandomUse) {
  const uint64_t base = std::random_device{}();
  std::printf("seeds from %llu\n", static_cast<unsigned long long>(base));
  for (uint64_t i = 0; i < 300; ++i) ASSERT_NO_FATAL_FAILURE(RunAgainstModel(base + i, 1500));
}

TEST(Cache, SumsReturnToZeroWhenAllIsErasedAndWritten) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 0);  // keeps nothing that is clean
  Table<NoteA> notes(cache);
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    cache.Begin();
    const std::string key = std::to_string(random() % 50);
    random() % 3 == 0 ? notes.Erase(key) : void(notes.Edit(key).text += "more");
    random() % 4 == 0 ? cache.Undo() : cache.Commit();
    if (i % 37 == 0) {
      if (cache.has_frozen()) {
        WriteFrozen(cache, kv);
      } else {
        cache.Freeze();
      }
    }
  }
  if (cache.has_frozen()) WriteFrozen(cache, kv);
  cache.Freeze();
  WriteFrozen(cache, kv);
  cache.Begin();
  cache.Commit();
  cache.Begin();
  cache.Commit();
  EXPECT_EQ(cache.dirty_bytes(), 0u);
  EXPECT_EQ(cache.frozen_bytes(), 0u);
  EXPECT_EQ(cache.bytes(), 0u);
}

// Not a bound, only a figure: run with --gtest_also_run_disabled_tests in a release build.
TEST(Cache, DISABLED_Speed) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 30);
  Table<NoteA> notes(cache);
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < 64'000; ++i) keys.push_back(Key(TenantId(1), i));
  for (const std::string& key : keys) notes.Edit(key).text = "some text";
  std::mt19937_64 random(1);
  std::shuffle(keys.begin(), keys.end(), random);
  const auto measure = [&](const char* what, auto body) {
    const auto start = std::chrono::steady_clock::now();
    for (int round = 0; round < 10; ++round) {
      for (const std::string& key : keys) body(key);
    }
    const auto ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    std::printf("%-28s %6.1f ns\n", what, static_cast<double>(ns) / (10.0 * static_cast<double>(keys.size())));
  };
  size_t found = 0;
  measure("find, hit", [&](const std::string& key) { found += notes.Find(key)->text.size(); });
  measure("begin, edit dirty, commit", [&](const std::string& key) {
    cache.Begin();
    notes.Edit(key).text[0] = 'x';
    cache.Commit();
  });
  measure("begin, edit dirty, undo", [&](const std::string& key) {
    cache.Begin();
    notes.Edit(key).text[0] = 'x';
    cache.Undo();
  });
  EXPECT_GT(found, 0u);
}

TEST(GoldenBytes, Timer) {
  const std::string key = TimerKey(Instant{1'700'000'000'000'000}, TenantId(300), 513, "subject");
  std::string hex;
  for (const char c : key) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  EXPECT_EQ(hex, "00060a24181e40000000012c02017375626a656374");
  EXPECT_EQ(ParseTimerKey(key).value(), (Timer{Instant{1'700'000'000'000'000}, TenantId(300), 513, "subject"}));
  EXPECT_EQ(ParseTimerKey(std::string_view(key).substr(0, 13)).error().code, Code::kCorrupt);
  EXPECT_EQ(TypeNumberOf<TimerEntry>(), 10);
}

TEST(Timers, AreDueInOrderAndStayUntilDisarmed) {
  Disk disk;
  MapKv kv(disk);
  Cache cache(kv, 1 << 20);
  Timers timers(cache);
  EXPECT_EQ(timers.Next(), std::nullopt);
  timers.Arm(Instant{300}, TenantId(1), 2, "c");
  timers.Arm(Instant{100}, TenantId(2), 1, "a");
  timers.Arm(Instant{100}, TenantId(1), 1, "b");
  timers.Arm(Instant{100}, TenantId(1), 1, "b");
  EXPECT_EQ(timers.Next(), Instant{100});
  EXPECT_TRUE(timers.Due(Instant{99}, 10).empty());
  const std::vector<Timer> due = timers.Due(Instant{200}, 10);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0], (Timer{Instant{100}, TenantId(1), 1, "b"}));
  EXPECT_EQ(due[1], (Timer{Instant{100}, TenantId(2), 1, "a"}));
  EXPECT_EQ(timers.Due(Instant{200}, 1).size(), 1u);
  timers.Disarm(Instant{100}, TenantId(1), 1, "b");
  timers.Disarm(Instant{100}, TenantId(2), 1, "a");
  EXPECT_EQ(timers.Next(), Instant{300});
  timers.Disarm(Instant{300}, TenantId(1), 2, "c");
  EXPECT_EQ(timers.Next(), std::nullopt);
}

TEST(Timers, EqualAModelUnderUndoAndReopening) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  Disk disk;
  MapKv kv(disk);
  auto cache = std::make_unique<Cache>(kv, 4'000);
  auto timers = std::make_unique<Timers>(*cache);
  std::map<std::string, Timer> model;
  for (int step = 0; step < 4000; ++step) {
    const auto before = model;
    cache->Begin();
    for (uint64_t edits = random() % 4; edits > 0; --edits) {
      const Timer timer{Instant{static_cast<int64_t>(random() % 200)}, TenantId(1), static_cast<uint16_t>(random() % 3),
                        std::to_string(random() % 5)};
      const std::string key = TimerKey(timer.due, timer.tenant, timer.step, timer.subject);
      if (random() % 2 == 0) {
        timers->Arm(timer.due, timer.tenant, timer.step, timer.subject);
        model[key] = timer;
      } else {
        timers->Disarm(timer.due, timer.tenant, timer.step, timer.subject);
        model.erase(key);
      }
      if (random() % 3 == 0) timers->Next();
    }
    if (random() % 3 == 0) {
      cache->Undo();
      model = before;
    } else {
      cache->Commit();
    }
    ASSERT_EQ(timers->Next(), model.empty() ? std::nullopt : std::optional(model.begin()->second.due));
    const Instant now{static_cast<int64_t>(random() % 200)};
    std::vector<Timer> expected;
    for (const auto& [key, timer] : model) {
      if (timer.due <= now && expected.size() < 5) expected.push_back(timer);
    }
    ASSERT_EQ(timers->Due(now, 5), expected);
    if (step % 50 == 0) {
      cache->Freeze();
      WriteFrozen(*cache, kv);
      timers.reset();
      cache = std::make_unique<Cache>(kv, 4'000);
      timers = std::make_unique<Timers>(*cache);
    }
  }
}

}  // namespace
}  // namespace maily::state
