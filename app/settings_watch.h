// Looks at the settings of the log's topics again and again while the process runs: somebody may lower a retention, switch compaction on,
// delete a topic. Each that is wrong is said once, with the command that mends it, and again when it has changed; that it is mended, too.
//
// maily_log_settings_wrong{topic, setting, level}: 1 while it is. What is only weaker than it could be has the level warn.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "streams/adapters/kafka/topics.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/observe/metrics.h"

namespace maily::app {

class SettingsWatch {
 public:
  using Look = std::function<Result<kafka::Examination>()>;

  SettingsWatch() = default;
  ~SettingsWatch() { Stop(); }

  // On a thread of its own, until Stop. `look` may block.
  void Start(Look look, Duration every);
  void Stop();

  // One look, instead of Start. What cannot be asked stays as it was known.
  void Once(const Result<kafka::Examination>& seen);

  // What is wrong now. Thread: any.
  std::vector<kafka::Finding> wrong() const;
  // Topics and settings that could lose records, in one line; empty: none. Thread: any.
  std::string trouble() const;

  // The name of the metric is there, also where nothing is watched.
  static void RegisterMetrics();

 private:
  using Place = std::pair<std::string, std::string>;  // topic and setting
  struct Known {
    kafka::Finding finding;
    observe::Gauge gauge;
  };

  void Run(const Look& look, Duration every);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Place, Known> wrong_;
  bool stopping_ = false;
  bool told_unanswered_ = false;
  std::thread thread_;
};

}  // namespace maily::app
