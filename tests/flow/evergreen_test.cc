// Random joins, leaves, segments, tags, pauses and ends of evergreen campaigns: everybody who is in an audience while it is open is taken
// in, once, nobody else is, and each gets at most one mail and exactly one end. A failure prints its seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/segments/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

using Contact = std::pair<uint16_t, uint64_t>;  // partition, ordinal

class Evergreens {
 public:
  explicit Evergreens(uint32_t seed) : random_(seed), world_(ThePipeline(), 3, seed % 2 == 1) {}

  // Gives how many came in later.
  uint64_t Play() {
    Begin();
    for (int i = 0; i < 3; ++i) Create();
    for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      Act();
      if (Below(3) > 0) Settle();
    }
    for (auto& [id, campaign] : campaigns_) {
      if (campaign.paused) Pause(id, campaign);
      if (!campaign.finishing) Finish(id, campaign);
    }
    for (int i = 0; i < 200 && completed_.size() < campaigns_.size() && !testing::Test::HasFailure(); ++i) {
      world_.Advance(Seconds(1800));
      Settle();
    }
    End();
    EXPECT_EQ(world_.CheckRestore(), "");
    uint64_t entrants = 0;
    for (const auto& [id, campaign] : campaigns_) entrants += campaign.entrants;
    return entrants;
  }

 private:
  struct Person {
    std::string key;
    std::set<uint64_t> lists;
    std::string plan;
    bool vip = false;
    Contact contact;
  };
  struct Campaign {
    std::set<uint64_t> lists, segments, not_lists, not_segments;
    bool paused = false;
    bool finishing = false;
    std::set<Contact> must;   // of one that is finishing: who was in it then
    std::set<Contact> taken;  // who has a verdict
    std::set<Contact> to_send;
    std::set<Contact> ended;  // of those
    uint64_t delivered = 0;
    std::map<Contact, std::set<uint32_t>> attempts;
    uint64_t entrants = 0;
  };

  template <class Message>
  void Ask(const Message& message) {
    const Answered answered = world_.Command(world_.PartitionFor(message), TypeNumberOf<Message>(), schema::Encode(message), world_.now());
    EXPECT_TRUE(answered.outcome == journal::Outcome::kDone || answered.outcome == journal::Outcome::kUnchanged) << answered.answer;
    Look();
  }
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  void Begin() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    settings.set_holdout_bp(Below(2) * 1500);
    Ask(settings);
    tenants::v1::RegisterAttribute attribute;
    attribute.set_name("plan");
    attribute.set_attribute_type(tenants::v1::TEXT);
    Ask(attribute);
    for (const char* name : {"a", "b", "c"}) {
      lists::v1::CreateList list;
      list.set_name(name);
      Ask(list);
    }
    templates::v1::SaveTemplate saved;
    saved.set_name("t");
    saved.set_subject("s");
    saved.set_text("{{ unsubscribe_url }} {{ postal_address }}");
    Ask(saved);
    for (const char* text : {"plan = \"pro\"", "tag(\"vip\")", "in_list(1) and plan is known"}) {
      segments::v1::DefineSegment define;
      define.set_name(fmt::format("s{}", segments_++));
      define.set_text(text);
      Ask(define);
    }
    for (int i = 0; i < 15; ++i) Add();
    world_.Run();
    Look();
  }

  bool In(const Person& person, uint64_t segment) const {
    if (segment == 1) return person.plan == "pro";
    if (segment == 2) return person.vip;
    return person.lists.contains(1) && !person.plan.empty();
  }
  bool In(const Person& person, const Campaign& campaign) const {
    const auto listed = [&](uint64_t id) { return person.lists.contains(id); };
    const auto inside = [&](uint64_t id) { return In(person, id); };
    if (std::ranges::any_of(campaign.not_lists, listed) || std::ranges::any_of(campaign.not_segments, inside)) return false;
    return (campaign.lists.empty() && campaign.segments.empty()) || std::ranges::any_of(campaign.lists, listed) ||
           std::ranges::any_of(campaign.segments, inside);
  }
  std::set<Contact> Audience(const Campaign& campaign) const {
    std::set<Contact> audience;
    for (const Person& person : people_) {
      if (In(person, campaign)) audience.insert(person.contact);
    }
    return audience;
  }

  void Create() {
    campaigns::v1::CreateCampaign create;
    campaigns::v1::CampaignSpec& spec = *create.mutable_spec();
    spec.set_name("c");
    spec.set_template_id(1);
    spec.set_from("news@example.com");
    spec.set_evergreen(true);
    Campaign campaign;
    const auto some = [&](google::protobuf::RepeatedField<uint64_t>& field, std::set<uint64_t>& ids, uint32_t of) {
      for (uint64_t id = 1; id <= 3; ++id) {
        if (Below(of) > 0) continue;
        field.Add(id);
        ids.insert(id);
      }
    };
    some(*spec.mutable_list_ids(), campaign.lists, 3);
    some(*spec.mutable_segment_ids(), campaign.segments, 3);
    some(*spec.mutable_exclude_list_ids(), campaign.not_lists, 4);
    some(*spec.mutable_exclude_segment_ids(), campaign.not_segments, 4);
    if (Below(3) == 0) spec.mutable_pace()->set_per_minute(20);
    Settle();  // a launch is planned by the memberships of its moment
    Ask(create);
    campaigns::v1::LaunchCampaign launch;
    launch.set_campaign_id(campaigns_.size() + 1);
    const uint64_t id = launch.campaign_id();
    campaigns_.emplace(id, std::move(campaign));
    Ask(launch);
    if (Below(3) == 0) {  // whoever comes before the resume is noted and planned
      campaigns::v1::PauseCampaign pause;
      pause.set_campaign_id(id);
      Ask(pause);
      campaigns_.at(id).paused = true;
    }
    Settle();
  }

  void Act() {
    switch (Below(14)) {
      case 0:
      case 1:
        return Add();
      case 2:
      case 3:
      case 4: {
        lists::v1::JoinList join;
        Person& person = Some();
        join.set_contact_key(person.key);
        join.set_list_id(1 + Below(3));
        person.lists.insert(join.list_id());
        return Ask(join);
      }
      case 5:
      case 6: {
        lists::v1::LeaveList leave;
        Person& person = Some();
        leave.set_contact_key(person.key);
        leave.set_list_id(1 + Below(3));
        person.lists.erase(leave.list_id());
        return Ask(leave);
      }
      case 7:
      case 8: {
        Person& person = Some();
        person.plan = Below(2) == 0 ? "pro" : "free";
        contacts::v1::UpsertContact contact;
        contact.set_contact_key(person.key);
        contact.set_address("sealed");
        contact.add_attributes()->set_name("plan");
        contact.mutable_attributes(0)->set_text(person.plan);
        if (Below(2) == 0) {
          contact.add_tags("vip");
          person.vip = true;
        }
        return Ask(contact);
      }
      case 9: {
        suppressions::v1::AddSuppression suppression;
        suppression.set_contact_key(Some().key);
        return Ask(suppression);
      }
      case 10:
      case 11: {
        auto& [id, campaign] = *std::next(campaigns_.begin(), Below(static_cast<uint32_t>(campaigns_.size())));
        if (!completed_.contains(id)) Pause(id, campaign);
        return;
      }
      case 12: {
        if (Below(4) == 0 && campaigns_.size() < 6) return Create();
        auto& [id, campaign] = *std::next(campaigns_.begin(), Below(static_cast<uint32_t>(campaigns_.size())));
        if (Below(4) == 0 && !campaign.finishing) Finish(id, campaign);
        return;
      }
      default:
        if (Below(3) == 0) {
          world_.Restart();
        } else {
          world_.Advance(Seconds(60 * (1 + Below(20))));
        }
        Look();
    }
  }
  Person& Some() { return people_[Below(static_cast<uint32_t>(people_.size()))]; }
  void Add() {
    Person person;
    person.key = fmt::format("contact-{:08}", people_.size());
    contacts::v1::UpsertContact contact;
    contact.set_contact_key(person.key);
    contact.set_address("sealed");
    for (uint64_t list = 1; list <= 3; ++list) {
      if (Below(3) > 0) continue;
      contact.add_join_lists(list);
      person.lists.insert(list);
    }
    if (Below(3) == 0) {
      person.plan = Below(2) == 0 ? "pro" : "free";
      contact.add_attributes()->set_name("plan");
      contact.mutable_attributes(0)->set_text(person.plan);
    }
    if (Below(4) == 0) {
      contact.add_tags("vip");
      person.vip = true;
    }
    people_.push_back(std::move(person));
    Ask(contact);
  }
  void Pause(uint64_t id, Campaign& campaign) {
    Settle();  // whoever came before a pause is in, and a plan that waits for the resume finds memberships decided
    if (completed_.contains(id)) return;
    campaign.paused = !campaign.paused;
    campaigns::v1::PauseCampaign pause;
    campaigns::v1::ResumeCampaign resume;
    pause.set_campaign_id(id);
    resume.set_campaign_id(id);
    campaign.paused ? Ask(pause) : Ask(resume);
    world_.Run();  // it is in force
    Look();
  }
  void Finish(uint64_t id, Campaign& campaign) {
    Settle();
    campaign.finishing = true;
    campaign.must = Audience(campaign);
    campaigns::v1::FinishCampaign finish;
    finish.set_campaign_id(id);
    Ask(finish);
    world_.Run();  // it is in force
    Look();
  }

  // Everything happens that can; then everybody who is in an open audience has a verdict.
  void Settle() {
    for (int i = 0; i < 3; ++i) {
      world_.Grant(100);
      world_.Run();
      Look();
      std::vector<sends::v1::AttemptOpened> opened;
      opened.swap(opened_);
      for (const auto& one : opened) Answer(one);
    }
    for (auto& [id, campaign] : campaigns_) {
      if (campaign.paused || completed_.contains(id)) continue;
      for (const Contact& contact : Audience(campaign)) {
        if (campaign.finishing && !campaign.must.contains(contact)) continue;
        EXPECT_TRUE(campaign.taken.contains(contact))
            << "campaign " << id << " has not taken in " << contact.first << "/" << contact.second;
      }
      campaign.must.clear();  // whoever was out now comes too late
    }
  }
  void Answer(const sends::v1::AttemptOpened& opened) {
    sends::v1::RecordAttempt result;
    result.set_campaign_id(opened.campaign_id());
    result.set_ordinal(opened.ordinal());
    result.set_attempt(opened.attempt());
    const uint32_t chance = Below(10);
    result.set_result(chance == 0 ? sends::v1::DEFERRED : chance == 1 ? sends::v1::BOUNCED : sends::v1::DELIVERED);
    result.set_reply_code(chance == 0 ? 451 : chance == 1 ? 552 : 250);
    const PartitionId partition(where_.at({opened.campaign_id(), opened.ordinal(), opened.attempt(), opened.contact_key()}));
    const Answered answered = world_.Command(partition, TypeNumberOf<sends::v1::RecordAttempt>(), schema::Encode(result), world_.now());
    EXPECT_EQ(answered.outcome, journal::Outcome::kDone) << answered.answer;
    Look();
  }

  template <class Event, class Use>
  static void On(const Seen& seen, Use use) {
    Event event;
    if (seen.type == TypeNumberOf<Event>() && event.ParseFromString(seen.payload)) use(event);
  }
  void Look() {
    for (const Seen& seen : world_.TakeSeen()) {
      const uint16_t partition = seen.partition.value();
      On<contacts::v1::ContactCreated>(seen, [&](const auto& e) {
        const auto person = std::ranges::find(people_, e.contact_key(), &Person::key);
        person->contact = {partition, e.ordinal()};
      });
      On<campaigns::v1::AudiencePlanned>(seen, [&](const auto& e) { Planned(partition, e); });
      On<sends::v1::AttemptOpened>(seen, [&](const auto& e) {
        Campaign& campaign = campaigns_.at(e.campaign_id());
        const Contact contact{partition, e.ordinal()};
        EXPECT_TRUE(campaign.to_send.contains(contact) && !campaign.ended.contains(contact) && !campaign.paused);
        EXPECT_TRUE(campaign.attempts[contact].insert(e.attempt()).second) << "an attempt twice";
        where_[{e.campaign_id(), e.ordinal(), e.attempt(), e.contact_key()}] = partition;
        opened_.push_back(e);
      });
      const auto ended = [&](const auto& e) {
        EXPECT_TRUE(campaigns_.at(e.campaign_id()).ended.insert(Contact(partition, e.ordinal())).second) << "ended twice";
      };
      On<sends::v1::AttemptDelivered>(seen, [&](const auto& e) { ++campaigns_.at(e.campaign_id()).delivered; });
      On<sends::v1::AttemptDelivered>(seen, ended);
      On<sends::v1::AttemptBounced>(seen, ended);
      On<sends::v1::SendSkipped>(seen, ended);
      On<sends::v1::SendExpired>(seen, ended);
      On<campaigns::v1::CampaignCompleted>(seen, [&](const auto& e) { completed_[e.campaign_id()] = e.counts(); });
      On<campaigns::v1::CampaignPaused>(seen, [&](const auto& e) { EXPECT_FALSE(e.has_stop()); });
    }
  }
  void Planned(uint16_t partition, const campaigns::v1::AudiencePlanned& planned) {
    Campaign& campaign = campaigns_.at(planned.campaign_id());
    EXPECT_FALSE(campaign.paused) << "campaign " << planned.campaign_id() << " plans while it is paused";
    for (size_t i = 0; i < planned.verdicts().size(); ++i) {
      const auto verdict = static_cast<uint8_t>(planned.verdicts()[i]);
      if (verdict == 0) continue;
      const Contact contact{partition, planned.first_ordinal() + i};
      EXPECT_TRUE(campaign.taken.insert(contact).second) << "campaign " << planned.campaign_id() << " takes somebody in twice";
      if (!planned.entrants().empty()) ++campaign.entrants;
      if (verdict >= 64) campaign.to_send.insert(contact);
      const auto person = std::ranges::find(people_, contact, &Person::contact);
      EXPECT_TRUE(person != people_.end() && In(*person, campaign)) << "campaign " << planned.campaign_id() << " takes in a stranger";
    }
  }

  void End() {
    for (const auto& [id, campaign] : campaigns_) {
      SCOPED_TRACE(fmt::format("campaign {}", id));
      if (!completed_.contains(id)) {
        ADD_FAILURE() << "not completed";
        continue;
      }
      const auto& counts = completed_.at(id);
      EXPECT_EQ(campaign.ended, campaign.to_send);
      EXPECT_EQ(counts.audience(), campaign.taken.size());
      EXPECT_EQ(counts.to_send(), campaign.to_send.size());
      EXPECT_EQ(counts.entrants(), campaign.entrants);
      EXPECT_EQ(counts.delivered(), campaign.delivered);
      EXPECT_EQ(counts.delivered() + counts.bounced() + counts.failed() + counts.skipped(), counts.audience());
    }
  }

  std::mt19937 random_;
  World world_;
  int segments_ = 0;
  std::vector<Person> people_;
  std::map<uint64_t, Campaign> campaigns_;
  std::map<uint64_t, campaigns::v1::CampaignCounts> completed_;
  std::vector<sends::v1::AttemptOpened> opened_;
  std::map<std::tuple<uint64_t, uint64_t, uint32_t, std::string>, uint16_t> where_;
};

TEST(Evergreen, EverybodyWhoComesInIsTakenInOnceAndGetsAtMostOneMail) {
  const char* given = std::getenv("MAILY_SEED");
  const uint32_t first = given == nullptr ? std::random_device()() : static_cast<uint32_t>(std::strtoul(given, nullptr, 10));
  const uint32_t count = given == nullptr ? 30 : 1;
  uint64_t entrants = 0;
  for (uint32_t seed = first; seed != first + count && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("MAILY_SEED={}", seed));
    entrants += Evergreens(seed).Play();
  }
  EXPECT_GT(entrants, 10 * count) << "MAILY_SEED=" << first;
}

}  // namespace
}  // namespace maily::flow
