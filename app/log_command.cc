// `maily log`: a log moves to another place, with all that was decided.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/copy_target.h"
#include "app/remote.h"
#include "app/subcommand.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/command/undecided.h"
#include "streams/journal/walk.h"

namespace maily::app {
namespace {

using nlohmann::json;

constexpr size_t kBatchBytes = 8 << 20;  // of one append

struct Wanted {
  CopyPlace from, to;
};

struct Copied {
  journal::Walked walked;
  LogEnds journal, commands;  // of the source, when its copying began
  uint64_t undecided = 0;
};

// The journal, then the commands that it does not hold the decisions of.
Result<Copied> CopyPartition(Log& from, CopyTarget& to, PartitionId partition) {
  const TopicPartition journal{Topic::kJournal, partition};
  const TopicPartition commands{Topic::kCommands, partition};
  Copied copied;
  copied.journal = from.Ends(journal);
  copied.commands = from.Ends(commands);
  MAILY_TRY(copied.walked, journal::WalkJournal(from, partition, [&](std::vector<LogRecord>& records) {
              std::vector<std::string> bytes;
              for (LogRecord& record : records) bytes.push_back(std::move(record.bytes));
              return to.Append(journal, std::move(bytes));
            }));
  std::optional<CommandAt> last;
  if (const journal::SourcePosition* own = copied.walked.end.Source(0); own != nullptr && own->any) {
    last = CommandAt{partition, own->generation, own->offset, own->index};
  }
  std::vector<std::string> batch;
  size_t bytes = 0;
  MAILY_TRY(copied.undecided, command::GiveUndecided(from, partition, last ? &*last : nullptr, from.settings().generation + 1,
                                                     [&](std::string record) -> Result<void> {
                                                       bytes += record.size();
                                                       batch.push_back(std::move(record));
                                                       if (bytes < kBatchBytes) return Ok();
                                                       bytes = 0;
                                                       return to.Append(commands, std::exchange(batch, {}));
                                                     }));
  MAILY_TRY_VOID(to.Append(commands, std::move(batch)));
  return copied;
}

Result<std::vector<Copied>> CopyAll(const Common& common, Log& from, CopyTarget& to) {
  const uint16_t count = from.settings().partition_count;
  uint64_t total = 0;
  for (uint16_t p = 0; p < count; ++p) total += from.Ends({Topic::kJournal, PartitionId(p)}).durable.value();
  std::vector<Copied> all;
  uint64_t done = 0;
  for (uint16_t p = 0; p < count; ++p) {
    MAILY_TRY(auto copied, CopyPartition(from, to, PartitionId(p)));
    done += copied.walked.records;
    if (!common.json) {
      fmt::print(stderr, "partition {}: {} records of the journal, {} undecided commands; {} %\n", p, copied.walked.records,
                 copied.undecided, total == 0 ? 100 : done * 100 / total);
    }
    all.push_back(std::move(copied));
  }
  // Who appends now would be forgotten.
  for (uint16_t p = 0; p < count; ++p) {
    const auto moved = [&](Topic topic, const LogEnds& before) { return from.Ends({topic, PartitionId(p)}).durable != before.durable; };
    if (moved(Topic::kJournal, all[p].journal) || moved(Topic::kCommands, all[p].commands)) {
      return Fail(Code::kConflict, "partition {} was written to meanwhile: stop every process of this log before it is copied", p);
    }
  }
  return all;
}

// Reads the copy back.
Result<void> Compare(Log& copy, const std::vector<Copied>& all) {
  for (uint16_t p = 0; p < all.size(); ++p) {
    MAILY_TRY(const auto walked, journal::WalkJournal(copy, PartitionId(p), [](std::vector<LogRecord>&) { return Ok(); }));
    if (walked != all[p].walked) {
      return Fail(Code::kDiverged, "partition {} of the copy is not what was read: {} records instead of {}; use the copy for nothing", p,
                  walked.records, all[p].walked.records);
    }
  }
  return Ok();
}

int Copy(const Common& common, const Wanted& wanted) {
  asio_net::SystemClock clock;
  auto from = OpenCopySource(wanted.from, clock);
  if (!from) return PrintError(common, from.error());
  LogSettings settings = (*from)->settings();
  ++settings.generation;  // places of commands begin anew
  if (!Confirm(common, fmt::format("This copies the log {} from {} to {}.", settings.log_id.ToHex(), wanted.from.where, wanted.to.where))) {
    return kExitRefused;
  }
  auto to = OpenCopyTarget(wanted.to, settings, clock);
  if (!to) return PrintError(common, to.error());
  const auto unfinished = [&](const Error& error) {
    return PrintError(
        common, Fail(error.code, "the copy at {} is not whole and cannot be used{}: {}", wanted.to.where,
                     wanted.to.on_kafka() ? "; delete its topics, or take another prefix, before the next attempt" : "", error.message));
  };
  const auto all = CopyAll(common, **from, **to);
  if (!all) return unfinished(all.error());
  const auto copy = (*to)->Close();
  if (!copy) return unfinished(copy.error());
  if (auto compared = Compare(**copy, *all); !compared) {
    PrintError(common, compared.error());
    return kExitDifference;
  }
  json items = json::array();
  uint64_t records = 0, bytes = 0, undecided = 0;
  for (const Copied& copied : *all) {
    records += copied.walked.records;
    bytes += copied.walked.bytes;
    undecided += copied.undecided;
    items.push_back({{"partition", items.size()},
                     {"records", copied.walked.records},
                     {"bytes", copied.walked.bytes},
                     {"lsn", copied.walked.end.lsn.value()},
                     {"chain", fmt::format("{:016x}", copied.walked.end.chain)},
                     {"undecided_commands", copied.undecided}});
  }
  if (common.json) {
    fmt::print("{}\n", json({{"log_id", settings.log_id.ToHex()},
                             {"generation", settings.generation},
                             {"records", records},
                             {"bytes", bytes},
                             {"undecided_commands", undecided},
                             {"partitions", items}})
                           .dump());
  } else {
    fmt::print("log {}: {} records of the journal ({} bytes) and {} undecided commands copied and read back; generation {}\n",
               settings.log_id.ToHex(), records, bytes, undecided, settings.generation);
  }
  return kExitOk;
}

}  // namespace

void AddLog(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* copy = app.add_subcommand("copy",
                                      "copy a log that no process uses to an empty place: the journal record by record, and the commands "
                                      "that are not decided yet; checks every record, and reads the copy back");
  copy->footer(
      "A place is a data directory, or kafka://host:port[,host:port][/prefix of topics].\n"
      "Example: maily log copy --from ./maily-data --to kafka://kafka1:9092 --yes");
  copy->fallthrough();
  auto wanted = std::make_shared<Wanted>();
  copy->add_option("--from", wanted->from.where, "the log that is read")->required();
  copy->add_option("--to", wanted->to.where, "where there is none yet")->required();
  copy->add_option("--from-properties", wanted->from.kafka_properties,
                   "file with properties of the connection to Kafka, as kafka_properties");
  copy->add_option("--to-properties", wanted->to.kafka_properties, "the same of --to");
  copy->add_option("--replication", wanted->to.replication, "copies of each partition on Kafka [3, or 1 with fewer than three brokers]")
      ->check(CLI::Range(1, 100));
  copy->callback([&chosen, wanted] { chosen = [wanted](const Common& common) { return Copy(common, *wanted); }; });
}

}  // namespace maily::app
