// Runs the contract of the keyring over PostgreSQL, with two keyrings at once; and tests what only a server has: sessions that end, roles,
// commits that are not waited for.
#include "streams/adapters/postgres/key_store.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "projections/sql/postgres/test_database.h"
#include "tests/contract/keyring_contract.h"

namespace maily::contract {
namespace {

using keyring::Keyring;
using sql::TestDatabase;

constexpr const char* kNoServer = "skipped: no PostgreSQL (scripts/setup.sh --postgres installs it)";

class TestClock final : public Clock {
 public:
  Instant Now() override { return Instant{steady_us}; }
  Duration Steady() override { return Duration{steady_us}; }
  std::atomic<int64_t> steady_us = 0;
};

class PostgresKeyringHarness final : public KeyringHarness {
 public:
  static constexpr bool kShared = true;
  PostgresKeyringHarness() {
    if (Missing().empty()) database_.emplace();
  }
  std::string Missing() const override { return TestDatabase::ServerUrl().empty() ? kNoServer : ""; }
  Result<std::unique_ptr<Keyring>> Open(const keyring::Key& root, size_t cache_bytes_max) override {
    return OpenAt(database_->url(), root, cache_bytes_max);
  }
  Result<std::unique_ptr<Keyring>> OpenAt(const std::string& url, const keyring::Key& root = KeyringRoot(),
                                          size_t cache_bytes_max = 1 << 20) {
    MAILY_TRY(auto store, libpq::OpenKeyStore({.url = url}, clock));
    return Keyring::Open(std::move(store), root, entropy_, {.cache_bytes_max = cache_bytes_max});
  }
  void LetNotice() override { clock.steady_us += libpq::kNoticeWithin.us; }
  const TestDatabase& database() const { return *database_; }

  TestClock clock;

 private:
  SeededEntropy entropy_{std::random_device()()};
  std::optional<TestDatabase> database_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Postgres, KeyringContract, PostgresKeyringHarness);

class PostgresKeyring : public testing::Test {
 protected:
  void SetUp() override {
    if (TestDatabase::ServerUrl().empty()) GTEST_SKIP() << kNoServer;
    harness_.emplace();
  }
  std::unique_ptr<Keyring> Open() { return harness_->Open(KeyringRoot(), 1 << 20).value(); }
  std::optional<PostgresKeyringHarness> harness_;
};

TEST_F(PostgresKeyring, KeysAreWrappedThere) {
  const auto ring = Open();
  const auto key = ring->GetOrCreate(TenantId(1), "ann").value();
  EXPECT_EQ(harness_->database().Run("SELECT count(*) FROM maily_keyring.subject_keys WHERE tenant = 1"), "1");
  std::string hex;
  for (const uint8_t byte : key.key.bytes) hex += fmt::format("{:02x}", byte);
  EXPECT_EQ(harness_->database().Run("SELECT position('\\x" + hex + "'::bytea IN wrapped) FROM maily_keyring.subject_keys"), "0");
}

TEST_F(PostgresKeyring, SessionsThatEndAreMadeAnew) {
  const auto ring = Open();
  const auto key = ring->GetOrCreate(TenantId(1), "ann").value();
  harness_->database().EndSessions();
  harness_->LetNotice();
  EXPECT_EQ(ring->Find(TenantId(1), key.key_id).value().key, key.key);
  harness_->database().EndSessions();
  EXPECT_TRUE(ring->GetOrCreate(TenantId(1), "bob"));
  harness_->database().EndSessions();
  EXPECT_EQ(ring->Destroy(TenantId(1), "bob").value(), 1U);
}

TEST_F(PostgresKeyring, KeysInMemoryServeForASecondAndNotWhereTheServerIsAway) {
  const auto ring = Open();
  const auto key = ring->GetOrCreate(TenantId(1), "ann").value();
  harness_->database().Run("ALTER SCHEMA maily_keyring RENAME TO away");
  harness_->clock.steady_us += libpq::kNoticeWithin.us - 1;
  EXPECT_EQ(ring->Find(TenantId(1), key.key_id).value().key, key.key);
  EXPECT_EQ(ring->GetOrCreate(TenantId(1), "ann").value().key, key.key);
  harness_->clock.steady_us += 1;
  EXPECT_FALSE(ring->Find(TenantId(1), key.key_id));
  EXPECT_FALSE(ring->GetOrCreate(TenantId(1), "ann"));
  harness_->database().Run("ALTER SCHEMA away RENAME TO maily_keyring");
  EXPECT_EQ(ring->Find(TenantId(1), key.key_id).value().key, key.key);
}

TEST_F(PostgresKeyring, AKeyIsDurableWhateverTheDatabaseSays) {
  harness_->database().Run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$");
  const auto ring = Open();
  for (int i = 0; i < 20; ++i) {
    const std::string before = harness_->database().Run("SELECT pg_current_wal_insert_lsn()");
    ASSERT_TRUE(ring->GetOrCreate(TenantId(1), fmt::format("subject {}", i)));
    EXPECT_EQ(harness_->database().Run("SELECT pg_current_wal_flush_lsn() > '" + before + "'"), "t");
  }
  harness_->database().Run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET synchronous_commit', current_database()); END $$");
}

TEST_F(PostgresKeyring, AnotherSessionsLockIsNotWaitedForWithoutEnd) {
  const auto ring = Open();
  auto store = libpq::OpenKeyStore({.url = harness_->database().url(), .lock_wait = Milliseconds(20)}, harness_->clock).value();
  ring->GetOrCreate(TenantId(1), "ann").value();
  // A prepared transaction would need a setting of the server: a lock in a session that is killed later serves as well.
  std::thread other([&] { harness_->database().Succeeds("BEGIN; LOCK TABLE maily_keyring.subject_keys; SELECT pg_sleep(60); COMMIT"); });
  while (
      harness_->database().Run("SELECT count(*) FROM pg_locks WHERE relation = 'maily_keyring.subject_keys'::regclass AND granted AND mode "
                               "= 'AccessExclusiveLock'") != "1") {
    std::this_thread::yield();
  }
  EXPECT_EQ(store->KeysOf(TenantId(1), "ann").error().code, Code::kRetry);
  harness_->database().EndSessions();
  other.join();
  EXPECT_EQ(store->KeysOf(TenantId(1), "ann").value().size(), 1U);
}

TEST_F(PostgresKeyring, UnderItsRoleNobodyElseReadsIt) {
  const auto& database = harness_->database();
  std::ifstream script(std::string(std::getenv("MAILY_SOURCE_DIR")) + "/deploy/postgres-keyring.sql");
  database.Run(std::string(std::istreambuf_iterator<char>(script), {}));
  for (const char* login : {"test_keys", "test_stranger"}) {
    database.Run(fmt::format("DO $$ BEGIN IF to_regrole('{0}') IS NULL THEN CREATE ROLE {0} LOGIN; END IF; END $$", login));
  }
  database.Run("GRANT maily_keyring TO test_keys");
  const TestDatabase keys = database.With("user=test_keys");
  const TestDatabase stranger = database.With("user=test_stranger");
  using Level = libpq::KeyStoreFinding::Level;
  EXPECT_EQ(libpq::ExamineKeyStore(keys.url()).level, Level::kWarn) << "there are no tables yet";
  {
    const auto ring = harness_->OpenAt(keys.url()).value();
    EXPECT_TRUE(ring->GetOrCreate(TenantId(1), "ann"));
    EXPECT_EQ(ring->Destroy(TenantId(1), "ann").value(), 1U);
  }
  EXPECT_EQ(database.Run("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'maily_keyring'"), "maily_keyring");
  const auto found = libpq::ExamineKeyStore(keys.url());
  EXPECT_EQ(found.level, Level::kOk) << found.detail;
  EXPECT_TRUE(keys.Succeeds("SELECT * FROM maily_keyring.tenants"));
  EXPECT_FALSE(stranger.Succeeds("SELECT * FROM maily_keyring.tenants"));
  EXPECT_EQ(harness_->OpenAt(stranger.url()).error().code, Code::kInvalid);
  EXPECT_EQ(libpq::ExamineKeyStore(stranger.url()).level, Level::kFail);
}

}  // namespace
}  // namespace maily::contract
