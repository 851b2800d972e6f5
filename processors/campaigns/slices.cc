// See slices.h.
#include "processors/campaigns/slices.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "maily/campaigns/v1/events.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/audience/arms.h"
#include "processors/audience/bits.h"
#include "processors/audience/reach.h"
#include "processors/campaigns/pace.h"
#include "processors/campaigns/zones.h"
#include "processors/compliance/gate.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::campaigns {
namespace {

constexpr int kSendVerdict = 64;      // + arm [format]
constexpr int kHoldoutVerdict = 128;  // + arm [format]
constexpr int kRestVerdict = 192;     // to be sent by the arm that wins [format]
constexpr size_t kLanesMax = 250;     // of a campaign in a partition, the shared one apart; they are bytes

// What is known of the contacts of one slice. Read by scans: they stay out of the cache, and a chunk lies together.
class Slice {
 public:
  // A verdict for each, and the lane of those that are to be sent. Of entrants: of those that it names, who all get the arm that has won
  // the campaign's test, if there was one.
  void PlanInto(v1::AudiencePlanned& planned, uint32_t winner = 0) {
    std::string& verdicts = *planned.mutable_verdicts();
    verdicts = Verdicts();
    for (size_t i = 0; !planned.entrants().empty() && i < verdicts.size(); ++i) {
      if (!audience::BitAt(planned.entrants(), i) || HasVerdict(i)) verdicts[i] = 0;
      if (winner != 0 && static_cast<uint8_t>(verdicts[i]) >= kSendVerdict) verdicts[i] = static_cast<char>(kSendVerdict + winner - 1);
    }
    if (clocks_) clocks_->planned().set_first_ordinal(planned.first_ordinal());
    AddLanes(planned);
  }
  // Null: no clock counts.
  const v1::ZonesPlanned* zones() { return clocks_ ? &clocks_->planned() : nullptr; }

  // `spec` outlives it. `run`: of a launch that goes by clocks, whose places are planned along; null: they do not matter.
  Slice(const task::Context& context, uint64_t campaign_id, const v1::CampaignSpec& spec, uint64_t first, uint64_t last,
        const v1::CampaignRun* run = nullptr)
      : context_(context),
        campaign_id_(campaign_id),
        spec_(spec),
        arms_(spec, campaign_id),
        reach_(spec, context.tenant(),
               {.runs = context.view<segments::v1::SegmentRun>(),
                .members = context.view<segments::v1::SegmentMembers>(),
                .sends = context.view<sends::v1::SendChunk>(),
                .openers = context.view<v1::CampaignOpeners>(),
                .by_list = context.view<v1::CampaignByList>()},
               first),
        first_(first),
        last_(last) {
    if (spec.list_id() != 0) lists_.push_back(spec.list_id());
    lists_.insert(lists_.end(), spec.list_ids().begin(), spec.list_ids().end());
    if (run == nullptr || !run->by_clock()) return;
    clocks_.emplace(context, campaign_id, *run);
    clocks_->planned().mutable_buckets()->assign(last - first + 1, '\0');
  }

  // Once there are verdicts: who is to be sent a mail by lists alone; empty if that need not be remembered.
  std::string ByList(const std::string& verdicts) const {
    std::string bits;
    for (size_t i = 0; reach_.IsMixed() && i < verdicts.size(); ++i) {
      if (verdicts[i] != 0 && people_[i].reached == audience::Reached::kByList) audience::SetBit(bits, i, true);
    }
    return bits;
  }

  // Whether the contact at this place was planned before.
  bool HasVerdict(size_t i) const {
    const auto* chunk = context_.view<sends::v1::SendChunk>().Find(state::Key(context_.tenant(), campaign_id_, audience::ChunkOf(first_)));
    const size_t at = audience::PlaceOf(first_) + i;
    return chunk != nullptr && at < chunk->verdicts().size() && chunk->verdicts()[at] != 0;
  }

  std::string Verdicts() {
    std::string verdicts(last_ - first_ + 1, '\0');
    ReadSubscribers();
    ReadContacts();
    const auto suppressions = context_.view<suppressions::v1::Suppression>();
    const std::string tenant = state::Key(context_.tenant());
    bool any_suppressed = false;
    suppressions.Scan(tenant, {}, [&](std::string_view, const auto&) {
      any_suppressed = true;
      return false;
    });
    compliance::DomainGate domains(context_.view<suppressions::v1::SuppressedDomain>(),
                                   context_.view<suppressions::v1::SuppressedDomainCounter>(), context_.tenant(),
                                   compliance::kCampaignStream);
    for (size_t i = 0; i < verdicts.size(); ++i) {
      Person& person = people_[i];
      if (person.exists && person.standing.unconfirmed && !person.standing.unsubscribed) {
        if (spec_.evergreen()) continue;  // he comes in once he has confirmed
        verdicts[i] = static_cast<char>(compliance::Gate(person.standing));
        continue;
      }
      if (!person.exists || !person.standing.member) continue;
      if (person.arm != audience::kNoArm && arms_.IsHoldout(person.arm)) {
        verdicts[i] = static_cast<char>(kHoldoutVerdict + person.arm);
        continue;
      }
      if (!person.standing.unsubscribed) {
        person.standing.suppressed = (any_suppressed && compliance::IsSuppressed(suppressions, context_.tenant(), person.contact_key,
                                                                                 compliance::kCampaignStream)) ||
                                     domains.Holds(person.domain_key);
      }
      const v1::SkipReason reason = compliance::Gate(person.standing);
      if (reason != v1::SKIP_REASON_UNSPECIFIED) {
        verdicts[i] = static_cast<char>(reason);
      } else if (audience::IsHeldOut(context_.tenant(), person.contact_key, spec_.holdout_bp())) {
        verdicts[i] = static_cast<char>(v1::HOLDOUT);
      } else {
        verdicts[i] = static_cast<char>(person.arm == audience::kNoArm                    ? v1::NO_ARM
                                        : person.clock.why != v1::SKIP_REASON_UNSPECIFIED ? person.clock.why
                                        : arms_.IsInSample(person.contact_key)            ? kSendVerdict + person.arm
                                                                                          : kRestVerdict);
      }
      if (clocks_ && static_cast<uint8_t>(verdicts[i]) >= kSendVerdict && person.clock.bucket != 0) {
        (*clocks_->planned().mutable_buckets())[i] = static_cast<char>(person.clock.bucket);
      }
    }
    return verdicts;
  }

 private:
  // A domain gets a lane of its own as long as there are any: those with many recipients are met early.
  void AddLanes(v1::AudiencePlanned& planned) {
    const auto* run = context_.view<sends::v1::SendRun>().Find(state::Key(context_.tenant(), planned.campaign_id()));
    const uint64_t known = run == nullptr ? 0 : run->lanes();
    std::map<std::string, char, std::less<>> lanes;
    for (uint64_t lane = 1; lane <= known; ++lane) {
      const auto* found = context_.view<sends::v1::SendLane>().Find(state::Key(context_.tenant(), planned.campaign_id(), lane));
      MAILY_CHECK(found != nullptr, "campaign {} has no lane {} of {}", planned.campaign_id(), lane, known);
      lanes.emplace(found->domain_key(), static_cast<char>(lane));
    }
    std::string& bytes = *planned.mutable_lanes();
    bytes.assign(planned.verdicts().size(), '\0');
    bool any = false;
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto verdict = static_cast<uint8_t>(planned.verdicts()[i]);
      const std::string& domain = people_[i].domain_key;
      if (verdict < kSendVerdict || (verdict >= kHoldoutVerdict && verdict != kRestVerdict) || domain.empty()) continue;
      auto lane = lanes.find(domain);
      if (lane == lanes.end()) {
        if (lanes.size() >= kLanesMax) continue;
        planned.add_new_lanes(domain);
        lane = lanes.emplace(domain, static_cast<char>(lanes.size() + 1)).first;
      }
      bytes[i] = lane->second;
      any = true;
    }
    if (!any) planned.clear_lanes();
  }

  struct Person {
    bool exists = false;
    audience::Reached reached = audience::Reached::kNot;
    int arm = audience::kNoArm;
    compliance::Standing standing;
    std::string contact_key;
    std::string domain_key;
    Clocks::Place clock;
  };

  template <class T, class Visit>
  void Read(Visit visit) {
    const std::string tenant = state::Key(context_.tenant());
    context_.view<T>().Scan(tenant, state::Key(context_.tenant(), first_), [&](std::string_view key, const T& entry) {
      const auto ordinal = Cursor(key.substr(tenant.size())).Ordered<uint64_t>();
      if (ordinal > last_) return false;
      visit(people_[ordinal - first_], entry);
      return ordinal < last_;
    });
  }
  void ReadSubscribers() {
    for (uint64_t ordinal = first_; ordinal <= last_; ++ordinal) Reaches(ordinal, nullptr);
    Read<lists::v1::Subscriber>([&](Person& person, const lists::v1::Subscriber& subscriber) {
      Reaches(first_ + static_cast<uint64_t>(&person - people_.data()), &subscriber);
      person.standing.unsubscribed = compliance::IsUnsubscribed(&subscriber);
      person.standing.unconfirmed = IsUnconfirmed(subscriber, person.reached);
    });
  }
  // Who was asked to confirm one of the lists, and is in the audience by nothing else; or by no list at all.
  bool IsUnconfirmed(const lists::v1::Subscriber& subscriber, audience::Reached reached) const {
    if (reached == audience::Reached::kNot) {
      return std::ranges::any_of(lists_, [&](uint64_t list_id) { return compliance::IsUnconfirmed(&subscriber, list_id); });
    }
    return (lists_.empty() || reached == audience::Reached::kOtherwise) && compliance::IsUnconfirmed(&subscriber, 0);
  }
  void Reaches(uint64_t ordinal, const lists::v1::Subscriber* subscriber) {
    Person& person = people_[ordinal - first_];
    person.reached = reach_.Of(ordinal, subscriber);
    person.standing.member = person.reached != audience::Reached::kNot;
  }
  void ReadContacts() {
    Read<contacts::v1::Contact>([&](Person& person, const contacts::v1::Contact& contact) {
      person.exists = true;
      if (!person.standing.member) return;
      person.arm = arms_.Choose(contact);
      person.contact_key = contact.contact_key();
      person.domain_key = contact.domain_key();
      if (clocks_) person.clock = clocks_->Of(contact);
    });
  }

  const task::Context& context_;
  const uint64_t campaign_id_;
  const v1::CampaignSpec& spec_;
  const audience::Arms arms_;
  const audience::Reach reach_;
  std::vector<uint64_t> lists_;  // of the audience
  const uint64_t first_;
  const uint64_t last_;
  std::optional<Clocks> clocks_;
  std::array<Person, kPlanOrdinals> people_;
};

void ReportPlanned(task::Context& context, uint64_t campaign_id, v1::RunState state) {
  v1::CampaignProgressed progressed;
  progressed.set_campaign_id(campaign_id);
  progressed.set_partition(context.partition().value());
  const auto* sends = context.view<sends::v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  if (sends != nullptr) *progressed.mutable_counts() = sends->counts();
  progressed.set_planned(true);
  progressed.set_state(state);
  context.Emit(progressed);
}

void EmitPlanned(task::Context& context, const v1::AudiencePlanned& planned, std::string by_list) {
  context.Emit(planned);
  if (by_list.empty()) return;
  v1::AudienceReached reached;
  reached.set_campaign_id(planned.campaign_id());
  reached.set_first_ordinal(planned.first_ordinal());
  reached.set_by_list(std::move(by_list));
  context.Emit(reached);
}

}  // namespace

std::string VerdictsOf(const task::Context& context, uint64_t campaign_id, const v1::CampaignSpec& spec, uint64_t first, uint64_t last) {
  return Slice(context, campaign_id, spec, first, last).Verdicts();
}

uint64_t SliceEnds(uint64_t done, uint64_t end) { return std::min(end, (done / kPlanOrdinals + 1) * kPlanOrdinals); }

void PlanEntrants(task::Context& context, uint64_t campaign_id, const v1::CampaignRun& run, uint64_t first, uint64_t last,
                  const std::string& asked) {
  context.Continue(TraceId::From(run.trace()));
  v1::AudiencePlanned planned;
  planned.set_campaign_id(campaign_id);
  planned.set_first_ordinal(first);
  planned.set_entrants(asked);
  Slice slice(context, campaign_id, run.spec(), first, last);
  slice.PlanInto(planned, run.winner());
  EmitPlanned(context, planned, slice.ByList(planned.verdicts()));
}

task::SliceEnd Plan(task::Context& context, std::string_view subject) {
  const auto campaign_id = Cursor(subject).Ordered<uint64_t>();
  const v1::CampaignRun* run = context.view<v1::CampaignRun>().Find(state::Key(context.tenant(), campaign_id));
  MAILY_CHECK(run != nullptr, "campaign {} of tenant {} is planned and not there", campaign_id, context.tenant().value());
  if (run->state() != v1::RUNNING) return task::SliceEnd::kWaiting;
  // Putting a segment's version into force is work of this same tenant, which ends by itself.
  if (!audience::IsReady(run->spec(), context.tenant(), context.view<segments::v1::SegmentRun>())) return task::SliceEnd::kMore;
  context.Continue(TraceId::From(run->trace()));
  const uint64_t first = run->planned_to() + 1;
  const uint64_t last = SliceEnds(run->planned_to(), run->last_ordinal());
  const uint64_t end = run->last_ordinal();
  if (first <= last) {
    v1::AudiencePlanned planned;
    planned.set_campaign_id(campaign_id);
    planned.set_first_ordinal(first);
    Slice slice(context, campaign_id, run->spec(), first, last, run);
    slice.PlanInto(planned);
    EmitPlanned(context, planned, slice.ByList(planned.verdicts()));
    if (slice.zones() != nullptr) context.Emit(*slice.zones());
  }
  if (last >= end) {
    ReportPlanned(context, campaign_id, v1::RUNNING);
    ThrottlePlanned(context, campaign_id);
  }
  return task::SliceEnd::kMore;
}

}  // namespace maily::campaigns
