// Rows of `./dev bench timers`: journey timers by the million in a real store, of which a tenth is due in one minute after two hours in
// which nothing ran. The engine, the pipeline and the store are the program's; time is the program's journal time, which this moves.
//
// A contact of those that are due is in two journeys whose waits end together, and the tenant's cap is one mail a day: so each is to get
// one mail, no more, no less, and the other send is to be skipped as frequency_cap. Between two slices a command is decided, as the task
// does: how long it waits behind one is how the catching up is paced.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "bench/form.h"
#include "bench/spine/meter.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/journeys/v1/commands.pb.h"
#include "maily/journeys/v1/events.pb.h"
#include "maily/messages/v1/commands.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/adapters/rocks/options.h"
#include "streams/adapters/rocks/rocks_kv.h"
#include "streams/journal/decision.h"
#include "streams/task/decide.h"

namespace maily::bench {
namespace {

constexpr size_t kCacheBytes = size_t{64} << 20;
constexpr size_t kDirtyBytes = size_t{16} << 20;
constexpr size_t kFrameBytes = size_t{256} << 10;
constexpr TenantId kTenant(1);
constexpr PartitionId kPartition(0);

struct Arguments {
  std::string directory = "build/bench/timers";
  size_t timers = 1'000'000;
  size_t rounds = 1;
};

double ResidentMb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

// One partition: its store, its engine, and the time of its journal.
class Partition {
 public:
  Partition(const std::string& directory, const task::Pipeline& pipeline)
      : pipeline_(pipeline), resources_(rocks::Limits{}), stores_(directory, resources_) {
    Open();
  }

  // As after a start: nothing but what the store has.
  void Reopen() {
    Flush(true);
    engine_.reset();
    cache_.reset();
    kv_.reset();
    Open();
  }
  void Move(Duration duration) { now_ = now_ + duration; }

  template <class Message>
  journal::Outcome Ask(const Message& message) {
    return Command(TypeNumberOf<Message>(), schema::Encode(message));
  }
  // Slices and what links carry, until nothing more happens.
  void Settle() {
    for (bool any = true; any;) {
      any = Deliver();
      while (Slice()) any = true;
    }
  }
  // What is due, one slice of it. False: there is nothing to do.
  bool Slice() {
    journal::FrameDraft draft = Draft();
    const bool fired = engine_->FireTimers(now_, 100, draft) > 0;
    const bool cut = engine_->Slice(now_, draft);
    Keep(draft);
    return fired || cut;
  }
  size_t journal_bytes() const { return journal_bytes_; }

  std::map<std::string, uint32_t> mails;               // by contact key
  std::map<std::string, uint64_t, std::less<>> moves;  // by kind and why

 private:
  void Open() {
    auto opened = stores_.Open("state", KvDurability::kOnFlush);
    MAILY_CHECK(opened.has_value(), "{}", opened.error().ToString());
    kv_ = std::move(*opened);
    cache_ = std::make_unique<state::Cache>(*kv_, kCacheBytes);
    engine_ = std::make_unique<task::Engine>(
        pipeline_, *cache_, task::Engine::Options{.partition = kPartition, .partition_count = 1, .build = "bench", .credits = &credits_});
    engine_->work().Load();
    engine_->TakeOutboxMarks();
  }
  journal::FrameDraft Draft() const {
    journal::FrameDraft draft;
    draft.SetTime(now_);
    return draft;
  }
  journal::Outcome Command(TypeNumber type, std::string_view payload, std::string_view stream = {}, uint64_t sequence = 0) {
    command::Received received;
    const std::string id = fmt::format("{:016}", ++commands_);
    received.command.id = CommandId::From(id);
    received.command.type = type;
    if (type != link::kLinkAckCommand) received.command.tenant = kTenant;
    received.command.actor = "bench";
    received.command.occurred_at = now_;
    received.command.natural_key = stream;
    received.command.sequence = sequence;
    received.command.payload = payload;
    received.at = {kPartition, 1, Offset(commands_), 0};
    received.time = now_;
    journal::FrameDraft draft = Draft();
    const journal::Outcome outcome = engine_->Command(received, now_, draft).outcome;
    Keep(draft);
    engine_->work().WakeAll();
    return outcome;
  }
  bool Deliver() {
    std::vector<std::pair<uint64_t, link::OutboxItem>> items;
    engine_->outbox().Read(kPartition, sent_, released_, SIZE_MAX,
                           [&](uint64_t number, const link::OutboxItem& item) { items.emplace_back(number, item); });
    if (items.empty()) return false;
    const std::string name = link::LinkStream(kPartition);
    for (const auto& [number, item] : items) {
      Command(item.type, item.payload, name, number);
      sent_ = number;
    }
    Command(link::kLinkAckCommand, link::LinkAcked{kPartition, sent_}.Encode());
    return true;
  }
  void Keep(const journal::FrameDraft& draft) {
    for (const auto& [to, number] : engine_->TakeOutboxMarks()) released_ = std::max(released_, number);
    MAILY_CHECK(cache_->error() == nullptr, "{}", cache_->error()->ToString());
    journal_bytes_ += draft.body().size();
    Look(draft.body());
    if (cache_->dirty_bytes() > kDirtyBytes) Flush(false);
  }
  void Look(std::string_view body) {
    std::vector<journal::Event> events;
    Cursor cursor(body);
    while (!cursor.AtEnd()) {
      const auto decoded = journal::DecodeDecision(cursor, events);
      MAILY_CHECK(decoded.has_value(), "{}", decoded.error().ToString());
    }
    for (const journal::Event& event : events) {
      if (event.type == TypeNumberOf<messages::v1::MessageWanted>()) {
        messages::v1::MessageWanted wanted;
        wanted.ParseFromArray(event.payload.data(), static_cast<int>(event.payload.size()));
        ++mails[wanted.message().contact_key()];
      } else if (event.type == TypeNumberOf<journeys::v1::JourneysMoved>()) {
        journeys::v1::JourneysMoved moved;
        moved.ParseFromArray(event.payload.data(), static_cast<int>(event.payload.size()));
        for (const auto& move : moved.moves()) ++moves[fmt::format("{} {}", static_cast<int>(move.kind()), move.why())];
      }
    }
  }
  void Flush(bool durable) {
    cache_->Freeze();
    KvBatch batch;
    cache_->CollectFrozen(batch);
    kv_->Write(batch).value();
    cache_->Thaw(true);
    if (durable) kv_->Flush().value();
  }

  const task::Pipeline& pipeline_;
  rocks::Resources resources_;
  rocks::RocksKvStores stores_;
  task::Credits credits_;
  std::unique_ptr<Kv> kv_;
  std::unique_ptr<state::Cache> cache_;
  std::unique_ptr<task::Engine> engine_;
  Instant now_{1'700'000'000'000'000};
  uint64_t commands_ = 0;
  uint64_t sent_ = 0;
  uint64_t released_ = 0;
  size_t journal_bytes_ = 0;
};

void Prepare(Partition& partition) {
  tenants::v1::ChangeSettings settings;
  settings.add_senders("news@example.com");
  settings.set_postal_address("1 Main St");
  settings.mutable_cap()->set_per_day(1);
  partition.Ask(settings);
  templates::v1::SaveTemplate saved;
  saved.set_name("t");
  saved.set_subject("s");
  saved.set_text("{{ unsubscribe_url }} {{ postal_address }}");
  partition.Ask(saved);
  messages::v1::PrepareMessages prepare;
  prepare.set_template_("t");
  prepare.set_marketing(true);
  partition.Ask(prepare);
  for (const auto& [name, event, wait] : {std::tuple{"near", "near", "1h"}, {"near too", "near", "1h"}, {"far", "far", "30d"}}) {
    journeys::v1::DefineJourney define;
    define.set_name(name);
    define.set_json(fmt::format(R"({{"entry":{{"event":"{}"}},"steps":[{{"id":"w","type":"delay","for":"{}"}},
      {{"id":"s","type":"send","template":"t"}}]}})",
                                event, wait));
    auto& form = *define.add_forms();
    form.set_template_name("t");
    form.set_form_id(1);
    form.set_template_id(1);
    form.set_template_version(1);
    MAILY_CHECK(partition.Ask(define) == journal::Outcome::kDone, "journey {}", name);
  }
  partition.Settle();
}

std::string KeyOf(size_t contact) { return fmt::format("contact-{:08}", contact); }

void Round(const Arguments& arguments) {
  std::filesystem::remove_all(arguments.directory);
  std::filesystem::create_directories(arguments.directory);
  const task::Pipeline pipeline = MakePipeline();
  Partition partition(arguments.directory, pipeline);
  Prepare(partition);
  const size_t near = arguments.timers / 20;
  const size_t contacts = near + arguments.timers * 9 / 10;
  const auto enter = [&](size_t contact, const char* event) {
    contacts::v1::UpsertContact upsert;
    upsert.set_contact_key(KeyOf(contact));
    upsert.set_address("sealed");
    partition.Ask(upsert);
    engagements::v1::RecordContactEvent record;
    record.set_contact_key(KeyOf(contact));
    record.set_event_id(KeyOf(contact));
    record.set_name(event);
    MAILY_CHECK(partition.Ask(record) == journal::Outcome::kDone, "event of contact {}", contact);
    if (contact % 256 == 0) partition.Settle();
  };

  double start = WallSeconds();
  double early_mb = 0;
  for (size_t contact = near; contact < contacts; ++contact) {
    enter(contact, "far");
    if (contact == contacts / 2) early_mb = ResidentMb();
  }
  // Whoever is due is due within a minute.
  for (size_t contact = 0; contact < near; ++contact) {
    enter(contact, "near");
    partition.Move(Microseconds(59'000'000 / static_cast<int64_t>(near)));
  }
  partition.Settle();
  const double arming = WallSeconds() - start;
  MAILY_CHECK(partition.mails.empty(), "{} mails before their time", partition.mails.size());
  const double armed_mb = ResidentMb();
  Note("{} timers armed in {:.1f} s; {:.0f} MB of memory; {:.0f} MB of journal", arguments.timers, arming, armed_mb,
       static_cast<double>(partition.journal_bytes()) * 1e-6);

  partition.Reopen();
  partition.Move(Hours(3));
  std::vector<double> waits;
  start = WallSeconds();
  size_t commands = 0;
  for (;;) {
    const double slice = WallSeconds();
    if (!partition.Slice()) break;
    const double waited = WallSeconds() - slice;
    waits.push_back(waited);
    partition.Move(Microseconds(static_cast<int64_t>(waited * 1e6)));
    // Somebody asks for something meanwhile.
    contacts::v1::UpsertContact other;
    other.set_contact_key(fmt::format("another-{:08}", commands++));
    other.set_address("sealed");
    partition.Ask(other);
  }
  const double catching_up = WallSeconds() - start;
  partition.Reopen();
  partition.Settle();

  const auto done = [&](journeys::v1::MoveKind kind, const char* why) {
    const auto found = partition.moves.find(fmt::format("{} {}", static_cast<int>(kind), why));
    return found == partition.moves.end() ? uint64_t{0} : found->second;
  };
  uint64_t twice = 0;
  for (const auto& [key, count] : partition.mails) twice += count - 1;
  const uint64_t sent = done(journeys::v1::MOVE_SENT, "template t");
  const uint64_t capped = done(journeys::v1::MOVE_SKIPPED, "frequency_cap");
  const uint64_t left = done(journeys::v1::MOVE_LEFT, "completed");
  const auto due = static_cast<double>(2 * near);
  Print("armed", "timers/s", static_cast<double>(arguments.timers) / arming, 0, "");
  Print("caught_up", "timers/s", due / catching_up, 0, "");
  Print("slice_p50", "ms", Quantile(waits, 0.5) * 1e3, 0, "");
  Print("slice_p99", "ms", Quantile(waits, 0.99) * 1e3, 0, "");
  Print("slice_max", "ms", Quantile(waits, 1.0) * 1e3, 0, "");
  Print("twice", "mails", static_cast<double>(twice), 0, "");
  Print("lost", "timers", due - static_cast<double>(sent + capped), 0, "");
  Print("unfinished", "journeys", due - static_cast<double>(left), 0, "");
  Print("over_cap", "mails", static_cast<double>(sent) - static_cast<double>(near), 0, "");
  Print("memory", "MB", ResidentMb(), early_mb, "the same process when half of the timers were armed");
  Note("{} due went on in {:.2f} s and {} slices, each before one command; {} mails, {} skipped by the cap", 2 * near, catching_up,
       waits.size(), sent, capped);
}

}  // namespace
}  // namespace maily::bench

int main(int argc, char** argv) {
  maily::bench::Arguments arguments;
  CLI::App app("Journey timers by the million, a tenth of them due in one minute after an outage of two hours.");
  app.add_option("--dir", arguments.directory, "where it works; made anew");
  app.add_option("--timers", arguments.timers, "how many are armed");
  app.add_option("--rounds", arguments.rounds, "rounds");
  CLI11_PARSE(app, argc, argv);
  for (size_t round = 0; round < arguments.rounds; ++round) maily::bench::Round(arguments);
  std::filesystem::remove_all(arguments.directory);
  return 0;
}
