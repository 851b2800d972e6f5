#include "streams/adapters/rocks/laid_out_wals.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "streams/adapters/rocks/fault_file_system.h"
#include "streams/base/result.h"

namespace maily::rocks {
namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;

constexpr uint64_t kBytes = 600'000;  // of a file that is laid out: no multiple of anything

class LaidOutWalsTest : public testing::Test {
 protected:
  LaidOutWalsTest() {
    std::string path = (std::filesystem::temp_directory_path() / "maily_wals_XXXXXX").string();
    MAILY_CHECK(mkdtemp(path.data()) != nullptr, "mkdtemp {}", path);
    directory_ = path;
    wals_ = std::make_shared<LaidOutWals>(disk_, directory_, kBytes, 0);
  }
  ~LaidOutWalsTest() override {
    wals_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Bytes(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<rocksdb::FSWritableFile> Make(const std::string& name) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    EXPECT_TRUE(wals_->NewWritableFile(Path(name), FileOptions(), &file, nullptr).ok());
    return file;
  }
  static void Append(rocksdb::FSWritableFile& file, const std::string& bytes) {
    EXPECT_TRUE(file.Append(bytes, IOOptions(), nullptr).ok());
  }
  // A file in use, and the next one laid out behind it.
  std::unique_ptr<rocksdb::FSWritableFile> UseFirst() {
    auto first = Make("000001.log");
    Append(*first, std::string(kBytes / 8, 'a'));
    EXPECT_TRUE(wals_->Wait());
    return first;
  }

  const std::shared_ptr<FaultFileSystem> disk_ = std::make_shared<FaultFileSystem>();
  std::string directory_;
  std::shared_ptr<LaidOutWals> wals_;
};

TEST_F(LaidOutWalsTest, TheNextFileIsZerosAsLongAsItIsWritten) {
  const auto first = UseFirst();
  EXPECT_EQ(Bytes(kLaidOutName), std::string(kBytes, '\0'));
  const auto second = Make("000002.log");
  EXPECT_FALSE(std::filesystem::exists(Path(kLaidOutName)));
  EXPECT_EQ(second->GetFileSize(IOOptions(), nullptr), 0);
  Append(*second, "one");
  Append(*second, "two");
  EXPECT_EQ(second->GetFileSize(IOOptions(), nullptr), 6);
  EXPECT_EQ(Bytes("000002.log"), "onetwo" + std::string(kBytes - 6, '\0'));
}

TEST_F(LaidOutWalsTest, AClosedFileIsAsLongAsWhatWasAppended) {
  const auto first = UseFirst();
  const auto second = Make("000002.log");
  Append(*second, "one");
  ASSERT_TRUE(second->Close(IOOptions(), nullptr).ok());
  EXPECT_EQ(Bytes("000002.log"), "one");
}

TEST_F(LaidOutWalsTest, WhatDoesNotFitMakesItGrow) {
  const auto first = UseFirst();
  const auto second = Make("000002.log");
  const std::string much(kBytes - 2, 'b');
  Append(*second, much);
  Append(*second, "12345");
  ASSERT_TRUE(second->Close(IOOptions(), nullptr).ok());
  EXPECT_EQ(Bytes("000002.log"), much + "12345");
}

TEST_F(LaidOutWalsTest, AFileThatIsHardlyUsedHasNoNext) {
  const auto first = Make("000001.log");
  Append(*first, std::string(kBytes / 8 - 1, 'a'));
  EXPECT_FALSE(wals_->Wait());
  EXPECT_FALSE(std::filesystem::exists(Path(kLaidOutName)));
}

TEST_F(LaidOutWalsTest, WithLittleRoomAFileGrowsAsUsual) {
  disk_->space_bytes = 2 * static_cast<int64_t>(kBytes);
  const auto first = Make("000001.log");
  Append(*first, std::string(kBytes / 8, 'a'));
  EXPECT_FALSE(wals_->Wait());
  const auto second = Make("000002.log");
  Append(*second, "one");
  EXPECT_EQ(Bytes("000002.log"), "one");
}

TEST_F(LaidOutWalsTest, AFileThatCannotBeMadeDurableIsNotUsed) {
  disk_->syncs_fail = true;
  const auto first = Make("000001.log");
  Append(*first, std::string(kBytes / 8, 'a'));
  EXPECT_FALSE(wals_->Wait());
  EXPECT_FALSE(std::filesystem::exists(Path(kLaidOutName)));
}

TEST_F(LaidOutWalsTest, WhatSomebodyRemovedIsMadeUpForByAFileThatGrows) {
  const auto first = UseFirst();
  std::filesystem::remove(Path(kLaidOutName));
  const auto second = Make("000002.log");
  Append(*second, "one");
  EXPECT_EQ(Bytes("000002.log"), "one");
}

TEST_F(LaidOutWalsTest, NothingIsLeftBehind) {
  auto first = UseFirst();
  first.reset();
  wals_.reset();
  EXPECT_FALSE(std::filesystem::exists(Path(kLaidOutName)));
  std::ofstream(Path(kLaidOutName)) << "of a process that was killed";
  wals_ = std::make_shared<LaidOutWals>(disk_, directory_, kBytes, 0);
  EXPECT_FALSE(std::filesystem::exists(Path(kLaidOutName)));
}

TEST_F(LaidOutWalsTest, OtherFilesAreLeftAlone) {
  const auto first = UseFirst();
  const auto table = Make("000003.sst");
  Append(*table, "table");
  EXPECT_TRUE(std::filesystem::exists(Path(kLaidOutName)));
  EXPECT_EQ(Bytes("000003.sst"), "table");
}

}  // namespace
}  // namespace maily::rocks
