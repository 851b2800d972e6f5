// See decide.h.
#include "processors/campaigns/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/audience/arms.h"
#include "processors/campaigns/ab_test.h"
#include "processors/campaigns/arm_templates.h"
#include "processors/campaigns/drafts.h"
#include "processors/campaigns/entrants.h"
#include "processors/campaigns/pace.h"
#include "processors/campaigns/safety.h"
#include "processors/campaigns/schedule.h"
#include "processors/campaigns/zones.h"
#include "processors/compliance/rules.h"
#include "processors/personalization/template.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

using journal::Outcome;

bool HasControl(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool IsAddress(std::string_view address) {
  const size_t at = address.rfind('@');
  return at != std::string_view::npos && at > 0 && at + 1 < address.size() && address.find_first_of(" <>,;\"") == std::string_view::npos;
}

// The name in From alone.
personalization::Source NameSource(const v1::CampaignSpec& spec) {
  return {.subject = {}, .html = {}, .text = {}, .preheader = {}, .from_name = spec.from_name(), .partials = {}};
}

// What an arm says of its own.
personalization::Source ArmSource(const v1::Arm& arm) {
  return {.subject = arm.subject(), .html = {}, .text = {}, .preheader = {}, .from_name = arm.from_name(), .partials = {}};
}

void CheckArmTexts(const tenants::v1::Tenant& tenant, const v1::CampaignSpec& spec,
                   std::vector<std::pair<std::string, std::string>>& wrong) {
  const auto registered = [&](std::string_view name) {
    return std::ranges::any_of(tenant.attributes(), [&](const auto& attribute) { return attribute.name() == name; });
  };
  for (int i = 0; i < spec.arms_size(); ++i) {
    const v1::Arm& arm = spec.arms(i);
    if (arm.subject().size() > kSubjectBytesMax || HasControl(arm.subject()))
      wrong.emplace_back(fmt::format("/arms/{}/subject", i), fmt::format("a subject has at most {} bytes, in one line", kSubjectBytesMax));
    if (arm.from_name().size() > kFromBytesMax || HasControl(arm.from_name()))
      wrong.emplace_back(fmt::format("/arms/{}/from_name", i),
                         fmt::format("the name in From has at most {} bytes, in one line", kFromBytesMax));
    for (const personalization::Violation& violation : personalization::LintNames(ArmSource(arm), registered))
      wrong.emplace_back(fmt::format("/arms/{}", i), violation.ToString());
  }
}

std::string_view StatusName(v1::CampaignStatus status) {
  switch (status) {
    case v1::DRAFT:
      return "a draft";
    case v1::LAUNCHED:
      return "running";
    case v1::STATUS_PAUSED:
      return "paused";
    case v1::STATUS_CANCELLED:
      return "cancelled";
    case v1::COMPLETED:
      return "completed";
    case v1::REFUSED:
      return "refused";
    case v1::SCHEDULED:
      return "scheduled";
    case v1::HELD:
      return "held";
    default:
      return "in an unknown state";
  }
}

std::string_view LegalMoves(const v1::Campaign& campaign) {
  const bool open = campaign.spec().evergreen() && !campaign.finishing();
  switch (campaign.status()) {
    case v1::DRAFT:
      return "it can be launched, scheduled or cancelled";
    case v1::LAUNCHED:
      return open ? "it can be paused, finished or cancelled" : "it can be paused or cancelled";
    case v1::STATUS_PAUSED:
      return open ? "it can be resumed, finished or cancelled" : "it can be resumed or cancelled";
    case v1::SCHEDULED:
      return "it can be launched now, scheduled anew, unscheduled or cancelled";
    case v1::HELD:
      return "it can be released, scheduled anew, unscheduled or cancelled";
    default:
      return "nothing can be done with it any more";
  }
}

void Add(v1::CampaignCounts& sum, const v1::CampaignCounts& part) {
  sum.set_audience(sum.audience() + part.audience());
  sum.set_to_send(sum.to_send() + part.to_send());
  sum.set_delivered(sum.delivered() + part.delivered());
  sum.set_bounced(sum.bounced() + part.bounced());
  sum.set_unknown(sum.unknown() + part.unknown());
  sum.set_skipped(sum.skipped() + part.skipped());
  sum.set_holdout(sum.holdout() + part.holdout());
  sum.set_failed(sum.failed() + part.failed());
  sum.set_hard_bounced(sum.hard_bounced() + part.hard_bounced());
  sum.set_complaints(sum.complaints() + part.complaints());
  sum.set_render_errors(sum.render_errors() + part.render_errors());
  sum.set_entrants(sum.entrants() + part.entrants());
}

// In a partition: `to` is in force from now on, if the run is in one of `from`.
void ChangeRun(task::Context& context, uint64_t campaign_id, std::initializer_list<v1::RunState> from, v1::RunState to) {
  const v1::CampaignRun* run = RunOf(context, campaign_id);
  if (run == nullptr || std::ranges::find(from, run->state()) == from.end()) return context.Unchanged();
  v1::RunStateChanged changed;
  changed.set_campaign_id(campaign_id);
  changed.set_state(to);
  changed.set_finishing(run->finishing());
  context.Emit(changed);
}

}  // namespace

const v1::CampaignRun* RunOf(const task::Context& context, uint64_t campaign_id) {
  return context.view<v1::CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
}

// ---- What all deciders of the home share (drafts.h) ----

std::string Joined(const std::vector<std::string>& sentences) {
  std::string all;
  for (const std::string& sentence : sentences) all += (all.empty() ? "" : "; ") + sentence;
  return all;
}

const tenants::v1::Tenant& TenantOf(const task::Context& context) {
  static const tenants::v1::Tenant kNew;
  const auto* tenant = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  return tenant == nullptr ? kNew : *tenant;
}

const v1::Campaign* CampaignIn(task::Context& context, uint64_t campaign_id, std::initializer_list<v1::CampaignStatus> legal,
                               std::string_view code) {
  const auto* campaign = context.view<v1::Campaign>().Find(state::Key(context.tenant(), campaign_id));
  if (campaign == nullptr || campaign->deleted()) {
    context.Refuse(Outcome::kNotFound, "campaign_not_found", fmt::format("there is no campaign {}", campaign_id));
    return nullptr;
  }
  if (std::ranges::find(legal, campaign->status()) == legal.end()) {
    context.Refuse(Outcome::kConflict, code,
                   fmt::format("campaign {} is {}; {}", campaign_id, StatusName(campaign->status()), LegalMoves(*campaign)));
    return nullptr;
  }
  return campaign;
}

void RefuseFor(task::Context& context, const std::vector<compliance::Objection>& wrong) {
  std::vector<std::string> sentences;
  for (const compliance::Objection& one : wrong) sentences.push_back(one.sentence);
  context.Refuse(Outcome::kInvalid, wrong.front().code, Joined(sentences));
  for (const compliance::Objection& one : wrong) {
    if (!one.path.empty()) context.Answer(fmt::format("{}#{}", one.path, one.code), one.sentence);
  }
}

bool RefusesSpec(task::Context& context, const v1::CampaignSpec& spec, const v1::CampaignSpec& before) {
  const tenants::v1::Tenant& tenant = TenantOf(context);
  std::vector<std::pair<std::string, std::string>> wrong;  // where, and a sentence
  if (spec.name().empty() || spec.name().size() > kNameBytesMax) {
    wrong.emplace_back("/name", fmt::format("the name has 1 to {} bytes", kNameBytesMax));
  }
  if (spec.template_id() == 0) wrong.emplace_back("/template_id", "template_id is missing");
  if (spec.from().size() > kFromBytesMax || HasControl(spec.from()) || !IsAddress(compliance::AddressIn(spec.from()))) {
    wrong.emplace_back("/from", "from is like \"Shop <news@example.com>\"");
  }
  if (!spec.reply_to().empty() &&
      (spec.reply_to().size() > kFromBytesMax || HasControl(spec.reply_to()) || !IsAddress(compliance::AddressIn(spec.reply_to())))) {
    wrong.emplace_back("/reply_to", "reply_to is like \"Help <help@example.com>\"");
  }
  if (spec.from_name().size() > kFromBytesMax) {
    wrong.emplace_back("/from_name", fmt::format("the name in From has at most {} bytes", kFromBytesMax));
  } else {
    const auto registered = [&](std::string_view name) {
      return std::ranges::any_of(tenant.attributes(), [&](const auto& attribute) { return attribute.name() == name; });
    };
    for (const personalization::Violation& violation : personalization::LintNames(NameSource(spec), registered))
      wrong.emplace_back("/from_name", violation.ToString());
  }
  CheckAudience(context, spec, wrong);
  for (std::string& sentence : audience::CheckArms(spec, [&](std::string_view name) {
         for (const auto& attribute : tenant.attributes()) {
           if (attribute.name() == name) return attribute.personal() ? audience::Attribute::kPersonal : audience::Attribute::kUsable;
         }
         return audience::Attribute::kUnknown;
       })) {
    wrong.emplace_back("/arms", std::move(sentence));
  }
  if (spec.evergreen() && spec.has_derived())
    wrong.emplace_back("/evergreen", "a resend is for recipients of another campaign, and nobody comes into it later");
  if (spec.evergreen() && spec.pace().over_minutes() != 0) wrong.emplace_back("/throttle", std::string(kNoEnd));
  for (std::string& sentence : audience::CheckTest(spec)) wrong.emplace_back("/test", std::move(sentence));
  CheckTemplates(context, spec, before, wrong);
  CheckArmTexts(tenant, spec, wrong);
  CheckTiming(spec, wrong);
  if (!wrong.empty()) {
    std::vector<std::string> sentences;
    for (const auto& [where, sentence] : wrong) sentences.push_back(sentence);
    context.Refuse(Outcome::kInvalid, "campaign_invalid", Joined(sentences));
    context.AnswerAll(wrong);
    return true;
  }
  return false;
}

std::string AuthorOf(const task::Context& context) {
  return TenantOf(context).approval_over() == 0 ? std::string() : std::string(context.command()->actor);
}

void Create(task::Context& context, const v1::CampaignSpec& spec) {
  const auto* counter = context.view<v1::CampaignCounter>().Find(state::Key(context.tenant()));
  const uint64_t last = counter == nullptr ? 0 : counter->last_campaign_id();
  if (last >= kCampaignsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_campaigns", fmt::format("a tenant has at most {} campaigns", kCampaignsMax));
  }
  v1::CampaignCreated created;
  created.set_campaign_id(last + 1);
  *created.mutable_spec() = spec;
  created.mutable_spec()->set_author(AuthorOf(context));
  context.Emit(created);
  context.Answer("campaign_id", created.campaign_id());
  context.Answer("status", "draft");
}

compliance::Launch AskOf(const task::Context& context, const v1::CampaignSpec& spec, const Asked& asked) {
  return {
      .spec = spec,
      .tenant = TenantOf(context),
      .templates = TemplatesOf(context, spec),
      .domain = compliance::DomainOf(context.view<domains::v1::Domain>(), context.tenant(), spec.from()),
      .list_missing = spec.list_id() != 0 && context.view<lists::v1::List>().Find(state::Key(context.tenant(), spec.list_id())) == nullptr,
      .missing = MissingInAudience(context, spec),
      .empty_audience = asked.empty_audience,
      .live = asked.live};
}

std::optional<compliance::Objection> TooManyEvergreens(const task::Context& context, const v1::CampaignSpec& spec) {
  const auto* counter = context.view<v1::CampaignCounter>().Find(state::Key(context.tenant()));
  if (!spec.evergreen() || counter == nullptr || counter->evergreens() < kEvergreensMax) return std::nullopt;
  return compliance::Objection{"/evergreen", "too_many_evergreens",
                               fmt::format("{} evergreen campaigns run or are paused, and a tenant has at most {}: finish or cancel one",
                                           counter->evergreens(), kEvergreensMax)};
}

v1::CampaignSpec SpecAtLaunch(const task::Context& context, const v1::CampaignSpec& spec) {
  const tenants::v1::Tenant& tenant = TenantOf(context);
  v1::CampaignSpec launched = spec;
  if (tenant.tracking() == tenants::v1::TRACKING_OFF) launched.set_untracked(true);
  launched.set_holdout_bp(tenant.holdout_bp());
  return launched;
}

// ---- In the home ----

void Decide(task::Context& context, const v1::CreateCampaign& command) {
  const v1::CampaignSpec& spec = command.spec();
  if (RefusesSpec(context, spec)) return;
  Create(context, spec);
}

void Decide(task::Context& context, const v1::LaunchCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::DRAFT, v1::SCHEDULED, v1::HELD}, "campaign_not_draft");
  if (campaign != nullptr) LaunchOrRefuse(context, *campaign, command);
}

Launching LaunchingOf(const task::Context& context, const v1::Campaign& campaign, uint64_t campaign_id,
                      const std::vector<compliance::UsedTemplate>& templates) {
  const tenants::v1::Tenant& tenant = TenantOf(context);
  Launching launching;
  v1::CampaignLaunched& launched = launching.launched;
  launched.set_campaign_id(campaign_id);
  *launched.mutable_spec() = SpecAtLaunch(context, campaign.spec());
  if (campaign.has_pace()) *launched.mutable_spec()->mutable_pace() = campaign.pace();
  if (campaign.has_start()) *launched.mutable_spec()->mutable_start() = campaign.start();
  launched.set_postal_address(tenant.postal_address());
  launched.set_company(tenant.company());
  PinTemplates(templates, launching);
  return launching;
}

std::optional<Launching> Launchable(const task::Context& context, const v1::Campaign& campaign, const v1::LaunchCampaign& command,
                                    std::vector<compliance::Objection>& wrong) {
  const compliance::Launch launch = AskOf(context, campaign.spec(), {.empty_audience = command.empty_audience(), .live = command.live()});
  wrong = compliance::Objections(launch);
  if (wrong.empty()) wrong = TooLargeMails(launch.templates, command.mail_bytes_max());
  if (!wrong.empty()) return std::nullopt;
  if (auto many = TooManyEvergreens(context, campaign.spec())) {
    wrong.push_back(*std::move(many));
    return std::nullopt;
  }
  Launching launching = LaunchingOf(context, campaign, command.campaign_id(), launch.templates);
  if (auto too_large = TooLarge(launching)) {
    wrong.push_back(*std::move(too_large));
    return std::nullopt;
  }
  return launching;
}

void LaunchOrRefuse(task::Context& context, const v1::Campaign& campaign, const v1::LaunchCampaign& command) {
  std::vector<compliance::Objection> wrong;
  const auto launching = Launchable(context, campaign, command, wrong);
  if (!launching) return RefuseFor(context, wrong);
  if (!IsApproved(context, command.campaign_id(), campaign, command.audience())) return;
  EmitLaunch(context, *launching);
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "running");
  context.Answer("template_version", uint64_t{launching->launched.template_version().number()});
}

void Decide(task::Context& context, const v1::PauseCampaign& command) {
  if (CampaignIn(context, command.campaign_id(), {v1::LAUNCHED}, "campaign_not_running") == nullptr) return;
  v1::CampaignPaused paused;
  paused.set_campaign_id(command.campaign_id());
  context.Emit(paused);
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "paused");
}

void Decide(task::Context& context, const v1::ResumeCampaign& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::STATUS_PAUSED}, "campaign_not_paused");
  if (campaign == nullptr) return;
  v1::CampaignResumed resumed;
  resumed.set_campaign_id(command.campaign_id());
  if (campaign->has_stop()) {
    if (!command.override()) {
      return context.Refuse(Outcome::kConflict, "campaign_stopped",
                            fmt::format("campaign {} was paused for its {}; to go on all the same, resume it with override and a reason",
                                        command.campaign_id(), Sentence(campaign->stop())));
    }
    if (command.why().empty() || command.why().size() > kWhyBytesMax) {
      return context.Refuse(Outcome::kInvalid, "override_without_why",
                            fmt::format("an override says why it is made, in 1 to {} bytes", kWhyBytesMax));
    }
    resumed.set_overridden(campaign->stop().reason());
    resumed.set_why(command.why());
  }
  context.Emit(resumed);
  MoveTest(context, command.campaign_id());
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "running");
}

void Decide(task::Context& context, const v1::CancelCampaign& command) {
  if (CampaignIn(context, command.campaign_id(), {v1::DRAFT, v1::SCHEDULED, v1::HELD, v1::LAUNCHED, v1::STATUS_PAUSED}, "campaign_ended") ==
      nullptr)
    return;
  v1::CampaignCancelled cancelled;
  cancelled.set_campaign_id(command.campaign_id());
  context.Emit(cancelled);
  context.Answer("campaign_id", command.campaign_id());
  context.Answer("status", "cancelled");
}

void Decide(task::Context& context, const v1::CampaignProgressed& progress) {
  const std::string key = state::Key(context.tenant(), progress.campaign_id());
  const auto campaigns = context.view<v1::Campaign>();
  if (campaigns.Find(key) == nullptr) return context.Unchanged();
  v1::ProgressTaken taken;
  taken.set_campaign_id(progress.campaign_id());
  *taken.mutable_progress() = progress;
  context.Emit(taken);

  MoveTest(context, progress.campaign_id());
  const v1::Campaign& campaign = *campaigns.Find(key);  // as it is now
  if (campaign.status() != v1::LAUNCHED && campaign.status() != v1::STATUS_PAUSED) return;
  int planned = 0;
  int settled = 0;
  v1::CampaignCounts sum;
  for (const v1::PartitionProgress& partition : campaign.partitions()) {
    if (partition.planned()) ++planned;
    if (partition.settled()) ++settled;
    Add(sum, partition.counts());
  }
  if (planned == context.partition_count() && sum.audience() == 0 && !campaign.spec().evergreen()) {
    v1::CampaignRefused refused;
    refused.set_campaign_id(progress.campaign_id());
    refused.set_reason("empty_audience");
    context.Emit(refused);
  } else if (settled == context.partition_count() && campaign.status() == v1::LAUNCHED) {
    v1::CampaignCompleted completed;
    completed.set_campaign_id(progress.campaign_id());
    *completed.mutable_counts() = sum;
    context.Emit(completed);
  } else if (campaign.status() == v1::LAUNCHED) {
    const auto stop = StopOf(campaign, TenantOf(context).safety());
    if (!stop) return;
    v1::CampaignPaused paused;
    paused.set_campaign_id(progress.campaign_id());
    *paused.mutable_stop() = *stop;
    context.Emit(paused);
  }
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::CampaignLaunched& launched) {
  if (RunOf(context, launched.campaign_id()) != nullptr) return context.Unchanged();
  const auto* counter = context.view<contacts::v1::ContactCounter>().Find(state::Key(context.tenant()));
  v1::CampaignOpened opened;
  opened.set_campaign_id(launched.campaign_id());
  *opened.mutable_spec() = launched.spec();
  *opened.mutable_template_version() = launched.template_version();
  opened.set_postal_address(launched.postal_address());
  opened.set_company(launched.company());
  opened.set_last_ordinal(counter == nullptr ? 0 : counter->last_ordinal());
  opened.set_by_clock(GoesByClock(context, launched.spec()));
  opened.set_links(launched.links());
  const TraceId& trace = context.command()->trace;
  if (!trace.IsZero()) opened.set_trace(trace.view().data(), trace.view().size());
  context.Emit(opened);
  if (launched.spec().has_pace()) Throttle(context, launched.campaign_id(), launched.spec().pace());
}

void Decide(task::Context& context, const v1::CampaignPaused& paused) {
  ChangeRun(context, paused.campaign_id(), {v1::RUNNING}, v1::PAUSED);
}

void Decide(task::Context& context, const v1::CampaignResumed& resumed) {
  ChangeRun(context, resumed.campaign_id(), {v1::PAUSED}, v1::RUNNING);
}

void Decide(task::Context& context, const v1::CampaignCancelled& cancelled) {
  ChangeRun(context, cancelled.campaign_id(), {v1::RUNNING, v1::PAUSED}, v1::CANCELLING);
}

}  // namespace maily::campaigns
