// See evolve.h.
#include "processors/segments/evolve.h"

#include <algorithm>
#include <vector>

#include "maily/contacts/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/audience/segment_evaluate.h"
#include "processors/segments/members.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::segments {
namespace {

using google::protobuf::RepeatedField;

int64_t NowS(const task::Fold& fold) { return fold.now().us / 1'000'000; }
std::string IdSubject(uint64_t id) {
  std::string subject;
  PutOrdered<uint64_t>(subject, id);
  return subject;
}

// The timer goes off at due_s, or before.
void ArmFor(task::Fold& fold, int64_t due_s) {
  const v1::SegmentClock* clock = fold.view<v1::SegmentClock>().Find(state::Key(fold.tenant()));
  const int64_t armed_s = clock == nullptr ? 0 : clock->armed_s();
  if (armed_s != 0 && armed_s <= due_s) return;
  fold.table<v1::SegmentClock>().Edit(state::Key(fold.tenant())).set_armed_s(due_s);
  if (armed_s != 0) fold.DisarmTimer(Instant{armed_s * 1'000'000}, kCheckStep, {});
  fold.ArmTimer(Instant{due_s * 1'000'000}, kCheckStep, {});
}

void Work(task::Fold& fold) {
  const v1::SegmentClock* clock = fold.view<v1::SegmentClock>().Find(state::Key(fold.tenant()));
  if (clock != nullptr && clock->working()) return;
  fold.table<v1::SegmentClock>().Edit(state::Key(fold.tenant())).set_working(true);
  fold.AddWork(kDecideChecks, {});
}

// Null: the tenant has no segments.
const v1::SegmentIndex* Index(const task::Fold& fold) { return fold.view<v1::SegmentIndex>().Find(state::Key(fold.tenant())); }

v1::SegmentCheck& CheckNow(task::Fold& fold, uint64_t ordinal) {
  Work(fold);
  return fold.table<v1::SegmentCheck>().Edit(state::Key(fold.tenant(), static_cast<uint64_t>(NowS(fold)), ordinal));
}

void Merge(RepeatedField<uint64_t>& into, const std::vector<uint64_t>& segments) {
  for (const uint64_t segment_id : segments) {
    const auto place = static_cast<int>(std::lower_bound(into.begin(), into.end(), segment_id) - into.begin());
    if (place < into.size() && into[place] == segment_id) continue;
    into.Add(segment_id);
    std::rotate(into.begin() + place, into.end() - 1, into.end());
  }
}

// Something happened to the contact that these segments may ask for.
void Wake(task::Fold& fold, uint64_t ordinal, v1::WakeKind kind, uint64_t id, std::string_view name) {
  const v1::SegmentIndex* index = Index(fold);
  if (index == nullptr) return;
  const v1::Wake* wake = FindWake(*index, kind, id, name);
  if (wake == nullptr) return;
  const std::vector<uint64_t> segments(wake->segments().begin(), wake->segments().end());
  Merge(*CheckNow(fold, ordinal).mutable_segments(), segments);
}

void CountSignal(task::Fold& fold, uint64_t ordinal, v1::SignalKind kind, uint64_t campaign_id, std::string_view event, int64_t at_us) {
  v1::Signal& signal = fold.table<v1::Signal>().Edit(SignalKey(fold.tenant(), ordinal, kind, campaign_id, event));
  audience::AddToSignal(signal, std::min(at_us, fold.now().us) / 1'000'000);
}

// The contact is decided again at due_s at the latest; 0 = time alone changes nothing.
void Watch(task::Fold& fold, uint64_t ordinal, int64_t due_s) {
  const std::string key = state::Key(fold.tenant(), ordinal);
  auto watches = fold.table<v1::SegmentWatch>();
  auto checks = fold.table<v1::SegmentCheck>();
  const v1::SegmentWatch* watch = watches.Find(key);
  const int64_t before = watch == nullptr ? 0 : watch->due_s();
  if (before == due_s) return;
  if (before != 0) {
    const std::string old = state::Key(fold.tenant(), static_cast<uint64_t>(before), ordinal);
    const v1::SegmentCheck* check = checks.Find(old);
    if (check != nullptr && check->segments().empty() && !check->all()) {
      checks.Erase(old);
    } else if (check != nullptr) {
      checks.Edit(old).set_timed(false);
    }
  }
  if (due_s == 0) return watches.Erase(key);
  watches.Edit(key).set_due_s(due_s);
  checks.Edit(state::Key(fold.tenant(), static_cast<uint64_t>(due_s), ordinal)).set_timed(true);
}

void RebuildIndex(task::Fold& fold) {
  const v1::SegmentIndex index = IndexOf(fold.view<v1::SegmentRun>(), fold.tenant());
  if (index.all().empty()) return fold.table<v1::SegmentIndex>().Erase(state::Key(fold.tenant()));
  fold.table<v1::SegmentIndex>().Replace(state::Key(fold.tenant())) = index;
}

void SetMember(task::Fold& fold, uint64_t segment_id, uint64_t ordinal, bool member) {
  const std::string key = ChunkKey(fold.tenant(), segment_id, ordinal);
  auto members = fold.table<v1::SegmentMembers>();
  std::string& bits = *members.Edit(key).mutable_bits();
  SetBit(bits, PlaceOf(ordinal), member);
  if (bits.empty()) members.Erase(key);
}

}  // namespace

// ---- In the home ----

void Evolve(task::Fold& fold, const v1::SegmentDefined& event) {
  v1::Segment& segment = fold.table<v1::Segment>().Edit(state::Key(fold.tenant(), event.segment_id()));
  const bool known = segment.version().number() != 0;
  segment.set_name(event.name());
  *segment.mutable_version() = event.version();
  if (known) return;
  v1::SegmentCounter& counter = fold.table<v1::SegmentCounter>().Edit(state::Key(fold.tenant()));
  counter.set_last_segment_id(event.segment_id());
  counter.set_segments(counter.segments() + 1);
}

void Evolve(task::Fold& fold, const v1::SegmentArchived& event) {
  fold.table<v1::Segment>().Edit(state::Key(fold.tenant(), event.segment_id())).set_archived(true);
  v1::SegmentCounter& counter = fold.table<v1::SegmentCounter>().Edit(state::Key(fold.tenant()));
  counter.set_segments(counter.segments() - 1);
}

void Evolve(task::Fold& fold, const v1::SegmentPreviewRequested& event) {
  fold.table<v1::SegmentCounter>().Edit(state::Key(fold.tenant())).set_last_preview_id(event.preview_id());
}

// ---- In each partition: definitions ----

void Evolve(task::Fold& fold, const v1::SegmentOpened& event) {
  v1::SegmentRun& run = fold.table<v1::SegmentRun>().Edit(state::Key(fold.tenant(), event.segment_id()));
  run.set_next_version(event.version().number());
  *run.mutable_next() = event.version().expression();
  run.set_planned_to(0);
  run.set_last_ordinal(event.last_ordinal());
  *run.mutable_zone() = event.zone();
  run.set_trace(event.trace());
  RebuildIndex(fold);
  fold.AddWork(kPlanSegment, IdSubject(event.segment_id()));
}

void Evolve(task::Fold& fold, const v1::SegmentPlanned& event) {
  const v1::SegmentIndex* index = Index(fold);
  const v1::Wake* wake = index == nullptr ? nullptr : FindWake(*index, v1::WAKE_SEGMENT, event.segment_id(), {});
  std::vector<uint64_t> dependent;
  if (wake != nullptr) dependent.assign(wake->segments().begin(), wake->segments().end());
  if (!event.changed().empty()) {
    const std::string key = ChunkKey(fold.tenant(), event.segment_id(), event.first_ordinal());
    auto members = fold.table<v1::SegmentMembers>();
    std::string& bits = *members.Edit(key).mutable_bits();
    for (uint64_t i = 0; i < event.count(); ++i) {
      if (BitAt(event.changed(), i)) SetBit(bits, PlaceOf(event.first_ordinal() + i), BitAt(event.members(), i));
    }
    if (bits.empty()) members.Erase(key);
    for (uint64_t i = 0; i < event.count() && !dependent.empty(); ++i) {
      if (BitAt(event.changed(), i)) Merge(*CheckNow(fold, event.first_ordinal() + i).mutable_segments(), dependent);
    }
  }
  for (int i = 0; i < event.check_ordinals_size(); ++i) {
    const v1::SegmentWatch* watch = fold.view<v1::SegmentWatch>().Find(state::Key(fold.tenant(), event.check_ordinals(i)));
    if (watch != nullptr && watch->due_s() <= event.check_at_s(i)) continue;
    Watch(fold, event.check_ordinals(i), event.check_at_s(i));
    ArmFor(fold, event.check_at_s(i));
  }
  v1::SegmentRun& run = fold.table<v1::SegmentRun>().Edit(state::Key(fold.tenant(), event.segment_id()));
  run.set_members(run.members() + event.entered() - event.left());
  run.set_planned_to(event.first_ordinal() + event.count() - 1);
  if (!event.last()) return;
  run.set_version(event.version());
  *run.mutable_expression() = run.next();
  run.clear_next_version();
  run.clear_next();
  fold.RemoveWork(kPlanSegment, IdSubject(event.segment_id()));
  RebuildIndex(fold);
}

void Evolve(task::Fold& fold, const v1::SegmentClosed& event) {
  fold.table<v1::SegmentRun>().Erase(state::Key(fold.tenant(), event.segment_id()));
  std::vector<std::string> keys;
  fold.view<v1::SegmentMembers>().Scan(state::Key(fold.tenant(), event.segment_id()), {}, [&](std::string_view key, const auto&) {
    keys.emplace_back(key);
    return true;
  });
  for (const std::string& key : keys) fold.table<v1::SegmentMembers>().Erase(key);
  fold.RemoveWork(kPlanSegment, IdSubject(event.segment_id()));
  RebuildIndex(fold);
}

// ---- In each partition: memberships ----

void Evolve(task::Fold& fold, const v1::MembershipsDecided& event) {
  for (const v1::MembershipChange& change : event.changes()) {
    for (const uint64_t segment_id : change.entered()) {
      SetMember(fold, segment_id, change.ordinal(), true);
      v1::SegmentRun& run = fold.table<v1::SegmentRun>().Edit(state::Key(fold.tenant(), segment_id));
      run.set_members(run.members() + 1);
    }
    for (const uint64_t segment_id : change.left()) {
      SetMember(fold, segment_id, change.ordinal(), false);
      v1::SegmentRun& run = fold.table<v1::SegmentRun>().Edit(state::Key(fold.tenant(), segment_id));
      run.set_members(run.members() - 1);
    }
  }
  for (const v1::CheckDone& done : event.done()) {
    const v1::SegmentWatch* watch = fold.view<v1::SegmentWatch>().Find(state::Key(fold.tenant(), done.ordinal()));
    // The check that was taken is gone, so the watch must not look for it.
    if (watch != nullptr && watch->due_s() == done.due_s()) fold.table<v1::SegmentWatch>().Erase(state::Key(fold.tenant(), done.ordinal()));
    fold.table<v1::SegmentCheck>().Erase(state::Key(fold.tenant(), static_cast<uint64_t>(done.due_s()), done.ordinal()));
    Watch(fold, done.ordinal(), done.next_s());
  }
  if (!event.idle()) return;
  fold.table<v1::SegmentClock>().Edit(state::Key(fold.tenant())).set_working(false);
  fold.RemoveWork(kDecideChecks, {});
  if (event.next_s() != 0) ArmFor(fold, event.next_s());
}

void Evolve(task::Fold& fold, const v1::ChecksDue&) {
  fold.table<v1::SegmentClock>().Edit(state::Key(fold.tenant())).set_armed_s(0);
  Work(fold);
}

// ---- In each partition: previews ----

void Evolve(task::Fold& fold, const v1::PreviewOpened& event) {
  v1::PreviewRun& run = fold.table<v1::PreviewRun>().Edit(state::Key(fold.tenant(), event.preview_id()));
  run.set_segment_id(event.segment_id());
  *run.mutable_expression() = event.expression();
  *run.mutable_zone() = event.zone();
  run.set_last_ordinal(event.last_ordinal());
  run.set_trace(event.trace());
  fold.AddWork(kCountPreview, IdSubject(event.preview_id()));
}

void Evolve(task::Fold& fold, const v1::PreviewCounted& event) {
  const std::string key = state::Key(fold.tenant(), event.preview_id());
  if (event.last()) {
    fold.table<v1::PreviewRun>().Erase(key);
    return fold.RemoveWork(kCountPreview, IdSubject(event.preview_id()));
  }
  v1::PreviewRun& run = fold.table<v1::PreviewRun>().Edit(key);
  run.set_counted_to(event.to_ordinal());
  run.set_samples(run.samples() + static_cast<uint32_t>(event.samples_size()));
  run.set_enter_samples(run.enter_samples() + static_cast<uint32_t>(event.enter_samples_size()));
  run.set_leave_samples(run.leave_samples() + static_cast<uint32_t>(event.leave_samples_size()));
}

// ---- What other nouns did ----

void Evolve(task::Fold& fold, const contacts::v1::ContactCreated& event) {
  if (Index(fold) != nullptr) CheckNow(fold, event.ordinal()).set_all(true);
}

void Evolve(task::Fold& fold, const contacts::v1::ContactChanged& event) {
  if (Index(fold) == nullptr) return;
  for (const auto& attribute : event.attributes()) Wake(fold, event.ordinal(), v1::WAKE_ATTRIBUTE, 0, attribute.name());
  for (const auto* tags : {&event.add_tags(), &event.remove_tags()}) {
    for (const std::string& tag : *tags) Wake(fold, event.ordinal(), v1::WAKE_TAG, 0, tag);
  }
}

void Evolve(task::Fold& fold, const contacts::v1::ContactErased& event) {
  if (Index(fold) != nullptr) CheckNow(fold, event.ordinal()).set_all(true);
}

void Evolve(task::Fold& fold, const contacts::v1::ContactMerged& event) {
  if (Index(fold) != nullptr) CheckNow(fold, event.ordinal()).set_all(true);
}

void Evolve(task::Fold& fold, const contacts::v1::ContactAddressChanged& event) {
  if (Index(fold) != nullptr) Wake(fold, event.ordinal(), v1::WAKE_SUPPRESSED, 0, {});
}

void Evolve(task::Fold& fold, const lists::v1::MemberJoined& event) { Wake(fold, event.ordinal(), v1::WAKE_LIST, event.list_id(), {}); }
void Evolve(task::Fold& fold, const lists::v1::MemberLeft& event) { Wake(fold, event.ordinal(), v1::WAKE_LIST, event.list_id(), {}); }
void Evolve(task::Fold& fold, const lists::v1::Resubscribed& event) { Wake(fold, event.ordinal(), v1::WAKE_SUBSCRIBED, 0, {}); }
void Evolve(task::Fold& fold, const engagements::v1::Unsubscribed& event) { Wake(fold, event.ordinal(), v1::WAKE_SUBSCRIBED, 0, {}); }

namespace {

void WakeSuppressed(task::Fold& fold, const std::string& contact_key) {
  if (Index(fold) == nullptr) return;
  const auto* ref = fold.view<contacts::v1::ContactRef>().Find(state::Key(fold.tenant(), contact_key));
  if (ref != nullptr) Wake(fold, ref->ordinal(), v1::WAKE_SUPPRESSED, 0, {});
}

// By what it says of itself, or where it asks from. A provider's image proxy fetches pictures for a person, and follows no links.
bool IsMachine(engagements::v1::AgentClass agent) {
  return agent == engagements::v1::AGENT_MACHINE || agent == engagements::v1::AGENT_SCANNER;
}

}  // namespace

void Evolve(task::Fold& fold, const suppressions::v1::SuppressionAdded& event) { WakeSuppressed(fold, event.contact_key()); }
void Evolve(task::Fold& fold, const suppressions::v1::SuppressionRemoved& event) { WakeSuppressed(fold, event.contact_key()); }

void Evolve(task::Fold& fold, const engagements::v1::Opened& event) {
  if (schema::IsMessage(event.campaign_id())) return;  // segments ask what became of campaigns
  if (IsMachine(event.agent())) return;
  for (const uint64_t campaign_id : {uint64_t{0}, uint64_t{event.campaign_id()}}) {
    CountSignal(fold, event.ordinal(), v1::OPENED, campaign_id, {}, fold.now().us);
    Wake(fold, event.ordinal(), v1::WAKE_OPENED, campaign_id, {});
  }
}

void Evolve(task::Fold& fold, const engagements::v1::Clicked& event) {
  if (schema::IsMessage(event.campaign_id())) return;
  if (IsMachine(event.agent()) || event.agent() == engagements::v1::AGENT_IMAGE_PROXY) return;
  for (const uint64_t campaign_id : {uint64_t{0}, uint64_t{event.campaign_id()}}) {
    CountSignal(fold, event.ordinal(), v1::CLICKED, campaign_id, {}, fold.now().us);
    Wake(fold, event.ordinal(), v1::WAKE_CLICKED, campaign_id, {});
  }
}

void Evolve(task::Fold& fold, const engagements::v1::ContactEventRecorded& event) {
  CountSignal(fold, event.ordinal(), v1::EVENT, 0, event.name(), event.occurred_at_us());
  Wake(fold, event.ordinal(), v1::WAKE_EVENT, 0, event.name());
}

void Evolve(task::Fold& fold, const sends::v1::AttemptDelivered& event) {
  if (schema::IsMessage(event.campaign_id())) return;
  Wake(fold, event.ordinal(), v1::WAKE_DELIVERED, event.campaign_id(), {});
}

void Evolve(task::Fold& fold, const sends::v1::UnknownResolved& event) {
  if (schema::IsMessage(event.campaign_id())) return;
  Wake(fold, event.ordinal(), v1::WAKE_DELIVERED, event.campaign_id(), {});
}

}  // namespace maily::segments
