// The smtp effect on a relay, a log and slots in memory: every result, take-over after a kill at any moment, credits.
#include "processors/effects/smtp/delivery.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/effects/smtp/fixture.h"
#include "processors/effects/smtp/granter.h"
#include "processors/effects/smtp/lease.h"
#include "processors/effects/smtp/message.h"
#include "processors/personalization/links.h"
#include "schemas/asset_store.h"
#include "schemas/codec.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"
#include "streams/state/key.h"
#include "streams/state/table.h"

namespace maily::smtp {
namespace {

using sends::v1::RecordAttempt;

constexpr TenantId kTenant(1);
const std::string kRelay = schema::RelayCredits(kTenant);
constexpr uint64_t kCampaign = 7;

// Commands that are durable, and appends that a test holds back.
class FakeLog : public Log {
 public:
  FakeLog() { settings_.partition_count = 4; }
  const LogSettings& settings() const override { return settings_; }
  void Append(TopicPartition at, std::string record, Sync, AppendDone done) override {
    if (fail) return done(Fail(Code::kRetry, "disk full"));
    const Offset offset(records.size());
    records.emplace_back(at.partition, std::move(record));
    if (hold) {
      held_.emplace_back(offset, std::move(done));
    } else {
      done(Appended{offset});
    }
  }
  Result<std::vector<LogRecord>> Read(TopicPartition, Offset, size_t, ReadTo) override { return std::vector<LogRecord>(); }
  LogEnds Ends(TopicPartition) override { return {}; }
  std::unique_ptr<TailWatch> WatchTail(TopicPartition, ReadTo, std::function<void()>) override { return nullptr; }
  Result<void> Trim(TopicPartition, Offset) override { return Ok(); }
  bool ordered_across_partitions() const override { return true; }
  std::string durability_class() const override { return "none"; }

  void Release() {
    hold = false;
    for (auto& [offset, done] : std::exchange(held_, {})) done(Appended{offset});
  }
  bool fail = false;
  bool hold = false;
  std::vector<std::pair<PartitionId, std::string>> records;

 private:
  LogSettings settings_;
  std::vector<std::pair<Offset, AppendDone>> held_;
};

// What outlives kill -9.
struct Machine {
  Keys keys;
  MemorySlots slots{4 + 64};
  ManualExecutor executor;
  FakeRelay relay{executor};
  FakeLog log;
  // The state, as the task would fold it.
  state::Disk disk;
  state::MapKv kv{disk};
  std::unique_ptr<state::Cache> cache = std::make_unique<state::Cache>(kv, 1 << 20);
  Timeouts timeouts;
  std::shared_ptr<EncodedTails> tails = nullptr;
  uint16_t tick = 0;                // type of renewals; 0: there are none
  std::vector<CommandId> tick_ids;  // those in the log, as of Results()

  Machine() {
    SaveCampaign("Hi {{ contact.first_name }} {{ contact.n }}|{{ unsubscribe_url }} {{ postal_address }} https://x.example/a", kCampaign);
  }
  void SaveCampaign(const std::string& text, uint64_t id) {
    campaigns::v1::CampaignRun run;
    run.mutable_spec()->set_from("Shop <news@shop.example>");
    auto& version = *run.mutable_template_version();
    version.set_subject("For {{ contact.first_name }}");
    version.set_text(text);
    for (const auto& link : personalization::LinkTable("", text)) version.add_links(link);
    run.set_postal_address("1 High St");
    cache->Begin();
    state::Table<campaigns::v1::CampaignRun>(*cache).Edit(state::Key(kTenant, id)) = run;
    cache->Commit();
  }
  void SetOpen(uint64_t ordinal, uint32_t attempt, uint64_t opener, sends::v1::SendStatus status = sends::v1::OPEN) {
    cache->Begin();
    auto& open = state::Table<sends::v1::OpenAttempt>(*cache).Edit(state::Key(kTenant, kCampaign, ordinal));
    open.set_attempt(attempt);
    open.set_status(status);
    open.set_opener(opener);
    open.set_first_opened_at_us(1'763'700'000'000'000);
    cache->Commit();
  }
  void Close(uint64_t ordinal) {
    cache->Begin();
    state::Table<sends::v1::OpenAttempt>(*cache).Erase(state::Key(kTenant, kCampaign, ordinal));
    cache->Commit();
  }
  std::vector<RecordAttempt> Results() {
    std::vector<RecordAttempt> results;
    tick_ids.clear();
    for (const auto& [partition, record] : log.records) {
      const auto commands = command::ParseRecord(record, log.settings().log_id, log.settings().generation, partition);
      EXPECT_TRUE(commands.has_value());
      for (const auto& command : *commands) {
        EXPECT_EQ(command.actor, "effect:smtp");
        if (command.type == tick) {
          tick_ids.push_back(command.id);
          continue;
        }
        results.push_back(*schema::Decode<RecordAttempt>(command.payload));
      }
    }
    return results;
  }
};

// One run of the program on that machine, leading partition 2.
struct Process {
  explicit Process(Machine& machine_in, size_t connections = 2) : Process(machine_in, connections, machine_in.slots) {}
  // Leads under `leads`, or not at all.
  Process(Machine& machine_in, size_t connections, MemorySlots& slots, std::optional<Epoch> leads = Epoch(1))
      : machine(machine_in), epoch(leads.value_or(Epoch(0))), attempts(slots, 4, machine_in.keys.entropy), sender(machine_in.log, 1 << 20) {
    shared = MakeShared({.relay = {"relay", 25},
                         .connections = connections,
                         .session = {.timeouts = machine.timeouts},
                         .tracking_base_url = "https://t.example",
                         .tails = machine.tails,
                         .tick = machine.tick},
                        machine.relay, attempts, machine.executor, machine.executor, machine.keys.entropy, sender, *machine.keys.ring);
    if (leads) Lead();
  }
  void Lead() {
    delivery = MakeDelivery(shared, PartitionId(2));
    credits = task::Credits();
    delivery->Lead({.partition = PartitionId(2), .epoch = epoch, .position = {}, .cache = machine.cache.get(), .credits = &credits});
  }

  sends::v1::AttemptOpened Make(uint64_t ordinal, uint32_t attempt = 1, uint64_t campaign = kCampaign) {
    auto& ring = *machine.keys.ring;
    const std::string subject = fmt::format("contact-{:08}", ordinal);
    const auto key = ring.GetOrCreate(kTenant, subject).value();
    sends::v1::AttemptOpened opened;
    opened.set_campaign_id(campaign);
    opened.set_ordinal(ordinal);
    opened.set_attempt(attempt);
    opened.set_opener(attempts.opener());
    opened.set_granted_at_us(machine.executor.Steady().us);
    opened.set_address(schema::Seal(kTenant, key, "address", fmt::format("ada{}@b.example", ordinal), machine.keys.entropy));
    auto& name = *opened.add_attributes();
    name.set_name("first_name");
    name.set_sealed(schema::Seal(kTenant, key, schema::AttributeFieldId("first_name"), "Ada", machine.keys.entropy));
    auto& n = *opened.add_attributes();
    n.set_name("n");
    n.set_number(29.06);
    return opened;
  }
  // The task opened these attempts: state and journal say so.
  void Accept(const std::vector<sends::v1::AttemptOpened>& opened) { Accept(opened, epoch); }
  void Accept(const std::vector<sends::v1::AttemptOpened>& opened, Epoch under) {
    std::vector<std::string> payloads;
    journal::AcceptedFrame frame;
    frame.time = {1'763'700'000'000'000};
    frame.after.epoch = under;
    for (const auto& event : opened) {
      machine.SetOpen(event.ordinal(), event.attempt(), event.opener());
      payloads.push_back(schema::Encode(event));
    }
    for (const auto& payload : payloads) frame.events.push_back({TypeNumberOf<sends::v1::AttemptOpened>(), payload});
    frame.decisions.emplace_back();
    frame.decisions.back().tenant = kTenant;
    frame.decisions.back().trace = TraceId::FromHex("0123456789abcdef0123456789abcdef");
    frame.decisions.back().events = frame.events;
    delivery->Accepted(frame);
  }
  // The task decided the renewals that it has not decided yet.
  void DecideTicks() {
    machine.Results();
    journal::AcceptedFrame frame;
    frame.after.epoch = epoch;
    for (; decided_ticks < machine.tick_ids.size(); ++decided_ticks) {
      frame.decisions.emplace_back();
      frame.decisions.back().cause.command_id = machine.tick_ids[decided_ticks];
    }
    delivery->Accepted(frame);
  }
  // Opens up to `n` attempts, as long as there are credits.
  size_t Slice(uint64_t& next, uint64_t until) {
    std::vector<sends::v1::AttemptOpened> opened;
    while (next <= until && credits.Take(kRelay)) {
      opened.push_back(Make(next++));
      opened.back().set_site(std::string(kSite));
    }
    Accept(opened);
    return opened.size();
  }

  Machine& machine;
  const Epoch epoch;
  AttemptSlots attempts;
  command::Sender sender;
  task::Credits credits;
  size_t decided_ticks = 0;
  std::shared_ptr<Shared> shared;
  std::unique_ptr<effects::Effect> delivery;
};

TEST(Delivery, AnAttemptBecomesAMailAndAResult) {
  Machine machine;
  Process process(machine);
  process.Accept({process.Make(1)});
  machine.executor.Run();
  ASSERT_EQ(machine.relay.received.size(), 1u);
  EXPECT_EQ(machine.relay.received[0].from, "news@shop.example");
  EXPECT_EQ(machine.relay.received[0].to, "ada1@b.example");
  std::string mail = machine.relay.received[0].data;
  for (size_t at; (at = mail.find("=\r\n")) != std::string::npos;) mail.erase(at, 3);
  EXPECT_NE(mail.find("\r\nSubject: For Ada\r\n"), std::string::npos) << mail;
  EXPECT_NE(mail.find("Hi Ada 29.06|https://t.example/u/"), std::string::npos) << mail;
  EXPECT_NE(mail.find("https://t.example/c/"), std::string::npos);
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].result(), sends::v1::DELIVERED);
  EXPECT_EQ(results[0].reply_code(), 250u);
  EXPECT_EQ(results[0].ordinal(), 1u);
  EXPECT_EQ(results[0].attempt(), 1u);
  EXPECT_EQ(results[0].peer(), "relay:25");
  EXPECT_EQ(process.attempts.free_count(), 64u);
}

TEST(Delivery, ASecondAttemptIsTheSameBytes) {
  Machine machine;
  Process process(machine);
  machine.executor.Run();
  const auto first = process.Make(1);
  process.Accept({first});
  machine.executor.Run();
  machine.executor.Advance(Hours(5));
  auto second = first;
  second.set_attempt(2);
  second.set_granted_at_us(machine.executor.Steady().us);
  process.Accept({second});
  machine.executor.Run();
  ASSERT_EQ(machine.relay.received.size(), 2u);
  EXPECT_EQ(machine.relay.received[0].data, machine.relay.received[1].data);
}

TEST(Delivery, RefusalsAreReportedWithoutTheAddress) {
  Machine machine;
  std::vector<std::string> lines;
  observe::SetSinkForTesting([&](std::string_view line) { lines.emplace_back(line); });
  machine.relay.hook = [](const std::string& command, const std::string& rest) {
    if (command != "RCPT") return std::string();
    if (rest.find("ada1@") != std::string::npos) return std::string("550 5.1.1 <Ada1@b.example>: no user ada1 here\r\n");
    return std::string("451 4.7.1 ada2@b.example is greylisted\r\n");
  };
  Process process(machine, 1);
  process.Accept({process.Make(1), process.Make(2)});
  machine.executor.Run();
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].result(), sends::v1::BOUNCED);
  EXPECT_EQ(results[0].enhanced_code(), "5.1.1");
  EXPECT_EQ(results[0].stage(), "rcpt");
  EXPECT_EQ(results[0].reply_text(), "<recipient>: no user <recipient> here");
  EXPECT_EQ(results[1].result(), sends::v1::DEFERRED);
  EXPECT_EQ(results[1].reply_text(), "<recipient> is greylisted");
  observe::SetSinkForTesting({});
  for (const auto& line : lines) EXPECT_EQ(line.find("ada"), std::string::npos) << line;
}

TEST(Delivery, WhatCannotBeMadeIsReportedAndNotSent) {
  Machine machine;
  machine.SaveCampaign("{{ broken", 8);
  std::string large;
  for (int i = 0; i < 9000; ++i) large += "{{ contact.first_name }}";
  machine.SaveCampaign(large, 9);
  Process process(machine);
  auto gone = process.Make(1);
  ASSERT_TRUE(machine.keys.ring->Destroy(kTenant, "contact-00000001"));
  auto forged = process.Make(2);
  forged.mutable_address()->back() ^= 1;
  auto huge = process.Make(3, 1, 9);
  const auto key = machine.keys.ring->GetOrCreate(kTenant, std::string_view("contact-00000003")).value();
  huge.mutable_attributes(0)->set_sealed(
      schema::Seal(kTenant, key, schema::AttributeFieldId("first_name"), std::string(200, 'x'), machine.keys.entropy));
  process.Accept({gone, forged, huge, process.Make(4, 1, 8), process.Make(5, 1, 99)});
  machine.executor.Advance(kTurn);
  std::vector<int> results;
  for (const auto& result : machine.Results()) results.push_back(result.result());
  EXPECT_EQ(results, (std::vector<int>{sends::v1::ADDRESS_GONE, sends::v1::NOT_RENDERED, sends::v1::NOT_RENDERED, sends::v1::NOT_RENDERED,
                                       sends::v1::NOT_RENDERED}));
  EXPECT_EQ(machine.relay.dials, 0);
}

TEST(Delivery, ResultsOfATurnShareARecord) {
  Machine machine;
  Process process(machine, 20);
  std::vector<sends::v1::AttemptOpened> opened;
  for (uint64_t ordinal = 1; ordinal <= 20; ++ordinal) opened.push_back(process.Make(ordinal));
  process.Accept(opened);
  machine.executor.Run();
  EXPECT_EQ(machine.relay.received.size(), 20u);
  machine.executor.Advance(kTurn);
  EXPECT_EQ(machine.Results().size(), 20u);
  EXPECT_LE(machine.log.records.size(), 5u);  // the last ones, when little is under way, leave at once
  EXPECT_EQ(process.attempts.free_count(), 64u);
  // With one under way nothing is waited for.
  process.Accept({process.Make(21)});
  machine.executor.Run();
  EXPECT_EQ(machine.Results().size(), 21u);
}

TEST(Delivery, AQuickRelayHasMoreAheadAndASlowOneTwoAConnection) {
  Machine machine;
  Process process(machine, 4);
  uint64_t next = 1;
  for (int turn = 0; turn < 100; ++turn) {  // each turn takes all that there is: 2,000 a second and more
    process.Slice(next, 100'000);
    machine.executor.Advance(kTurn);
  }
  EXPECT_GT(next, 1000u);
  machine.relay.hook = [](const std::string& command, const std::string&) { return command == "MAIL" ? "hang" : ""; };
  const uint64_t before = next;
  for (int turn = 0; turn < 1000; ++turn) {
    process.Slice(next, 100'000);
    machine.executor.Advance(kTurn);
  }
  EXPECT_LE(next - before, 6u * 8u) << "no more than was ahead of the quick one";
}

TEST(Delivery, CreditsAreBoundedAndComeBack) {
  Machine machine;
  Process process(machine, 2);
  EXPECT_EQ(process.credits.available(kRelay), 0u);
  uint64_t next = 1;
  EXPECT_EQ(process.Slice(next, 100), 0u);  // asks
  machine.executor.Run();
  EXPECT_EQ(process.credits.available(kRelay), 4u);
  machine.relay.hook = [](const std::string& command, const std::string&) { return command == "MAIL" ? "hang" : ""; };
  EXPECT_EQ(process.Slice(next, 100), 4u);
  machine.executor.Run();
  EXPECT_EQ(process.credits.available(kRelay), 0u);  // all are in flight
  machine.executor.Advance(Seconds(400));            // two time out, two follow them
  machine.relay.hook = nullptr;
  for (int i = 0; i < 1000 && next <= 100; ++i) {
    process.Slice(next, 100);
    machine.executor.Advance(Milliseconds(500));  // a granted task is woken at once; what it leaves for two ticks is taken back
  }
  EXPECT_EQ(next, 101u);
  machine.executor.Advance(Seconds(10));
  EXPECT_EQ(machine.Results().size(), 100u);
}

TEST(Delivery, AnAttemptIsLagUntilItsResultIsDurable) {
  Machine machine;
  const auto shown = [](const std::string& line) {
    return observe::Metrics::Process().PrometheusText().find(line + "\n") != std::string::npos;
  };
  const std::string records = R"(maily_effect_lag_records{effect="smtp",partition="2"} )";
  const std::string seconds = R"(maily_effect_lag_seconds{effect="smtp",partition="2"} )";
  {
    Process process(machine);
    EXPECT_TRUE(shown(records + "0"));
    machine.log.hold = true;
    process.Accept({process.Make(1), process.Make(2), process.Make(3, 1, 99)});  // of the last no mail can be made
    machine.executor.Run();
    machine.executor.Advance(Seconds(2));
    EXPECT_EQ(machine.relay.received.size(), 2u);
    EXPECT_TRUE(shown(records + "3")) << "sent, and the log has not answered";
    EXPECT_TRUE(shown(seconds + "2"));
    machine.log.Release();
    machine.executor.Run();
    EXPECT_TRUE(shown(records + "0"));
    EXPECT_TRUE(shown(seconds + "0"));
    // While the relay does not answer, it grows older.
    machine.relay.hook = [](const std::string& command, const std::string&) { return command == "MAIL" ? "hang" : ""; };
    process.Accept({process.Make(4)});
    machine.executor.Advance(Seconds(9));
    EXPECT_TRUE(shown(records + "1"));
    EXPECT_TRUE(shown(seconds + "9"));
  }
  // What was open is lag of the next run too, until its report is durable.
  machine.Close(1);
  machine.Close(2);
  machine.Close(3);
  machine.log.hold = true;
  Process next(machine);
  EXPECT_TRUE(shown(records + "1"));
  machine.log.Release();
  machine.executor.Run();
  EXPECT_TRUE(shown(records + "0"));
}

TEST(Delivery, CreditsThatNobodySpendsAreTakenBack) {
  Machine machine;
  Process process(machine, 2);
  EXPECT_FALSE(process.credits.Take(kRelay));
  machine.executor.Run();
  EXPECT_EQ(process.credits.available(kRelay), 4u);
  // Two are spent in a decision that was undone, two never.
  EXPECT_TRUE(process.credits.Take(kRelay) && process.credits.Take(kRelay));
  machine.executor.Advance(Seconds(3));
  EXPECT_EQ(process.credits.available(kRelay), 0u);
  EXPECT_FALSE(process.credits.Take(kRelay));
  machine.executor.Run();
  EXPECT_EQ(process.credits.available(kRelay), 4u);
}

TEST(Delivery, AResultIsAppendedUntilItIsDurable) {
  Machine machine;
  Process process(machine);
  machine.log.fail = true;
  process.Accept({process.Make(1)});
  machine.executor.Advance(Seconds(10));
  EXPECT_EQ(machine.relay.received.size(), 1u);
  EXPECT_EQ(process.attempts.free_count(), 63u);
  machine.log.fail = false;
  machine.executor.Advance(Seconds(10));
  EXPECT_EQ(machine.Results().size(), 1u);
  EXPECT_EQ(process.attempts.free_count(), 64u);
}

TEST(Delivery, StopDropsWhatHasNotBegunAndReportsWhatIsOnTheWire) {
  Machine machine;
  Process process(machine, 1);
  machine.relay.hook = [](const std::string& command, const std::string&) { return command == "dot" ? "hang" : ""; };
  process.Accept({process.Make(1), process.Make(2)});
  machine.executor.Run();
  process.delivery->Stop();
  machine.executor.Run();
  auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].ordinal(), 2u);
  EXPECT_EQ(results[0].result(), sends::v1::NEVER_SENT);
  machine.Close(2);
  // Led again by the same process: the one on the wire is left alone.
  process.Lead();
  machine.executor.Run();
  EXPECT_EQ(machine.Results().size(), 1u);
  machine.executor.Advance(Seconds(700));
  results = machine.Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[1].ordinal(), 1u);
  EXPECT_EQ(results[1].result(), sends::v1::RESULT_UNKNOWN);
}

TEST(Delivery, DrainWaitsForTheWireAndForDurability) {
  Machine machine;
  Process process(machine, 1);
  machine.log.hold = true;
  process.Accept({process.Make(1)});
  machine.executor.Run();
  bool drained = false;
  Drain(process.shared, [&] { drained = true; });
  machine.executor.Run();
  EXPECT_FALSE(drained);
  machine.log.Release();
  machine.executor.Run();
  EXPECT_TRUE(drained);
}

// --- take-over ---

// Runs one attempt, kills the process where `kill` says, and gives what the next one reports.
std::vector<RecordAttempt> AfterKill(Machine& machine, const std::string& where, const std::string& boot) {
  {
    // Nothing of this process does anything any more once the block ends.
    Process process(machine, 1);
    machine.executor.Run();
    machine.relay.hook = [&](const std::string& command, const std::string&) { return command == where ? "hang" : ""; };
    machine.log.fail = where == "report";
    const auto opened = process.Make(1);
    if (where != "before") process.Accept({opened});
    if (where == "before") machine.SetOpen(1, 1, opened.opener());
    machine.executor.Run();
  }
  machine.executor.Run();
  machine.log.fail = false;
  machine.relay.hook = nullptr;
  machine.slots.boot = boot;
  Process next(machine, 1);
  machine.executor.Advance(boot == "boot" ? Seconds(1) : kLease + kLeaseMargin + Seconds(1));
  return machine.Results();
}

TEST(Delivery, AKillLeavesAnOpenAttemptThatIsSettledByItsSlot) {
  const std::pair<const char*, sends::v1::AttemptResult> cases[] = {{"before", sends::v1::NEVER_SENT},  {"connect", sends::v1::NEVER_SENT},
                                                                    {"MAIL", sends::v1::NEVER_SENT},    {"DATA", sends::v1::NEVER_SENT},
                                                                    {"dot", sends::v1::RESULT_UNKNOWN}, {"report", sends::v1::DELIVERED}};
  for (const auto& [where, expected] : cases) {
    Machine machine;
    const auto results = AfterKill(machine, where, "boot");
    ASSERT_EQ(results.size(), 1u) << where;
    EXPECT_EQ(results[0].result(), expected) << where;
    EXPECT_EQ(results[0].attempt(), 1u);
    Machine rebooted;
    const auto after_boot = AfterKill(rebooted, where, "another");
    ASSERT_EQ(after_boot.size(), 1u) << where;
    EXPECT_EQ(after_boot[0].result(), sends::v1::RESULT_UNKNOWN) << where;
  }
}

// --- several processes ---

std::string HangAtDot(const std::string& command, const std::string&) { return command == "dot" ? "hang" : ""; }

// Another process's attempt is in no slot of this one: that it was never sent does not follow. Unknown, when its lease is over; and when
// its opener tells, that counts.
TEST(Delivery, WhatAnotherProcessHasSentIsUnknownOnlyAfterItsLease) {
  Machine machine;
  MemorySlots others{4 + 64};
  {
    Process led_before(machine, 1, others);
  }
  machine.executor.Run();
  Process first(machine, 1);
  machine.relay.hook = HangAtDot;
  first.Accept({first.Make(1)});
  machine.executor.Run();
  first.delivery->Stop();
  Process second(machine, 1, others, Epoch(2));
  EXPECT_FALSE(second.credits.Take(kRelay));
  machine.executor.Advance(kLease + kLeaseMargin - Seconds(1));
  EXPECT_TRUE(machine.Results().empty());
  EXPECT_FALSE(second.credits.wanted(kRelay)) << "credits were granted: others are sent meanwhile";
  machine.executor.Advance(Seconds(2));
  auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].result(), sends::v1::RESULT_UNKNOWN);
  EXPECT_TRUE(results[0].given_up());
  machine.relay.hook = nullptr;
  machine.executor.Advance(Seconds(700));  // the relay's reply does not come: its opener says the same
  results = machine.Results();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[1].result(), sends::v1::RESULT_UNKNOWN);
  EXPECT_FALSE(results[1].given_up());
}

TEST(Delivery, WhatItsOpenerHasToldIsNotCalledUnknown) {
  Machine machine;
  MemorySlots others{4 + 64};
  Process first(machine, 1);
  first.Accept({first.Make(1)});
  Process second(machine, 1, others, Epoch(2));
  machine.executor.Run();
  ASSERT_EQ(machine.Results().size(), 1u);
  EXPECT_EQ(machine.Results()[0].result(), sends::v1::DELIVERED);
  machine.Close(1);  // decided
  machine.executor.Advance(Hours(1));
  EXPECT_EQ(machine.Results().size(), 1u);
}

// Until it hears that it is fenced, a process reads the next owner's frames.
TEST(Delivery, WhatTheNextOwnerOpensIsNotSentByTheFormerOne) {
  Machine machine;
  MemorySlots others{4 + 64};
  Process first(machine, 1);
  Process second(machine, 1, others, Epoch(2));
  const auto opened = second.Make(1);
  first.Accept({opened}, Epoch(2));
  second.Accept({opened});
  machine.executor.Run();
  EXPECT_EQ(machine.relay.received.size(), 1u);
  EXPECT_EQ(machine.Results().size(), 1u);
}

// A process that was stopped (SIGSTOP, or the machine suspended) begins nothing and ends nothing with a dot when it wakes too late.
TEST(Delivery, AZombieHandsNothingOverAfterItsLease) {
  for (const std::string where : {"connect", "EHLO", "MAIL", "RCPT", "DATA"}) {
    Machine machine;
    MemorySlots others{4 + 64};
    machine.relay.pipelining = where != "MAIL" && where != "RCPT";
    auto first = std::make_unique<Process>(machine, 1);
    machine.executor.Run();
    first->Accept({first->Make(1), first->Make(2)});
    bool stopped = false;
    machine.relay.hook = [&](const std::string& command, const std::string&) {
      if (command == where && !std::exchange(stopped, true)) machine.executor.Sleep(kLease);  // nothing runs meanwhile
      return "";
    };
    machine.executor.Run();
    machine.executor.Advance(Seconds(5));
    EXPECT_TRUE(stopped);
    EXPECT_TRUE(machine.relay.received.empty()) << where;
    const auto results = machine.Results();
    ASSERT_EQ(results.size(), 2u) << where;
    for (const auto& result : results) EXPECT_EQ(result.result(), sends::v1::NEVER_SENT) << where;
    EXPECT_EQ(first->attempts.free_count(), 64u);
  }
}

// A frame that was accepted so late that the lease is over.
TEST(Delivery, AnAttemptThatIsAcceptedTooLateNeverBegins) {
  Machine machine;
  Process process(machine);
  const auto opened = process.Make(1);
  machine.executor.Advance(kLease);
  process.Accept({opened});
  machine.executor.Advance(Seconds(1));
  EXPECT_EQ(machine.relay.dials, 0);
  ASSERT_EQ(machine.Results().size(), 1u);
  EXPECT_EQ(machine.Results()[0].result(), sends::v1::NEVER_SENT);
}

// While it leads, a relay that takes its time is waited for: a command that this leadership decides renews the lease.
TEST(Delivery, ALeaseIsRenewedByWhatThisLeadershipDecides) {
  for (const bool decided : {true, false}) {
    Machine machine;
    machine.tick = 1;
    machine.timeouts.data = Seconds(50);
    Process process(machine, 1);
    bool held = true;
    process.Accept({process.Make(3)});  // the relay is known to work
    machine.executor.Run();
    machine.relay.hook = [&](const std::string& command, const std::string&) { return command == "DATA" && held ? "hang" : ""; };
    process.Accept({process.Make(1), process.Make(2)});
    for (int i = 0; i < 45; ++i) {
      machine.executor.Advance(Seconds(1));
      if (decided) process.DecideTicks();
    }
    held = false;
    machine.executor.Advance(Seconds(10));  // the first one's time-out for 354 ends in it
    std::map<int, int> results;
    for (const auto& result : machine.Results()) ++results[result.result()];
    if (decided) {
      EXPECT_EQ(results, (std::map<int, int>{{sends::v1::DELIVERED, 2}, {sends::v1::DEFERRED, 1}}));
    } else {
      EXPECT_EQ(results, (std::map<int, int>{{sends::v1::DELIVERED, 1}, {sends::v1::DEFERRED, 1}, {sends::v1::NEVER_SENT, 1}}));
    }
    // Nothing is under way: no more renewals.
    const size_t ticks = machine.tick_ids.size();
    machine.executor.Advance(Hours(1));
    EXPECT_EQ(machine.Results().size(), 3u);
    EXPECT_EQ(machine.tick_ids.size(), ticks);
    EXPECT_GE(ticks, 2u);
  }
}

// A process that starts again and does not lead: it looks at its slots for what the journal still has open.
TEST(Delivery, AProcessThatOnlyFollowsReportsWhatItOpened) {
  const std::pair<const char*, sends::v1::AttemptResult> cases[] = {
      {"MAIL", sends::v1::NEVER_SENT}, {"dot", sends::v1::RESULT_UNKNOWN}, {"report", sends::v1::DELIVERED}};
  for (const auto& [where, expected] : cases) {
    Machine machine;
    MemorySlots others{4 + 64};
    {
      Process dying(machine, 1);
      machine.relay.hook = [&](const std::string& command, const std::string&) { return command == where ? "hang" : ""; };
      machine.log.fail = std::string(where) == "report";
      dying.Accept({dying.Make(1)});
      machine.executor.Run();
    }
    machine.log.fail = false;
    machine.relay.hook = nullptr;
    Process owner(machine, 1, others, Epoch(2));
    owner.Accept({owner.Make(2)});  // its own, which is none of the follower's business
    machine.executor.Run();
    machine.Close(2);
    const size_t before = machine.Results().size();
    Process follower(machine, 1, machine.slots, std::nullopt);
    ReportOpened(follower.shared, PartitionId(2), *machine.cache);
    machine.executor.Run();
    const auto results = machine.Results();
    ASSERT_EQ(results.size(), before + 1) << where;
    EXPECT_EQ(results.back().ordinal(), 1u);
    EXPECT_EQ(results.back().result(), expected) << where;
    EXPECT_EQ(follower.attempts.free_count(), 64u);
  }
}

TEST(Delivery, CreditsWaitUntilTheOldIsSettledAndAKillBeforeThatChangesNothing) {
  Machine machine;
  machine.SetOpen(1, 1, Process(machine).attempts.opener());
  machine.SetOpen(2, 1, 0, sends::v1::WAITING);
  for (int kills = 0; kills < 3; ++kills) {
    machine.log.fail = true;
    Process process(machine);
    EXPECT_FALSE(process.credits.Take(kRelay));
    machine.executor.Advance(Seconds(3));
    EXPECT_EQ(process.credits.available(kRelay), 0u);
  }
  machine.log.fail = false;
  Process process(machine);
  EXPECT_FALSE(process.credits.Take(kRelay));
  machine.executor.Advance(Seconds(1));
  EXPECT_GT(process.credits.available(kRelay), 0u);
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].ordinal(), 1u);
  EXPECT_EQ(results[0].result(), sends::v1::NEVER_SENT);
}

// Kills at random moments of a campaign; a model task folds what is durable. Nobody gets two mails but by a decision on an unknown, and
// everybody ends delivered or unknown.
TEST(Delivery, KilledAtAnyMomentNobodyGetsTwoMails) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  observe::SetLevel(observe::Level::kOff);
  constexpr uint64_t kContacts = 60;
  Machine machine;
  std::map<uint64_t, sends::v1::SendStatus> settled;
  std::map<uint64_t, uint32_t> attempt;  // last opened
  uint64_t next = 1;
  std::set<uint64_t> again;  // never sent: to be opened again
  size_t decided = 0;
  // The task's part: decides on durable results in the order of the log.
  const auto decide = [&] {
    const auto results = machine.Results();
    for (; decided < results.size(); ++decided) {
      const RecordAttempt& result = results[decided];
      if (settled.contains(result.ordinal()) || attempt[result.ordinal()] != result.attempt() || again.contains(result.ordinal())) continue;
      machine.Close(result.ordinal());
      if (result.result() == sends::v1::DELIVERED) {
        settled[result.ordinal()] = sends::v1::SENT;
      } else if (result.result() == sends::v1::RESULT_UNKNOWN) {
        settled[result.ordinal()] = sends::v1::UNKNOWN;
      } else {
        again.insert(result.ordinal());
      }
    }
  };
  size_t unknown_per_kill_max = 0;
  for (int life = 0; life < 200 && settled.size() < kContacts; ++life) {
    decide();
    const size_t unknown_before =
        static_cast<size_t>(std::count_if(settled.begin(), settled.end(), [](const auto& s) { return s.second == sends::v1::UNKNOWN; }));
    auto process = std::make_unique<Process>(machine, 3);
    size_t steps = random() % 60;
    machine.relay.hook = [&](const std::string& command, const std::string&) {
      return command == "MAIL" && random() % 10 == 0 ? "close" : "";
    };
    machine.log.hold = random() % 4 == 0;
    while (steps-- > 0 && settled.size() < kContacts) {
      decide();
      std::vector<sends::v1::AttemptOpened> opened;
      while ((!again.empty() || next <= kContacts) && process->credits.Take(kRelay)) {
        const uint64_t ordinal = again.empty() ? next++ : *again.begin();
        again.erase(ordinal);
        opened.push_back(process->Make(ordinal, ++attempt[ordinal]));
      }
      process->Accept(opened);
      machine.executor.RunSome(random() % 20);
      if (random() % 8 == 0) machine.executor.Advance(Seconds(1));
    }
    process.reset();  // kill -9
    machine.log.Release();
    machine.executor.Run();
    decide();
    const size_t unknown_now =
        static_cast<size_t>(std::count_if(settled.begin(), settled.end(), [](const auto& s) { return s.second == sends::v1::UNKNOWN; }));
    unknown_per_kill_max = std::max(unknown_per_kill_max, unknown_now - unknown_before);
  }
  observe::SetLevel(observe::Level::kInfo);
  ASSERT_EQ(settled.size(), kContacts);
  std::map<std::string, int> mails;
  for (const auto& received : machine.relay.received) ++mails[received.to];
  for (uint64_t ordinal = 1; ordinal <= kContacts; ++ordinal) {
    const int got = mails[fmt::format("ada{}@b.example", ordinal)];
    EXPECT_LE(got, 1) << ordinal;
    if (settled[ordinal] == sends::v1::SENT) {
      EXPECT_EQ(got, 1) << ordinal;
    }
  }
  EXPECT_LE(unknown_per_kill_max, 3u);  // at most one an open connection
}

// A machine whose campaign has an attachment; the disk answers when it is told to.
struct MachineWithFiles : Machine {
  ManualExecutor disk_executor;
  int reads = 0;
  bool broken = false;
  const std::string bytes = std::string(1'000'000, 'p');

  MachineWithFiles() {
    tails = std::make_shared<EncodedTails>(
        [this](TenantId, const mime::Item& item) -> Result<std::string> {
          const std::string& id = item.id;
          ++reads;
          if (broken || id != schema::AssetId(bytes)) return Fail(Code::kNotFound, "the folder is not mounted");
          return bytes;
        },
        disk_executor);
    campaigns::v1::CampaignRun run;
    run.mutable_spec()->set_from("Shop <news@shop.example>");
    auto& version = *run.mutable_template_version();
    version.set_subject("s");
    version.set_text("{{ unsubscribe_url }}");
    auto& used = *version.add_assets();
    used.set_asset(schema::AssetDigest(schema::AssetId(bytes)));
    used.set_content_type("application/pdf");
    used.set_file_name("list.pdf");
    used.set_use(templates::v1::UsedAsset::ATTACHED);
    cache->Begin();
    state::Table<campaigns::v1::CampaignRun>(*cache).Edit(state::Key(kTenant, kCampaign)) = run;
    cache->Commit();
  }
};

TEST(Delivery, MailsWaitForTheirAttachmentWhichIsReadOnce) {
  MachineWithFiles machine;
  Process process(machine, 4);
  process.Accept({process.Make(1), process.Make(2), process.Make(3)});
  machine.executor.Run();
  EXPECT_TRUE(machine.relay.received.empty());
  EXPECT_TRUE(machine.Results().empty());
  machine.disk_executor.Run();
  machine.executor.Run();
  ASSERT_EQ(machine.relay.received.size(), 3u);
  EXPECT_EQ(machine.reads, 1);
  for (const auto& received : machine.relay.received) {
    EXPECT_GT(received.data.size(), machine.bytes.size() * 4 / 3);
    EXPECT_TRUE(received.data.ends_with("--\r\n"));
  }
  process.Accept({process.Make(4)});
  machine.executor.Run();
  EXPECT_EQ(machine.relay.received.size(), 4u);
  EXPECT_EQ(machine.reads, 1);
  for (const auto& result : machine.Results()) EXPECT_EQ(result.result(), sends::v1::DELIVERED);
}

TEST(Delivery, WhatCannotBeReadPutsTheMailOffAndSaysWhat) {
  MachineWithFiles machine;
  machine.broken = true;
  Process process(machine);
  process.Accept({process.Make(1)});
  machine.executor.Run();
  machine.disk_executor.Run();
  machine.executor.Run();
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].result(), sends::v1::DEFERRED);
  EXPECT_NE(results[0].reply_text().find("list.pdf"), std::string::npos) << results[0].reply_text();
  EXPECT_TRUE(machine.relay.received.empty());
}

TEST(Delivery, WhatWaitsForItsAttachmentWhenAnotherLeadsWasNeverSent) {
  MachineWithFiles machine;
  Process process(machine);
  process.Accept({process.Make(1), process.Make(2)});
  machine.executor.Run();
  process.delivery->Stop();
  machine.disk_executor.Run();
  machine.executor.Run();
  EXPECT_TRUE(machine.relay.received.empty());
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 2u);
  for (const auto& result : results) EXPECT_EQ(result.result(), sends::v1::NEVER_SENT);
}

TEST(Delivery, SaysTheHashOfWhatTheReceiverHasAndOfWhatItMayHave) {
  MachineWithFiles machine;
  Process process(machine, 4);
  process.Accept({process.Make(1)});
  machine.executor.Run();
  machine.disk_executor.Run();
  machine.executor.Run();
  ASSERT_EQ(machine.relay.received.size(), 1u);
  const auto results = machine.Results();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].mail_sha256(), schema::AssetDigest(schema::AssetId(machine.relay.received[0].data)));
}

}  // namespace
}  // namespace maily::smtp
