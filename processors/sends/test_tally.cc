// See test_tally.h.
#include "processors/sends/test_tally.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "processors/audience/bits.h"
#include "processors/sends/evolve.h"
#include "processors/sends/report.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

using campaigns::v1::ArmTally;
using campaigns::v1::CampaignRun;

constexpr uint64_t kMachine = std::numeric_limits<uint64_t>::max();
constexpr std::string_view kConversion = "conversion";
constexpr uint8_t kSendVerdict = 64;
constexpr uint8_t kHoldoutVerdict = 128;

bool IsPerson(engagements::v1::AgentClass agent) {
  return agent == engagements::v1::AGENT_DESKTOP || agent == engagements::v1::AGENT_MOBILE || agent == engagements::v1::AGENT_MAIL;
}

bool IsOpen(const CampaignRun* run) {
  return run != nullptr && run->spec().has_test() && !run->test_closed() && run->winner() == 0 && run->state() != campaigns::v1::CANCELLING;
}

template <class Where>
const CampaignRun* OpenTest(const Where& where, uint64_t campaign_id) {
  const auto* run = where.template view<CampaignRun>().Find(state::Key(where.tenant(), campaign_id));
  return IsOpen(run) ? run : nullptr;
}

ArmTally& TallyOf(task::Fold& fold, uint64_t campaign_id, uint32_t arm) {
  auto& arms = *fold.table<v1::TestTally>().Edit(state::Key(fold.tenant(), campaign_id)).mutable_arms();
  for (ArmTally& tally : arms) {
    if (tally.arm() == arm) return tally;
  }
  ArmTally& added = *arms.Add();
  added.set_arm(arm);
  std::ranges::sort(arms, {}, [](const ArmTally& tally) { return tally.arm(); });
  return *std::ranges::find(arms, arm, &ArmTally::arm);
}

// Someone of the sample of an open test, whose mail is at its receiver; null: not so.
v1::TestPerson* PersonOf(task::Fold& fold, uint64_t campaign_id, uint64_t ordinal) {
  if (OpenTest(fold, campaign_id) == nullptr) return nullptr;
  const std::string key = state::Key(fold.tenant(), campaign_id, ordinal);
  auto people = fold.table<v1::TestPerson>();
  return people.Find(key) == nullptr ? nullptr : &people.Edit(key);
}

void TakeClickBack(task::Fold& fold, uint64_t campaign_id, v1::TestPerson& person) {
  if (person.clicked_at_us() == 0 || person.clicked_at_us() < person.burst_at_us()) return;
  person.set_clicked_at_us(0);
  ArmTally& tally = TallyOf(fold, campaign_id, person.arm());
  tally.set_clicked(tally.clicked() - 1);
}

// Clicks come soon one after another, or not: begins the time in which they do anew.
void JoinBurst(const task::Fold& fold, v1::TestPerson& person, uint64_t links) {
  if (person.burst_at_us() == 0 || fold.now() - Instant{person.burst_at_us()} > kTestBurst) {
    person.set_burst_at_us(fold.now().us);
    person.set_burst_links(0);
  }
  person.set_burst_links(person.burst_links() | links);
}

void Open(task::Fold& fold, uint64_t campaign_id, v1::TestPerson& person) {
  if (person.opened()) return;
  person.set_opened(true);
  ArmTally& tally = TallyOf(fold, campaign_id, person.arm());
  tally.set_opened(tally.opened() + 1);
}

// Those of the tenant that are open here.
template <class Where>
std::vector<uint64_t> OpenTests(const Where& where) {
  std::vector<uint64_t> ids;
  const std::string prefix = state::Key(where.tenant());
  where.template view<v1::TestTally>().Scan(prefix, {}, [&](std::string_view key, const v1::TestTally&) {
    const auto campaign_id = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
    if (OpenTest(where, campaign_id) != nullptr) ids.push_back(campaign_id);
    return true;
  });
  return ids;
}

// To a home that waits for enough of them.
void Tell(task::Context& context, uint64_t campaign_id) {
  const CampaignRun* run = OpenTest(context, campaign_id);
  if (run != nullptr && run->spec().test().enough() != 0) Report(context, campaign_id, run->state());
}

// Whoever is not of the sample changes no tally, and is not worth telling.
void TellOf(task::Context& context, uint64_t campaign_id, uint64_t ordinal) {
  if (context.view<v1::TestPerson>().Find(state::Key(context.tenant(), campaign_id, ordinal)) != nullptr) Tell(context, campaign_id);
}

}  // namespace

void TallyDelivered(task::Fold& fold, uint64_t campaign_id, uint64_t ordinal) {
  if (OpenTest(fold, campaign_id) == nullptr) return;
  const auto* chunk = fold.view<v1::SendChunk>().Find(state::Key(fold.tenant(), campaign_id, audience::ChunkOf(ordinal)));
  const uint64_t at = audience::PlaceOf(ordinal);
  const auto verdict = chunk == nullptr || at >= chunk->verdicts().size() ? uint8_t{0} : static_cast<uint8_t>(chunk->verdicts()[at]);
  if (verdict < kSendVerdict || verdict >= kHoldoutVerdict) return;
  auto people = fold.table<v1::TestPerson>();
  const std::string key = state::Key(fold.tenant(), campaign_id, ordinal);
  if (people.Find(key) != nullptr) return;
  v1::TestPerson& person = people.Edit(key);
  person.set_arm(verdict - kSendVerdict);
  person.set_delivered_at_us(fold.now().us);
  ArmTally& tally = TallyOf(fold, campaign_id, person.arm());
  tally.set_delivered(tally.delivered() + 1);
}

void Evolve(task::Fold& fold, const engagements::v1::Opened& event) {
  if (!IsPerson(event.agent())) return;
  v1::TestPerson* person = PersonOf(fold, event.campaign_id(), event.ordinal());
  if (person == nullptr || fold.now() - Instant{person->delivered_at_us()} < kTestAtOnce) return;
  Open(fold, event.campaign_id(), *person);
}

void Evolve(task::Fold& fold, const engagements::v1::Clicked& event) {
  if (!IsPerson(event.agent())) return;
  v1::TestPerson* person = PersonOf(fold, event.campaign_id(), event.ordinal());
  if (person == nullptr || fold.now() - Instant{person->delivered_at_us()} < kTestAtOnce) return;
  JoinBurst(fold, *person, uint64_t{1} << (event.link() % 64));
  if (std::popcount(person->burst_links()) >= kTestBurstLinks) {
    person->set_burst_links(kMachine);
    return TakeClickBack(fold, event.campaign_id(), *person);
  }
  Open(fold, event.campaign_id(), *person);
  if (person->clicked_at_us() != 0) return;
  person->set_clicked_at_us(fold.now().us);
  ArmTally& tally = TallyOf(fold, event.campaign_id(), person->arm());
  tally.set_clicked(tally.clicked() + 1);
}

void Evolve(task::Fold& fold, const engagements::v1::HoneypotFollowed& event) {
  v1::TestPerson* person = PersonOf(fold, event.campaign_id(), event.ordinal());
  if (person == nullptr) return;
  JoinBurst(fold, *person, kMachine);
  TakeClickBack(fold, event.campaign_id(), *person);
}

void Evolve(task::Fold& fold, const engagements::v1::ContactEventRecorded& event) {
  if (event.name() != kConversion) return;
  for (const uint64_t campaign_id : OpenTests(fold)) {
    v1::TestPerson* person = PersonOf(fold, campaign_id, event.ordinal());
    if (person == nullptr || person->converted()) continue;
    person->set_converted(true);
    ArmTally& tally = TallyOf(fold, campaign_id, person->arm());
    tally.set_converted(tally.converted() + 1);
  }
}

void Evolve(task::Fold& fold, const campaigns::v1::RunWinnerSet& event) {
  const std::string key = state::Key(fold.tenant(), event.campaign_id());
  if (fold.view<v1::TestTally>().Find(key) != nullptr) fold.table<v1::TestTally>().Erase(key);
  fold.AddWork(kSend, SendSubject(event.campaign_id()));
}

void React(task::Context& context, const campaigns::v1::RunTestClosed& event) {
  const auto* run = context.view<CampaignRun>().Find(state::Key(context.tenant(), event.campaign_id()));
  if (run != nullptr) Report(context, event.campaign_id(), run->state());
}

void React(task::Context& context, const engagements::v1::Opened& event) { TellOf(context, event.campaign_id(), event.ordinal()); }
void React(task::Context& context, const engagements::v1::Clicked& event) { TellOf(context, event.campaign_id(), event.ordinal()); }
void React(task::Context& context, const engagements::v1::ContactEventRecorded& event) {
  if (event.name() != kConversion) return;
  for (const uint64_t campaign_id : OpenTests(context)) TellOf(context, campaign_id, event.ordinal());
}

}  // namespace maily::sends
