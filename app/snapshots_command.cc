// `maily snapshots`: those that are there, and one more of a stopped process.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/instance.h"
#include "app/open_blobs.h"
#include "app/open_log.h"
#include "app/serve.h"
#include "app/subcommand.h"
#include "processors/pipeline.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/state/snapshot.h"
#include "streams/state/store.h"
#include "streams/task/snapshots.h"

namespace maily::app {
namespace {

using nlohmann::json;

constexpr size_t kListed = 1000;

struct Wanted {
  ConfigFlags flags;
  int partition = -1;  // all
};

// Of the setting `snapshots`.
Result<std::unique_ptr<Blobs>> Place(const Config& config) {
  auto blobs = OpenBlobs(config.Text("snapshots"));
  if (blobs != nullptr) return blobs;
  return Fail(Code::kInvalid, "there is no place for snapshots: set `snapshots`, or give --snapshots FOLDER");
}

json ToJson(const state::Snapshot& snapshot, const std::string& fold_version, Instant now) {
  return {{"partition", snapshot.position.partition.value()},
          {"log_id", snapshot.position.log_id.ToHex()},
          {"id", snapshot.id},
          {"lsn", snapshot.position.lsn.value()},
          {"entries", snapshot.entries},
          {"bytes", snapshot.bytes()},
          {"parts", snapshot.parts.size()},
          {"age_seconds", std::max<int64_t>(0, (now - snapshot.taken).us / 1'000'000)},
          {"build", snapshot.build},
          {"folds_as_this_build", snapshot.fold_version == fold_version}};
}

void Print(const json& item) {
  fmt::print("partition {}: ", item["partition"].get<int>());
  if (item.contains("error")) return fmt::print("{}\n", item["error"].get<std::string>());
  fmt::print("decision {}, {} entries, {} bytes in {} parts, {} s old, {}{}\n", item["lsn"].get<uint64_t>(),
             item["entries"].get<uint64_t>(), item["bytes"].get<uint64_t>(), item["parts"].get<uint64_t>(),
             item["age_seconds"].get<int64_t>(), item["id"].get<std::string>(),
             item["folds_as_this_build"].get<bool>() ? "" : " (of another build's folds)");
}

int Show(const Common& common, const json& items) {
  bool failed = false;
  for (const json& item : items) {
    failed = failed || item.contains("error");
    if (!common.json) Print(item);
  }
  if (common.json) fmt::print("{}\n", json({{"items", items}}).dump());
  return failed ? kExitFailed : kExitOk;
}

// The manifests of all partitions and logs, in the order of their names.
Result<json> List(Blobs& blobs, const Wanted& wanted) {
  const std::string fold_version = MakePipeline().FoldVersion();
  const Instant now = asio_net::SystemClock().Now();
  json items = json::array();
  for (std::string after;;) {
    MAILY_TRY(const auto entries, blobs.List("snapshots/", after, kListed));
    for (const BlobEntry& entry : entries) {
      // snapshots/<log id>/<partition>/manifests/<id>
      std::vector<std::string> names;
      for (size_t from = 0; from != std::string::npos && names.size() < 6;) {
        const size_t end = entry.name.find('/', from);
        names.push_back(entry.name.substr(from, end == std::string::npos ? end : end - from));
        from = end == std::string::npos ? end : end + 1;
      }
      if (names.size() != 5 || names[3] != "manifests" || names[1].size() != 32 || names[2].size() != 5) continue;
      if (!std::ranges::all_of(names[2], [](char c) { return c >= '0' && c <= '9'; })) continue;
      const int partition = std::stoi(names[2]);
      if (wanted.partition >= 0 && wanted.partition != partition) continue;
      const state::SnapshotPlace place(blobs, LogId::FromHex(names[1]), PartitionId(static_cast<uint16_t>(partition)));
      const auto snapshot = place.Read(names[4]);
      items.push_back(snapshot ? ToJson(*snapshot, fold_version, now)
                               : json({{"partition", partition}, {"log_id", names[1]}, {"error", snapshot.error().message}}));
    }
    if (entries.size() < kListed) return items;
    after = entries.back().name;
  }
}

int RunList(const Common& common, const Wanted& wanted) {
  const auto config = wanted.flags.Resolve();
  if (!config) return PrintError(common, config.error());
  const auto blobs = Place(*config);
  if (!blobs) return PrintError(common, blobs.error());
  const auto items = List(**blobs, wanted);
  return items ? Show(common, *items) : PrintError(common, items.error());
}

// One partition, as an item of the answer. Errors are items, too: the others are taken all the same.
json Take(Blobs& blobs, const LogId& log_id, PartitionId partition, KvStores& stores, Clock& clock, Entropy& entropy) {
  const std::string fold_version = MakePipeline().FoldVersion();
  const state::SnapshotPlace place(blobs, log_id, partition);
  const auto taken = [&]() -> Result<json> {
    MAILY_TRY(const auto kv, stores.Open(state::StoreName(partition), KvDurability::kOnFlush));
    MAILY_TRY(auto view, kv->View());
    state::SnapshotWriter writer(place, std::move(view), {.build = "maily snapshots take", .chance = entropy.Next()});
    for (bool more = true; more;) {
      const auto step = writer.Step(clock.Now());
      if (!step) writer.Abandon();
      MAILY_TRY(more, step);
    }
    MAILY_TRY_VOID(place.Prune(writer.snapshot().fold_version, writer.snapshot().id, task::kSnapshotsKept));
    return ToJson(writer.snapshot(), fold_version, clock.Now());
  }();
  return taken ? *taken : json({{"partition", partition.value()}, {"log_id", log_id.ToHex()}, {"error", taken.error().message}});
}

int RunTake(const Common& common, const Wanted& wanted) {
  const auto config = wanted.flags.Resolve();
  if (!config) return PrintError(common, config.error());
  const auto blobs = Place(*config);
  if (!blobs) return PrintError(common, blobs.error());
  const std::string data = config->Text("data");
  if (!std::filesystem::exists(data + "/state")) {
    return PrintError(common, Fail(Code::kNotFound, "there are no state stores in {}", data));
  }
  const auto instance = Instance::Open(data);
  if (!instance) return PrintError(common, instance.error());
  const rocks::Resources resources{rocks::Limits{}};
  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  const auto log = OpenLog(*config, data, resources, clock, entropy);
  if (!log) return PrintError(common, log.error());
  const int count = (*log)->settings().partition_count;
  if (wanted.partition >= count) return PrintError(common, Fail(Code::kInvalid, "there are {} partitions, from 0", count));
  rocks::RocksKvStores stores(data + "/state", resources);
  json items = json::array();
  for (int p = 0; p < count; ++p) {
    if (wanted.partition >= 0 && p != wanted.partition) continue;
    items.push_back(Take(**blobs, (*log)->settings().log_id, PartitionId(static_cast<uint16_t>(p)), stores, clock, entropy));
  }
  return Show(common, items);
}

void AddOne(CLI::App& app, Chosen& chosen, const char* name, const char* help, int (*run)(const Common&, const Wanted&)) {
  CLI::App* added = app.add_subcommand(name, help);
  added->fallthrough();
  auto wanted = std::make_shared<Wanted>();
  wanted->flags.AddTo(*added);
  added->add_option("--partition", wanted->partition, "only this one")->check(CLI::Range(0, 65535));
  added->callback([&chosen, wanted, run] { chosen = [wanted, run](const Common& common) { return run(common, *wanted); }; });
}

}  // namespace

void AddSnapshots(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  AddOne(app, chosen, "list", "those that are there, also while servers run; example: maily snapshots list --snapshots /mnt/shared/maily",
         RunList);
  AddOne(app, chosen, "take", "one of each state store of a stopped process; a server that runs takes them by itself", RunTake);
}

}  // namespace maily::app
