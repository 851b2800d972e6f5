// See settings_watch.h.
#include "app/settings_watch.h"

#include <set>

#include "streams/observe/logging.h"

namespace maily::app {
namespace {

using Level = kafka::Finding::Level;

const char* LevelName(Level level) { return level == Level::kFail ? "fail" : "warn"; }

observe::Gauge GaugeOf(const std::string& topic, const std::string& setting, const char* level) {
  return observe::Metrics::Process().AddGauge("maily_log_settings_wrong",
                                              "1: a setting of a topic that could lose records (level fail), or is weaker than it could be "
                                              "(warn); the log and maily doctor name the command that mends it.",
                                              {{"topic", topic}, {"setting", setting}, {"level", level}});
}

void Tell(const kafka::Finding& finding) {
  observe::Log(
      finding.level == Level::kFail ? observe::Level::kError : observe::Level::kWarn,
      finding.level == Level::kFail ? "a topic's setting is wrong: records can be lost, mend it now"
                                    : "a topic's setting is weaker than it could be",
      {{"topic", finding.where}, {"setting", finding.setting}, {"found", finding.found}, {"wanted", finding.wanted}, {"run", finding.fix}});
}

}  // namespace

void SettingsWatch::RegisterMetrics() { GaugeOf("maily.journal", "retention.ms", "fail"); }

void SettingsWatch::Start(Look look, Duration every) {
  thread_ = std::thread([this, look = std::move(look), every] { Run(look, every); });
}

void SettingsWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SettingsWatch::Run(const Look& look, Duration every) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    Once(look());
    lock.lock();
    changed_.wait_for(lock, std::chrono::microseconds(every.us), [this] { return stopping_; });
  }
}

void SettingsWatch::Once(const Result<kafka::Examination>& seen) {
  const std::lock_guard lock(mutex_);
  if (!seen) {
    if (!std::exchange(told_unanswered_, true)) {
      observe::Log(observe::Level::kWarn, "the topics' settings cannot be looked at", {{"error", seen.error()}});
    }
    return;
  }
  told_unanswered_ = false;
  std::set<Place> still;
  for (const kafka::Finding& finding : seen->findings) {
    if (finding.level == Level::kOk) continue;
    const Place place{finding.where, finding.setting};
    still.insert(place);
    const auto known = wrong_.find(place);
    const bool changed =
        known == wrong_.end() || known->second.finding.found != finding.found || known->second.finding.level != finding.level;
    if (!changed) continue;
    if (known != wrong_.end()) known->second.gauge.Set(0);
    Tell(finding);
    const observe::Gauge gauge = GaugeOf(finding.where, finding.setting, LevelName(finding.level));
    gauge.Set(1);
    wrong_.insert_or_assign(place, Known{finding, gauge});
  }
  std::erase_if(wrong_, [&](const auto& entry) {
    // Of a log whose topics are missing, nothing else is known.
    if (still.contains(entry.first) || (!seen->found && entry.second.finding.setting != "topic")) return false;
    entry.second.gauge.Set(0);
    observe::Log(observe::Level::kInfo, "a topic's setting is right again",
                 {{"topic", entry.first.first}, {"setting", entry.first.second}});
    return true;
  });
}

std::vector<kafka::Finding> SettingsWatch::wrong() const {
  const std::lock_guard lock(mutex_);
  std::vector<kafka::Finding> all;
  for (const auto& [place, known] : wrong_) all.push_back(known.finding);
  return all;
}

std::string SettingsWatch::trouble() const {
  std::string text;
  for (const kafka::Finding& finding : wrong()) {
    if (finding.level != Level::kFail) continue;
    text += fmt::format("{}{}: {} is {}, wanted is {}", text.empty() ? "" : "; ", finding.where, finding.setting, finding.found,
                        finding.wanted);
  }
  return text;
}

}  // namespace maily::app
