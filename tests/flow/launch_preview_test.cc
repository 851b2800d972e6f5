// Random audiences over random contacts: a dry run gives the numbers that the launch at the same state has, and both are those of sets. A
// failure prints its seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/segments/v1/commands.pb.h"
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

class Audience {
 public:
  explicit Audience(uint32_t seed) : random_(seed), world_(ThePipeline(), 3, seed % 2 == 1) {}

  void Play() {
    Begin();
    for (uint64_t campaign = 1; campaign <= 12 && !testing::Test::HasFailure(); ++campaign) {
      const size_t expected = Create();
      world_.TakeSeen();
      campaigns::v1::PreviewLaunch preview;
      preview.set_campaign_id(campaign);
      Ask(preview);
      world_.Run();
      const std::map<int, uint64_t> foreseen = Counted();
      campaigns::v1::LaunchCampaign launch;
      launch.set_campaign_id(campaign);
      Ask(launch);
      world_.Run();
      const std::map<int, uint64_t> planned = Planned();
      EXPECT_EQ(foreseen, planned) << "campaign " << campaign;
      size_t audience = 0;
      for (const auto& [verdict, contacts] : planned) audience += contacts;
      EXPECT_EQ(audience, expected) << "campaign " << campaign;
      world_.TakeSeen();
    }
    EXPECT_EQ(world_.CheckRestore(), "");
  }

 private:
  struct Person {
    std::set<uint64_t> lists;
    std::set<uint64_t> segments;
  };

  template <class Message>
  void Ask(const Message& message) {
    const Answered answered = world_.Command(world_.PartitionFor(message), TypeNumberOf<Message>(), schema::Encode(message), world_.now());
    EXPECT_TRUE(answered.outcome == journal::Outcome::kDone || answered.outcome == journal::Outcome::kUnchanged) << answered.answer;
  }
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  void Begin() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    settings.set_holdout_bp(Below(3) * 1500);
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
    const std::vector<std::string> plans = {"pro", "free", "old"};
    for (const std::string& plan : plans) {
      segments::v1::DefineSegment define;
      define.set_name(plan);
      define.set_text(fmt::format("plan = \"{}\"", plan));
      Ask(define);
    }
    for (uint32_t i = 0; i < 120; ++i) {
      Person person;
      contacts::v1::UpsertContact contact;
      contact.set_contact_key(fmt::format("contact-{:08}", i));
      contact.set_address("sealed");
      for (uint64_t list = 1; list <= 3; ++list) {
        if (Below(3) > 0) continue;
        contact.add_join_lists(list);
        person.lists.insert(list);
      }
      if (const uint32_t plan = Below(4); plan < 3) {
        contact.add_attributes()->set_name("plan");
        contact.mutable_attributes(0)->set_text(plans[plan]);
        person.segments.insert(plan + 1);
      }
      Ask(contact);
      if (Below(10) == 0) {
        suppressions::v1::AddSuppression suppression;
        suppression.set_contact_key(contact.contact_key());
        Ask(suppression);
      }
      people_.push_back(std::move(person));
    }
    world_.Run();
  }

  // Gives how many it is for.
  size_t Create() {
    campaigns::v1::CreateCampaign create;
    campaigns::v1::CampaignSpec& spec = *create.mutable_spec();
    spec.set_name("c");
    spec.set_template_id(1);
    spec.set_from("news@example.com");
    std::map<int, std::set<uint64_t>> ids;
    const auto some = [&](int which, google::protobuf::RepeatedField<uint64_t>& field) {
      for (uint64_t id = 1; id <= 3; ++id) {
        if (Below(3) > 0) continue;
        field.Add(id);
        ids[which].insert(id);
      }
    };
    some(0, *spec.mutable_list_ids());
    some(1, *spec.mutable_segment_ids());
    if (Below(2) == 0) some(2, *spec.mutable_exclude_list_ids());
    if (Below(2) == 0) some(3, *spec.mutable_exclude_segment_ids());
    if (Below(2) == 0) {
      spec.add_arms()->set_name("pros");
      spec.mutable_arms(0)->set_where_attribute("plan");
      spec.mutable_arms(0)->set_where_value("pro");
      spec.mutable_arms(0)->set_holdout(Below(2) == 0);
      spec.add_arms()->set_name("x");
      const uint32_t weight = 25 * (1 + Below(3));
      spec.mutable_arms(1)->set_weight(weight);
      spec.add_arms()->set_name("y");
      spec.mutable_arms(2)->set_weight(100 - weight);
    }
    Ask(create);
    const auto meets = [](const std::set<uint64_t>& a, const std::set<uint64_t>& b) {
      return std::ranges::any_of(a, [&](uint64_t id) { return b.contains(id); });
    };
    return static_cast<size_t>(std::ranges::count_if(people_, [&](const Person& person) {
      const bool in = (ids[0].empty() && ids[1].empty()) || meets(person.lists, ids[0]) || meets(person.segments, ids[1]);
      return in && !meets(person.lists, ids[2]) && !meets(person.segments, ids[3]);
    }));
  }

  // By verdict.
  std::map<int, uint64_t> Counted() {
    std::map<int, uint64_t> sums;
    for (const Seen& seen : world_.TakeSeen()) {
      campaigns::v1::LaunchPreviewCounted counted;
      if (seen.type != TypeNumberOf<campaigns::v1::LaunchPreviewCounted>() || !counted.ParseFromString(seen.payload)) continue;
      for (const auto& one : counted.verdicts()) sums[static_cast<int>(one.verdict())] += one.contacts();
    }
    return sums;
  }
  std::map<int, uint64_t> Planned() {
    std::map<int, uint64_t> sums;
    for (const Seen& seen : world_.TakeSeen()) {
      campaigns::v1::AudiencePlanned planned;
      if (seen.type != TypeNumberOf<campaigns::v1::AudiencePlanned>() || !planned.ParseFromString(seen.payload)) continue;
      for (const char verdict : planned.verdicts()) {
        if (verdict != 0) ++sums[static_cast<uint8_t>(verdict)];
      }
    }
    return sums;
  }

  std::mt19937 random_;
  World world_;
  std::vector<Person> people_;
};

TEST(LaunchPreview, GivesTheNumbersOfTheLaunch) {
  const char* given = std::getenv("MAILY_SEED");
  const uint32_t first = given == nullptr ? std::random_device()() : static_cast<uint32_t>(std::strtoul(given, nullptr, 10));
  const uint32_t count = given == nullptr ? 30 : 1;
  for (uint32_t seed = first; seed != first + count && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("MAILY_SEED={}", seed));
    Audience(seed).Play();
  }
}

}  // namespace
}  // namespace maily::flow
