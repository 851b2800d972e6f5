// See slices.h.
#include "processors/segments/slices.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "maily/contacts/v1/state.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/audience/segment_evaluate.h"
#include "processors/audience/segment_language.h"
#include "processors/segments/facts.h"
#include "processors/segments/members.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::segments {
namespace {

using audience::Truth;

int64_t NowS(const task::Context& context) { return context.now().us / 1'000'000; }

// The first check after `from`, as (due, ordinal); none: there is none up to `most`.
struct Due {
  int64_t due_s = 0;
  uint64_t ordinal = 0;
  v1::SegmentCheck check;
};
// Those that are due, at most `most`; and when the one after them is, 0 = there is none.
std::vector<Due> TakeDue(const task::Context& context, size_t most, int64_t& next_s) {
  const std::string tenant = state::Key(context.tenant());
  std::vector<Due> due;
  next_s = 0;
  context.view<v1::SegmentCheck>().Scan(tenant, {}, [&](std::string_view key, const v1::SegmentCheck& check) {
    Cursor cursor(key.substr(tenant.size()));
    const auto due_s = static_cast<int64_t>(cursor.Ordered<uint64_t>());
    if (due_s > NowS(context) || due.size() == most) {
      next_s = due_s;
      return false;
    }
    due.push_back({due_s, cursor.Ordered<uint64_t>(), check});
    return true;
  });
  return due;
}

// The contacts among first … last that are yet to be decided again.
std::set<uint64_t> PendingIn(const task::Context& context, uint64_t first, uint64_t last) {
  const std::string tenant = state::Key(context.tenant());
  std::set<uint64_t> pending;
  context.view<v1::SegmentCheck>().Scan(tenant, {}, [&](std::string_view key, const v1::SegmentCheck&) {
    Cursor cursor(key.substr(tenant.size()));
    if (static_cast<int64_t>(cursor.Ordered<uint64_t>()) > NowS(context)) return false;
    const auto ordinal = cursor.Ordered<uint64_t>();
    if (ordinal >= first && ordinal <= last) pending.insert(ordinal);
    return true;
  });
  return pending;
}

// Where a slice that follows `done` ends. Slices end at multiples of their size, so that none crosses a chunk.
uint64_t SliceTo(uint64_t done, uint64_t end, bool personal) {
  const uint64_t size = personal ? kSealedPlanOrdinals : kPlanOrdinals;
  return std::min(end, (done / size + 1) * size);
}

std::string KeptBits(const task::Context& context, uint64_t segment_id, uint64_t first) {
  const auto* chunk = context.view<v1::SegmentMembers>().Find(ChunkKey(context.tenant(), segment_id, first));
  return chunk == nullptr ? std::string() : chunk->bits();
}

// The segments of one slice of checks, what they ask for, and who depends on whom.
class Deciding {
 public:
  explicit Deciding(task::Context& context) : context_(context) {
    const auto* index = context.view<v1::SegmentIndex>().Find(state::Key(context.tenant()));
    if (index != nullptr) index_ = *index;
  }

  // All checks of one contact that are due, as one: an answer must not go by what another of the same slice has changed. When time alone
  // may change an answer; 0 = never.
  int64_t Decide(const Due& due, v1::MembershipsDecided& decided) {
    const auto* found = context_.view<contacts::v1::Contact>().Find(state::Key(context_.tenant(), due.ordinal));
    if (found == nullptr) return LeaveAll(due.ordinal, decided);
    const contacts::v1::Contact contact = *found;
    const bool every_timed = due.check.all() || due.check.timed();
    std::set<uint64_t> pending(due.check.segments().begin(), due.check.segments().end());
    if (every_timed) pending.insert(index_.timed().begin(), index_.timed().end());
    if (due.check.all()) pending.insert(index_.all().begin(), index_.all().end());

    Person person{.ordinal = due.ordinal, .contact = contact};
    // A change concerns the segments that ask for it, which are decided after it; without cycles this ends, and it is bounded all the same.
    for (size_t most = 8 * static_cast<size_t>(index_.all_size()) + 8; !pending.empty() && most > 0; --most) {
      const uint64_t segment_id = Next(pending, due.ordinal);
      pending.erase(segment_id);
      One(segment_id, person, pending);
    }
    v1::MembershipChange change;
    change.set_ordinal(due.ordinal);
    for (const auto& [segment_id, is] : person.is) {
      if (is == person.was[segment_id]) continue;
      is ? change.add_entered(segment_id) : change.add_left(segment_id);
    }
    if (change.entered_size() + change.left_size() > 0) *decided.add_changes() = change;
    return NextOf(due, person, every_timed);
  }

 private:
  struct Person {
    uint64_t ordinal;
    const contacts::v1::Contact& contact;
    std::map<uint64_t, bool> was = {};
    std::map<uint64_t, bool> is = {};
    std::map<uint64_t, int64_t> next_s = {};
  };
  struct Known {
    v1::SegmentRun run;
    std::map<uint32_t, Wants> wants = {};  // by version
    std::map<uint32_t, std::set<uint64_t>> asks = {};
  };

  // Who was erased is a member of nothing, and never will be.
  int64_t LeaveAll(uint64_t ordinal, v1::MembershipsDecided& decided) const {
    v1::MembershipChange change;
    change.set_ordinal(ordinal);
    for (const uint64_t segment_id : index_.all()) {
      if (IsMember(context_.view<v1::SegmentMembers>(), context_.tenant(), segment_id, ordinal)) change.add_left(segment_id);
    }
    if (change.left_size() > 0) *decided.add_changes() = change;
    return 0;
  }

  // Null: there is no such segment any more.
  Known* Find(uint64_t segment_id) {
    const auto known = known_.find(segment_id);
    if (known != known_.end()) return known->second ? &*known->second : nullptr;
    const auto* run = context_.view<v1::SegmentRun>().Find(state::Key(context_.tenant(), segment_id));
    std::optional<Known>& made = known_[segment_id];
    if (run == nullptr) return nullptr;
    made = Known{*run};
    for (const auto& [version, expression] :
         {std::pair{made->run.version(), &made->run.expression()}, {made->run.next_version(), &made->run.next()}}) {
      if (version == 0) continue;
      const auto dependencies = audience::DependenciesOf(*expression);
      made->wants[version].Add(dependencies);
      for (const auto& one : dependencies.wakes) {
        if (one.kind == v1::WAKE_SEGMENT) made->asks[version].insert(one.id);
      }
    }
    return &*made;
  }

  // One that asks for no other that is pending.
  uint64_t Next(const std::set<uint64_t>& pending, uint64_t ordinal) {
    for (const uint64_t segment_id : pending) {
      Known* known = Find(segment_id);
      if (known == nullptr) return segment_id;
      const auto& asks = known->asks[VersionFor(known->run, ordinal)];
      if (std::ranges::none_of(asks, [&](uint64_t other) { return other != segment_id && pending.contains(other); })) return segment_id;
    }
    return *pending.begin();
  }

  void One(uint64_t segment_id, Person& person, std::set<uint64_t>& pending) {
    Known* known = Find(segment_id);
    if (known == nullptr) return;
    const v1::Expression* expression = ExpressionFor(known->run, person.ordinal);
    if (expression == nullptr) return;  // the plan comes to it
    Facts::Beside beside = ReadBeside(context_, person.ordinal, person.contact, known->wants[VersionFor(known->run, person.ordinal)]);
    for (auto& [other, member] : beside.segments) {
      const auto decided = person.is.find(other);
      if (decided != person.is.end()) member = decided->second;
    }
    Facts facts(context_, person.contact, beside);
    const auto answer = audience::EvaluateSegment(*expression, known->run.zone(), NowS(context_), facts);
    const bool member = answer.truth == Truth::kTrue;
    if (!person.was.contains(segment_id)) {
      person.was[segment_id] = IsMember(context_.view<v1::SegmentMembers>(), context_.tenant(), segment_id, person.ordinal);
    }
    const auto before = person.is.find(segment_id);
    const bool changed = member != (before == person.is.end() ? person.was[segment_id] : before->second);
    person.is[segment_id] = member;
    person.next_s[segment_id] = answer.next_s;
    if (!changed) return;
    if (const v1::Wake* wake = FindWake(index_, v1::WAKE_SEGMENT, segment_id, {}))
      pending.insert(wake->segments().begin(), wake->segments().end());
  }

  int64_t NextOf(const Due& due, const Person& person, bool every_timed) const {
    int64_t next = audience::kNever;
    for (const auto& [segment_id, next_s] : person.next_s) next = std::min(next, next_s);
    // Of those that were not decided now it is still as it was.
    const auto* watch = context_.view<v1::SegmentWatch>().Find(state::Key(context_.tenant(), due.ordinal));
    if (!every_timed && watch != nullptr) next = std::min(next, int64_t{watch->due_s()});
    return next == audience::kNever ? 0 : next;
  }

  task::Context& context_;
  v1::SegmentIndex index_;
  std::map<uint64_t, std::optional<Known>> known_;
};

}  // namespace

task::SliceEnd PlanSegment(task::Context& context, std::string_view subject) {
  const auto segment_id = Cursor(subject).Ordered<uint64_t>();
  const auto* found = context.view<v1::SegmentRun>().Find(state::Key(context.tenant(), segment_id));
  MAILY_CHECK(found != nullptr && found->next_version() != 0, "segment {} of tenant {} is planned and not there", segment_id,
              context.tenant().value());
  const v1::SegmentRun run = *found;
  context.Continue(TraceId::From(run.trace()));
  const auto dependencies = audience::DependenciesOf(run.next());
  const uint64_t first = run.planned_to() + 1;
  const uint64_t last = SliceTo(run.planned_to(), run.last_ordinal(), dependencies.personal);

  v1::SegmentPlanned planned;
  planned.set_segment_id(segment_id);
  planned.set_version(run.next_version());
  planned.set_first_ordinal(first);
  planned.set_last(last >= run.last_ordinal());
  if (first <= last) {
    planned.set_count(static_cast<uint32_t>(last - first + 1));
    Wants wants;
    wants.Add(dependencies);
    SliceFacts slice(context, first, last, wants);
    const std::string kept = KeptBits(context, segment_id, first);
    std::string& members = *planned.mutable_members();
    uint32_t undecided = 0;
    slice.Each([&](uint64_t ordinal, const contacts::v1::Contact&, Facts& facts) {
      const auto answer = audience::EvaluateSegment(run.next(), run.zone(), NowS(context), facts);
      if (answer.truth == Truth::kTrue) SetBit(members, ordinal - first, true);
      if (answer.truth == Truth::kUnknown) ++undecided;
      if (answer.next_s == audience::kNever) return;
      planned.add_check_ordinals(ordinal);
      planned.add_check_at_s(answer.next_s);
    });
    planned.set_undecided(undecided);
    for (uint64_t ordinal = first; ordinal <= last; ++ordinal) {
      const bool is = BitAt(members, ordinal - first);
      const bool was = BitAt(kept, PlaceOf(ordinal));
      if (is) planned.set_member_count(planned.member_count() + 1);
      if (is == was) continue;
      SetBit(*planned.mutable_changed(), ordinal - first, true);
      is ? planned.set_entered(planned.entered() + 1) : planned.set_left(planned.left() + 1);
    }
  }
  context.Emit(planned);
  return task::SliceEnd::kMore;
}

task::SliceEnd DecideChecks(task::Context& context, std::string_view) {
  v1::MembershipsDecided decided;
  int64_t next_s = 0;
  const std::vector<Due> due = TakeDue(context, kChecksMax, next_s);
  std::map<uint64_t, Due> contacts;
  for (const Due& one : due) {
    Due& all = contacts.try_emplace(one.ordinal, Due{.ordinal = one.ordinal, .check = {}}).first->second;
    all.check.mutable_segments()->MergeFrom(one.check.segments());
    all.check.set_all(all.check.all() || one.check.all());
    all.check.set_timed(all.check.timed() || one.check.timed());
  }
  Deciding deciding(context);
  std::map<uint64_t, int64_t> next_of;
  for (const auto& [ordinal, one] : contacts) {
    const int64_t next = deciding.Decide(one, decided);
    next_of[ordinal] = next;
    if (next != 0 && (next_s == 0 || next < next_s)) next_s = next;
  }
  for (const Due& one : due) {
    v1::CheckDone& done = *decided.add_done();
    done.set_due_s(one.due_s);
    done.set_ordinal(one.ordinal);
    done.set_next_s(next_of[one.ordinal]);
  }
  decided.set_next_s(next_s);
  decided.set_idle(next_s == 0 || next_s > NowS(context));
  context.Emit(decided);
  return task::SliceEnd::kMore;
}

void ChecksCome(task::Context& context, std::string_view) {
  v1::ChecksDue due;
  due.set_at_s(NowS(context));
  context.Emit(due);
}

namespace {

// 32 bits, so that sums of them stay below 2^63 for any number of contacts.
uint64_t MemberHash(const task::Context& context, uint64_t ordinal) {
  std::string bytes;
  PutFixed<uint64_t>(bytes, (uint64_t{context.partition().value()} << 48) + ordinal);
  return Xxh3_64(bytes) >> 32;
}

}  // namespace

task::SliceEnd CountPreview(task::Context& context, std::string_view subject) {
  const auto preview_id = Cursor(subject).Ordered<uint64_t>();
  const auto* found = context.view<v1::PreviewRun>().Find(state::Key(context.tenant(), preview_id));
  MAILY_CHECK(found != nullptr, "preview {} of tenant {} is counted and not there", preview_id, context.tenant().value());
  const v1::PreviewRun run = *found;
  context.Continue(TraceId::From(run.trace()));
  const auto dependencies = audience::DependenciesOf(run.expression());
  const uint64_t first = run.counted_to() + 1;
  const uint64_t last = SliceTo(run.counted_to(), run.last_ordinal(), dependencies.personal);

  v1::PreviewCounted counted;
  counted.set_preview_id(preview_id);
  counted.set_to_ordinal(last);
  counted.set_last(last >= run.last_ordinal());
  v1::PreviewCounts& counts = *counted.mutable_counts();
  std::vector<std::pair<std::string, uint64_t>> missing;
  for (const auto& one : dependencies.wakes) {
    if (one.kind == v1::WAKE_ATTRIBUTE) missing.emplace_back(one.name, 0);
  }
  if (first <= last) {
    std::optional<v1::SegmentRun> segment;
    if (run.segment_id() != 0) {
      const auto* of = context.view<v1::SegmentRun>().Find(state::Key(context.tenant(), run.segment_id()));
      if (of != nullptr) segment = *of;
    }
    const std::string kept = segment ? KeptBits(context, run.segment_id(), first) : std::string();
    const std::set<uint64_t> pending = segment ? PendingIn(context, first, last) : std::set<uint64_t>();
    Wants wants;
    wants.Add(dependencies);
    SliceFacts slice(context, first, last, wants);
    const auto sample = [](auto& samples, uint32_t given, uint64_t ordinal) {
      if (given + static_cast<uint32_t>(samples.size()) < kSamplesMax) samples.Add(ordinal);
    };
    slice.Each([&](uint64_t ordinal, const contacts::v1::Contact&, Facts& facts) {
      const auto answer = audience::EvaluateSegment(run.expression(), run.zone(), NowS(context), facts);
      const bool matches = answer.truth == Truth::kTrue;
      counts.set_contacts(counts.contacts() + 1);
      if (matches) counts.set_matching(counts.matching() + 1);
      if (matches) sample(*counted.mutable_samples(), run.samples(), ordinal);
      if (answer.truth == Truth::kUnknown) counts.set_undecided(counts.undecided() + 1);
      for (auto& [name, contacts] : missing) {
        if (!facts.HasAttribute(name)) ++contacts;
      }
      if (!segment) return;
      const bool is = BitAt(kept, PlaceOf(ordinal));
      if (is) counts.set_members(counts.members() + 1);
      if (pending.contains(ordinal) ||
          VersionFor(*segment, ordinal) != (segment->next_version() != 0 ? segment->next_version() : segment->version())) {
        counts.set_pending(counts.pending() + 1);
        return;
      }
      if (is) counts.set_kept_hash(counts.kept_hash() + MemberHash(context, ordinal));
      if (matches) counts.set_decided_hash(counts.decided_hash() + MemberHash(context, ordinal));
      if (matches && !is) {
        counts.set_enter(counts.enter() + 1);
        sample(*counted.mutable_enter_samples(), run.enter_samples(), ordinal);
      } else if (!matches && is) {
        counts.set_leave(counts.leave() + 1);
        sample(*counted.mutable_leave_samples(), run.leave_samples(), ordinal);
      }
    });
  }
  for (const auto& [name, contacts] : missing) {
    v1::MissingAttribute& one = *counts.add_missing();
    one.set_name(name);
    one.set_contacts(contacts);
  }
  context.Emit(counted);
  return task::SliceEnd::kMore;
}

}  // namespace maily::segments
