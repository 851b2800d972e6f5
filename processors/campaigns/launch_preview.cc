// See launch_preview.h.
#include "processors/campaigns/launch_preview.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/audience/reach.h"
#include "processors/campaigns/arm_templates.h"
#include "processors/campaigns/decide.h"
#include "processors/campaigns/drafts.h"
#include "processors/campaigns/slices.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

std::string SubjectOf(uint64_t preview_id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, preview_id);
  return subject;
}

}  // namespace

void Decide(task::Context& context, const v1::PreviewLaunch& command) {
  const v1::Campaign* campaign = CampaignIn(context, command.campaign_id(), {v1::DRAFT}, "campaign_not_draft");
  if (campaign == nullptr) return;
  const auto* counter = context.view<v1::LaunchPreviewCounter>().Find(state::Key(context.tenant()));
  v1::LaunchPreviewRequested requested;
  requested.set_preview_id(counter == nullptr ? 1 : counter->last_preview_id() + 1);
  requested.set_campaign_id(command.campaign_id());
  *requested.mutable_spec() = SpecAtLaunch(context, campaign->spec());
  const compliance::Launch launch = AskOf(context, campaign->spec(), {.live = command.live()});
  for (const compliance::Rule& rule : compliance::Rules()) {
    if (rule.broken == nullptr || rule.id == "empty_audience") continue;  // that is what is counted
    v1::RuleVerdict& verdict = *requested.add_rules();
    verdict.set_rule(std::string(rule.id));
    compliance::Objection objection;
    if (!rule.broken(launch, objection)) continue;
    verdict.set_path(objection.path);
    verdict.set_sentence(objection.sentence);
  }
  if (campaign->spec().evergreen()) {
    v1::RuleVerdict& verdict = *requested.add_rules();
    verdict.set_rule("too_many_evergreens");
    if (const auto many = TooManyEvergreens(context, campaign->spec())) {
      verdict.set_path(many->path);
      verdict.set_sentence(many->sentence);
    }
  }
  const auto size = [&requested](std::string_view rule, const std::vector<compliance::Objection>& wrong) {
    v1::RuleVerdict& verdict = *requested.add_rules();
    verdict.set_rule(std::string(rule));
    if (wrong.empty()) return;
    verdict.set_path(wrong.front().path.empty() ? "/template_id" : wrong.front().path);
    for (const compliance::Objection& one : wrong) *verdict.mutable_sentence() += (verdict.sentence().empty() ? "" : "; ") + one.sentence;
  };
  if (std::ranges::all_of(launch.templates, [](const auto& used) { return used.version != nullptr; })) {
    if (command.mail_bytes_max() != 0) size("mail_too_large", TooLargeMails(launch.templates, command.mail_bytes_max()));
    const auto too_large = TooLarge(LaunchingOf(context, *campaign, command.campaign_id(), launch.templates));
    size("campaign_too_large", too_large ? std::vector{*too_large} : std::vector<compliance::Objection>());
  }
  context.Emit(requested);
  context.Answer("preview_id", requested.preview_id());
  context.Answer("campaign_id", command.campaign_id());
}

void Decide(task::Context& context, const v1::LaunchPreviewRequested& requested) {
  if (context.view<v1::LaunchPreviewRun>().Find(state::Key(context.tenant(), requested.preview_id())) != nullptr)
    return context.Unchanged();
  const auto* counter = context.view<contacts::v1::ContactCounter>().Find(state::Key(context.tenant()));
  v1::LaunchPreviewOpened opened;
  opened.set_preview_id(requested.preview_id());
  opened.set_campaign_id(requested.campaign_id());
  *opened.mutable_spec() = requested.spec();
  opened.set_last_ordinal(counter == nullptr ? 0 : counter->last_ordinal());
  const TraceId& trace = context.command()->trace;
  if (!trace.IsZero()) opened.set_trace(trace.view().data(), trace.view().size());
  context.Emit(opened);
}

task::SliceEnd CountLaunch(task::Context& context, std::string_view subject) {
  const auto preview_id = Cursor(subject).Ordered<uint64_t>();
  const auto* found = context.view<v1::LaunchPreviewRun>().Find(state::Key(context.tenant(), preview_id));
  MAILY_CHECK(found != nullptr, "launch preview {} of tenant {} is counted and not there", preview_id, context.tenant().value());
  const v1::LaunchPreviewRun run = *found;
  if (!audience::IsReady(run.spec(), context.tenant(), context.view<segments::v1::SegmentRun>())) return task::SliceEnd::kMore;
  context.Continue(TraceId::From(run.trace()));
  const uint64_t first = run.counted_to() + 1;
  const uint64_t last = SliceEnds(run.counted_to(), run.last_ordinal());
  v1::LaunchPreviewCounted counted;
  counted.set_preview_id(preview_id);
  counted.set_to_ordinal(last);
  counted.set_last(last >= run.last_ordinal());
  if (first <= last) {
    std::map<uint8_t, uint64_t> contacts;
    for (const char verdict : VerdictsOf(context, run.campaign_id(), run.spec(), first, last)) ++contacts[static_cast<uint8_t>(verdict)];
    contacts.erase(0);
    for (const auto& [verdict, count] : contacts) {
      v1::VerdictCount& one = *counted.add_verdicts();
      one.set_verdict(verdict);
      one.set_contacts(count);
    }
  }
  context.Emit(counted);
  return task::SliceEnd::kMore;
}

void Evolve(task::Fold& fold, const v1::LaunchPreviewRequested& event) {
  fold.table<v1::LaunchPreviewCounter>().Edit(state::Key(fold.tenant())).set_last_preview_id(event.preview_id());
}

void Evolve(task::Fold& fold, const v1::LaunchPreviewOpened& event) {
  v1::LaunchPreviewRun& run = fold.table<v1::LaunchPreviewRun>().Edit(state::Key(fold.tenant(), event.preview_id()));
  run.set_campaign_id(event.campaign_id());
  *run.mutable_spec() = event.spec();
  run.set_last_ordinal(event.last_ordinal());
  run.set_trace(event.trace());
  fold.AddWork(kCountLaunch, SubjectOf(event.preview_id()));
}

void Evolve(task::Fold& fold, const v1::LaunchPreviewCounted& event) {
  auto runs = fold.table<v1::LaunchPreviewRun>();
  const std::string key = state::Key(fold.tenant(), event.preview_id());
  if (event.last()) {
    runs.Erase(key);
    return fold.RemoveWork(kCountLaunch, SubjectOf(event.preview_id()));
  }
  runs.Edit(key).set_counted_to(event.to_ordinal());
}

}  // namespace maily::campaigns
