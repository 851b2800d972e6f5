// See dedupe.h.
#include "streams/task/dedupe.h"

#include <vector>

#include "streams/link/outbox.h"
#include "streams/state/key.h"

namespace maily::task {
namespace {

constexpr size_t kForgetMax = 1'000;  // of one decision

std::string HourKey(uint64_t hour) {
  std::string key;
  PutOrdered<uint64_t>(key, hour);
  return key;
}

// A link numbers what it carries over all tenants; every other stream belongs to its tenant.
std::string StreamKey(TenantId tenant, std::string_view natural_key) {
  return state::Key(natural_key.starts_with(link::kLinkStream) ? TenantId(0) : tenant, natural_key);
}

uint64_t HourOf(Instant now) { return static_cast<uint64_t>(now.us / Hours(1).us); }

// Outcomes that leave everything as it was: the same request may be decided afresh.
bool LeavesNoTrace(journal::Outcome outcome) {
  return outcome == journal::Outcome::kDuplicate || outcome == journal::Outcome::kReused || outcome == journal::Outcome::kOutOfOrder ||
         outcome == journal::Outcome::kRetryLater;
}

}  // namespace

std::optional<Dedupe::Seen> Dedupe::Check(TenantId tenant, std::string_view natural_key, uint64_t sequence,
                                          std::string_view request_hash) const {
  if (natural_key.empty()) return std::nullopt;
  if (sequence > 0) {
    const StreamCursor* cursor = state::View<StreamCursor>(*cache_).Find(StreamKey(tenant, natural_key));
    const uint64_t last = cursor == nullptr ? 0 : cursor->last;
    if (sequence == last + 1) return std::nullopt;
    return Seen{.outcome = sequence <= last ? journal::Outcome::kDuplicate : journal::Outcome::kOutOfOrder,
                .answer = "{\"last\":" + std::to_string(last) + "}"};
  }
  const FirstCopy* first = state::View<FirstCopy>(*cache_).Find(state::Key(tenant, natural_key));
  if (first == nullptr) return std::nullopt;
  if (!request_hash.empty() && !first->request_hash.empty() && first->request_hash != request_hash) {
    return Seen{.outcome = journal::Outcome::kReused,
                .answer = R"({"code":"idempotency_key_reused","message":"this key came before with another request"})"};
  }
  return Seen{.outcome = journal::Outcome::kDuplicate, .answer = first->answer, .first = static_cast<journal::Outcome>(first->outcome)};
}

void Dedupe::LookUp(TenantId tenant, std::string_view natural_key, uint64_t sequence, state::Wanted& wanted) {
  if (!natural_key.empty() && sequence == 0) wanted.Add(state::OpsOf<FirstCopy>(), state::Key(tenant, natural_key));
}

void Dedupe::Record(const journal::Decision& decision, Instant now) {
  if (decision.natural_key.empty() || LeavesNoTrace(decision.outcome)) return;
  if (decision.sequence > 0) {
    state::Table<StreamCursor>(*cache_).Edit(StreamKey(decision.tenant, decision.natural_key)).last = decision.sequence;
    return;
  }
  // What was not found may be there the next time: an event that overtook its contact must not stay refused.
  if (decision.outcome == journal::Outcome::kNotFound) return;
  const std::string key = state::Key(decision.tenant, decision.natural_key);
  FirstCopy& first = state::Table<FirstCopy>(*cache_).Edit(key);
  first.outcome = static_cast<uint16_t>(decision.outcome);
  first.at_us = now.us;
  first.request_hash = decision.request_hash;
  first.answer = decision.answer;
  const uint64_t hour = HourOf(now);
  const std::string hour_key = HourKey(hour);
  state::Table<Forgettable>(*cache_).Edit(hour_key + key);
  // The timer's name is the hour: arming it again for each request of that hour is arming it once.
  timers_->Arm(Instant{static_cast<int64_t>(hour + 1) * Hours(1).us} + kDedupeWindow, TenantId(0), kForgetStep, hour_key);
}

void Dedupe::Forget(uint64_t hour, Instant now) {
  const std::string prefix = HourKey(hour);
  std::vector<std::string> due;
  state::View<Forgettable>(*cache_).Scan(prefix, {}, [&](std::string_view key, const Forgettable&) {
    due.emplace_back(key);
    return due.size() < kForgetMax;
  });
  state::Table<Forgettable> forgettables(*cache_);
  state::Table<FirstCopy> copies(*cache_);
  for (const std::string& key : due) {
    forgettables.Erase(key);
    copies.Erase(std::string_view(key).substr(prefix.size()));
  }
  if (due.size() == kForgetMax) timers_->Arm(now, TenantId(0), kForgetStep, prefix);
}

}  // namespace maily::task
