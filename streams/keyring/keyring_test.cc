// Ciphers against published vectors; keys that are durable, shared by all callers, and gone when destroyed.
#include "streams/keyring/keyring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "streams/keyring/cipher.h"
#include "streams/keyring/opened.h"
#include "streams/keyring/root_key.h"
#include "tests/hex.h"

namespace maily::keyring {
namespace {

using test::Hex;
using test::Unhex;

class TestEntropy : public Entropy {
 public:
  void Fill(std::span<uint8_t> out) override {
    const std::scoped_lock lock(mutex_);
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(random_());
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 random_{42};
};

using Disk = std::map<std::string, std::string>;

class TestKv : public Kv {
 public:
  explicit TestKv(Disk& disk) : disk_(disk) {}
  Result<std::optional<std::string>> Get(std::string_view key) override {
    const std::scoped_lock lock(mutex_);
    const auto found = disk_.find(std::string(key));
    if (found == disk_.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }
  Result<void> Scan(std::string_view, std::string_view, const std::function<bool(std::string_view, std::string_view)>&) override {
    return Ok();
  }
  Result<std::unique_ptr<KvView>> View() override { return Fail(Code::kInvalid, "a keyring is not viewed"); }
  Result<void> Write(const KvBatch& batch) override {
    const std::scoped_lock lock(mutex_);
    if (full) return Fail(Code::kRetry, "disk full");
    ++writes;
    for (const auto& change : batch.changes) {
      if (change.value) {
        disk_[std::string(change.key)] = *change.value;
      } else {
        disk_.erase(std::string(change.key));
      }
    }
    return Ok();
  }
  Result<void> Flush() override { return Ok(); }
  uint64_t SizeOnDisk() override { return 0; }

  int writes = 0;
  bool full = false;

 private:
  std::mutex mutex_;
  Disk& disk_;
};

Key Root() { return Key::From("0123456789abcdef0123456789abcdef"); }

struct Fixture {
  explicit Fixture(Disk& disk, size_t cache_bytes_max = 1 << 20) {
    auto owned = std::make_unique<TestKv>(disk);
    kv = owned.get();
    ring = Keyring::Open(std::move(owned), Root(), entropy, {.cache_bytes_max = cache_bytes_max}).value();
  }
  TestEntropy entropy;
  TestKv* kv = nullptr;
  std::unique_ptr<Keyring> ring;
};

TEST(Cipher, Sha256OfFips180) {
  EXPECT_EQ(Hex(View(Sha256("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(View(Sha256(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 4231 §4.2 has a key of 20 bytes; the same key padded with zeros to 32 gives the same MAC (RFC 2104 §2).
TEST(Cipher, HmacSha256OfRfc4231) {
  const Key key = Key::From(std::string(20, '\x0b') + std::string(12, '\0'));
  EXPECT_EQ(Hex(View(HmacSha256(key, {"Hi There"}))), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(View(HmacSha256(key, {"Hi ", "", "There"}))), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256(key, {"Hi There"}, 10)), "b0344c61d8db38535ca8");
}

// McGrew and Viega, The Galois/Counter Mode of Operation, test cases 13, 14 and 16.
TEST(Cipher, Aes256GcmOfItsSpecification) {
  const std::string zero_nonce(12, '\0');
  std::string out;
  SealTo(out, Key(), zero_nonce, "", "");
  EXPECT_EQ(Hex(out), "530f8afbc74536b9a963b4f1c4cb738b");
  out.clear();
  SealTo(out, Key(), zero_nonce, std::string(16, '\0'), "");
  EXPECT_EQ(Hex(out), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  const Key key = Key::From(Unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  const std::string nonce = Unhex("cafebabefacedbaddecaf888");
  const std::string plain =
      Unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const std::string associated = Unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  out.clear();
  SealTo(out, key, nonce, plain, associated);
  EXPECT_EQ(Hex(out),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b");
  EXPECT_EQ(*Unseal(key, nonce, out, associated), plain);
}

TEST(Cipher, EveryFlippedBitIsNoticed) {
  const std::string nonce(12, 'n');
  std::string sealed;
  SealTo(sealed, Root(), nonce, "secret", "field");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string changed = sealed;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(Unseal(Root(), nonce, changed, "field").error().code, Code::kInvalid);
  }
  EXPECT_FALSE(Unseal(Root(), nonce, sealed, "fielD"));
  EXPECT_FALSE(Unseal(Root(), std::string(12, 'm'), sealed, "field"));
  EXPECT_FALSE(Unseal(Root(), nonce, "short", "field"));
  EXPECT_EQ(*Unseal(Root(), nonce, sealed, "field"), "secret");
}

TEST(Cipher, ConstantTimeEqual) {
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "ab"));
}

TEST(Keyring, TenantKeysAreMadeOnceAndComeBack) {
  Disk disk;
  std::string identity;
  {
    Fixture f(disk);
    EXPECT_EQ(f.ring->FindTenant(TenantId(1)).error().code, Code::kNotFound);
    const TenantKeys* keys = f.ring->Tenant(TenantId(1)).value();
    identity = keys->identity.view();
    EXPECT_EQ(f.ring->Tenant(TenantId(1)).value(), keys);
    std::set<std::string_view> distinct{keys->identity.view(), keys->wrap.view(), keys->token.view(), keys->digest.view(),
                                        keys->request.view()};
    EXPECT_EQ(distinct.size(), 5u);
    EXPECT_NE(f.ring->Tenant(TenantId(2)).value()->identity.view(), identity);
  }
  Fixture f(disk);
  EXPECT_EQ(f.ring->FindTenant(TenantId(1)).value()->identity.view(), identity);
  for (const auto& [key, value] : disk) EXPECT_EQ(value.find(identity), std::string::npos) << "a tenant key lies open on disk";
}

TEST(Keyring, ABatchCostsOneWriteAndKeysComeBack) {
  Disk disk;
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(fmt::format("subject {}", i));
  std::vector<std::string_view> subjects(names.begin(), names.end());
  subjects.push_back(subjects[5]);  // twice in one batch
  std::vector<SubjectKey> keys;
  {
    Fixture f(disk);
    f.ring->Tenant(TenantId(1)).value();
    const int writes = f.kv->writes;
    keys = f.ring->GetOrCreate(TenantId(1), subjects).value();
    EXPECT_EQ(f.kv->writes, writes + 1);
    EXPECT_EQ(keys[1000].key_id, keys[5].key_id);
    EXPECT_EQ(keys[1000].key, keys[5].key);
    EXPECT_NE(keys[0].key, keys[1].key);
  }
  Fixture f(disk, 2000);  // a cache of a few entries
  const auto again = f.ring->GetOrCreate(TenantId(1), subjects).value();
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(again[i].key, keys[i].key);
    EXPECT_EQ(f.ring->Find(TenantId(1), keys[i].key_id)->key, keys[i].key);
  }
  EXPECT_EQ(f.ring->Find(TenantId(2), keys[0].key_id).error().code, Code::kNotFound) << "of another tenant";
}

TEST(Keyring, DestroyedKeysAreGoneForGood) {
  Disk disk;
  KeyId old;
  {
    Fixture f(disk);
    const SubjectKey key = f.ring->GetOrCreate(TenantId(1), "ann").value();
    old = key.key_id;
    f.ring->GetOrCreate(TenantId(1), "bob").value();
    EXPECT_EQ(f.ring->Destroy(TenantId(1), "ann").value(), 1u);
    EXPECT_EQ(f.ring->Find(TenantId(1), old).error().code, Code::kNotFound);
    EXPECT_EQ(f.ring->Destroy(TenantId(1), "ann").value(), 0u);
    EXPECT_NE(f.ring->GetOrCreate(TenantId(1), "ann")->key, key.key) << "a new key has nothing to do with the old";
  }
  Fixture f(disk);
  EXPECT_EQ(f.ring->Find(TenantId(1), old).error().code, Code::kNotFound);
  EXPECT_EQ(f.ring->Destroy(TenantId(1), "bob").value(), 1u);
}

TEST(Keyring, AMovedKeyIsNotFoundByItsOldNameHoweverItIsUsed) {
  Disk disk;
  Fixture f(disk);
  const SubjectKey key = f.ring->GetOrCreate(TenantId(1), "ann").value();
  ASSERT_TRUE(f.ring->Move(TenantId(1), "ann", "anna"));
  EXPECT_EQ(f.ring->Find(TenantId(1), key.key_id)->key, key.key);
  EXPECT_NE(f.ring->GetOrCreate(TenantId(1), "ann")->key, key.key);
  EXPECT_EQ(f.ring->Destroy(TenantId(1), "anna").value(), 1u);
  EXPECT_EQ(f.ring->Find(TenantId(1), key.key_id).error().code, Code::kNotFound);
}

TEST(Keyring, AKeyThatIsNotDurableIsNotHandedOut) {
  Disk disk;
  Fixture f(disk);
  f.ring->Tenant(TenantId(1)).value();
  f.kv->full = true;
  EXPECT_EQ(f.ring->GetOrCreate(TenantId(1), "ann").error().code, Code::kRetry);
  EXPECT_FALSE(f.ring->Tenant(TenantId(2)));
  f.kv->full = false;
  const KeyId id = f.ring->GetOrCreate(TenantId(1), "ann")->key_id;
  EXPECT_TRUE(Fixture(disk).ring->Find(TenantId(1), id));
}

TEST(Keyring, CallersAtOnceGetTheSameKeys) {
  Disk disk;
  Fixture f(disk, 4000);
  std::vector<std::vector<SubjectKey>> seen(4);
  std::vector<std::thread> threads;
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back(std::to_string(i));
  for (size_t t = 0; t < seen.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const std::string& name : names) {
        seen[t].push_back(f.ring->GetOrCreate(TenantId(1), name).value());
        EXPECT_EQ(f.ring->Find(TenantId(1), seen[t].back().key_id)->key, seen[t].back().key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t t = 1; t < seen.size(); ++t) EXPECT_EQ(seen[t][i].key_id, seen[0][i].key_id);
  }
}

TEST(Opened, IsBoundedAndForgetsWhatIsRemovedByBothNames) {
  Opened opened(1);  // a bucket a table
  const auto numbered = [](uint8_t number) {
    SubjectKey key;
    key.key_id[0] = number;
    key.key.bytes[0] = number;
    return key;
  };
  const std::string_view names[] = {"ann", "bob", "cid"};
  SubjectKey out;
  for (uint8_t i = 0; i < 3; ++i) opened.Put(TenantId(1), numbered(i), names[i]);
  for (uint8_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(opened.FindBySubject(TenantId(1), names[i], out));
    EXPECT_EQ(out.key, numbered(i).key);
  }
  EXPECT_FALSE(opened.FindBySubject(TenantId(2), "ann", out)) << "of another tenant";
  opened.Remove(TenantId(1), numbered(1).key_id);
  EXPECT_FALSE(opened.FindById(TenantId(1), numbered(1).key_id, out));
  EXPECT_FALSE(opened.FindBySubject(TenantId(1), "bob", out));
  opened.Put(TenantId(1), numbered(9), "bob");
  ASSERT_TRUE(opened.FindBySubject(TenantId(1), "bob", out));
  EXPECT_EQ(out.key_id, numbered(9).key_id);
  for (uint8_t i = 20; i < 40; ++i) opened.Put(TenantId(1), numbered(i), std::string(1, static_cast<char>(i)));
  EXPECT_FALSE(opened.FindById(TenantId(1), numbered(0).key_id, out)) << "the oldest goes first";
  EXPECT_TRUE(opened.FindById(TenantId(1), numbered(39).key_id, out));
  opened.Put(TenantId(1), numbered(50), std::string(Opened::kSubjectBytesMax + 1, 'x'));
  EXPECT_TRUE(opened.FindById(TenantId(1), numbered(50).key_id, out));
  EXPECT_FALSE(opened.FindBySubject(TenantId(1), std::string(Opened::kSubjectBytesMax + 1, 'x'), out));
}

TEST(Keyring, AnotherRootKeyIsRefused) {
  Disk disk;
  Fixture f(disk);
  EXPECT_EQ(Keyring::Open(std::make_unique<TestKv>(disk), Key(), f.entropy, {}).error().code, Code::kFatal);
}

TEST(Keyring, AStoredKeyMovedElsewhereIsCorrupt) {
  Disk disk;
  KeyId ann, bob;
  {
    Fixture f(disk);
    ann = f.ring->GetOrCreate(TenantId(1), "ann")->key_id;
    bob = f.ring->GetOrCreate(TenantId(1), "bob")->key_id;
  }
  const auto place = [](const KeyId& id) { return std::string("k\0\0\0\1", 5) + std::string(id.begin(), id.end()); };
  ASSERT_TRUE(disk.contains(place(ann)));
  std::swap(disk[place(ann)], disk[place(bob)]);
  EXPECT_EQ(Fixture(disk).ring->Find(TenantId(1), ann).error().code, Code::kCorrupt);
}

TEST(RootKey, IsMadeOnceForItsOwnerAlone) {
  const auto dir = std::filesystem::temp_directory_path() / fmt::format("maily-root-key-{}", ::getpid());
  std::filesystem::create_directories(dir);
  const std::string path = dir / "root.key";
  TestEntropy entropy;
  const Key key = LoadOrCreateRootKey(path, entropy).value();
  EXPECT_EQ(LoadOrCreateRootKey(path, entropy).value(), key);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1);
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(LoadOrCreateRootKey(path, entropy).error().code, Code::kFatal);
  ::chmod(path.c_str(), 0600);
  std::ofstream(path) << "nonsense";
  EXPECT_EQ(LoadOrCreateRootKey(path, entropy).error().code, Code::kFatal);
  EXPECT_EQ(LoadOrCreateRootKey(dir / "no" / "dir", entropy).error().code, Code::kFatal);
  std::filesystem::remove_all(dir);
}

// Not a bound, only a figure: run with --gtest_also_run_disabled_tests in a release build.
TEST(Cipher, DISABLED_Speed) {
  const auto measure = [](const char* what, auto body) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 200'000; ++i) body();
    const auto ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    std::printf("%-24s %6.0f ns\n", what, static_cast<double>(ns) / 200'000);
  };
  const Key key = Root();
  const std::string nonce(12, 'n');
  std::string out;
  measure("HMAC of 20 bytes", [&] { HmacSha256(key, {"c000001@example.com"}); });
  measure("seal 20 bytes", [&] {
    out.clear();
    SealTo(out, key, nonce, "c000001@example.com", "associated data");
  });
  measure("unseal 20 bytes", [&] { Unseal(key, nonce, out, "associated data").value(); });
}

}  // namespace
}  // namespace maily::keyring
