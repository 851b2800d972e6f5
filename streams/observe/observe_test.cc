// What a log line and the metrics page look like, and what keeps them bounded.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::observe {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() {
    SetSinkForTesting([this](std::string_view line) { lines_.emplace_back(line); });
  }
  ~LogTest() override {
    SetSinkForTesting(nullptr);
    SetLevel(Level::kInfo);
  }
  std::vector<std::string> lines_;
};

TEST_F(LogTest, ALineIsOneJsonObjectWithTheFieldsInOrder) {
  const TraceId trace = TraceId::FromHex("0123456789abcdef0123456789abcdef");
  Log(Level::kWarn, "slow \"sync\"\n",
      {{"trace_id", trace},
       {"tenant", TenantId(1)},
       {"partition", PartitionId(7)},
       {"took", Milliseconds(1500)},
       {"count", -3},
       {"on", true},
       {"error", Fail(Code::kRetry, "disk full")}});
  ASSERT_EQ(lines_.size(), 1u);
  const auto json = nlohmann::ordered_json::parse(lines_[0]);
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["msg"], "slow \"sync\"\n");
  EXPECT_EQ(json["trace_id"], trace.ToHex());
  EXPECT_EQ(json["tenant"], 1);
  EXPECT_EQ(json["partition"], 7);
  EXPECT_EQ(json["took"], 1.5);
  EXPECT_EQ(json["count"], -3);
  EXPECT_EQ(json["on"], true);
  EXPECT_EQ(json["error"], "retry: disk full");
  const auto ts = json["ts"].get<std::string>();
  ASSERT_EQ(ts.size(), std::string("2026-01-02T03:04:05.678901Z").size());
  EXPECT_EQ(ts[10], 'T');
  EXPECT_EQ(ts.back(), 'Z');
  EXPECT_EQ(json.begin().key(), "ts");
}

TEST_F(LogTest, WhatIsNotUtf8AndWhatIsTooLongDoesNotBreakTheLine) {
  Log(Level::kInfo, "bad \xff\xc0\x80 bytes", {{"long", std::string(100'000, 'x')}, {"also", std::string(100'000, '\x01')}, {"more", "y"}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_TRUE(nlohmann::json::accept(lines_[0])) << lines_[0];
  EXPECT_LT(lines_[0].size(), 64u * 1024);
}

TEST_F(LogTest, BelowTheLevelNothingIsWritten) {
  Log(Level::kDebug, "quiet");
  EXPECT_TRUE(lines_.empty());
  SetLevel(Level::kDebug);
  Log(Level::kDebug, "heard");
  EXPECT_EQ(lines_.size(), 1u);
  EXPECT_EQ(LevelFromName("warn"), Level::kWarn);
  EXPECT_EQ(LevelFromName("loud"), std::nullopt);
}

TEST(Metrics, TextHasHelpTypeLabelsAndCumulativeBuckets) {
  Metrics metrics;
  const Counter sent = metrics.AddCounter("maily_sent_total", "Mails sent.", {{"site", "a\"b"}});
  sent.Add(3);
  metrics.AddCounter("maily_sent_total", "Mails sent.", {{"site", "a\"b"}}).Add();
  metrics.AddGauge("maily_queue_records", "Records waiting.").Set(-2);
  const Histogram took = metrics.AddHistogram("maily_sync_seconds", "Time of a sync.", {0.001, 0.01});
  took.Observe(Microseconds(500));
  took.Observe(Milliseconds(5));
  took.Observe(Seconds(1));
  const std::string text = metrics.PrometheusText();
  for (const char* line :
       {"# HELP maily_sent_total Mails sent.\n", "# TYPE maily_sent_total counter\n", "maily_sent_total{site=\"a\\\"b\"} 4\n",
        "maily_queue_records -2\n", "maily_sync_seconds_count 3\n", "maily_sync_seconds_bucket{le=\"0.001\"} 1\n",
        "maily_sync_seconds_bucket{le=\"0.01\"} 2\n", "maily_sync_seconds_bucket{le=\"+Inf\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_EQ(took.count(), 3u);
}

TEST(Metrics, LabelSetsAreBounded) {
  Metrics metrics;
  for (size_t i = 0; i < Metrics::kSeriesMax + 50; ++i) metrics.AddCounter("maily_x_total", "X.", {{"path", std::to_string(i)}}).Add();
  EXPECT_EQ(metrics.AddCounter("maily_x_total", "X.", {{"path", "yet another"}}).value(), 50u);
}

TEST(Metrics, AProbeIsReadWhenAskedAndGoneWhenDestroyed) {
  Metrics metrics;
  {
    double lag = 5;
    const auto probe = metrics.AddProbe("maily_lag_records", "Lag.", {{"task", "3"}}, [&] { return lag; });
    EXPECT_NE(metrics.PrometheusText().find("maily_lag_records{task=\"3\"} 5\n"), std::string::npos);
    lag = 7;
    EXPECT_NE(metrics.PrometheusText().find("maily_lag_records{task=\"3\"} 7\n"), std::string::npos);
  }
  EXPECT_EQ(metrics.PrometheusText().find("maily_lag_records"), std::string::npos);
}

TEST(Metrics, ManyThreadsLoseNoCount) {
  Metrics metrics;
  const Counter counter = metrics.AddCounter("maily_y_total", "Y.");
  const Histogram histogram = metrics.AddHistogram("maily_y_seconds", "Y.");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        counter.Add();
        histogram.Observe(0.5);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40'000u);
  EXPECT_EQ(histogram.count(), 40'000u);
}

TEST(Metrics, AHandleWithoutARegistryCountsIntoNothing) {
  Counter().Add();
  Gauge().Set(1);
  Histogram().Observe(1.0);
}

}  // namespace
}  // namespace maily::observe
