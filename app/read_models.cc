// See read_models.h.
#include "app/read_models.h"

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/database.h"
#include "app/instance.h"
#include "app/open_keyring.h"
#include "app/open_log.h"
#include "projections/projector/keeper.h"
#include "projections/read_models.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"

namespace maily::app {
namespace {

using nlohmann::json;

constexpr Duration kLeasePatience = Seconds(15);  // of one that died with it, and then some
constexpr std::chrono::milliseconds kLookAgain{20};

// One group until it stands at the end of the journal. Stop was called when it is destroyed.
class Folding {
 public:
  Folding(const projections::ProjectionEnvironment& env, const projections::Group& group, projections::Views& views)
      : env_(env), keeper_(env, group, views, {.holder = fmt::format("maily store digest ({})", ::getpid())}) {
    keeper_.Start([this](Result<void> started) { started_.set_value(std::move(started)); });
  }
  ~Folding() {
    std::promise<void> stopped;
    keeper_.Stop([&stopped] { stopped.set_value(); });
    stopped.get_future().wait();
  }

  Result<projections::VerifiedDigest> Digest(const std::vector<Lsn>& ends) {
    MAILY_TRY(const auto projection, Mine());
    MAILY_TRY_VOID(ready_.get());
    for (;;) {
      const projections::ProjectionStatus status = projection->Status();
      if (!status.stopped.empty()) return Fail(Code::kFatal, "{}: {}", status.group, status.stopped);
      if (Reached(status.positions, ends)) break;
      std::this_thread::sleep_for(kLookAgain);
    }
    std::promise<Result<projections::VerifiedDigest>> answer;
    projection->Digest([&answer](Result<projections::VerifiedDigest> digest) { answer.set_value(std::move(digest)); });
    return answer.get_future().get();
  }

 private:
  Result<std::shared_ptr<projections::Projection>> Mine() {
    const Duration begin = env_.clock.Steady();
    for (;;) {
      if (auto projection = keeper_.folding()) return projection;
      if (env_.clock.Steady() - begin > kLeasePatience) {
        return Fail(Code::kConflict, "{} folds the read models '{}': stop it first", keeper_.holder(), keeper_.group());
      }
      std::this_thread::sleep_for(kLookAgain);
    }
  }
  static bool Reached(const std::vector<journal::Position>& positions, const std::vector<Lsn>& ends) {
    size_t there = 0;
    for (const journal::Position& at : positions) there += at.lsn >= ends.at(at.partition.value()) ? 1 : 0;
    return there == ends.size();
  }

  const projections::ProjectionEnvironment& env_;
  std::promise<Result<void>> started_;
  std::future<Result<void>> ready_ = started_.get_future();
  projections::Keeper keeper_;
};

// The last decision of every partition.
Result<std::vector<Lsn>> EndsOf(journal::Tails& tails) {
  std::vector<Lsn> ends;
  for (uint16_t p = 0; p < tails.partition_count(); ++p) {
    journal::Position from;
    from.partition = PartitionId(p);
    MAILY_TRY(auto reader, tails.at(PartitionId(p)).Open(from));
    for (;;) {
      MAILY_TRY(const journal::FramePtr frame, reader->Next());
      if (frame == nullptr) break;
    }
    ends.push_back(reader->position().lsn);
  }
  return ends;
}

}  // namespace

namespace {

std::string_view KindName(projections::TableKind kind) {
  if (kind == projections::TableKind::kPersonal) return "personal";
  return kind == projections::TableKind::kJudged ? "judged" : "folded";
}

}  // namespace

json TablesJson(const projections::GroupDigest& digest) {
  json tables = json::array();
  for (const projections::TableDigest& table : digest.tables) {
    tables.push_back({{"table", table.table},
                      {"kind", KindName(table.kind)},
                      {"rows", table.rows},
                      {"digest", fmt::format("{:016x}{:016x}", table.sum.high, table.sum.low)}});
  }
  return tables;
}

Result<json> FoldAndDigest(const Config& config) {
  MAILY_TRY(const auto instance, Instance::Open(config.Text("data")));
  const std::string& data = instance->data();
  const rocks::Resources resources{rocks::Limits{}};
  asio_net::SystemClock clock;
  asio_net::SystemEntropy entropy;
  MAILY_TRY(const auto log, OpenLog(config, data, resources, clock, entropy));
  rocks::RocksKvStores key_stores(data + "/keys", resources);
  MAILY_TRY(const auto keyring, OpenKeyring(config, data, key_stores, clock, entropy));
  MAILY_TRY(const auto databases, OpenDatabases(config, data));
  journal::Tails tails(*log);
  MAILY_TRY(const std::vector<Lsn> ends, EndsOf(tails));

  projections::Views views(*databases, projections::ReadModelQueries());
  asio_net::Worker disk("disk");
  asio_net::Worker worker("views");
  const projections::ProjectionEnvironment env{
      .databases = *databases,
      .executor = worker,
      .background = &disk,
      .clock = clock,
      .partition_count = log->settings().partition_count,
      .open_reader = [&tails](PartitionId partition, const journal::Position& from) { return tails.at(partition).Open(from); },
      .journal_end = [&log](PartitionId partition) { return log->Ends({Topic::kJournal, partition}).durable.value(); },
      .keyring = keyring.get()};
  json groups = json::array();
  for (const projections::Group& group : projections::ReadModelGroups()) {
    Folding folding(env, group, views);
    MAILY_TRY(const auto digest, folding.Digest(ends));
    groups.push_back({{"name", group.name}, {"digest", digest.digest.ToHex()}, {"tables", TablesJson(digest.digest)}});
  }
  json lsns = json::array();
  for (const Lsn lsn : ends) lsns.push_back(lsn.value());
  return json({{"groups", groups}, {"lsns", lsns}});
}

}  // namespace maily::app
