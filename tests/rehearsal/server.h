// The mail servers of one simulated site: they speak SMTP, behave as their temper wants, and count what reaches them.
//
// They know nothing of the sender's limits; what they count is compared with them afterwards. Shares no code with effects/smtp.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_net.h"
#include "tests/rehearsal/plan.h"

namespace maily::rehearsal {

// A mail that was answered 250, or taken and not answered.
struct Taken {
  std::string recipient;
  std::string message_id;
  Duration at;  // since the beginning
};

struct Seen {
  size_t connections = 0;            // in all
  size_t connections_at_once = 0;    // the most that both sides held
  size_t mails = 0;                  // MAIL commands
  size_t mails_of_a_connection = 0;  // the most
  // Beyond the policy's rate at any time: MAIL commands since some moment, less rate × seconds since then. 0: there is no rate.
  double burst = 0;
  std::map<int64_t, size_t> by_hour, by_day;  // MAIL commands, of UTC
  std::map<int, size_t> replies;              // to MAIL, RCPT and the final dot, and greetings; by code
  size_t hung_up = 0;                         // after the final dot, without a reply
  std::vector<Taken> taken;
};

class MailServers {
 public:
  // `begin`: steady time at which the rehearsal begins. All outlive it but the plan.
  MailServers(const SitePlan& plan, sim::SimNet& net, sim::Scheduler& scheduler, Executor& executor, Duration begin);
  ~MailServers();
  const Seen& seen() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::rehearsal
