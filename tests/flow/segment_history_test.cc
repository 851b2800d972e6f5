// Random histories of contacts and segments: attributes, lists, opt-outs, suppressions, signals, events, new versions, time and restarts in
// any order. After each stretch the memberships that were kept are those that deciding everybody anew gives. A failure prints its seed.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/segments/v1/commands.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

namespace segments = maily::segments::v1;

constexpr uint32_t kContacts = 60;
constexpr uint32_t kPartitions = 3;

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

// What segments may be defined by; in_segment asks for those before it.
const std::vector<std::string>& Expressions() {
  static const std::vector<std::string> all = {
      "plan = \"pro\"",
      "plan != \"pro\" and age >= 3",
      "not plan in (\"pro\", \"free\") or age is unknown",
      "clicked(last: 1h) >= 1",
      "clicked(last: 2d) = 2 or opened(since: today - 1d) >= 2",
      "event(\"visit\", last: 3h) >= 2 and not event(\"buy\")",
      "event(\"buy\", since: today) < 1 and event(\"visit\") >= 3",
      "in_list(1) and subscribed()",
      "in_list(\"b\") or suppressed()",
      "delivered(campaign: 1) and not clicked(campaign: 1)",
      "tag(\"vip\") and (age >= 2 or not tag(\"old\"))",
      "renews_on <= today + 1d and renews_on >= today - 1d",
      "opened(campaign: 1, last: 5h) or (plan = \"pro\" and not in_list(2))",
  };
  return all;
}

class History {
 public:
  explicit History(uint32_t seed) : random_(seed), world_(ThePipeline(), kPartitions, seed % 2 == 1) {}

  void Play() {
    Begin();
    for (int stretch = 0; stretch < 12 && !testing::Test::HasFailure(); ++stretch) {
      for (uint32_t step = Below(60); step > 0; --step) Act();
      Settle();
      Check();
    }
    EXPECT_EQ(world_.CheckRestore(), "");
  }
  uint64_t changes() const { return changes_; }

 private:
  template <class Message>
  Answered Ask(const Message& message, int partition = -1) {
    const PartitionId to = partition < 0 ? world_.PartitionFor(message) : PartitionId(static_cast<uint16_t>(partition));
    return world_.Command(to, TypeNumberOf<Message>(), schema::Encode(message), world_.now());
  }
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  std::string Someone() { return fmt::format("contact-{:08}", Below(kContacts)); }
  const std::string& Some(const std::vector<std::string>& of) { return of[Below(static_cast<uint32_t>(of.size()))]; }

  void Begin() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    Ask(settings);
    for (const auto& [name, type] :
         {std::pair{"plan", tenants::v1::TEXT}, {"age", tenants::v1::INTEGER}, {"renews_on", tenants::v1::TEXT}}) {
      tenants::v1::RegisterAttribute attribute;
      attribute.set_name(name);
      attribute.set_attribute_type(type);
      Ask(attribute);
    }
    for (const char* name : {"a", "b"}) {
      lists::v1::CreateList list;
      list.set_name(name);
      Ask(list);
    }
    templates::v1::SaveTemplate saved;
    saved.set_name("t");
    saved.set_subject("s");
    saved.set_text("https://shop.example/ {{ unsubscribe_url }} {{ postal_address }}");
    Ask(saved);
    campaigns::v1::CreateCampaign campaign;
    campaign.mutable_spec()->set_name("c");
    campaign.mutable_spec()->set_template_id(1);
    campaign.mutable_spec()->set_from("news@example.com");
    Ask(campaign);
    for (int i = 0; i < 20; ++i) Upsert();
    Define();
    Define();
    campaigns::v1::LaunchCampaign launch;
    launch.set_campaign_id(1);
    Ask(launch);
    Settle();
  }

  void Upsert() {
    contacts::v1::UpsertContact contact;
    contact.set_contact_key(Someone());
    contact.set_address("sealed");
    const auto attribute = [&](const char* name) {
      auto* one = contact.add_attributes();
      one->set_name(name);
      return one;  // without a value it is removed
    };
    if (Below(2) == 0) {
      auto* plan = attribute("plan");
      if (Below(4) > 0) plan->set_text(Some({"pro", "free", "old"}));
    }
    if (Below(2) == 0) {
      auto* age = attribute("age");
      if (Below(4) > 0) age->set_integer(Below(6));
    }
    if (Below(3) == 0) attribute("renews_on")->set_text(Some({"2023-11-14", "2023-11-15", "2023-11-16", "2023-11-18", "never"}));
    if (Below(4) == 0) contact.add_join_lists(1 + Below(2));
    if (Below(4) == 0) contact.add_tags(Some({"vip", "old"}));
    Ask(contact);
  }

  void Define() {
    segments::DefineSegment define;
    const bool change = defined_ > 0 && Below(3) == 0;
    if (change) {
      define.set_segment_id(1 + Below(defined_));
    } else {
      define.set_name(fmt::format("s{}", defined_ + 1));
    }
    std::string text = Some(Expressions());
    if (defined_ > 1 && Below(3) == 0)
      text = fmt::format("({}) {} in_segment({})", text, Some({"and", "or", "and not"}), 1 + Below(defined_));
    define.set_text(text);
    // A cycle is refused.
    const Answered answered = Ask(define);
    if (answered.outcome == journal::Outcome::kDone && !change) ++defined_;
  }

  void Signal() {
    const int partition = static_cast<int>(Below(kPartitions));
    const uint64_t ordinal = 1 + Below(kContacts / kPartitions);
    switch (Below(4)) {
      case 0: {
        engagements::v1::RecordOpen open;
        open.set_campaign_id(1);
        open.set_ordinal(ordinal);
        Ask(open, partition);
        break;
      }
      case 1:
      case 2: {
        engagements::v1::RecordClick click;
        click.set_campaign_id(1);
        click.set_ordinal(ordinal);
        Ask(click, partition);
        break;
      }
      default: {
        engagements::v1::RecordUnsubscribe out;
        out.set_campaign_id(1);
        out.set_ordinal(ordinal);
        out.set_method("page");
        if (Below(4) == 0) Ask(out, partition);
      }
    }
  }

  void Event() {
    engagements::v1::RecordContactEvent event;
    event.set_contact_key(Someone());
    event.set_name(Some({"visit", "visit", "buy"}));
    // Some tell of it late, and some clocks are ahead.
    const Instant occurred{world_.now().us + (static_cast<int64_t>(Below(6 * 3600)) - 5 * 3600) * 1'000'000};
    world_.Command(world_.PartitionFor(event), TypeNumberOf<engagements::v1::RecordContactEvent>(), schema::Encode(event), occurred);
  }

  void List() {
    lists::v1::JoinList join;
    join.set_contact_key(Someone());
    join.set_list_id(1 + Below(2));
    lists::v1::LeaveList leave;
    leave.set_contact_key(join.contact_key());
    leave.set_list_id(join.list_id());
    Below(2) == 0 ? Ask(join) : Ask(leave);
  }

  void Suppress() {
    if (Below(2) == 0) {
      suppressions::v1::AddSuppression add;
      add.set_contact_key(Someone());
      add.set_reason("manual");
      Ask(add);
    } else {
      suppressions::v1::RemoveSuppression remove;
      remove.set_contact_key(Someone());
      Ask(remove);
    }
  }

  void Deliver() {
    world_.Grant(2);
    world_.Run();
    for (const Seen& seen : world_.TakeSeen()) {
      Note(seen);
      if (seen.type != TypeNumberOf<sends::v1::AttemptOpened>()) continue;
      sends::v1::AttemptOpened opened;
      ASSERT_TRUE(opened.ParseFromString(seen.payload));
      sends::v1::RecordAttempt result;
      result.set_campaign_id(opened.campaign_id());
      result.set_ordinal(opened.ordinal());
      result.set_attempt(opened.attempt());
      result.set_result(Below(4) == 0 ? sends::v1::RESULT_UNKNOWN : sends::v1::DELIVERED);
      Ask(result, seen.partition.value());
    }
  }

  void Act() {
    switch (Below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Upsert();
      case 4:
      case 5:
        return Signal();
      case 6:
      case 7:
      case 8:
        return Event();
      case 9:
        return List();
      case 10:
        return Suppress();
      case 11:
        return Deliver();
      case 12:
        return Below(2) == 0 ? Define() : world_.Run();
      case 13:
        return world_.Advance(Seconds(Below(3 * 3600)));
      case 14:
        return Below(4) == 0 ? world_.Advance(Hours(Below(30))) : world_.Run();
      default:
        if (Below(4) == 0) world_.Restart();
    }
  }

  void Note(const Seen& seen) {
    if (seen.type == TypeNumberOf<segments::MembershipsDecided>()) {
      segments::MembershipsDecided decided;
      ASSERT_TRUE(decided.ParseFromString(seen.payload));
      changes_ += static_cast<uint64_t>(decided.changes_size());
      for (const auto& change : decided.changes()) EXPECT_GT(change.entered_size() + change.left_size(), 0);
    }
    if (seen.type != TypeNumberOf<segments::PreviewCounted>()) return;
    segments::PreviewCounted counted;
    ASSERT_TRUE(counted.ParseFromString(seen.payload));
    const auto& counts = counted.counts();
    EXPECT_EQ(counts.enter(), 0u) << "preview " << counted.preview_id() << ": " << text_;
    EXPECT_EQ(counts.leave(), 0u) << "preview " << counted.preview_id() << ": " << text_;
    EXPECT_EQ(counts.kept_hash(), counts.decided_hash()) << text_;
    EXPECT_EQ(counts.pending(), 0u) << text_;
    EXPECT_EQ(counts.members(), counts.matching()) << text_;
    if (counted.last()) ++counted_;
  }

  void Settle() {
    world_.Run();
    for (const Seen& seen : world_.TakeSeen()) Note(seen);
  }

  // Each segment against its own expression.
  void Check() {
    for (uint32_t id = 1; id <= defined_; ++id) {
      segments::PreviewSegment check;
      check.set_segment_id(id);
      const auto answer = nlohmann::json::parse(Ask(check).answer);
      text_ = answer.value("text", "");
      counted_ = 0;
      Settle();
      ASSERT_EQ(counted_, kPartitions) << text_;
    }
  }

  std::mt19937 random_;
  World world_;
  uint32_t defined_ = 0;
  uint32_t counted_ = 0;
  uint64_t changes_ = 0;
  std::string text_;
};

TEST(SegmentHistory, MembershipsAreThoseThatDecidingEverybodyAnewGives) {
  const char* given = std::getenv("MAILY_SEED");
  const uint32_t first = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  uint64_t changes = 0;
  for (uint32_t seed = first; seed < first + (given != nullptr ? 1 : 40) && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "MAILY_SEED=" << seed);
    History history(seed);
    history.Play();
    changes += history.changes();
  }
  if (given == nullptr) {
    EXPECT_GT(changes, 1'000u) << "from seed " << first;
  }
}

}  // namespace
}  // namespace maily::flow
