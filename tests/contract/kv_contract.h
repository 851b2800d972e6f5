// What every adapter of the key-value port keeps, as one suite that each adapter's own test instantiates with a harness:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, KvContract, RocksKvHarness);
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "streams/port/kv.h"

namespace maily::contract {

// An adapter under test. Default-constructible, and then holds no store.
class KvHarness {
 public:
  virtual ~KvHarness() = default;
  virtual KvStores& stores() = 0;
  // The machine loses power and comes back. Handles that are still open are dead: destroy them before, or after without using them.
  virtual void Crash() = 0;
};

template <class Harness>
class KvContract : public testing::Test {
 public:
  using Content = std::map<std::string, std::string>;

  std::unique_ptr<Kv> Open(KvDurability durability, const std::string& name = "store") {
    auto store = harness_.stores().Open(name, durability);
    MAILY_CHECK(store, "{}", store.error().ToString());
    return *std::move(store);
  }
  static Content ReadAll(Kv& store, std::string_view from = "", std::string_view to = "") {
    Content content;
    std::string last;
    const auto scanned = store.Scan(from, to, [&](std::string_view key, std::string_view value) {
      EXPECT_TRUE(content.empty() || std::string_view(last) < key);
      content[std::string(key)] = value;
      last = key;
      return true;
    });
    EXPECT_TRUE(scanned) << scanned.error().ToString();
    return content;
  }
  static void Put(Kv& store, const std::string& key, const std::string& value) {
    KvBatch batch;
    batch.Put(key, value);
    ASSERT_TRUE(store.Write(batch));
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(KvContract);

TYPED_TEST_P(KvContract, WhatWasWrittenIsRead) {
  auto store = this->Open(KvDurability::kOnFlush);
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  this->Put(*store, bytes, "value of all bytes");
  this->Put(*store, "empty", "");
  this->Put(*store, "large", std::string(3'000'000, 'x'));
  EXPECT_EQ(**store->Get(bytes), "value of all bytes");
  EXPECT_EQ(**store->Get("empty"), "");
  EXPECT_EQ((**store->Get("large")).size(), 3'000'000u);
  EXPECT_EQ(*store->Get("absent"), std::nullopt);
  this->Put(*store, "empty", "no more");
  EXPECT_EQ(**store->Get("empty"), "no more");
}

TYPED_TEST_P(KvContract, ManyAreReadAsEachOfThem) {
  auto store = this->Open(KvDurability::kOnFlush);
  KvBatch batch;
  for (int i = 0; i < 500; i += 2) batch.Put(fmt::format("key{:03}", i), std::to_string(i));
  batch.Put("key498", "");
  ASSERT_TRUE(store->Write(batch));
  ASSERT_TRUE(store->Flush());
  KvBatch later;
  later.Delete("key100");
  later.Put("key101", "later");
  ASSERT_TRUE(store->Write(later));
  for (const size_t count : {0, 1, 64, 65, 500}) {
    std::vector<std::string> keys;
    for (size_t i = 0; i < count; ++i) keys.push_back(fmt::format("key{:03}", i));
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    size_t next = 0;
    ASSERT_TRUE(store->GetMany(views, [&](size_t index, std::optional<std::string_view> value) {
      EXPECT_EQ(index, next++);
      const auto alone = store->Get(keys[index]);
      ASSERT_TRUE(alone);
      EXPECT_EQ(value ? std::optional<std::string>(*value) : std::nullopt, *alone) << keys[index];
    }));
    EXPECT_EQ(next, count);
  }
}

TYPED_TEST_P(KvContract, ABatchPutsAndDeletesInItsOrder) {
  auto store = this->Open(KvDurability::kOnFlush);
  this->Put(*store, "a", "1");
  KvBatch batch;
  batch.Delete("a");
  batch.Put("b", "2");
  batch.Put("c", "3");
  batch.Delete("c");
  batch.Delete("never there");
  ASSERT_TRUE(store->Write(batch));
  EXPECT_EQ(this->ReadAll(*store), (std::map<std::string, std::string>{{"b", "2"}}));
  ASSERT_TRUE(store->Write(KvBatch()));
}

TYPED_TEST_P(KvContract, AScanIsOrderedByUnsignedBytesAndBounded) {
  auto store = this->Open(KvDurability::kOnFlush);
  for (const char* key : {"b", "a", "\xFF", "ab", "\x7F", "c"}) this->Put(*store, key, key);
  const auto keys = [&](std::string_view from, std::string_view to) {
    std::vector<std::string> all;
    EXPECT_TRUE(store->Scan(from, to, [&](std::string_view key, std::string_view) { return all.emplace_back(key), true; }));
    return all;
  };
  EXPECT_EQ(keys("", ""), (std::vector<std::string>{"a", "ab", "b", "c", "\x7F", "\xFF"}));
  EXPECT_EQ(keys("ab", "c"), (std::vector<std::string>{"ab", "b"}));
  EXPECT_EQ(keys("aa", ""), (std::vector<std::string>{"ab", "b", "c", "\x7F", "\xFF"}));
  EXPECT_TRUE(keys("d", "e").empty());
  int seen = 0;
  ASSERT_TRUE(store->Scan("", "", [&](std::string_view, std::string_view) { return ++seen < 2; }));
  EXPECT_EQ(seen, 2) << "until visit says no";
}

TYPED_TEST_P(KvContract, StoresAreApartAndOpenOnce) {
  auto one = this->Open(KvDurability::kOnFlush, "one");
  auto two = this->Open(KvDurability::kOnFlush, "two");
  this->Put(*one, "key", "1");
  EXPECT_EQ(*two->Get("key"), std::nullopt);
  const auto again = this->harness_.stores().Open("one", KvDurability::kOnFlush);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kConflict);
}

TYPED_TEST_P(KvContract, ADestroyedStoreIsEmptyWhenOpenedAgain) {
  ASSERT_TRUE(this->harness_.stores().Destroy("store")) << "there is none";
  auto store = this->Open(KvDurability::kOnWrite);
  this->Put(*store, "key", "1");
  EXPECT_FALSE(this->harness_.stores().Destroy("store")) << "it is open";
  store.reset();
  ASSERT_TRUE(this->harness_.stores().Destroy("store"));
  store = this->Open(KvDurability::kOnWrite);
  EXPECT_TRUE(this->ReadAll(*store).empty());
}

TYPED_TEST_P(KvContract, WhatWasFlushedSurvivesACrash) {
  auto store = this->Open(KvDurability::kOnFlush);
  for (int i = 0; i < 100; ++i) this->Put(*store, std::to_string(i), "value");
  ASSERT_TRUE(store->Flush());
  const auto before = this->ReadAll(*store);
  this->harness_.Crash();
  store.reset();
  store = this->Open(KvDurability::kOnFlush);
  EXPECT_EQ(this->ReadAll(*store), before);
}

TYPED_TEST_P(KvContract, ASyncedWriteSurvivesACrash) {
  for (int i = 0; i < 5; ++i) {
    auto store = this->Open(KvDurability::kOnWrite);
    EXPECT_EQ(this->ReadAll(*store).size(), static_cast<size_t>(i));
    this->Put(*store, std::to_string(i), "value");
    this->harness_.Crash();
    store.reset();
  }
}

// Every batch replaces the same keys by its number: what is left must be one batch, whole, not older than the last flush.
TYPED_TEST_P(KvContract, ACrashForgetsWholeBatchesFromTheEnd) {
  std::minstd_rand random(3);
  int number = 0;
  int flushed = 0;
  for (int round = 0; round < 5; ++round) {
    SCOPED_TRACE(round);
    auto store = this->Open(KvDurability::kOnFlush);
    const int writes = static_cast<int>(random() % 20);
    for (int i = 0; i < writes; ++i) {
      KvBatch batch;
      ++number;
      for (int key = 0; key < 10; ++key) batch.Put(std::to_string(key), std::to_string(number));
      ASSERT_TRUE(store->Write(batch));
      if (random() % 8 == 0) {
        ASSERT_TRUE(store->Flush());
        flushed = number;
      }
    }
    this->harness_.Crash();
    store.reset();
    store = this->Open(KvDurability::kOnFlush);
    const auto left = this->ReadAll(*store);
    if (left.empty()) {
      EXPECT_EQ(flushed, 0);
      continue;
    }
    ASSERT_EQ(left.size(), 10u);
    for (const auto& [key, value] : left) ASSERT_EQ(value, left.begin()->second);
    EXPECT_GE(std::stoi(left.begin()->second), flushed);
    EXPECT_LE(std::stoi(left.begin()->second), number);
    number = flushed = std::stoi(left.begin()->second);
    ASSERT_TRUE(store->Flush());
  }
}

TYPED_TEST_P(KvContract, AViewShowsOneMomentWhileTheStoreGoesOn) {
  auto store = this->Open(KvDurability::kOnFlush);
  KvBatch batch;
  for (int i = 0; i < 20'000; ++i) batch.Put(std::to_string(100'000 + i), "before");
  ASSERT_TRUE(store->Write(batch));
  this->Put(*store, "unflushed", "too");
  const auto before = this->ReadAll(*store);
  auto view = store->View().value();
  typename TestFixture::Content seen;
  size_t left = 1'000;
  const auto visit = [&](std::string_view key, std::string_view value) {
    seen.emplace(key, value);
    return --left > 0;
  };
  EXPECT_TRUE(view->Next(visit).value());
  EXPECT_EQ(seen.size(), 1'000u);
  for (KvBatch::Change& change : batch.changes) change.value = "after";
  batch.changes[5'000].value.reset();
  ASSERT_TRUE(store->Write(batch));
  ASSERT_TRUE(store->Flush());
  this->Put(*store, "150000", "later");
  for (bool more = true; more;) {
    left = 700;
    more = view->Next(visit).value();
  }
  EXPECT_EQ(seen, before);
  EXPECT_FALSE(view->Next(visit).value()) << "it stays at its end";
}

TYPED_TEST_P(KvContract, AViewEndsWhenItsStoreIsClosed) {
  auto store = this->Open(KvDurability::kOnFlush);
  for (const char* key : {"a", "b", "c"}) this->Put(*store, key, key);
  auto view = store->View().value();
  const auto one = [](std::string_view, std::string_view) { return false; };
  ASSERT_TRUE(view->Next(one).value());
  store.reset();
  EXPECT_EQ(view->Next(one).error().code, Code::kConflict);
  store = this->Open(KvDurability::kOnFlush);
  EXPECT_EQ(view->Next(one).error().code, Code::kConflict);
  view.reset();
  this->Put(*store, "d", "d");
}

REGISTER_TYPED_TEST_SUITE_P(KvContract, WhatWasWrittenIsRead, ManyAreReadAsEachOfThem, ABatchPutsAndDeletesInItsOrder,
                            AScanIsOrderedByUnsignedBytesAndBounded, StoresAreApartAndOpenOnce, ADestroyedStoreIsEmptyWhenOpenedAgain,
                            WhatWasFlushedSurvivesACrash, ASyncedWriteSurvivesACrash, ACrashForgetsWholeBatchesFromTheEnd,
                            AViewShowsOneMomentWhileTheStoreGoesOn, AViewEndsWhenItsStoreIsClosed);

}  // namespace maily::contract
