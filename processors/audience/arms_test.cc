// Tests of arms: conditions, weights, holdouts, and what is refused.
#include "processors/audience/arms.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace maily::audience {
namespace {

campaigns::v1::CampaignSpec Spec(const std::string& text) {
  campaigns::v1::CampaignSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

contacts::v1::Contact Contact(const std::string& text) {
  contacts::v1::Contact contact;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &contact)) << text;
  return contact;
}

TEST(Arms, OfACampaignWithoutAnyAreOne) {
  const auto spec = Spec("");
  EXPECT_EQ(Arms(spec, 1).Choose(Contact("contact_key: 'a'")), 0);
  EXPECT_FALSE(Arms(spec, 1).IsHoldout(0));
}

TEST(Arms, TakeTheFirstConditionThatFits) {
  const auto spec = Spec(R"(
    arms { name: "mens" where_attribute: "segment" where_value: "Mens E-Mail" }
    arms { name: "seven" where_attribute: "recency" where_value: "7" }
    arms { name: "new" where_attribute: "newbie" where_value: "true" }
    arms { name: "half" where_attribute: "share" where_value: "0.5" })");
  const Arms arms(spec, 1);
  EXPECT_EQ(arms.Choose(Contact(R"(attributes { name: "segment" text: "Mens E-Mail" } attributes { name: "recency" integer: 7 })")), 0);
  EXPECT_EQ(arms.Choose(Contact(R"(attributes { name: "recency" integer: 7 })")), 1);
  EXPECT_EQ(arms.Choose(Contact(R"(attributes { name: "newbie" boolean: true })")), 2);
  EXPECT_EQ(arms.Choose(Contact(R"(attributes { name: "share" number: 0.5 })")), 3);
  EXPECT_EQ(arms.Choose(Contact(R"(attributes { name: "segment" text: "No E-Mail" })")), kNoArm);
  EXPECT_EQ(arms.Choose(Contact("")), kNoArm);
}

TEST(Arms, NeverFitASealedValue) {
  const auto spec = Spec(R"(arms { name: "a" where_attribute: "name" where_value: "Ann" })");
  EXPECT_EQ(Arms(spec, 1).Choose(Contact(R"(attributes { name: "name" sealed: "Ann" })")), kNoArm);
}

TEST(Arms, ShareTheRestByWeight) {
  const auto spec = Spec(R"(
    arms { name: "vip" where_attribute: "vip" where_value: "true" }
    arms { name: "a" weight: 3 }
    arms { name: "hold" weight: 1 holdout: true })");
  const Arms arms(spec, 9);
  std::vector<int> counts(3);
  contacts::v1::Contact contact;
  for (int i = 0; i < 40'000; ++i) {
    contact.set_contact_key("contact-" + std::to_string(i));
    ++counts[static_cast<size_t>(arms.Choose(contact))];
  }
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 30'000, 400);  // four standard deviations are 346
  EXPECT_NEAR(counts[2], 10'000, 400);
  EXPECT_TRUE(arms.IsHoldout(2));
}

TEST(Arms, DivideAnotherCampaignAnotherWay) {
  const auto spec = Spec(R"(arms { name: "a" weight: 50 } arms { name: "b" weight: 50 })");
  int same = 0;
  contacts::v1::Contact contact;
  for (int i = 0; i < 10'000; ++i) {
    contact.set_contact_key("contact-" + std::to_string(i));
    EXPECT_EQ(Arms(spec, 1).Choose(contact), Arms(spec, 1).Choose(contact));
    if (Arms(spec, 1).Choose(contact) == Arms(spec, 2).Choose(contact)) ++same;
  }
  EXPECT_NEAR(same, 5'000, 250);
}

TEST(Arms, AreCheckedWithEveryViolation) {
  const auto spec = Spec(R"(
    arms { name: "a" weight: 1 holdout: true }
    arms { name: "a" holdout: true }
    arms { where_attribute: "nope" where_value: "x" holdout: true }
    arms { name: "secret" where_attribute: "first_name" where_value: "Ann" weight: 2 holdout: true })");
  const auto wrong =
      CheckArms(spec, [](std::string_view name) { return name == "first_name" ? Attribute::kPersonal : Attribute::kUnknown; });
  EXPECT_EQ(wrong,
            (std::vector<std::string>{"two arms are called \"a\"", "arm \"a\" has neither a condition nor a weight", "arm 3 has no name",
                                      "arm 3: no attribute \"nope\" is registered", "arm \"secret\" has both a condition and a weight",
                                      "arm \"secret\": attribute \"first_name\" is personal, so no condition can see it",
                                      "every arm is a holdout: nobody would get mail"}));
}

TEST(Arms, WeightsSumTo100) {
  const auto check = [](const std::string& arms) { return CheckArms(Spec(arms), [](std::string_view) { return Attribute::kUsable; }); };
  EXPECT_EQ(check(R"(arms { name: "a" weight: 60 } arms { name: "b" weight: 50 })"),
            (std::vector<std::string>{"the weights of arms sum to 110, and it is 100 that they share"}));
  EXPECT_TRUE(check(R"(arms { name: "a" weight: 34 } arms { name: "b" weight: 33 } arms { name: "c" weight: 33 })").empty());
  EXPECT_TRUE(check(R"(arms { name: "a" where_attribute: "x" where_value: "1" } arms { name: "others" weight: 1 })").empty());
}

// What a contact gets follows from contact and seed, and from nothing else: not from the campaign, not from when it is asked.
TEST(Arms, AreAFunctionOfContactAndSeed) {
  const std::string arms = R"(arms { name: "a" weight: 50 } arms { name: "b" weight: 30 } arms { name: "c" weight: 20 }
                              test { sample_percent: 20 wait_minutes: 60 })";
  const auto seeded = Spec("seed: 7 " + arms);
  const auto other = Spec("seed: 8 " + arms);
  const auto unseeded = Spec(arms);
  int same = 0;
  std::vector<int> in_sample(3);
  contacts::v1::Contact contact;
  for (int i = 0; i < 50'000; ++i) {
    contact.set_contact_key("contact-" + std::to_string(i));
    const int arm = Arms(seeded, 1).Choose(contact);
    EXPECT_EQ(arm, Arms(seeded, 2).Choose(contact));
    EXPECT_EQ(arm, Arms(unseeded, 7).Choose(contact));
    EXPECT_EQ(Arms(seeded, 1).IsInSample(contact.contact_key()), Arms(seeded, 2).IsInSample(contact.contact_key()));
    same += arm == Arms(other, 1).Choose(contact);
    if (Arms(seeded, 1).IsInSample(contact.contact_key())) ++in_sample[static_cast<size_t>(arm)];
  }
  EXPECT_NEAR(same, 50'000 * 0.38, 500);  // 0.5² + 0.3² + 0.2²
  // Being in the sample says nothing of the arm.
  EXPECT_NEAR(in_sample[0], 5'000, 300);
  EXPECT_NEAR(in_sample[1], 3'000, 250);
  EXPECT_NEAR(in_sample[2], 2'000, 200);
  EXPECT_TRUE(Arms(Spec(""), 1).IsInSample("anybody"));
}

TEST(Arms, OfATestAreGivenByWeightAlone) {
  const auto wrong = CheckTest(Spec(R"(
    arms { name: "a" where_attribute: "x" where_value: "1" } arms { name: "b" weight: 1 holdout: true }
    test { sample_percent: 100 enough: 2000000 })"));
  ASSERT_EQ(wrong.size(), 5U);
  EXPECT_NE(wrong[0].find("given by weight"), std::string::npos);
  EXPECT_NE(wrong[1].find("cannot win"), std::string::npos);
  EXPECT_NE(wrong[2].find("sample_percent is 1 to 99"), std::string::npos);
  EXPECT_EQ(CheckTest(Spec(R"(arms { name: "a" weight: 100 } test { sample_percent: 10 wait_minutes: 1 })")),
            (std::vector<std::string>{"a test is between 2 and 10 arms, and there are 1"}));
  EXPECT_TRUE(CheckTest(Spec("")).empty());
}

}  // namespace
}  // namespace maily::audience
