// The contract of the key-value port over RocksDB, and what is its own: full disks, bounded memory.
#include "streams/adapters/rocks/rocks_kv.h"

#include <unistd.h>

#include <filesystem>

#include "streams/adapters/rocks/fault_file_system.h"
#include "streams/adapters/rocks/options_internal.h"
#include "tests/contract/kv_contract.h"

namespace maily::rocks {
namespace {

// On a loss of power the stores that are open fail from then on; their handles are closed by the test before they are opened again.
class RocksKvHarness : public contract::KvHarness {
 public:
  explicit RocksKvHarness(const Limits& limits = {}) {
    std::string path = (std::filesystem::temp_directory_path() / "maily_kv_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    path_ = path;
    env_ = rocksdb::NewCompositeEnv(disk);
    resources_ = std::make_unique<Resources>(std::make_unique<Resources::Impl>(limits, env_.get()));
    stores_ = std::make_unique<Stores>(*this, path_, *resources_);
  }
  ~RocksKvHarness() override {
    disk->LosePower();
    std::filesystem::remove_all(path_);
  }
  const Resources& resources() const { return *resources_; }
  KvStores& stores() override { return *stores_; }
  void Crash() override { disk->LosePower(); }

  const std::shared_ptr<FaultFileSystem> disk = std::make_shared<FaultFileSystem>();

 private:
  // The machine comes up again when a store is next opened.
  class Stores : public RocksKvStores {
   public:
    Stores(RocksKvHarness& harness, const std::string& path, const Resources& resources)
        : RocksKvStores(path, resources), harness_(harness) {}
    Result<std::unique_ptr<Kv>> Open(const std::string& name, KvDurability durability) override {
      if (harness_.disk->power_is_lost()) harness_.disk->Restart(harness_.random_);
      return RocksKvStores::Open(name, durability);
    }

   private:
    RocksKvHarness& harness_;
  };

  std::string path_;
  std::unique_ptr<rocksdb::Env> env_;
  std::minstd_rand random_{5};
  std::unique_ptr<Resources> resources_;
  std::unique_ptr<Stores> stores_;
};

}  // namespace
}  // namespace maily::rocks

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, KvContract, maily::rocks::RocksKvHarness);
}  // namespace maily::contract

namespace maily::rocks {
namespace {

KvBatch One(const std::string& key, const std::string& value) {
  KvBatch batch;
  batch.Put(key, value);
  return batch;
}

TEST(RocksKv, AFullDiskForgetsNothingAndTheStoreGoesOnWhenThereIsSpace) {
  for (const auto& [durability, space_bytes] : std::vector<std::pair<KvDurability, int64_t>>{
           {KvDurability::kOnFlush, 0}, {KvDurability::kOnFlush, 500}, {KvDurability::kOnFlush, 1300}, {KvDurability::kOnWrite, 10}}) {
    SCOPED_TRACE(fmt::format("{} {}", durability == KvDurability::kOnWrite ? "on write" : "on flush", space_bytes));
    RocksKvHarness harness;
    auto store = *harness.stores().Open("store", durability);
    ASSERT_TRUE(store->Write(One("flushed", "1")));
    ASSERT_TRUE(store->Flush());
    ASSERT_TRUE(store->Write(One("written", "2")));
    harness.disk->space_bytes = space_bytes;
    auto result = store->Write(One("refused", std::string(1000, 'x')));
    if (result) result = store->Flush();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kRetry) << result.error().ToString();
    EXPECT_EQ(store->Get("flushed")->value_or("absent"), "1") << "reads go on";
    EXPECT_EQ(store->Get("written")->value_or("absent"), "2");

    harness.disk->space_bytes = INT64_MAX;
    ASSERT_TRUE(store->Write(One("after", "3")));
    ASSERT_TRUE(store->Flush());
    store.reset();
    harness.Crash();
    store = *harness.stores().Open("store", durability);
    EXPECT_EQ(store->Get("flushed")->value_or("absent"), "1");
    EXPECT_EQ(store->Get("written")->value_or("absent"), "2");
    EXPECT_EQ(store->Get("after")->value_or("absent"), "3");
  }
}

TEST(RocksKv, ALargeBatchInOrderIsThereWholeWithWhatWasWrittenBefore) {
  RocksKvHarness harness;
  auto store = *harness.stores().Open("store", KvDurability::kOnFlush);
  constexpr int kKeys = 10'000;
  const auto key = [](int i) { return fmt::format("key-{:06}", i); };
  const auto batch_of = [&](const std::string& value) {
    KvBatch batch;
    for (int i = 0; i < kKeys; ++i) {
      if (i % 3 == 0 && value == "second") {
        batch.Delete(key(i));
      } else {
        batch.Put(key(i), value);
      }
    }
    return batch;
  };
  const auto wrong = [&](const std::string& value) {
    int count = 0;
    for (int i = 0; i < kKeys; ++i) count += store->Get(key(i))->value_or("absent") != (i % 3 == 0 ? "absent" : value) ? 1 : 0;
    return count;
  };
  ASSERT_TRUE(store->Write(batch_of("first")));
  ASSERT_TRUE(store->Write(One("small", "1")));
  for (const int64_t space_bytes : {0, 5'000, 100'000}) {
    harness.disk->space_bytes = space_bytes;
    const auto refused = store->Write(batch_of("second"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kRetry) << refused.error().ToString();
    EXPECT_EQ(store->Get(key(3))->value_or("absent"), "first");
  }
  harness.disk->space_bytes = INT64_MAX;
  ASSERT_TRUE(store->Write(batch_of("second")));
  EXPECT_EQ(wrong("second"), 0);
  harness.disk->space_bytes = 5'000;  // what is left of this one is in nobody's way
  ASSERT_FALSE(store->Write(batch_of("first")));
  store.reset();
  harness.disk->space_bytes = INT64_MAX;
  harness.Crash();
  store = *harness.stores().Open("store", KvDurability::kOnFlush);
  EXPECT_EQ(store->Get("small")->value_or("absent"), "1");
  EXPECT_EQ(wrong("second"), 0);
  ASSERT_TRUE(store->Write(batch_of("second")));
}

TEST(RocksKv, BlocksAndMemtablesStayWithinTheirLimits) {
  RocksKvHarness harness({.block_cache_bytes = 1 << 20, .state_memtable_bytes = 2 << 20});
  auto store = *harness.stores().Open("store", KvDurability::kOnFlush);
  std::minstd_rand random(1);
  for (int i = 0; i < 50; ++i) {
    KvBatch batch;
    for (int j = 0; j < 2000; ++j)
      batch.Put(fmt::format("key-{:09}", random() % 1'000'000), std::string(100, static_cast<char>('a' + j % 26)));
    ASSERT_TRUE(store->Write(batch));
  }
  ASSERT_TRUE(store->Flush());
  EXPECT_GT(store->SizeOnDisk(), 1u << 20);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(store->Get(fmt::format("key-{:09}", random() % 1'000'000)));
  const auto& resources = harness.resources().impl();
  EXPECT_LE(resources.block_cache->GetUsage(), 2u << 20) << "with the few blocks that are pinned";
  EXPECT_LE(resources.state_memtables->memory_usage(), 4u << 20);
}

TEST(RocksKv, AStoreNeedsAName) {
  RocksKvHarness harness;
  for (const char* name : {"", ".", "..", "a/b", "../up"}) {
    const auto store = harness.stores().Open(name, KvDurability::kOnFlush);
    ASSERT_FALSE(store) << name;
    EXPECT_EQ(store.error().code, Code::kInvalid);
  }
}

}  // namespace
}  // namespace maily::rocks
