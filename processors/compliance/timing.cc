// See timing.h.
#include "processors/compliance/timing.h"

#include <algorithm>

namespace maily::compliance {
namespace {

constexpr size_t kWeekDays = 7;
constexpr int kRoundsMax = 8;  // of quiet hours that begin where others end

std::optional<tenants::v1::QuietHours> Hours(bool has, const tenants::v1::QuietHours& hours) {
  if (!has || hours.from_minute() == hours.to_minute()) return std::nullopt;
  return hours;
}

std::optional<Instant> UntilOf(const tenants::v1::QuietHours& hours, const schema::Zone& zone, Instant now) {
  const schema::WallTime wall = zone.At(now);
  const auto from = static_cast<int32_t>(hours.from_minute() * 60);
  const auto to = static_cast<int32_t>(hours.to_minute() * 60);
  const bool across = from > to;
  if (across ? wall.second < from && wall.second >= to : wall.second < from || wall.second >= to) return std::nullopt;
  const schema::WallTime end{across && wall.second >= from ? wall.day + 1 : wall.day, to};
  const Instant ends = zone.InstantOf(end);
  // The clock shows this hour for the second time: what it is to show has been, and will be again.
  if (ends <= now) return now + Seconds(int64_t{end.day - wall.day} * 86'400 + end.second - wall.second);
  return ends;
}

}  // namespace

const schema::Zone* OwnZone(const contacts::v1::Contact& contact) {
  for (const auto& attribute : contact.attributes()) {
    if (attribute.name() == kZoneAttribute) return schema::ZoneNamed(attribute.text());
  }
  return nullptr;
}

const schema::Zone& ZoneOf(const campaigns::v1::SendingRules* rules) {
  const schema::Zone* zone = rules == nullptr ? nullptr : schema::ZoneNamed(rules->time_zone());
  return zone == nullptr ? schema::Utc() : *zone;
}

Quiet::Quiet(const campaigns::v1::SendingRules* rules, const campaigns::v1::CampaignSpec& spec)
    : tenant_(rules == nullptr ? std::nullopt : Hours(rules->has_quiet_hours(), rules->quiet_hours())),
      campaign_(Hours(spec.has_quiet_hours(), spec.quiet_hours())) {}

std::optional<Instant> Quiet::Until(const schema::Zone& zone, Instant now) const {
  Instant at = now;
  for (int round = 0; round < kRoundsMax; ++round) {
    bool held = false;
    for (const auto* hours : {&tenant_, &campaign_}) {
      if (!*hours) continue;
      if (const auto until = UntilOf(**hours, zone, at)) {
        at = *until;
        held = true;
      }
    }
    if (!held) break;
    if (at - now > Days(1)) break;
  }
  return at == now ? std::nullopt : std::optional(at);
}

Duration TtlOf(const campaigns::v1::CampaignSpec& spec) {
  return spec.ttl_minutes() == 0 ? kTtl : Seconds(int64_t{spec.ttl_minutes()} * 60);
}

bool CapReached(const tenants::v1::FrequencyCap& cap, const sends::v1::ContactMails* mails, int32_t day) {
  if (mails == nullptr || (cap.per_day() == 0 && cap.per_week() == 0)) return false;
  day = std::max(day, mails->day());
  const auto past = static_cast<size_t>(day - mails->day());
  uint32_t today = 0;
  uint32_t week = 0;
  for (size_t i = 0; i < mails->counts().size() && i + past < kWeekDays; ++i) {
    const auto count = static_cast<uint8_t>(mails->counts()[i]);
    week += count;
    if (i + past == 0) today = count;
  }
  return (cap.per_day() != 0 && today >= cap.per_day()) || (cap.per_week() != 0 && week >= cap.per_week());
}

void UncountMail(sends::v1::ContactMails& mails, int32_t day) {
  std::string& counts = *mails.mutable_counts();
  const int64_t place = int64_t{mails.day()} - day;
  if (place >= 0 && place < static_cast<int64_t>(counts.size()) && counts[static_cast<size_t>(place)] != '\0')
    --counts[static_cast<size_t>(place)];
}

void CountMail(sends::v1::ContactMails& mails, int32_t day) {
  std::string& counts = *mails.mutable_counts();
  if (counts.empty() || day - mails.day() >= static_cast<int32_t>(kWeekDays)) {
    counts.assign(1, '\0');
    mails.set_day(day);
  } else if (day > mails.day()) {
    counts.insert(0, static_cast<size_t>(day - mails.day()), '\0');
    counts.resize(std::min(counts.size(), kWeekDays));
    mails.set_day(day);
  }
  if (static_cast<uint8_t>(counts[0]) < kCapMax) ++counts[0];
  while (counts.size() > 1 && counts.back() == '\0') counts.pop_back();
}

}  // namespace maily::compliance
