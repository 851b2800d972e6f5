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

Arms::Arms(const campaigns::v1::CampaignSpec& spec, uint64_t campaign_id) : spec_(spec), campaign_id_(campaign_id) {
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
  PutFixed<uint64_t>(bytes, campaign_id_);
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

std::vector<std::string> CheckArms(const campaigns::v1::CampaignSpec& spec,
                                   const std::function<Attribute(std::string_view name)>& attribute) {
  std::vector<std::string> wrong;
  if (static_cast<size_t>(spec.arms_size()) > kArmsMax) {
    wrong.push_back(fmt::format("{} arms are more than {}", spec.arms_size(), kArmsMax));
    return wrong;
  }
  std::set<std::string_view> names;
  bool anyone_gets_mail = spec.arms_size() == 0;
  for (int i = 0; i < spec.arms_size(); ++i) {
    const auto& arm = spec.arms(i);
    const std::string which = arm.name().empty() ? fmt::format("arm {}", i + 1) : fmt::format("arm \"{}\"", arm.name());
    if (arm.name().empty()) wrong.push_back(which + " has no name");
    if (arm.name().size() > kArmNameBytesMax) wrong.push_back(fmt::format("{}: its name has more than {} bytes", which, kArmNameBytesMax));
    if (!arm.name().empty() && !names.insert(arm.name()).second) wrong.push_back("two arms are called \"" + arm.name() + "\"");
    anyone_gets_mail = anyone_gets_mail || !arm.holdout();
    if (arm.where_attribute().empty()) {
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
  if (!anyone_gets_mail) wrong.push_back("every arm is a holdout: nobody would get mail");
  return wrong;
}

}  // namespace maily::audience
