// See waits.h.
#include "processors/journeys/waits.h"

#include "processors/compliance/timing.h"
#include "schemas/wall_time.h"

namespace maily::journeys {
namespace {

constexpr int64_t kMicros = 1'000'000;
constexpr int32_t kDaysLooked = 16;  // a week, and what a zone may skip of the calendar

const schema::Zone& ZoneOf(const v1::DelayStep& delay, const contacts::v1::Contact* contact, const campaigns::v1::SendingRules* rules,
                           bool& missing) {
  if (delay.zone() == kContactZone) {
    const schema::Zone* own = contact == nullptr ? nullptr : compliance::OwnZone(*contact);
    if (own != nullptr) return *own;
    missing = true;
  } else if (delay.zone() != kTenantZone) {
    // One that the tables no longer know is the tenant's too.
    const schema::Zone* named = schema::ZoneNamed(delay.zone().empty() ? "UTC" : delay.zone());
    if (named != nullptr) return *named;
  }
  return compliance::ZoneOf(rules);
}

}  // namespace

uint32_t WeekdaysOf(const v1::DelayStep& delay) {
  if (delay.weekdays() != 0) return delay.weekdays();
  return delay.weekday() == 0 ? kEveryWeekday : 1U << (delay.weekday() - 1);
}

WaitEnd EndOf(const v1::JourneyStep& step, int64_t since_s, int64_t now_s, const contacts::v1::Contact* contact,
              const campaigns::v1::SendingRules* rules) {
  if (step.has_wait()) return {.due_s = since_s + step.wait().timeout_s()};
  const v1::DelayStep& delay = step.delay();
  if (delay.minute() < 0) return {.due_s = since_s + delay.for_s()};
  WaitEnd end;
  const schema::Zone& zone = ZoneOf(delay, contact, rules, end.zone_missing);
  end.zone = zone.name();
  const Instant now{now_s * kMicros};
  const uint32_t weekdays = WeekdaysOf(delay);
  const int32_t today = zone.At(now).day;
  for (int32_t day = today; day < today + kDaysLooked; ++day) {
    const uint32_t weekday = static_cast<uint32_t>(day + 3) % 7;  // 1970-01-01 was a Thursday
    if ((weekdays >> weekday & 1) == 0) continue;
    const Instant at = zone.InstantOf({day, delay.minute() * 60});
    if (at <= now) continue;
    end.due_s = at.us / kMicros;
    return end;
  }
  end.due_s = now_s + int64_t{kDaysLooked} * 86'400;  // no zone leaves out so many days; a wait ends all the same
  return end;
}

}  // namespace maily::journeys
