// Campaigns that go by clocks, with caps, quiet hours, a pace and retries, over an outage of two hours in the middle of it: whatever goes
// is looked at. Of 20,000 contacts; MAILY_CONTACTS says of how many else (a million takes a quarter of an hour and some gigabytes, since
// this world keeps its journals in memory).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "schemas/wall_time.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

namespace sends = maily::sends::v1;
namespace campaigns = maily::campaigns::v1;

constexpr uint16_t kPartitions = 4;
constexpr int32_t kQuietFrom = 21 * 3600;
constexpr int32_t kQuietTo = 8 * 3600;
constexpr std::string_view kTenantsZone = "Europe/Berlin";

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

int Contacts() {
  if (const char* said = std::getenv("MAILY_CONTACTS")) return std::atoi(said);
#ifdef __SANITIZE_ADDRESS__
  return 2'000;
#else
  return 20'000;
#endif
}

class OutageTest : public testing::Test {
 protected:
  using Contact = std::pair<uint16_t, uint64_t>;  // partition, ordinal

  template <class Message>
  Answered Ask(const Message& message, int partition = -1) {
    const PartitionId to = partition < 0 ? world_.PartitionFor(message) : PartitionId(static_cast<uint16_t>(partition));
    const Answered answered = world_.Command(to, TypeNumberOf<Message>(), schema::Encode(message), world_.now());
    Look();
    return answered;
  }

  void Begin(uint32_t per_day) {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    settings.set_time_zone(std::string(kTenantsZone));
    if (per_day != 0) settings.mutable_cap()->set_per_day(per_day);
    per_day_ = per_day;
    Ask(settings);
    templates::v1::SaveTemplate saved;
    saved.set_name("t");
    saved.set_subject("s");
    saved.set_text("{{ unsubscribe_url }} {{ postal_address }}");
    Ask(saved);
    const std::vector<std::string> names = schema::ZoneNames();
    for (int i = 0; i < Contacts(); ++i) {
      contacts::v1::UpsertContact contact;
      contact.set_contact_key(fmt::format("contact-{:08}", i));
      contact.set_address("sealed");
      const size_t pick = static_cast<size_t>(i) % (names.size() + 2);  // some have none, some one that is none
      std::string zone(kTenantsZone);
      if (pick < names.size() + 1) {
        auto& attribute = *contact.add_attributes();
        attribute.set_name("time_zone");
        attribute.set_text(pick < names.size() ? names[pick] : "Atlantis/Capital");
        if (pick < names.size()) zone = names[pick];
      }
      const uint16_t partition = world_.PartitionFor(contact).value();
      Ask(contact);
      zones_[{partition, ++ordinals_[partition]}] = schema::ZoneNamed(zone);
    }
    world_.Run();
    Look();
  }

  void Quiet() {
    tenants::v1::ChangeSettings settings;
    settings.mutable_quiet_hours()->set_from_minute(kQuietFrom / 60);
    settings.mutable_quiet_hours()->set_to_minute(kQuietTo / 60);
    Ask(settings);
    world_.Run();
    Look();
    quiet_ = true;
  }

  uint64_t Create(uint32_t per_minute) {
    campaigns::CreateCampaign create;
    create.mutable_spec()->set_name("c");
    create.mutable_spec()->set_template_id(1);
    create.mutable_spec()->set_from("news@example.com");
    if (per_minute != 0) create.mutable_spec()->mutable_pace()->set_per_minute(per_minute);
    Ask(create);
    per_minute_[++campaigns_] = per_minute;
    return campaigns_;
  }
  void Launch(uint64_t campaign_id) {
    campaigns::LaunchCampaign launch;
    launch.set_campaign_id(campaign_id);
    EXPECT_EQ(Ask(launch).outcome, journal::Outcome::kDone);
  }

  // A minute, in steps as the clock effect makes them when a pace waits; every mail that went is answered, one in ten not taken at first.
  void Minute() {
    world_.Grant(1'000'000);
    for (int step = 0; step < 12; ++step) {
      world_.Advance(Seconds(5));
      Look();
      world_.Run();
      Look();
    }
    Answer();
  }

  void Answer() {
    for (const sends::AttemptOpened& opened : std::exchange(open_, {})) {
      sends::RecordAttempt result;
      result.set_campaign_id(opened.campaign_id());
      result.set_ordinal(opened.ordinal());
      result.set_attempt(opened.attempt());
      const bool later = opened.attempt() == 1 && opened.ordinal() % 10 == 0;
      result.set_result(later ? sends::DEFERRED : sends::DELIVERED);
      result.set_reply_code(later ? 451 : 250);
      result.set_stage(later ? "rcpt" : "dot");
      Ask(result, static_cast<int>(opened.opener()));
    }
  }

  void Look() {
    for (const Seen& seen : world_.TakeSeen()) {
      if (seen.type == TypeNumberOf<sends::AttemptOpened>()) {
        Opened(seen.partition.value(), schema::Decode<sends::AttemptOpened>(seen.payload).value());
      } else if (seen.type == TypeNumberOf<sends::SendSkipped>()) {
        const auto skipped = schema::Decode<sends::SendSkipped>(seen.payload).value();
        ++skips_[skipped.reason()];
        const int ends = ++fate_[skipped.campaign_id()][Contact(seen.partition.value(), skipped.ordinal())];
        EXPECT_EQ(ends, 1);
      } else if (seen.type == TypeNumberOf<sends::AttemptDelivered>()) {
        const auto delivered = schema::Decode<sends::AttemptDelivered>(seen.payload).value();
        ++delivered_;
        const int ends = ++fate_[delivered.campaign_id()][Contact(seen.partition.value(), delivered.ordinal())];
        EXPECT_EQ(ends, 1);
      } else if (seen.type == TypeNumberOf<campaigns::AudiencePlanned>()) {
        const auto planned = schema::Decode<campaigns::AudiencePlanned>(seen.payload).value();
        for (size_t i = 0; i < planned.verdicts().size(); ++i) {
          const auto verdict = static_cast<uint8_t>(planned.verdicts()[i]);
          if (verdict >= 64) continue;
          ++skips_[verdict];
          ++fate_[planned.campaign_id()][Contact(seen.partition.value(), planned.first_ordinal() + i)];
        }
      }
    }
  }

  void Opened(uint16_t partition, sends::AttemptOpened opened) {
    const Contact contact{partition, opened.ordinal()};
    const schema::Zone& zone = *zones_.at(contact);
    const schema::WallTime wall = zone.At(world_.now());
    EXPECT_TRUE(!quiet_ || (wall.second >= kQuietTo && wall.second < kQuietFrom)) << zone.name() << " " << schema::WallTimeText(wall);
    EXPECT_TRUE(opened.campaign_id() != by_clock_ || wall >= wall_) << zone.name() << " " << schema::WallTimeText(wall);
    if (per_day_ != 0) {
      auto& mails = days_[contact][wall.day];
      mails.insert(opened.campaign_id());
      EXPECT_LE(mails.size(), per_day_) << zone.name();
    }
    if (const uint32_t most = per_minute_.at(opened.campaign_id())) {
      auto& times = recent_[opened.campaign_id()];
      times.push_back(world_.now());
      const auto first = std::ranges::upper_bound(times, world_.now() - Seconds(60));
      times.erase(times.begin(), first);
      EXPECT_LE(times.size(), most + kPartitions) << "in a minute";
    }
    opened.set_opener(partition);
    open_.push_back(std::move(opened));
  }

  bool AllSettled(uint64_t campaign_id) { return fate_[campaign_id].size() == zones_.size(); }

  World world_{ThePipeline(), kPartitions, false};
  std::map<Contact, const schema::Zone*> zones_;
  std::map<uint16_t, uint64_t> ordinals_;
  std::map<uint64_t, std::map<Contact, int>> fate_;  // by campaign: how often it came to an end
  std::map<Contact, std::map<int32_t, std::set<uint64_t>>> days_;
  std::map<uint64_t, std::vector<Instant>> recent_;
  std::map<uint64_t, uint32_t> per_minute_;
  std::map<int, uint64_t> skips_;
  std::vector<sends::AttemptOpened> open_;
  uint64_t campaigns_ = 0;
  uint64_t by_clock_ = 0;
  uint64_t delivered_ = 0;
  schema::WallTime wall_;
  uint32_t per_day_ = 0;
  bool quiet_ = false;
};

// A campaign by each contact's clock, a second one to all at once, a cap of one a day over both.
TEST_F(OutageTest, ByClocksEachContactGetsItOnceInItsDayAndNeverAtNight) {
  Begin(1);
  Quiet();
  const auto all = static_cast<uint64_t>(Contacts());
  by_clock_ = Create(static_cast<uint32_t>(all / 10 + 1));
  wall_ = *schema::ParseWallTime("2023-11-16T09:00");
  campaigns::ScheduleCampaign schedule;
  schedule.set_campaign_id(by_clock_);
  schedule.set_local("2023-11-16T09:00");
  schedule.set_per_contact(true);
  EXPECT_EQ(Ask(schedule).outcome, journal::Outcome::kDone);
  const uint64_t second = Create(0);
  world_.Advance(Hours(21));
  Look();
  campaigns::StartCampaign start;
  start.set_campaign_id(by_clock_);
  EXPECT_EQ(Ask(start).outcome, journal::Outcome::kDone);
  world_.Run();
  Look();
  EXPECT_LE(world_.Timers(), size_t{kPartitions} * 70) << "a timer a clock, not a contact";
  Launch(second);
  int minutes = 0;
  for (; minutes < 50 * 60 && !HasFailure() && !(AllSettled(by_clock_) && AllSettled(second)); ++minutes) {
    if (minutes == 7 * 60) {
      world_.Outage(Hours(2));
      minutes += 120;
    }
    Minute();
  }
  EXPECT_TRUE(AllSettled(by_clock_) && AllSettled(second)) << minutes;
  uint64_t skipped = 0;
  for (const auto& [reason, count] : skips_) {
    EXPECT_TRUE(reason == campaigns::FREQUENCY_CAP || reason == campaigns::LATE || reason == campaigns::QUIET_HOURS) << reason;
    skipped += count;
  }
  EXPECT_GT(skips_[campaigns::FREQUENCY_CAP], 0U);
  EXPECT_EQ(delivered_ + skipped, 2 * all);
  EXPECT_EQ(world_.Timers(), 0U);
  EXPECT_EQ(world_.CheckRestore(), "");
}

// Quiet hours that were set while it ran: everybody is put off alone, with a timer of its own, and all of a zone are due at once, during an
// outage.
TEST_F(OutageTest, AsManyTimersAsContactsAreFiredAndTheMailsArePaced) {
  Begin(0);
  const auto all = static_cast<uint64_t>(Contacts());
  const uint64_t campaign = Create(static_cast<uint32_t>(all / 20 + 1));
  Launch(campaign);
  Quiet();
  size_t most = 0;
  int minutes = 0;
  for (; minutes < 30 * 60 && !HasFailure() && !AllSettled(campaign); ++minutes) {
    if (minutes == 60) {
      most = world_.Timers();
      world_.Outage(Hours(2));
    }
    Minute();
  }
  EXPECT_TRUE(AllSettled(campaign)) << minutes;
  EXPECT_GT(most, all / 4) << "they wait each alone";
  EXPECT_EQ(delivered_, all);
  EXPECT_EQ(world_.Timers(), 0U);
  EXPECT_EQ(world_.CheckRestore(), "");
}

}  // namespace
}  // namespace maily::flow
