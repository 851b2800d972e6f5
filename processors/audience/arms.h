// Which arm of a campaign a contact belongs to: by an attribute's value, else by weight; holdouts are arms like any other.
//
// Pure. The same contact gets the same arm of the same campaign whenever it is asked: by weight it depends on XXH3_64(campaign ‖ contact
// key).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"

namespace maily::audience {

inline constexpr size_t kArmsMax = 64;  // verdict bytes have six bits for it
inline constexpr size_t kArmNameBytesMax = 64;
inline constexpr int kNoArm = -1;

// The value as conditions compare it: numbers and booleans as text. False: it has none, or it is sealed.
bool AttributeText(const contacts::v1::Attribute& attribute, std::string& text);

// `spec` must outlive it.
class Arms {
 public:
  Arms(const campaigns::v1::CampaignSpec& spec, uint64_t campaign_id);

  // Index of the contact's arm, or kNoArm: arms with a condition first, in order; then by weight among the others.
  int Choose(const contacts::v1::Contact& contact) const;
  bool IsHoldout(int arm) const { return spec_.arms_size() > 0 && spec_.arms(arm).holdout(); }

 private:
  const campaigns::v1::CampaignSpec& spec_;
  const uint64_t campaign_id_;
  uint64_t weights_ = 0;
};

// What an attribute is to a condition.
enum class Attribute { kUsable, kPersonal, kUnknown };
// Every sentence that says what is wrong with the arms; none = they are good.
std::vector<std::string> CheckArms(const campaigns::v1::CampaignSpec& spec,
                                   const std::function<Attribute(std::string_view name)>& attribute);

}  // namespace maily::audience
