// See granter.h.
#include "processors/effects/smtp/granter.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "schemas/keys.h"

namespace maily::smtp {
namespace {

constexpr Duration kTick = Seconds(1);              // credits unspent for so long are taken back
constexpr int64_t kUnknownAhead = 1;                // mails to a domain that nobody has routed yet
constexpr int64_t kNowhereAhead = 16;               // mails that are settled without a site
constexpr int64_t kOthersAhead = 64;                // under way to domains without a lane of their own
constexpr int64_t kPartsMax = 16;                   // a site has no more than such a part of what is free, where so many are active
constexpr int64_t kReserved = 32;                   // such a part of the budget is for those who have nothing under way
constexpr size_t kPlacesMax = 100'000;              // domains whose site is remembered
constexpr Duration kAhead = Milliseconds(20);       // five turns: granted and durable, made, on the wire
constexpr Duration kPaceWindow = Milliseconds(50);  // over which a pace is taken
constexpr int64_t kAtOnce = 8;                      // credits that a partition gets in a turn, if there are so many
constexpr Duration kIdleTenant = Seconds(3);        // who wanted nothing of a site for so long begins anew there
constexpr int64_t kAheadMax = 6;                    // times what a slow site would have

// None has anything left: the first.
std::shared_ptr<Site> FirstWay(const Granter::Ways& ways, Duration now, Instant wall) {
  const auto way = std::ranges::find_if(ways, [&](const auto& site) { return !site->Spent(now, wall); });
  return way != ways.end() ? *way : ways.empty() ? nullptr : ways.front();
}

}  // namespace

Granter::Granter(Options options, Executor& executor, Clock& clock)
    : options_(std::move(options)), executor_(executor), clock_(clock), everywhere_{options_.everywhere} {}
Granter::~Granter() { *alive_ = false; }

void Granter::Join(PartitionId partition, task::Credits& credits) {
  members_[partition] = Member{.credits = &credits, .accounts = {}};
  credits.SetPerDomain(options_.per_domain);
  credits.OnWanted([this, alive = alive_, partition](std::string_view name) {
    if (*alive) Want(partition, name);
  });
  credits.ForEachWanted([&](std::string_view name) { Want(partition, name); });
  PostDistribute();
}

void Granter::Want(PartitionId partition, std::string_view name) {
  if (schema::AreMessageCredits(name) != options_.messages) return;
  wants_.emplace(schema::CreditsBehind(name), partition);
  PostDistribute();
}

bool Granter::WantsAt(const Site& site) const {
  return std::ranges::any_of(wants_, [&](const auto& want) {
    const Place* place = PlaceOf(want.first);
    return place != nullptr && place->site.get() == &site;
  });
}

std::string Granter::NameOf(const std::string& key) const { return options_.messages ? schema::MessageCredits(key) : key; }

bool Granter::Yields(const Site& site) {
  if (!options_.yields(site)) {
    yielded_.erase(&site);
    return false;
  }
  return ++yielded_[&site] % kYieldsTo != 0;
}

void Granter::Leave(PartitionId partition) {
  const auto found = members_.find(partition);
  if (found == members_.end()) return;
  found->second.credits->OnWanted({});
  for (const auto& [key, account] : found->second.accounts) {
    const Place* place = PlaceOf(key);
    if (place != nullptr && place->site && account.outstanding() > 0) {
      place->site->GiveBack(static_cast<uint32_t>(account.outstanding()));
      outstanding_at_[place->site.get()] -= account.outstanding();
      Charge(place->site.get(), key, -account.outstanding());
    }
  }
  members_.erase(found);
  std::erase_if(wants_, [&](const auto& want) { return want.second == partition; });
  PostDistribute();
}

std::shared_ptr<Site> Granter::Opened(PartitionId partition, std::string_view key, TenantId tenant) {
  const Place* place = PlaceOf(key);
  if (!key.empty() && tenants_.size() < kPlacesMax && !tenants_.contains(key)) tenants_.emplace(key, tenant);
  ++in_flight_;
  if (key.empty()) {
    ++in_flight_of_others_;
  } else if (place == nullptr || !place->site) {
    ++nowhere_[std::string(key)];
    ++nowhere_of_all_;
  }
  const auto found = members_.find(partition);
  if (found == members_.end()) return nullptr;
  Account& account = found->second.accounts[std::string(key)];
  const bool lost = account.given == account.opened;  // it was taken back while its decision was under way
  ++account.opened;
  if (lost) {
    account.given = account.opened;
    return nullptr;
  }
  if (place == nullptr || !place->site) return nullptr;
  --outstanding_at_[place->site.get()];
  return place->site;
}

bool Granter::Learn(std::string_view key, const Ways& ways) {
  if (everywhere_.site) return true;
  const auto before = places_.find(key);
  if (before != places_.end() && before->second.ways == ways) return true;
  if (places_.size() >= kPlacesMax && before == places_.end()) return false;  // one mail at a time goes to the others
  Place& place = before != places_.end() ? before->second : places_[std::string(key)];
  place.ways = ways;
  Move(key, place, FirstWay(ways, clock_.Steady(), clock_.Now()));
  PostDistribute();
  return true;
}

std::shared_ptr<Site> Granter::SiteOf(std::string_view key) const {
  const Place* place = PlaceOf(key);
  return place == nullptr ? nullptr : place->site;
}

void Granter::Move(std::string_view key, Place& place, std::shared_ptr<Site> to) {
  if (place.site == to) return;
  int64_t outstanding = 0;
  for (const auto& [partition, member] : members_) {
    const auto account = member.accounts.find(key);
    if (account != member.accounts.end()) outstanding += account->second.outstanding();
  }
  if (place.site) {
    place.site->Unreserve(static_cast<uint32_t>(outstanding));
    outstanding_at_[place.site.get()] -= outstanding;
  }
  if (to) {
    to->Reserve(static_cast<uint32_t>(outstanding));
    outstanding_at_[to.get()] += outstanding;
  }
  place.site = std::move(to);
}

void Granter::Prefer(std::string_view key) {
  const auto found = places_.find(key);
  if (found == places_.end() || found->second.ways.size() < 2) return;
  Move(key, found->second, FirstWay(found->second.ways, clock_.Steady(), clock_.Now()));
}

void Granter::Begun(std::string_view key, const Site& site) {
  Routed(key);
  ++in_flight_at_[&site];
}

void Granter::Routed(std::string_view key) {
  const auto found = nowhere_.find(key);
  if (found == nowhere_.end()) return;
  --nowhere_of_all_;
  if (--found->second == 0) nowhere_.erase(found);
}

void Granter::Ended(std::string_view key, const Site* site) {
  --in_flight_;
  if (key.empty()) --in_flight_of_others_;
  const Duration now = clock_.Steady();
  pace_.Ended(now);
  if (site != nullptr) {
    --in_flight_at_[site];
    paces_[site].Ended(now);
  } else {
    Routed(key);
  }
  DistributeInTurn();
}

void Granter::Pace::Ended(Duration now) {
  ++ended;
  if (now - since < kPaceWindow) return;
  per_second = static_cast<double>(ended) * 1e6 / static_cast<double>((now - since).us);
  since = now;
  ended = 0;
}

int64_t Granter::Pace::Ahead() const { return static_cast<int64_t>(per_second * static_cast<double>(kAhead.us) / 1e6); }

int64_t Granter::Budget() const { return options_.budget + std::min(pace_.Ahead(), options_.budget * (kAheadMax - 1)); }

int64_t Granter::Outstanding() const {
  int64_t outstanding = 0;
  for (const auto& [partition, member] : members_) {
    for (const auto& [key, account] : member.accounts) outstanding += account.outstanding();
  }
  return outstanding;
}

void Granter::DistributeInTurn() {
  if (turn_armed_) return;
  if (in_flight_ + Outstanding() <= options_.budget / 2) return Distribute();
  turn_armed_ = true;
  executor_.After(ToNextTurn(clock_.Steady()), [this, alive = alive_] {
    if (!*alive) return;
    turn_armed_ = false;
    Distribute();
  });
}

TenantId Granter::TenantOf(std::string_view key) const {
  const auto found = tenants_.find(key);
  return found == tenants_.end() ? TenantId() : found->second;
}

void Granter::Charge(const Site* site, std::string_view key, int64_t mails) {
  const auto turns = turns_.find(site);
  if (turns == turns_.end()) return;
  const TenantId tenant = TenantOf(key);
  Turns::OfTenant& of = turns->second.tenants[tenant];
  if (mails > 0) turns->second.now = std::max(turns->second.now, of.had);
  of.had += static_cast<double>(mails) / WeightOf(tenant);
}

Granter::Allotments Granter::Allot(const std::map<const Site*, std::map<TenantId, int64_t>>& wanting, int64_t free, Duration now) {
  Allotments allotments;
  for (const auto& [site, tenants] : wanting) {
    Turns& turns = turns_[site];
    std::vector<std::pair<double, TenantId>> behind;  // a heap, the least first
    for (const auto& [tenant, wants] : tenants) {
      Turns::OfTenant& of = turns.tenants[tenant];
      if (now - of.wanted_at > kIdleTenant) of.had = std::max(of.had, turns.now);
      of.wanted_at = now;
      behind.emplace_back(of.had, tenant);
    }
    if (behind.size() < 2) continue;
    const auto later = std::greater<>();
    std::ranges::make_heap(behind, later);
    for (int64_t left = std::min(free, FreeAt(const_cast<Site&>(*site), now)); left > 0; --left) {
      std::ranges::pop_heap(behind, later);
      auto& [had, tenant] = behind.back();
      had += 1.0 / WeightOf(tenant);
      ++allotments[{site, tenant}];
      std::ranges::push_heap(behind, later);
    }
  }
  return allotments;
}

const Granter::Place* Granter::PlaceOf(std::string_view key) const {
  if (everywhere_.site) return &everywhere_;
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &found->second;
}

int64_t Granter::OutstandingAt(const Site* site) const {
  const auto found = outstanding_at_.find(site);
  return found == outstanding_at_.end() ? 0 : found->second;
}

int64_t Granter::FreeAt(Site& site, Duration now) {
  const int64_t allowance = site.Allowance(now);
  const auto workers = static_cast<int64_t>(options_.workers);
  const auto flying = in_flight_at_.find(&site);
  int64_t most = (allowance + workers - 1) / workers;
  if (site.AtFullPace(now)) {
    if (const auto pace = paces_.find(&site); pace != paces_.end()) most += std::min(pace->second.Ahead(), most * (kAheadMax - 1));
  }
  return most - (flying == in_flight_at_.end() ? 0 : flying->second) - OutstandingAt(&site);
}

int64_t Granter::Free(std::string_view key, Duration now) {
  const Place* place = PlaceOf(key);
  if (place != nullptr && place->site) return FreeAt(*place->site, now);
  int64_t outstanding = 0;
  for (const auto& [partition, member] : members_) {
    const auto account = member.accounts.find(key);
    if (account != member.accounts.end()) outstanding += account->second.outstanding();
  }
  if (key.empty()) return std::min(kOthersAhead, std::max<int64_t>(1, options_.budget / 4)) - in_flight_of_others_ - outstanding;
  const auto nowhere = nowhere_.find(key);
  return (place != nullptr ? kNowhereAhead : kUnknownAhead) - outstanding - (nowhere == nowhere_.end() ? 0 : nowhere->second);
}

// A site that answers slowly keeps what it gets: without a limit, some of them would hold all credits in the end, and who is quick would
// wait for them. So, unless it is alone, no site adds to what it has while that is more than a part of what is free (Choudhury and Hahne,
// Dynamic Queue Length Thresholds, 1998): the fewer are left, the less a slow one may have.
int64_t Granter::Room(const Site* site, int64_t free, int64_t active) const {
  if (active <= 1) return free;
  int64_t held = nowhere_of_all_;
  int64_t ahead = 0;
  if (site != nullptr) {
    const auto flying = in_flight_at_.find(site);
    held = (flying == in_flight_at_.end() ? 0 : flying->second) + OutstandingAt(site);
    if (const auto pace = paces_.find(site); pace != paces_.end()) ahead = pace->second.Ahead();
  }
  const int64_t most = (free - options_.budget / kReserved) / std::min(active, kPartsMax) + ahead;
  return std::max<int64_t>(held == 0 ? 1 : 0, most - held);
}

void Granter::PostDistribute() {
  if (std::exchange(posted_, true)) return;
  executor_.Post([this, alive = alive_] {
    if (!*alive) return;
    posted_ = false;
    DistributeInTurn();
  });
}

void Granter::Distribute() {
  int64_t free = Budget() - in_flight_ - Outstanding();
  if (free > 0 && !wants_.empty() && options_.may()) {
    const Duration now = clock_.Steady();
    const Instant wall = clock_.Now();
    // Who wants of the same site shares what is free there: tenants by their weights, the wants of one in turn.
    std::map<const Site*, int64_t> wanting;
    std::map<const Site*, std::map<TenantId, int64_t>> tenants;
    for (const auto& [key, partition] : wants_) Prefer(key);
    for (const auto& [key, partition] : wants_) {
      const Place* place = PlaceOf(key);
      if (place == nullptr || !place->site) continue;
      ++wanting[place->site.get()];
      ++tenants[place->site.get()][TenantOf(key)];
    }
    Allotments allotments = Allot(tenants, free, now);
    auto active = static_cast<int64_t>(wanting.size()) + (nowhere_of_all_ > 0 ? 1 : 0);
    for (const auto& [site, mails] : in_flight_at_) active += mails > 0 && !wanting.contains(site) ? 1 : 0;
    for (const auto& [site, credits] : outstanding_at_) {
      const auto flying = in_flight_at_.find(site);
      active += credits > 0 && !wanting.contains(site) && (flying == in_flight_at_.end() || flying->second == 0) ? 1 : 0;
    }
    int64_t all = static_cast<int64_t>(wants_.size());
    // In turn, beginning after whoever got the last one.
    auto at = wants_.upper_bound(last_served_);
    for (size_t n = wants_.size(); n > 0 && free > 0; --n, --all) {
      if (at == wants_.end()) at = wants_.begin();
      const auto want = at++;
      const auto member = members_.find(want->second);
      if (member == members_.end() || !member->second.credits->wanted(NameOf(want->first))) {
        wants_.erase(want);
        continue;
      }
      const Place* place = PlaceOf(want->first);
      Site* site = place != nullptr ? place->site.get() : nullptr;
      int64_t share = Free(want->first, now);
      if (share > 0 && site != nullptr) {
        const TenantId tenant = TenantOf(want->first);
        int64_t wants = wanting[site]--;
        if (tenants[site].size() > 1) {
          wants = tenants[site][tenant]--;
          share = std::min(share, allotments[{site, tenant}]);
        }
        share = std::min(share, std::max<int64_t>(kAtOnce, share / std::max<int64_t>(1, wants)));
      }
      share = std::min({share, free, std::max<int64_t>(kAtOnce, free / all)});
      if (share > 0 && options_.per_domain) share = std::min(share, Room(site, free, active));
      if (share > 0 && site != nullptr && Yields(*site)) continue;
      if (share > 0 && site != nullptr) share = site->Take(static_cast<uint32_t>(share), now, wall);
      if (share <= 0) continue;
      free -= share;
      member->second.accounts[want->first].given += share;
      if (site != nullptr) {
        outstanding_at_[site] += share;
        allotments[{site, TenantOf(want->first)}] -= share;
        Charge(site, want->first, share);
      }
      last_served_ = *want;
      task::Credits& credits = *member->second.credits;
      const std::string key = want->first;
      wants_.erase(want);
      credits.Grant(NameOf(key), static_cast<uint32_t>(share), {options_.opener, now});
    }
  }
  ArmTick();
}

void Granter::ArmTick() {
  if (tick_armed_) return;
  const bool any = std::ranges::any_of(members_, [](const auto& member) {
    return std::ranges::any_of(member.second.accounts, [](const auto& account) { return account.second.outstanding() > 0; });
  });
  if (!any && wants_.empty()) return;
  tick_armed_ = true;
  executor_.After(kTick, [this, alive = alive_] {
    if (!*alive) return;
    tick_armed_ = false;
    Tick();
  });
}

// Takes back what a partition has not used since the last tick: unspent credits, and those spent in decisions that were undone.
void Granter::Tick() {
  for (auto& [partition, member] : members_) {
    for (auto at = member.accounts.begin(); at != member.accounts.end();) {
      const std::string& key = at->first;
      Account& account = at->second;
      const int64_t available = member.credits->available(NameOf(key));
      if (account.given == account.tick_given && account.opened == account.tick_opened && available == account.tick_available) {
        const int64_t taken = member.credits->Withdraw(NameOf(key), static_cast<uint32_t>(available));
        const int64_t lost = std::max<int64_t>(0, account.outstanding() - available);
        account.given -= taken + lost;
        const Place* place = PlaceOf(key);
        if (place != nullptr && place->site && taken + lost > 0) {
          place->site->GiveBack(static_cast<uint32_t>(taken + lost));
          outstanding_at_[place->site.get()] -= taken + lost;
          Charge(place->site.get(), key, -(taken + lost));
        }
        if (account.outstanding() == 0) {
          at = member.accounts.erase(at);  // it begins anew when it is wanted
          continue;
        }
      }
      account.tick_given = account.given;
      account.tick_opened = account.opened;
      account.tick_available = member.credits->available(NameOf(key));
      ++at;
    }
    member.credits->Prune();
  }
  std::erase_if(in_flight_at_, [](const auto& entry) { return entry.second == 0; });
  std::erase_if(yielded_, [this](const auto& entry) { return !in_flight_at_.contains(entry.first); });
  std::erase_if(paces_, [this](const auto& entry) { return !in_flight_at_.contains(entry.first); });
  std::erase_if(outstanding_at_, [](const auto& entry) { return entry.second == 0; });
  const Duration now = clock_.Steady();
  for (auto& [site, turns] : turns_) {
    std::erase_if(turns.tenants, [&](const auto& tenant) {
      return now - tenant.second.wanted_at > kIdleTenant && tenant.second.had <= turns.now;  // as one that was never here
    });
  }
  std::erase_if(turns_,
                [this](const auto& entry) { return !in_flight_at_.contains(entry.first) && !outstanding_at_.contains(entry.first); });
  Distribute();
}

}  // namespace maily::smtp
