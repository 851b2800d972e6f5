// The topics of a log on Kafka: made, and checked against what the log's guarantees need.
//
// <prefix>.commands and <prefix>.journal have a partition for each of the log's; <prefix>.log has one, whose first record holds the log's
// settings as text: "maily-log 1\nlog_id=<32 hex digits>\npartitions=<n>\ngeneration=<n>\n" [format]. Later records of it mean nothing, so
// of two who make a log at once, one makes it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "streams/adapters/kafka/options.h"
#include "streams/port/topic.h"

namespace maily::kafka {

class Admin;

// A setting that was looked at. Level: ok; warn = weaker than it could be; fail = the log cannot keep its word, it is not opened.
struct Finding {
  enum class Level { kOk, kWarn, kFail } level = Level::kOk;
  std::string where;  // topic, or "brokers"
  std::string setting;
  std::string found;
  std::string wanted;
  std::string fix;  // a command, if one mends it
};

struct Examination {
  std::vector<Finding> findings;
  std::string durability;               // the class: what an acknowledged record survives
  bool found = false;                   // the topics are there
  std::optional<LogSettings> settings;  // that the log was made with; none: a finding says why
};

// A topic as `maily topics create` makes it.
struct TopicPlan {
  std::string name;
  uint16_t partitions = 1;
  uint16_t replication = 1;
  std::map<std::string, std::string> settings;
};

// A topic for readers or writers outside: any number of them, beside the log's own.
struct PublicTopic {
  std::string name;         // in full
  Duration retention = {};  // zero: for ever
  // Whose time its records have, and retention goes by: CreateTime, that of what they tell; LogAppendTime, the broker's.
  std::string timestamps = "CreateTime";
};

// For `partitions` 1 … 1,024. `replication` 0 = three, or as many as there are brokers. kRetry, kFatal: the brokers cannot be asked.
Result<std::vector<TopicPlan>> PlanTopics(const Options& options, uint16_t partitions, uint16_t replication);
// As above, of topics for readers and writers outside.
Result<std::vector<TopicPlan>> PlanPublicTopics(const Options& options, const std::vector<PublicTopic>& topics, uint16_t partitions,
                                                uint16_t replication);
// As a command of Kafka's own tools.
std::string ToCommand(const TopicPlan& plan, const Options& options);
// Makes what is missing of `plans`, then the settings record. kConflict: a topic exists with another number of partitions, or the log has
// other settings. Gives the log's settings: `wanted`, or what was there.
Result<LogSettings> CreateTopics(const Options& options, const std::vector<TopicPlan>& plans, const LogSettings& wanted);
// As CreateTopics without the settings record, so that it is no log yet: for who fills it first. kConflict: a topic holds records already,
// or has another number of partitions.
Result<void> MakeEmptyTopics(const Options& options, const std::vector<TopicPlan>& plans);
// Makes what is missing of `plans` and waits until it has leaders. kConflict: a topic exists with another number of partitions.
Result<void> MakeMissing(const Options& options, const std::vector<TopicPlan>& plans);

// What the cluster calls itself, for as long as it exists. kRetry: it does not answer.
Result<std::string> ClusterId(const Options& options);

// Every setting that the log rests on. kRetry, kFatal: the brokers cannot be asked.
Result<Examination> ExamineTopics(const Options& options);
Result<Examination> ExamineTopics(Admin& admin);
// The number of partitions of a topic. kNotFound: there is none.
Result<uint16_t> PartitionsOf(const Options& options, const std::string& topic);

// Of topics for readers and writers outside. Level fail: records could be lost, or none can be written. `partitions` 0: any number.
Result<std::vector<Finding>> ExaminePublicTopics(const Options& options, const std::vector<PublicTopic>& topics, uint16_t partitions);

// The settings record. kCorrupt: it is not one.
std::string FormatSettings(const LogSettings& settings);
Result<LogSettings> ParseSettings(const std::string& record, const Options& options);
// As stored. kNotFound: there is none.
Result<LogSettings> ReadSettings(Admin& admin);

}  // namespace maily::kafka
