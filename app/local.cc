// Subcommands that need no server: config, arm, topology, schema, doctor.
#include <google/protobuf/descriptor.h>
#include <sys/statvfs.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/asyncapi.h"
#include "app/config.h"
#include "app/database.h"
#include "app/disk_room.h"
#include "app/instance.h"
#include "app/log_settings.h"
#include "app/open_log.h"
#include "app/remote.h"
#include "app/serve.h"
#include "app/subcommand.h"
#include "maily/options.pb.h"
#include "processors/pipeline.h"
#include "schemas/types.h"
#include "streams/adapters/kafka/topics.h"
#include "streams/adapters/postgres/key_store.h"
#include "streams/port/topic.h"

namespace maily::app {
namespace {

using nlohmann::json;

std::string TypeName(TypeNumber number) {
  if (const schema::Type* type = schema::FindType(number)) return fmt::format("{}.{}", type->noun, type->name);
  return fmt::format("type {}", number);
}

int ExplainConfig(const Common& common, const ConfigFlags& flags) {
  auto config = flags.Resolve();
  if (!config) return PrintError(common, config.error());
  json items = json::array();
  for (const Setting& setting : Settings()) {
    items.push_back({{"name", setting.name},
                     {"variable", VariableOf(setting.name)},
                     {"value", config->Text(setting.name)},
                     {"default", setting.fallback},
                     {"source", config->Source(setting.name)},
                     {"help", setting.help}});
    if (setting.kind == Setting::Kind::kNumber) {
      items.back()["least"] = setting.least;
      items.back()["most"] = setting.most;
    }
  }
  if (common.json) {
    std::printf("%s\n", json({{"items", items}}).dump().c_str());
    return kExitOk;
  }
  for (const json& item : items) {
    std::printf("%-24s %-24s %-16s %s\n", item["name"].get<std::string>().c_str(), item["value"].get<std::string>().c_str(),
                item["source"].get<std::string>().c_str(), item["help"].get<std::string>().c_str());
  }
  return kExitOk;
}

struct Finding {
  std::string check;
  std::string level;  // ok, warn, fail
  std::string detail;
  std::string fix;
};

std::string Explained(const std::string& mode) {
  if (mode == "live") return "live: mail goes to the world";
  if (mode == "held") return "held: this is a copy, it opens no connection";
  return "sandbox: mail reaches loopback addresses only; maily sink catches it there";
}

// What a running server says of its sending and its partitions.
void ExaminePartitions(const Server& server, std::vector<Finding>& findings) {
  const auto answer = Ask(server, "GET", "/v1/instance", "", "");
  const json instance = answer && answer->status == 200 ? json::parse(answer->body, nullptr, false) : json();
  if (!instance.is_object() || !instance.contains("partitions") || instance["partitions"].empty()) {
    findings.push_back({"partitions", "warn", "the server does not tell about its partitions", "see its log; is the admin key its own?"});
    return;
  }
  const std::string mode = instance.value("mode", "");
  findings.push_back({"sending", mode == "held" ? "warn" : "ok", Explained(mode),
                      mode == "live" ? "" : "maily arm --data … lets it, from its next start"});
  const std::string trouble = instance.value("trouble", "");
  findings.push_back({"relay", trouble.empty() ? "ok" : "fail", trouble.empty() ? "nothing is known against it" : trouble,
                      trouble.empty() ? "" : "mails wait and are tried again by themselves for 48 h; see the setting relay"});
  std::string stopped;
  double skew = 0;
  bool held = false;
  uint64_t first_min = std::numeric_limits<uint64_t>::max(), first_max = 0, trimmed = 0;
  for (const json& partition : instance["partitions"]) {
    const std::string error = partition.value("error", "");
    if (!error.empty()) stopped += fmt::format("{}partition {}: {}", stopped.empty() ? "" : "; ", partition.value("partition", 0), error);
    if (const double apart = partition.value("clock_skew_seconds", 0.0); std::abs(apart) > std::abs(skew)) skew = apart;
    held = held || partition.value("timers_held", false);
    const auto first = partition.value("commands_begin", uint64_t{0});
    first_min = std::min(first_min, first);
    first_max = std::max(first_max, first);
    trimmed += first;
  }
  findings.push_back({"partitions", stopped.empty() ? "ok" : "fail", stopped.empty() ? "none has stopped" : stopped,
                      stopped.empty() ? "" : "the server's log says more; a restart tries again"});
  findings.push_back({"clocks", held ? "fail" : "ok",
                      fmt::format("the log's clock is {:.0f} s from the machine's{}", skew, held ? ": timers hold" : ""),
                      held ? "set the machine's clock; timers fire again by themselves" : ""});
  findings.push_back(
      {"commands", "ok", fmt::format("first offsets kept: {} to {}; {} old records are trimmed", first_min, first_max, trimmed), ""});
}

// What an acknowledged record survives, and what of the log's settings weakens that.
void ExamineLog(const Config& config, std::vector<Finding>& findings) {
  if (!IsOnKafka(config)) {
    findings.push_back({"durability", "ok",
                        "embedded log, fsync before every acknowledgement: survives kill -9 and loss of power, not loss of the disk", ""});
    return;
  }
  const auto examined = ExamineLogSettings(config);
  if (!examined) {
    findings.push_back({"log", "fail", examined.error().message, ""});
    return;
  }
  size_t right = 0;
  for (const kafka::Finding& finding : examined->findings) {
    if (finding.level == kafka::Finding::Level::kOk) {
      ++right;
      continue;
    }
    findings.push_back({"log", finding.level == kafka::Finding::Level::kFail ? "fail" : "warn",
                        fmt::format("{}: {} is {}, wanted is {}", finding.where, finding.setting, finding.found, finding.wanted),
                        finding.fix});
  }
  findings.push_back({"log", "ok", fmt::format("{} settings of topics and brokers are as wanted", right), ""});
  if (examined->found) findings.push_back({"durability", "ok", "kafka: " + examined->durability, ""});
}

// The PostgreSQL server that holds the read models.
void ExamineDatabase(const Config& config, std::vector<Finding>& findings) {
  if (!IsPostgres(config)) return;
  const auto options = PostgresOptionsOf(config);
  if (!options) return findings.push_back({"database", "fail", options.error().message, "see the setting db"});
  for (const sql::PostgresFinding& found : sql::ExaminePostgres(*options)) {
    using Level = sql::PostgresFinding::Level;
    findings.push_back({"database",
                        found.level == Level::kOk     ? "ok"
                        : found.level == Level::kWarn ? "warn"
                                                      : "fail",
                        found.detail, found.fix});
  }
}

// Where the keys are that seal personal data.
void ExamineKeyring(const Config& config, std::vector<Finding>& findings) {
  if (config.Text("keyring") == kKeyringInData) {
    return findings.push_back({"keyring", "ok", "in the data directory, every write synced; for one process", ""});
  }
  const auto url = ConnectionStringOf(config, "keyring");
  if (!url) return findings.push_back({"keyring", "fail", url.error().message, "see the setting keyring"});
  using Level = libpq::KeyStoreFinding::Level;
  const libpq::KeyStoreFinding found = libpq::ExamineKeyStore(*url);
  const char* level = found.level == Level::kOk ? "ok" : found.level == Level::kWarn ? "warn" : "fail";
  findings.push_back({"keyring", level, found.detail, found.fix});
}

// Reads only.
std::vector<Finding> Examine(const Config& config) {
  std::vector<Finding> findings;
  ExamineLog(config, findings);
  ExamineDatabase(config, findings);
  ExamineKeyring(config, findings);
  const std::string data = config.Text("data");
  std::error_code error;
  if (!std::filesystem::exists(data, error)) {
    findings.push_back({"data", "warn", data + " does not exist yet", "maily serve --data " + data});
    return findings;
  }
  struct statvfs disk{};
  if (::statvfs(data.c_str(), &disk) == 0) {
    const DiskRoom room{disk.f_blocks, disk.f_bfree, disk.f_bavail, disk.f_frsize};
    const DiskLevel level = Judge(room);
    findings.push_back({"disk",
                        level == DiskLevel::kFail   ? "fail"
                        : level == DiskLevel::kWarn ? "warn"
                                                    : "ok",
                        Describe(room), level == DiskLevel::kOk ? "" : "free space on the file system of " + data});
  }
  const auto key = std::filesystem::status(data + "/admin.key", error).permissions();
  const bool open = (key & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) != std::filesystem::perms::none;
  findings.push_back({"admin key", open ? "fail" : "ok", open ? "others may read it" : "only its owner may read it",
                      open ? "chmod 600 " + data + "/admin.key" : ""});
  ServerFlags flags;
  flags.server = "http://" + config.Text("listen");
  flags.key_file = data + "/admin.key";
  const auto server = flags.Resolve();
  const auto ready = server ? Ask(*server, "GET", "/readyz", "", "") : Result<HttpAnswer>(server.error());
  if (!ready) {
    findings.push_back({"server", "warn", "not reachable at " + flags.server, "maily serve --data " + data});
  } else {
    findings.push_back({"server", ready->status == 200 ? "ok" : "warn", fmt::format("readyz answers {}", ready->status), ""});
    ExaminePartitions(*server, findings);
  }
  return findings;
}

int Doctor(const Common& common, const ConfigFlags& flags) {
  auto config = flags.Resolve();
  if (!config) return PrintError(common, config.error());
  bool found = false;
  json items = json::array();
  for (const Finding& finding : Examine(*config)) {
    found = found || finding.level == "fail";
    items.push_back({{"check", finding.check}, {"level", finding.level}, {"detail", finding.detail}, {"fix", finding.fix}});
    if (!common.json) {
      std::printf("%-5s %-12s %s%s%s\n", finding.level.c_str(), finding.check.c_str(), finding.detail.c_str(),
                  finding.fix.empty() ? "" : " -> ", finding.fix.c_str());
    }
  }
  if (common.json) std::printf("%s\n", json({{"items", items}}).dump().c_str());
  return found ? kExitDifference : kExitOk;
}

template <class Rows>
json NamesOf(const Rows& rows) {
  json names = json::array();
  for (const auto& row : rows) names.push_back(TypeName(row.type));
  return names;
}

json TopologyJson(const task::Pipeline& pipeline) {
  json nouns = json::array();
  for (const task::Noun& noun : pipeline.nouns()) {
    nouns.push_back({{"name", noun.name()},
                     {"decides", NamesOf(noun.decides())},
                     {"evolves", NamesOf(noun.evolves())},
                     {"reacts", NamesOf(noun.reacts())}});
  }
  json links = json::array();
  for (const task::Carry& carry : pipeline.carries()) {
    links.push_back({{"event", TypeName(carry.event)},
                     {"to", carry.to == task::CarryTo::kAll    ? "all"
                            : carry.to == task::CarryTo::kHome ? "home"
                                                               : "named"}});
  }
  return {{"nouns", nouns}, {"links", links}};
}

json TypeJson(const schema::Type& type) {
  json fields = json::array();
  for (int i = 0; i < type.descriptor->field_count(); ++i) {
    const auto& field = *type.descriptor->field(i);
    const auto* shape = field.message_type();
    fields.push_back({{"name", field.name()},
                      {"type", shape != nullptr               ? shape->name()
                               : field.enum_type() != nullptr ? field.enum_type()->name()
                                                              : field.type_name()},
                      {"repeated", field.is_repeated()},
                      {"personal", !field.options().GetExtension(maily::personal).empty()}});
  }
  json row{{"type", type.number}, {"name", type.full_name},     {"noun", type.noun}, {"kind", schema::KindName(type.kind)},
           {"level", type.level}, {"fields", std::move(fields)}};
  if (type.kind == schema::Kind::kCommand) row["key"] = schema::KeyName(type.key);
  if (type.kind == schema::Kind::kEvent) row["public_topic"] = schema::PublicTopicName(type.public_topic);
  if (type.kind != schema::Kind::kState) row["topic"] = TopicName(type.kind == schema::Kind::kCommand ? Topic::kCommands : Topic::kJournal);
  return row;
}

}  // namespace

void AddConfig(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* explain =
      app.add_subcommand("explain", "every setting, its value and where that comes from; example: maily config explain --output json");
  explain->fallthrough();
  auto flags = std::make_shared<ConfigFlags>();
  flags->AddTo(*explain);
  explain->callback([&chosen, flags] { chosen = [flags](const Common& common) { return ExplainConfig(common, *flags); }; });
}

void AddArm(CLI::App& app, Chosen& chosen) {
  app.footer(
      "Example: maily arm --data ./maily-data --yes; takes effect at the next start. Run it as the server's user and with its "
      "XDG_STATE_HOME.");
  auto data = std::make_shared<std::string>("maily-data");
  auto sandbox = std::make_shared<bool>(false);
  app.add_option("--data", *data, "data directory")->capture_default_str();
  app.add_flag("--sandbox", *sandbox, "take it back: loopback addresses only");
  app.callback([&chosen, data, sandbox] {
    chosen = [data, sandbox](const Common& common) -> int {
      if (!*sandbox && !Confirm(common, "From its next start this instance may send mail to the world.")) return kExitRefused;
      const auto record = Arm(*data, !*sandbox);
      if (!record) return PrintError(common, record.error());
      if (common.json) {
        fmt::print("{}\n", json({{"armed", !*sandbox}, {"identity", *record}}).dump());
      } else {
        fmt::print("{} from the next start, if the server looks for its identity at {} too (same XDG_STATE_HOME or HOME)\n",
                   *sandbox ? "sandbox" : "live", *record);
      }
      return kExitOk;
    };
  });
}

void AddTopology(CLI::App& app, Chosen& chosen) {
  app.footer("Example: maily topology --dot | dot -Tsvg > topology.svg");
  auto dot = std::make_shared<bool>(false);
  app.add_flag("--dot", *dot, "as a graph for Graphviz");
  app.callback([&chosen, dot] {
    chosen = [dot](const Common& common) {
      const task::Pipeline pipeline = MakePipeline();
      if (common.json) {
        std::printf("%s\n", TopologyJson(pipeline).dump().c_str());
        return static_cast<int>(kExitOk);
      }
      std::fputs((*dot ? pipeline.ToDot(TypeName) : pipeline.ToText(TypeName)).c_str(), stdout);
      return static_cast<int>(kExitOk);
    };
  });
}

void AddSchema(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* list = app.add_subcommand("list", "all types; example: maily schema list --output json");
  list->fallthrough();
  list->callback([&chosen] {
    chosen = [](const Common& common) {
      json items = json::array();
      for (const schema::Type& type : schema::Types()) {
        items.push_back(TypeJson(type));
        if (!common.json) fmt::print("{:4}  {:<8} {}\n", type.number, schema::KindName(type.kind), type.full_name);
      }
      if (common.json) std::printf("%s\n", json({{"items", items}}).dump().c_str());
      return static_cast<int>(kExitOk);
    };
  });
  CLI::App* async =
      app.add_subcommand("asyncapi", "the public topics as an AsyncAPI document; example: maily schema asyncapi > asyncapi.json");
  async->fallthrough();
  async->callback([&chosen] {
    chosen = [](const Common&) {
      std::printf("%s\n", AsyncApi().c_str());
      return static_cast<int>(kExitOk);
    };
  });
  CLI::App* show = app.add_subcommand("show", "one type as a message definition; example: maily schema show maily.sends.v1.AttemptOpened");
  show->fallthrough();
  auto name = std::make_shared<std::string>();
  show->add_option("type", *name, "full name or number")->required();
  show->callback([&chosen, name] {
    chosen = [name](const Common& common) {
      for (const schema::Type& type : schema::Types()) {
        if (type.full_name != *name && std::to_string(type.number) != *name) continue;
        std::printf("%s\n", common.json ? TypeJson(type).dump().c_str() : type.descriptor->DebugString().c_str());
        return static_cast<int>(kExitOk);
      }
      return PrintError(common, Fail(Code::kNotFound, "no type '{}'; see maily schema list", *name));
    };
  });
}

void AddDoctor(CLI::App& app, Chosen& chosen) {
  app.footer("Example: maily doctor --data ./maily-data; exit 4 if something fails");
  auto flags = std::make_shared<ConfigFlags>();
  flags->AddTo(app);
  app.callback([&chosen, flags] { chosen = [flags](const Common& common) { return Doctor(common, *flags); }; });
}

}  // namespace maily::app
