// Timers kept in the state: entries of one table, and a lower bound of the earliest.
#include "streams/state/timers.h"

#include <algorithm>

#include "streams/base/bytes.h"

namespace maily::state {
namespace {

int64_t Clamp(Instant due) { return std::max<int64_t>(due.us, 0); }

std::string DuePrefix(int64_t us) {
  std::string prefix;
  PutOrdered<uint64_t>(prefix, static_cast<uint64_t>(us));
  return prefix;
}

}  // namespace

std::string TimerKey(Instant due, TenantId tenant, uint16_t step, std::string_view subject) {
  std::string key = DuePrefix(Clamp(due));
  PutOrdered<uint32_t>(key, tenant.value());
  PutOrdered<uint16_t>(key, step);
  key.append(subject);
  return key;
}

Result<Timer> ParseTimerKey(std::string_view key) {
  Cursor cursor(key);
  Timer timer;
  timer.due.us = static_cast<int64_t>(cursor.Ordered<uint64_t>());
  timer.tenant = TenantId(cursor.Ordered<uint32_t>());
  timer.step = cursor.Ordered<uint16_t>();
  timer.subject = cursor.rest();
  if (!cursor.ok()) return Fail(Code::kCorrupt, "{} bytes are no timer", key.size());
  return timer;
}

void Timers::CheckUndone() {
  if (undos_ == cache_->undos()) return;
  undos_ = cache_->undos();
  no_earlier_us_ = 0;
  exact_ = false;
}

void Timers::Arm(Instant due, TenantId tenant, uint16_t step, std::string_view subject) {
  CheckUndone();
  const std::string key = TimerKey(due, tenant, step, subject);
  if (table_.Find(key) != nullptr) return;
  table_.Edit(key);
  if (Clamp(due) <= no_earlier_us_) {
    no_earlier_us_ = Clamp(due);
    exact_ = true;
  }
}

void Timers::Disarm(Instant due, TenantId tenant, uint16_t step, std::string_view subject) {
  CheckUndone();
  table_.Erase(TimerKey(due, tenant, step, subject));
  if (Clamp(due) == no_earlier_us_) exact_ = false;
}

std::vector<Timer> Timers::Due(Instant now, size_t max) {
  std::vector<Timer> due;
  const std::optional<Instant> next = Next();
  if (max == 0 || !next || *next > now) return due;
  table_.Scan("", DuePrefix(no_earlier_us_), [&](std::string_view key, const TimerEntry&) {
    Result<Timer> timer = ParseTimerKey(key);
    if (!timer || timer->due > now) return false;
    due.push_back(*std::move(timer));
    return due.size() < max;
  });
  return due;
}

std::optional<Instant> Timers::Next() {
  CheckUndone();
  if (!exact_) {
    int64_t first = kNever;
    // From the bound on: what fired before it was erased, and a scan would wade through the traces.
    table_.Scan("", DuePrefix(no_earlier_us_), [&](std::string_view key, const TimerEntry&) {
      if (const Result<Timer> timer = ParseTimerKey(key); timer) first = timer->due.us;
      return false;
    });
    no_earlier_us_ = first;
    exact_ = true;
  }
  if (no_earlier_us_ == kNever) return std::nullopt;
  return Instant{no_earlier_us_};
}

}  // namespace maily::state
