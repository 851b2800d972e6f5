// `maily store`: what the stores and read models of a stopped process hold.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/instance.h"
#include "app/open_log.h"
#include "app/read_models.h"
#include "app/serve.h"
#include "app/subcommand.h"
#include "processors/pipeline.h"
#include "schemas/types.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/task/verify.h"

namespace maily::app {
namespace {

using nlohmann::json;

struct Wanted {
  ConfigFlags flags;
  int partition = -1;  // all
};

std::string Hex(const Hash128& hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

std::string TableOf(TypeNumber number) {
  const schema::Type* type = schema::FindType(number);
  return type == nullptr ? fmt::format("type {}", number) : fmt::format("{}.{}", type->noun, type->name);
}

// One partition, as an item of the answer. Errors are items, too: the others are looked at all the same.
json Verify(const Common& common, Log& log, const task::Pipeline& pipeline, PartitionId partition, KvStores& stores, KvStores& scratch) {
  uint64_t shown = 0;
  const auto verified = task::VerifyStore(log, pipeline, partition, stores, scratch, [&](uint64_t done, uint64_t of) {
    if (common.json || of < 100 || done * 10 / of == shown) return;
    shown = done * 10 / of;
    fmt::print(stderr, "partition {}: {} % of {} decisions folded\n", partition.value(), shown * 10, of);
  });
  json item = {{"partition", partition.value()}};
  if (!verified) {
    const bool none = verified.error().code == Code::kNotFound;
    item["result"] = none ? "none" : "error";
    item["error"] = verified.error().message;
    return item;
  }
  item["result"] = verified->equal() ? "equal" : "different";
  item["lsn"] = verified->position.lsn.value();
  item["entries"] = verified->entries;
  item["stored"] = Hex(verified->stored);
  item["folded"] = Hex(verified->folded);
  if (const auto& difference = verified->difference) {
    item["first_difference"] = {{"table", TableOf(difference->type)},
                                {"tenant", difference->tenant.value()},
                                {"key_hash", fmt::format("{:016x}", difference->key_hash)},
                                {"what", difference->what}};
  }
  return item;
}

void Print(const json& item) {
  const std::string result = item["result"];
  fmt::print("partition {}: ", item["partition"].get<int>());
  if (result == "none" || result == "error") {
    fmt::print("{}\n", item["error"].get<std::string>());
    return;
  }
  fmt::print("{} at decision {}, {} entries, digest {}\n", result, item["lsn"].get<uint64_t>(), item["entries"].get<uint64_t>(),
             item["stored"].get<std::string>());
  if (!item.contains("first_difference")) return;
  const json& first = item["first_difference"];
  fmt::print("  first: {} of tenant {}, key hash {}: {}\n", first["table"].get<std::string>(), first["tenant"].get<int>(),
             first["key_hash"].get<std::string>(), first["what"].get<std::string>());
}

int RunVerify(const Common& common, const Wanted& wanted) {
  const auto config = wanted.flags.Resolve();
  if (!config) return PrintError(common, config.error());
  const std::string data = config->Text("data");
  if (!std::filesystem::exists(data + "/state")) {
    return PrintError(common, Fail(Code::kNotFound, "there are no state stores in {}", data));
  }
  const auto instance = Instance::Open(data);
  if (!instance) return PrintError(common, instance.error());
  const rocks::Resources resources{rocks::Limits{}};
  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  auto log = OpenLog(*config, data, resources, clock, entropy);
  if (!log) return PrintError(common, log.error());
  const int count = (*log)->settings().partition_count;
  if (wanted.partition >= count) return PrintError(common, Fail(Code::kInvalid, "there are {} partitions, from 0", count));
  rocks::RocksKvStores stores(data + "/state", resources);
  rocks::RocksKvStores scratch(data + "/verify", resources);
  const task::Pipeline pipeline = MakePipeline();
  json items = json::array();
  int code = kExitOk;
  for (int p = 0; p < count; ++p) {
    if (wanted.partition >= 0 && p != wanted.partition) continue;
    items.push_back(Verify(common, **log, pipeline, PartitionId(static_cast<uint16_t>(p)), stores, scratch));
    if (!common.json) Print(items.back());
    const std::string result = items.back()["result"];
    if (result == "error" && code == kExitOk) code = kExitFailed;
    if (result == "different") code = kExitDifference;
  }
  std::error_code ignored;
  std::filesystem::remove_all(data + "/verify", ignored);
  if (common.json) fmt::print("{}\n", json({{"items", items}}).dump());
  return code;
}

int RunDigest(const Common& common, const ConfigFlags& flags) {
  const auto config = flags.Resolve();
  if (!config) return PrintError(common, config.error());
  const auto digests = FoldAndDigest(*config);
  if (!digests) return PrintError(common, digests.error());
  if (common.json) {
    fmt::print("{}\n", digests->dump());
    return kExitOk;
  }
  for (const json& group : (*digests)["groups"]) {
    fmt::print("{} {}\n", group["digest"].get<std::string>(), group["name"].get<std::string>());
    for (const json& table : group["tables"]) {
      fmt::print("  {} {}: {} rows{}\n", table["digest"].get<std::string>(), table["table"].get<std::string>(),
                 table["rows"].get<uint64_t>(), table["kind"] == "folded" ? "" : ", " + table["kind"].get<std::string>());
    }
  }
  return kExitOk;
}

}  // namespace

void AddStore(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* verify =
      app.add_subcommand("verify",
                         "fold the journal again, beside, and compare the state stores of a stopped process with it; exit code 4: "
                         "they differ; example: maily store verify --data ./maily-data");
  verify->fallthrough();
  auto wanted = std::make_shared<Wanted>();
  wanted->flags.AddTo(*verify);
  verify->add_option("--partition", wanted->partition, "only this one")->check(CLI::Range(0, 65535));
  verify->callback([&chosen, wanted] { chosen = [wanted](const Common& common) { return RunVerify(common, *wanted); }; });
  CLI::App* digest =
      app.add_subcommand("digest",
                         "bring the read models of a stopped process to the end of the journal, or build them, and print their digests, "
                         "table by table; example: maily store digest --data ./maily-data");
  digest->fallthrough();
  auto flags = std::make_shared<ConfigFlags>();
  flags->AddTo(*digest);
  digest->callback([&chosen, flags] { chosen = [flags](const Common& common) { return RunDigest(common, *flags); }; });
}

}  // namespace maily::app
