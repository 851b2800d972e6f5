// See pace.h.
#include "processors/campaigns/pace.h"

#include <fmt/format.h>

#include <limits>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/schedule.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

// A minute, and the second that a partition may catch up (sends::kPaceBurst): so that no minute has more.
constexpr int64_t kMinuteUs = 61'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

uint64_t Pending(const task::Context& context, uint64_t campaign_id) {
  uint64_t left = 0;
  context.view<sends::v1::SendLane>().Scan(state::Key(context.tenant(), campaign_id), {}, [&](std::string_view, const auto& lane) {
    left += lane.left();
    return true;
  });
  return left;
}

}  // namespace

void Decide(task::Context& context, const v1::ThrottleCampaign& command) {
  const v1::Campaign* campaign =
      CampaignIn(context, command.campaign_id(), {v1::DRAFT, v1::SCHEDULED, v1::HELD, v1::LAUNCHED, v1::STATUS_PAUSED}, "campaign_ended");
  if (campaign == nullptr) return;
  if (!IsPace(command.pace())) {
    return context.Refuse(
        journal::Outcome::kInvalid, "campaign_invalid",
        fmt::format("a throttle is either per_minute, up to {}, or over_minutes, up to {}", kPerMinuteMax, kOverMinutesMax));
  }
  if (campaign->spec().evergreen() && command.pace().over_minutes() != 0)
    return context.Refuse(journal::Outcome::kInvalid, "campaign_invalid", kNoEnd);
  const v1::Pace& is = campaign->has_pace() ? campaign->pace() : campaign->spec().pace();
  context.Answer("campaign_id", command.campaign_id());
  if (is.SerializeAsString() == command.pace().SerializeAsString()) return context.Unchanged();
  v1::CampaignThrottled throttled;
  throttled.set_campaign_id(command.campaign_id());
  *throttled.mutable_pace() = command.pace();
  context.Emit(throttled);
}

void Decide(task::Context& context, const v1::CampaignThrottled& throttled) {
  const v1::CampaignRun* run = RunOf(context, throttled.campaign_id());
  if (run == nullptr || run->pace().SerializeAsString() == throttled.pace().SerializeAsString()) return context.Unchanged();
  Throttle(context, throttled.campaign_id(), throttled.pace());
}

void Throttle(task::Context& context, uint64_t campaign_id, const v1::Pace& pace) {
  v1::RunThrottled throttled;
  throttled.set_campaign_id(campaign_id);
  *throttled.mutable_pace() = pace;
  const auto partitions = int64_t{context.partition_count()};
  int64_t turn = 0;  // in which the partition's first mail goes: those of all of them lie evenly
  if (pace.per_minute() != 0) {
    throttled.set_interval_us((kMinuteUs * partitions + pace.per_minute() - 1) / pace.per_minute());
    turn = throttled.interval_us() / partitions;
  } else if (pace.over_minutes() != 0) {
    const auto* sends = context.view<sends::v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
    if (sends == nullptr || !sends->planned()) {
      throttled.set_interval_us(1);
      throttled.set_first_us(kNever);
      return context.Emit(throttled);
    }
    const uint64_t left = Pending(context, campaign_id);
    throttled.set_interval_us(left == 0 ? 0 : static_cast<int64_t>(int64_t{pace.over_minutes()} * 60'000'000 / static_cast<int64_t>(left)));
    turn = throttled.interval_us() / partitions;
  }
  throttled.set_first_us((context.now() + Duration{turn * int64_t{context.partition().value()}}).us);
  context.Emit(throttled);
}

void ThrottlePlanned(task::Context& context, uint64_t campaign_id) {
  const v1::CampaignRun* run = RunOf(context, campaign_id);
  if (run == nullptr || run->pace().over_minutes() == 0) return;
  Throttle(context, campaign_id, v1::Pace(run->pace()));
}

}  // namespace maily::campaigns
