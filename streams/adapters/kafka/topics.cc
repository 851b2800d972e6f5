// See topics.h.
#include "streams/adapters/kafka/topics.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <set>
#include <thread>

#include "streams/adapters/kafka/client.h"

namespace maily::kafka {
namespace {

constexpr uint16_t kPartitionCountMax = 1024;
constexpr uint16_t kReplicationWanted = 3;
constexpr std::chrono::milliseconds kLookAgain{50};  // while a new topic becomes known to the brokers

using Level = Finding::Level;

// ---- what is there ----

struct Found {
  bool exists = false;
  uint16_t partitions = 0;
  uint16_t replication = 0;  // the least of its partitions
  uint16_t lagging = 0;      // partitions with replicas that are not in sync
  uint16_t leaderless = 0;
  std::map<std::string, std::string> settings;
  std::string unread;  // why the settings are not known
};

Result<Found> Describe(Admin& admin, const std::string& topic) {
  MAILY_TRY(const MetadataPtr metadata, admin.Metadata(topic));
  Found found;
  if (metadata->topic_cnt != 1) return Fail(Code::kRetry, "no answer about topic {}", topic);
  const rd_kafka_metadata_topic& described = metadata->topics[0];
  if (described.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || described.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) return found;
  if (described.err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
    return Fail(Code::kFatal, "topic {}: {}{}", topic, rd_kafka_err2str(described.err), Hint(described.err));
  }
  if (described.err != RD_KAFKA_RESP_ERR_NO_ERROR && described.err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
    return Fail(Code::kRetry, "topic {}: {}", topic, rd_kafka_err2str(described.err));
  }
  found.exists = true;
  found.partitions = static_cast<uint16_t>(described.partition_cnt);
  for (int i = 0; i < described.partition_cnt; ++i) {
    const rd_kafka_metadata_partition& partition = described.partitions[i];
    const auto replicas = static_cast<uint16_t>(partition.replica_cnt);
    found.replication = i == 0 ? replicas : std::min(found.replication, replicas);
    if (partition.isr_cnt < partition.replica_cnt) ++found.lagging;
    if (partition.leader < 0) ++found.leaderless;
  }
  return found;
}

using Settings = std::map<std::string, std::string>;

// kNotFound: the resource's own error.
Result<Settings> DescribeSettings(Admin& admin, rd_kafka_ResourceType_t type, const std::string& name) {
  rd_kafka_ConfigResource_t* resource = rd_kafka_ConfigResource_new(type, name.c_str());
  const auto event = admin.Run(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
                               [&](auto* options, auto* queue) { rd_kafka_DescribeConfigs(admin.client(), &resource, 1, options, queue); });
  rd_kafka_ConfigResource_destroy(resource);
  if (!event) return event.error();
  size_t count = 0;
  const auto* resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event->get()), &count);
  if (count != 1) return Fail(Code::kNotFound, "no answer");
  if (rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* text = rd_kafka_ConfigResource_error_string(resources[0]);
    return Fail(Code::kNotFound, "{}", text == nullptr ? rd_kafka_err2str(rd_kafka_ConfigResource_error(resources[0])) : text);
  }
  Settings settings;
  const auto* entries = rd_kafka_ConfigResource_configs(resources[0], &count);
  for (size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    settings[rd_kafka_ConfigEntry_name(entries[i])] = value == nullptr ? "" : value;
  }
  return settings;
}

// Of the first broker that is named.
Result<Settings> SettingsOfABroker(Admin& admin) {
  MAILY_TRY(const MetadataPtr metadata, admin.Metadata(""));
  if (metadata->broker_cnt == 0) return Fail(Code::kNotFound, "no broker is named");
  return DescribeSettings(admin, RD_KAFKA_RESOURCE_BROKER, std::to_string(metadata->brokers[0].id));
}

// With its settings, if it exists and they can be read.
Result<Found> DescribeWhole(Admin& admin, const std::string& topic) {
  MAILY_TRY(Found found, Describe(admin, topic));
  if (!found.exists) return found;
  auto settings = DescribeSettings(admin, RD_KAFKA_RESOURCE_TOPIC, topic);
  if (settings) {
    found.settings = *std::move(settings);
  } else if (settings.error().code == Code::kNotFound) {
    found.unread = settings.error().message;
  } else {
    return settings.error();
  }
  return found;
}

int64_t Number(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  int64_t number = 0;
  if (found != settings.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
  return number;
}

// ---- what is wanted ----

std::string RetentionOf(const PublicTopic& topic) { return topic.retention.us == 0 ? "-1" : std::to_string(topic.retention.us / 1000); }

class Examiner {
 public:
  Examiner(const Options& options, Examination& examination) : options_(options), out_(examination) {}

  void Topic(const std::string& topic, const Found& found) {
    topic_ = topic;
    if (!found.unread.empty()) {
      Add(Level::kWarn, "settings", found.unread, "readable", "give Maily's user DescribeConfigs on the topic");
      return;
    }
    const Settings& settings = found.settings;
    const auto is = [&](const std::string& name, const std::string& wanted) {
      const auto has = settings.find(name);
      const std::string value = has == settings.end() ? "" : has->second;
      Add(value == wanted ? Level::kOk : Level::kFail, name, value, wanted, Alter(name, wanted));
    };
    is("cleanup.policy", "delete");
    is("retention.ms", "-1");
    is("retention.bytes", "-1");
    if (topic != SettingsTopic(options_)) is("message.timestamp.type", "LogAppendTime");
    if (found.replication > 1) is("unclean.leader.election.enable", "false");
    Size(settings);
    Replication(found);
  }

  void Public(const PublicTopic& topic, const Found& found) {
    topic_ = topic.name;
    if (!found.unread.empty()) {
      Add(Level::kWarn, "settings", found.unread, "readable", "give Maily's user DescribeConfigs on the topic");
      return;
    }
    const auto is = [&](const std::string& name, const std::string& wanted, Level otherwise) {
      const auto has = found.settings.find(name);
      const std::string value = has == found.settings.end() ? "" : has->second;
      Add(value == wanted ? Level::kOk : otherwise, name, value, wanted, Alter(name, wanted));
    };
    is("cleanup.policy", "delete", Level::kFail);
    is("retention.ms", RetentionOf(topic), Level::kWarn);
    is("retention.bytes", "-1", Level::kWarn);
    is("message.timestamp.type", topic.timestamps, Level::kWarn);
    if (found.replication > 1) is("unclean.leader.election.enable", "false", Level::kFail);
    Size(found.settings);
    Replication(found);
  }

  void Partitions(const std::string& topic, int found, int wanted) {
    topic_ = topic;
    Add(found == wanted ? Level::kOk : Level::kFail, "partitions", std::to_string(found), std::to_string(wanted),
        "none: the number is fixed when a log is made; was the topic made anew?");
  }

  void Brokers(const Settings& settings) {
    topic_ = "brokers";
    const auto found = settings.find("auto.create.topics.enable");
    const bool makes = found == settings.end() || found->second != "false";
    Add(makes ? Level::kWarn : Level::kOk, "auto.create.topics.enable", makes ? "true" : "false",
        "false: a topic that is deleted must not come back empty", "auto.create.topics.enable=false in server.properties");
  }

 private:
  void Size(const Settings& settings) {
    const std::string least = std::to_string(kMessageBytesMax);
    Add(Number(settings, "max.message.bytes") >= kMessageBytesMax ? Level::kOk : Level::kFail, "max.message.bytes",
        std::to_string(Number(settings, "max.message.bytes")), least + " or more", Alter("max.message.bytes", least));
  }

  void Replication(const Found& found) {
    Add(found.replication >= kReplicationWanted ? Level::kOk : Level::kWarn, "replication factor", std::to_string(found.replication),
        std::to_string(kReplicationWanted), "kafka-reassign-partitions.sh, with more brokers");
    const int64_t in_sync = Number(found.settings, "min.insync.replicas");
    const int64_t wanted = std::max(1, found.replication - 1);
    const Level level =
        in_sync > found.replication ? Level::kFail : (in_sync == wanted || (in_sync > 1 && in_sync < wanted) ? Level::kOk : Level::kWarn);
    Add(level, "min.insync.replicas", std::to_string(in_sync), std::to_string(wanted),
        Alter("min.insync.replicas", std::to_string(wanted)));
    if (found.lagging > 0)
      Add(Level::kWarn, "replicas in sync", fmt::format("{} partitions lack some", found.lagging), "all", "look at the brokers");
    if (found.leaderless > 0)
      Add(Level::kFail, "leader", fmt::format("{} partitions have none", found.leaderless), "all", "look at the brokers");
  }

  std::string Alter(const std::string& name, const std::string& value) const {
    return fmt::format("kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} --add-config {}={}",
                       options_.servers, topic_, name, value);
  }
  void Add(Level level, std::string setting, std::string found, std::string wanted, std::string fix) {
    out_.findings.push_back(
        {level, topic_, std::move(setting), std::move(found), std::move(wanted), level == Level::kOk ? "" : std::move(fix)});
  }

  const Options& options_;
  Examination& out_;
  std::string topic_;
};

Finding Missing(const Options& options, const std::string& topic) {
  return {Level::kFail, topic,   "topic",
          "missing",    "there", fmt::format("maily topics create --log kafka://{}/{} --yes", options.servers, options.prefix)};
}

// By the weaker of the two topics.
std::string DurabilityOf(const Found& commands, const Found& journal) {
  if (!commands.unread.empty() || !journal.unread.empty()) return "unknown: the settings of the topics cannot be read";
  const int replication = std::min(commands.replication, journal.replication);
  const int64_t in_sync = std::min(Number(commands.settings, "min.insync.replicas"), Number(journal.settings, "min.insync.replicas"));
  const bool synced = Number(commands.settings, "flush.messages") == 1 && Number(journal.settings, "flush.messages") == 1;
  if (replication < 2) {
    return fmt::format("an acknowledged record survives kill -9{}, not loss of the broker's disk (replication factor 1)",
                       synced ? " and loss of power" : "; not loss of power (flush.messages is not 1)");
  }
  const auto unclean = [](const Found& topic) {
    const auto found = topic.settings.find("unclean.leader.election.enable");
    return found != topic.settings.end() && found->second == "true";
  };
  if (unclean(commands) || unclean(journal)) return "an acknowledged record can be lost when a leader dies (unclean leader election)";
  if (in_sync < 2) {
    return "an acknowledged record survives kill -9; loss of a disk or of power only if another replica was in sync (min.insync.replicas "
           "1)";
  }
  return fmt::format("an acknowledged record survives kill -9, and loss of {} disk{} or machine{}{}", in_sync - 1, in_sync > 2 ? "s" : "",
                     in_sync > 2 ? "s" : "",
                     synced ? ", and loss of power of all" : fmt::format("; loss of power unless {} brokers lose it at once", in_sync));
}

Result<void> MakeTopics(Admin& admin, const std::vector<TopicPlan>& plans) {
  MAILY_TRY(const MetadataPtr metadata, admin.Metadata(""));
  const int brokers = metadata->broker_cnt;
  std::vector<rd_kafka_NewTopic_t*> topics;
  char text[256];
  for (const TopicPlan& plan : plans) {
    topics.push_back(rd_kafka_NewTopic_new(plan.name.c_str(), plan.partitions, plan.replication, text, sizeof(text)));
    if (topics.back() == nullptr) return Fail(Code::kInvalid, "topic {}: {}", plan.name, text);
    for (const auto& [name, value] : plan.settings) rd_kafka_NewTopic_set_config(topics.back(), name.c_str(), value.c_str());
  }
  const auto event = admin.Run(RD_KAFKA_ADMIN_OP_CREATETOPICS, [&](auto* options, auto* queue) {
    rd_kafka_AdminOptions_set_operation_timeout(options, admin.timeout_ms(), text, sizeof(text));
    rd_kafka_CreateTopics(admin.client(), topics.data(), topics.size(), options, queue);
  });
  rd_kafka_NewTopic_destroy_array(topics.data(), topics.size());
  if (!event) return event.error();
  size_t count = 0;
  const auto* results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
    const char* why = rd_kafka_topic_result_error_string(results[i]);
    // Brokers that the cluster knows, and does not count as alive at present, are too few for now.
    const bool later = error == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR && brokers >= plans[i].replication;
    return Fail(later ? Code::kRetry : Code::kFatal, "making topic {}: {}{}", rd_kafka_topic_result_name(results[i]),
                why == nullptr ? rd_kafka_err2str(error) : why, Hint(error));
  }
  return Ok();
}

// Until every partition of it has a leader.
Result<Found> AwaitTopic(Admin& admin, const std::string& topic) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(admin.timeout_ms());
  for (;;) {
    MAILY_TRY(Found found, Describe(admin, topic));
    if (found.exists && found.partitions > 0 && found.leaderless == 0) return found;
    if (std::chrono::steady_clock::now() >= give_up) return Fail(Code::kRetry, "topic {} was made, and has no leaders yet", topic);
    std::this_thread::sleep_for(kLookAgain);
  }
}

Result<void> MakeMissing(Admin& admin, const std::vector<TopicPlan>& plans) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(admin.timeout_ms());
  for (;;) {
    const auto made = MakeTopics(admin, plans);
    if (made) break;
    if (made.error().code != Code::kRetry || std::chrono::steady_clock::now() >= give_up) return made;
    std::this_thread::sleep_for(kLookAgain);
  }
  for (const TopicPlan& plan : plans) {
    MAILY_TRY(const Found found, AwaitTopic(admin, plan.name));
    if (found.partitions != plan.partitions) {
      return Fail(Code::kConflict, "topic {} exists with {} partitions, not {}: the number is fixed when a log is made", plan.name,
                  found.partitions, plan.partitions);
    }
  }
  return Ok();
}

// A broker that has just become leader may not know it yet.
Result<Watermarks> EndsOfNew(Admin& admin, const std::string& topic, uint16_t partition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(admin.timeout_ms());
  for (;;) {
    auto marks = admin.QueryWatermarks(topic, partition, admin.timeout_ms());
    if (marks || marks.error().code != Code::kRetry || std::chrono::steady_clock::now() >= give_up) return marks;
    std::this_thread::sleep_for(kLookAgain);
  }
}

// What is made: the number of partitions is checked, and 0 copies become what the brokers can hold.
Result<void> Settle(const Options& options, uint16_t partitions, uint16_t& replication) {
  if (partitions == 0 || partitions > kPartitionCountMax) {
    return Fail(Code::kInvalid, "a log has 1 to {} partitions, not {}", kPartitionCountMax, partitions);
  }
  if (replication != 0) return Ok();
  MAILY_TRY(const auto admin, Admin::Connect(options));
  MAILY_TRY(const MetadataPtr metadata, admin->Metadata(SettingsTopic(options)));
  replication = metadata->broker_cnt >= kReplicationWanted ? kReplicationWanted : 1;
  return Ok();
}

Settings WantedSettings(const std::string& times, const std::string& retention_ms, uint16_t replication) {
  return {{"cleanup.policy", "delete"},
          {"retention.ms", retention_ms},
          {"retention.bytes", "-1"},
          {"message.timestamp.type", times},
          {"max.message.bytes", "1100000"},
          {"min.insync.replicas", std::to_string(std::max(1, replication - 1))},
          {"unclean.leader.election.enable", "false"}};
}

Result<void> WriteSettings(const Options& options, const LogSettings& settings) {
  MAILY_TRY(const ClientPtr client, MakeClient(RD_KAFKA_PRODUCER, options, {{"acks", "all"}}));
  MAILY_TRY(const TopicPtr topic, MakeTopic(client.get(), SettingsTopic(options)));
  std::string record = FormatSettings(settings);
  if (rd_kafka_produce(topic.get(), 0, RD_KAFKA_MSG_F_COPY, record.data(), record.size(), nullptr, 0, nullptr) != 0) {
    return Fail(Code::kRetry, "writing to {}: {}", SettingsTopic(options), rd_kafka_err2str(rd_kafka_last_error()));
  }
  // Whether it came is seen by reading.
  rd_kafka_flush(client.get(), static_cast<int>(options.request_timeout.us / 1000));
  return Ok();
}

}  // namespace

Result<LogSettings> ParseSettings(const std::string& record, const Options& options) {
  std::map<std::string, std::string> lines;
  size_t from = record.find('\n');
  const bool known = record.substr(0, from) == "maily-log 1";
  while (from != std::string::npos && from + 1 < record.size()) {
    const size_t end = std::min(record.find('\n', from + 1), record.size());
    const std::string line = record.substr(from + 1, end - from - 1);
    lines[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
    from = end;
  }
  LogSettings settings;
  settings.log_id = LogId::FromHex(lines["log_id"]);
  settings.partition_count = static_cast<uint16_t>(std::atoi(lines["partitions"].c_str()));
  settings.generation = static_cast<uint32_t>(std::atoi(lines["generation"].c_str()));
  if (!known || settings.log_id.IsZero() || settings.partition_count == 0 || settings.generation == 0) {
    return Fail(Code::kCorrupt, "the first record of topic {} is not the settings of a log that this version knows",
                SettingsTopic(options));
  }
  return settings;
}

std::string FormatSettings(const LogSettings& settings) {
  return fmt::format("maily-log 1\nlog_id={}\npartitions={}\ngeneration={}\n", settings.log_id.ToHex(), settings.partition_count,
                     settings.generation);
}

Result<std::vector<TopicPlan>> PlanTopics(const Options& options, uint16_t partitions, uint16_t replication) {
  MAILY_TRY_VOID(Settle(options, partitions, replication));
  const Settings settings = WantedSettings("LogAppendTime", "-1", replication);
  return std::vector<TopicPlan>{{CommandsTopic(options), partitions, replication, settings},
                                {JournalTopic(options), partitions, replication, settings},
                                {SettingsTopic(options), 1, replication, settings}};
}

Result<std::vector<TopicPlan>> PlanPublicTopics(const Options& options, const std::vector<PublicTopic>& topics, uint16_t partitions,
                                                uint16_t replication) {
  MAILY_TRY_VOID(Settle(options, partitions, replication));
  std::vector<TopicPlan> plans;
  for (const PublicTopic& topic : topics) {
    plans.push_back({topic.name, partitions, replication, WantedSettings(topic.timestamps, RetentionOf(topic), replication)});
  }
  return plans;
}

std::string ToCommand(const TopicPlan& plan, const Options& options) {
  std::string command = fmt::format("kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {} --replication-factor {}",
                                    options.servers, plan.name, plan.partitions, plan.replication);
  for (const auto& [name, value] : plan.settings) command += fmt::format(" --config {}={}", name, value);
  return command;
}

Result<void> MakeMissing(const Options& options, const std::vector<TopicPlan>& plans) {
  if (plans.empty()) return Ok();
  MAILY_TRY(const auto admin, Admin::Connect(options));
  return MakeMissing(*admin, plans);
}

Result<void> MakeEmptyTopics(const Options& options, const std::vector<TopicPlan>& plans) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  MAILY_TRY_VOID(MakeMissing(*admin, plans));
  for (const TopicPlan& plan : plans) {
    for (uint16_t p = 0; p < plan.partitions; ++p) {
      MAILY_TRY(const Watermarks marks, EndsOfNew(*admin, plan.name, p));
      if (marks.high > 0) {
        return Fail(Code::kConflict,
                    "topic {} holds records already (partition {} ends at {}): give another prefix, or delete the topics {}.*", plan.name,
                    p, marks.high, options.prefix);
      }
    }
  }
  return Ok();
}

Result<LogSettings> CreateTopics(const Options& options, const std::vector<TopicPlan>& plans, const LogSettings& wanted) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  MAILY_TRY_VOID(MakeMissing(*admin, plans));
  auto settings = ReadSettings(*admin);
  if (settings || settings.error().code != Code::kNotFound) return settings;
  MAILY_TRY_VOID(WriteSettings(options, wanted));
  return ReadSettings(*admin);
}

Result<LogSettings> ReadSettings(Admin& admin) {
  const std::string topic = SettingsTopic(admin.options());
  MAILY_TRY(const auto record, admin.FirstRecord(topic));
  if (!record) return Fail(Code::kNotFound, "topic {} holds no settings: maily topics create has not come to its end; run it again", topic);
  return ParseSettings(*record, admin.options());
}

Result<std::vector<Finding>> ExaminePublicTopics(const Options& options, const std::vector<PublicTopic>& topics, uint16_t partitions) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  Examination out;
  Examiner examiner(options, out);
  for (const PublicTopic& topic : topics) {
    MAILY_TRY(const Found found, DescribeWhole(*admin, topic.name));
    if (!found.exists) {
      out.findings.push_back(Missing(options, topic.name));
      continue;
    }
    examiner.Public(topic, found);
    if (partitions != 0) examiner.Partitions(topic.name, found.partitions, partitions);
  }
  return std::move(out.findings);
}

Result<uint16_t> PartitionsOf(const Options& options, const std::string& topic) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  MAILY_TRY(const Found found, Describe(*admin, topic));
  if (!found.exists) return Fail(Code::kNotFound, "there is no topic {}", topic);
  return found.partitions;
}

Result<Examination> ExamineTopics(const Options& options) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  return ExamineTopics(*admin);
}

Result<Examination> ExamineTopics(Admin& admin) {
  const Options& options = admin.options();
  Examination out;
  Examiner examiner(options, out);
  const std::string names[] = {CommandsTopic(options), JournalTopic(options), SettingsTopic(options)};
  // A start waits for nothing else: what can be asked at once is.
  std::future<Result<Found>> asked[3];
  for (size_t i = 0; i < 3; ++i)
    asked[i] = std::async(std::launch::async, [&admin, name = names[i]] { return DescribeWhole(admin, name); });
  Found found[3];
  for (size_t i = 0; i < 3; ++i) {
    MAILY_TRY(found[i], asked[i].get());
    if (!found[i].exists) {
      out.findings.push_back(Missing(options, names[i]));
      return out;
    }
  }
  out.found = true;
  for (size_t i = 0; i < 3; ++i) examiner.Topic(names[i], found[i]);
  auto reading = std::async(std::launch::async, [&admin] { return ReadSettings(admin); });
  const auto broker = SettingsOfABroker(admin);
  const auto settings = reading.get();
  if (!settings) {
    out.findings.push_back({Level::kFail, names[2], "settings of the log", settings.error().message, "there", "maily topics create"});
  } else {
    out.settings = *settings;
    examiner.Partitions(names[0], found[0].partitions, settings->partition_count);
    examiner.Partitions(names[1], found[1].partitions, settings->partition_count);
  }
  if (broker) examiner.Brokers(*broker);
  out.durability = DurabilityOf(found[0], found[1]);
  return out;
}

Result<std::string> ClusterId(const Options& options) {
  MAILY_TRY(const auto admin, Admin::Connect(options));
  char* id = rd_kafka_clusterid(admin->client(), admin->timeout_ms());
  if (id == nullptr) return Fail(Code::kRetry, "Kafka at {} does not tell its cluster id", options.servers);
  std::string text = id;
  rd_kafka_mem_free(admin->client(), id);
  return text;
}

}  // namespace maily::kafka
