// Tests programs that are run for one input, with real ones.
#include "app/bounded_process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

#include "app/asset_scanner.h"

namespace maily::app {
namespace {

std::vector<std::string> Shell(std::string script) { return {"sh", "-c", std::move(script)}; }

TEST(BoundedProcess, WritesTheInputAndReadsTheOutput) {
  const std::string input(3 << 20, 'x');  // more than a pipe holds, both ways
  const auto finished = RunBounded({"cat"}, input, {.output_bytes_max = 4 << 20});
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_EQ(finished->output, input);
  EXPECT_EQ(finished->status, 0);
}

TEST(BoundedProcess, TheStatusIsThatOfTheProgramEvenIfItEndsAfterItsOutput) {
  const auto finished = RunBounded(Shell("echo said; exec >&-; read line; exit 7"), "a\n", {});
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_EQ(finished->output, "said\n");
  EXPECT_EQ(finished->status, 7);
  const auto killed = RunBounded(Shell("kill -9 $$"), "", {});
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->status, -1);
}

TEST(BoundedProcess, WhoDoesNotReadIsNotWrittenTo) {
  signal(SIGPIPE, SIG_IGN);  // as in the program
  const auto finished = RunBounded(Shell("exec 0<&-; echo done"), std::string(1 << 20, 'x'), {});
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_EQ(finished->output, "done\n");
}

TEST(BoundedProcess, TimeAndOutputAreBoundedAndEveryoneIsKilled) {
  const auto begun = std::chrono::steady_clock::now();
  const auto slow = RunBounded(Shell("sleep 600 & wait"), "", {.time_max = Milliseconds(300)});
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, Code::kRetry);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
  const auto much = RunBounded({"cat"}, std::string(100'000, 'x'), {.output_bytes_max = 1000});
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().code, Code::kRetry);
}

TEST(BoundedProcess, ItsEnvironmentIsEmptyAndItWritesNoLargeFiles) {
  EXPECT_EQ(RunBounded({"env"}, "", {})->output, "");
  const auto written =
      RunBounded(Shell("head -c 100000 /dev/zero > /dev/shm/maily_bounded_$$; s=$?; rm -f /dev/shm/maily_bounded_$$; exit $s"), "",
                 {.output_bytes_max = 1000});
  ASSERT_TRUE(written);
  EXPECT_NE(written->status, 0);
}

TEST(BoundedProcess, WhatIsNotThereIsSaidSo) {
  EXPECT_EQ(RunBounded({"no-such-program"}, "", {}).error().code, Code::kNotFound);
  EXPECT_EQ(RunBounded({}, "", {}).error().code, Code::kInvalid);
}

TEST(AssetScanner, TheStatusIsTheVerdict) {
  const auto by = [](std::string script) { return ScanAsset({.words = Shell(std::move(script))}, "bytes"); };
  EXPECT_TRUE(by("grep -q bytes")->clean);
  const auto found = by("printf '\\n stream: Test.Virus \\001FOUND\\nmore'; exit 1");
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->clean);
  EXPECT_EQ(found->words, "stream: Test.Virus ?FOUND");
  for (const char* broken : {"exit 2", "kill -9 $$"}) {
    const auto none = by(broken);
    ASSERT_FALSE(none) << broken;
    EXPECT_EQ(none.error().code, Code::kRetry);
  }
  EXPECT_EQ(ScanAsset({.words = {"no-such-program"}}, "").error().code, Code::kRetry);
}

}  // namespace
}  // namespace maily::app
