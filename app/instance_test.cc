// What the files beside the data say of an instance, and what they must not.
#include "app/instance.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace maily::app {
namespace {

TEST(Instance, AModeThatIsNoneIsCorruptAndNotASandbox) {
  std::string path = (std::filesystem::temp_directory_path() / "maily_instance_XXXXXX").string();
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  ::setenv("XDG_STATE_HOME", (path + "/identity").c_str(), 1);
  const std::string data = path + "/data";
  Instance::Place place{.log_id = {}, .name = data};
  place.log_id.bytes.fill(7);
  {
    const auto first = Instance::Open(data).value();
    EXPECT_EQ(first->DecideMode(place, 0).value(), Mode::kSandbox);
    ASSERT_TRUE(first->RecordEpoch(1));
  }
  ASSERT_TRUE(Arm(data, true));
  const auto mode = [&] { return Instance::Open(data).value()->DecideMode(place, 1); };
  EXPECT_EQ(mode().value(), Mode::kLive);
  std::ofstream(data + "/MODE") << "lave\n";
  ASSERT_FALSE(mode());
  EXPECT_EQ(mode().error().code, Code::kCorrupt);
  EXPECT_NE(mode().error().message.find(data + "/MODE"), std::string::npos);
  ASSERT_TRUE(Arm(data, false));
  EXPECT_EQ(mode().value(), Mode::kSandbox);
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace maily::app
