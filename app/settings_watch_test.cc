// The watch on topics' settings: what is wrong is said once, and shown until it is mended.
#include "app/settings_watch.h"

#include <gtest/gtest.h>

#include "streams/observe/logging.h"

namespace maily::app {
namespace {

using Level = kafka::Finding::Level;

class SettingsWatchTest : public ::testing::Test {
 protected:
  SettingsWatchTest() {
    observe::SetSinkForTesting([this](std::string_view line) { lines_.emplace_back(line); });
  }
  ~SettingsWatchTest() override { observe::SetSinkForTesting({}); }

  static kafka::Finding Finding(const std::string& topic, const std::string& setting, const std::string& found, Level level) {
    return {level, topic, setting, found, "-1", level == Level::kOk ? "" : "kafka-configs.sh mend"};
  }
  static kafka::Examination Seen(std::vector<kafka::Finding> findings, bool found = true) {
    return {.findings = std::move(findings), .durability = "", .found = found, .settings = {}};
  }
  // How many lines were said since the last call that hold `text`.
  size_t Said(const std::string& text) {
    size_t count = 0;
    for (const std::string& line : lines_) count += line.find(text) != std::string::npos ? 1 : 0;
    lines_.clear();
    return count;
  }
  static bool Shown(const std::string& level, const std::string& setting, int value) {
    const std::string text = observe::Metrics::Process().PrometheusText();
    for (size_t at = 0; (at = text.find("maily_log_settings_wrong{", at)) != std::string::npos; ++at) {
      const std::string line = text.substr(at, text.find('\n', at) - at);
      if (line.find('"' + level + '"') != std::string::npos && line.find('"' + setting + '"') != std::string::npos) {
        return line.ends_with(" " + std::to_string(value));
      }
    }
    return false;
  }

  std::vector<std::string> lines_;
  SettingsWatch watch_;
};

TEST_F(SettingsWatchTest, WhatIsWrongIsSaidOnceWithTheCommandThatMendsIt) {
  watch_.Once(Seen({Finding("j", "retention.ms", "-1", Level::kOk)}));
  EXPECT_TRUE(lines_.empty());
  for (int i = 0; i < 3; ++i) watch_.Once(Seen({Finding("j", "retention.ms", "1000", Level::kFail)}));
  EXPECT_EQ(Said("kafka-configs.sh mend"), 1u);
  EXPECT_TRUE(Shown("fail", "retention.ms", 1));
  EXPECT_EQ(watch_.trouble(), "j: retention.ms is 1000, wanted is -1");
  watch_.Once(Seen({Finding("j", "retention.ms", "2000", Level::kFail)}));
  EXPECT_EQ(Said("2000"), 1u);
  watch_.Once(Fail(Code::kRetry, "no broker"));
  watch_.Once(Fail(Code::kRetry, "no broker"));
  EXPECT_EQ(Said("no broker"), 1u);
  EXPECT_EQ(watch_.wrong().size(), 1u);
  watch_.Once(Seen({Finding("j", "retention.ms", "-1", Level::kOk)}));
  EXPECT_EQ(Said("right again"), 1u);
  EXPECT_TRUE(Shown("fail", "retention.ms", 0));
  EXPECT_EQ(watch_.trouble(), "");
}

TEST_F(SettingsWatchTest, AWarningIsNoTrouble) {
  watch_.Once(Seen({Finding("j", "min.insync.replicas", "1", Level::kWarn)}));
  EXPECT_EQ(watch_.trouble(), "");
  EXPECT_EQ(watch_.wrong().size(), 1u);
  EXPECT_TRUE(Shown("warn", "min.insync.replicas", 1));
  watch_.Once(Seen({Finding("j", "min.insync.replicas", "9", Level::kFail)}));
  EXPECT_TRUE(Shown("warn", "min.insync.replicas", 0));
  EXPECT_TRUE(Shown("fail", "min.insync.replicas", 1));
}

TEST_F(SettingsWatchTest, WhileATopicIsMissingTheOthersStayAsTheyWereKnown) {
  watch_.Once(Seen({Finding("j", "retention.ms", "1000", Level::kFail)}));
  watch_.Once(Seen({Finding("c", "topic", "missing", Level::kFail)}, false));
  EXPECT_EQ(watch_.wrong().size(), 2u);
  watch_.Once(Seen({Finding("j", "retention.ms", "1000", Level::kFail), Finding("c", "retention.ms", "-1", Level::kOk)}));
  EXPECT_EQ(watch_.wrong().size(), 1u);
}

TEST_F(SettingsWatchTest, LooksAgainUntilItIsStopped) {
  std::mutex mutex;
  std::condition_variable came;
  int looks = 0;
  watch_.Start(
      [&]() -> Result<kafka::Examination> {
        const std::lock_guard lock(mutex);
        ++looks;
        came.notify_all();
        return Seen({});
      },
      Milliseconds(1));
  {
    std::unique_lock lock(mutex);
    came.wait(lock, [&] { return looks >= 3; });
  }
  watch_.Stop();
  EXPECT_GE(looks, 3);
}

}  // namespace
}  // namespace maily::app
