// Row `decide`: clicks per second through append → decide → journal, durable, against the same records and frames in a bare RocksDB.
//
// A round: commands of 100 bytes payload over uniformly drawn contacts, 256 a record, are appended as long as fewer than `window` of them
// are undecided; it ends when the last decision is accepted. Then what was written is read back, and written again raw with as many syncs.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <thread>

#include "bench/form.h"
#include "bench/spine/raw_log.h"
#include "bench/spine/world.h"

namespace maily::bench {
namespace {

constexpr size_t kCommandsPerRecord = 256;

struct Arguments {
  std::string directory = "build/bench/decide";
  size_t contacts = 64'000;
  size_t commands = 512'000;
  size_t window = 32'768;
  size_t rounds = 5;
  bool reference = true;
};

class Feeder {
 public:
  explicit Feeder(World& world) : world_(world), by_partition_(world.log().settings().partition_count) {
    for (const Recipient& recipient : world.recipients()) by_partition_[recipient.partition.value()].push_back(recipient);
  }

  // Appends one record to the next partition.
  void Append(Uniform& chance) {
    const PartitionId partition(static_cast<uint16_t>(next_++ % by_partition_.size()));
    const auto& recipients = by_partition_[partition.value()];
    for (size_t i = 0; i < kCommandsPerRecord; ++i) {
      MAILY_CHECK(builder_.Add(world_.Click(recipients[chance.Below(recipients.size())], chance, payload_)), "a record is full");
    }
    world_.log().Append({Topic::kCommands, partition},
                        builder_.Finish(world_.log().settings().log_id, world_.log().settings().generation, partition), Sync::kSoon,
                        [](const Result<Appended>& done) { MAILY_CHECK(done.has_value(), "append: {}", done.error().ToString()); });
  }

 private:
  World& world_;
  std::vector<std::vector<Recipient>> by_partition_;
  size_t next_ = 0;
  command::RecordBuilder builder_;
  std::string payload_;
};

void Round(World& world, Feeder& feeder, Uniform& chance, const Arguments& arguments) {
  const std::vector<uint64_t> ends = Ends(world.log());
  const uint64_t before = world.Accepted();
  const uint64_t syncs_before = WalSyncs();
  const double cpu = CpuSeconds();
  const double start = WallSeconds();
  const size_t records = arguments.commands / kCommandsPerRecord;
  const uint64_t total = records * kCommandsPerRecord;
  uint64_t sent = 0;
  for (;;) {
    const uint64_t accepted = world.Accepted() - before;
    if (accepted >= total) break;
    if (sent < total && sent - std::min(sent, accepted) + kCommandsPerRecord * 16 <= arguments.window) {
      for (size_t i = 0; i < 16 && sent < total; ++i, sent += kCommandsPerRecord) feeder.Append(chance);
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    MAILY_CHECK(WallSeconds() - start < 120, "{} of {} commands decided in two minutes", accepted, total);
  }
  const double seconds = WallSeconds() - start;
  const double cpu_seconds = CpuSeconds() - cpu;
  const uint64_t syncs = WalSyncs() - syncs_before;
  const auto rate = static_cast<double>(total);
  if (!arguments.reference) {
    Note("{:.0f} commands/s, {:.0f} per CPU-second, {} syncs", rate / seconds, rate / cpu_seconds, syncs);
    return;
  }
  const std::vector<Written> written = ReadBack(world.log(), ends);
  size_t bytes = 0;
  for (const Written& record : written) bytes += record.bytes.size();
  const RawCost raw = WriteRaw(arguments.directory + "/raw", 2 * world.log().settings().partition_count, written, syncs);
  Note("{} records and {} frames, {:.1f} MB, {} syncs", records, written.size() - records, static_cast<double>(bytes) * 1e-6, syncs);
  constexpr std::string_view kReference = "the same records and frames as raw RocksDB WriteBatches, same syncs";
  Print("decide", "commands/s", rate / seconds, rate / raw.seconds, kReference);
  Print("decide_cpu", "commands/CPU-s", rate / cpu_seconds, rate / raw.cpu_seconds, kReference);
}

int Main(const Arguments& arguments) {
  Settings settings;
  settings.directory = arguments.directory + "/world";
  World world(settings);
  world.Load(arguments.contacts);
  Feeder feeder(world);
  Uniform chance(20'080'320);
  for (size_t round = 0; round < arguments.rounds; ++round) Round(world, feeder, chance, arguments);
  return 0;
}

}  // namespace
}  // namespace maily::bench

int main(int argc, char** argv) {
  maily::bench::Arguments arguments;
  CLI::App app("Commands per second through append, decide and journal.");
  app.add_option("--dir", arguments.directory, "where it works; made anew");
  app.add_option("--contacts", arguments.contacts, "contacts of the campaign");
  app.add_option("--commands", arguments.commands, "commands a round");
  app.add_option("--window", arguments.window, "commands undecided at a time");
  app.add_option("--rounds", arguments.rounds, "rounds");
  app.add_flag("!--no-reference", arguments.reference, "for a profile: ours alone");
  CLI11_PARSE(app, argc, argv);
  const int code = maily::bench::Main(arguments);
  std::filesystem::remove_all(arguments.directory);
  return code;
}
