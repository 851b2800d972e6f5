// The contract of the blobs port over a folder, and what is a folder's own.
#include "streams/adapters/disk/folder_blobs.h"

#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/contract/blobs_contract.h"

namespace maily::disk {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() : path((fs::temp_directory_path() / fmt::format("maily-blobs-{}-{}", ::getpid(), count++)).string()) { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
  static inline int count = 0;
  const std::string path;
};

class FolderBlobsHarness : public contract::BlobsHarness {
 public:
  Blobs& blobs() override { return *blobs_; }
  // What such a process leaves: see Put.
  void DieWhilePutting(const std::string& name) override {
    std::ofstream(folder_.path + "/.tmp/1-1-" + std::to_string(name.size())) << "half";
    fs::create_directories(fs::path(folder_.path) / fs::path(name).parent_path());
    blobs_ = std::make_unique<FolderBlobs>(folder_.path);
  }

 private:
  Folder folder_;
  std::unique_ptr<FolderBlobs> blobs_ = std::make_unique<FolderBlobs>(folder_.path);
};

}  // namespace
}  // namespace maily::disk

namespace maily::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Folder, BlobsContract, maily::disk::FolderBlobsHarness);
}  // namespace maily::contract

namespace maily::disk {
namespace {

TEST(FolderBlobs, AFolderThatCannotBeUsedIsAnErrorUntilItCan) {
  Folder folder;
  FolderBlobs blobs(folder.path + "/mount/snapshots");
  EXPECT_EQ(blobs.Put("blob", "bytes").error().code, Code::kRetry);
  EXPECT_EQ(blobs.Get("blob", 0, 10).error().code, Code::kRetry);
  EXPECT_EQ(blobs.List("", "", 10).error().code, Code::kRetry);
  EXPECT_EQ(blobs.Delete("blob").error().code, Code::kRetry);
  EXPECT_FALSE(fs::exists(folder.path)) << "what is not mounted is not made up for";
  fs::create_directories(folder.path + "/mount");
  EXPECT_TRUE(blobs.Put("blob", "bytes"));
  std::ofstream(folder.path + "/file") << "a file";
  EXPECT_EQ(FolderBlobs(folder.path + "/file").Put("blob", "bytes").error().code, Code::kRetry);
}

TEST(FolderBlobs, NobodyElseMayRead) {
  Folder folder;
  FolderBlobs blobs(folder.path);
  ASSERT_TRUE(blobs.Put("a/blob", "bytes"));
  for (const auto& [name, mode] : {std::pair("", 0700U), {"/a", 0700U}, {"/a/blob", 0600U}}) {
    struct stat stat{};
    ASSERT_EQ(::stat((folder.path + name).c_str(), &stat), 0);
    EXPECT_EQ(stat.st_mode & 0777, mode) << name;
  }
}

TEST(FolderBlobs, LeftoversGoAfterAnHour) {
  Folder folder;
  FolderBlobs(folder.path).List("", "", 1).value();
  const std::string old = folder.path + "/.tmp/old", young = folder.path + "/.tmp/young";
  std::ofstream(old) << "half";
  std::ofstream(young) << "half";
  const utimbuf times{::time(nullptr) - 4000, ::time(nullptr) - 4000};
  ASSERT_EQ(::utime(old.c_str(), &times), 0);
  FolderBlobs(folder.path).List("", "", 1).value();
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young)) << "somebody may be writing it";
}

TEST(FolderBlobs, AReaderSeesOneBlobOrTheOtherWhole) {
  Folder folder;
  FolderBlobs blobs(folder.path);
  const std::string one(300'000, '1'), two(200'000, '2');
  ASSERT_TRUE(blobs.Put("blob", one));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) blobs.Put("blob", i % 2 == 0 ? two : one).value();
    done = true;
  });
  while (!done) {
    const std::string got = blobs.Get("blob", 0, 1 << 20).value();
    EXPECT_TRUE(got == one || got == two) << got.size();
  }
  writer.join();
}

// One removes the last blob of a folder, and so the folder, while another puts one there.
TEST(FolderBlobs, TwoWritersMayMakeAndRemoveTheSameFolder) {
  Folder folder;
  FolderBlobs blobs(folder.path);
  const auto work = [&](const std::string& name) {
    for (int i = 0; i < 60; ++i) {
      const auto put = blobs.Put(name, "bytes");
      EXPECT_TRUE(put) << put.error().ToString();
      EXPECT_TRUE(blobs.Delete(name));
      EXPECT_TRUE(blobs.List("", "", 10));
    }
  };
  std::thread other([&] { work("a/b/one"); });
  work("a/b/two");
  other.join();
  EXPECT_TRUE(blobs.List("", "", 10).value().empty());
}

}  // namespace
}  // namespace maily::disk
