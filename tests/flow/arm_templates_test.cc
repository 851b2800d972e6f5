// Templates that arms have of their own, as large as they may be: what a launch pins fits into one decision and reaches every partition;
// what does not is refused before anything is decided.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/templates/v1/events.pb.h"
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

class ArmTemplatesTest : public testing::Test {
 protected:
  static constexpr uint16_t kPartitions = 3;
  ArmTemplatesTest() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    Ask(settings);
  }
  template <class Message>
  Answered Ask(const Message& message) {
    return world_.Command(world_.PartitionFor(message), TypeNumberOf<Message>(), schema::Encode(message), world_.now());
  }
  // Of that size, more or less.
  void Save(int number, size_t bytes) {
    templates::v1::SaveTemplate save;
    save.set_name(fmt::format("t{}", number));
    save.set_subject("s");
    save.set_text("{{ unsubscribe_url }} {{ postal_address }} " + std::string(bytes, 'x'));
    ASSERT_EQ(Ask(save).outcome, journal::Outcome::kDone);
  }
  // A campaign with an arm for each of the templates 1 … `arms`, of which the first is its own; launched.
  Answered Launch(uint64_t campaign_id, int arms) {
    campaigns::v1::CreateCampaign create;
    create.mutable_spec()->set_name("c");
    create.mutable_spec()->set_template_id(1);
    create.mutable_spec()->set_from("news@example.com");
    for (int i = 1; i <= arms; ++i) {
      auto& arm = *create.mutable_spec()->add_arms();
      arm.set_name(fmt::format("a{}", i));
      arm.set_weight(static_cast<uint32_t>(i < arms ? 100 / arms : 100 - 100 / arms * (arms - 1)));
      arm.set_template_id(static_cast<uint64_t>(i));
    }
    EXPECT_EQ(Ask(create).outcome, journal::Outcome::kDone);
    campaigns::v1::LaunchCampaign launch;
    launch.set_campaign_id(campaign_id);
    return Ask(launch);
  }
  // Events of that type since the last look.
  template <class Event>
  size_t Seen() {
    size_t found = 0;
    for (const auto& seen : world_.TakeSeen()) found += seen.type == TypeNumberOf<Event>() ? 1 : 0;
    return found;
  }

  World world_{ThePipeline(), kPartitions, /*flushes=*/true};
};

TEST_F(ArmTemplatesTest, TheLargestThatALaunchPinsReachEveryPartition) {
  for (int number = 1; number <= 4; ++number) Save(number, 47 * 1024);
  world_.TakeSeen();
  EXPECT_EQ(Launch(1, 4).outcome, journal::Outcome::kDone);
  world_.Run();
  EXPECT_EQ(Seen<templates::v1::PinnedTemplateHeld>(), 3u * kPartitions);
  EXPECT_EQ(world_.CheckRestore(), "");
}

TEST_F(ArmTemplatesTest, MoreBytesThanADecisionHoldsAreRefused) {
  for (int number = 1; number <= 5; ++number) Save(number, 45 * 1024);
  world_.TakeSeen();
  const Answered answered = Launch(1, 5);
  EXPECT_EQ(answered.outcome, journal::Outcome::kInvalid);
  EXPECT_NE(answered.answer.find("campaign_too_large"), std::string::npos) << answered.answer;
  EXPECT_NE(answered.answer.find("more than 163840"), std::string::npos) << answered.answer;
  EXPECT_EQ(Seen<templates::v1::TemplatePinned>(), 0u);
  EXPECT_EQ(Launch(2, 4).outcome, journal::Outcome::kDone) << "with one fewer it goes";
}

TEST_F(ArmTemplatesTest, MoreTemplatesThanSixteenAreRefusedWithTheDraft) {
  campaigns::v1::CreateCampaign create;
  create.mutable_spec()->set_name("c");
  create.mutable_spec()->set_template_id(1);
  create.mutable_spec()->set_from("news@example.com");
  for (int i = 0; i < 20; ++i) {
    auto& arm = *create.mutable_spec()->add_arms();
    arm.set_name(fmt::format("a{}", i));
    arm.set_weight(5);
    arm.set_template_id(static_cast<uint64_t>(i < 18 ? i + 1 : 2));
  }
  const Answered answered = Ask(create);
  EXPECT_EQ(answered.outcome, journal::Outcome::kInvalid);
  EXPECT_NE(answered.answer.find("arms have 17 templates of their own, more than 16"), std::string::npos) << answered.answer;
  create.mutable_spec()->mutable_arms(17)->set_template_id(2);
  EXPECT_EQ(Ask(create).outcome, journal::Outcome::kDone);
}

}  // namespace
}  // namespace maily::flow
