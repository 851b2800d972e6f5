// Write-ahead files with flipped bits, and such that a crash has cut short.
#include "streams/adapters/rocks/damage.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "streams/adapters/rocks/fault_file_system.h"
#include "streams/adapters/rocks/options_internal.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/base/bytes.h"

namespace maily::rocks {
namespace {

namespace fs = std::filesystem;

class FixedClock : public Clock {
 public:
  Instant Now() override { return {1'700'000'000'000'000}; }
  Duration Steady() override { return {0}; }
};

class Damage : public testing::Test {
 protected:
  Damage() {
    std::string path = (fs::temp_directory_path() / "maily_damage_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    path_ = path;
  }
  ~Damage() override { fs::remove_all(path_); }

  // What kill -9 leaves of a key-value store with these keys, one write each.
  void Keep(int keys) {
    auto kv = RocksKvStores(path_ + "/made", resources_).Open("keyring", KvDurability::kOnWrite).value();
    for (int i = 0; i < keys; ++i) {
      KvBatch batch;
      batch.Put(fmt::format("k{:03}", i), std::string(100, static_cast<char>('a' + i % 26)));
      ASSERT_TRUE(kv->Write(batch));
    }
    fs::copy(path_ + "/made/keyring", path_ + "/kept", fs::copy_options::recursive);
  }
  // The same of a log with these records, each durable before the next one.
  static std::string ShortRecord(int i) { return std::string(100, static_cast<char>('a' + i % 26)); }
  // Eight of them fill a block of the WAL; in the first one the settings stand before them.
  static std::string AlignedRecord(int i) { return std::string(i < 8 ? 4'039 : 4'046, static_cast<char>('a' + i % 26)); }
  void KeepLog(int records, std::string (*record)(int) = ShortRecord) {
    auto log = RocksLog::Open(path_ + "/made-log", Settings(), resources_, clock_).value();
    for (int i = 0; i < records; ++i) {
      std::promise<void> done;
      log->Append({Topic::kJournal, PartitionId(0)}, record(i), Sync::kNow, [&](const Result<Appended>&) { done.set_value(); });
      done.get_future().wait();
    }
    log->Append({Topic::kCommands, PartitionId(0)}, "marks what is before it", Sync::kSoon, [](const Result<Appended>&) {});
    fs::copy(path_ + "/made-log", path_ + "/kept", fs::copy_options::recursive);
  }
  // A copy of what was kept, as the one store of `stores`.
  void LayOut() {
    fs::remove_all(path_ + "/now");
    fs::create_directories(path_ + "/now");
    fs::copy(path_ + "/kept", path_ + "/now/keyring", fs::copy_options::recursive);
  }
  std::string Now(std::string_view begin, std::string_view end) const {
    for (const auto& entry : fs::directory_iterator(path_ + "/now/keyring")) {
      const std::string name = entry.path().filename();
      if (name.starts_with(begin) && name.ends_with(end) && entry.file_size() > 0) return entry.path();
    }
    return {};
  }
  static void Flip(const std::string& path, size_t byte, int bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(byte));
    const int was = file.get();
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(static_cast<char>(was ^ 1 << bit));
  }
  static constexpr size_t kBlockBytes = 32 << 10;
  // Where the records of a log's first WAL begin, and how many there are before each; without its settings, which stand before all.
  static std::vector<std::pair<size_t, uint64_t>> Starts(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    std::vector<std::pair<size_t, uint64_t>> starts;
    uint64_t records = 0;
    for (size_t at = 0; at + 7 <= bytes.size();) {
      if (kBlockBytes - at % kBlockBytes < 7) at += kBlockBytes - at % kBlockBytes;
      Cursor header(std::string_view(bytes).substr(at + 4, 3));
      const auto size = header.Fixed<uint16_t>();
      const auto type = header.Fixed<uint8_t>();
      if (at > 0 && (type == 1 || type == 2)) starts.emplace_back(at, records++);  // whole, or the first part
      at += 7 + size;
    }
    return starts;
  }
  static void Clear(const std::string& path, size_t from, size_t to) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(from));
    file << std::string(to - from, '\0');
  }
  // How many keys are there, or why the store does not open.
  Result<int> Keys() {
    MAILY_TRY(auto kv, RocksKvStores(path_ + "/now", resources_).Open("keyring", KvDurability::kOnWrite));
    int count = 0;
    MAILY_TRY_VOID(kv->Scan("", "", [&](std::string_view, std::string_view) { return ++count, true; }));
    return count;
  }
  Result<uint64_t> Records() {
    MAILY_TRY(auto log, RocksLog::Open(path_ + "/now/keyring", Settings(), resources_, clock_));
    return log->Ends({Topic::kJournal, PartitionId(0)}).durable.value();
  }
  static LogSettings Settings() {
    LogSettings settings;
    settings.log_id.bytes.fill(7);
    settings.partition_count = 1;
    return settings;
  }

  std::string path_;
  FixedClock clock_;
  const Resources resources_{Limits{}};
};

TEST_F(Damage, AKeyIsNeverForgottenBecauseAByteBeforeItRotted) {
  Keep(40);
  LayOut();
  const std::string wal = Now("", ".log");
  const size_t size = fs::file_size(wal);
  EXPECT_EQ(Keys().value(), 40);
  for (size_t byte = 0; byte < size; byte += 3) {
    LayOut();
    Flip(wal, byte, static_cast<int>(byte % 8));
    const auto keys = Keys();
    if (keys) {
      EXPECT_EQ(*keys, 40) << byte << ": of a mark";
      continue;
    }
    EXPECT_EQ(keys.error().code, Code::kCorrupt) << keys.error().ToString();
    EXPECT_NE(keys.error().message.find(wal + ": the record at offset "), std::string::npos) << keys.error().ToString();
    EXPECT_EQ(fs::file_size(wal), size) << "what is damaged stays as it is";
  }
}

TEST_F(Damage, AWalThatACrashHasCutShortIsInOrder) {
  Keep(40);
  LayOut();
  const std::string wal = Now("", ".log");
  const size_t size = fs::file_size(wal);
  int keys_before = 40;
  for (size_t cut = size; cut > 0; cut -= std::min<size_t>(cut, 61)) {
    for (const size_t zeros : {0, 5000}) {  // what was to be written is there as zeros
      LayOut();
      fs::resize_file(wal, cut);
      fs::resize_file(wal, cut + zeros);
      const auto keys = Keys();
      ASSERT_TRUE(keys) << "cut at " << cut << ": " << keys.error().ToString();
      EXPECT_LE(*keys, keys_before);
      keys_before = *keys;
    }
  }
}

TEST_F(Damage, ARecordOfTheLogThatWasDurableWhenOthersWereWrittenIsNotTakenForTorn) {
  KeepLog(40);
  LayOut();
  const std::string wal = Now("", ".log");
  const size_t size = fs::file_size(wal);
  EXPECT_EQ(Records().value(), 40U);
  size_t damaged = 0, flips = 0;
  for (size_t byte = 0; byte < size; byte += 7, ++flips) {
    LayOut();
    Flip(wal, byte, static_cast<int>(byte % 8));
    const auto records = Records();
    if (records) {
      EXPECT_EQ(*records, 40U) << byte << ": of the last mark";
      continue;
    }
    EXPECT_EQ(records.error().code, Code::kCorrupt) << records.error().ToString();
    EXPECT_NE(records.error().message.find(wal), std::string::npos) << records.error().ToString();
    ++damaged;
  }
  EXPECT_GT(damaged * 10, flips * 9);
}

// Of records that share a sync any may be missing after a power cut, whatever follows them.
TEST_F(Damage, ARecordThatWasNotDurableYetMayBeTornBeforeOneThatIsWhole) {
  {
    auto log = RocksLog::Open(path_ + "/made-log", Settings(), resources_, clock_).value();
    std::promise<void> done;
    for (int i = 0; i < 40; ++i) {
      log->Append({Topic::kJournal, PartitionId(0)}, std::string(100, 'x'), i < 39 ? Sync::kSoon : Sync::kNow,
                  [&, i](const Result<Appended>&) {
                    if (i == 39) done.set_value();
                  });
    }
    done.get_future().wait();
    fs::copy(path_ + "/made-log", path_ + "/kept", fs::copy_options::recursive);
  }
  LayOut();
  const std::string wal = Now("", ".log");
  LayOut();
  Flip(wal, fs::file_size(wal) - 1'000, 1);
  EXPECT_TRUE(Records());
}

// The rest of a page that was synced half full may be missing where later pages are there.
TEST_F(Damage, WhatWasNeverWrittenIsTheEndOfWhatWasNotDurable) {
  constexpr TopicPartition kAt{Topic::kJournal, PartitionId(0)};
  {
    const auto disk = std::make_shared<FaultFileSystem>();
    const auto env = rocksdb::NewCompositeEnv(disk);
    const Resources resources(std::make_unique<Resources::Impl>(Limits{}, env.get()));
    auto log = RocksLog::Open(path_ + "/made-log", Settings(), resources, clock_).value();
    std::atomic<bool> held = true;
    disk->before_wal_sync = [&] { held.wait(true); };
    for (int i = 0; i < 30; ++i) log->Append(kAt, AlignedRecord(i), Sync::kSoon, [](const Result<Appended>&) {});
    fs::copy(path_ + "/made-log", path_ + "/kept", fs::copy_options::recursive);
    held = false;
    held.notify_all();
  }
  LayOut();
  const auto starts = Starts(Now("", ".log"));
  ASSERT_TRUE(std::ranges::find(starts, kBlockBytes, &std::pair<size_t, uint64_t>::first) != starts.end())
      << "a block begins with a record";
  for (const auto& [from, records] : starts) {
    LayOut();
    const size_t block_end = (from / kBlockBytes + 1) * kBlockBytes;
    if (block_end > fs::file_size(Now("", ".log"))) break;
    Clear(Now("", ".log"), from, block_end);
    for (const char* when : {"first", "again"}) {
      auto log = RocksLog::Open(path_ + "/now/keyring", Settings(), resources_, clock_).value();
      EXPECT_EQ(log->Ends(kAt).durable.value(), records) << from << " " << when;
      EXPECT_EQ(log->Read(kAt, Offset(0), 1 << 20, ReadTo::kDurable)->size(), records) << from << " " << when;
    }
  }
}

TEST_F(Damage, WhatWasDurableAndReadsAsZerosIsDamaged) {
  KeepLog(30, AlignedRecord);
  LayOut();
  const auto starts = Starts(Now("", ".log"));
  ASSERT_TRUE(std::ranges::find(starts, kBlockBytes, &std::pair<size_t, uint64_t>::first) != starts.end())
      << "a block begins with a record";
  for (const auto& [from, records] : starts) {
    LayOut();
    const std::string wal = Now("", ".log");
    const size_t block_end = (from / kBlockBytes + 1) * kBlockBytes;
    if (block_end > fs::file_size(wal)) break;
    Clear(wal, from, block_end);
    const auto there = Records();
    ASSERT_FALSE(there) << from << ": " << *there;
    EXPECT_EQ(there.error().code, Code::kCorrupt) << there.error().ToString();
    EXPECT_NE(there.error().message.find(wal), std::string::npos) << there.error().ToString();
  }
}

// RocksDB takes a length that is too large, or a type of files that it uses again, for the end of the manifest: what was flushed is not
// there then, and it removes the tables.
TEST_F(Damage, NoBitOfAManifestMakesAStoreForgetWhatItHolds) {
  for (const bool stopped : {false, true}) {
    fs::remove_all(path_ + "/made");
    fs::remove_all(path_ + "/kept");
    Keep(3);
    if (stopped) {
      fs::remove_all(path_ + "/kept");
      fs::copy(path_ + "/made/keyring", path_ + "/kept", fs::copy_options::recursive);  // as closing it left it
    }
    LayOut();
    const std::string manifest = Now("MANIFEST", "");
    const size_t size = fs::file_size(manifest);
    for (size_t byte = 0; byte < size; ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        LayOut();
        Flip(manifest, byte, bit);
        const auto keys = Keys();
        if (keys) {
          EXPECT_EQ(*keys, 3) << stopped << " " << byte << ":" << bit;
        } else {
          EXPECT_NE(keys.error().message.find("MANIFEST"), std::string::npos) << keys.error().ToString();
        }
      }
    }
  }
}

TEST_F(Damage, AnOrderlyStopLeavesNothingInTheWal) {
  {
    auto kv = RocksKvStores(path_ + "/now", resources_).Open("keyring", KvDurability::kOnWrite).value();
    KvBatch batch;
    batch.Put("key", "value");
    ASSERT_TRUE(kv->Write(batch));
    EXPECT_NE(Now("", ".log"), "");
  }
  EXPECT_EQ(Now("", ".log"), "");
  EXPECT_EQ(Keys().value(), 1);
}

}  // namespace
}  // namespace maily::rocks
