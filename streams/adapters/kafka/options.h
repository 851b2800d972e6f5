// Where a log on Kafka is, and how much memory it may take.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::kafka {

struct Options {
  std::string servers;           // host:port[,host:port…]: any brokers of the cluster
  std::string prefix = "maily";  // of the names of the topics, so that a cluster can hold several logs
  // Passed on to librdkafka: what concerns the connection (security.*, sasl.*, ssl.*, socket.*, broker.*, client.*, reconnect.*, debug).
  std::vector<std::pair<std::string, std::string>> properties;

  size_t recent_bytes_max = 64 << 20;        // newest records kept for readers, over all partitions
  size_t append_queue_bytes_max = 64 << 20;  // appends under way; beyond: kRetry
  Duration append_timeout = Seconds(30);     // an append that is not acknowledged by then ends in kRetry
  Duration close_timeout = Seconds(10);      // so long a log that is destroyed waits for appends under way; then they end in kRetry
  Duration request_timeout = Seconds(10);    // of reads, trims and settings
};

// Of "kafka://host:port[,host:port…][/prefix]". kInvalid: another form.
Result<Options> ParseAddress(const std::string& address);

// Properties of a file: a line "name=value" each, '#' begins a comment, as kcat reads them. kInvalid names file:line and what is wrong;
// also for a property that this adapter sets itself.
Result<std::vector<std::pair<std::string, std::string>>> LoadProperties(const std::string& path);

// "maily.commands", with the log's prefix instead of maily.
std::string CommandsTopic(const Options& options);
std::string JournalTopic(const Options& options);
// Of one partition and one record: the settings of the log, see topics.h.
std::string SettingsTopic(const Options& options);

}  // namespace maily::kafka
