// What a keyring keeps over every store of keys, as one suite that each store's own test instantiates with a harness:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, KeyringContract, RocksKeyringHarness);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "streams/keyring/keyring.h"

namespace maily::contract {

// A store under test. Default-constructible, and then empty.
class KeyringHarness {
 public:
  virtual ~KeyringHarness() = default;
  // Empty: it can run here. Else why not; the test skips.
  virtual std::string Missing() const { return {}; }
  // The store's keyring as one process has it. Called again while another is open only where kShared.
  virtual Result<std::unique_ptr<keyring::Keyring>> Open(const keyring::Key& root, size_t cache_bytes_max) = 0;
  // The time goes by in which every process notices what another destroyed.
  virtual void LetNotice() {}
};

class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(uint64_t seed) : random_(seed) {}
  void Fill(std::span<uint8_t> out) override {
    const std::scoped_lock lock(mutex_);
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(random_());
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;
};

inline keyring::Key KeyringRoot() { return keyring::Key::From("0123456789abcdef0123456789abcdef"); }

template <class Harness>
class KeyringContract : public testing::Test {
 protected:
  static constexpr TenantId kTenant = TenantId(7);
  static constexpr size_t kEdges = 2;

  void SetUp() override {
    if (const std::string why = harness_.Missing(); !why.empty()) GTEST_SKIP() << why;
    OpenEdges();
  }
  // Two processes, or the same one twice.
  void OpenEdges(size_t cache_bytes_max = 1 << 20) {
    edges_.clear();
    for (size_t e = 0; e < kEdges; ++e) {
      if (e > 0 && !Harness::kShared) {
        edges_.push_back(edges_[0]);
        continue;
      }
      auto opened = harness_.Open(KeyringRoot(), cache_bytes_max);
      MAILY_CHECK(opened, "{}", opened.error().ToString());
      edges_.push_back(*std::move(opened));
    }
  }
  keyring::Keyring& edge(size_t e) { return *edges_[e]; }
  // Runs `body(thread, edge)` on some threads of each edge at once.
  template <class Body>
  void AtOnce(size_t threads_an_edge, Body body) {
    std::vector<std::thread> threads;
    std::atomic<size_t> waiting = threads_an_edge * kEdges;
    for (size_t t = 0; t < threads_an_edge * kEdges; ++t) {
      threads.emplace_back([&, t] {
        --waiting;
        while (waiting > 0) std::this_thread::yield();
        body(t, edge(t % kEdges));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  Harness harness_;
  std::vector<std::shared_ptr<keyring::Keyring>> edges_;
};

TYPED_TEST_SUITE_P(KeyringContract);

TYPED_TEST_P(KeyringContract, TenantKeysAreMadeOnce) {
  EXPECT_EQ(this->edge(0).FindTenant(TenantId(1)).error().code, Code::kNotFound);
  EXPECT_EQ(this->edge(0).FindTenant(TenantId(1)).error().code, Code::kNotFound) << "asking makes none";
  constexpr uint32_t kTenants = 20;
  std::vector<std::vector<std::string>> seen(6);
  this->AtOnce(3, [&](size_t t, keyring::Keyring& ring) {
    for (uint32_t n = 1; n <= kTenants; ++n) {
      const auto keys = ring.Tenant(TenantId(n));
      ASSERT_TRUE(keys) << keys.error().ToString();
      seen[t].push_back(std::string((*keys)->identity.view()) + std::string((*keys)->request.view()));
    }
  });
  for (const auto& of_thread : seen) EXPECT_EQ(of_thread, seen[0]);
  EXPECT_EQ(std::set<std::string>(seen[0].begin(), seen[0].end()).size(), kTenants);
  this->OpenEdges();
  EXPECT_EQ(std::string(this->edge(0).FindTenant(TenantId(3)).value()->identity.view()), seen[0][2].substr(0, keyring::kKeyBytes));
}

TYPED_TEST_P(KeyringContract, EdgesAtOnceGetTheSameKeys) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  constexpr size_t kThreads = 4;  // an edge
  constexpr size_t kSubjects = 600;
  std::vector<std::string> names;
  for (size_t i = 0; i < kSubjects; ++i) names.push_back(fmt::format("subject {}", i));
  std::vector<std::vector<keyring::SubjectKey>> seen(kThreads * this->kEdges, std::vector<keyring::SubjectKey>(kSubjects));
  this->AtOnce(kThreads, [&](size_t t, keyring::Keyring& ring) {
    // Each in an order of its own, so that batches overlap in part, and one subject stands twice.
    std::mt19937_64 random(seed + t);
    std::vector<size_t> order(kSubjects);
    for (size_t i = 0; i < kSubjects; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (size_t from = 0; from < kSubjects;) {
      const size_t to = std::min(kSubjects, from + 1 + random() % 60);
      std::vector<std::string_view> batch;
      for (size_t i = from; i < to; ++i) batch.push_back(names[order[i]]);
      batch.push_back(batch[0]);
      const auto keys = ring.GetOrCreate(this->kTenant, batch);
      ASSERT_TRUE(keys) << keys.error().ToString();
      EXPECT_EQ(keys->front().key, keys->back().key);
      for (size_t i = from; i < to; ++i) seen[t][order[i]] = (*keys)[i - from];
      from = to;
    }
  });
  std::set<keyring::KeyId> ids;
  for (size_t i = 0; i < kSubjects; ++i) {
    ids.insert(seen[0][i].key_id);
    for (const auto& of_thread : seen) {
      EXPECT_EQ(of_thread[i].key_id, seen[0][i].key_id) << names[i];
      EXPECT_EQ(of_thread[i].key, seen[0][i].key) << names[i];
    }
    for (size_t e = 0; e < this->kEdges; ++e) {
      const auto found = this->edge(e).Find(this->kTenant, seen[0][i].key_id);
      ASSERT_TRUE(found) << found.error().ToString();
      EXPECT_EQ(found->key, seen[0][i].key);
    }
  }
  EXPECT_EQ(ids.size(), kSubjects);
}

TYPED_TEST_P(KeyringContract, KeysComeBack) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  std::vector<std::string> names = {"", std::string(1, '\0'), std::string(3, '\0'), every_byte};
  for (size_t i = 0; i < 200; ++i) names.push_back(fmt::format("subject {}", i));
  const std::vector<std::string_view> subjects(names.begin(), names.end());
  const auto made = this->edge(0).GetOrCreate(this->kTenant, subjects).value();
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(made[i].key, made[j].key);
  }
  this->OpenEdges(2000);  // a cache of a few entries
  const auto again = this->edge(1).GetOrCreate(this->kTenant, subjects).value();
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(again[i].key_id, made[i].key_id);
    EXPECT_EQ(again[i].key, made[i].key);
    EXPECT_EQ(this->edge(0).Find(this->kTenant, made[i].key_id).value().key, made[i].key);
  }
  EXPECT_EQ(this->edge(0).Find(TenantId(8), made[0].key_id).error().code, Code::kNotFound) << "of another tenant";
  EXPECT_NE(this->edge(0).GetOrCreate(TenantId(8), names[5]).value().key, made[5].key);
  EXPECT_NE(this->edge(0).GetOrCreate(this->kTenant, "new").value().key_id, made[0].key_id);
}

TYPED_TEST_P(KeyringContract, ADestroyedKeyIsGoneEverywhere) {
  const auto old = this->edge(0).GetOrCreate(this->kTenant, "ann").value();
  const auto bob = this->edge(0).GetOrCreate(this->kTenant, "bob").value();
  ASSERT_EQ(this->edge(1).GetOrCreate(this->kTenant, "ann").value().key, old.key);
  ASSERT_TRUE(this->edge(1).Find(this->kTenant, old.key_id));
  EXPECT_EQ(this->edge(0).Destroy(this->kTenant, "ann").value(), 1U);
  EXPECT_EQ(this->edge(0).Find(this->kTenant, old.key_id).error().code, Code::kNotFound);
  EXPECT_EQ(this->edge(0).Destroy(this->kTenant, "ann").value(), 0U);
  this->harness_.LetNotice();
  EXPECT_EQ(this->edge(1).Find(this->kTenant, old.key_id).error().code, Code::kNotFound);
  const auto next = this->edge(1).GetOrCreate(this->kTenant, "ann").value();
  EXPECT_NE(next.key, old.key) << "sealed with what is destroyed";
  EXPECT_EQ(this->edge(0).GetOrCreate(this->kTenant, "ann").value().key, next.key);
  EXPECT_EQ(this->edge(1).Find(this->kTenant, bob.key_id).value().key, bob.key);
  this->OpenEdges();
  EXPECT_EQ(this->edge(0).Find(this->kTenant, old.key_id).error().code, Code::kNotFound);
  EXPECT_EQ(this->edge(0).Destroy(this->kTenant, "bob").value(), 1U);
}

TYPED_TEST_P(KeyringContract, WhatIsDestroyedWhileItIsUsedStaysGone) {
  constexpr int kRounds = 150;
  constexpr size_t kSubjects = 3;
  const std::string names[kSubjects] = {"ann", "bob", "cid"};
  std::vector<std::set<keyring::KeyId>> seen(4);
  this->AtOnce(2, [&](size_t t, keyring::Keyring& ring) {
    std::mt19937_64 random(t);
    for (int round = 0; round < kRounds; ++round) {
      const std::string& name = names[random() % kSubjects];
      if (random() % 4 == 0) {
        ASSERT_TRUE(ring.Destroy(this->kTenant, name));
        continue;
      }
      const auto key = ring.GetOrCreate(this->kTenant, name);
      ASSERT_TRUE(key) << key.error().ToString();
      seen[t].insert(key->key_id);
      const auto found = ring.Find(this->kTenant, key->key_id);
      EXPECT_TRUE(found ? found->key == key->key : found.error().code == Code::kNotFound);
      this->harness_.LetNotice();
    }
  });
  this->harness_.LetNotice();
  std::set<keyring::KeyId> alive;
  for (const std::string& name : names) {
    const auto key = this->edge(0).GetOrCreate(this->kTenant, name).value();
    EXPECT_EQ(this->edge(1).GetOrCreate(this->kTenant, name).value().key, key.key);
    alive.insert(key.key_id);
  }
  for (const auto& of_thread : seen) {
    for (const keyring::KeyId& id : of_thread) {
      if (alive.contains(id)) continue;
      for (size_t e = 0; e < this->kEdges; ++e) EXPECT_EQ(this->edge(e).Find(this->kTenant, id).error().code, Code::kNotFound);
    }
  }
}

TYPED_TEST_P(KeyringContract, AnotherRootKeyIsRefused) {
  this->edges_.clear();
  EXPECT_EQ(this->harness_.Open(keyring::Key(), 1 << 20).error().code, Code::kFatal);
  EXPECT_TRUE(this->harness_.Open(KeyringRoot(), 1 << 20));
}

TYPED_TEST_P(KeyringContract, MovedKeysGoWithTheirNewSubjectAndTheOldOneGetsOthers) {
  const auto old = this->edge(0).GetOrCreate(this->kTenant, "old").value();
  ASSERT_EQ(this->edge(1).GetOrCreate(this->kTenant, "old").value().key, old.key);
  const auto own = this->edge(0).GetOrCreate(this->kTenant, "new").value();
  EXPECT_EQ(this->edge(0).Move(this->kTenant, "old", "old").error().code, Code::kInvalid);
  ASSERT_TRUE(this->edge(0).Move(this->kTenant, "old", "new"));
  ASSERT_TRUE(this->edge(0).Move(this->kTenant, "old", "new")) << "again";
  this->harness_.LetNotice();
  const auto next = this->edge(1).GetOrCreate(this->kTenant, "old").value();
  EXPECT_NE(next.key, old.key) << "somebody else's";
  EXPECT_EQ(this->edge(1).Find(this->kTenant, old.key_id).value().key, old.key) << "what it sealed is opened";
  EXPECT_EQ(this->edge(1).GetOrCreate(this->kTenant, "new").value().key, own.key);
  // On to a third, which has none of its own.
  ASSERT_TRUE(this->edge(1).Move(this->kTenant, "new", "last"));
  this->harness_.LetNotice();
  ASSERT_TRUE(this->edge(0).GetOrCreate(this->kTenant, "last"));
  this->OpenEdges();
  EXPECT_GE(this->edge(0).Destroy(this->kTenant, "last").value(), 2U);
  this->harness_.LetNotice();
  for (const auto& gone : {old, own}) EXPECT_EQ(this->edge(1).Find(this->kTenant, gone.key_id).error().code, Code::kNotFound);
  EXPECT_EQ(this->edge(1).Find(this->kTenant, next.key_id).value().key, next.key) << "of whoever has the old name by now";
}

REGISTER_TYPED_TEST_SUITE_P(KeyringContract, TenantKeysAreMadeOnce, EdgesAtOnceGetTheSameKeys, KeysComeBack, ADestroyedKeyIsGoneEverywhere,
                            MovedKeysGoWithTheirNewSubjectAndTheOldOneGetsOthers, WhatIsDestroyedWhileItIsUsedStaysGone,
                            AnotherRootKeyIsRefused);

}  // namespace maily::contract
