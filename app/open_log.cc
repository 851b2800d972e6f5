// See open_log.h.
#include "app/open_log.h"

#include <filesystem>

#include "streams/adapters/kafka/kafka_log.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/adapters/rocks/rocks_log.h"
#include "streams/journal/find.h"

namespace maily::app {

bool IsOnKafka(const Config& config) { return config.Text("log") != "rocks"; }

Result<kafka::Options> KafkaOptions(const Config& config) {
  auto options = kafka::ParseAddress(config.Text("log"));
  if (!options) return Fail(Code::kInvalid, "{}: log is 'rocks', or {}", config.Source("log"), options.error().message);
  if (const std::string& path = config.Text("kafka_properties"); !path.empty()) {
    MAILY_TRY(options->properties, kafka::LoadProperties(path));
  }
  return options;
}

Result<std::unique_ptr<Log>> OpenLog(const Config& config, const std::string& data, const rocks::Resources& resources, Clock& clock,
                                     Entropy& entropy) {
  const bool asked = config.Source("partitions") != "default";
  const auto partitions = static_cast<uint16_t>(config.Number("partitions"));
  if (IsOnKafka(config)) {
    MAILY_TRY(const kafka::Options options, KafkaOptions(config));
    return kafka::KafkaLog::Open(options, asked ? partitions : uint16_t{0});
  }
  LogSettings wanted;
  wanted.log_id = entropy.NextId<LogId>();
  // A directory that exists keeps its count; asking for another one by name is refused.
  wanted.partition_count = asked || !std::filesystem::exists(data + "/log") ? partitions : uint16_t{0};
  return rocks::RocksLog::Open(data + "/log", wanted, resources, clock);
}

Result<std::pair<Instance::Place, uint64_t>> PlaceOf(const Config& config, const std::string& data, Log& log, uint64_t recorded) {
  Instance::Place place{.log_id = log.settings().log_id, .name = data};
  if (!IsOnKafka(config)) return std::pair(place, recorded);
  MAILY_TRY(const kafka::Options options, KafkaOptions(config));
  MAILY_TRY(const std::string cluster, kafka::ClusterId(options));
  place.name = fmt::format("kafka cluster {}, topics {}.*", cluster, options.prefix);
  place.shared = true;
  uint64_t newest = 0;
  for (uint16_t p = 0; p < log.settings().partition_count; ++p) {
    MAILY_TRY(const Epoch epoch, journal::NewestEpoch(log, PartitionId(p)));
    newest = std::max(newest, epoch.value());
  }
  return std::pair(place, newest);
}

}  // namespace maily::app
