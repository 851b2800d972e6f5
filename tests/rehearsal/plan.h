// What an hour's rehearsal is made of: the receiving sites, what each allows and how it behaves, and who gets mail there. By seed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processors/effects/smtp/site.h"
#include "streams/adapters/sim/sim_resolver.h"
#include "streams/base/time.h"

namespace maily::rehearsal {

enum class Temper : uint8_t {
  kQuick,        // takes what comes, in milliseconds or tenths of a second
  kSlow,         // seconds a reply
  kGreylisting,  // puts off what it sees for the first time (RFC 6647)
  kStorms,       // for some minutes: 421 to whoever comes
  kThrottling,   // 4.7.1 beyond so many a minute, which is less than its policy says
  kTarpit,       // a minute and more until it answers the final dot
  kRefusing,     // for some minutes: no port is open
  kMute,         // takes connections and says nothing
  kDropping,     // hangs up after some final dots
  kPicky,        // knows few of its users, and some mailboxes are full
};
std::string_view TemperName(Temper temper);  // "quick", …

// Since the beginning of the rehearsal.
struct Span {
  Duration from, to;
};

struct SitePlan {
  std::string name;  // of its first mail server, and so of the site
  std::vector<std::string> hosts;
  std::vector<std::string> ips;  // of each host
  std::vector<std::string> domains;
  Temper temper = Temper::kQuick;
  bool healthy = true;  // as the plan has it; in a calm rehearsal all behave
  // What it allows, and how it is warmed up.
  smtp::SitePolicy policy;
  Duration reply_min = Milliseconds(5);  // until it answers one write of the client
  Duration reply_max = Milliseconds(40);
  Duration dot_min, dot_max;       // beside that, until it answers the final dot
  double strangers = 0.01;         // share of recipients that it does not know
  double full = 0;                 // share whose mailboxes are full
  double drops = 0;                // share of final dots that it does not answer; of these it takes four of five
  Duration greylisted_for;         // a recipient that it saw for the first time
  uint32_t throttled_above = 0;    // MAIL commands a minute; 0 = never
  std::vector<Span> storms, shut;  // 421 to all; no port is open
  size_t recipients = 0;           // over all tenants
};

// A domain that no site has.
struct LostDomain {
  enum class Kind : uint8_t { kNullMx, kNoName, kBroken, kSlowDns };
  std::string name;
  Kind kind = Kind::kNoName;
  size_t recipients = 0;
};
std::string_view LostDomainKindName(LostDomain::Kind kind);

struct PlanSize {
  size_t sites = 50;
  size_t mails = 30'000;
  Duration length = Seconds(3600);
  size_t mx_connections = 200;  // the setting: twice as many mails are under way at most
};

struct Plan {
  uint64_t seed = 0;
  PlanSize size;
  std::vector<SitePlan> sites;
  std::vector<LostDomain> lost;
};

// `calm`: the same sites, limits and people, and nobody makes trouble.
Plan MakePlan(uint64_t seed, const PlanSize& size, bool calm);
// What the DNS says of it.
void FillZone(const Plan& plan, sim::SimResolver& zone);
// By a site's name; others have none of their own.
smtp::SitePolicy PolicyOf(const Plan& plan, std::string_view site);

// From 0 to 1 by chance of a text: the same whenever it is asked.
double Chance(std::string_view text);

}  // namespace maily::rehearsal
