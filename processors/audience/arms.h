// Which arm of a campaign a contact belongs to: by an attribute's value, else by weight; holdouts are arms like any other.
//
// Pure. The same contact gets the same arm of the same campaign whenever it is asked: by weight it depends on XXH3_64(seed ‖ contact key),
// and whether it is in the sample of a test on XXH3_64("sample" ‖ seed ‖ contact key), so that each arm has its share of the sample. The
// seed is the specification's, or else the campaign's id.
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
inline constexpr int kTestArmsMax = 10;
inline constexpr uint32_t kWeightsSum = 100;  // of two or more arms with weights
inline constexpr uint32_t kTestWaitMinutesMax = 14 * 24 * 60;
inline constexpr uint32_t kTestEnoughMax = 1'000'000;

// The value as conditions compare it: numbers and booleans as text. False: it has none, or it is sealed.
bool AttributeText(const contacts::v1::Attribute& attribute, std::string& text);

// `spec` must outlive it.
class Arms {
 public:
  Arms(const campaigns::v1::CampaignSpec& spec, uint64_t campaign_id);

  // Index of the contact's arm, or kNoArm: arms with a condition first, in order; then by weight among the others.
  int Choose(const contacts::v1::Contact& contact) const;
  // Whether the contact gets its arm at once. Without a test everybody does; else the others wait for the winner.
  bool IsInSample(std::string_view contact_key) const;
  bool IsHoldout(int arm) const { return spec_.arms_size() > 0 && spec_.arms(arm).holdout(); }

 private:
  const campaigns::v1::CampaignSpec& spec_;
  const uint64_t seed_;
  uint64_t weights_ = 0;
};

// What an attribute is to a condition.
enum class Attribute { kUsable, kPersonal, kUnknown };
// Every sentence that says what is wrong with the arms; none = they are good.
std::vector<std::string> CheckArms(const campaigns::v1::CampaignSpec& spec,
                                   const std::function<Attribute(std::string_view name)>& attribute);

// What is wrong with the test, which has arms that CheckArms finds nothing wrong with; none: it has no test, or a good one.
std::vector<std::string> CheckTest(const campaigns::v1::CampaignSpec& spec);

}  // namespace maily::audience
