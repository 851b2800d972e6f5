// Who may begin how many mails: credits of the partitions of a worker, within what its sites take.
//
// A partition wants credits by the relay's name, or by the key of a recipient domain. The site of a domain is learnt when a mail to it was
// routed; until then one mail at a time goes there. What is free at a site is shared out among those who want it: among tenants by their
// weights, whatever domains and partitions they have (start-time fair queuing, Goyal, Vin and Cheng 1996), and in turn among the domains
// and partitions of one. What a partition does not use within kTick is taken back. Lives on one executor.
//
// While there is much to do, credits are given in turns of kTurn and some at once: a partition opens many attempts with one frame then,
// instead of a frame, a sync and a record for each. So that connections are busy meanwhile, a site that is quick gets as many more ahead as
// it takes in kAhead; one that is slow has two for a connection (ADR 36).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processors/effects/smtp/site.h"
#include "streams/base/ids.h"
#include "streams/port/env.h"
#include "streams/task/credits.h"

namespace maily::smtp {

// What nobody waits for is done at these moments of steady time, the same for all: as tasks take results (streams/task/task.cc, kGather),
// so that frames, records and syncs are shared.
inline constexpr Duration kTurn = Milliseconds(4);
// Where a site cannot take all, campaigns have one turn in so many while messages wait.
inline constexpr uint32_t kYieldsTo = 8;
constexpr Duration ToNextTurn(Duration now) { return {kTurn.us - now.us % kTurn.us}; }

class Granter {
 public:
  struct Options {
    int64_t budget = 32;                              // mails under way in this worker, over all sites
    size_t workers = 1;                               // that share the sites' limits
    bool per_domain = false;                          // credits are wanted by keys of domains
    uint64_t opener = 0;                              // who holds what is granted (AttemptSlots::opener)
    std::function<bool()> may = [] { return true; };  // false: nothing is granted now
    // The place of all keys, where a relay takes all mail; null: it is learnt.
    std::shared_ptr<Site> everywhere = nullptr;
    // Of messages (schemas/message_id.h): only their wants are heard here, and granted by schema::MessageCredits. All other names here are
    // without that mark.
    bool messages = false;
    // True: at this site others go first at present. One turn of kYieldsTo is taken all the same, so that nobody waits for ever.
    std::function<bool(const Site&)> yields = [](const Site&) { return false; };
    // From 1: a tenant of weight 3 gets three mails where one of weight 1 gets one, while both have more than there is room for.
    std::function<uint32_t(TenantId)> weight_of = [](TenantId) { return 1U; };
  };
  // `executor` and `clock` outlive it.
  Granter(Options options, Executor& executor, Clock& clock);
  ~Granter();

  void Join(PartitionId partition, task::Credits& credits);
  // A slice found no credit of this name, as task::Credits has it; for who has set Credits::OnWanted to tell several granters.
  void Want(PartitionId partition, std::string_view name);
  // Somebody waits for credits of this site.
  bool WantsAt(const Site& site) const;
  void Leave(PartitionId partition);
  // An attempt was accepted that spent a credit of `key`; it is under way from now on. Gives where its mail is reserved (Site::Take): the
  // reservation is the caller's now. Null: nowhere.
  // `tenant`: whose key it is.
  std::shared_ptr<Site> Opened(PartitionId partition, std::string_view key, TenantId tenant = {});
  // The mails of `key` go to the first of these sites whose number is not used up; none: nowhere, they are settled here. False: that is not
  // remembered, there are too many keys.
  using Ways = std::vector<std::shared_ptr<Site>>;
  bool Learn(std::string_view key, const Ways& ways);
  bool Learn(std::string_view key, const std::shared_ptr<Site>& site) { return Learn(key, site ? Ways{site} : Ways()); }
  // Where they go at present; null: nowhere, or nobody knows.
  std::shared_ptr<Site> SiteOf(std::string_view key) const;
  // Where a mail of `key` that is under way is from now on.
  void Begun(std::string_view key, const Site& site);
  // It is not under way any more. Null: it never was at a site.
  void Ended(std::string_view key, const Site* site);

  // Shares out what is free, soon: inside a slice granting has to wait until that is over.
  void PostDistribute();
  void Distribute();

  // Attempts under way.
  int64_t in_flight() const { return in_flight_; }

 private:
  struct Account {
    int64_t given = 0;   // granted and not taken back
    int64_t opened = 0;  // of these, attempts that were accepted
    int64_t tick_given = -1, tick_opened = -1, tick_available = -1;
    int64_t outstanding() const { return given - opened; }  // unspent, or in a decision that is not accepted yet
  };
  struct Member {
    task::Credits* credits = nullptr;
    std::map<std::string, Account, std::less<>> accounts;
  };
  struct Place {
    std::shared_ptr<Site> site;  // one of the ways; null: nowhere
    Ways ways = {};
  };
  // How quickly mails came to their ends lately.
  struct Pace {
    Duration since;
    int64_t ended = 0;
    double per_second = 0;

    void Ended(Duration now);
    // As many as end in kAhead.
    int64_t Ahead() const;
  };
  // What tenants have had of a site, for fairness. A mail advances its tenant by one over its weight; who is furthest behind is next.
  struct Turns {
    struct OfTenant {
      double had = 0;
      Duration wanted_at;  // when it wanted something last
    };
    std::map<TenantId, OfTenant> tenants;
    double now = 0;  // of whom was served last: who comes back begins there, without a claim to what went by
  };
  using Allotments = std::map<std::pair<const Site*, TenantId>, int64_t>;
  // Of each site that several tenants want something of: to whom how much of what is free goes.
  Allotments Allot(const std::map<const Site*, std::map<TenantId, int64_t>>& wanting, int64_t free, Duration now);
  void Charge(const Site* site, std::string_view key, int64_t mails);
  TenantId TenantOf(std::string_view key) const;
  // As task::Credits calls them.
  std::string NameOf(const std::string& key) const;
  // Whether it is the others' turn there.
  bool Yields(const Site& site);
  uint32_t WeightOf(TenantId tenant) const { return std::max(1U, options_.weight_of(tenant)); }
  // How many mails may be under way at a site, less those that are or may be.
  int64_t FreeAt(Site& site, Duration now);
  void ArmTick();
  void Tick();
  // Now if little is under way, else with the next turn.
  void DistributeInTurn();
  int64_t Budget() const;
  int64_t Outstanding() const;
  // How many mails of `key` may be granted now, the total budget apart.
  int64_t Free(std::string_view key, Duration now);
  int64_t OutstandingAt(const Site* site) const;
  // How many more mails a site may have (null: all that are at no site), of `free` ones and with so many `active` sites, so that others
  // find some.
  int64_t Room(const Site* site, int64_t free, int64_t active) const;
  const Place* PlaceOf(std::string_view key) const;
  // The place of `key` is another site, with what was granted and is not opened yet.
  void Move(std::string_view key, Place& place, std::shared_ptr<Site> to);
  // To the first way whose number is not used up.
  void Prefer(std::string_view key);
  void Routed(std::string_view key);

  const Options options_;
  Executor& executor_;
  Clock& clock_;
  std::map<PartitionId, Member> members_;
  std::set<std::pair<std::string, PartitionId>> wants_;
  std::pair<std::string, PartitionId> last_served_;
  std::map<std::string, Place, std::less<>> places_;
  const Place everywhere_;
  std::map<std::string, TenantId, std::less<>> tenants_;  // of keys whose mails were opened; at most as many as places
  std::map<const Site*, Turns> turns_;                    // of sites with mails under way
  std::map<const Site*, int64_t> in_flight_at_;
  std::map<const Site*, int64_t> outstanding_at_;
  std::map<std::string, int64_t, std::less<>> nowhere_;  // under way of a key, and at no site yet
  int64_t nowhere_of_all_ = 0;
  std::map<const Site*, Pace> paces_;
  std::map<const Site*, uint32_t> yielded_;  // in a row
  Pace pace_;                                // of all
  int64_t in_flight_ = 0;
  int64_t in_flight_of_others_ = 0;
  bool posted_ = false;
  bool tick_armed_ = false;
  bool turn_armed_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace maily::smtp
