// A first campaign under a seeded scheduler with kills, power cuts, processes that are stopped and partitions that change hands: ./dev
// torture simulate --count N --from S
//
// Checked after every seed: every acknowledged contact exists; nobody got the campaign twice; who is recorded as delivered got it once; the
// holdout got nothing; what is unknown is bounded by what was open; the campaign completes by itself; each state equals a fresh fold of its
// journal; old commands are trimmed, and a restart does not miss them. A failure prints the command that repeats it.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <unordered_map>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/journal/decision.h"
#include "streams/observe/logging.h"
#include "streams/state/key.h"
#include "tests/sim/world.h"

namespace maily::simulation {
namespace {

constexpr size_t kContacts = 60;
constexpr size_t kDeathsMax = 4;
constexpr Duration kSkewMax = Seconds(120);  // of the log's clock, either way: twice of what makes timers hold

class Run {
 public:
  // Of three seeds one has a single process, the others have two or three that take partitions over from each other.
  explicit Run(uint64_t seed) : world_(seed, 1 + seed % 3) {}

  // Empty = all checks hold.
  std::string Go() {
    PlanDeaths();
    for (size_t m = 0; m < world_.machines(); ++m) world_.Start(m);
    Prepare();
    Launch();
    if (!Complete()) return "the campaign did not complete within an hour of virtual time" + Unfinished();
    if (std::string failure = Check(); !failure.empty()) return failure;
    return ResumeAfterTrim();
  }
  const World& world() const { return world_; }
  size_t unknown() const { return unknown_; }

 private:
  void PlanDeaths() {
    const size_t deaths = 1 + world_.scheduler().Random(kDeathsMax);
    for (size_t i = 0; i < deaths; ++i)
      deaths_.push_back(world_.scheduler().clock().Steady() + world_.scheduler().RandomDuration(Milliseconds(1), Milliseconds(1500)));
    std::sort(deaths_.begin(), deaths_.end());
  }

  // Runs after every job of the scheduler.
  void MaybeDie() {
    if (world_.machines() > 1) return Trouble();
    if (next_death_ >= deaths_.size() || !world_.running() || world_.scheduler().clock().Steady() < deaths_[next_death_]) return;
    ++next_death_;
    if (world_.scheduler().Chance(0.5)) {
      world_.Kill();
    } else {
      world_.CutPower();
    }
  }

  // Of several processes: one dies, or is stopped for a while, or partitions change hands.
  void Trouble() {
    sim::Scheduler& scheduler = world_.scheduler();
    const Duration now = scheduler.clock().Steady();
    while (!later_.empty() && later_.begin()->first <= now.us) {
      const auto [at, what] = *later_.begin();
      later_.erase(later_.begin());
      what.second ? world_.Continue(what.first) : Revive(what.first);
    }
    if (next_death_ >= deaths_.size() || now < deaths_[next_death_]) return;
    ++next_death_;
    const size_t machine = scheduler.Random(world_.machines());
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (scheduler.Chance(0.5)) world_.Assign(PartitionId(p), scheduler.Random(world_.machines()));
    }
    if (!world_.running(machine)) return;
    // Shorter and longer than a lease.
    const Duration pause = scheduler.RandomDuration(Milliseconds(1), scheduler.Chance(0.5) ? Seconds(2) : Seconds(90));
    const uint64_t what = scheduler.Random(4);
    if (what == 0) world_.Kill(machine);
    if (what == 1) world_.CutPower(machine);
    if (what == 2) world_.Stop(machine);
    if (what < 3) wakes_->After(pause, [] {});  // also when all are dead
    if (what < 3) later_.emplace((now + pause).us, std::pair(machine, what == 2));
  }
  void Revive(size_t machine) {
    if (!world_.running(machine)) world_.Start(machine);
  }

  template <class Message>
  World::Decided Ask(const Message& message, const std::string& key) {
    return world_.Ask(TypeNumberOf<Message>(), message.SerializeAsString(), PartitionOf(key, kPartitions), key,
                      fmt::format("ask/{}", ++asked_), [this] { MaybeDie(); });
  }
  template <class Message>
  World::Decided AskHome(const Message& message) {
    return Ask(message, schema::HomeKey(kTenant));
  }

  void Prepare() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@shop.test");
    settings.set_postal_address("1 Main Street");
    settings.set_company("Shop");
    AskHome(settings);
    tenants::v1::RegisterAttribute attribute;
    attribute.set_name("kind");
    attribute.set_attribute_type(tenants::v1::TEXT);
    AskHome(attribute);
    templates::v1::SaveTemplate saved;
    saved.set_name("t");
    saved.set_subject("hello {{ contact.kind }}");
    saved.set_html("<a href=\"https://shop.test/\">x</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a>");
    saved.set_text("{{ postal_address }} {{ unsubscribe_url }}");
    AskHome(saved);
    for (size_t i = 0; i < kContacts; ++i) {
      const std::string address = fmt::format("c{}@mail.test", i);
      const keyring::TenantKeys& keys = *world_.keyring().Tenant(kTenant).value();
      contacts::v1::UpsertContact upsert;
      upsert.set_contact_key(schema::ContactKey(keys, address));
      upsert.set_address(address);
      auto* kind = upsert.add_attributes();
      kind->set_name("kind");
      kind->set_text(i % 3 == 2 ? "held" : "sent");
      const auto subject = world_.keyring().GetOrCreate(kTenant, upsert.contact_key()).value();
      schema::SealPersonal(upsert, kTenant, subject, world_.scheduler().entropy());
      const World::Decided decided = Ask(upsert, upsert.contact_key());
      if (decided.outcome <= static_cast<uint16_t>(journal::Outcome::kDuplicate))
        acknowledged_.emplace_back(address, upsert.contact_key(), i % 3 == 2);
    }
  }

  void Launch() {
    campaigns::v1::CreateCampaign create;
    auto& spec = *create.mutable_spec();
    spec.set_name("c");
    spec.set_template_id(1);
    spec.set_from("news@shop.test");
    auto* sent = spec.add_arms();
    sent->set_name("sent");
    sent->set_where_attribute("kind");
    sent->set_where_value("sent");
    auto* held = spec.add_arms();
    held->set_name("held");
    held->set_where_attribute("kind");
    held->set_where_value("held");
    held->set_holdout(true);
    created_ = AskHome(create);
    campaigns::v1::LaunchCampaign launch;
    launch.set_campaign_id(1);
    launched_ = AskHome(launch);
    // Deaths from here on, too: those planned may have passed while contacts were imported.
    if (world_.machines() > 1) {
      for (size_t i = 0; i < kDeathsMax; ++i) deaths_.emplace_back();
    }
    for (Duration& death : deaths_)
      death = world_.scheduler().clock().Steady() + world_.scheduler().RandomDuration(Microseconds(100), Milliseconds(400));
    std::sort(deaths_.begin(), deaths_.end());
    next_death_ = 0;
    if (world_.scheduler().Chance(0.3)) {
      world_.SkewLog(world_.scheduler().RandomDuration(Duration{} - kSkewMax, kSkewMax));
      skewed_until_ = world_.scheduler().clock().Steady() + Seconds(300);
    }
    if (world_.scheduler().Chance(0.3)) {
      campaigns::v1::PauseCampaign pause;
      pause.set_campaign_id(1);
      AskHome(pause);
      campaigns::v1::ResumeCampaign resume;
      resume.set_campaign_id(1);
      AskHome(resume);
    }
  }

  const campaigns::v1::Campaign* Campaign() {
    state::Cache* cache = world_.cache(schema::HomeOf(kTenant, kPartitions));
    if (cache == nullptr) return nullptr;
    return state::View<campaigns::v1::Campaign>(*cache).Find(state::Key(kTenant, uint64_t{1}));
  }

  bool Complete() {
    const auto done = [&] {
      MaybeDie();
      if (world_.machines() == 1) Revive(0);
      if (!later_.empty()) return false;
      if (world_.scheduler().clock().Steady() > skewed_until_) world_.SkewLog({});
      if (next_death_ < deaths_.size() || !world_.AllLeading()) return false;
      const auto* campaign = Campaign();
      return campaign != nullptr && campaign->status() == campaigns::v1::COMPLETED;
    };
    if (!world_.scheduler().RunUntil(done, Seconds(3600))) return false;
    // What is still on its way: acknowledgements of links, flushes; and the time that the log was ahead.
    world_.scheduler().RunFor(Seconds(40) + kSkewMax);
    // A result that came late may have opened a send again.
    return world_.scheduler().RunUntil([&] { return world_.AllLeading() && Waiting() == 0; }, Seconds(3600));
  }

  size_t Waiting() {
    size_t waiting = 0;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      const auto* run = state::View<sends::v1::SendRun>(*world_.cache(PartitionId(p))).Find(state::Key(kTenant, uint64_t{1}));
      if (run != nullptr) waiting += run->open() + run->waiting();
    }
    return waiting;
  }

  // What is not settled, for a person.
  std::string Unfinished() {
    std::string text = world_.Describe();
    if (const auto* campaign = Campaign()) text += "\n" + campaign->ShortDebugString();
    for (uint16_t p = 0; p < kPartitions; ++p) {
      state::Cache* cache = world_.cache(PartitionId(p));
      if (cache == nullptr) continue;
      if (const auto* run = state::View<sends::v1::SendRun>(*cache).Find(state::Key(kTenant, uint64_t{1})))
        text += fmt::format("\npartition {}: {}", p, run->ShortDebugString());
      state::View<sends::v1::OpenAttempt>(*cache).Scan({}, {}, [&](std::string_view key, const sends::v1::OpenAttempt& attempt) {
        text += fmt::format("\n  contact {}: {}", static_cast<int>(key.back()), attempt.ShortDebugString());
        return true;
      });
    }
    return text;
  }

  std::string Check() {
    std::unordered_map<std::string, size_t> received;
    for (const app::ReceivedMail& mail : world_.sink().List(0, 1'000'000)) ++received[mail.recipient];
    for (const auto& [address, key, held] : acknowledged_) {
      const PartitionId partition = PartitionOf(key, kPartitions);
      state::Cache& cache = *world_.cache(partition);
      const auto* ref = state::View<contacts::v1::ContactRef>(cache).Find(state::Key(kTenant, std::string_view(key)));
      if (ref == nullptr) return fmt::format("the acknowledged contact {} is lost", address);
      const uint64_t ordinal = ref->ordinal();
      const auto* chunk = state::View<sends::v1::SendChunk>(cache).Find(state::Key(kTenant, uint64_t{1}, (ordinal - 1) / 4096));
      if (chunk == nullptr || chunk->statuses().size() < ordinal) return fmt::format("{} has no verdict", address);
      const auto status = static_cast<sends::v1::SendStatus>(chunk->statuses()[(ordinal - 1) % 4096]);
      const size_t mails = received[address];
      if (mails > 1) return fmt::format("{} got the campaign {} times", address, mails);
      if (held != (status == sends::v1::HELD_OUT))
        return fmt::format("{}: status {}, held out: {}", address, static_cast<int>(status), held);
      if (held && mails > 0) return fmt::format("{} is held out and got a mail", address);
      if (status == sends::v1::SENT && mails != 1) return fmt::format("{} is recorded as delivered and got {}", address, mails);
      if (!held && status != sends::v1::SENT && status != sends::v1::UNKNOWN)
        return fmt::format("{}: status {} at the end", address, static_cast<int>(status));
      if (status == sends::v1::UNKNOWN) ++unknown_;
    }
    // After a kill at most one a connection; after a power cut all that was open (two credits a connection). A process that is stopped
    // tells when it wakes up, unless it dies; but the reply to a dot may be lost meanwhile.
    const size_t open_max = kWorkers * kConnectionsPerWorker * (world_.kills() + 2 * world_.power_cuts() + world_.stops());
    if (unknown_ > open_max) return fmt::format("{} unknown, more than the {} that can have been open", unknown_, open_max);
    for (uint16_t p = 0; p < kPartitions; ++p) {
      const auto folded = world_.FoldedDigest(PartitionId(p));
      if (!folded) return fmt::format("partition {}: {}", p, folded.error().ToString());
      if (!(*folded == world_.LiveDigest(PartitionId(p)))) return fmt::format("partition {}: the state is not the fold of its journal", p);
    }
    return {};
  }

  // Old commands are gone, and a task that starts again does not miss them.
  std::string ResumeAfterTrim() {
    std::vector<Hash128> before;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (world_.commands_trimmed(PartitionId(p)) == 0) return fmt::format("partition {}: no command was trimmed", p);
      before.push_back(world_.LiveDigest(PartitionId(p)));
    }
    world_.Restart();
    if (!world_.scheduler().RunUntil([&] { return world_.AllLeading(); }, Seconds(60)))
      return "a partition is not led after its commands were trimmed";
    for (uint16_t p = 0; p < kPartitions; ++p) {
      if (!(world_.LiveDigest(PartitionId(p)) == before[p])) return fmt::format("partition {}: another state after a restart", p);
    }
    contacts::v1::UpsertContact again;  // decided, not lost behind a trimmed head
    const auto& [address, key, held] = acknowledged_.front();
    again.set_contact_key(key);
    again.set_address(address);
    schema::SealPersonal(again, kTenant, world_.keyring().GetOrCreate(kTenant, key).value(), world_.scheduler().entropy());
    const World::Decided decided = Ask(again, key);
    if (decided.outcome > static_cast<uint16_t>(journal::Outcome::kDuplicate))
      return "a command after the trim is refused: " + decided.answer;
    return {};
  }

  World world_;
  std::unique_ptr<Executor> wakes_ = world_.scheduler().MakeExecutor();
  std::multimap<int64_t, std::pair<size_t, bool>> later_;  // by time: a machine that goes on (true) or starts again
  std::vector<Duration> deaths_;
  size_t next_death_ = 0;
  Duration skewed_until_;
  size_t asked_ = 0;
  size_t unknown_ = 0;
  World::Decided created_;
  World::Decided launched_;
  struct Contact {
    std::string address;
    std::string key;
    bool held;
  };
  std::vector<Contact> acknowledged_;
};

int Main(int argc, char** argv) {
  uint64_t count = 200;
  uint64_t from = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--count") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--from") == 0) from = std::strtoull(argv[i + 1], nullptr, 10);
  }
  observe::SetLevel(std::getenv("MAILY_SIM_LOG") == nullptr ? observe::Level::kOff : observe::Level::kDebug);
  const auto started = std::chrono::steady_clock::now();
  size_t failures = 0, kills = 0, cuts = 0, stops = 0, lost = 0, unknown = 0;
  std::string failed_seeds;
  for (uint64_t seed = from; seed < from + count; ++seed) {
    Run run(seed);
    const std::string failure = run.Go();
    kills += run.world().kills();
    cuts += run.world().power_cuts();
    stops += run.world().stops();
    lost += run.world().stores_lost();
    unknown += run.unknown();
    if (failure.empty()) continue;
    ++failures;
    failed_seeds += fmt::format("{}{}", failed_seeds.empty() ? "" : ",", seed);
    std::printf("seed %llu: %s\n  repeat: ./dev torture simulate --count 1 --from %llu\n", static_cast<unsigned long long>(seed),
                failure.c_str(), static_cast<unsigned long long>(seed));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::filesystem::create_directories("build/torture");
  std::ofstream("build/torture/simulate.json") << fmt::format(
      "{{\"name\":\"simulate\",\"count\":{},\"failures\":{},\"seeds\":[{}],\"seconds\":{:.1f},\"kills\":{},\"power_cuts\":{},\"stops\":{},"
      "\"stores_lost\":{},\"unknown\":{}"
      "}}\n",
      count, failures, failed_seeds, seconds, kills, cuts, stops, lost, unknown);
  std::printf(
      "%llu seeds, %zu failures; %zu kills, %zu power cuts, %zu stops, %zu machines without their stores, %zu sends unknown; %.1f s\n",
      static_cast<unsigned long long>(count), failures, kills, cuts, stops, lost, unknown, seconds);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace maily::simulation

int main(int argc, char** argv) { return maily::simulation::Main(argc, argv); }
