// See arms.h.
#include "processors/audience/arms.h"

#include <fmt/format.h>

#include <set>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::audience {

using Value = contacts::v1::Attribute;

bool AttributeText(const contacts::v1::Attribute& attribute, std::string& text) {
  switch (attribute.value_case()) {
    case Value::kText:
      text = attribute.text();
      return true;
    case Value::kInteger:
      text = fmt::format("{}", attribute.integer());
      return true;
    case Value::kNumber:
      text = fmt::format("{}", attribute.number());
      return true;
    case Value::kBoolean:
      text = attribute.boolean() ? "true" : "false";
      return true;
    case Value::kSealed:
    case Value::VALUE_NOT_SET:
      return false;
  }
  return false;
}

Arms::Arms(const campaigns::v1::CampaignSpec& spec, uint64_t campaign_id)
    : spec_(spec), seed_(spec.seed() == 0 ? campaign_id : spec.seed()) {
  for (const auto& arm : spec_.arms()) {
    if (arm.where_attribute().empty()) weights_ += arm.weight();
  }
}

int Arms::Choose(const contacts::v1::Contact& contact) const {
  if (spec_.arms_size() == 0) return 0;  // one arm "all"
  std::string text;
  std::string_view had;  // the attribute that `text` and `has` are of
  bool has = false;
  for (int i = 0; i < spec_.arms_size(); ++i) {
    const auto& arm = spec_.arms(i);
    if (arm.where_attribute().empty()) continue;
    if (had != arm.where_attribute()) {
      had = arm.where_attribute();
      has = false;
      for (const auto& attribute : contact.attributes()) {
        if (attribute.name() != had) continue;
        has = AttributeText(attribute, text);
        break;
      }
    }
    if (has && text == arm.where_value()) return i;
  }
  if (weights_ == 0) return kNoArm;
  std::string bytes;
  PutFixed<uint64_t>(bytes, seed_);
  bytes.append(contact.contact_key());
  uint64_t bucket = Xxh3_64(bytes) % weights_;
  for (int i = 0; i < spec_.arms_size(); ++i) {
    const auto& arm = spec_.arms(i);
    if (!arm.where_attribute().empty()) continue;
    if (bucket < arm.weight()) return i;
    bucket -= arm.weight();
  }
  return kNoArm;
}

bool Arms::IsInSample(std::string_view contact_key) const {
  if (!spec_.has_test()) return true;
  std::string bytes = "sample";
  PutFixed<uint64_t>(bytes, seed_);
  bytes.append(contact_key);
  return Xxh3_64(bytes) % 100 < spec_.test().sample_percent();
}

std::vector<std::string> CheckArms(const campaigns::v1::CampaignSpec& spec,
                                   const std::function<Attribute(std::string_view name)>& attribute) {
  std::vector<std::string> wrong;
  if (static_cast<size_t>(spec.arms_size()) > kArmsMax) {
    wrong.push_back(fmt::format("{} arms are more than {}", spec.arms_size(), kArmsMax));
    return wrong;
  }
  std::set<std::string_view> names;
  bool anyone_gets_mail = spec.arms_size() == 0;
  int weighted = 0;
  uint64_t sum = 0;
  for (int i = 0; i < spec.arms_size(); ++i) {
    const auto& arm = spec.arms(i);
    const std::string which = arm.name().empty() ? fmt::format("arm {}", i + 1) : fmt::format("arm \"{}\"", arm.name());
    if (arm.name().empty()) wrong.push_back(which + " has no name");
    if (arm.name().size() > kArmNameBytesMax) wrong.push_back(fmt::format("{}: its name has more than {} bytes", which, kArmNameBytesMax));
    if (!arm.name().empty() && !names.insert(arm.name()).second) wrong.push_back("two arms are called \"" + arm.name() + "\"");
    anyone_gets_mail = anyone_gets_mail || !arm.holdout();
    if (arm.where_attribute().empty()) {
      weighted += arm.weight() != 0;
      sum += arm.weight();
      if (arm.weight() == 0) wrong.push_back(which + " has neither a condition nor a weight");
      continue;
    }
    if (arm.weight() != 0) wrong.push_back(which + " has both a condition and a weight");
    switch (attribute(arm.where_attribute())) {
      case Attribute::kUsable:
        break;
      case Attribute::kPersonal:
        wrong.push_back(fmt::format("{}: attribute \"{}\" is personal, so no condition can see it", which, arm.where_attribute()));
        break;
      case Attribute::kUnknown:
        wrong.push_back(fmt::format("{}: no attribute \"{}\" is registered", which, arm.where_attribute()));
        break;
    }
  }
  if (weighted > 1 && sum != kWeightsSum)
    wrong.push_back(fmt::format("the weights of arms sum to {}, and it is {} that they share", sum, kWeightsSum));
  if (!anyone_gets_mail) wrong.push_back("every arm is a holdout: nobody would get mail");
  return wrong;
}

std::vector<std::string> CheckTest(const campaigns::v1::CampaignSpec& spec) {
  std::vector<std::string> wrong;
  if (!spec.has_test()) return wrong;
  const campaigns::v1::Test& test = spec.test();
  if (spec.arms_size() < 2 || spec.arms_size() > kTestArmsMax)
    wrong.push_back(fmt::format("a test is between 2 and {} arms, and there are {}", kTestArmsMax, spec.arms_size()));
  for (const auto& arm : spec.arms()) {
    if (!arm.where_attribute().empty())
      wrong.push_back(fmt::format("arm \"{}\" has a condition: the arms of a test are given by weight", arm.name()));
    if (arm.holdout())
      wrong.push_back(fmt::format("arm \"{}\" is a holdout, which cannot win: the tenant has one (holdout_bp)", arm.name()));
  }
  if (test.sample_percent() < 1 || test.sample_percent() > 99)
    wrong.push_back("sample_percent is 1 to 99: the rest of the audience gets the winner (to give all of it the arms, leave the test out)");
  if (test.wait_minutes() < 1 || test.wait_minutes() > kTestWaitMinutesMax)
    wrong.push_back(fmt::format("wait_minutes is 1 to {}", kTestWaitMinutesMax));
  if (test.enough() > kTestEnoughMax) wrong.push_back(fmt::format("enough is at most {}", kTestEnoughMax));
  return wrong;
}

}  // namespace maily::audience
