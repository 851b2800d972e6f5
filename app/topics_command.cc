// `maily topics`: makes the topics of a log on Kafka.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/inbox.h"
#include "app/open_log.h"
#include "app/public_topics.h"
#include "app/remote.h"
#include "app/serve.h"
#include "app/subcommand.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/kafka/topics.h"

namespace maily::app {
namespace {

using nlohmann::json;

struct Wanted {
  ConfigFlags flags;
  uint16_t replication = 0;
  bool dry_run = false;
};

int Show(const Common& common, const std::vector<kafka::TopicPlan>& plans, const kafka::Options& options) {
  json items = json::array();
  for (const kafka::TopicPlan& plan : plans) {
    items.push_back({{"topic", plan.name},
                     {"partitions", plan.partitions},
                     {"replication", plan.replication},
                     {"settings", plan.settings},
                     {"command", kafka::ToCommand(plan, options)}});
    if (!common.json) fmt::print("{}\n", kafka::ToCommand(plan, options));
  }
  if (common.json) fmt::print("{}\n", json({{"items", items}}).dump());
  return kExitOk;
}

int Create(const Common& common, const Wanted& wanted) {
  const auto config = wanted.flags.Resolve();
  if (!config) return PrintError(common, config.error());
  if (!IsOnKafka(*config)) {
    return PrintError(common, Fail(Code::kInvalid, "the log is 'rocks', which needs no topics; give --log kafka://host:port"));
  }
  const auto options = KafkaOptions(*config);
  if (!options) return PrintError(common, options.error());
  const auto partitions = static_cast<uint16_t>(config->Number("partitions"));
  const auto plans = kafka::PlanTopics(*options, partitions, wanted.replication);
  if (!plans) return PrintError(common, plans.error());
  std::vector<kafka::TopicPlan> outside;
  if (WantsPublicTopics(*config)) {
    auto planned = kafka::PlanPublicTopics(*options, PublicTopicsOf(*options), partitions, plans->front().replication);
    if (!planned) return PrintError(common, planned.error());
    outside = *std::move(planned);
  }
  const auto inbox = TopicsOfInbox(*config, *options);
  if (!inbox) return PrintError(common, inbox.error());
  const auto inboxes = kafka::PlanPublicTopics(*options, *inbox, partitions, plans->front().replication);
  if (!inboxes) return PrintError(common, inboxes.error());
  outside.insert(outside.end(), inboxes->begin(), inboxes->end());
  if (wanted.dry_run) {
    std::vector<kafka::TopicPlan> all = *plans;
    all.insert(all.end(), outside.begin(), outside.end());
    return Show(common, all, *options);
  }
  if (!Confirm(common, fmt::format("This makes the topics {}.*, {} partitions, {} copies each.", options->prefix, plans->front().partitions,
                                   plans->front().replication))) {
    return kExitRefused;
  }
  asio_net::SystemEntropy entropy;
  LogSettings settings;
  settings.log_id = entropy.NextId<LogId>();
  settings.partition_count = plans->front().partitions;
  const auto made = kafka::CreateTopics(*options, *plans, settings);
  if (!made) return PrintError(common, made.error());
  for (kafka::TopicPlan& plan : outside) plan.partitions = made->partition_count;
  if (auto all = kafka::MakeMissing(*options, outside); !all) return PrintError(common, all.error());
  if (common.json) {
    fmt::print("{}\n", json({{"log_id", made->log_id.ToHex()}, {"partitions", made->partition_count}}).dump());
  } else {
    fmt::print("log {} is there, with {} partitions\n", made->log_id.ToHex(), made->partition_count);
  }
  return kExitOk;
}

}  // namespace

void AddTopics(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* create = app.add_subcommand(
      "create",
      "make the topics of a log that is on Kafka; what exists stays; example: maily topics create --log kafka://kafka1:9092 --dry-run");
  create->fallthrough();
  auto wanted = std::make_shared<Wanted>();
  wanted->flags.AddTo(*create);
  create->add_option("--replication", wanted->replication, "copies of each partition [3, or 1 with fewer than three brokers]")
      ->check(CLI::Range(1, 100));
  create->add_flag("--dry-run", wanted->dry_run, "print the commands of Kafka's own tools instead");
  create->callback([&chosen, wanted] { chosen = [wanted](const Common& common) { return Create(common, *wanted); }; });
}

}  // namespace maily::app
