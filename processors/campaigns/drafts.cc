// See drafts.h.
#include "processors/campaigns/drafts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/audience/reach.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using journal::Outcome;

// Members of a spec that the program sets by itself.
constexpr std::array<std::string_view, 3> kNotEdited = {"derived", "holdout_bp", "author"};

bool IsKnownList(const task::Context& context, uint64_t id) {
  return context.view<lists::v1::List>().Find(state::Key(context.tenant(), id)) != nullptr;
}

// True: `seen` is its revision. Else the command was refused.
bool IsSeen(task::Context& context, uint64_t campaign_id, const v1::Campaign& campaign, uint32_t seen) {
  if (seen == RevisionOf(campaign) || seen == 0) return true;
  context.Refuse(Outcome::kConflict, "stale_revision",
                 fmt::format("campaign {} has revision {} by now; look at it, then ask again", campaign_id, RevisionOf(campaign)));
  context.Answer("revision", uint64_t{RevisionOf(campaign)});
  return false;
}

// `spec` with those fields as they are in `from`. False: one is none that can be set.
bool Take(const v1::CampaignSpec& from, const google::protobuf::RepeatedPtrField<std::string>& fields, v1::CampaignSpec& spec) {
  for (const std::string& name : fields) {
    const auto* field = v1::CampaignSpec::descriptor()->FindFieldByName(name);
    if (field == nullptr || std::ranges::find(kNotEdited, name) != kNotEdited.end()) return false;
    const auto* reflection = v1::CampaignSpec::GetReflection();
    reflection->ClearField(&spec, field);
    v1::CampaignSpec one = from;
    std::vector<const google::protobuf::FieldDescriptor*> there;
    reflection->ListFields(one, &there);
    for (const auto* other : there) {
      if (other != field) reflection->ClearField(&one, other);
    }
    spec.MergeFrom(one);
  }
  return true;
}

void Ids(const google::protobuf::RepeatedField<uint64_t>& ids, std::string_view member, Wrong& wrong,
         const std::function<std::string(uint64_t id)>& fault) {
  if (ids.size() > audience::kAudienceIdsMax) {
    wrong.emplace_back(fmt::format("/{}", member), fmt::format("{} has at most {} ids", member, audience::kAudienceIdsMax));
    return;
  }
  std::set<uint64_t> seen;
  for (int i = 0; i < ids.size(); ++i) {
    std::string sentence = seen.insert(ids[i]).second ? fault(ids[i]) : fmt::format("{} is there twice", ids[i]);
    if (!sentence.empty()) wrong.emplace_back(fmt::format("/{}/{}", member, i), std::move(sentence));
  }
}

}  // namespace

void CheckAudience(const task::Context& context, const v1::CampaignSpec& spec, Wrong& wrong) {
  const auto list = [&](uint64_t id) { return IsKnownList(context, id) ? std::string() : fmt::format("there is no list {}", id); };
  const auto segment = [&](uint64_t id) {
    const auto* found = context.view<segments::v1::Segment>().Find(state::Key(context.tenant(), id));
    if (found == nullptr) return fmt::format("there is no segment {}", id);
    return found->archived() ? fmt::format("segment {} is archived", id) : std::string();
  };
  Ids(spec.list_ids(), "list_ids", wrong, list);
  Ids(spec.segment_ids(), "segment_ids", wrong, segment);
  Ids(spec.exclude_list_ids(), "exclude_list_ids", wrong, list);
  Ids(spec.exclude_segment_ids(), "exclude_segment_ids", wrong, segment);
}

std::string MissingInAudience(const task::Context& context, const v1::CampaignSpec& spec) {
  Wrong wrong;
  CheckAudience(context, spec, wrong);
  std::vector<std::string> sentences;
  for (const auto& [where, sentence] : wrong) sentences.push_back(fmt::format("{}: {}", where, sentence));
  return Joined(sentences);
}

std::optional<compliance::Objection> WhyNotApproved(const task::Context& context, uint64_t campaign_id, const v1::Campaign& campaign,
                                                    uint64_t audience) {
  const uint64_t over = TenantOf(context).approval_over();
  const bool grows = campaign.spec().evergreen();
  if (over == 0 || (!grows && audience != 0 && audience <= over)) return std::nullopt;
  const std::string many = grows           ? "it is evergreen, so its audience grows"
                           : audience == 0 ? "its audience was not counted"
                                           : fmt::format("its audience has {} contacts", audience);
  if (!campaign.has_approval() || campaign.approval().by() == context.command()->actor) {
    return compliance::Objection{
        "", "approval_missing",
        fmt::format("campaign {} is approved by a second person before it is launched: {}, and approval_over is {}", campaign_id, many,
                    over)};
  }
  if (campaign.approval().revision() != RevisionOf(campaign)) {
    return compliance::Objection{"", "approval_void",
                                 fmt::format("campaign {} was approved as of revision {}, and has revision {} by now: it is approved anew",
                                             campaign_id, campaign.approval().revision(), RevisionOf(campaign))};
  }
  return std::nullopt;
}

bool IsApproved(task::Context& context, uint64_t campaign_id, const v1::Campaign& campaign, uint64_t audience) {
  const auto why = WhyNotApproved(context, campaign_id, campaign, audience);
  if (why) context.Refuse(Outcome::kConflict, why->code, why->sentence);
  return !why;
}

void Decide(task::Context& context, const v1::EditCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::DRAFT, v1::LAUNCHED, v1::STATUS_PAUSED}, "campaign_ended");
  if (campaign == nullptr || !IsSeen(context, command.campaign_id(), *campaign, command.revision())) return;
  const bool name_alone = std::ranges::all_of(command.fields(), [](const std::string& field) { return field == "name"; });
  if (campaign->status() != v1::DRAFT && !name_alone) {
    CampaignIn(context, command.campaign_id(), {v1::DRAFT}, "campaign_not_draft");
    return context.Answer("editable", "name");
  }
  v1::CampaignEdited edited;
  *edited.mutable_spec() = campaign->spec();
  if (!Take(command.spec(), command.fields(), *edited.mutable_spec())) {
    return context.Refuse(Outcome::kInvalid, "campaign_invalid", "a member is named that cannot be set");
  }
  if (edited.spec().SerializeAsString() == campaign->spec().SerializeAsString()) {
    context.Unchanged();
  } else {
    if (RefusesSpec(context, edited.spec(), campaign->spec())) return;
    edited.set_campaign_id(command.campaign_id());
    edited.set_revision(RevisionOf(*campaign) + 1);
    edited.mutable_spec()->set_author(AuthorOf(context));
    context.Emit(edited);
  }
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("revision", uint64_t{edited.campaign_id() == 0 ? RevisionOf(*campaign) : edited.revision()});
}

void Decide(task::Context& context, const v1::DeleteCampaign& command) {
  const auto* found = context.view<v1::Campaign>().Find(state::Key(context.tenant(), command.campaign_id()));
  if (found != nullptr && found->deleted()) return context.Refuse(Outcome::kNotFound, "campaign_deleted", "it was deleted before");
  if (CampaignIn(context, command.campaign_id(), {v1::DRAFT}, "campaign_not_draft") == nullptr) return;
  v1::CampaignDeleted deleted;
  deleted.set_campaign_id(command.campaign_id());
  context.Emit(deleted);
}

void Decide(task::Context& context, const v1::CloneCampaign& command) {
  const v1::Campaign* campaign =
      CampaignIn(context, command.campaign_id(),
                 {v1::DRAFT, v1::SCHEDULED, v1::HELD, v1::LAUNCHED, v1::STATUS_PAUSED, v1::STATUS_CANCELLED, v1::COMPLETED, v1::REFUSED},
                 "campaign_not_found");
  if (campaign == nullptr) return;
  v1::CampaignSpec spec = campaign->spec();
  spec.set_name(command.name().empty() ? "Copy of " + spec.name() : command.name());
  if (!RefusesSpec(context, spec)) Create(context, spec);
}

void Decide(task::Context& context, const v1::ResendCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::STATUS_CANCELLED, v1::COMPLETED}, "campaign_not_ended");
  if (campaign == nullptr) return;
  if (command.as() != v1::FAILED && command.as() != v1::NON_OPENERS) {
    return context.Refuse(Outcome::kInvalid, "campaign_invalid", "a resend is for failed or non_openers");
  }
  v1::CampaignSpec spec = campaign->spec();
  spec.set_name(command.name().empty() ? "Resend of " + spec.name() : command.name());
  if (command.template_id() != 0) {  // instead of all that there were
    spec.set_template_id(command.template_id());
    for (v1::Arm& arm : *spec.mutable_arms()) arm.clear_template_id();
  }
  spec.mutable_derived()->set_campaign_id(command.campaign_id());
  spec.mutable_derived()->set_as(command.as());
  spec.clear_test();  // the arms stay, for all of them
  spec.clear_evergreen();
  if (!RefusesSpec(context, spec)) Create(context, spec);
}

void Decide(task::Context& context, const v1::ApproveCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::DRAFT}, "campaign_not_draft");
  if (campaign == nullptr || !IsSeen(context, command.campaign_id(), *campaign, command.revision())) return;
  const std::string_view by = context.command()->actor;
  if (!campaign->spec().author().empty() && campaign->spec().author() == by) {
    return context.Refuse(Outcome::kConflict, "approval_by_author",
                          "whoever has written a campaign does not approve it: a second person does");
  }
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("revision", uint64_t{command.revision()});
  context.Answer("approved_by", by);
  if (campaign->approval().revision() == command.revision() && campaign->approval().by() == by) return context.Unchanged();
  v1::CampaignApproved approved;
  approved.set_campaign_id(command.campaign_id());
  approved.set_revision(command.revision());
  approved.set_by(std::string(by));
  context.Emit(approved);
}

}  // namespace maily::campaigns
