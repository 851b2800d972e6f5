// One rehearsal: a whole process that sends campaigns of several tenants by the DNS to simulated sites, for an hour of its clock; what the
// sites saw, what the process says of every recipient, and what does not fit together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/rehearsal/plan.h"
#include "tests/rehearsal/server.h"

namespace maily::rehearsal {

// One site, or one lost domain (then nothing was seen).
struct SiteOutcome {
  std::string name;
  std::string temper;
  bool healthy = false;
  size_t domains = 1;
  smtp::SitePolicy policy = {};
  Seen seen = {};
  size_t recipients = 0;
  std::map<std::string, size_t> statuses = {};  // by the read model's names
  std::map<std::string, size_t> causes = {};    // of what is not delivered: status and reply, or status and what holds it up
  double mean_s = 0, median_s = 0, last_s = 0;  // when it took mails, since the last launch before
};

struct Outcome {
  std::vector<SiteOutcome> sites;
  std::vector<uint64_t> journals;  // digest of each partition
  std::vector<std::string> wrong;  // what must not be; empty: all holds
  size_t recipients = 0;
  std::map<std::string, size_t> statuses;
  double wall_s = 0;  // of this machine
};

Outcome Rehearse(const Plan& plan);

}  // namespace maily::rehearsal
