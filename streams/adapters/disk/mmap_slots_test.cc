// A slot shows its last whole write, also after kill -9 and with a torn copy.
#include "streams/adapters/disk/mmap_slots.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "streams/observe/logging.h"

namespace maily::disk {
namespace {

class MmapSlotsTest : public testing::Test {
 protected:
  MmapSlotsTest() {
    char name[] = "/tmp/maily-slots-XXXXXX";
    directory_ = mkdtemp(name);
    path_ = directory_ / "slots";
  }
  ~MmapSlotsTest() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<MmapSlots> Open(size_t count) {
    auto opened = MmapSlots::Open(path_, count);
    EXPECT_TRUE(opened) << opened.error().ToString();
    return std::move(*opened);
  }
  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(MmapSlotsTest, ASlotIsEmptyThenHoldsItsLastWrite) {
  const auto slots = Open(4);
  EXPECT_EQ(slots->count(), 4u);
  EXPECT_EQ(slots->Read(3), "");
  slots->Write(3, "one");
  slots->Write(3, "two");
  slots->Write(2, std::string(Slots::kSlotBytesMax, 'x'));
  EXPECT_EQ(slots->Read(3), "two");
  EXPECT_EQ(slots->Read(2), std::string(Slots::kSlotBytesMax, 'x'));
  slots->Write(3, "");
  EXPECT_EQ(slots->Read(3), "");
  EXPECT_EQ(slots->boot_id().size(), 36u);
}

TEST_F(MmapSlotsTest, WritesOutliveKillMinusNine) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto slots = MmapSlots::Open(path_, 2);
    if (!slots) _exit(1);
    for (int i = 0; i <= 1000; ++i) (*slots)->Write(1, "attempt " + std::to_string(i));
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(Open(2)->Read(1), "attempt 1000");
}

TEST_F(MmapSlotsTest, ATornCopyLeavesTheWriteBefore) {
  {
    const auto slots = Open(1);
    slots->Write(0, "begun");
    slots->Write(0, "dot sent");
  }
  // The second write went to the second copy: damage one of its bytes.
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(16 + 80 + 20);
  file.put('?');
  file.close();
  const auto slots = Open(1);
  EXPECT_EQ(slots->Read(0), "begun");
  EXPECT_TRUE(slots->Doubtful(0));
  slots->Write(0, "reply 250");
  EXPECT_EQ(slots->Read(0), "reply 250");
  EXPECT_FALSE(Open(1)->Doubtful(0));
}

TEST_F(MmapSlotsTest, ADamagedSlotIsToldWithItsPlace) {
  Open(3)->Write(1, "begun");
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(16 + 2 * 80 + 10);
  file.put('?');
  file.close();
  std::string told;
  observe::SetSinkForTesting([&](std::string_view line) { told += line; });
  const auto slots = Open(3);
  observe::SetSinkForTesting({});
  EXPECT_NE(told.find(path_.string()), std::string::npos) << told;
  EXPECT_NE(told.find("\"offset\":176"), std::string::npos) << told;
  EXPECT_TRUE(slots->Doubtful(1));
  EXPECT_FALSE(slots->Doubtful(0));
  EXPECT_FALSE(slots->Doubtful(2));
}

TEST_F(MmapSlotsTest, FewerSlotsThanTheFileHasKeepsThemAllAndMoreGrows) {
  Open(4)->Write(3, "kept");
  EXPECT_EQ(Open(2)->count(), 4u);
  EXPECT_EQ(Open(2)->Read(3), "kept");
  const auto grown = Open(100);
  EXPECT_EQ(grown->count(), 100u);
  EXPECT_EQ(grown->Read(3), "kept");
  EXPECT_EQ(grown->Read(99), "");
}

TEST_F(MmapSlotsTest, AnotherFileIsRefused) {
  std::ofstream(path_) << "this is some other file, not slots";
  const auto opened = MmapSlots::Open(path_, 1);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace maily::disk
