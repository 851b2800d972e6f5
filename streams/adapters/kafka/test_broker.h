// A real broker for tests, by scripts/kafka.sh; gone when the test program is.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "streams/adapters/kafka/kafka_log_internal.h"
#include "streams/adapters/kafka/topics.h"

namespace maily::kafka {

// A broker on a busy machine may take long to answer; a test waits so long for what is to come, and fails then.
inline constexpr Duration kPatience = Seconds(60);

// Until the answer is another one than kRetry, or kPatience is over.
template <class Ask>
auto Patiently(Ask ask) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::microseconds(kPatience.us);
  for (;;) {
    auto answer = ask();
    if (answer || answer.error().code != Code::kRetry || std::chrono::steady_clock::now() >= give_up) return answer;
    std::this_thread::yield();
  }
}

class TestBroker {
 public:
  // `words` of scripts/kafka.sh: "start", "start --secure", "cluster 3". Not started(): Java or the jars are missing, see why().
  explicit TestBroker(const std::string& words)
      : directory_((std::filesystem::temp_directory_path() / fmt::format("maily-broker-{}-{}", ::getpid(), ++count_)).string()) {
    auto [status, text] = Script(fmt::format("{} --while {}", words, ::getpid()));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t line = text.rfind('\n');
    started_ = status == 0;
    servers_ = started_ ? text.substr(line == std::string::npos ? 0 : line + 1) : "";
    why_ = started_ ? "" : text;
  }
  ~TestBroker() {
    if (started_) Script("stop");
  }
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  bool started() const { return started_; }
  const std::string& why() const { return why_; }
  const std::string& servers() const { return servers_; }
  const std::string& directory() const { return directory_; }
  // kill -9 of broker `node` (from 1), and its start on the same data.
  void Kill(int node) { Must(fmt::format("node {} kill", node)); }
  void Start(int node) { Must(fmt::format("node {} start", node)); }

  // A name for a log of its own.
  Options NewLog() const {
    Options options;
    options.servers = servers_;
    options.prefix = fmt::format("test{}", ++logs_);
    options.close_timeout = Milliseconds(0);
    options.request_timeout = kPatience;
    options.append_timeout = kPatience;
    return options;
  }

 private:
  std::pair<int, std::string> Script(const std::string& words) const {
    const char* source = std::getenv("MAILY_SOURCE_DIR");
    const std::string command = fmt::format("{}/scripts/kafka.sh {} --dir {} 2>&1", source == nullptr ? "." : source, words, directory_);
    std::string text;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    MAILY_CHECK(pipe != nullptr, "{}", command);
    char line[512];
    while (std::fgets(line, sizeof(line), pipe) != nullptr) text += line;
    return {::pclose(pipe), text};
  }
  void Must(const std::string& words) {
    const auto [status, text] = Script(words);
    MAILY_CHECK(status == 0, "kafka.sh {}: {}", words, text);
  }

  static inline std::atomic<int> count_ = 0;
  static inline std::atomic<int> logs_ = 0;
  const std::string directory_;
  bool started_ = false;
  std::string servers_;
  std::string why_;
};

inline std::unique_ptr<Log> OpenLog(const Options& options) {
  auto log = Patiently([&] { return KafkaLog::Open(options, 0); });
  MAILY_CHECK(log, "{}", log.error().ToString());
  return *std::move(log);
}

// Makes the topics of `options`.
inline LogSettings MakeLog(const Options& options, uint16_t partitions) {
  LogSettings wanted;
  wanted.log_id.bytes.fill(7);
  wanted.partition_count = partitions;
  const auto plans = Patiently([&] { return PlanTopics(options, partitions, 0); });
  MAILY_CHECK(plans, "{}", plans.error().ToString());
  const auto made = Patiently([&] { return CreateTopics(options, *plans, wanted); });
  MAILY_CHECK(made, "{}", made.error().ToString());
  return *made;
}

}  // namespace maily::kafka
